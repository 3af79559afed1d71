"""`cti ledger verify` and `rebuild` on a real Valkey: a whole ledger, one that was tampered with, lost projections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from cti.__main__ import main
from cti.core.facts import Fact, FactId
from cti.ledger.anchors import Anchors
from cti.ledger.ledger import ANCHORS
from tests.real.ledger import STREAM, Opener, drained
from tests.real.valkey_server import ValkeyServer
from tests.unit.test_audit import day

pytestmark = pytest.mark.real


@pytest.fixture
def cti(tmp_path: Path, server: ValkeyServer) -> Callable[..., tuple[int, dict[str, Any] | str]]:
    """The command, as for an embedded instance on this Valkey."""
    facts = {"site": "530100", "redis": server.port, "ports": {"http": 1}}
    (tmp_path / "instance.json").write_text(json.dumps(facts))

    def run(*words: str) -> tuple[int, dict[str, Any] | str]:
        done = CliRunner().invoke(main, [*words, "--state", str(tmp_path)], catch_exceptions=False)
        return done.exit_code, json.loads(done.stdout) if "--json" in words else done.output

    return run


async def fill(opened: Opener) -> None:
    async with opened() as ledger:
        facts: list[Fact] = day(40)
        for n in range(0, len(facts), 7):
            await ledger.append(facts[n : n + 7])
        await drained(ledger)


async def test_a_whole_ledger_and_each_kind_of_tampering(opened: Opener, server: ValkeyServer, tmp_path: Path,
                                                         raw: Redis, cti: Callable[..., Any]) -> None:  # fmt: skip
    await fill(opened)
    code, told = await asyncio.to_thread(cti, "ledger", "verify", "--json", "--projections")
    assert (code, told["whole"], told["calls"], told["found"]) == (0, True, 40, {})
    assert told["entries"] == await raw.xlen(STREAM) == len(day(40))
    code, words = await asyncio.to_thread(cti, "ledger", "verify")
    assert code == 0 and "完整" in words

    anchors = Anchors(tmp_path / ANCHORS, settled_s=0)
    anchors.look((FactId.parse(told["last"]), told["hash"].encode()), 1.0)
    anchors.look(None, 2.0)
    code, told = await asyncio.to_thread(cti, "ledger", "verify", "--json")
    assert (code, told["anchors"]) == (0, 1)

    entries: Any = await raw.xrange(STREAM)
    await raw.xdel(STREAM, entries[-1][0])
    code, told = await asyncio.to_thread(cti, "ledger", "verify", "--json")
    assert code == 1 and "anchor" in told["found"], "the newest one was taken out"
    await raw.xdel(STREAM, entries[20][0])
    code, told = await asyncio.to_thread(cti, "ledger", "verify", "--json")
    assert [f["at"] for f in told["findings"] if f["what"] == "chain"] == [entries[21][0].decode()]


async def test_lost_projections_are_told_and_made_again(opened: Opener, server: ValkeyServer, raw: Redis,
                                                        cti: Callable[..., Any]) -> None:  # fmt: skip
    await fill(opened)
    lost = [key async for key in raw.scan_iter() if key != STREAM.encode()]
    await raw.delete(*lost)
    code, told = await asyncio.to_thread(cti, "ledger", "verify", "--json", "--projections")
    assert code == 1 and told["found"]["projection"] >= len(day(40))
    code, words = await asyncio.to_thread(cti, "ledger", "rebuild")
    assert code == 0 and f"{len(day(40)):,} 条" in words
    assert (await asyncio.to_thread(cti, "ledger", "verify", "--projections"))[0] == 0
    assert {key async for key in raw.scan_iter()} >= set(lost)


async def test_no_redis_is_said(server: ValkeyServer, cti: Callable[..., Any]) -> None:
    server.kill()
    code, words = await asyncio.to_thread(cti, "ledger", "verify")
    assert code == 1 and "账本没有应答" in words
