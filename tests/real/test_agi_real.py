"""A FastAGI service that is full, stuck in a session, half-done or late never holds a caller of a real Asterisk: he
hears music, is in the queue within a second, with the site's defaults, and the helper that asked is gone.

`tests/real/test_service_away.py` has the service refused, stopped before it was asked, its backlog full, gone at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
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
from ivr.agi import AgiFault
from ivr.server import AgiLimits, FastAgiServer
from tests.real.story import CLI

pytestmark = pytest.mark.real

BOUND_MS = 3000.0
"""about one second is meant (dialplan/hotline.conf); the rest is for a busy machine"""
Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest_asyncio.fixture(loop_scope="function")
async def bare(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Stage]:
    """An instance without the service: the test plays its FastAGI port."""
    config, plan = folder("config"), folder("dialplan")
    async with (
        Instance(runtime_root, tmp_path / "s", directory, config, plan, service=False) as instance,
        stage(instance, seats=["1001", "1002"], callers=1) as on,
    ):
        assert on.before == frozenset(), "Asterisk was asked before it knew its commands"
        yield on
        for phone in (*on.callers, *on.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []


@contextlib.asynccontextmanager
async def served_by(on: Stage, session: Session) -> AsyncIterator[None]:
    """Each question to the service is answered by ``session``, after its header was read."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\n\n")
            await session(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", on.instance.ports.agi):
        yield


async def answered_by_a_seat(on: Stage) -> tuple[Call, float]:
    """A caller from ring to a seat's voice, and the ms until a phone rang; he was never without sound."""
    seats = [on.seats["1001"], on.seats["1002"]]
    for phone in seats:
        phone.on_invite = Answer(0.1)
    call = await on.callers[0].dial("12345", caller_id=CLI)
    seat = await whose(seats, CLI, 6)
    assert seat is not None and seat.t_invite is not None and call.t_invite is not None
    await call.wait_heard(seat.phone.name, 3)
    assert call.t_answered is not None
    silent = call.heard(t1=time.monotonic()).longest_without({"music", seat.phone.name}, call.t_answered + 0.2)
    assert silent < 200, call.heard()
    return call, (seat.t_invite - call.t_invite) * 1000


async def helpers(on: Stage) -> list[str]:
    return [row for row in await on.rows("core show channels concise") if "@entry-ask" in row]


async def helper_gone(on: Stage) -> None:
    async with asyncio.timeout(4):
        while await helpers(on):  # noqa: ASYNC110 (Asterisk is asked)
            await asyncio.sleep(0.05)


def steps(on: Stage) -> str:
    """Asterisk's own record of the steps."""
    return on.instance.place.cel_file.read_text()


async def test_stuck_in_a_session_costs_a_second_and_frees_the_helper_and_the_session(bare: Stage) -> None:
    begun, ended, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        told = await reader.read()  # Asterisk's HANGUP, and the end of its side
        assert told.replace(b"HANGUP\n", b"") == b""
        ended.set()
        await release.wait()

    try:
        async with served_by(bare, stuck), asyncio.timeout(20):
            call, waited = await answered_by_a_seat(bare)
            assert begun.is_set() and waited < BOUND_MS
            await helper_gone(bare)
            await ended.wait()
            assert not release.is_set(), "it was Asterisk that let go"
            assert "EntryDefaulted" in steps(bare) and "EntryTold" not in steps(bare)
            call.hangup()
            assert await bare.leftovers() == [], "nothing waits for the service"
            release.set()
    finally:
        release.set()


async def test_a_caller_who_leaves_while_the_service_is_stuck_takes_the_helper_with_him(bare: Stage) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()
        ended.set()

    async with served_by(bare, stuck), asyncio.timeout(20):
        call = await bare.callers[0].dial("12345", caller_id=CLI)
        await begun.wait()
        call.hangup()
        async with asyncio.timeout(1.5):  # by itself the helper gives up after 2 s
            await ended.wait()
        assert await bare.leftovers() == []
    assert "SeatAnswered" not in steps(bare) and "EntryTold" not in steps(bare)


async def test_half_an_answer_is_no_answer(bare: Stage) -> None:
    """Killed after the variables, before the token that makes them valid."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for name, value in (("ENTRY_DIVISION", "530300"), ("ENTRY_PRIORITY", "9")):
            writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
            assert (await reader.readline()).startswith(b"200 result=1")

    async with served_by(bare, half), asyncio.timeout(20):
        call, waited = await answered_by_a_seat(bare)
        assert waited < BOUND_MS
        await helper_gone(bare)
        call.hangup()
    assert "EntryDefaulted" in steps(bare) and "530300" not in steps(bare)


@pytest.mark.parametrize("token", ["", "530100-1.1", "x"])
async def test_an_answer_for_somebody_else_is_no_answer(bare: Stage, token: str) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for name, value in (("ENTRY_DIVISION", "530300"), ("ENTRY_TOKEN", token)):
            writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
            assert (await reader.readline()).startswith(b"200 result=1")

    async with served_by(bare, other), asyncio.timeout(20):
        call, waited = await answered_by_a_seat(bare)
        assert waited < BOUND_MS
        call.hangup()
    assert "EntryDefaulted" in steps(bare) and "530300" not in steps(bare)


async def test_an_answer_that_comes_too_late_changes_nothing(bare: Stage) -> None:
    late = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(late.wait(), 10)
        for name, value in (("ENTRY_DIVISION", "530300"), ("ENTRY_TOKEN", "late")):
            writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
            await writer.drain()
        await reader.read()

    async with served_by(bare, slow), asyncio.timeout(20):
        call, waited = await answered_by_a_seat(bare)
        late.set()
        assert waited < BOUND_MS
        await helper_gone(bare)
        assert await answer_heard(call), "he still talks with the seat"
        call.hangup()
    assert "EntryTold" not in steps(bare) and "530300" not in steps(bare)


async def answer_heard(call: Call) -> bool:
    heard = await asyncio.gather(*(call.wait_heard(name, 2) for name in ("1001", "1002")), return_exceptions=True)
    return any(isinstance(one, float) for one in heard)


async def test_a_service_full_of_sessions_says_so_at_once(bare: Stage) -> None:
    """The service's own server, all its sessions taken: the question is closed, not kept waiting."""
    server = FastAgiServer("127.0.0.1", bare.instance.ports.agi, {}, limits=AgiLimits(sessions=1, header_seconds=15))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        serving = group.create_task(server.run())
        await server.ready.wait()
        _, holder = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            while server.open_sessions < 1:  # noqa: ASYNC110 (the other side is the server's)
                await asyncio.sleep(0.01)
            call, waited = await answered_by_a_seat(bare)
            assert waited < BOUND_MS
            await helper_gone(bare)
            assert server.faults[AgiFault.FULL] == 1 and server.open_sessions == 1
            call.hangup()
        finally:
            holder.close()
            serving.cancel()
    assert "EntryDefaulted" in steps(bare)


async def test_killed_while_it_was_being_asked_the_real_service(on: Stage) -> None:
    """Stopped, asked, and killed: the question dies with the connection, the caller goes on."""
    service = on.instance.children["cti"]
    service.kill(signal.SIGSTOP)
    for name in ("1001", "1002"):
        on.seats[name].on_invite = Answer(0.1)
    call = await on.callers[0].dial("12345", caller_id=CLI)
    async with asyncio.timeout(5):
        while not await helpers(on):  # noqa: ASYNC110 (Asterisk is asked)
            await asyncio.sleep(0.01)
    service.kill(signal.SIGKILL)
    await service.wait()
    seat = await whose([on.seats["1001"], on.seats["1002"]], CLI, 5)
    assert seat is not None and seat.t_invite is not None and call.t_invite is not None
    assert (seat.t_invite - call.t_invite) * 1000 < BOUND_MS
    await call.wait_heard(seat.phone.name, 3)
    await helper_gone(on)
    await service.restart()
    call.hangup()
    async with asyncio.timeout(15):
        while not [f for f in await on.facts() if f.kind == "CallEnded"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    kinds = [f.kind for f in await on.facts()]
    assert kinds.count("EntryDefaulted") == 1 and kinds.count("CallEnded") == 1 and "EntryTold" not in kinds
