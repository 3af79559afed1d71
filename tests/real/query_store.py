"""Two months of a small site in a real Valkey, the service's routes over it, and the commands (the fixture `store`;
conftest.py imports it)."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.clock import now_us
from cti.core.disputes import period
from cti.core.facts import Fact
from cti.core.model import Site
from cti.core.months import Month
from cti.ledger.ledger import Ledger
from cti.ledger.stream import LedgerStream
from cti.stack.netports import LOOPBACK, free_tcp_port, release
from cti.web.auth import Role, Tokens, Who
from cti.web.exports import ExportsApi
from cti.web.transfers import problems
from cti.web.transfers_past import PastTransfersApi
from tests.quarter import quarter, told
from tests.real.ledger import running
from tests.real.valkey_server import ValkeyServer

OLD, NEW = (Month.of(now_us() // 1000).plus(back) for back in (-3, -2))
KEY = b"k" * 32


@dataclass
class Store:
    """Two months of a small site in a Valkey, and a folder that looks like an instance's."""

    server: ValkeyServer
    facts: list[Fact]
    state: Path
    http: int
    tokens: Tokens

    @property
    def ended(self) -> dict[str, Fact]:
        return {str(f.data["transfer"]): f for f in self.facts if f.kind == "TransferEnded"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("query")
    server, http = ValkeyServer(folder / "valkey", free_tcp_port()), free_tcp_port()
    facts = [*quarter(period(str(OLD)), 7, seed=1), *quarter(period(str(NEW)), 7, seed=2)]
    now = [OLD.start_ms]

    async def fill() -> None:
        await server.start()
        async with running(server.url, folder / "spool.db", now_ms=lambda: now[0]) as ledger:
            assert await told(ledger, iter(facts), now) == len(facts)

    asyncio.run(fill())
    state = folder / "state"
    state.mkdir()
    (state / "instance.json").write_text(json.dumps({"site": "530100", "redis": server.port, "ports": {"http": http}}))
    (state / "instance.key").write_bytes(KEY)
    yield Store(server, facts, state, http, Tokens(hmac.new(KEY, b"http", "sha256").hexdigest()))
    server.kill()
    release(server.port)
    release(http)


@contextlib.asynccontextmanager
async def stream_of(store: Store) -> AsyncIterator[LedgerStream]:
    stream = LedgerStream("530100", store.server.url, timeout=10.0)
    try:
        yield stream
    finally:
        await stream.close()


@contextlib.asynccontextmanager
async def service(store: Store, tmp_path: Path) -> AsyncIterator[Ledger]:
    """The routes that ask the ledger, on the port that the instance's folder names, over a running ledger."""
    async with running(store.server.url, tmp_path / "service.db") as ledger:
        app = web.Application(middlewares=[problems])

        async def status(_: web.Request) -> web.Response:
            return web.json_response({"spool": ledger.backlog})

        app.router.add_get("/status", status)
        PastTransfersApi(lambda: Site(), store.tokens, ledger.transfers).add_to(app)
        ExportsApi(store.tokens, ledger.between, ledger.append, now_us).add_to(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, store.http).start()
            yield ledger
        finally:
            await runner.cleanup()


def headers(store: Store, role: Role = "supervisor", seat: str = "", name: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {store.tokens.make(Who(role, seat, name=name))}"}


async def get(store: Store, path: str, **who: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(
        f"http://{LOOPBACK}:{store.http}/api/v1{path}", headers=headers(store, **who)) as got:  # fmt: skip
        raw = await got.read()
        return got.status, json.loads(raw) if "json" in got.content_type else raw


async def cti(*words: str, env: dict[str, str] | None = None) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, list(words), env=env)
