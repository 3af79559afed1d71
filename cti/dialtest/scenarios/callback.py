"""`callback`: a caller of 12345 waits, presses 1, is told and hung up; a seat has the task at his turn, calls him, they
hear each other; on record as called back, never as answered.

Knows: the trunk's address, where his telephone is. Embedded stacks only: no other one's trunk leads to us.
"""

from __future__ import annotations

import asyncio
import random

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import LEDGER_S
from cti.dialtest.stack import Stage
from cti.dialtest.tones import TONES

SEATS = ("1001",)
TALK_S = 2.5
"""longer than what counts as dropped ([lost] in lobby.conf)"""
SILENCE_BAR_MS = 250.0


async def one(stage: Stage, number: int, rng: random.Random, caller: Phone) -> Run:
    """One caller from ring to the end of his callback."""
    run = Run(number)
    if stage.embedded is None:
        run.faults.append("this stack's trunk does not lead to us")
        return run
    cli = f"136{number % 100:02d}{rng.randrange(10**6):06d}"
    trunk = stage.embedded.directory.trunks[0]
    home = Phone("home", TONES[-1], stage.server, cli, None, local_host=trunk.host, local_port=trunk.port)
    await home.start()
    try:
        await _play(stage, run, rng, caller, home, cli)
    except TimeoutError as why:
        run.faults.append(f"timed out waiting for somebody {why}".strip())
    finally:
        for phone in (caller, home, *stage.seats.values()):
            for call in phone.calls:
                call.hangup()
        await home.stop()
    await _judge(stage, run, cli)
    return run


async def _play(stage: Stage, run: Run, rng: random.Random, caller: Phone, home: Phone, cli: str) -> None:
    seat = stage.seats[SEATS[0]]
    seat.on_invite, home.on_invite = Ring(), Answer(rng.uniform(0.3, 1.5))
    call = await caller.dial("12345", caller_id=cli)
    await call.wait_heard("music", 5)
    await asyncio.sleep(rng.uniform(0.5, 2.0))
    await call.dtmf("1")
    seat.on_invite = Answer(rng.uniform(0.1, 0.5))
    await call.wait_ended(15)
    run.heard = str(call.heard())
    theirs = await home.wait_incoming(15)
    await theirs.wait_heard(seat.name, 8)
    took: Call = next(c for c in reversed(seat.calls) if c.t_answered)
    await took.wait_heard("home", 3)
    await asyncio.sleep(TALK_S)
    run.swap_gap_ms = took.heard().longest_without({"music", "home"}, (took.t_answered or 0) + 0.1)
    if run.swap_gap_ms > SILENCE_BAR_MS:
        run.faults.append(f"the seat sat in silence for {run.swap_gap_ms:.0f} ms")
    took.hangup()
    await theirs.wait_ended(8)


async def _judge(stage: Stage, run: Run, cli: str) -> None:
    arrived = [f for f in await stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
    if not arrived:
        run.faults.append("no CallArrived on record")
        return
    run.ref = arrived[0].ref
    ended = await stage.wait_fact("CallEnded", run.ref, LEDGER_S)
    done = await stage.wait_fact("CallbackEnded", run.ref, LEDGER_S)
    got = (ended.data["outcome"] if ended else "", done.data["result"] if done else "")
    if got != ("callback", "answered"):
        run.faults.append(f"on record as {got}")
