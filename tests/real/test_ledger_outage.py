"""The ledger on a Valkey that is killed, frozen or full beneath an append, and appends that are cancelled: every fact
once, in order, none late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from cti.ledger.ledger import Ledger
from cti.ledger.stream import LedgerStream
from tests.real.ledger import SITE, Opener, drained, fact, told, until
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real


def busy(ledger: Ledger, seconds: float = 0.2) -> None:
    """The disk takes so long for what comes next."""
    ledger._spool._thread.submit(ledger._spool._alone, lambda db: time.sleep(seconds))
    while not ledger._spool._lock.locked():
        time.sleep(0.001)


@pytest.mark.parametrize("before_the_kill", [1, 40, 400])
async def test_kill_9_of_valkey_in_a_stream_of_appends(
    opened: Opener, server: ValkeyServer, before_the_kill: int
) -> None:
    async with opened() as ledger:
        reached, answered = 0, 0

        async def tell() -> None:
            nonlocal reached, answered
            for n in range(before_the_kill + 300):
                reached = n
                answered += len(await ledger.append([fact(2 * n), fact(2 * n + 1)]))

        async with asyncio.TaskGroup() as group:
            group.create_task(tell())
            await until(lambda: reached >= before_the_kill)
            server.kill()  # blocks this loop until it is gone: the append in flight finds a dead link
        assert answered == 2 * (before_the_kill + 300), "every append was answered, none waited for Redis"
        assert ledger.backlog > 0
        await server.start()
        await drained(ledger)
        assert await told(ledger) == list(range(answered)), "once each, in order"
        assert (ledger.lost, ledger.conflicts) == (0, 0)


async def test_a_frozen_valkey_costs_no_append_anything_and_doubles_nothing(
    opened: Opener, server: ValkeyServer, record_property: Callable[[str, object], None]
) -> None:
    async with opened() as ledger:
        await ledger.append([fact(0)])
        await drained(ledger)
        server.freeze()
        took = []
        for n in range(1, 21):
            started = time.perf_counter()
            assert len(await ledger.append([fact(n)])) == 1
            took.append(time.perf_counter() - started)
        record_property("ms_max", round(max(took) * 1000, 1))
        assert max(took) < 0.05, "the disk's time, not Redis'"
        assert ledger.backlog == 20
        server.thaw()  # it now also reads what was sent before we gave up
        await drained(ledger)
        assert await told(ledger) == list(range(21))
        assert await ledger.append([fact(21)])
        assert [f.at for _, f in await ledger.facts_of("530100-1.1")] == list(range(22))


async def test_a_cancelled_append_is_finished_once(opened: Opener, server: ValkeyServer) -> None:
    async with opened() as ledger:
        busy(ledger)
        first = asyncio.ensure_future(ledger.append([fact(1)]))
        second = asyncio.ensure_future(ledger.append([fact(2)]))
        third = asyncio.ensure_future(ledger.append([fact(3)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()  # it has the turn and is waiting for the disk
        third.cancel()  # it has not begun
        assert len(await second) == 1
        assert first.cancelled() or first.done()
        await drained(ledger)
        assert await told(ledger) in ([1, 2], [1, 2, 3])
        await ledger.append([fact(1), fact(2), fact(3)])  # whoever was cancelled says it again
        assert await told(ledger) == [1, 2, 3]


async def test_what_a_cancelled_append_began_is_finished_even_by_a_valkey_killed_meanwhile(
    opened: Opener, server: ValkeyServer
) -> None:
    async with opened() as ledger:
        busy(ledger)
        append = asyncio.ensure_future(ledger.append([fact(1)]))
        for _ in range(20):  # it is numbered and waits for the disk
            await asyncio.sleep(0)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append
        server.kill()
        await server.start()
        async with asyncio.timeout(10):
            while await told(ledger) != [1]:  # noqa: ASYNC110 (in another process)
                await asyncio.sleep(0.01)


async def test_a_cancellation_is_never_swallowed(server: ValkeyServer) -> None:
    stream = LedgerStream(SITE, server.url, timeout=2)

    async def read_on() -> None:
        while True:
            await stream.top()

    for steps in range(300):
        reading = asyncio.ensure_future(read_on())
        for _ in range(20 + steps % 50):
            await asyncio.sleep(0)
        reading.cancel()
        done, _ = await asyncio.wait([reading], timeout=2)
        assert done, f"cancelled after {steps} steps, it went on"
    await stream.close()


async def test_a_valkey_that_refuses_writes_is_as_good_as_away(
    opened: Opener, server: ValkeyServer, raw: Redis
) -> None:
    async with opened() as ledger:
        await ledger.append([fact(1)])
        await drained(ledger)
        await raw.config_set("maxmemory", "1")
        with capture_logs() as logs:
            assert len(await ledger.append([fact(2, ref="the-ref", key="the-key")])) == 1
            await until(lambda: any(entry["event"] == "ledger_link_lost" for entry in logs))
        assert "the-" not in str(logs), "what a fact says must not reach a log by way of an error's text"
        lost = [entry for entry in logs if entry["event"] == "ledger_link_lost"]
        assert all("OutOfMemory" in entry["reason"] for entry in lost)
        assert ledger.backlog == 1
        await raw.config_set("maxmemory", "0")
        await drained(ledger)
        assert await told(ledger) == [1, 2]
