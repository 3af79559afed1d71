"""HTTP: `/healthz` (the process answers), `/readyz` (it can do its work), `/metrics`, `/status` (for `cti status`).

Knows: aiohttp. Must not know: Asterisk, Redis; what it shows comes through two functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


class Api(Protocol):
    """A set of routes."""

    def add_to(self, app: web.Application) -> None:
        """Put the routes on the application."""


class WebServer:
    """Serves until cancelled; ``ready`` is set while the port is open."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry,
                 links: Callable[[], Mapping[str, bool]], status: Callable[[], Mapping[str, object]],
                 apis: Sequence[Api] = ()) -> None:  # fmt: skip
        self._host, self._port = host, port
        self._registry, self._links, self._status = registry, links, status
        self._apis = apis
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Open the port, serve, close in order."""
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/status", self._show)
        for api in self._apis:
            api.add_to(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
            self.ready.set()
            await asyncio.Event().wait()
        finally:
            self.ready.clear()
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        links = dict(self._links())
        ready = all(links.values())
        return web.json_response({"ready": ready, "links": links}, status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        """OpenMetrics, which alone carries exemplars, to who asks for it."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response(dict(self._status()))
