"""The seats of a running service: who may log in, what the waiting lines must say, and both put right after an absence.

Knows: the directory's seats and agents, the runtime's seats, when they are known for certain. Must not know: AMI's
actions (`cti.ami.members`), which status may follow which (`cti.core.seats`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import structlog

from cti.ami.actions import AmiError
from cti.ami.members import Members, Resynced
from cti.core import events as e
from cti.core import seat_desk, seats
from cti.core.asking import No
from cti.core.model import SeatNow, SeatStatus, Site
from cti.directory import Directory
from cti.metrics import Metrics
from cti.pins import NOBODY, pin_is
from cti.routes import line_of
from cti.runtime import Runtime

log = structlog.get_logger(__name__)

STANDS_US = 6 * 3600 * 1_000_000
"""between two snapshots: the state is rebuilt from the ledger's last day, so each must be well inside it"""
LOOK_S = 1.0
"""between two looks at a line, one after the other, whether they still agree"""
TELL_S = 60.0
AGAIN_S = 5.0
"""after a link is up all is looked at once more: [seats-boot] may have been at work meanwhile"""
SOON_S = 0.2
"""the same while a look is owed: Asterisk answers AMI before app_queue is there"""


def initial(directory: Directory) -> dict[str, SeatNow]:
    """Every configured seat as it is with nothing on record: open and ready, or waiting for its agent."""
    return {
        s.number: SeatNow(s.number, not s.login, SeatStatus.OUT if s.login else SeatStatus.READY)
        for s in directory.seats
    }  # fmt: skip


class _Wanted(Mapping[str, seats.Member]):
    """Every seat's member, made when it is asked for: a change of one seat does not pay for 1,000."""

    def __init__(self, now: Mapping[str, SeatNow]) -> None:
        self._now = now

    def __getitem__(self, seat: str) -> seats.Member:
        return seats.member(self._now[seat])

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)


