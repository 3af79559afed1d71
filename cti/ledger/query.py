"""How the ledger is read: all of it in order, one call, a span of time; and how its projections are rebuilt.

Knows: that a fact stands in the stream or, while Redis was away, still in the spool, and may move from there
to here while we read. Must not know: how facts are written.

Every method raises StreamAway when Redis does not answer: half a history must not pass for a whole one. A spool that
cannot be read is logged and left out: nothing more will be known while the disk is ill.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeAlias

import structlog

from cti.core.facts import CorruptFact, Fact, FactId, decode
from cti.ledger.journal import Journal
from cti.ledger.projected import rebuild
from cti.ledger.spool import SpoolError
from cti.ledger.stream import Entry, LedgerStream

_log = structlog.get_logger(__name__)

Told: TypeAlias = tuple[FactId, Fact | CorruptFact]

PAGE = 500  # entries a round trip: some 10 ms of parsing, so that calls in the same loop do not wait longer


class Query:
    """Reads `stream` and, behind it, `journal`."""

    def __init__(self, stream: LedgerStream, journal: Journal) -> None:
        self._stream = stream
        self._journal = journal

    async def since(self, first: FactId | None) -> AsyncIterator[Told]:
        """Every fact from `first` on (None: the oldest), once, in order: the stream, then what is spooled.

        What is appended meanwhile may be told too. To go on later, ask from the last id's `after()`.
        """
        async for fact_id, fields in self._entries(first):
            yield fact_id, decode(fields)
            first = fact_id.after()
        waiting = await self._spooled()
        moved = set()  # drained between the end of the stream and the look into the spool
        async for fact_id, fields in self._entries(first):
            moved.add(fields.get(b"key"))
            yield fact_id, decode(fields)
        for fact_id, fields in waiting:
            if fields.get(b"key") not in moved and (first is None or fact_id >= first):
                yield fact_id, decode(fields)

    async def between(self, start_ms: int, end_ms: int) -> AsyncIterator[Told]:
        """Facts *written* in `[start_ms, end_ms)`, which is not always when they happened."""
        async for fact_id, fields in self._entries(FactId(start_ms, 0), FactId(end_ms, 0)):
            if fact_id.ms < end_ms:
                yield fact_id, decode(fields)

    async def facts_of(self, ref: str) -> list[tuple[FactId, Fact]]:
        """The facts of one call, in order; empty for an unknown call or one whose index has expired.

        For those see `trace`. Entries that are no facts belong to no call.
        """
        # The spool first: what is drained in between is then seen twice, not never.
        spooled = await self._spooled(ref.encode("utf-8", "surrogatepass"))
        found: dict[str, tuple[FactId, Fact]] = {}
        ids = await self._stream.ids_of(ref)
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            there = await self._stream.at(page)
            _collect(found, ref, [(i, fields) for i, fields in zip(page, there, strict=True) if fields])
        _collect(found, ref, spooled)
        return list(found.values())

    async def trace(self, ref: str, start_ms: int, end_ms: int) -> list[tuple[FactId, Fact]]:
        """Like `facts_of` without the index: walks what was written in `[start_ms, end_ms)`. Slow."""
        return [
            (fact_id, fact)
            async for fact_id, fact in self.between(start_ms, end_ms)
            if isinstance(fact, Fact) and fact.ref == ref
        ]

    async def newest_keys(self, most: int, since_ms: int) -> AsyncIterator[Mapping[bytes, FactId]]:
        """Keys of the newest entries, newest page first: at most `most`, none from before `since_ms`."""
        below: FactId | None = None
        while most > 0:
            page = await self._stream.tail(min(PAGE, most), below)
            young = {fields.get(b"key", b""): fact_id for fact_id, fields in page if fact_id.ms >= since_ms}
            if young:
                yield young
            if len(page) < min(PAGE, most) or page[-1][0].ms < since_ms:
                return
            most -= len(page)
            below = page[-1][0]

    async def recent_keys(self, since_ms: int) -> set[str]:
        """Keys of everything written since `since_ms` (milliseconds), spooled facts included."""
        keys = {_key(fields) for fact_id, fields in await self._spooled() if fact_id.ms >= since_ms}
        async for _, fields in self._entries(FactId(since_ms, 0)):
            keys.add(_key(fields))
        return keys

    async def rebuild(self, since_ms: int = 0, progress: Callable[[int], None] | None = None) -> int:
        """Write the projections again from the stream; return the number of entries walked. ``progress``: told that
        number after each page.

        See `LedgerStream.rebuild`.
        """
        return await rebuild(self._stream, since_ms, progress)

    async def _entries(self, first: FactId | None, last: FactId | None = None) -> AsyncIterator[Entry]:
        while page := await self._stream.read(first, PAGE, last):
            for entry in page:
                yield entry
            first = page[-1][0].after()

    async def _spooled(self, ref: bytes | None = None) -> list[Entry]:
        """What waits, of one call or (None) of all; page by page, for it may be a day's."""
        found: list[Entry] = []
        try:
            async for rows in self._journal.pages():
                found += [(row.id, row.fields) for row in rows if ref is None or row.fields.get(b"ref") == ref]
        except SpoolError as error:  # what Redis has is worth telling; the disk's share is told when it is mended
            _log.error("spool_unusable", reason=str(error))
        return found


def _collect(found: dict[str, tuple[FactId, Fact]], ref: str, entries: list[Entry]) -> None:
    for fact_id, fields in entries:
        fact = decode(fields)
        if isinstance(fact, Fact) and fact.ref == ref:
            found.setdefault(fact.key, (fact_id, fact))


def _key(entry: Mapping[bytes, bytes]) -> str:
    return entry.get(b"key", b"").decode("utf-8", "replace")
