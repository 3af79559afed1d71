"""`onekey`: every kind of key and every way the other side fails; which story comes next is drawn by the seed.

What may be heard is the same in all of them: from his first answer to his own hang-up the caller always hears somebody
or music, and exactly the expected terminal records are in the ledger. With `--chaos` the service, its links and Redis
are killed and stopped meanwhile (chaos.py); nothing here changes for it, for nothing may change for the caller.

Knows: stories and what each must come to. Must not know: what is killed when.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import DIGIT_MS, FIRST_ANSWER_S, whose
from cti.dialtest.stack import Stage
from cti.ledger.stream import StreamAway

SILENCE_BAR_MS = 200.0
"""nothing at all in the caller's ear; typing of the seat (some 180 ms a digit) is taken out"""
TYPING_S = 0.3
LEDGER_S = 60.0
"""after a kill the service is back within seconds; the record may be read from Asterisk's file then"""


@dataclass(slots=True)
class Scene:
    """One caller's story while it is played."""

    stage: Stage
    rng: random.Random
    cli: str
    caller: Call
    first: Call
    targets: list[Phone]
    firsts: list[Phone]
    typed: list[tuple[float, float]] = field(default_factory=list)
    hotline: str = "12345"
    key: str = "*110"
    to: str = "110"

    async def press(self, code: str | None = None, call: Call | None = None) -> float:
        """Press a key at the seat; when the last digit ended."""
        seat, began = call or self.first, time.monotonic()
        ended = await seat.dtmf(code or self.key, duration_ms=self.rng.choice(DIGIT_MS), gap_ms=60)
        self.typed.append((began, ended + TYPING_S))
        return ended

    async def rings(self, seconds: float = 6.0) -> Call:
        """The target that rings for this caller."""
        target = await whose(self.targets, self.cli, seconds)
        if target is None:
            raise Lost("the key rang no target")
        return target

    async def heard(self, phone: Phone, after: float | None = None) -> None:
        """Wait until the caller hears this phone."""
        await self.caller.wait_heard(phone.name, 5, after=after)


class Lost(Exception):
    """The story could not go on; the text says where."""


Outcomes = list[tuple[str, str]]
Story = Callable[[Scene], Awaitable[Outcomes]]


async def answered(s: Scene) -> Outcomes:
    """Key, ring, answer: the caller is with the target, the first seat is let go."""
    await s.press()
    target = await s.rings()
    await asyncio.sleep(s.rng.uniform(0.0, 1.0))
    target.answer()
    await s.heard(target.phone)
    await s.first.wait_ended(3)
    await asyncio.sleep(s.rng.uniform(0.1, 1.0))
    return [("answered", "")]


async def released(s: Scene) -> Outcomes:
    """The key again: the seat leaves now, music, the answer takes the caller over."""
    await s.press()
    target = await s.rings()
    await s.press()
    await s.first.wait_ended(3)
    await asyncio.sleep(s.rng.uniform(0.0, 1.5))
    target.answer()
    await s.heard(target.phone)
    await asyncio.sleep(s.rng.uniform(0.1, 0.6))
    return [("answered", "")]


async def seat_leaves(s: Scene) -> Outcomes:
    """The seat hangs up while the target rings: the same as a release."""
    await s.press()
    target = await s.rings()
    await asyncio.sleep(s.rng.uniform(0.0, 0.5))
    s.first.hangup()
    await asyncio.sleep(s.rng.uniform(0.0, 1.0))
    target.answer()
    await s.heard(target.phone)
    await asyncio.sleep(s.rng.uniform(0.1, 0.6))
    return [("answered", "")]


async def cancelled(s: Scene) -> Outcomes:
    """Taken back while it rings: the talk goes on, then the key once more."""
    await s.press()
    target = await s.rings()
    await s.press("*9")
    await target.wait_ended(3)
    await s.heard(s.first.phone)
    return [("cancelled", "")]


