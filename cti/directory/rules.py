"""The rules between a directory's parts; each yields its faults with file and line.

Knows: what must agree with what. Must not know: how the files were read.
A rule is a function of a `Site`; adding one to `RULES` is all it takes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from cti.directory.fields import EMERGENCY, PLATFORMS, Platform
from cti.directory.model import Directory, GroupTarget, PhoneTarget, Route, SeatTarget
from cti.problem import Problem, Way, did_you_mean
from cti.yamlfile import Document


@dataclass(frozen=True, slots=True)
class Site:
    """A directory whose files are sound one by one, where its values stand, and the day it is judged on."""

    directory: Directory
    documents: dict[str, Document]
    today: dt.date

    def error(self, way: Way, message: str, cure: str = "", *, key: bool = False) -> Problem:
        """A fault at `way`; its first step names the file."""
        return self.documents[str(way[0])].problem(way, message, cure, key=key)

    def warning(self, way: Way, message: str, cure: str = "") -> Problem:
        """A fault the site can run with."""
        return self.documents[str(way[0])].problem(way, message, cure, level="warning")


Faults = Iterator[Problem]


def find_faults(site: Site) -> list[Problem]:
    """Every fault, by file and line."""
    return sorted(chain.from_iterable(rule(site) for rule in RULES), key=lambda p: (p.file, p.line, p.column))


def no_duplicates(site: Site) -> Faults:
    """One number, one thing: hotlines and seats share the dialplan's numbers."""
    directory, taken = site.directory, dict[str, Way]()
    numbered: tuple[tuple[Way, str, str], ...] = (
        *((("hotlines", i, "number"), "热线/hotline", h.number) for i, h in enumerate(directory.hotlines)),
        *((("seats", i, "number"), "座席/seat", s.number) for i, s in enumerate(directory.seats)),
        *((("linkage", i, "number"), "联动单位/linkage", one.number) for i, one in enumerate(directory.linkage)),
    )
    for way, what, number in numbered:
        if way[0] == "seats" and number in EMERGENCY and number not in taken:
            yield site.error(
                way,
                f"{number} 是紧急号码 / {number} is an emergency number",
                "换一个座席号 / choose another seat number",
            )
            continue
        if number in taken:
            first = taken[number]
            file = site.documents[str(first[0])]
            yield site.error(
                way,
                f"{what} {number} 重复 / duplicate, first at {file.file}:{file.mark(first).line}",
                "每个号码只用一次 / use each number once",
            )
        taken.setdefault(number, way)
    yield from _repeated(site, "trunks", "name", [t.name for t in directory.trunks])
    yield from _repeated(site, "nuisance", "number", [n.number for n in directory.nuisance], say=False)
    listed = [f"→{r.to} {r.division}{' danger' if r.danger else ''}" for r in directory.routes]
    yield from _repeated(site, "routes", "division", listed)


def _repeated(site: Site, part: str, name: str, values: list[str], *, say: bool = True) -> Faults:
    seen: dict[str, int] = {}
    for i, value in enumerate(values):
        if value in seen:
            line = site.documents[part].mark((part, seen[value], name)).line
            shown = f"{value} " if say else ""
            yield site.error(
                (part, i, name),
                f"{shown}重复，第 {line} 行已有 / {shown}duplicate, first on line {line}",
                "删去其一 / remove one of them",
            )
        seen.setdefault(value, i)


def keys_lead_somewhere(site: Site) -> Faults:
    """A key reaches a platform of this site (its own: another seat there), and none hides another on the same phones.

    Asterisk fires a feature once its code is complete: of `*11` and `*110` the second is never reached.
    """
    codes: dict[Platform, list[tuple[str, Way]]] = {}
    for i, hotline in enumerate(site.directory.hotlines):
        both = [("keys", *item) for item in hotline.keys.items()]
        both += [("danger_keys", *item) for item in hotline.danger_keys.items()]
        both += [("conference_keys", *item) for item in hotline.conference_keys.items()]
        for part, code, platform in both:
            way: Way = ("hotlines", i, part, code)
            if platform not in site.directory.platforms:
                yield site.error(
                    way,
                    f"按键 {code} 通向 {platform}，但没有该平台的热线 / "
                    f"key {code} leads to platform {platform}, which has no hotline",
                    "在 hotlines.yaml 加上它 / add one to hotlines.yaml",
                )
            codes.setdefault(hotline.platform, []).append((code, way))
    numbers = [one.number for one in site.directory.linkage]
    for i, one in enumerate(site.directory.linkage):  # on every seat's phone; one given twice is told above
        for platform in codes if numbers.index(one.number) == i else ():
            codes[platform].append((one.code, ("linkage", i, "key" if one.key else "number")))
    told = set[tuple[str, Way]]()
    for known in codes.values():
        for n, (code, way) in enumerate(known):
            for earlier, _ in known[:n]:
                if way[0] == "linkage" and (earlier, way) in told:
                    continue
                told.add((earlier, way))
                short, long = sorted((earlier, code), key=len)
                if short == long and way[0] == "linkage":
                    yield site.error(
                        way,
                        f"按键 {code} 已另有用途 / key {code} is taken",
                        "写另一个 key / give it a key of its own",
                    )
                if short != long and long.startswith(short):
                    yield site.error(
                        way,
                        f"按键 {short} 是 {long} 的开头，{long} 永远按不到 / "
                        f"key {short} begins {long}: {long} can never be reached",
                        "改其中一个 / change one of them",
                        key=way[0] == "hotlines",
                    )


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


