"""Rules of who answers: waiting lines, seats, agents. See `cti.directory.rules`."""

from __future__ import annotations

from cti.directory.checking import Faults, Site, repeated
from cti.directory.fields import PLATFORMS
from cti.problem import Way


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
    yield from repeated(site, "agents", "number", [a.number for a in agents])
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
