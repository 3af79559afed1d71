"""One caller's story while it is played: the parts every scenario with stories shares.

Knows: how a scene is opened (a caller with a seat), how it is judged (never nothing in his ear, the record). Must not
know: which stories there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
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

FIRSTS = ("1001", "1002", "1003", "1004")
TARGETS = ("8001", "8002", "8003")
SEATS = (*FIRSTS, *TARGETS)

Outcomes = list[tuple[str, str]]
"""(outcome, why) of the terminal records; ``*``: whatever the reason"""


class Lost(Exception):
    """The story could not go on; the text says where."""


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

    async def back(self, since: float) -> Call:
        """The seat that has the caller again."""
        for _ in range(2000):
            for phone in self.firsts:
                for call in phone.calls:
                    if call.caller.user == self.cli and (call.t_answered or 0) > since and call.t_ended is None:
                        return call
            await asyncio.sleep(0.01)
        raise Lost("no seat had the caller again")


async def open_scene(stage: Stage, rng: random.Random, phone: Phone, cli: str, call: Call) -> Scene:
    """The caller and the seat that answered him, hearing each other. Raises `Lost`, TimeoutError."""
    firsts, targets = [stage.seats[n] for n in FIRSTS], [stage.seats[n] for n in TARGETS]
    first = await whose(firsts, cli, 8)
    if first is None or not await first.wait_answered(5):
        raise Lost("no seat answered")
    await call.wait_heard(first.phone.name, 5)
    await first.wait_heard(phone.name, 5)
    await asyncio.sleep(0.25)
    return Scene(stage, rng, cli, call, first, targets, firsts)


def set_seats(stage: Stage) -> None:
    """First seats pick up by themselves, targets ring until a story decides."""
    for number in FIRSTS:
        stage.seats[number].on_invite = Answer(FIRST_ANSWER_S)
    for number in TARGETS:
        stage.seats[number].on_invite = Ring()


def no_silence(run: Run, call: Call, scene: Scene, end: float, leak: bool = False) -> None:
    """Somebody or music, always, from the first answer on; typing is taken out. ``leak``: a code cut short may
    reach him, as digits."""
    names = {p.name for p in (*scene.firsts, *scene.targets)} | {"music"} | ({"dtmf"} if leak else set())
    start = call.heard().first(scene.first.phone.name)
    if start is None:
        return
    stop = min(end, call.t_ended or end) - 0.05
    edges = [start]
    for began, ended in sorted(scene.typed):  # two may have typed at once
        edges += [began, ended] if began > edges[-1] or len(edges) == 1 else []
        edges[-1] = max(edges[-1], ended) if len(edges) > 1 else edges[-1]
    edges.append(stop)
    gaps = [call.gap(names, t0, t1) for t0, t1 in zip(edges[::2], edges[1::2], strict=True)]
    worst = max(gaps, key=lambda gap: gap.net_ms)
    run.swap_gap_ms, run.own_late_ms = worst.ms, worst.own_ms
    if worst.net_ms > SILENCE_BAR_MS:
        run.faults.append(f"the caller heard nothing for {worst.ms:.0f} ms ({worst.own_ms:.0f} our own)")
    if call.dtmf_heard and not leak:
        run.faults.append(f"the key leaked to the caller: {len(call.dtmf_heard)} digits")


async def on_record(stage: Stage, run: Run, cli: str) -> Sequence[Fact]:
    """The call's facts once it is over: one CallArrived and one CallEnded, no anomaly, each key once, or a fault."""
    facts: Sequence[Fact] = ()
    deadline = time.monotonic() + LEDGER_S
    while not any(fact.kind == "CallEnded" for fact in facts):
        if time.monotonic() > deadline:
            run.faults.append(f"no CallEnded on record within {LEDGER_S:.0f} s")
            return facts
        await asyncio.sleep(0.2)
        with contextlib.suppress(StreamAway):  # Redis is one of those that are killed
            arrived = [f for f in await stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
            run.ref = arrived[0].ref if arrived else ""
            facts = await stage.facts(run.ref) if run.ref else ()
    # Asterisk is never struck, so it told how each caller went: nobody's end may have to be concluded (`CallerGone`)
    for kind, wanted in (("CallArrived", 1), ("CallEnded", 1), ("Anomaly", 0), ("CallerGone", 0)):
        found = [dict(f.data) for f in facts if f.kind == kind]
        if len(found) != wanted:
            run.faults.append(f"{len(found)} {kind} on record, {wanted} wanted: {found}")
    keys = [f.key for f in facts]
    if len(set(keys)) != len(keys):
        run.faults.append(f"doubled on record: {sorted({k for k in keys if keys.count(k) > 1})}")
    return facts
