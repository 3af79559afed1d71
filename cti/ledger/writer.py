"""How facts become durable: numbered, told apart from repeats, written to Redis or spooled, drained in order.

Knows: the order of things between stream and spool. Must not know: when to try Redis again (ledger.py does),
what a fact means.

A fact gets its id before the first attempt and keeps it, so that an attempt whose answer was lost can be
repeated anywhere without doubling (see stream.py). While the spool is not empty new facts go there too: that
keeps the order.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from cti.core.facts import Fact, FactId, IdMaker, encode
from cti.ledger.meter import LedgerMeter
from cti.ledger.query import Query
from cti.ledger.remembered import Remembered
from cti.ledger.spool import Spool, Spooled, SpoolError
from cti.ledger.stream import Entry, Fields, LedgerStream, StreamAway

_log = structlog.get_logger(__name__)

CALLS = 5_000  # calls of which the drain keeps in mind what the stream has
BATCH = 256  # facts in one MULTI/EXEC: some 5 ms, well inside the append's time-out


@dataclass(slots=True, eq=False)
class _Slip:
    """A fact on its way. `id` None: it was lost. `new` False: it was told before, `id` says where."""

    fields: Fields
    id: FactId | None
    new: bool


@dataclass(slots=True, eq=False)
class _Order:
    """One call of `append`. Once it is numbered (`slips`) it must be finished."""

    facts: Sequence[Fields]
    slips: list[_Slip] | None = None
    settled: bool = False


class Writer:
    """Writes to `stream`, or to `spool`. Calls `wake` when there is something for `Ledger.run` to do."""

    def __init__(
        self,
        stream: LedgerStream,
        spool: Spool,
        *,
        now_ms: Callable[[], int],
        meter: LedgerMeter,
        append_timeout: float,
        remembered: int,
        wake: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._spool = spool
        self._now_ms = now_ms
        self._meter = meter
        self._append_timeout = append_timeout
        self._remembered = Remembered(remembered)
        self._most_remembered = remembered
        self._wake = wake
        self._ids = IdMaker()
        self._turn = asyncio.Lock()
        self._orders: list[_Order] = []
        self._opened = False
        self._learned = False
        self._unsure_to = 0  # rows of the spool up to here were told before we knew what the stream has
        self._there: OrderedDict[bytes, frozenset[bytes]] = OrderedDict()
        self.link_up = False
        self.lost = self.duplicates = self.conflicts = 0

    # ---- appending

    async def append(self, facts: Sequence[Fact]) -> list[FactId]:
        """See `Ledger.append`. Concurrent calls are written together, by whoever has the turn."""
        if not facts:
            return []
        order = _Order([encode(fact) for fact in facts])
        self._orders.append(order)
        try:
            async with self._turn:
                if not order.settled:
                    await self._settle()
        except asyncio.CancelledError:
            if order.slips is None:
                self._orders.remove(order)
            elif not order.settled:
                self._wake()  # perhaps half way to Redis: `finish` does the rest
            raise
        return [slip.id for slip in order.slips or () if slip.id is not None]

    async def finish(self) -> None:
        """Write what a cancelled `append` left behind."""
        if self._orders:
            async with self._turn:
                await self._settle()

    async def _settle(self) -> None:
        await self._open()
        orders = list(self._orders)
        for order in orders:
            if order.slips is None:
                order.slips = [self._number(fields) for fields in order.facts]
        slips = [slip for order in orders for slip in order.slips or () if slip.new]
        if slips:
            await self._store(slips)
        for order in orders:
            order.settled = True
        del self._orders[: len(orders)]

    def _number(self, fields: Fields) -> _Slip:
        key = fields[b"key"]
        if (known := self._remembered.get(key)) is not None:
            self._count_duplicates(1)
            return _Slip(fields, known, new=False)
        fact_id = self._ids.next(self._now_ms())
        self._remembered.add(key, fact_id)
        return _Slip(fields, fact_id, new=True)

    async def _store(self, slips: Sequence[_Slip]) -> None:
        rest = slips
        if self.link_up and self._spool.rows == 0:
            rest = await self._to_redis(slips)
        if rest:
            rest = await self._to_spool(rest)
        for slip in rest:
            slip.id = None
            self._remembered.forget(slip.fields[b"key"])
        if rest:
            self.lost += len(rest)
            self._meter.counted("lost", len(rest))
            _log.error("facts_lost", facts=len(rest), backlog=self._spool.rows)

    async def _to_redis(self, slips: Sequence[_Slip]) -> Sequence[_Slip]:
        """Return those it did not take, because it is away or another writer stands in their place."""
        done = 0
        displaced: list[_Slip] = []
        try:
            while done < len(slips) and not displaced:
                batch = slips[done : done + BATCH]
                started = time.perf_counter()
                result = await self._stream.append(_entries(batch), self._append_timeout)
                done += len(batch)
                refused = {conflict.id for conflict in result.conflicts}
                displaced = [slip for slip in batch if slip.id in refused]
                self._meter.appended("redis", len(batch) - len(displaced), time.perf_counter() - started)
        except StreamAway as away:
            self.lose_link(str(away))
        return [*displaced, *slips[done:]]

    async def _to_spool(self, slips: Sequence[_Slip]) -> Sequence[_Slip]:
        """Return those it did not take, because it is full. The drain finds the displaced a new place."""
        started = time.perf_counter()
        try:
            kept = await self._spool.add(_entries(slips))
        except SpoolError as error:
            _log.error("spool_unusable", reason=str(error))
            # Nothing can be drained now anyway: better out of order than lost.
            return await self._to_redis(slips) if self.link_up else slips
        self._meter.appended("spool", kept, time.perf_counter() - started)
        self._report_backlog()
        self._wake()
        return slips[kept:]

    # ---- the link

    async def connect(self, query: Query, since_ms: int) -> None:
        """Meet Redis: number above its top, learn the keys it has (once), and write to it from now on."""
        async with self._turn:
            await self._open()
        self._ids.raise_to(await self._stream.top())
        if not self._learned:
            async for page in query.newest_keys(self._most_remembered, since_ms):
                for key, fact_id in page.items():
                    self._remembered.add_older(key, fact_id)
            with contextlib.suppress(SpoolError):  # then there is nothing to drain either
                self._unsure_to = await self._spool.last()
            self._learned = True
        self.link_up = True
        self._meter.link(True)
        _log.info("ledger_link_up", backlog=self._spool.rows)

    def lose_link(self, reason: str) -> None:
        """Spool from now on, until `connect`."""
        if self.link_up:
            self.disconnect()
            _log.warning("ledger_link_lost", reason=reason)
        self._wake()

    def disconnect(self) -> None:
        self.link_up = False
        self._meter.link(False)

    async def _open(self) -> None:
        """Learn what an earlier life left in the spool. Without a spool facts still go to Redis."""
        if self._opened:
            return
        try:
            after = 0
            while rows := await self._spool.head(BATCH, after):
                for row in rows:
                    self._remembered.add(row.key, row.id)
                    self._ids.raise_to(row.id)
                after = rows[-1].pos
        except SpoolError as error:
            _log.error("spool_unusable", reason=str(error))
        self._opened = True
        self._report_backlog()

    # ---- draining

    async def drain(self) -> None:
        """Move what is spooled to the stream, in order. Raises StreamAway; what is left is left as it was."""
        while rows := await self._spool.head(BATCH):
            top = await self._stream.top()
            written = await self._standing([row for row in rows if row.id <= top])
            written += (told := await self._told_before([row for row in rows if row.id > top]))
            self._count_duplicates(len(told))
            if written:
                await self._spool.remove([row.pos for row in written])
            elif rows[0].id <= top:
                await self._displace(rows, top)
            else:
                result = await self._stream.append([(row.id, row.fields) for row in rows])
                refused = {conflict.id for conflict in result.conflicts}  # looked at in the next round
                await self._spool.remove([row.pos for row in rows if row.id not in refused])
            self._report_backlog()

    async def _standing(self, rows: Sequence[Spooled]) -> list[Spooled]:
        """Those of `rows` that the stream has at their very id: an attempt that was thought lost."""
        if not rows:
            return []
        there = await self._stream.at([row.id for row in rows])
        return [row for row, found in zip(rows, there, strict=True) if found and found.get(b"key") == row.key]

    async def _told_before(self, rows: Sequence[Spooled]) -> list[Spooled]:
        """Those the stream has under an earlier id: spooled before we knew what an earlier life wrote.

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
        async with self._turn:  # an append must not take one of the new ids
            changed = await self._spool.renumber(rows[0].pos, top)
            for row in changed:
                self._remembered.add(row.key, row.id)
                self._ids.raise_to(row.id)
        self.conflicts += len(changed)
        self._meter.counted("conflict", len(changed))
        _log.error("ledger_conflict", facts=len(changed), top=str(top), hint="two services on one ledger?")

    def _count_duplicates(self, facts: int) -> None:
        if facts:
            self.duplicates += facts
            self._meter.counted("duplicate", facts)

    def _report_backlog(self) -> None:
        self._meter.backlog(self._spool.rows, self._spool.bytes)


def _entries(slips: Sequence[_Slip]) -> list[Entry]:
    return [(slip.id, slip.fields) for slip in slips if slip.id is not None]
