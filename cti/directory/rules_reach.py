"""Rules of who is reached: routes, the linkage directory, trunks, other sites. See `cti.directory.rules`."""

from __future__ import annotations

from cti.directory.checking import Faults, Site
from cti.directory.targets import GroupTarget, PhoneTarget, Route, SeatTarget
from cti.problem import Way, did_you_mean


def routes_lead_somewhere(site: Site) -> Faults:
    """Every target exists, on the platform the route leads to; a list for danger has an ordinary one beside it."""
    ordinary = {route.to for route in site.directory.routes if not route.danger}
    for i, route in enumerate(site.directory.routes):
        if route.to not in site.directory.platforms:
            yield site.error(
                ("routes", i, "to"),
                f"没有平台 {route.to} 的热线 / platform {route.to} has no hotline",
                "在 hotlines.yaml 加上它，或删去此路由 / add one to hotlines.yaml or remove this route",
            )
        if route.danger and route.to not in ordinary:
            yield site.error(
                ("routes", i, "danger"),
                f"→{route.to} 只有危险路由，没有普通路由 / only routes for danger lead to {route.to}",
                "加一条不带 danger 的路由 / add one without danger",
            )
        if route.division.endswith("0000"):
            yield site.warning(
                ("routes", i, "division"),
                f"省级代码 {route.division} 不会覆盖其下的州市和区县 / "
                "a province's code does not cover the prefectures and counties in it",
                '全省用 "*" / write "*" for all of it',
            )
        yield from _targets(site, i, route)


def _targets(site: Site, i: int, route: Route) -> Faults:
    directory = site.directory
    seen = set[object]()
    for j, target in enumerate(route.targets):
        way: Way = ("routes", i, "targets", j)
        if isinstance(target, GroupTarget) and not directory.seats_of(route.to, target.kind):
            yield site.error(
                (*way, "kind"),
                f"{route.to} 没有 {target.kind} 座席 / {route.to} has no {target.kind} seat",
                "在 seats.yaml 加上，或删去此目标 / add one to seats.yaml or remove this target",
            )
        elif isinstance(target, SeatTarget):
            seat = directory.seat(target.number)
            if seat is None:
                near = did_you_mean(target.number, [s.number for s in directory.seats_of(route.to)])
                yield site.error(
                    (*way, "number"),
                    f"没有座席 {target.number} / no seat {target.number}",
                    f"是否 {near}？ / did you mean {near}?" if near else "见 seats.yaml / see seats.yaml",
                )
            elif seat.platform != route.to:
                yield site.error(
                    (*way, "number"),
                    f"座席 {seat.number} 属于 {seat.platform}，此路由通向 {route.to} / "
                    f"seat {seat.number} belongs to {seat.platform}, this route leads to {route.to}",
                )
        elif isinstance(target, PhoneTarget) and directory.trunk(target.trunk) is None:
            near = did_you_mean(target.trunk, [t.name for t in directory.trunks])
            yield site.error(
                (*way, "trunk"),
                f"没有中继 {target.trunk} / no trunk '{target.trunk}'",
                f"是否 {near}？ / did you mean {near}?" if near else "见 trunks.yaml / see trunks.yaml",
            )
        what = (target.kind, getattr(target, "number", None))
        if what in seen:
            yield site.warning(way, "同一目标出现两次 / the same target twice in one route")
        seen.add(what)


def linkage_leads_somewhere(site: Site) -> Faults:
    """A linkage entry's key is one a phone can press, and its targets exist."""
    directory = site.directory
    for i, one in enumerate(directory.linkage):
        if one.key is None and one.code.startswith(("*3", "*6", "*7", "*9")):
            yield site.error(
                ("linkage", i, "number"),
                f"{one.code} 开头的按键已固定用途 / keys that begin {one.code[:2]} are fixed",
                "写明 key，如 / give it a key, e.g. \"#1\"",
            )
        for j, target in enumerate(one.targets):
            way: Way = ("linkage", i, "targets", j)
            if isinstance(target, SeatTarget) and directory.seat(target.number) is None:
                yield site.error((*way, "number"), f"没有座席 {target.number} / no seat {target.number}",
                                 "见 seats.yaml / see seats.yaml")  # fmt: skip
            elif isinstance(target, PhoneTarget) and directory.trunk(target.trunk) is None:
                yield site.error((*way, "trunk"), f"没有中继 {target.trunk} / no trunk '{target.trunk}'",
                                 "见 trunks.yaml / see trunks.yaml")  # fmt: skip


def trunks_are_closed(site: Site) -> Faults:
    """A trunk that takes calls from everywhere invites toll fraud."""
    for i, trunk in enumerate(site.directory.trunks):
        for j, network in enumerate(trunk.accepts):
            if network.endswith("/0"):
                yield site.warning(
                    ("trunks", i, "accepts", j),
                    "任何地址都可呼入 / anybody may call in",
                    "只写对端地址 / list the peer's addresses only",
                )


def trunks_keep_lines(site: Site) -> Faults:
    """More lines kept for danger than there are would leave routine calls none."""
    for i, trunk in enumerate(site.directory.trunks):
        if trunk.reserved >= max(trunk.max_calls, 1):
            yield site.error(
                ("trunks", i, "reserved"),
                f"为危险来电预留 {trunk.reserved} 线，而中继共 {trunk.max_calls} 线 / "
                f"{trunk.reserved} lines kept for danger of {trunk.max_calls} in all",
                "少于 max_calls / fewer than max_calls",
            )


def sites_are_apart(site: Site) -> Faults:
    """A code and an address belong to one site; a call of a site is known by where it comes from alone."""
    codes, addresses = dict[str, int](), dict[object, int]()
    for i, one in enumerate(site.directory.sites):
        for part, value, seen in (("code", one.code, codes), ("sip", (one.sip.host, one.sip.port), addresses)):
            if value in seen:
                yield site.error(
                    ("sites", i, part),
                    f"站点 {one.code} 与 {site.directory.sites[seen[value]].code} 的 {part} 相同 / "  # type: ignore[index]
                    f"same {part} as another site",
                    "每个站点各不相同 / give each site its own",
                )
            seen.setdefault(value, i)  # type: ignore[arg-type]
        for j, network in enumerate(one.accepts):
            if network.endswith("/0"):
                yield site.error(
                    ("sites", i, "accepts", j),
                    "任何地址都可冒充该站点 / anybody could pass for this site",
                    "只写该站点的地址 / list its addresses only",
                )
