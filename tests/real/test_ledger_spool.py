"""The ledger while Valkey is not there, and its spool as it drains into one that is: every fact once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from cti.ledger import writer
from cti.ledger.ledger import StreamAway
from tests.real.ledger import Opener, drained, fact, told, until
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real


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
        await drained(ledger)
        assert ledger.conflicts == 0, "it numbers above what it found"
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


async def test_what_a_full_spool_refuses_is_held_and_written_later(opened: Opener, stopped: ValkeyServer) -> None:
    async with opened(linked=False, spool_bytes=2000) as ledger:
        assert len(await ledger.append([fact(n) for n in range(50)])) == 50
        assert (ledger.backlog, ledger.lost) == (50, 0)
        assert len(await ledger.append([fact(n) for n in range(60)])) == 60, "told again is known, also in memory"
        await stopped.start()
        await drained(ledger)
        assert await told(ledger) == list(range(60))


async def test_more_than_memory_may_hold_is_lost_told_and_can_be_told_again(
    opened: Opener, stopped: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST", 10)
    async with opened(linked=False, spool_bytes=2000) as ledger:
        ids = await ledger.append([fact(n) for n in range(50)])
        kept = ledger.backlog
        assert 10 < len(ids) == kept < 50
        assert ledger.lost == 50 - kept
        await stopped.start()
        await drained(ledger)
        assert len(await ledger.append([fact(n) for n in range(50)])) == 50
        await drained(ledger)
        assert await told(ledger) == list(range(50))


async def test_without_a_disk_facts_still_reach_redis(opened: Opener, server: ValkeyServer, tmp_path: Path) -> None:
    (tmp_path / "blocked").touch()
    async with opened(spool="blocked/spool.db") as ledger:
        assert len(await ledger.append([fact(1)])) == 1
        server.freeze()
        assert len(await ledger.append([fact(2)])) == 1
        assert len(await ledger.append([fact(3)])) == 1
        assert (ledger.backlog, ledger.lost) == (2, 0)
        server.thaw()
        await drained(ledger)
        assert len(await ledger.append([fact(4)])) == 1
        assert await told(ledger) == [1, 2, 3, 4]
