"""An export as it leaves: facts in, pieces of a file out. Knows: both formats. Must not know: whence facts come,
whereto bytes go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Literal, TypeAlias, get_args

from cti.core.facts import CorruptFact, Fact, FactId
from cti.export import csvfile
from cti.export.parquet import ParquetRows
from cti.export.tables import Maker, Row

Format = Literal["csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
Told: TypeAlias = tuple[FactId, Fact | CorruptFact]

PAGE = 100
"""facts turned into bytes at one go, some 4 ms; then the loop, which also serves calls, has its turn"""


class Tally:
    """How far an export is."""

    facts = rows = corrupt = 0
    at_ms = 0
    """when the latest fact was written"""


async def pieces(maker: Maker, facts: AsyncIterable[Told], form: Format, tally: Tally | None = None,
                 ) -> AsyncIterator[bytes]:  # fmt: skip
    """The file, piece by piece. Raises what reading raises, and `NoParquet`."""
    tally = tally or Tally()
    out: list[bytes] = []
    parquet = ParquetRows(maker.columns, out.append) if form == "parquet" else None
    if parquet is None:
        yield csvfile.heading(maker.columns)
    async for page in _paged(facts, tally):
        rows = [row for fact_id, fact in page for row in maker.rows(fact_id, fact)]
        tally.rows += len(rows)
        if parquet is None:
            if rows:
                yield csvfile.lines(maker.columns, rows)
            continue
        await asyncio.to_thread(parquet.add, rows)  # every 10,000 rows it compresses, for some 20 ms
        for piece in _taken(out):
            yield piece
    if parquet is not None:
        await asyncio.to_thread(parquet.close)
        for piece in _taken(out):
            yield piece


async def _paged(facts: AsyncIterable[Told], tally: Tally) -> AsyncIterator[list[tuple[FactId, Fact]]]:
    page: list[tuple[FactId, Fact]] = []
    async for fact_id, fact in facts:
        tally.facts += 1
        tally.at_ms = fact_id.ms
        if isinstance(fact, Fact):
            page.append((fact_id, fact))
        else:
            tally.corrupt += 1
        if len(page) == PAGE:
            yield page
            page = []
            await asyncio.sleep(0)
    if page:
        yield page


def _taken(out: list[bytes]) -> Iterator[bytes]:
    if out:
        taken = b"".join(out)
        out.clear()
        yield taken


__all__ = ["FORMATS", "Format", "Row", "Tally", "Told", "pieces"]
