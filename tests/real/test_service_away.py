"""The service may be killed, stopped or absent at any instant: no caller waits longer than a second for it, keys work,
and what it missed is on record when it is back."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.story import CLI, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real


async def entry_wait(on: Stage, cli: str) -> tuple[Call, float]:
    """A caller rings 12345; how many ms until a seat's phone rings."""
    seats = [on.seats["1001"], on.seats["1002"]]
    for phone in seats:
        phone.on_invite = Answer(0.1)
    call = await on.callers[0].dial("12345", caller_id=cli)
    seat = await whose(seats, cli, 6)
    assert seat is not None and seat.t_invite is not None and call.t_invite is not None
    return call, (seat.t_invite - call.t_invite) * 1000


async def test_killed_in_the_middle_of_a_transfer(on: Stage) -> None:
    call, seat = await talking(on)
    pressed = await seat.dtmf("*110")
    target = await ringing_at_110(on)
    service = on.instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    assert call.heard(pressed + 0.3).longest_without({seat.phone.name, target.phone.name}) < 60
    call.hangup()
    await asyncio.sleep(0.2)
    assert not [f for f in await on.facts() if f.kind == "TransferEnded"]
    await service.restart()
    facts = await ended(on)
    assert outcomes(facts) == [("answered", "")]
    assert {f.source for f in facts if f.kind in ("TargetAnswered", "CallerLeft")} == {"cel"}
    assert len({f.key for f in facts}) == len(facts) and not [f for f in facts if f.kind == "Anomaly"]


async def test_keys_and_queue_work_with_the_service_dead(on: Stage) -> None:
    on.instance.children["cti"].kill(signal.SIGKILL)
    call, waited = await entry_wait(on, CLI)
    assert waited < 300, "refused: no time is lost"
    seat = await whose([on.seats["1001"], on.seats["1002"]], CLI, 1)
    assert seat is not None
    await call.wait_heard(seat.phone.name, 3)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)


async def test_stopped_costs_at_most_a_second_of_music(on: Stage) -> None:
    service = on.instance.children["cti"]
    service.kill(signal.SIGSTOP)
    try:
        call, waited = await entry_wait(on, CLI)
        assert waited < 1500
        hearing = call.heard(t1=time.monotonic())
        assert hearing.longest_without({"music", "1001", "1002"}, (call.t_answered or 0) + 0.2) < 200
        call.hangup()
        assert await on.leftovers() == [], "the helper that asked is gone too"
    finally:
        service.kill(signal.SIGCONT)


@pytest_asyncio.fixture(loop_scope="function")
async def bare(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Stage]:
    """An instance without the service: the test plays its FastAGI port."""
    config, plan = folder("config"), folder("dialplan")
    async with (
        Instance(runtime_root, tmp_path / "s", directory, config, plan, service=False) as instance,
        stage(instance, seats=["1001", "1002"], callers=1) as on,
    ):
        yield on
        for phone in (*on.callers, *on.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []


async def test_a_service_that_dies_in_the_session_is_not_believed(bare: Stage) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n\n")
        writer.close()

    async with await asyncio.start_server(die, "127.0.0.1", bare.instance.ports.agi):
        call, waited = await entry_wait(bare, CLI)
        assert waited < 300
        call.hangup()


async def test_a_full_backlog_costs_at_most_a_second(bare: Stage) -> None:
    sock = socket.create_server(("127.0.0.1", bare.instance.ports.agi), backlog=0)
    held = []
    try:
        for _ in range(8):  # until the kernel's queue takes no more
            _, writer = await asyncio.wait_for(asyncio.open_connection(*sock.getsockname()), 0.3)
            held.append(writer)
    except TimeoutError:
        pass
    assert len(held) < 8, "the backlog was to be full"
    try:
        call, waited = await entry_wait(bare, CLI)
        assert waited < 1500
        call.hangup()
    finally:
        for writer in held:
            writer.close()
        sock.close()
