"""The ledger on a Cluster of three nodes, and behind a Sentinel whose master is killed: every fact once, in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cti.core.facts import Fact
from cti.core.past import Wanted
from cti.stack.netports import LOOPBACK, free_tcp_port, release
from tests.real.ledger import STREAM, drained, fact, running, told, until
from tests.real.valkey_server import ValkeyServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]


@contextlib.asynccontextmanager
async def servers(folder: Path, *options: tuple[str, ...]) -> AsyncIterator[list[ValkeyServer]]:
    """One Valkey for each set of options, all of them ended at the end."""
    made = [ValkeyServer(folder / f"node{n}", free_tcp_port(), more) for n, more in enumerate(options)]
    try:
        for server in made:
            await server.start()
        yield made
    finally:
        for server in made:
            server.kill()
            release(server.port)


async def say(port: int, *words: str | int) -> Any:
    client: Any = Redis(host=LOOPBACK, port=port)
    try:
        return await client.execute_command(*words)
    finally:
        await client.aclose()


async def says(port: int, wanted: str, *words: str) -> None:
    """Until the answer has it: in text, or in the field of a mapping."""
    async with asyncio.timeout(20):
        while wanted not in str(await say(port, *words)):  # noqa: ASYNC110 (in another process)
            await asyncio.sleep(0.05)


async def form_cluster(nodes: list[ValkeyServer], buses: list[int]) -> None:
    """Give the nodes all slots and make them known to each other, as `valkey-cli --cluster create` does."""
    share = 16_384 // len(nodes) + 1
    for n, node in enumerate(nodes):
        await say(node.port, "CLUSTER", "ADDSLOTSRANGE", n * share, min((n + 1) * share, 16_384) - 1)
        await say(node.port, "CLUSTER", "SET-CONFIG-EPOCH", n + 1)
    for node, bus in zip(nodes[1:], buses[1:], strict=True):
        await say(nodes[0].port, "CLUSTER", "MEET", LOOPBACK, node.port, bus)
    for node in nodes:
        await says(node.port, "cluster_state:ok", "CLUSTER", "INFO")


async def test_a_ledger_on_a_cluster_of_three(tmp_path: Path) -> None:
    buses = [free_tcp_port() for _ in range(3)]
    options = [("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(bus))
               for bus in buses]  # fmt: skip
    async with servers(tmp_path, *options) as nodes:
        await form_cluster(nodes, buses)
        url = "redis+cluster://" + ",".join(f"{LOOPBACK}:{node.port}" for node in nodes)
        async with running(url, tmp_path / "spool.db") as ledger:
            for n in range(0, 600, 3):
                assert len(await ledger.append([fact(n), fact(n + 1, "530100-2.1"), fact(n + 2)])) == 3
            await drained(ledger)
            assert await told(ledger) == list(range(600))
            assert [f.at for _, f in await ledger.facts_of("530100-2.1")] == list(range(1, 600, 3))
            began = Fact("TransferStarted", 1, "530100-3.1", {"transfer": "530100-3.1-7", "to": "110", "seat": "1001"},
                         "live", "began")  # fmt: skip
            await ledger.append([began])
            await drained(ledger)
            assert [row.id for row in (await ledger.transfers.page(Wanted(seat="1001"), 5)).rows] == ["530100-3.1-7"]
            assert [row.id for row in (await ledger.transfers.page(Wanted(ref="530100-3.1"), 5)).rows] == [
                "530100-3.1-7"]  # fmt: skip
            owner = await holder(nodes)
            owner.kill()
            for n in range(600, 650):
                assert len(await ledger.append([fact(n)])) == 1
            assert ledger.backlog > 0
            await owner.start()
            await drained(ledger)
            assert await told(ledger) == [*range(600), 1, *range(600, 650)]
            assert (ledger.lost, ledger.conflicts) == (0, 0)


async def holder(nodes: list[ValkeyServer]) -> ValkeyServer:
    """The node that has the stream."""
    having = [node for node in nodes if await say(node.port, "DBSIZE")]
    assert len(having) == 1, "one hash tag, one node"
    return having[0]


async def test_a_master_that_is_killed_costs_no_fact(tmp_path: Path) -> None:
    """The replica lacks what the master had not passed on: it is given to it again from the local disk."""
    async with servers(tmp_path, (), ()) as (master, replica):
        await say(replica.port, "REPLICAOF", LOOPBACK, master.port)
        watch = tmp_path / "sentinel.conf"
        watch.write_text(
            f"sentinel monitor hotline {LOOPBACK} {master.port} 1\nsentinel down-after-milliseconds hotline 300\n"
            "sentinel failover-timeout hotline 3000\n", encoding="ascii")  # fmt: skip
        await says(replica.port, "'master_link_status': 'up'", "INFO", "replication")
        async with sentinel(tmp_path, watch) as port:
            await says(port, str(replica.port), "SENTINEL", "REPLICAS", "hotline")
            async with running(f"redis+sentinel://{LOOPBACK}:{port}/hotline/0", tmp_path / "spool.db") as ledger:
                await ledger.append([fact(n) for n in range(300)])
                await drained(ledger)
                replica.freeze()
                await say(master.port, "CLIENT", "KILL", "TYPE", "replica")  # from now on it gets nothing
                await ledger.append([fact(n) for n in range(300, 320)])
                await drained(ledger)
                master.kill()
                replica.thaw()
                assert await say(replica.port, "XLEN", STREAM) == 300
                began = time.monotonic()
                for n in range(320, 400):
                    assert len(await ledger.append([fact(n)])) == 1
                await until(lambda: not ledger.link_up)
                await drained(ledger)
                assert time.monotonic() - began < 15
                assert await told(ledger) == list(range(400)), "once each, in order, also what the replica had not"
                assert ledger.lost == 0


@contextlib.asynccontextmanager
async def sentinel(folder: Path, config: Path) -> AsyncIterator[int]:
    server = ValkeyServer(folder / "sentinel", free_tcp_port(), sentinel=config)
    try:
        await server.start()
        yield server.port
    finally:
        server.kill()
        release(server.port)
