"""A span of the stream from end to end, in pages. Knows: nothing but ids. Must not know: spools (what waits there is of
the last minutes), what entries mean. Raises StreamAway."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cti.core.facts import CorruptFact, Fact, FactId, decode
from cti.ledger.stream import Entry, LedgerStream

PAGE = 500


async def walk(stream: LedgerStream, start_ms: int, end_ms: int) -> AsyncIterator[Entry]:
    """Entries written in ``[start_ms, end_ms)``, in order."""
    first = FactId(max(0, start_ms), 0)
    while page := await stream.read(first, PAGE, FactId(end_ms, 0)):
        for entry in page:
            if entry[0].ms < end_ms:
                yield entry
        first = page[-1][0].after()


async def facts(stream: LedgerStream, start_ms: int, end_ms: int) -> AsyncIterator[tuple[FactId, Fact | CorruptFact]]:
    """The same, as facts."""
    async for fact_id, fields in walk(stream, start_ms, end_ms):
        yield fact_id, decode(fields)
