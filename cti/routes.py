"""The directory's routes as the dialplan walks them. Knows: which waiting line a group of seats is. Must not know:
AstDB."""

from __future__ import annotations

import datetime as dt

from cti.core.routing import Hop, route_text
from cti.directory import Directory, GroupTarget, PhoneTarget, Platform, SeatTarget


def line_of(platform: Platform, kind: str, directory: Directory) -> str:
    """The app_queue name of a platform's dedicated or general seats."""
    if kind == "dedicated":
        return f"{platform}-dedicated"
    return next(h.number for h in directory.hotlines if h.platform == platform)


def hops(directory: Directory, to: Platform, division: str, at: dt.time | None = None) -> tuple[Hop, ...]:
    """The walk to a platform from a division (``"*"``: unknown) at a local time; None: at any. Empty when there is no
    route. At an hour that nobody serves, everybody is tried: a caller is never left without a target."""
    targets = directory.route(to, None if division == "*" else division)
    serving = tuple(t for t in targets if at is None or t.serves(at)) or targets
    made = []
    for target in serving:
        match target:
            case GroupTarget():
                made.append(Hop("queue", line_of(to, target.kind, directory), target.timeout))
            case SeatTarget():
                made.append(Hop("dial", f"PJSIP/{target.number}", target.timeout))
            case PhoneTarget():
                dialled = f"PJSIP/{target.number}@{target.trunk}"
                made.append(Hop("phone", dialled, target.timeout, target.trunk, target.confirm))
    return tuple(made)


def routes(directory: Directory, at: dt.time | None = None) -> dict[tuple[str, str], str]:
    """Every route as text, by (platform, division): what AstDB family ``route`` must hold. Raises `BadRoute`."""
    return {(r.to, r.division): route_text(hops(directory, r.to, r.division, at)) for r in directory.routes}


def routes_for(directory: Directory, division: str, at: dt.time | None = None) -> dict[str, str]:
    """Every platform's route text from one division."""
    made = {to: hops(directory, to, division, at) for to in directory.platforms}
    return {to: route_text(walk) for to, walk in made.items() if walk}
