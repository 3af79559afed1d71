"""`/api/v1/calls/{ref}/recordings`: what was recorded of a call, and the files, to a supervisor alone.

Knows: tokens, the folder's entries. Must not know: how anything is recorded. A file is given out only once the ledger
has it that it was (`RecordingHeard`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Protocol

from aiohttp import web

from cti.core import events as e
from cti.core.ids import is_ref
from cti.core.recordings import read_name
from cti.recordings.folder import Entry, Folder
from cti.web.auth import Tokens
from cti.web.problems import Refused
from cti.web.transfers import answer

TYPES = {"wav": "audio/wav", "alaw": "audio/x-alaw-basic", "ulaw": "audio/basic", "gsm": "audio/x-gsm"}


class Purges(Protocol):
    """The keeper of the recordings."""

    async def purge(self, thorough: bool = False) -> list[Entry]:
        """Delete what is expired."""


class RecordingsApi:
    """Routes of recordings. ``tell`` puts an event on record and returns then."""

    def __init__(self, folder: Folder, keeper: Purges, tell: Callable[[e.Event, str], Awaitable[object]],
                 tokens: Tokens, now_us: Callable[[], int]) -> None:  # fmt: skip
        self._folder, self._keeper, self._tell, self._tokens, self._now = folder, keeper, tell, tokens, now_us

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/calls/{ref}/recordings", self._list)
        app.router.add_get("/api/v1/calls/{ref}/recordings/{name}", self._file)
        app.router.add_post("/api/v1/recordings/purge", self._purge)

    async def _list(self, request: web.Request) -> web.Response:
        self._supervisor(request)
        ref = _ref(request)
        entries = await self._entries(ref)
        shown = [{**asdict(entry), "href": f"/api/v1/calls/{ref}/recordings/{entry.file.partition('/')[2]}"}
                 for entry in entries]  # fmt: skip
        return answer({"call": ref, "recordings": shown}, 200)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        token = self._supervisor(request)
        ref, name = _ref(request), request.match_info["name"]
        entry = next((one for one in await self._entries(ref) if one.file.endswith(f"/{name}")), None)
        if entry is None:
            raise Refused("no-recording")
        path = self._folder.path(entry.file)
        if not await asyncio.to_thread(path.is_file):
            raise Refused("no-recording")
        now = self._now()
        heard = e.RecordingHeard(ref, now, entry.file, "supervisor", token)
        await self._tell(heard, f"heard/{entry.file}/{now}/{secrets.token_hex(4)}")
        named = read_name(entry.file)
        assert named is not None
        return web.FileResponse(path, headers={
            "Content-Type": TYPES[named.format], "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"', "X-Content-SHA256": entry.sha256})  # fmt: skip

    async def _purge(self, request: web.Request) -> web.Response:
        self._supervisor(request)
        gone = await self._keeper.purge(thorough=True)
        return answer({"deleted": [entry.file for entry in gone]}, 200)

    async def _entries(self, ref: str) -> list[Entry]:
        return await asyncio.to_thread(lambda: list(self._folder.entries(ref=ref)))

    def _supervisor(self, request: web.Request) -> str:
        """What tells this token apart on record. Raises `Refused`: not-signed-in, wrong-role."""
        header = request.headers.get("Authorization", "")
        if self._tokens.read(header).role != "supervisor":
            raise Refused("wrong-role")
        return hashlib.sha256(header.encode()).hexdigest()[:12]


def _ref(request: web.Request) -> str:
    ref = request.match_info["ref"]
    if not is_ref(ref):
        raise Refused("unknown-call")
    return ref
