"""A three-party call while a story of it is played: opened, changed, and held against its table of who hears whom.

Knows: how a room is opened, what each must hear after an act (`whohears`), what the record must say of it. Must not
know: which stories there are, how the switch makes a room.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.hearing import MUSIC, Hearing
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import FIRST_ANSWER_S, whose
from cti.dialtest.scenarios.scene import LEDGER_S, Lost, Outcomes, Scene
from cti.dialtest.stack import Stage
from cti.dialtest.whohears import Moment, Table
from cti.ledger.stream import StreamAway

JOIN_MS, CHANGE_MS, KILLED_MS = 60.0, 120.0, 200.0
"""nobody hears nobody for longer: as somebody joins, at any other change, and while parts are killed (`--chaos`), which
costs the machine that plays phones as well"""
HEARD_S = 0.08
"""so long the same must be heard to count"""
GOOD_S = 5.0
"""a target that stays so long has answered for good"""
ROOM_KEYS = ("*3", "*71", "*72", "*73", "*74")

WAYS = {
    "12345": (("1001", "1002", "1003", "1004"), ("8001", "8002", "8003")),
    "110": (("8101", "8102"), ("1901", "1902")),
}
SEATS = tuple(number for way in WAYS.values() for side in way for number in side)
OTHER = {"12345": "110", "110": "12345"}

Row = Mapping[Call, frozenset[str]]
"""who should hear whom: phones' names, or music"""


@dataclass(frozen=True, slots=True)
class Said:
    """What the one decision must be on record as."""

    accepts: str
    basis: str
    why: str = "room-over"
    by: str = ""


def each_other(*calls: Call) -> Row:
    """All of these hear all the others."""
    return {call: frozenset(other.phone.name for other in calls if other is not call) for call in calls}


