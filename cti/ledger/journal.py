"""The journal: the spool's file, and in memory what of it Redis does not have yet.

Knows: which rows are still to be moved, which may be forgotten. Must not know: Redis, ids, what a fact means.

In memory and on disk are the same rows as long as nothing went wrong (`_whole`). After a cancelled write, a disk error
or a long outage the file alone is asked, until both are the same again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from itertools import islice

import structlog

from cti.ledger.spool import Spool, Spooled, SpoolError
from cti.ledger.stream import Entry

_log = structlog.get_logger(__name__)

BATCH = 256  # rows at once: some 5 ms of work, in one MULTI/EXEC
MOST = 20_000  # rows kept in memory while Redis is away: some 20 MB
SWEEP = 64  # rows removed in one transaction, which an append may have to wait for: some 0.3 ms


class Journal:
    """A durable queue on `spool`. Whoever holds `turn` is the only one to add rows."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.turn = asyncio.Lock()
        self._fresh: deque[Spooled] = deque()
        self._whole = False
        self._gone: dict[int, Spooled] = {}  # moved, and still in the file
        self._sick = False
        self._empty = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Facts that Redis does not have yet."""
        return len(self._fresh) if self._whole else max(0, self._spool.rows - len(self._gone))

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
        after = 0
        while rows := await self._spool.head(BATCH, after):
            yield [row for row in rows if not self._forgotten(row)]
            after = rows[-1].pos

    def _forgotten(self, row: Spooled) -> bool:
        """Moved, though the file still has it."""
        return (old := self._gone.get(row.pos)) is not None and old.id == row.id

    async def add(self, entries: Sequence[Entry]) -> int:
        """Make `entries` durable; see `Spool.add`. Raises SpoolError."""
        try:
            added = await self._spool.add(entries)
        except BaseException:  # cancelled, the file may have them all the same
            self.distrust()
            raise
        if self._whole:
            self._fresh.extend(added.rows)
            if len(self._fresh) > MOST:
                self.distrust()
        return added.kept

    def distrust(self) -> None:
        """Ask the file what is to be moved: it may not be what we remember."""
        self._whole = False
        self._fresh.clear()

    async def next(self) -> Sequence[Spooled]:
        """The next rows to be moved, in order; empty when there are none. Raises SpoolError."""
        if self._whole:
            return list(islice(self._fresh, BATCH))
        await self._sweep()
        rows = await self._head()
        if len(rows) == BATCH:
            return rows
        async with self.turn:  # nobody adds: what the file has now is all there is
            rows = await self._head()
            if len(rows) < BATCH:
                self._fresh, self._whole = deque(rows), True
        return rows

    async def _head(self) -> Sequence[Spooled]:
        """What the file has, less what it should have forgotten and could not."""
        after, found = 0, list[Spooled]()
        while len(found) < BATCH and (rows := await self._spool.head(BATCH, after)):
            after = rows[-1].pos
            found += [row for row in rows if not self._forgotten(row)]
        return found[:BATCH]

    def moved(self, rows: Sequence[Spooled]) -> None:
        """Redis has these for certain. The file forgets them later, many at once."""
        for row in rows:
            self._gone[row.pos] = row
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

    async def tidy(self, most: int = 4 * SWEEP) -> None:
        """Have the file forget what was moved, once it is more than `most` rows. Never raises: what stays is known as
        moved when it is read again."""
        if len(self._gone) <= most:
            return
        try:
            await self._sweep()
        except SpoolError as error:
            if not self._sick:
                _log.error("spool_unusable", reason=str(error), cure="disk full? Facts go on to Redis meanwhile")
            self._sick = True
        else:
            self._sick = False

    async def _sweep(self) -> None:
        while rows := list(islice(self._gone.values(), SWEEP)):
            await self._spool.remove(rows)
            for row in rows:
                self._gone.pop(row.pos, None)
