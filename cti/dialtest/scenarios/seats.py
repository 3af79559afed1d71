"""`seats`: a seat's status by phone and what it does to calls: log-in, pause, wrap-up, rings in vain, dedicated seats
(专席), the service killed and Asterisk restarted in between. Stories in turn, each on its own.

Knows: the stories. Must not know: how a status is kept. What app_queue itself says of
its members (`queue show`) is held against what the service says (`/status`); who rings is what the phones saw.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.report import Run
from cti.dialtest.scenarios.scene import Lost
from cti.dialtest.scenarios.seat import (
    AGENT,
    MISSES,
    PIN,
    RING_S,
    WRAP_S,
    Story,
    agree,
    calls_of,
    dial,
    fact,
    log_in,
    members,
    paused,
    ready_only,
    rung,
    until,
)
from cti.dialtest.stack import AsteriskSilent, Stage


# -- stories -----------------------------------------------------------------------------------------------------------
async def logged_in(on: Stage) -> None:
    """Wrong PIN: refused, not rung. Right PIN: rung. Out: not rung. The PIN stands nowhere."""
    since = len(await on.facts())
    await paused(on, "1003", "out")
    call = await log_in(on, "1003", "00000000")
    await fact(on, "SeatLoginRefused", since, seat="1003", code="wrong-pin", agent=AGENT)
    call.hangup()
    await paused(on, "1003", "out")
    call = await log_in(on, "1003", PIN)
    await paused(on, "1003", None)
    await call.wait_ended(8)
    if (await fact(on, "SeatLoggedIn", since, seat="1003")).data["agent"] != AGENT:
        raise Lost("logged in as somebody else")
    await ready_only(on)
    cli = "13912340001"
    caller = await on.callers[0].dial("12345", caller_id=cli)
    await rung(on, cli, ("1003",))
    caller.hangup()
    await dial(on, "1003", "*12")
    await paused(on, "1003", "out")
    await dial(on, "1003", "*14")
    await paused(on, "1003", "out")
    await agree(on)
    for path in on.instance.state.rglob("*"):
        if path.is_file() and PIN.encode() in path.read_bytes():
            raise Lost(f"the PIN stands in {path.name}")


async def paused_by_key(on: Stage) -> None:
    """A paused seat is not rung; the other is; ready again it is."""
    await ready_only(on, "1002")
    cli = "13912340002"
    caller = await on.callers[0].dial("12345", caller_id=cli)
    await rung(on, cli, ("1002",))
    caller.hangup()
    if calls_of(on, "1001", cli):
        raise Lost("the paused seat was rung")
    await ready_only(on, "1001")
    caller = await on.callers[0].dial("12345", caller_id=cli)
    await rung(on, cli, ("1001",))
    caller.hangup()
    await agree(on)


async def wrapped_up(on: Stage) -> None:
    """After a call: not rung for the hotline's seconds, then by itself; the key ends it at once."""
    for by_key in (False, True):
        since = len(await on.facts())
        await ready_only(on, "1001")
        on.seats["1001"].on_invite = Answer(0.1)
        cli = f"1391234003{int(by_key)}"
        caller = await on.callers[0].dial("12345", caller_id=cli)
        seat = await rung(on, cli, ("1001",))
        await seat.wait_answered(3)
        await caller.wait_heard("1001", 3)
        caller.hangup()
        await paused(on, "1001", "wrap-up", seconds=1)
        began = time.monotonic()
        if by_key:
            await dial(on, "1001", "*14")
        await paused(on, "1001", None, seconds=WRAP_S + 2)
        took = time.monotonic() - began
        if not by_key and not WRAP_S - 1.2 < took < WRAP_S + 1.2:
            raise Lost(f"wrap-up took {took:.1f} s")
        await fact(on, "SeatStatus", since, seat="1001", status="ready", before="wrap-up",
                   by="phone" if by_key else "asterisk")  # fmt: skip
    await agree(on)


async def missed(on: Stage) -> None:
    """Rings in vain: after so many the switch takes the seat out, and the caller is with the next."""
    since = len(await on.facts())
    await ready_only(on, "1001")
    cli = "13912340004"
    caller = await on.callers[0].dial("12345", caller_id=cli)
    await rung(on, cli, ("1001",))
    await paused(on, "1001", "missed", seconds=(RING_S + 2) * MISSES)
    if calls_of(on, "1001", cli) != MISSES:
        raise Lost(f"rung {calls_of(on, '1001', cli)} times, {MISSES} wanted")
    on.seats["1002"].on_invite = Answer(0.1)
    await dial(on, "1002", "*14")
    await caller.wait_heard("1002", 4)
    caller.hangup()
    await fact(on, "SeatStatus", since, seat="1001", status="paused", reason="missed", by="asterisk")
    await paused(on, "1002", None, seconds=WRAP_S + 3)
    await agree(on)