async def caller_leaves(s: Scene) -> Outcomes:
    """The caller hangs up while the target rings, which stops at once."""
    await s.press()
    target = await s.rings()
    await asyncio.sleep(s.rng.uniform(0.0, 0.8))
    s.caller.hangup()
    await target.wait_ended(2)
    return [("abandoned", "caller-left")]


async def refused(s: Scene) -> Outcomes:
    """Every target says busy: only the seat is told, the talk goes on."""
    await s.press()
    seen: set[int] = set()
    for _ in range(600):
        for phone in s.targets:
            for call in phone.calls:
                if call.caller.user == s.cli and id(call) not in seen and call.t_ended is None:
                    seen.add(id(call))
                    call.reject(486)
        over = all(call.t_ended for phone in s.targets for call in phone.calls if id(call) in seen)
        if seen and over and s.first.heard(time.monotonic() - 0.5).ever("music"):
            break
        await asyncio.sleep(0.02)
    else:
        raise Lost("the seat was not told that nobody came")
    await s.heard(s.first.phone)
    return [("returned", "*")]


async def vanished(s: Scene) -> Outcomes:
    """The target answers and is gone within a second: the caller is back with his seat."""
    await s.press()
    target = await s.rings()
    target.answer()
    await s.heard(target.phone)
    await asyncio.sleep(s.rng.uniform(0.0, 0.7))
    gone = time.monotonic()
    target.hangup()
    again = await _back(s, gone)
    await s.heard(again.phone, after=again.t_answered)
    return [("returned", "vanished")]


async def seat_leaves_none_comes(s: Scene) -> Outcomes:
    """The seat is gone and the target declines: the caller goes back to a seat of his hotline."""
    await s.press()
    target = await s.rings()
    gone = time.monotonic()
    s.first.hangup()
    await s.caller.wait_heard("music", 3)
    for _ in range(8):
        target.reject(603)
        await asyncio.sleep(0.3)
        nxt = await whose(s.targets, s.cli, 1.5)
        if nxt is None or nxt is target:
            break
        target = nxt
    again = await _back(s, gone)
    await s.heard(again.phone, after=again.t_answered)
    return [("returned", "*")]


async def refer(s: Scene) -> Outcomes:
    """The phone's own transfer key: the seat is gone at once, music, then the target."""
    if await s.first.refer(s.to) != 202:
        raise Lost("the REFER was not accepted")
    target = await s.rings()
    await asyncio.sleep(s.rng.uniform(0.0, 0.6))
    target.answer()
    await s.heard(target.phone)
    await asyncio.sleep(s.rng.uniform(0.1, 0.6))
    return [("answered", "")]


async def bounced(s: Scene) -> Outcomes:
    """A to B and back to A: refused, B keeps the caller."""
    await s.press()
    target = await s.rings()
    target.answer()
    await s.heard(target.phone)
    await s.first.wait_ended(3)
    await asyncio.sleep(0.2)
    pressed = await s.press("*12345" if s.to == "110" else "*110", target)
    await target.wait_heard("music", 5, after=pressed)
    await s.heard(target.phone, after=pressed + TYPING_S)
    return [("answered", ""), ("refused", "bounce")]


STORIES: dict[str, Story] = {
    "answered": answered, "released": released, "seat-leaves": seat_leaves, "cancelled": cancelled,
    "caller-leaves": caller_leaves, "refused": refused, "vanished": vanished,
    "seat-leaves-none-comes": seat_leaves_none_comes, "refer": refer, "bounced": bounced,
}  # fmt: skip
FIRSTS = ("1001", "1002", "1003", "1004")
TARGETS = ("8001", "8002", "8003")
SEATS = (*FIRSTS, *TARGETS)


