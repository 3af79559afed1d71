"""The ledger on a real Valkey that is well, and shared: every fact once, in order, found by its call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from cti.core.facts import CorruptFact, Fact, FactId, encode
from cti.ledger.stream import Appended, LedgerConflict, LedgerStream
from tests.real.ledger import SITE, STREAM, Opener, drained, fact, told, wall_ms
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real


async def test_facts_are_durable_in_order_and_found_by_call(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        ids = await ledger.append([fact(1, "a"), fact(2, "b"), fact(3, "a")])
        ids += await ledger.append([fact(4, "")])
        assert [f for _, f in await ledger.facts_of("a")] == [fact(1, "a"), fact(3, "a")], "also before Redis has them"
        await drained(ledger)
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
    stream = LedgerStream(SITE, server.url, timeout=2)
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
        await drained(ledger)
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


async def test_one_corrupt_entry_stops_no_reader(opened: Opener, server: ValkeyServer, raw: Redis) -> None:
    async with opened() as ledger:
        await ledger.append([fact(1)])
        await drained(ledger)
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
        await drained(ledger)  # on a busy machine part of so many is spooled
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
