"""`onekey-12345-110`, `onekey-110-12345`: one key, make before break. Proven by who hears whom, packet by packet.

The story of one run: a caller rings a hotline and is answered; the seat presses its key; a dedicated seat of the other
platform rings *while caller and seat still hear each other*; it answers; the caller is with it, the first seat is
let go.

Knows: what must be heard when. Must not know: how Asterisk does it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from cti.dialtest.phone import Answer
from cti.dialtest.report import GAP_BAR_MS, INVITE_BAR_MS, Run
from cti.dialtest.stack import Call, Phone, Stage

FIRST_ANSWER_S = 0.2
TALK_S = 0.4
LEDGER_S = 12.0
DIGIT_MS = (100, 120, 160)
"""Asterisk stretches digits under 80 ms and would not end one that jitter made shorter in time (ASTERISK.md §3)"""


@dataclass(frozen=True, slots=True)
class Way:
    """A direction: which hotline is rung, which key is pressed, whom it reaches."""

    hotline: str
    key: str
    to: str
    firsts: tuple[str, ...]
    targets: tuple[str, ...]


WAYS = {
    "onekey-12345-110": Way("12345", "*110", "110", ("1001", "1002", "1003", "1004"), ("8001", "8002", "8003")),
    "onekey-110-12345": Way("110", "*12345", "12345", ("8101", "8102"), ("1901", "1902")),
}


async def whose(phones: list[Phone], caller: str, seconds: float) -> Call | None:
    """The newest call at any of these phones that shows this caller's number."""
    for _ in range(int(seconds * 100)):
        for phone in phones:
            for call in reversed(phone.calls):
                if call.direction == "in" and call.caller.user == caller and call.t_ended is None:
                    return call
        await asyncio.sleep(0.01)
    return None


async def one(stage: Stage, way: Way, number: int, rng: random.Random, caller: Phone) -> Run:
    """One caller from ring to hang-up."""
    run = Run(number)
    cli = f"139{number % 100:02d}{rng.randrange(10**6):06d}"
    firsts = [stage.seats[n] for n in way.firsts]
    targets = [stage.seats[n] for n in way.targets]
    answer_after = rng.uniform(0.1, 0.8)
    for phone in firsts:
        phone.on_invite = Answer(FIRST_ANSWER_S)
    for phone in targets:
        phone.on_invite = Answer(answer_after)
    call = await caller.dial(way.hotline, caller_id=cli)
    try:
        first = await whose(firsts, cli, 5)
        if first is None or not await first.wait_answered(5):
            run.faults.append("no seat answered")
            return run
        await call.wait_heard(first.phone.name, 3)
        await first.wait_heard(caller.name, 3)
        await asyncio.sleep(TALK_S)
        pressed = await first.dtmf(way.key, duration_ms=rng.choice(DIGIT_MS), gap_ms=60)
        target = await whose(targets, cli, 5)
        if target is None or target.t_invite is None:
            run.faults.append("the key rang no target")
            return run
        run.key_to_invite_ms = (target.t_invite - pressed) * 1000
        if not await target.wait_answered(5) or target.t_answered is None:
            run.faults.append("the target did not answer")
            return run
        await call.wait_heard(target.phone.name, 3, after=target.t_answered)
        await target.wait_heard(caller.name, 3, after=target.t_answered)
        await first.wait_ended(3)
        await asyncio.sleep(TALK_S)
        _judge(run, call, first, target, pressed)
    except TimeoutError as why:
        run.faults.append(f"timed out waiting for somebody to be heard {why}".strip())
    finally:
        if call.t_ended is not None:
            run.faults.append("the caller was dropped")
        run.heard = str(call.heard())
        call.hangup()
    await _check_ledger(stage, run, cli)
    return run


def _judge(run: Run, call: Call, first: Call, target: Call, pressed: float) -> None:
    assert target.t_answered is not None and target.t_invite is not None
    names = {first.phone.name, target.phone.name}
    hearing = call.heard()
    joined = hearing.first(target.phone.name)
    if joined is None:
        run.faults.append("the caller never heard the target")
        return
    # from after the last digit: typing itself mutes the seat some 180 ms a digit (ASTERISK.md §3)
    swap = call.gap(names, pressed + 0.25, joined + TALK_S / 2)
    run.swap_gap_ms, run.own_late_ms = swap.ms, swap.own_ms
    if swap.net_ms > GAP_BAR_MS:
        run.faults.append(f"the caller heard nobody for {run.swap_gap_ms:.0f} ms at the swap")
    if run.key_to_invite_ms is not None and run.key_to_invite_ms > INVITE_BAR_MS:
        run.faults.append(f"key to INVITE took {run.key_to_invite_ms:.0f} ms")
    if call.gap(names, pressed + 0.25, target.t_answered).net_ms > GAP_BAR_MS:
        run.faults.append("the caller lost his seat before the target answered")
    if call.dtmf_heard:
        run.faults.append(f"the key leaked to the caller: {len(call.dtmf_heard)} digits")


async def _check_ledger(stage: Stage, run: Run, cli: str) -> None:
    arrived = [f for f in await stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
    if len(arrived) != 1:
        run.faults.append(f"{len(arrived)} CallArrived on record, 1 wanted")
        return
    run.ref = arrived[0].ref
    await stage.wait_fact("CallEnded", run.ref, LEDGER_S)
    facts = await stage.facts(run.ref)
    for kind, wanted in (("TransferEnded", 1), ("CallEnded", 1), ("Anomaly", 0)):
        found = [f for f in facts if f.kind == kind]
        if len(found) != wanted:
            run.faults.append(f"{len(found)} {kind} on record, {wanted} wanted: {[dict(f.data) for f in found]}")
    for fact in facts:
        if fact.kind == "TransferEnded" and fact.data.get("outcome") != "answered":
            run.faults.append(f"the transfer is on record as {fact.data.get('outcome')} ({fact.data.get('why')})")
