"""`races`: two acts in the same instant, one after another through the six pairs; exactly one outcome each.

The second act falls within ±25 ms of the first, drawn by the seed, so that either may win. Whichever does, the table
(docs/transfer-machine.md) names the outcome: one started transfer has one terminal record, everything else that was
asked is refused with a code, and the caller hears who has him.

Knows: the pairs and what each may come to. Must not know: how the dialplan decides (its lock, door.conf).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from cti.dialtest.call import Call
from cti.dialtest.phone import Phone
from cti.dialtest.report import Run
from cti.dialtest.scenarios.scene import TYPING_S, Lost, Outcomes, Scene, no_silence, on_record, open_scene, set_seats
from cti.dialtest.stack import Stage
from cti.web.auth import Tokens, Who

SPREAD_S = 0.025
GAP_S, DIGIT_S = 0.06, 0.1


@dataclass(frozen=True, slots=True)
class End:
    """How a race came out: who has the caller (None: he left, or was said goodbye), and which records may be there."""

    having: Call | None
    may: tuple[Outcomes, ...]
    caller_left: bool = False
    cut_short: bool = False
    """the seat hung up before its code was whole: Asterisk gives what it had to the caller, as digits"""


Race = Callable[[Scene], Awaitable[End]]


async def ask(s: Scene, *, supervisor: bool = False, to: str = "110") -> int:
    """The key over HTTP; the status of the answer."""
    instance = s.stage.instance
    who = Who("supervisor") if supervisor else Who("agent", s.first.phone.user)
    headers = {"Authorization": f"Bearer {Tokens(instance.http_secret).make(who)}"}
    body: dict[str, object] = {"to": to}
    if supervisor:
        arrived = [f for f in await s.stage.facts() if f.kind == "CallArrived" and f.data.get("caller") == s.cli]
        body["call"] = arrived[-1].ref
    url = f"http://127.0.0.1:{instance.ports.http}/api/v1/transfers"
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.post(url, json=body, headers=headers) as got,
    ):
        return got.status


async def typed_beside(s: Scene, code: str, act: Callable[[], None], at: Call | None = None) -> float:
    """Type a code at a seat (the first); ``act`` happens within ±25 ms of its last digit's end. When typing ended."""
    began = time.monotonic()
    typing_s = len(code) * DIGIT_S + (len(code) - 1) * GAP_S

    async def later() -> None:
        await asyncio.sleep(typing_s + s.rng.uniform(-SPREAD_S, SPREAD_S))
        act()

    async def typing() -> None:
        with contextlib.suppress(TimeoutError):  # the act may end the very call that is typed into
            await (at or s.first).dtmf(code, duration_ms=int(DIGIT_S * 1000), gap_ms=int(GAP_S * 1000))

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        group.create_task(typing())
    s.typed.append((began, began + typing_s + TYPING_S))
    return began + typing_s


async def double_key(s: Scene) -> End:
    """The key typed and clicked at once: one transfer; the other is the second press, or refused."""
    statuses: list[int] = []
    began = time.monotonic()

    async def click() -> None:
        await asyncio.sleep(4 * DIGIT_S + 3 * GAP_S + s.rng.uniform(-SPREAD_S, SPREAD_S))
        statuses.append(await ask(s))

    async with asyncio.TaskGroup() as group:
        group.create_task(click())
        typing = group.create_task(s.first.dtmf("*110", duration_ms=int(DIGIT_S * 1000), gap_ms=int(GAP_S * 1000)))
    s.typed.append((began, typing.result() + TYPING_S))
    target = await s.rings()
    await asyncio.sleep(0.2)
    target.answer()
    await s.heard(target.phone)
    return End(target, ([("answered", "")], [("answered", ""), ("refused", "transfer-running")]))


async def key_caller_leaves(s: Scene) -> End:
    """The key and the caller's own hang-up."""
    await typed_beside(s, "*110", s.caller.hangup)
    await asyncio.sleep(0.5)
    return End(None, ([], [("abandoned", "caller-left")], [("refused", "caller-gone")]), caller_left=True)


