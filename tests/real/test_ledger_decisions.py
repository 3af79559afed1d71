"""The ledger's index of decisions on a real Valkey: only they are in it, a day of older ones with them, and it can be
made again from the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cti.core.facts import Fact, FactId, encode
from cti.ledger.stream import LedgerStream, StreamAway
from cti.stack.netports import LOOPBACK, free_tcp_port, release
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real

DAY_MS = 86_400_000
KINDS = ("CallArrived", "ConferenceDecided", "DecisionSaid", "DecisionDisputed")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    made = ValkeyServer(tmp_path / "valkey", free_tcp_port())
    await made.start()
    yield made
    made.kill()
    release(made.port)


async def test_decisions_are_found_without_walking_the_stream(server: ValkeyServer) -> None:
    stream = LedgerStream("530100", server.url, timeout=5)
    try:
        for day in range(4):
            await stream.append([
                (FactId(day * DAY_MS + n + 1, 0), encode(Fact(kind, day, "530100-1.1", {}, "live", f"{kind}/{day}")))
                for n, kind in enumerate(KINDS)])  # fmt: skip
        wanted = [f"{kind}/{day}" for day in (1, 2, 3) for kind in ("ConferenceDecided", "DecisionDisputed")]
        assert [fact.key for fact in await stream.decisions(2 * DAY_MS)] == wanted
        assert await stream.decisions(9 * DAY_MS) == []
        async with Redis(host=LOOPBACK, port=server.port) as raw:
            await raw.delete("cti:{530100}:decisions")
        assert await stream.decisions(2 * DAY_MS) == []
        await stream.reindex(await stream.read(None, 100))
        assert [fact.key for fact in await stream.decisions(2 * DAY_MS)] == wanted
        server.kill()
        with pytest.raises(StreamAway):
            await stream.decisions(0)
    finally:
        await stream.close()
