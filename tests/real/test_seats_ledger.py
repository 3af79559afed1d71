"""`cti seats plan` on a real ledger: four weeks of calls in Valkey become tomorrow's plan, and nothing is written."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from cti.__main__ import main
from cti.core.facts import Fact, FactId, encode
from cti.ledger.stream import Entry, LedgerStream
from cti.stack.netports import free_tcp_port, release
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real

QUARTER_US = 900_000_000


def entry(number: int, at: int) -> Entry:
    """A call answered after 10 s and talked to for 200 s."""
    told = Fact("CallEnded", at + 210_000_000, f"530100-1.{number}", {
        "outcome": "answered", "hotline": "12345", "division": "530100", "arrived_at": at, "wait_ms": 10_000,
        "talk_ms": 200_000, "seats": "1001", "transfers": 0,
    }, "live", f"call/{number}")  # fmt: skip
    return FactId(told.at // 1000, number), encode(told)


@pytest.fixture
def port() -> Iterator[int]:
    port = free_tcp_port()
    yield port
    release(port)


async def _write(server: ValkeyServer, port: int) -> int:
    await server.start()
    stream = LedgerStream("530100", f"redis://127.0.0.1:{port}/0", timeout=5.0)
    rng, now = random.Random(2), time.time_ns() // 1000
    first = (now - 29 * 96 * QUARTER_US) // QUARTER_US * QUARTER_US
    times = [first + n * QUARTER_US + rng.randrange(QUARTER_US - 1) for n in range(28 * 96) for _ in range(2)]
    entries = [entry(n, at) for n, at in enumerate(sorted(times))]
    for start in range(0, len(entries), 500):
        await stream.append(entries[start : start + 500], 30.0)
    await stream.close()
    return len(entries)


async def _keys(port: int) -> tuple[int, set[bytes]]:
    raw = Redis(port=port)
    found = int(await raw.xlen("cti:{530100}:ledger")), {key async for key in raw.scan_iter()}
    await raw.aclose()
    return found


def test_a_plan_comes_from_the_ledger(tmp_path: Path, port: int) -> None:
    server = ValkeyServer(tmp_path / "valkey", port)
    try:
        written = asyncio.run(_write(server, port))
        before = asyncio.run(_keys(port))
        (tmp_path / "instance.json").write_text(json.dumps({"site": "530100", "ports": {"redis": port}, "redis": port}))
        result = CliRunner().invoke(main, ["seats", "plan", "--state", str(tmp_path), "--json"])
        assert result.exit_code == 0, result.output
        (planned,) = json.loads(result.output)
        assert (planned["line"], planned["source"], planned["handle_s"]) == ("12345", "实测/measured", 200.0)
        assert sum(row["calls"] for row in planned["rows"]) == pytest.approx(192, rel=0.1)
        assert {row["seats"] for row in planned["rows"]} <= {2, 3}
        assert before == asyncio.run(_keys(port)) and before[0] == written
    finally:
        server.kill()
    away = CliRunner().invoke(main, ["seats", "plan", "--state", str(tmp_path)])
    assert away.exit_code == 1 and "账本没有应答" in away.output
