"""The ledger over a restart while Redis, or the disk, is away: nothing doubled, nothing one bad value can stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from cti.core.facts import Fact, FactId
from cti.ledger.spool import Spool, SpoolError
from cti.stack.netports import LOOPBACK
from tests.real.ledger import STREAM, drained, fact, running
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real


def day(calls: int) -> list[Fact]:
    """Five facts a call, the calls beside each other."""
    return [fact(n, f"530100-1.{n % calls}") for n in range(calls * 5)]


async def keys(server: ValkeyServer) -> Counter[bytes]:
    client = Redis(host=LOOPBACK, port=server.port)
    try:
        rows: Any = await client.xrange(STREAM)
        return Counter(fields[b"key"] for _, fields in rows)
    finally:
        await client.aclose()


async def test_a_day_told_again_while_redis_is_away_is_not_doubled(server: ValkeyServer, tmp_path: Path) -> None:
    """More than a service remembers: what Redis has of each call is looked at, not what we recall."""
    spool = tmp_path / "spool.db"
    async with running(server.url, spool, remember_keys=50) as ledger:
        await ledger.append(day(60))
    server.kill()
    async with running(server.url, spool, linked=False, remember_keys=50) as ledger:
        await ledger.append([*day(60), fact(900, "530100-1.7"), fact(901, "")])
        assert ledger.backlog == 302
    async with running(server.url, spool, linked=False, remember_keys=50) as ledger:  # a second life without Redis
        await ledger.append([fact(902, "530100-1.8")])
        await server.start()
        await drained(ledger)
        await ledger.append([fact(903)])
    counted = await keys(server)
    assert max(counted.values()) == 1
    assert set(counted) == {b"key-%d" % n for n in (*range(300), 900, 901, 902, 903)}


async def test_a_sick_disk_leaves_redis_its_checkpoint_and_its_facts(
    server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(server.url, tmp_path / "spool.db") as ledger:
        await ledger.append(day(2))
        await ledger.checkpoint("cel", "10@1")

        def refuse(self: Spool, work: Callable[[Any], Any]) -> Any:
            raise SpoolError("disk I/O error")

        monkeypatch.setattr(Spool, "_guarded", refuse)
        with pytest.raises(SpoolError):
            await ledger.checkpoint("cel", "20@1")
        assert await ledger.read_checkpoint("cel") == "20@1"
        assert await ledger.checkpoint_ms("cel") is None
        assert len([1 async for _ in ledger.since(None)]) == 10
        assert await ledger.top() > FactId(0, 0)


async def test_a_checkpoint_nobody_can_read_counts_as_none(server: ValkeyServer, tmp_path: Path) -> None:
    client = Redis(host=LOOPBACK, port=server.port)
    try:
        for value in (b"\xff\xfe 20@1", b"9" * 5000 + b" 20@1", b"soon"):
            await client.hset("cti:{530100}:checkpoint", "cel", value)
            with capture_logs() as logs:
                async with running(server.url, tmp_path / "spool.db") as ledger:
                    assert await ledger.read_checkpoint("cel") is None
                    await ledger.append([fact(1)])
            assert not [entry for entry in logs if entry["log_level"] == "error"]
    finally:
        await client.aclose()