@dataclass(slots=True)
class Room:
    """The scene with its third party, and the table so far."""

    scene: Scene
    run: Run
    guest: Call
    danger: bool
    table: Table
    calls: list[Call]
    """everybody who ever had a row"""
    talking: tuple[Call, ...] = ()
    """who has a row now"""
    joined: tuple[float, float] = (0.0, 0.0)
    """the guest picked up, all three heard each other: Asterisk joined them somewhere in between"""
    ended: Outcomes = field(default_factory=list)
    """terminal records besides the one of the call's own transfer"""
    refusals: int = 0
    kept: bool = False
    """a fourth member has the caller as the guest leaves last: he was handed on, not given back"""

    @property
    def three(self) -> tuple[Call, Call, Call]:
        return self.scene.caller, self.scene.first, self.guest

    @property
    def platforms(self) -> dict[Call, str]:
        return {self.scene.first: self.scene.hotline, self.guest: self.scene.to}

    @property
    def unsaid(self) -> Said:
        """The decision nobody makes: the first receiver's, or danger's."""
        return Said("110", "danger") if self.danger else Said(self.scene.hotline, "first-receiver")

    def outcomes(self) -> list[Outcomes]:
        """What the transfers of this call may be on record as: a guest who is gone before the caller, and within 5 s of
        joining, has vanished (docs/transfer-machine.md). Asterisk's clock decides, the phones' bound it."""
        left = min(self.guest.t_ended or math.inf, self.scene.caller.t_ended or math.inf)
        most, least = (left - at for at in self.joined)
        slack = 0.5 if self.scene.stage.harmed else 0.2
        vanished = not self.kept and (self.guest.t_ended or math.inf) < (self.scene.caller.t_ended or math.inf)
        may: Outcomes = []
        if not vanished or most > GOOD_S - slack:
            may.append(("answered", ""))
        if vanished and least < GOOD_S + slack:
            may.append(("returned", "vanished"))
        return [[one, *self.ended] for one in may]

    async def press(self, code: str, who: Call) -> float:
        """A key at a seat; when its last digit ended."""
        pressed = await self.scene.press(code, who)
        self.table.typed.append((who.phone.name, *self.scene.typed[-1]))
        return pressed

    async def settle(self, since: float, row: Row, most_ms: float = CHANGE_MS) -> float:
        """An act at ``since`` brought this row: wait until it is so, and judge the change. The worst gap, ms.

        Raises `Lost`: it is not within 4 s, or somebody heard nobody for too long in between.
        """
        settled = {call.phone.name: max(since, await self._hears(call, names)) for call, names in row.items()}
        before, talking = self.table.moments[-1].row if self.table.moments else {}, self.talking
        self.table.moments.append(Moment(since, {c.phone.name: names for c, names in row.items()}, settled))
        self.calls += [call for call in row if call not in self.calls]
        self.talking = tuple(row)
        await asyncio.sleep(0.1)
        worst, most_ms = 0.0, max(most_ms, KILLED_MS) if self.scene.stage.harmed else most_ms
        for call, names in row.items():
            name = call.phone.name
            if call not in talking:
                continue  # he has just picked up: nothing is interrupted
            gap = call.gap({*names, *before[name], MUSIC}, since, settled[name] + 0.1)
            worst = max(worst, gap.ms)
            if gap.net_ms > most_ms:
                raise Lost(f"the change left {name} with nobody for {gap.ms:.0f} ms ({gap.own_ms:.0f} our own)")
        self.run.settle_ms = max(self.run.settle_ms or 0.0, *((at - since) * 1000 for at in settled.values()))
        if len(self.table.moments) > 2:
            self.run.change_ms = max(self.run.change_ms or 0.0, worst)
        return worst

    async def _hears(self, call: Call, names: frozenset[str], seconds: float = 4.0) -> float:
        """Until `call` hears exactly these (a seat beside its signs); when that began. Raises `Lost`."""
        begins, sign = time.monotonic(), frozenset() if call is self.scene.caller else frozenset({MUSIC})
        while time.monotonic() < begins + seconds:
            start, stop = 0.0, 0.0
            for part in reversed(call.heard(time.monotonic() - 0.4).intervals):
                if part.what - sign != names:
                    break
                start, stop = part.start, stop or part.end
            if stop - start >= HEARD_S:
                return start
            await asyncio.sleep(0.02)
        raise Lost(f"{call.phone.name} wanted {'+'.join(sorted(names))}, heard {call.heard(begins)}")

    async def dwell(self, least: float = 0.2, most: float = 0.8) -> None:
        """Time in which nothing may change."""
        await asyncio.sleep(self.scene.rng.uniform(least, most))

    async def aside(self, who: Call) -> None:
        """The seats confer; the caller hears music alone, and nothing of them."""
        caller, first, guest = self.three
        await self.settle(await self.press("*3", who), {caller: frozenset({MUSIC}), **each_other(first, guest)})
        await self.dwell()

    async def back(self, who: Call) -> None:
        """Conferring is over: all three together again."""
        await self.settle(await self.press("*3", who), each_other(*self.three))
        await self.dwell()

    async def refused(self, code: str, who: Call, ended: tuple[str, str] | None = None) -> None:
        """A key that is wrong now: a sign to that seat alone, nobody else hears a thing (the table says so)."""
        pressed = await self.press(code, who)
        await who.wait_heard(MUSIC, 5, after=pressed)
        if ended is None:
            self.refusals += 1
        else:
            self.ended.append(ended)
        await asyncio.sleep(0.3)

    def judge(self, end: float) -> None:
        """What everybody heard, from the first moment to the last, against the table."""

        def of(party: str, t1: float) -> Call:
            """Its call then; what it heard in the packet (20 ms) in which it answered is that call's as well."""
            calls = [call for call in self.calls if call.phone.name == party]
            return max((call for call in calls if (call.t_answered or t1) < t1),
                       key=lambda call: call.t_answered or 0.0, default=calls[-1])  # fmt: skip

        def hear(party: str, t0: float, t1: float) -> Hearing:
            call = of(party, t1)
            return call.heard(max(t0, call.t_answered or 0.0), min(t1, call.t_ended or t1))

        def missed(party: str, name: str, t0: float, t1: float) -> float:
            call = of(party, t1)
            return call.gap({name}, t0, min(t1, call.t_ended or t1)).net_ms

        most = KILLED_MS if self.scene.stage.harmed else CHANGE_MS
        self.run.faults += self.table.faults(end, hear, missed, most)


