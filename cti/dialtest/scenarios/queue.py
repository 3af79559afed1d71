"""`queue`: a caller rings a hotline, waits in music, is answered by a person, hangs up; on record as answered."""

from __future__ import annotations

import asyncio
import random

from cti.dialtest.phone import Answer
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import LEDGER_S, TALK_S, whose
from cti.dialtest.stack import Phone, Stage

SEATS = ("1001", "1002", "1003", "1004")
SILENCE_BAR_MS = 200.0


async def one(stage: Stage, number: int, rng: random.Random, caller: Phone) -> Run:
    """One caller from ring to hang-up."""
    run = Run(number)
    cli = f"137{number % 100:02d}{rng.randrange(10**6):06d}"
    seats = [stage.seats[n] for n in SEATS]
    for phone in seats:
        phone.on_invite = Answer(rng.uniform(0.3, 1.0))
    call = await caller.dial("12345", caller_id=cli)
    try:
        seat = await whose(seats, cli, 5)
        if seat is None or seat.t_invite is None or not await seat.wait_answered(5):
            run.faults.append("no seat answered")
            return run
        if not await call.wait_answered(2) or call.t_answered is None:
            run.faults.append("the hotline did not take the call")
            return run
        run.wait_ms = (seat.t_invite - (call.t_invite or 0)) * 1000
        await call.wait_heard(seat.phone.name, 3)
        await seat.wait_heard(caller.name, 3)
        await asyncio.sleep(TALK_S)
        hearing = call.heard()
        run.swap_gap_ms = hearing.longest_without({"music", seat.phone.name}, call.t_answered + 0.3)
        if run.swap_gap_ms > SILENCE_BAR_MS:
            run.faults.append(f"the caller sat in silence for {run.swap_gap_ms:.0f} ms")
    except TimeoutError as why:
        run.faults.append(f"timed out waiting for somebody to be heard {why}".strip())
    finally:
        run.heard = str(call.heard())
        if call.t_ended is not None:
            run.faults.append("the caller was dropped")
        call.hangup()
    arrived = [f for f in await stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
    if len(arrived) != 1:
        run.faults.append(f"{len(arrived)} CallArrived on record, 1 wanted")
        return run
    run.ref = arrived[0].ref
    ended = await stage.wait_fact("CallEnded", run.ref, LEDGER_S)
    if ended is None or ended.data["outcome"] != "answered":
        run.faults.append(f"on record as {ended.data['outcome'] if ended else 'never ended'}")
    return run
