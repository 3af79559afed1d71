"""From the journal to Redis: in order, each fact once, whatever an earlier attempt or an earlier life has done.

Knows: what the stream may already have, and under which id. Must not know: who appends, when to try Redis again.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from cti.core.facts import FactId, IdMaker
from cti.ledger.journal import Journal
from cti.ledger.meter import LedgerMeter
from cti.ledger.query import Query
from cti.ledger.remembered import Remembered
from cti.ledger.rows import Spooled
from cti.ledger.spool import Spool, SpoolError
from cti.ledger.stream import LedgerStream

_log = structlog.get_logger(__name__)

CALLS = 5_000  # calls of which we keep in mind what the stream has


class Drain:
    """Moves rows of `journal` to `stream`. Shares `ids` and `remembered` with who appends."""

    def __init__(self, stream: LedgerStream, spool: Spool, journal: Journal, *, ids: IdMaker, remembered: Remembered,
                 meter: LedgerMeter) -> None:  # fmt: skip
        self._stream, self._spool, self._journal = stream, spool, journal
        self._ids, self._remembered, self._meter = ids, remembered, meter
        self._learned = False
        self._unsure_to = 0  # rows up to here were told before we knew what the stream has
        self._top: FactId | None = None  # of the stream, while nobody else writes to it
        self._there: OrderedDict[bytes, frozenset[bytes]] = OrderedDict()
        self.duplicates = self.conflicts = 0

    async def meet(self, query: Query, most: int, since_ms: int) -> None:
        """Number above the stream's top and learn the keys it has (once). Raises StreamAway."""
        self._top = await self._stream.meet()
        self._journal.doubt()  # not before it is there: what memory holds is worth something
        self._there.clear()
        self._ids.raise_to(self._top)
        if not self._learned:
            async for page in query.newest_keys(most, since_ms):
                for key, fact_id in page.items():
                    self._remembered.add_older(key, fact_id)
            with contextlib.suppress(SpoolError):  # then there is nothing to drain either
                self._unsure_to = await self._spool.last()
            self._learned = True

    async def run(self) -> None:
        """Move all that waits. Raises StreamAway or SpoolError; what is left is left as it was."""
        while rows := await self._journal.next():
            if self._top is None:
                self._top = await self._stream.top()
            top = self._top
            written = await self._standing([row for row in rows if row.id <= top])
            stand = {row.pos for row in written}
            written += (told := await self._told_before([row for row in rows if row.pos not in stand]))
            self.count_duplicates(len(told))
            if written:
                self._journal.moved(written)
            elif rows[0].id <= top:
                await self._displace(rows, top)
            else:
                await self._write(_rising(rows))
            if self._journal.crowded:
                await self._journal.tidy()
            self.report()

    async def _write(self, rows: Sequence[Spooled]) -> None:
        self._top = None  # until we know what became of it
        started = time.perf_counter()
        result = await self._stream.append([(row.id, row.fields) for row in rows])
        refused = {conflict.id for conflict in result.conflicts}  # looked at in the next round
        if not refused:
            self._top = rows[-1].id
        moved = [row for row in rows if row.id not in refused] if refused else rows
        self._meter.appended("redis", len(moved), time.perf_counter() - started)
        self._journal.moved(moved)

    async def _standing(self, rows: Sequence[Spooled]) -> list[Spooled]:
        """Those of `rows` that the stream has at their very id: an attempt that was thought lost, or a row that was
        moved and not yet forgotten when an earlier life ended."""
        if not rows:
            return []
        there = await self._stream.at([row.id for row in rows])
        return [row for row, found in zip(rows, there, strict=True) if found and found.get(b"key") == row.key]

    async def _told_before(self, rows: Sequence[Spooled]) -> list[Spooled]:
        """Those the stream has under an earlier id: journaled before we knew what an earlier life wrote.

        What we recall of the stream is bounded, a day read again from Asterisk's file is not: so for rows of that
        time the stream is asked, call by call.
        """
        known = [(row, self._remembered.get(row.key)) for row in rows]
        doubtful = [(row, fact_id) for row, fact_id in known if fact_id is not None and fact_id < row.id]
        there = await self._stream.at([fact_id for _, fact_id in doubtful]) if doubtful else []
        told = {row.pos: row for (row, _), at in zip(doubtful, there, strict=True) if at and at.get(b"key") == row.key}
        unsure = [row for row in rows if row.pos <= self._unsure_to and row.pos not in told]
        if unsure:
            await self._look_up({row.fields.get(b"ref", b"") for row in unsure} - {b""})
            told |= {row.pos: row for row in unsure if row.key in self._there.get(row.fields.get(b"ref", b""), ())}
        return list(told.values())

    async def _look_up(self, refs: set[bytes]) -> None:
        """Keep in mind what the stream has of these calls."""
        if new := sorted(refs - self._there.keys()):
            self._there.update(await self._stream.keys_of(new))
        for ref in refs:
            self._there.move_to_end(ref)
        while len(self._there) > max(CALLS, len(refs)):
            self._there.popitem(last=False)

    async def _displace(self, rows: Sequence[Spooled], top: FactId) -> None:
        """Give `rows` places above `top`: somebody else took theirs, or wrote behind them."""
        await self._stream.ping()  # else it is another Redis, which lacks them
        async with self._journal.turn:  # an append must not take one of the new ids
            if await self._journal.mend():
                return  # their places are others now
            changed = await self._spool.renumber(rows, top)  # no others: of those behind, Redis may have some
            for row in changed:
                self._remembered.add(row.key, row.id)
                self._ids.raise_to(row.id)
            self._journal.distrust()
        self._top = None
        self.conflicts += len(changed)
        self._meter.counted("conflict", len(changed))
        _log.error("ledger_conflict", facts=len(changed), top=str(top), hint="two services on one ledger?")

    def count_duplicates(self, facts: int) -> None:
        """Told again, and skipped."""
        if facts:
            self.duplicates += facts
            self._meter.counted("duplicate", facts)

    def forget_top(self) -> None:
        """Somebody wrote to the stream beside us."""
        self._top = None

    def report(self) -> None:
        """Tell how much waits."""
        self._meter.backlog(self._journal.waiting, self._spool.bytes)


def _rising(rows: Sequence[Spooled]) -> Sequence[Spooled]:
    """`rows` up to the first that would be refused for those before it, and be overtaken by those behind it."""
    for n in range(1, len(rows)):
        if rows[n].id <= rows[n - 1].id:
            return rows[:n]
    return rows