async def open_room(stage: Stage, run: Run, rng: random.Random, phone: Phone, cli: str, call: Call, hotline: str,
                    answers: bool = True) -> Room:  # fmt: skip
    """The caller, the seat that answered him and brings in the other platform, and the guest: together, or
    (``answers`` false) still ringing. Raises `Lost`, TimeoutError."""
    firsts, targets = ([stage.seats[n] for n in side] for side in WAYS[hotline])
    first = await whose(firsts, cli, 8)
    if first is None or not await first.wait_answered(5):
        raise Lost("no seat answered")
    await call.wait_heard(first.phone.name, 5)
    await first.wait_heard(phone.name, 5)
    to = OTHER[hotline]
    scene = Scene(stage, rng, cli, call, first, targets, firsts, hotline=hotline, to=to)
    room = Room(scene, run, first, False, Table(phone.name), [])
    await room.settle(time.monotonic(), each_other(call, first))
    await room.refused(rng.choice(ROOM_KEYS), first)  # no room yet
    stays = rng.random() < 0.25
    room.danger = stays and to == "110" and rng.random() < 0.5
    await room.press(("**" if room.danger else "*") + to if stays else "*0", first)
    room.guest = await scene.rings()
    if stays:
        await room.press("*0", first)  # "stay with me"
    await asyncio.sleep(rng.uniform(0.2, 0.8))
    if answers:
        answered = time.monotonic()
        room.guest.answer()
        run.swap_gap_ms = await room.settle(answered, each_other(*room.three), JOIN_MS)
        room.joined = answered, max(room.table.moments[-1].settled.values())
        await room.dwell(0.1, 0.5)
    return room


def set_seats(stage: Stage) -> None:
    """First seats pick up by themselves, guests ring until a story decides."""
    for firsts, targets in WAYS.values():
        for seat in (*firsts, *targets):
            stage.seats[seat].on_invite = Answer(FIRST_ANSWER_S) if seat in firsts else Ring()


async def whole_record(stage: Stage, run: Run, facts: Sequence[Fact], opened: bool) -> Sequence[Fact]:
    """The call's facts once its room's end is among them: a room has one decision and one end, or there was none."""
    deadline = time.monotonic() + LEDGER_S
    while opened and time.monotonic() < deadline and not any(f.kind == "ConferenceEnded" for f in facts):
        await asyncio.sleep(0.1)
        with contextlib.suppress(StreamAway):  # Redis is one of those that are killed
            facts = await stage.facts(run.ref)
    for kind in ("ConferenceDecided", "ConferenceEnded"):
        found = [dict(f.data) for f in facts if f.kind == kind]
        if len(found) != int(opened):
            run.faults.append(f"{len(found)} {kind} on record, {int(opened)} wanted: {found}")
    return facts


def check_decision(run: Run, facts: Sequence[Fact], said: Said) -> None:
    """Who, when, on what basis: as it was played; danger also sent 110 at once, and once."""
    for fact in (f for f in facts if f.kind == "ConferenceDecided"):
        data = fact.data
        got = Said(*(str(data[name]) for name in ("accepts", "basis", "why", "by")))
        opened = next((f.at for f in facts if f.kind == "CallerJoined"), 0)
        ended = next((f.at for f in facts if f.kind == "ConferenceEnded"), fact.at)
        if got != said or not opened <= fact.at <= ended:
            run.faults.append(f"on record as {got} at {fact.at}, wanted {said} between {opened} and {ended}")
    sent, danger = sum(f.kind == "DispatchFirst" for f in facts), said.basis == "danger"
    if danger and sent != 1:
        run.faults.append(f"{sent} DispatchFirst on record, 1 wanted")


def check_outcomes(run: Run, facts: Sequence[Fact], may: Sequence[Outcomes]) -> None:
    """The terminal records of the call's transfers are one of these sets."""
    got = sorted((str(f.data["outcome"]), str(f.data["why"])) for f in facts if f.kind == "TransferEnded")
    if got not in [sorted(one) for one in may]:
        run.faults.append(f"terminal records {got}, wanted one of {[sorted(one) for one in may]}")
