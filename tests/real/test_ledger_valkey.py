"""The ledger on a real Valkey that is killed, frozen, full and shared: every fact once, in order, none late."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from cti.core.facts import CorruptFact, Fact, FactId, encode
from cti.ledger.ledger import Ledger, StreamAway
from cti.ledger.stream import Appended, LedgerConflict, LedgerStream
from cti.stack.netports import LOOPBACK, free_tcp_port, release
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real

SITE = "530100"
STREAM = "cti:{530100}:ledger"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def fact(n: int, ref: str = "530100-1.1", key: str = "") -> Fact:
    return Fact("Told", n, ref, {"n": n}, "live", key or f"key-{n}")


@pytest.fixture
def port() -> Iterator[int]:
    port = free_tcp_port()
    yield port
    release(port)


@pytest.fixture
def stopped(tmp_path: Path, port: int) -> Iterator[ValkeyServer]:
    """A Valkey that is not running yet."""
    server = ValkeyServer(tmp_path / "valkey", port)
    yield server
    server.kill()


@pytest.fixture
async def server(stopped: ValkeyServer) -> ValkeyServer:
    await stopped.start()
    return stopped


@pytest.fixture
async def raw(server: ValkeyServer) -> AsyncIterator[Redis]:
    """Another client of the same Valkey."""
    client = Redis(host=LOOPBACK, port=server.port)
    yield client
    await client.aclose()


Opener = Callable[..., contextlib.AbstractAsyncContextManager[Ledger]]


@pytest.fixture
def opened(tmp_path: Path, port: int) -> Opener:
    @contextlib.asynccontextmanager
    async def opened(
        *, spool: str = "spool.db", now_ms: Callable[[], int] = wall_ms, linked: bool = True, spool_bytes: int = 1 << 24
    ) -> AsyncIterator[Ledger]:
        ledger = Ledger(SITE, f"redis://{LOOPBACK}:{port}/0", tmp_path / spool, now_ms=now_ms, spool_bytes=spool_bytes)
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(ledger.run())
                try:
                    if linked:
                        await until(lambda: ledger.link_up)
                    yield ledger
                finally:
                    running.cancel()
        finally:
            await ledger.aclose()

    return opened


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what is waited for is in another process)
            await asyncio.sleep(0.005)


async def drained(ledger: Ledger) -> None:
    await until(lambda: ledger.link_up and ledger.backlog == 0)


async def told(ledger: Ledger, first: FactId | None = None) -> list[int]:
    """The `n` of every fact, as a reader gets them; ids must rise on the way."""
    facts = [(fact_id, fact) async for fact_id, fact in ledger.since(first)]
    assert all(a < b for (a, _), (b, _) in pairwise(facts))
    return [fact.at for _, fact in facts if isinstance(fact, Fact)]


async def test_facts_are_durable_in_order_and_found_by_call(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        ids = await ledger.append([fact(1, "a"), fact(2, "b"), fact(3, "a")])
        ids += await ledger.append([fact(4, "")])
        assert ledger.backlog == 0
        assert ids == sorted(set(ids))
        assert await ledger.facts_of("a") == [(ids[0], fact(1, "a")), (ids[2], fact(3, "a"))]
        assert await ledger.facts_of("nobody") == []
        assert [item async for item in ledger.since(ids[1])] == [
            (ids[1], fact(2, "b")), (ids[2], fact(3, "a")), (ids[3], fact(4, "")),
        ]  # fmt: skip
        assert await ledger.trace("b", ids[0].ms, ids[3].ms + 1) == [(ids[1], fact(2, "b"))]
        assert await ledger.recent_keys(ids[0].ms) == {"key-1", "key-2", "key-3", "key-4"}
        assert await raw.ttl("cti:{530100}:call:a") > 80 * 86_400
        assert await raw.ttl(STREAM) == -1
        assert await raw.config_get("appendfsync") == {"appendfsync": "always"}


async def test_a_fact_told_twice_is_written_once_and_in_the_next_life_too(opened: Opener, server: ValkeyServer) -> None:
    async with opened() as ledger:
        first = await ledger.append([fact(1), fact(1), fact(2)])
        again = await ledger.append([fact(2), fact(3)])
        assert first[0] == first[1]
        assert again[0] == first[2]
        assert ledger.duplicates == 2
    async with opened(spool="another.db") as ledger:
        assert await ledger.append([fact(1), fact(3)]) == [first[0], again[1]]
        assert (ledger.duplicates, await told(ledger)) == (2, [1, 2, 3])


async def test_a_hundred_callers_at_once(opened: Opener, server: ValkeyServer) -> None:
    async with opened() as ledger, asyncio.TaskGroup() as group:
        for caller in range(100):
            group.create_task(ledger.append([fact(caller * 10 + i) for i in range(10)]))
    async with opened() as ledger:
        facts = await told(ledger)
        assert sorted(facts) == list(range(1000))
        assert all(facts[facts.index(c * 10) :][:10] == list(range(c * 10, c * 10 + 10)) for c in range(100))


async def test_an_id_that_is_taken_is_a_repeat_or_a_conflict(server: ValkeyServer, raw: Redis) -> None:
    stream = LedgerStream(SITE, server.url, timeout=2, index_ttl=60)
    five, six, seven = FactId(5, 0), FactId(6, 0), FactId(7, 0)
    assert await stream.append([(five, encode(fact(5))), (seven, encode(fact(7)))]) == Appended()
    assert await stream.append([(five, encode(fact(5))), (seven, encode(fact(7)))]) == Appended(repeats=2)
    mixed = [
        (five, encode(fact(50))),
        (six, encode(fact(6))),
        (seven, encode(fact(7))),
        (FactId(8, 0), encode(fact(8))),
    ]
    assert await stream.append(mixed) == Appended(
        repeats=1,
        conflicts=(LedgerConflict(five, b"key-50", found=b"key-5"), LedgerConflict(six, b"key-6", found=None)),
    )
    assert [fact_id for fact_id, _ in await stream.read(None, 10)] == [five, seven, FactId(8, 0)]
    await stream.close()


async def test_two_writers_are_told_and_nothing_is_lost(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        await ledger.append([fact(1)])
        ahead = wall_ms() + 3_600_000
        await raw.xadd(STREAM, dict[Any, Any](encode(fact(2))), id=f"{ahead}-0")  # another service, an hour ahead
        await ledger.append([fact(3), fact(4)])
        await ledger.append([fact(5)])
        await drained(ledger)
        assert await told(ledger) == [1, 2, 3, 4, 5]
        assert ledger.conflicts >= 2
        before = ledger.conflicts
        await ledger.append([fact(6)])
        assert (await told(ledger), ledger.conflicts) == ([1, 2, 3, 4, 5, 6], before), "later ids are above"
        assert [f.at for _, f in await ledger.facts_of("530100-1.1")] == [1, 3, 4, 5, 6], "2 is not in our index"


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


async def test_killed_again_and_again_while_it_drains(opened: Opener, stopped: ValkeyServer) -> None:
    async with opened(linked=False) as ledger:
        for n in range(0, 3000, 100):
            await ledger.append([fact(n + i) for i in range(100)])
        for _ in range(4):
            before = ledger.backlog
            await stopped.start()
            await until(lambda before=before: ledger.backlog < before)  # type: ignore[misc]
            stopped.kill()
        await stopped.start()
        await drained(ledger)
        assert await told(ledger) == list(range(3000))


async def test_a_frozen_valkey_costs_one_time_out_and_doubles_nothing(
    opened: Opener, server: ValkeyServer, record_property: Callable[[str, object], None]
) -> None:
    async with opened() as ledger:
        await ledger.append([fact(0)])
        server.freeze()
        took = []
        for n in range(1, 21):
            started = time.perf_counter()
            assert len(await ledger.append([fact(n)])) == 1
            took.append(time.perf_counter() - started)
        record_property("first_ms", round(took[0] * 1000, 1))
        record_property("later_ms_max", round(max(took[1:]) * 1000, 1))
        print(f"first {took[0] * 1000:.1f} ms, later at most {max(took[1:]) * 1000:.1f} ms")
        assert 0.05 <= took[0] < 0.15, "the time-out once (50 ms), then the disk"
        assert max(took[1:]) < 0.05, "not again while it is away"
        assert ledger.backlog == 20
        server.thaw()  # it now also reads what was sent before we gave up
        await drained(ledger)
        assert await told(ledger) == list(range(21))
        assert await ledger.append([fact(21)])
        assert [f.at for _, f in await ledger.facts_of("530100-1.1")] == list(range(22))


async def test_a_cancelled_append_is_finished_once(opened: Opener, server: ValkeyServer) -> None:
    async with opened() as ledger:
        server.freeze()
        first = asyncio.ensure_future(ledger.append([fact(1)]))
        second = asyncio.ensure_future(ledger.append([fact(2)]))
        third = asyncio.ensure_future(ledger.append([fact(3)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()  # it has the turn and is waiting for Redis
        third.cancel()  # it has not begun
        assert len(await second) == 1
        assert first.cancelled() or first.done()
        server.thaw()
        await drained(ledger)
        assert await told(ledger) in ([1, 2], [1, 2, 3])
        await ledger.append([fact(1), fact(2), fact(3)])  # whoever was cancelled says it again
        assert await told(ledger) == [1, 2, 3]


async def test_what_a_cancelled_append_began_is_finished_even_by_a_valkey_killed_meanwhile(
    opened: Opener, server: ValkeyServer
) -> None:
    async with opened() as ledger:
        server.freeze()
        append = asyncio.ensure_future(ledger.append([fact(1)]))
        for _ in range(20):  # it is numbered and waits for an answer that will not come
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
    stream = LedgerStream(SITE, server.url, timeout=2, index_ttl=60)

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


async def test_what_comes_while_the_spool_is_drained_stays_behind_it(opened: Opener, stopped: ValkeyServer) -> None:
    async with opened(linked=False) as ledger:
        await ledger.append([fact(n) for n in range(2000)])
        await stopped.start()
        await until(lambda: ledger.link_up)
        assert ledger.backlog > 0
        for n in range(2000, 2050):
            await ledger.append([fact(n)])
        await drained(ledger)
        assert await told(ledger) == list(range(2050))
        assert ledger.conflicts == 0


async def test_a_valkey_that_refuses_writes_is_as_good_as_away(
    opened: Opener, server: ValkeyServer, raw: Redis
) -> None:
    async with opened() as ledger:
        await ledger.append([fact(1)])
        await raw.config_set("maxmemory", "1")
        with capture_logs() as logs:
            assert len(await ledger.append([fact(2, ref="the-ref", key="the-key")])) == 1
        assert "the-" not in str(logs), "what a fact says must not reach a log by way of an error's text"
        assert ["OutOfMemory" in entry.get("reason", "") for entry in logs] == [True]
        assert ledger.backlog == 1
        await raw.config_set("maxmemory", "0")
        await drained(ledger)
        assert await told(ledger) == [1, 2]


async def test_a_service_that_starts_without_redis_writes_and_goes_on_where_it_was(
    opened: Opener, stopped: ValkeyServer
) -> None:
    async with opened(linked=False) as ledger:
        await ledger.append([fact(1), fact(2)])
        assert (ledger.link_up, ledger.backlog) == (False, 2)
        with pytest.raises(StreamAway):
            await told(ledger)
        with pytest.raises(StreamAway):
            await ledger.facts_of("530100-1.1")
    async with opened(linked=False) as ledger:
        await ledger.append([fact(3), fact(1)])
        assert (ledger.backlog, ledger.duplicates) == (3, 1)
        await stopped.start()
        await drained(ledger)
        assert await told(ledger) == [1, 2, 3]


async def test_a_clock_that_went_back_costs_neither_order_nor_facts(opened: Opener, stopped: ValkeyServer) -> None:
    await stopped.start()
    async with opened() as ledger:
        await ledger.append([fact(1), fact(2)])
    stopped.kill()
    async with opened(linked=False, now_ms=lambda: 1000) as ledger:
        await ledger.append([fact(3), fact(4)])
        await ledger.append([fact(5)])
        await stopped.start()
        await drained(ledger)
        assert await told(ledger) == [1, 2, 3, 4, 5]
    async with opened(now_ms=lambda: 1000) as ledger:
        await ledger.append([fact(6)])
        assert (ledger.backlog, ledger.conflicts) == (0, 0), "it numbers above what it found"
        assert await told(ledger) == [1, 2, 3, 4, 5, 6]


async def test_what_was_spooled_before_we_knew_redis_is_not_doubled(opened: Opener, stopped: ValkeyServer) -> None:
    await stopped.start()
    async with opened() as ledger:
        await ledger.append([fact(1), fact(2)])
    stopped.kill()
    async with opened(spool="new-disk.db", linked=False) as ledger:
        await ledger.append([fact(2), fact(3), fact(1)])
        assert ledger.backlog == 3
        await stopped.start()
        await drained(ledger)
        assert (await told(ledger), ledger.duplicates) == ([1, 2, 3], 2)


async def test_a_reader_sees_each_fact_once_while_the_spool_moves(opened: Opener, stopped: ValkeyServer) -> None:
    async with opened(linked=False) as ledger:
        for n in range(0, 2000, 200):
            await ledger.append([fact(n + i) for i in range(200)])
        await stopped.start()
        await until(lambda: ledger.backlog < 2000)
        seen = await told(ledger)
        assert sorted(seen) == list(range(2000))
        assert len(await ledger.facts_of("530100-1.1")) == 2000
        await drained(ledger)
        assert await told(ledger) == list(range(2000))


async def test_a_full_spool_is_told_and_what_it_refused_can_be_told_again(
    opened: Opener, stopped: ValkeyServer
) -> None:
    async with opened(linked=False, spool_bytes=2000) as ledger:
        ids = await ledger.append([fact(n) for n in range(50)])
        kept = ledger.backlog
        assert 0 < len(ids) == kept < 50
        assert ledger.lost == 50 - kept
        await stopped.start()
        await drained(ledger)
        assert len(await ledger.append([fact(n) for n in range(50)])) == 50
        assert await told(ledger) == list(range(50))


async def test_without_a_disk_facts_still_reach_redis(opened: Opener, server: ValkeyServer, tmp_path: Path) -> None:
    (tmp_path / "blocked").touch()
    async with opened(spool="blocked/spool.db") as ledger:
        assert len(await ledger.append([fact(1)])) == 1
        server.freeze()
        assert await ledger.append([fact(2)]) == []
        assert ledger.lost == 1
        server.thaw()
        await until(lambda: ledger.link_up)
        assert len(await ledger.append([fact(3)])) == 1


async def test_one_corrupt_entry_stops_no_reader(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        await ledger.append([fact(1)])
        await raw.xadd(STREAM, {"v": "1", "kind": "\ufffd", "ref": "530100-1.1"})
        await raw.xadd(STREAM, {"left": "behind"})
        await drained(ledger)
        await asyncio.sleep(0.002)
        await ledger.append([fact(2)])
        await drained(ledger)
        kinds = [type(item) async for _, item in ledger.since(None)]
        assert kinds == [Fact, CorruptFact, CorruptFact, Fact]
        assert [f.at for _, f in await ledger.facts_of("530100-1.1")] == [1, 2]
        assert await ledger.recent_keys(0) == {"key-1", "key-2", ""}


async def test_the_index_is_rebuilt_from_the_stream(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        await ledger.append([fact(n, f"call-{n % 3}") for n in range(1200)])
        before = await ledger.facts_of("call-1")
        assert len(before) == 400
        await raw.delete(*[f"cti:{{530100}}:call:call-{n}" for n in range(3)])
        assert await ledger.facts_of("call-1") == []
        assert await ledger.rebuild() == 1200
        assert await ledger.facts_of("call-1") == before


async def test_a_checkpoint_survives_the_loss_of_either_place(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        assert await ledger.read_checkpoint("cel") is None
        await ledger.checkpoint("cel", "10@1")
        await ledger.checkpoint("cel", "20@1")
        assert await ledger.read_checkpoint("cel") == "20@1"
    async with opened(spool="new-disk.db") as ledger:
        assert await ledger.read_checkpoint("cel") == "20@1"
    server.kill()
    async with opened(linked=False) as ledger:
        assert await ledger.read_checkpoint("cel") == "20@1"
        await ledger.checkpoint("cel", "30@1")
        await server.start()
        async with asyncio.timeout(10):
            while not str(await raw.hget("cti:{530100}:checkpoint", "cel")).endswith("30@1'"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    async with opened(spool="third-disk.db") as ledger:
        assert await ledger.read_checkpoint("cel") == "30@1"
