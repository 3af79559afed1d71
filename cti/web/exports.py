"""`GET /api/v1/export/{table}`: the ledger in bulk, streaming; and what is done to the ledger itself, put on record.

Knows: tokens, the query's words, HTTP's streaming. Must not know: columns, formats, where facts come from. One export
at a time, for the same loop serves calls. An export with callers' numbers in clear is on record, with a name, before
its first byte leaves. One that breaks off in the middle ends without HTTP's own end: no client takes half a file for a
whole.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Literal

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core.facts import Fact
from cti.core.months import BadMonth, Month
from cti.export.parquet import NoParquet, arrow
from cti.export.stream import FORMATS, Format, Tally, Told, pieces
from cti.export.tables import LATE_MS, LEAD_MS, TABLES, Maker, Table
from cti.web.auth import Tokens, Who
from cti.web.problems import Refused
from cti.web.transfers import answer, checked, read_json
from cti.web.transfers_past import instant

log = structlog.get_logger(__name__)

TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
READERS = frozenset({"supervisor", "read-only"})
_KNOWN = ("from", "until", "format", "unmasked")
Id = Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,16}-[0-9]{1,10}$")]

class DoneBody(BaseModel):
    """What was done to a month of the ledger. ``chain``: the last link of its hash chain, if it has one."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["archived", "pruned"]
    month: Annotated[str, Field(strict=True, max_length=7)]
    entries: Annotated[int, Field(strict=True, ge=0)]
    first_id: Id
    last_id: Id
    manifest: Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")]
    chain: Annotated[str, Field(strict=True, max_length=128)] = ""

class ExportsApi:
    """``between``: facts written between two times (ms); it raises ConnectionError while the ledger is away. ``record``
    returns once facts are durable."""

    def __init__(self, tokens: Tokens, between: Callable[[int, int], AsyncIterator[Told]],
                 record: Callable[[list[Fact]], Awaitable[object]], now_us: Callable[[], int]) -> None:  # fmt: skip
        self._tokens, self._between, self._record, self._now = tokens, between, record, now_us
        self._one = asyncio.Lock()

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/export/{table}", self._export)
        app.router.add_post("/api/v1/ledger/done", self._done)

    async def _export(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        if who.role not in READERS:
            raise Refused("wrong-role")
        table, form, start, end, unmasked = self._asked(request)
        if unmasked:
            _named_supervisor(who)
        if form == "parquet":
            try:
                arrow()
            except NoParquet as why:
                raise Refused("no-parquet", str(why)) from None
        if self._one.locked():
            raise Refused("export-running")
        async with self._one:
            if unmasked:
                await self._record([self._fact("NumbersExported", who, table=table, format=form, from_at=start,
                                               until_at=end)])  # fmt: skip
            maker, tally = Maker(table, start, end, unmasked=unmasked), Tally()
            made = pieces(maker, self._between(max(0, start // 1000 - LEAD_MS), -(-end // 1000) + LATE_MS), form, tally)
            try:
                first = await anext(made)  # a ledger that is away is still a problem with a status
                if form == "csv":
                    first += await anext(made, b"")
            except ConnectionError:
                raise Refused("ledger-away") from None
            return await self._send(request, f"{table}-{start}-{end}.{form}", form, first, made, tally)

    async def _send(self, request: web.Request, name: str, form: Format, first: bytes, made: AsyncIterator[bytes],
                    tally: Tally) -> web.StreamResponse:  # fmt: skip
        stream = web.StreamResponse(headers={
            "Content-Type": TYPES[form], "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"'})  # fmt: skip
        await stream.prepare(request)
        try:
            await stream.write(first)
            async for piece in made:
                await stream.write(piece)
        except ConnectionResetError:
            return stream  # the client went; nobody waits for the rest
        except ConnectionError as why:
            log.warning("export_broken_off", reason=str(why), rows=tally.rows)
            if request.transport is not None:
                request.transport.abort()
            return stream
        await stream.write_eof()
        log.info("exported", rows=tally.rows, facts=tally.facts, corrupt=tally.corrupt)
        return stream

    def _asked(self, request: web.Request) -> tuple[Table, Format, int, int, bool]:
        wanted = request.match_info["table"]
        table = next((one for one in TABLES if one == wanted), None)
        if table is None:
            raise Refused("not-found", f"{wanted[:20]}: {', '.join(TABLES)}")
        for name in request.query:
            if name not in _KNOWN:
                raise Refused("invalid-field", f"{name}: 没有这个条件 / no such parameter; {', '.join(_KNOWN)}")
        form = next((one for one in FORMATS if one == request.query.get("format", "csv")), None)
        if form is None:
            raise Refused("invalid-field", f"format: 应为其一 / one of {', '.join(FORMATS)}")
        flag = request.query.get("unmasked", "0")
        if flag not in ("0", "1"):
            raise Refused("invalid-field", "unmasked: 0 或 1 / 0 or 1")
        start, end = instant(request.query, "from", -1), instant(request.query, "until", self._now())
        if start < 0:
            raise Refused("invalid-field", "from: 必填，如 2026-10-01 / is needed, e.g. 2026-10-01")
        if start >= end:
            raise Refused("invalid-field", "until: 应晚于 from / must be after from")
        return table, form, start, end, flag == "1"

    async def _done(self, request: web.Request) -> web.Response:
        who = self._who(request)
        _named_supervisor(who)
        body = checked(DoneBody, await read_json(request))
        try:
            month = Month.parse(body.month)
        except BadMonth as why:
            raise Refused("invalid-field", f"month: {why}") from None
        kind = {"archived": "LedgerArchived", "pruned": "LedgerPruned"}[body.what]
        fact = self._fact(kind, who, month=str(month), **body.model_dump(exclude={"what", "month"}))
        await self._record([fact])
        return answer({"recorded": kind, "month": str(month), "by": who.name}, 201)

    def _fact(self, kind: str, who: Who, **data: str | int) -> Fact:
        now = self._now()
        return Fact(kind, now, "", {"by": who.name, "role": who.role, **data}, "operator",
                    f"{kind}/{now}/{secrets.token_hex(4)}")  # fmt: skip

    def _who(self, request: web.Request) -> Who:
        return self._tokens.read(request.headers.get("Authorization", ""))

def _named_supervisor(who: Who) -> None:
    if who.role != "supervisor":
        raise Refused("wrong-role")
    if not re.fullmatch(r"\S.{0,39}", who.name):
        raise Refused("no-name")