async def dedicated(on: Stage) -> None:
    """Dialled by a colleague, from outside, or by its own platform for a caller of its own: never rung. Handed over by
    the other platform: rung first; busy: the spill seat."""
    since = len(await on.facts())
    await ready_only(on, "1001")
    for who, number, told in ((on.seats["1001"], "8001", "1001"), (on.callers[0], "8001", "trunk")):
        call = await who.dial(number)
        await fact(on, "DedicatedRefused", since, seat="8001", code="direct", source=told)
        await call.wait_ended(12)
    own = "13912340005"
    on.seats["8101"].on_invite = Answer(0.1)
    await dial(on, "8102", "*131")
    caller = await on.callers[0].dial("110", caller_id=own)
    first = await rung(on, own, ("8101",))
    await first.wait_answered(3)
    await caller.wait_heard("8101", 3)
    await dial(on, "8102", "*14")
    await first.dtmf("*110", duration_ms=80, gap_ms=60)
    target = await rung(on, own, ("8102",), 6)
    await fact(on, "TargetFailed", since, target="110-dedicated", why="dedicated-only")
    target.answer()
    await caller.wait_heard("8102", 4)
    caller.hangup()
    if calls_of(on, "8001", own) or on.seats["8001"].calls:
        raise Lost("the dedicated seat was rung")
    await _handed_over(on)


async def _handed_over(on: Stage) -> None:
    busy: Call | None = None
    on.seats["1001"].on_invite = Answer(0.1)
    for n, wanted in enumerate(("8001", "8101")):
        await paused(on, "1001", None, seconds=WRAP_S + 3)
        on.seats["8101"].on_invite = Ring()
        cli = f"1391234006{n}"
        caller = await on.callers[0].dial("12345", caller_id=cli)
        seat = await rung(on, cli, ("1001",))
        await seat.wait_answered(3)
        await caller.wait_heard("1001", 3)
        await seat.dtmf("*110", duration_ms=80, gap_ms=60)
        target = await rung(on, cli, (wanted,), 6)
        target.answer()
        await caller.wait_heard(wanted, 4)
        caller.hangup()
        await target.wait_ended(4)
        if busy is None:
            busy = await on.seats["8001"].dial("600")
            await busy.wait_answered(5)
    if busy is not None:
        busy.hangup()


async def service_killed(on: Stage) -> None:
    """kill -9 while a seat pauses: the key works, and the service learns of it."""
    since = len(await on.facts())
    await ready_only(on, "1001", "1002")
    service = on.instance.children["cti"]
    async with asyncio.TaskGroup() as group:
        group.create_task(dial(on, "1001", "*132"))
        await asyncio.sleep(random.Random(since).uniform(0, 0.05))
        service.kill(signal.SIGKILL)
        await service.wait()
    await paused(on, "1001", "meal")
    await dial(on, "1002", "*133")
    await paused(on, "1002", "meeting")
    await service.restart()
    await agree(on)
    for seat, reason in (("1001", "meal"), ("1002", "meeting")):
        await fact(on, "SeatStatus", since, seat=seat, status="paused", reason=reason, by="phone")
    await paused(on, "1001", "meal")


async def asterisk_restarted(on: Stage) -> None:
    """kill -9 of Asterisk: every seat is as it was, without the service, and with it."""
    await ready_only(on, "1001")
    await (await log_in(on, "1003", PIN)).wait_ended(8)
    await paused(on, "1003", None)
    await asyncio.sleep(1.5)  # AstDB is written within a second
    before = await members(on)
    service, asterisk = on.instance.children["cti"], on.instance.children["asterisk"]
    for with_service in (False, True):
        if not with_service:
            service.kill(signal.SIGKILL)
            await service.wait()
        asterisk.kill(signal.SIGKILL)
        await asterisk.wait()
        await asterisk.restart()

        async def same() -> bool:
            try:
                return await members(on) == before
            except AsteriskSilent:  # its modules are still being loaded
                return False

        await until("the members are as they were", same, 10)
        if not with_service:
            await service.restart()
        await agree(on)
    for phone in on.seats.values():
        await phone.stop()
        await phone.start()
    await dial(on, "1003", "*12")
    await agree(on)


STORIES: dict[str, Story] = {
    "logged-in": logged_in, "paused": paused_by_key, "wrapped-up": wrapped_up, "missed": missed,
    "dedicated": dedicated, "service-killed": service_killed, "asterisk-restarted": asterisk_restarted,
}  # fmt: skip


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """The next story."""
    name = list(STORIES)[number % len(STORIES)]
    run = Run(number, story=name)
    try:
        await STORIES[name](stage)
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    finally:
        for party in (*stage.callers, *stage.seats.values()):
            for call in party.calls:
                call.hangup()
    return run
