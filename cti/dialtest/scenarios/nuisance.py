"""`nuisance`: a listed caller hears the notice and gets through by 1, or by staying on the line; 110 serves him at
once; off the list he rings as anyone.

Knows: the API of the list, by which he is put on it and taken off. Embedded stacks only: no other one's list is ours to
change.
"""

from __future__ import annotations

import asyncio
import json
import random
import urllib.request
from typing import Any

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import LEDGER_S, whose
from cti.dialtest.stack import Phone, Stage
from cti.web.auth import Tokens, Who

SEATS = ("1001", "1002", "8101", "8102")
STORIES = ("key", "stayed", "110", "left", "removed")
SILENCE_BAR_MS = 700.0
"""a spoken notice pauses up to 0.43 s between its sentences; a place without an exit is silent for seconds"""
EVIDENCE = "530100-1795484553.20"
NOTICE_S = 40.0
"""the spoken notice and the music after it, with room"""
LAID_S = 0.5
"""a change is in AstDB within some ms"""


async def one(stage: Stage, number: int, rng: random.Random, caller: Phone) -> Run:
    """One listed caller's call."""
    run = Run(number)
    if stage.embedded is None:
        run.faults.append("this stack's list is not ours to change")
        return run
    story = STORIES[number % len(STORIES)]
    cli = f"135{number % 100:02d}{rng.randrange(10**6):06d}"
    for name in SEATS:
        stage.seats[name].on_invite = Answer(rng.uniform(0.1, 0.5))
    entry = await _put_on(stage, cli)
    if story == "removed":
        await _ask(stage, f"/{entry}/remove", "b", {})
        await asyncio.sleep(LAID_S)
    call = await caller.dial("110" if story == "110" else "12345", caller_id=cli)
    try:
        await _play(stage, run, rng, call, cli, story)
    except TimeoutError as why:
        run.faults.append(f"timed out waiting for somebody {why}".strip())
    finally:
        run.heard = str(call.heard())
        if call.t_ended is not None:
            run.faults.append("the caller was dropped")
        call.hangup()
        if story != "removed":
            await _ask(stage, f"/{entry}/remove", "b", {})
    await _judge(stage, run, cli, story)
    return run


async def _play(stage: Stage, run: Run, rng: random.Random, call: Call, cli: str, story: str) -> None:
    seats = [stage.seats[name] for name in SEATS]
    await call.wait_answered(3)
    if story in ("key", "stayed", "left"):
        await asyncio.sleep(rng.uniform(0.8, 2.5))
        if await whose(seats, cli, 0.05) is not None:
            run.faults.append("a seat rang before he had heard the notice")
        if story == "left":
            return
        if story == "key":
            await call.dtmf("1")
    seat = await whose(seats, cli, NOTICE_S if story == "stayed" else 5)
    if seat is None or seat.t_invite is None or not await seat.wait_answered(5):
        run.faults.append("no seat answered him")
        return
    run.wait_ms = (seat.t_invite - (call.t_invite or 0)) * 1000
    await call.wait_heard(seat.phone.name, 5)
    await seat.wait_heard(call.phone.name, 5)
    names = {"music", seat.phone.name}  # speech counts as music: something is in his ear
    run.swap_gap_ms = call.heard().longest_without(names, (call.t_answered or 0) + 0.3)
    if run.swap_gap_ms > SILENCE_BAR_MS:
        run.faults.append(f"the caller sat in silence for {run.swap_gap_ms:.0f} ms")


async def _judge(stage: Stage, run: Run, cli: str, story: str) -> None:
    arrived = [f for f in await stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == cli]
    run.ref = arrived[0].ref if arrived else ""
    ended = await stage.wait_fact("CallEnded", run.ref, LEDGER_S) if run.ref else None
    got = (ended.data["outcome"], ended.data.get("notice", "")) if ended else ("", "")
    wanted = {"key": ("answered", "key"), "stayed": ("answered", "stayed"), "left": ("unasked", "told")}
    if got != wanted.get(story, ("answered", "")):
        run.faults.append(f"{story}: on record as {got}")


async def _put_on(stage: Stage, cli: str) -> str:
    made = await _ask(stage, "", "a", {"number": cli, "reason": "dialtest", "evidence": [EVIDENCE], "days": 1})
    await _ask(stage, f"/{made['entry']}/approve", "b", {})
    await asyncio.sleep(LAID_S)
    return str(made["entry"])


async def _ask(stage: Stage, path: str, name: str, body: dict[str, Any]) -> Any:
    token = Tokens(stage.instance.http_secret).make(Who("supervisor", name=f"dialtest {name}"))
    request = urllib.request.Request(
        f"http://127.0.0.1:{stage.instance.ports.http}/api/v1/nuisance{path}", data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip

    def send() -> Any:
        with urllib.request.urlopen(request, timeout=5) as told:
            return json.load(told)

    return await asyncio.to_thread(send)
