"""The directory's routes as the dialplan walks them. Knows: which waiting line a group of seats is, and whose seats are
in it. Must not know: AstDB, how Asterisk is asked who can be reached."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from cti.core.routing import Hop, reachable_first, route_text
from cti.directory import Directory, GroupTarget, PhoneTarget, Platform, SeatKind, SeatTarget


def line_of(platform: Platform, kind: str, directory: Directory) -> str:
    """The app_queue name of a platform's dedicated or general seats."""
    if kind == "dedicated":
        return f"{platform}-dedicated"
    return next(h.number for h in directory.hotlines if h.platform == platform)


def _lines(to: Platform, directory: Directory) -> dict[str, tuple[str, ...]]:
    kinds: tuple[SeatKind, ...] = ("dedicated", "general")
    return {line_of(to, k, directory): tuple(s.number for s in directory.seats_of(to, k)) for k in kinds}


def hops(directory: Directory, to: Platform, division: str, at: dt.time | None = None, *,
         danger: bool = False, unreachable: Collection[str] = ()) -> tuple[Hop, ...]:  # fmt: skip
    """The walk to a platform from a division (``"*"``: unknown) at a local time; None: at any. Empty when there is no
    route, or with ``danger`` none of that kind. At an hour that nobody serves, everybody is tried: a caller is never
    left without a target. ``unreachable`` (seats' numbers, trunks' names) come last."""
    targets = directory.route(to, None if division == "*" else division, danger=danger)
    serving = tuple(t for t in targets if at is None or t.serves(at)) or targets
    made = []
    for target in serving:
        if isinstance(target, GroupTarget):
            made.append(Hop("queue", line_of(to, target.kind, directory), target.timeout))
        else:
            made.append(_hop(target))
    return reachable_first(made, unreachable, _lines(to, directory)) if unreachable else tuple(made)


def _hop(target: SeatTarget | PhoneTarget) -> Hop:
    if isinstance(target, SeatTarget):
        return Hop("dial", f"PJSIP/{target.number}", target.timeout)
    dialled = f"PJSIP/{target.number}@{target.trunk}"
    return Hop("phone", dialled, target.timeout, target.trunk, target.confirm)


def linkage(directory: Directory, at: dt.time | None = None,
            unreachable: Collection[str] = ()) -> dict[tuple[str, str, bool], str]:  # fmt: skip
    """The walks to fourth members by (``m`` and the short number, any division, False), as `routes` has the platforms':
    no platform's number can be meant by them. Raises `BadRoute`."""
    made = {}
    for one in directory.linkage:
        serving = tuple(t for t in one.targets if at is None or t.serves(at)) or one.targets
        walk = reachable_first([_hop(t) for t in serving], unreachable, {})
        made[f"m{one.number}", "*", False] = route_text(walk)
    return made


def routes(directory: Directory, at: dt.time | None = None,
           unreachable: Collection[str] = ()) -> dict[tuple[str, str, bool], str]:  # fmt: skip
    """Every route's text, by (platform, division, danger): what AstDB must hold, fourth members' too. Raises
    `BadRoute`."""
    return linkage(directory, at, unreachable) | {
        (r.to, r.division, r.danger):
        route_text(hops(directory, r.to, r.division, at, danger=r.danger, unreachable=unreachable))
        for r in directory.routes
    }  # fmt: skip


def routes_for(directory: Directory, division: str, at: dt.time | None = None,
               unreachable: Collection[str] = ()) -> dict[tuple[str, bool], str]:  # fmt: skip
    """Every platform's route text from one division, by (platform, danger); no entry where there is none."""
    made = {
        (to, danger): hops(directory, to, division, at, danger=danger, unreachable=unreachable)
        for to in directory.platforms for danger in (False, True)
    }  # fmt: skip
    return {key: route_text(walk) for key, walk in made.items() if walk}
