"""Plays a scenario n times on a stage, one caller at a time or a few beside each other.

Knows: which scenarios there are and which seats each needs. Must not know: what is proven.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from cti.dialtest.call import Call
from cti.dialtest.chaos import Chaos
from cti.dialtest.report import Report, Run, gaps, silent
from cti.dialtest.scenarios import (
    callback,
    conference,
    everykey,
    nuisance,
    onekey,
    plan,
    queue,
    races,
    room,
    roomraces,
    seat,
    seats,
)
from cti.dialtest.scenarios.scene import SEATS
from cti.dialtest.stack import AsteriskSilent, Phone, Stage, StreamAway, Target, stage
from cti.ladder import ladder
from cti.stack.instance import Instance

One = Callable[[Stage, int, random.Random, Phone], Awaitable[Run]]


class Scenario(NamedTuple):
    """One row of the table below."""

    says: str
    """one line for `--list`, Chinese / English"""
    seats: tuple[str, ...]
    """registered before the first run"""
    one: One
    """one caller from ring to hang-up"""
    most: int = 20
    """callers at once, so that it is not the waiting for a free seat that is measured"""
    site: Callable[[Path, Path], Path] | None = None
    """makes its own configuration of another (a stack of our own only)"""


def _onekey(says: str, way: onekey.Way) -> Scenario:
    async def one(on: Stage, number: int, rng: random.Random, caller: Phone) -> Run:
        return await onekey.one(on, way, number, rng, caller)

    # A seat must be free for every key.
    return Scenario(says, (*way.firsts, *way.targets), one, max(1, min(len(way.firsts), len(way.targets)) - 1))


SCENARIOS: dict[str, Scenario] = {
    "onekey-12345-110": _onekey(
        "12345 座席一键转 110 专席，先接通后放开 / a 12345 seat's one key brings in 110: make before break",
        onekey.WAYS["onekey-12345-110"]),
    "onekey-110-12345": _onekey(
        "110 座席一键转 12345 专席，先接通后放开 / a 110 seat's one key brings in 12345: make before break",
        onekey.WAYS["onekey-110-12345"]),
    "onekey": Scenario(
        "每种按键、每种失败，按种子抽取 / every kind of key and every failure, drawn by the seed",
        SEATS, everykey.one, 2),
    "races": Scenario(
        "同一瞬间两个动作，结果只有一个（仅内嵌的一套） / two acts in one instant, one outcome (embedded only)",
        SEATS, races.one, 2),
    "conference": Scenario(
        "三方通话：加入、私下商议、决定、离开，两个方向 / three-party call: join, confer, decide, leave",
        room.SEATS, conference.one, 2),
    "conference-races": Scenario(
        "三方通话中同一瞬间两个动作，结果只有一个 / two acts in one instant around a three-party call, one outcome",
        room.SEATS, roomraces.one, 2),
    "seats": Scenario(
        "登录、置忙、话后整理、漏接、专席、杀服务与 Asterisk，依次 / a seat's status, story by story",
        seat.SEATS, seats.one, 1, seat.prepare),
    "callback": Scenario(
        "排队时按 1，轮到时座席回电（仅内嵌的一套） / presses 1 in line, is called back at his turn (embedded)",
        callback.SEATS, callback.one, 1),
    "plan": Scenario(
        "应急方案：前置语音、*119、值班电话、演练、杀服务，停后恢复原状（自起一套） / an emergency plan, start to stop",
        plan.SEATS, plan.one, 1, plan.prepare),
    "nuisance": Scenario(
        "名单内的来电：按 1、不挂机、110、移出后（仅内嵌） / a listed caller, by every way to a person (embedded)",
        nuisance.SEATS, nuisance.one, 1),
    "queue": Scenario(
        "拨 12345，听音乐排队，座席接听 / a caller of 12345 waits in music and is answered", queue.SEATS, queue.one),
}  # fmt: skip


async def play(where: Instance | Target, scenario: str, n: int, seed: int, beside: int = 1,
               tell: Callable[[Run], None] | None = None, *, ladders: bool = False, chaos: bool = False) -> Report:
    """Run a scenario ``n`` times, ``beside`` callers at once; ``ladders``: draw every run, not failed ones only;
    ``chaos``: meanwhile kill and stop what is not Asterisk (an `Instance` of our own only).

    Raises KeyError for an unknown name, and as `stage` does.
    """
    chosen = SCENARIOS[scenario]
    runs: list[Run] = []
    calls_of: list[tuple[Run, list[Call]]] = []
    numbers = iter(range(n))
    beside = max(1, min(beside, n, chosen.most))
    monkey = Chaos(where, seed) if chaos and isinstance(where, Instance) else None
    async with stage(where, seats=chosen.seats, callers=beside) as on:
        on.harmed = monkey is not None

        async def worker(caller: Phone) -> None:
            for number in numbers:
                seen, t0 = len(caller.calls), time.monotonic()
                try:
                    run = await chosen.one(on, number, random.Random(seed * 1_000_003 + number), caller)
                except StreamAway as why:  # its call is over; what it did is not known to be on record
                    run = Run(number, faults=[f"the ledger does not answer: {why}"])
                calls_of.append((run, caller.calls[seen:]))
                if monkey is not None:
                    run.blows = [f"{b.t0 - t0:9.3f}  {b}" for b in monkey.during(t0, time.monotonic())]
                if ladders or run.faults:
                    await _draw(on, run, caller, seen)
                runs.append(run)
                if tell is not None:
                    tell(run)

        async with monkey.on() if monkey is not None else contextlib.nullcontext(), asyncio.TaskGroup() as group:
            for caller in on.callers:
                group.create_task(worker(caller))
        for run, calls in calls_of:  # now that nobody's voice is measured any more: it takes some ms a call
            run.silent_ms = max((silent(call.heard()) for call in calls if call.t_answered), default=0.0)
        try:
            left = await on.leftovers()
        except AsteriskSilent as why:  # it could be asked before: whatever this is, it is not "none"
            left = [f"Asterisk 不再应答 / does not answer any more: {why}"]
    blows = dict(Counter(blow.what for blow in monkey.blows)) if monkey is not None else {}
    return Report(scenario, seed, sorted(runs, key=lambda run: run.number), left, blows)


async def _draw(on: Stage, run: Run, caller: Phone, seen: int) -> None:
    """What the caller of this run missed, and his call as the ledger tells it."""
    calls = caller.calls[seen:]
    for call in calls:
        run.gaps += gaps(call.heard(), call.t_invite)
    try:
        if not run.ref and calls:  # a run that failed early did not look for it
            cli = calls[-1].caller.user
            arrived = [f for f in await on.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
            run.ref = arrived[-1].ref if arrived else ""
        if run.ref:
            await on.wait_fact("CallEnded", run.ref, 3.0)
        run.ladder = ladder(await on.facts(run.ref) if run.ref else [])
    except StreamAway as why:
        run.ladder = f"（账本没有应答 / the ledger does not answer: {why}）"