async def key_seat_leaves(s: Scene) -> End:
    """The key and the seat's hang-up: either the transfer began and the caller waits for it, or the talk was over."""
    await asyncio.sleep(2.0)  # sooner, a seat that hangs up has dropped him, not served him
    await typed_beside(s, "*110", s.first.hangup)
    try:
        target = await s.rings(1.0)
    except Lost:
        return End(None, ([], [("refused", "caller-gone")], [("refused", "not-your-call")]), caller_left=True,
                   cut_short=True)  # fmt: skip
    await asyncio.sleep(0.2)
    target.answer()
    await s.heard(target.phone)
    return End(target, ([("answered", "")],))


async def answer_cancel(s: Scene) -> End:
    """The target picks up as the seat takes the attempt back."""
    await s.press()
    target = await s.rings()
    began = await typed_beside(s, "*9", target.answer)
    await asyncio.sleep(0.5)
    if s.first.t_ended is None:
        await s.heard(s.first.phone, began)
        await target.wait_ended(3)
        return End(s.first, ([("cancelled", "")],))
    await s.heard(target.phone)
    return End(target, ([("answered", "")],))


async def answer_release(s: Scene) -> End:
    """The target picks up as the seat presses the key again to leave: he is with the target either way."""
    await s.press()
    target = await s.rings()
    await typed_beside(s, "*110", target.answer)
    await s.heard(target.phone)
    await s.first.wait_ended(3)
    return End(target, ([("answered", "")], [("answered", ""), ("refused", "not-your-call")]))


async def two_agents(s: Scene) -> End:
    """The seat and its supervisor ask at the same instant: one transfer."""
    statuses = await asyncio.gather(ask(s), ask(s, supervisor=True))
    if sorted(statuses) != [201, 409]:
        raise Lost(f"two asked at once and got {sorted(statuses)}, wanted 201 and 409")
    target = await s.rings()
    target.answer()
    await s.heard(target.phone)
    return End(target, ([("answered", "")],))


RACES: dict[str, Race] = {
    "double-key": double_key, "key-caller-leaves": key_caller_leaves, "key-seat-leaves": key_seat_leaves,
    "answer-cancel": answer_cancel, "answer-release": answer_release, "two-agents": two_agents,
}  # fmt: skip


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """One race; the pairs take turns."""
    name = list(RACES)[number % len(RACES)]
    run = Run(number, story=name)
    cli = f"136{number % 1000:03d}{rng.randrange(10**5):05d}"
    set_seats(stage)
    call = await phone.dial("12345", caller_id=cli)
    scene: Scene | None = None
    end = End(None, ())
    try:
        scene = await open_scene(stage, rng, phone, cli, call)
        end = await RACES[name](scene)
        if end.having is not None:
            await asyncio.sleep(0.3)
            if not call.heard(time.monotonic() - 0.2).ever(end.having.phone.name):
                run.faults.append(f"the caller does not hear {end.having.phone.name}, who has him")
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    finally:
        if call.t_ended is not None and not end.caller_left:
            run.faults.append("the caller was dropped")
        run.heard = str(call.heard())
        if scene is not None:
            no_silence(run, call, scene, scene.typed[-1][0] if end.cut_short else time.monotonic(), end.cut_short)
        call.hangup()
    facts = await on_record(stage, run, cli)
    got = sorted((str(f.data["outcome"]), str(f.data["why"])) for f in facts if f.kind == "TransferEnded")
    if got not in [sorted(may) for may in end.may]:
        run.faults.append(f"terminal records {got}, wanted one of {[sorted(may) for may in end.may]}")
    started = sum(f.kind == "TransferStarted" for f in facts)
    if started != sum(outcome != "refused" for outcome, _ in got):
        run.faults.append(f"{started} transfers began, terminal records {got}")
    return run
