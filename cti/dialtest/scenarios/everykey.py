"""`onekey`: every kind of key and every way the other side fails; which story comes next is drawn by the seed.

What may be heard is the same in all of them: from his first answer to his own hang-up the caller always hears somebody
or music, and exactly the expected terminal records are in the ledger. With `--chaos` the service, its links and Redis
are killed and stopped meanwhile (chaos.py); nothing here changes for it, for nothing may change for the caller.

Knows: stories and what each must come to. Must not know: what is killed when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from cti.dialtest.phone import Phone
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.scene import (
    TYPING_S,
    Lost,
    Outcomes,
    Scene,
    no_silence,
    on_record,
    open_scene,
    set_seats,
)
from cti.dialtest.stack import Stage

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
    again = await s.back(gone)
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
    again = await s.back(gone)
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


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """One caller, one story, drawn by the seed."""
    name = rng.choice(sorted(STORIES))
    run = Run(number, story=name)
    cli = f"137{number % 1000:03d}{rng.randrange(10**5):05d}"
    set_seats(stage)
    call = await phone.dial("12345", caller_id=cli)
    expected: Outcomes = []
    scene: Scene | None = None
    try:
        scene = await open_scene(stage, rng, phone, cli, call)
        expected = await STORIES[name](scene)
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    finally:
        if call.t_ended is not None and name != "caller-leaves":
            run.faults.append("the caller was dropped")
        run.heard = str(call.heard())
        if scene is not None:
            no_silence(run, call, scene, time.monotonic())
        call.hangup()
    facts = await on_record(stage, run, cli)
    got = sorted((str(f.data["outcome"]), str(f.data["why"])) for f in facts if f.kind == "TransferEnded")
    if len(got) != len(expected) or not all(
        o == p and w in ("*", v) for (o, w), (p, v) in zip(sorted(expected), got, strict=True)
    ):
        run.faults.append(f"terminal records {got}, wanted {sorted(expected)}")
    return run