class Seating:
    """``known`` is False while the ledger could not be read: the lines are then left as Asterisk has them."""

    def __init__(self, directory: Directory, metrics: Metrics) -> None:
        self.directory, self._metrics = directory, metrics
        self.known = False
        self._lockout = seat_desk.Lockout()
        self._lines = {h.number: frozenset(s.number for s in directory.serving(h)) for h in directory.hotlines}
        self.lines: dict[str, frozenset[str]] = {**self._lines, **{
            line_of(p, "dedicated", directory): frozenset(s.number for s in directory.seats_of(p, "dedicated"))
            for p in directory.platforms}}  # fmt: skip
        self.dedicated = tuple(s.number for s in directory.seats if s.kind == "dedicated")
        self._skills = {h.number: frozenset(h.skills) for h in directory.hotlines}
        self._told: dict[str, int] = {}
        self._owed = False
        self._looking = asyncio.Lock()
        self.runtime: Runtime
        self.members: Members

    def wanted(self) -> Mapping[str, seats.Member] | None:
        """What app_queue must say of each seat; None while that is not known."""
        if not self.known:
            return None
        return _Wanted(self.runtime.site.seats)

    def barred(self, seat: str) -> Collection[str]:
        """Lines of the seat whose skills its agent has not."""
        agent = self.directory.agent(self.runtime.site.seats[seat].agent)
        if agent is None or agent.skills is None:
            return ()
        return [n for n, at in self._lines.items() if seat in at and not self._skills[n] <= set(agent.skills)]

    async def log_in(self, seat: str, agent: str, pin: str | None, by: str, at: int) -> str:
        """``ok`` or a code of `SEAT_CODES`. ``pin`` None: a supervisor vouches. The fact is on record when it is ok;
        a refusal is too, with the agent's number only where there is such an agent (it may be a PIN typed early)."""
        names = (f"agent {agent}", f"seat {seat}")
        person = self.directory.agent(agent)
        code = ""
        if pin is not None and self._lockout.locked(*names, at=at):
            code = "login-locked"
        elif pin is not None or person is None:
            right = await asyncio.to_thread(pin_is, pin or "", person.pin if person else NOBODY)
            if person is None or not right:
                self._lockout.wrong(*names, at=at)
                code = "wrong-pin"
        if not code:
            said = await self.runtime.ask(lambda site: seat_desk.login(site, seat, agent, by, at))
            if not isinstance(said, No):
                self._lockout.right(*names)
                return "ok"
            code = said.code
        refused = e.SeatLoginRefused("", at, seat, agent if person else "", code, by)
        self.runtime.hear(refused, "service", f"login/{seat}/{at}")
        return code

    async def lend(self, seat: str, lent: bool, at: int) -> bool:
        """Have it on record that the seat serves another site from now on, or is ours again. False: only a ready seat
        can be lent. Raises AmiError."""
        def decide(site: Site) -> e.SeatLent | e.SeatReturned | bool:
            now = site.seats.get(seat)
            if now is None or (lent and now.status not in (SeatStatus.READY, SeatStatus.LENT)):
                return False
            if lent is (now.status is SeatStatus.LENT):
                return True
            return e.SeatLent("", at, seat, by="lease") if lent else e.SeatReturned("", at, seat, by="lease")

        if await self.runtime.ask(decide) is False:
            return False
        await self.members.sync(seat)  # its mark in AstDB too, so that its own keys are refused from now on
        return True

    async def agree(self, at: int) -> None:
        """Put the waiting lines right once all that was heard is on record. Raises AmiError."""
        async with self._looking:
            self._owed = True
            await self.runtime.ask(lambda _: None)
            found = await self.members.resync()
            self._owed = found.seats == 0 and self.known
        self._count(found, at)

    def _count(self, found: Resynced, at: int) -> None:
        for seat, line in found.strangers:
            told = e.DedicatedRefused("", at, seat, "general-queue", line)
            self.runtime.hear(told, "service", f"stranger/{seat}/{line}/{at}")
        if found.changed:
            log.info("seats_resynchronised", seats=found.seats, changed=len(found.changed))
            self._metrics.seats_resynced.inc(len(found.changed))

    async def keep(self, linked: Callable[[], bool], now_us: Callable[[], int]) -> None:
        """Until cancelled: look again now and then, or soon where a look is owed; tell where each seat stands."""
        clock = asyncio.get_running_loop().time
        due = tell = clock() + LOOK_S
        again, was = clock() + AGAIN_S, False
        while True:
            await asyncio.sleep(SOON_S)
            if linked() and not was:
                again = clock() + AGAIN_S
            was = linked()
            if clock() >= again:
                again, self._owed = float("inf"), True
            if clock() >= tell:
                tell = clock() + TELL_S
                self._tell_all(now_us())
            if (clock() >= due or self._owed) and linked() and not self._looking.locked():
                due = clock() + LOOK_S
                try:
                    if self._owed:
                        await self.agree(now_us())
                    else:
                        self._count(await self.members.look(), now_us())
                except AmiError as why:
                    log.info("seats_not_looked_at", why=str(why))

    def _tell_all(self, now: int) -> None:
        for number, seat in self.runtime.site.seats.items():
            if seat.since and now - self._told.get(number, 0) >= STANDS_US and self.known:
                self._told[number] = now
                self.runtime.hear(seats.stands(seat, now), "service", f"stands/{number}/{now // STANDS_US}")

    def rows(self, devices: Mapping[str, str], talking: Collection[str], only: str = "") -> list[dict[str, Any]]:
        """Each seat, or one: what it declared, and beside it what is observed."""
        made = []
        one = self.directory.seat(only)
        for s in self.directory.seats if not only else (one,) if one else ():
            now = self.runtime.site.seats[s.number]
            agent = self.directory.agent(now.agent)
            made.append({
                "number": s.number, "platform": s.platform, "kind": s.kind, "name": s.name,
                "state": "talking" if s.number in talking else devices.get(s.number, "unknown").lower(),
                "status": str(now.status), "reason": "" if now.status is SeatStatus.WRAPUP else now.reason,
                "agent": now.agent, "agent_name": agent.name if agent else "", "by": now.by, "since": now.since,
                "until": now.until, "misses": now.misses, "login": s.login})  # fmt: skip
        return made

    def handled(self, since: int) -> list[dict[str, Any]]:
        """Who took what was handed over, by platform: the dedicated seats' share."""
        made = []
        taken = self.runtime.memory.handled.since(since)
        for platform in self.directory.platforms:
            kinds = [self._kind(by) for seat, to, by in taken if to == platform and not self._of(seat, platform)]
            share = f"{100 * kinds.count('dedicated') / len(kinds):.1f} %" if kinds else "—"
            made.append({"platform": platform, "answered": len(kinds), "share": share,
                         **{k: kinds.count(k) for k in ("dedicated", "general", "outside")}})  # fmt: skip
        return made

    def _of(self, number: str, platform: str) -> bool:
        seat = self.directory.seat(number)
        return seat is not None and seat.platform == platform

    def _kind(self, number: str) -> str:
        seat = self.directory.seat(number)
        return seat.kind if seat else "outside"

    def reason_words(self, code: str) -> tuple[str, str]:
        """What people call a reason."""
        if code == "missed":
            return ("多次未接，已自动置忙", "rings in vain: paused by the switch")
        found = next((r for r in self.directory.seat_rules.reasons if r.code == code), None)
        return (found.zh, found.en) if found else (code, code)


__all__ = ["Seating", "initial"]