def hotlines_are_served(site: Site) -> Faults:
    """A hotline has general seats, and a way to the other platform.

    Dedicated seats take only handed-over calls, so they do not serve a hotline's own callers.
    """
    directory = site.directory
    for i, hotline in enumerate(directory.hotlines):
        platform = hotline.platform
        if not directory.serving(hotline):
            yield site.error(
                ("hotlines", i, "platform"),
                f"热线 {hotline.number} 没有普通座席 / hotline {hotline.number} has no general seat",
                f"在 seats.yaml 加 platform {platform} 的 general 座席 / add one to seats.yaml",
            )
        for other in PLATFORMS:
            if other != platform and not directory.route(other, hotline.division):
                yield site.warning(
                    ("hotlines", i, "number"),
                    f"热线 {hotline.number} 没有通向 {other} 的路由 / hotline {hotline.number} has no route to {other}",
                    f'在 routes.yaml 加 to: "{other}" / add one to routes.yaml',
                )


def lines_lead_somewhere(site: Site) -> Faults:
    """A shared line and an overflow exist; a line is shared once removed, on one platform; 110 has no closing time."""
    directory = site.directory
    for i, hotline in enumerate(directory.hotlines):
        other = directory.hotline(hotline.shares) if hotline.shares else None
        if hotline.shares and (other is None or other.shares or other.platform != hotline.platform or other is hotline):
            yield site.error(
                ("hotlines", i, "shares"),
                f"{hotline.shares} 不是本平台自有队列的另一条热线 / "
                f"{hotline.shares} is no other hotline of this platform with a line of its own",
                "写该平台自有队列的热线号码 / name one that has its own line",
            )
        overflow = hotline.queue.overflow
        target = directory.hotline(overflow.to) if overflow else None
        if overflow and (target is None or target.line == hotline.line):
            yield site.error(
                ("hotlines", i, "queue", "overflow", "to"),
                f"溢出目标 {overflow.to} 不是另一条队列的热线 / "
                f"overflow to {overflow.to}: no hotline with another line",
                "写另一条热线的号码 / name another hotline",
            )
        if hotline.opening and hotline.platform == "110":
            yield site.error(
                ("hotlines", i, "opening"),
                "110 全天受理，不得设时段 / 110 is always open",
                "删去 opening / remove it",
            )
    rules = directory.callbacks
    if rules.trunk and directory.trunk(rules.trunk) is None:
        yield site.error(
            ("hotlines", "callbacks", "trunk"),
            f"没有中继 {rules.trunk} / no trunk '{rules.trunk}'",
            "见 trunks.yaml / see trunks.yaml",
        )


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


def nuisance_is_current(site: Site) -> Faults:
    """An expired entry has no effect and should be renewed or removed; our own numbers are never listed."""
    own = {h.number for h in site.directory.hotlines} | {s.number for s in site.directory.seats}
    for i, entry in enumerate(site.directory.nuisance):
        if entry.until < site.today:
            yield site.warning(
                ("nuisance", i, "until"),
                f"已于 {entry.until} 到期 / expired on {entry.until}",
                "续期或删去 / renew or remove it",
            )
        if entry.number in own:
            yield site.error(
                ("nuisance", i, "number"),
                "这是本站的热线或座席 / this is a hotline or seat of this site",
                "删去它 / remove it",
            )


def seats_serve_rightly(site: Site) -> Faults:
    """A dedicated seat (专席) takes only calls handed over: it is in no general line and spills for nobody. A named
    line is one of the seat's own platform."""
    own = {h.number: h.platform for h in site.directory.hotlines}
    for i, seat in enumerate(site.directory.seats):
        for part in ("lines", "spill"):
            if seat.kind == "dedicated" and getattr(seat, part) is not None:
                yield site.error(
                    ("seats", i, part),
                    f"专席 {seat.number} 只接对方平台转来的电话，不得进普通队列 / "
                    f"dedicated seat {seat.number} takes only calls handed over: it may be in no general line",
                    f"删去 {part}，或改 kind: general / remove {part}, or make it kind: general",
                )
        for j, line in enumerate(seat.lines or ()):
            if own.get(line) != seat.platform:
                yield site.error(
                    ("seats", i, "lines", j),
                    f"{seat.platform} 没有热线 {line} / platform {seat.platform} has no hotline {line}",
                    "见 hotlines.yaml / see hotlines.yaml",
                )


def agents_are_told_apart(site: Site) -> Faults:
    """One number, one agent; a seat that must be logged in needs somebody who can."""
    agents = site.directory.agents
    yield from _repeated(site, "agents", "number", [a.number for a in agents])
    for i, seat in enumerate(site.directory.seats):
        if seat.login and not agents:
            yield site.error(
                ("seats", i, "login"),
                f"座席 {seat.number} 须登录，但没有话务员 / "
                f"seat {seat.number} must be logged in, but there is no agent",
                "写 agents.yaml，或删去 login / write agents.yaml, or remove login",
            )
    seen = {"code": set[str](), "key": set[str]()}
    for i, reason in enumerate(site.directory.seat_rules.reasons):
        for part, value in (("code", reason.code), ("key", reason.key)):
            if value in seen[part] or value == "missed":
                way: Way = ("rules", "reasons", i, part)
                said = f"{value} 重复或已保留 / {value} is taken"
                yield site.documents["seats"].problem(way, said, "换一个 / choose another")
            if value is not None:
                seen[part].add(value)


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


RULES: Final[tuple[Callable[[Site], Faults], ...]] = (
    no_duplicates,
    keys_lead_somewhere,
    routes_lead_somewhere,
    linkage_leads_somewhere,
    hotlines_are_served,
    seats_serve_rightly,
    agents_are_told_apart,
    lines_lead_somewhere,
    trunks_are_closed,
    trunks_keep_lines,
    nuisance_is_current,
    sites_are_apart,
)
