"""The phones' configurations over HTTPS: `/p/<the device's secret>/<its file>`, and nothing else.

Knows: aiohttp, who may have which file, how often one may ask. Must not know: where keys and directories come from.
Every refusal is the same 404 (429 when asked too often), so that neither seats nor files can be listed or guessed; the
secret is compared in constant time, and stands in no log.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from cti.directory import Directory
from cti.phones.book import Book, Handset
from cti.phones.render import FORMS, render_handset
from cti.phones.tokens import fits

log = structlog.get_logger(__name__)

FAILURES: Final = 10
ASKED: Final = 120
"""refusals, and answers, an address gets in a minute; then 429 till it is over (proposals: a phone asks for two or
three files at each start)"""
WINDOW_S: Final = 60.0
ADDRESSES: Final = 4096
"""addresses remembered; past that the one not seen for longest is forgotten"""
_FILE: Final = re.compile(r"(?:cfg)?([0-9a-f]{12})\.(cfg|xml)")
TYPES: Final[Mapping[str, str]] = {"cfg": "text/plain", "xml": "application/xml"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is given out now."""

    book: Book
    directory: Directory
    key: bytes = field(repr=False)


@dataclass(slots=True)
class Limit:
    """How often an address was answered, and refused, in its current minute."""

    clock: Callable[[], float] = time.monotonic
    _seen: OrderedDict[str, tuple[float, int, int]] = field(default_factory=OrderedDict)

    def wait(self, address: str) -> float:
        """Seconds it must wait; 0: it may ask."""
        began, asked, failed = self._row(address)
        over = failed >= FAILURES or asked >= ASKED
        return max(0.001, began + WINDOW_S - self.clock()) if over else 0.0

    def count(self, address: str, *, failed: bool) -> None:
        """One more."""
        began, asked, failures = self._row(address)
        self._seen[address] = (began, asked + 1, failures + failed)
        self._seen.move_to_end(address)
        while len(self._seen) > ADDRESSES:
            self._seen.popitem(last=False)

    def _row(self, address: str) -> tuple[float, int, int]:
        now = self.clock()
        row = self._seen.get(address)
        return row if row is not None and now - row[0] < WINDOW_S else (now, 0, 0)


class PhoneServer:
    """Serves until cancelled; ``port`` is known while ``ready`` is set. ``shelf``: asked at every request, so that an
    edited configuration is given out at once."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, shelf: Callable[[], Shelf],
                 limit: Limit | None = None) -> None:  # fmt: skip
        self._host, self.port, self._tls, self._shelf = host, port, tls, shelf
        self._limit = limit or Limit()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Open the port, serve, close in order. OSError: the port is taken."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/{way:.*}", self._answer)  # answers HEAD too
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)  # an access log would hold the secrets
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self.port, ssl_context=self._tls).start()
            self.port = runner.addresses[0][1]
            self.ready.set()
            await asyncio.Event().wait()
        finally:
            self.ready.clear()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        address = request.remote or ""
        if (seconds := self._limit.wait(address)) > 0:
            return web.Response(status=429, headers={"Retry-After": str(int(seconds) + 1)})
        found = _asked(request.path)
        shelf = self._shelf()
        handset = shelf.book.of_mac(found[1]) if found else None
        right = fits(shelf.key, handset, found[0]) if found else False
        if handset is None or found is None or not right or FORMS[handset.vendor].file_name(handset.mac) != found[2]:
            self._limit.count(address, failed=True)
            log.warning("phone_refused", address=address)
            return web.Response(status=404)
        self._limit.count(address, failed=False)
        return self._give(shelf, handset)

    def _give(self, shelf: Shelf, handset: Handset) -> web.Response:
        made = render_handset(handset, shelf.book, shelf.directory, shelf.key)
        log.info("phone_fetched", seat=handset.seat, vendor=handset.vendor)
        kind = TYPES[made.name.rsplit(".", 1)[-1]]
        return web.Response(text=made.text, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-store"})


def _asked(path: str) -> tuple[str, str, str] | None:
    """(secret, MAC, file) of a request's path; None for any other path."""
    parts = path.split("/")
    if len(parts) != 4 or parts[:2] != ["", "p"] or len(parts[2]) > 64:
        return None
    match = _FILE.fullmatch(parts[3])
    return (parts[2], match[1], parts[3]) if match else None


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate (PEM, the chain below it; its key in the same file or another).
    ssl.SSLError, OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


@dataclass(slots=True)
class Watched:
    """A shelf read again when one of its files changed; while they are wrong the last good one stands."""

    files: Callable[[], list[Path]]
    read: Callable[[], Shelf]
    """Raises ConfigError"""
    wrong: type[Exception]
    _stamp: tuple[tuple[str, int, int], ...] = ()
    _shelf: Shelf | None = None

    def __call__(self) -> Shelf:
        """What is given out now. Raises ``wrong`` only when there never was a good one."""
        stamp = tuple((str(p), s.st_mtime_ns, s.st_size) for p in self.files() if p.exists() and (s := p.stat()))
        if self._shelf is None or stamp != self._stamp:
            try:
                self._shelf = self.read()
            except self.wrong as why:
                if self._shelf is None:
                    raise
                log.error("phones_config_wrong", why=str(why)[:500])
            self._stamp = stamp
        return self._shelf
