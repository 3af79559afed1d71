"""What the tests of the ledger share: a Valkey of the test's own and a ledger on it (fixtures; conftest.py imports
them), facts to tell, and waits."""

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

from cti.core.facts import Fact, FactId
from cti.ledger.ledger import Ledger
from cti.stack.netports import LOOPBACK, free_tcp_port, release
from tests.real.valkey_server import ValkeyServer

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


@contextlib.asynccontextmanager
async def running(url: str, spool: Path, *, linked: bool = True, now_ms: Callable[[], int] = wall_ms,
                  **more: Any) -> AsyncIterator[Ledger]:  # fmt: skip
    """A ledger at work; ``linked``: once it has met Redis."""
    ledger = Ledger(SITE, url, spool, now_ms=now_ms, **more)
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ledger.run())
            try:
                if linked:
                    await until(lambda: ledger.link_up)
                yield ledger
            finally:
                task.cancel()
    finally:
        await ledger.aclose()


@pytest.fixture
def opened(tmp_path: Path, port: int) -> Opener:
    def opened(*, spool: str = "spool.db", spool_bytes: int = 1 << 24,
               **more: Any) -> contextlib.AbstractAsyncContextManager[Ledger]:  # fmt: skip
        return running(f"redis://{LOOPBACK}:{port}/0", tmp_path / spool, spool_bytes=spool_bytes, **more)

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
