"""The journal: the spool's file, and in memory what of it Redis does not have yet.

Knows: which rows are still to be moved, which may be forgotten. Must not know: Redis, ids, what a fact means.

In memory and on disk are the same rows as long as nothing went wrong (`_whole`). After a cancelled write, a disk error
or a long outage the file alone is asked, until both are the same again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice

import structlog

from cti.core.facts import FactId
from cti.ledger.rows import Added, Spooled
from cti.ledger.spool import Spool, SpoolError
from cti.ledger.stream import Entry

_log = structlog.get_logger(__name__)

FEW = 4  # rows at once in quiet times: the next append waits for 0.4 ms of our work at most
BATCH = 64  # rows at once, in one MULTI/EXEC: some 3 ms of work in which a call waits; 256 took up to 15
MOST = 20_000  # rows kept in memory while Redis is away, some 20 MB; and moved ones kept in the file
KEEP_S = 60.0
"""A replica that takes the master's place lacks the newest entries; what the file still has is given to it again."""
SWEEP = 64  # rows removed in one transaction, which an append may have to wait for: some 0.3 ms


class Journal:
    """A durable queue on `spool`. Whoever holds `turn` is the only one to add rows."""

    def __init__(self, spool: Spool, clock: Callable[[], float] = time.monotonic) -> None:
        self._spool, self._clock = spool, clock
        self.turn = asyncio.Lock()
        self._fresh: deque[Spooled] = deque()
        self._whole = False
        self._gone: dict[int, tuple[FactId, float]] = {}  # moved, and still in the file; since when
        self._cursor = 0  # all up to here is moved
        self._leaving = 0  # being taken out of the file: it counts them no more, `_gone` does
        self._sick = False
        self._files = 0  # of `Spool.corrupt_files`: how many were moved aside, and we know of it
        self._empty = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Facts that Redis does not have yet."""
        return len(self._fresh) if self._whole else max(0, self._spool.rows - len(self._gone) + self._leaving)

    async def emptied(self, seconds: float) -> None:
        """Until nothing waits, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.waiting:
                    self._empty.clear()
                    await self._empty.wait()

    async def pages(self) -> AsyncIterator[Sequence[Spooled]]:
        """All that waits, in order, page by page; what is added or moved meanwhile may be in it. Raises SpoolError."""
        if self._whole:
            yield list(self._fresh)
            return
        after = self._cursor
        while rows := await self._spool.head(BATCH, after):
            yield [row for row in rows if not self._forgotten(row)]
            after = rows[-1].pos

    def _forgotten(self, row: Spooled) -> bool:
        """Moved, though the file still has it."""
        return (old := self._gone.get(row.pos)) is not None and old[0] == row.id

    async def add(self, entries: Sequence[Entry]) -> int:
        """Make `entries` durable; see `Spool.add`. Raises SpoolError."""
        try:
            added = await self._spool.add(entries)
            if self._new_file:  # what memory has of the old one belongs before them
                await self._spool.remove([(row.pos, row.id) for row in added.rows])
                await self.mend()
                added = await self._spool.add(entries)
            while added.kept < len(entries) and (old := self._old(self._clock())):  # full of what Redis has
                await self._forget(old)
                more = await self._spool.add(entries[added.kept :])
                added = Added(added.kept + more.kept, added.rows + more.rows)
        except BaseException:  # cancelled, the file may have them all the same
            self.distrust()
            raise
        if self._whole:
            self._fresh.extend(added.rows)
            if len(self._fresh) > MOST:
                self.distrust()
        return added.kept

    @property
    def _new_file(self) -> bool:
        return self._spool.corrupt_files != self._files

    async def mend(self) -> bool:
        """Whoever has the turn: if the file was moved aside and a new one begun, what memory has of the old one is
        written to it. Return whether it was so. Raises SpoolError."""
        mended = False
        while self._new_file:
            files = self._spool.corrupt_files
            await self._spool.add([(row.id, row.fields) for row in self._fresh])
            self._files, mended = files, True
            self._renew()
        return mended

    def _renew(self) -> None:
        self._gone.clear()  # places of the old file
        self._cursor = 0
        self.distrust()

    def distrust(self) -> None:
        """Ask the file what is to be moved: it may not be what we remember."""
        if self._whole and self._new_file:
            return  # memory is all there is, until `mend`
        self._whole = False
        self._fresh.clear()

    async def next(self) -> Sequence[Spooled]:
        """The next rows to be moved, in order; empty when there are none. Raises SpoolError."""
        if self._whole:
            return list(islice(self._fresh, BATCH if len(self._fresh) > 4 * BATCH else FEW))
        rows = await self._head()
        if len(rows) == BATCH or (rows and self.turn.locked()):  # who has the turn may wait until these are moved
            return rows
        async with self.turn:  # nobody adds: what the file has now is all there is
            rows = await self._head()
            if len(rows) < BATCH:
                self._fresh, self._whole = deque(rows), True
        return rows

    async def _head(self) -> Sequence[Spooled]:
        """What the file has, less what it should have forgotten and could not."""
        if self._new_file:  # and nothing of the old one in memory
            self._files = self._spool.corrupt_files
            self._renew()
        after, found = self._cursor, list[Spooled]()
        while len(found) < BATCH and (rows := await self._spool.head(BATCH, after)):
            after = rows[-1].pos
            found += [row for row in rows if not self._forgotten(row)]
        if found:
            self._cursor = found[0].pos - 1
        return found[:BATCH]

    def moved(self, rows: Sequence[Spooled]) -> None:
        """Redis has these. The file forgets them `KEEP_S` later, many at once."""
        now = self._clock()
        for row in rows:
            self._gone[row.pos] = row.id, now
        if not self._whole:
            if not self.waiting:
                self._empty.set()
            return
        if len(rows) <= len(self._fresh) and all(a is b for a, b in zip(rows, self._fresh, strict=False)):
            for _ in rows:
                self._fresh.popleft()
        else:
            places = {row.pos for row in rows}
            self._fresh = deque(row for row in self._fresh if row.pos not in places)
        if not self._fresh:
            self._empty.set()

    def doubt(self) -> None:
        """Redis was away, or is another one now: what it was given lately is to be looked for there again."""
        self._gone.clear()
        self._cursor = 0
        self.distrust()

    @property
    def crowded(self) -> bool:
        """More is kept for a new master than is meant to be."""
        return len(self._gone) > MOST

    async def tidy(self, keep_s: float = KEEP_S) -> None:
        """Have the file forget what was moved longer ago. Never raises: what stays is known as moved when it is read
        again."""
        until = self._clock() - keep_s
        try:
            while rows := self._old(until):
                await self._forget(rows)
        except SpoolError as error:
            if not self._sick:
                _log.error("spool_unusable", reason=str(error), cure="disk full? Facts go on to Redis meanwhile")
            self._sick = True
        else:
            self._sick = False

    async def _forget(self, rows: Sequence[tuple[int, FactId]]) -> None:
        self._leaving += len(rows)
        try:
            await self._spool.remove(rows)
            for pos, _ in rows:
                self._gone.pop(pos, None)
        finally:
            self._leaving -= len(rows)
        if not self.waiting:
            self._empty.set()

    def _old(self, until: float) -> list[tuple[int, FactId]]:
        many = self.crowded
        return [(pos, fact_id) for pos, (fact_id, at) in islice(self._gone.items(), SWEEP) if many or at <= until]
