"""Past transfers by page: newest first, each once, however many arrive meanwhile.

Knows: the indexes of projections/transfers.py. Must not know: what made them, HTTP. Every method raises StreamAway.

A page begins below the last row of the one before, (start, name), not after so many rows: what arrives meanwhile stands
above it and moves nothing. What the ledger learns late (a service that was away) takes its place by when it started:
below the reader's place it is told, above it is not; nothing is ever told twice.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from cti.core.facts import Fact, FactId, decode
from cti.core.past import OPEN, Page, Past, Place, Told, Wanted, past
from cti.ledger.projections.transfers import month_of
from cti.ledger.stream import LedgerStream
from cti.ledger.walk import facts

CHUNK = 200
"""rows a round trip"""
MOST_SCANNED = 5_000
"""rows looked at for one page: it may be short then, and is not the last"""
MOST_FOUND = 5_000
"""calls of a caller; more is no caller but a mask"""
EDGE_MS = 60_000
"""a story's other facts lie so near those of its row"""
_END = "\xff"


class TooMany(ValueError):
    """More than can be sorted at once: time must be narrowed."""


class PastTransfers:
    """Reads the transfers of one site."""

    def __init__(self, stream: LedgerStream) -> None:
        self._stream, self._keys = stream, stream.keys

    async def page(self, wanted: Wanted, limit: int, below: Place | None = None) -> Page:
        """Up to ``limit`` rows. Raises TooMany for a caller's mask that fits thousands of calls."""
        if wanted.ref or wanted.caller:
            names = await (self._of_call(wanted.ref) if wanted.ref else self._of_caller(wanted))
            found = [row for row in await self._rows(names) if wanted.holds(row)]
            found = sorted((row for row in found if below is None or _place(row) < below), key=_place, reverse=True)
            return Page(found[:limit], _place(found[limit - 1]) if len(found) > limit else None)
        rows: list[Past] = []
        scanned = 0
        async for places in self._walk(wanted, below):
            by_name = {row.id: row for row in await self._rows([name for _, name in places])}
            for place in places:
                row = by_name.get(place[1])
                if row is not None and wanted.holds(row):
                    rows.append(row)
                    if len(rows) == limit:
                        return Page(rows, place)
            scanned += len(places)
            if scanned >= MOST_SCANNED:
                return Page(rows, places[-1])
        return Page(rows, None)

    async def one(self, name: str) -> Past | None:
        """The row of one transfer."""
        return next(iter(await self._rows([name])), None)

    async def facts(self, row: Past) -> list[Fact]:
        """The facts of its call: by the call's index, or, once that has expired, by the span in which they stand."""
        ids = await self._stream.ids_of(row.ref)
        if ids:
            rows = [decode(one) for one in await self._stream.at(ids) if one]
        else:
            rows = [fact async for _, fact in facts(self._stream, row.first_ms - EDGE_MS, row.last_ms + EDGE_MS)]
        return [fact for fact in rows if isinstance(fact, Fact) and fact.ref == row.ref]

    async def before(self, at: int) -> AsyncIterator[list[Past]]:
        """Every row that started before ``at`` (µs), newest first, in chunks."""
        async for places in self._walk(Wanted(end=at), None):
            yield await self._rows([name for _, name in places])

    async def _walk(self, wanted: Wanted, below: Place | None) -> AsyncIterator[list[Place]]:
        """Places of the narrowest index, newest first."""
        key = self._keys.transfers
        if wanted.own or wanted.seat:
            key = self._keys.transfers_of("seat", wanted.own or wanted.seat)
        elif wanted.outcome not in ("", OPEN):
            key = self._keys.transfers_of("outcome", wanted.outcome)
        top = str(below[0]) if below is not None and below[0] < wanted.end else f"({wanted.end}"
        past_those, offset = below, 0
        while True:
            ask = ("ZRANGE", key, top, wanted.start, "BYSCORE", "REV", "LIMIT", offset, CHUNK, "WITHSCORES")
            flat: list[bytes] = (await self._stream.ask([ask]))[0]
            places = _places(flat)
            if not places:
                return
            fresh = [place for place in places if past_those is None or place < past_those]
            if fresh:
                yield fresh
                past_those, offset, top = fresh[-1], 0, str(fresh[-1][0])
            else:  # more of one instant than a chunk
                offset += CHUNK

    async def _of_call(self, ref: str) -> list[str]:
        return await self._named(self._keys.transfer_ids, [f"{ref}-"])

    async def _of_caller(self, wanted: Wanted) -> list[str]:
        refs: list[str] = []
        for month in await self._months(wanted):
            ask = ("ZRANGE", self._keys.callers(month), f"[{wanted.caller}", f"[{wanted.caller}{_END}", "BYLEX",
                   "LIMIT", 0, MOST_FOUND)  # fmt: skip
            refs += [member.decode().partition("|")[2] for member in (await self._stream.ask([ask]))[0]]
            if len(refs) >= MOST_FOUND:
                raise TooMany(wanted.caller)
        return await self._named(self._keys.transfer_ids, [f"{ref}-" for ref in refs])

    async def _named(self, key: str, prefixes: Sequence[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(prefixes), CHUNK):
            asks = [("ZRANGE", key, f"[{one}", f"[{one}{_END}", "BYLEX") for one in prefixes[start : start + CHUNK]]
            found += [name.decode() for names in await self._stream.ask(asks) for name in names]
        return found

    async def _months(self, wanted: Wanted) -> list[str]:
        """Months that calls of these transfers can have begun in: a week before the span too, for a call in it may
        have begun before."""
        oldest = await self._stream.read(None, 1)
        if not oldest:
            return []
        low = max(wanted.start // 1_000_000, oldest[0][0].ms // 1000) - 7 * 86_400
        high = min(wanted.end // 1_000_000, (await self._stream.top()).ms // 1000)
        days = range(max(0, low), high + 86_400, 86_400)
        return sorted({month_of(f"0-{second}.0") for second in days} | {month_of(f"0-{high}.0")})

    async def _rows(self, names: Sequence[str]) -> list[Past]:
        """Rows of these names that are there, in their order."""
        rows: list[Past] = []
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            refs = [name.rpartition("-")[0] for name in chunk]
            asks: list[tuple[bytes | str | int, ...]] = [("HGETALL", self._keys.transfer(name)) for name in chunk]
            asks += [("HGET", self._keys.arrivals(month_of(ref)), ref) for ref in refs]
            said = await self._stream.ask(asks)
            for name, fields, arrival in zip(chunk, said[: len(chunk)], said[len(chunk) :], strict=True):
                hotline, _, caller = (arrival or b"").decode("utf-8", "replace").partition(" ")
                row = past(name, _told(fields), hotline, caller)
                if row is not None:
                    rows.append(row)
        return rows


def _told(fields: Any) -> Mapping[str, Told]:
    """HGETALL's answer: a mapping, or a flat list, as the client makes it."""
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    read: dict[str, tuple[FactId, Told]] = {}
    for field, value in pairs:
        kind, _, fact_id = field.decode().partition(" ")
        at, _, data = value.partition(b" ")
        one = FactId.parse(fact_id)
        if kind not in read or one < read[kind][0]:  # told twice, the first counts, as in the ledger
            read[kind] = one, Told(one.ms, int(at), json.loads(data.decode("utf-8", "surrogatepass")))
    return {kind: told for kind, (_, told) in read.items()}


def _places(flat: Sequence[Any]) -> list[Place]:
    """ZRANGE WITHSCORES' answer: pairs, or a flat list."""
    pairs = flat if flat and isinstance(flat[0], list | tuple) else list(zip(flat[::2], flat[1::2], strict=True))
    return [(int(float(score)), name.decode()) for name, score in pairs]


def _place(row: Past) -> Place:
    return row.started_at, row.id