async def _back(s: Scene, since: float) -> Call:
    """The seat that has the caller again."""
    for _ in range(2000):
        for phone in s.firsts:
            for call in phone.calls:
                if call.caller.user == s.cli and (call.t_answered or 0) > since and call.t_ended is None:
                    return call
        await asyncio.sleep(0.01)
    raise Lost("no seat had the caller again")


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """One caller, one story, drawn by the seed."""
    name = rng.choice(sorted(STORIES))
    run = Run(number, story=name)
    cli = f"137{number % 1000:03d}{rng.randrange(10**5):05d}"
    firsts, targets = [stage.seats[n] for n in FIRSTS], [stage.seats[n] for n in TARGETS]
    for seat in firsts:
        seat.on_invite = Answer(FIRST_ANSWER_S)
    for seat in targets:
        seat.on_invite = Ring()
    call = await phone.dial("12345", caller_id=cli)
    expected: Outcomes = []
    scene: Scene | None = None
    try:
        first = await whose(firsts, cli, 8)
        if first is None or not await first.wait_answered(5):
            raise Lost("no seat answered")
        await call.wait_heard(first.phone.name, 5)
        await first.wait_heard(phone.name, 5)
        await asyncio.sleep(0.25)
        scene = Scene(stage, rng, cli, call, first, targets, firsts)
        expected = await STORIES[name](scene)
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    finally:
        left_himself = name == "caller-leaves"
        if call.t_ended is not None and not left_himself:
            run.faults.append("the caller was dropped")
        end = time.monotonic()
        run.heard = str(call.heard())
        if scene is not None:
            _no_silence(run, call, scene, end)
        call.hangup()
    await _records(stage, run, cli, expected)
    return run


def _no_silence(run: Run, call: Call, scene: Scene, end: float) -> None:
    """Somebody or music, always, from the first answer on; typing is taken out."""
    names = {p.name for p in (*scene.firsts, *scene.targets)} | {"music"}
    hearing = call.heard()
    start = hearing.first(scene.first.phone.name)
    if start is None:
        return
    stop = min(end, call.t_ended or end) - 0.05
    edges = [start]
    for began, ended in sorted(scene.typed):
        edges += [began, ended]
    edges.append(stop)
    worst = 0.0
    for t0, t1 in zip(edges[::2], edges[1::2], strict=True):
        if t1 > t0:
            worst = max(worst, hearing.longest_without(names, t0, t1))
    run.swap_gap_ms = worst
    run.own_late_ms = scene.first.phone.media.lateness(start, stop)
    if worst - run.own_late_ms > SILENCE_BAR_MS:
        run.faults.append(f"the caller heard nothing for {worst:.0f} ms")
    if call.dtmf_heard:
        run.faults.append(f"the key leaked to the caller: {len(call.dtmf_heard)} digits")


async def _records(stage: Stage, run: Run, cli: str, expected: Outcomes) -> None:
    """One CallEnded, exactly the expected TransferEnded, each key once."""
    facts: Sequence[Fact] = ()
    deadline = time.monotonic() + LEDGER_S
    while not any(fact.kind == "CallEnded" for fact in facts):
        if time.monotonic() > deadline:
            run.faults.append(f"no CallEnded on record within {LEDGER_S:.0f} s")
            return
        await asyncio.sleep(0.2)
        with contextlib.suppress(StreamAway):  # Redis is one of those that are killed
            arrived = [f for f in await stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
            run.ref = arrived[0].ref if arrived else ""
            facts = await stage.facts(run.ref) if run.ref else ()
    for kind, wanted in (("CallArrived", 1), ("CallEnded", 1), ("Anomaly", 0)):
        found = [dict(f.data) for f in facts if f.kind == kind]
        if len(found) != wanted:
            run.faults.append(f"{len(found)} {kind} on record, {wanted} wanted: {found}")
    keys = [f.key for f in facts]
    if len(set(keys)) != len(keys):
        run.faults.append(f"doubled on record: {sorted({k for k in keys if keys.count(k) > 1})}")
    got = sorted((str(f.data["outcome"]), str(f.data["why"])) for f in facts if f.kind == "TransferEnded")
    if len(got) != len(expected) or not all(
        o == p and w in ("*", v) for (o, w), (p, v) in zip(sorted(expected), got, strict=True)
    ):
        run.faults.append(f"terminal records {got}, wanted {sorted(expected)}")
