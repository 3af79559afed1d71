"""How facts become durable: numbered, told apart from repeats, written to the journal.

Knows: that the journal comes first and Redis straight after it. Must not know: how rows reach Redis (drain.py), when to
try Redis again (ledger.py), what a fact means.

A fact gets its id before the first attempt and keeps it, so that an attempt whose answer was lost can be repeated
anywhere without doubling (see stream.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from cti.core.facts import Fact, FactId, IdMaker, encode
from cti.ledger.drain import Drain
from cti.ledger.journal import BATCH, KEEP_S, MOST, Journal
from cti.ledger.meter import LedgerMeter
from cti.ledger.query import Query
from cti.ledger.remembered import Remembered
from cti.ledger.spool import Spool, SpoolError
from cti.ledger.stream import Entry, Fields, LedgerStream, StreamAway

_log = structlog.get_logger(__name__)


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
    """Writes to `journal` on `spool`, from which `drain` moves facts to `stream`. Calls `wake` when there is
    something to move."""

    def __init__(
        self,
        stream: LedgerStream,
        spool: Spool,
        journal: Journal,
        *,
        now_ms: Callable[[], int],
        meter: LedgerMeter,
        append_timeout: float,
        remembered: int,
        wake: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._now_ms = now_ms
        self._meter = meter
        self._append_timeout = append_timeout
        self._most_remembered = remembered
        self._remembered = Remembered(remembered)
        self._wake = wake
        self._ids = IdMaker()
        self._orders: list[_Order] = []
        self._held: list[_Slip] = []  # neither disk nor Redis took them: tried again with every append, and each second
        self._opened = False
        self._journal, self._turn = journal, journal.turn
        self._drain = Drain(stream, spool, journal, ids=self._ids, remembered=self._remembered, meter=meter)
        self.link_up = False
        self.lost = 0

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
                self._wake()  # perhaps half way to the disk: `finish` does the rest
            raise
        return [slip.id for slip in order.slips or () if slip.id is not None]

    async def finish(self, *, wait: bool = True) -> None:
        """Write what a cancelled `append` left behind, and what neither disk nor Redis took. Not to ``wait``: whoever
        has the turn does it, or is cancelled and wakes us; he may wait for the drain."""
        if (self._orders or self._held) and (wait or not self._turn.locked()):
            async with self._turn:
                await self._settle(drains=True)

    async def _settle(self, drains: bool = False) -> None:
        """``drains``: by the task that drains, for which nothing moves while it waits."""
        await self._open()
        orders = list(self._orders)
        for order in orders:
            if order.slips is None:
                order.slips = [self._number(fields) for fields in order.facts]
        slips = [slip for order in orders for slip in order.slips or () if slip.new]
        if slips or self._held:
            lost = await self._store(slips, drains)
            for slip in (slip for order in orders for slip in order.slips or () if lost):
                if slip.fields[b"key"] in lost:  # told twice at once: the second is not there either
                    slip.id = None
        for order in orders:
            order.settled = True
        del self._orders[: len(orders)]

    def _number(self, fields: Fields) -> _Slip:
        key = fields[b"key"]
        if (known := self._remembered.get(key)) is not None:
            self._drain.count_duplicates(1)
            return _Slip(fields, known, new=False)
        fact_id = self._ids.next(self._now_ms())
        self._remembered.add(key, fact_id)
        return _Slip(fields, fact_id, new=True)

    async def _store(self, slips: Sequence[_Slip], drains: bool) -> set[bytes]:
        """Return the keys of those that nothing took."""
        rest = await self._to_journal([*self._held, *slips])
        if rest and self.link_up and not (drains and self._journal.waiting):
            rest = await self._straight(rest)
        if rest and not self._held:
            _log.error("facts_only_in_memory", cure="disk full and Redis away: make room, or bring Redis back")
        self._held, rest = list(rest[:MOST]), rest[MOST:]
        self._lose(rest)
        return {slip.fields[b"key"] for slip in rest}

    def give_up(self) -> None:
        """What is held in memory is lost: we end."""
        self._lose(self._held)
        self._held = []

    def _lose(self, slips: Sequence[_Slip]) -> None:
        for slip in slips:
            self._remembered.forget(slip.fields[b"key"])
        if slips:
            self.lost += len(slips)
            self._meter.counted("lost", len(slips))
            _log.error("facts_lost", facts=len(slips), backlog=self.waiting)

    async def _to_journal(self, slips: Sequence[_Slip]) -> Sequence[_Slip]:
        """Return those it did not take: the disk is full, or ill."""
        started = time.perf_counter()
        try:
            kept = await self._journal.add(_entries(slips))
        except SpoolError as error:
            _log.error("spool_unusable", reason=str(error))
            return slips
        self._meter.appended("spool", kept, time.perf_counter() - started)
        self._wake()
        return slips[kept:]

    async def _straight(self, slips: Sequence[_Slip]) -> Sequence[_Slip]:
        """To Redis without the journal, behind what waits there (out of order is better than lost); return the rest."""
        self._wake()
        await self._journal.emptied(self._append_timeout)
        done = 0
        try:
            while done < len(slips):
                batch = slips[done : done + BATCH]
                started = time.perf_counter()
                result = await self._stream.append(_entries(batch), self._append_timeout)
                if refused := {conflict.id for conflict in result.conflicts}:
                    await self._find_places([slip for slip in batch if slip.id in refused])
                done += len(batch)
                self._meter.appended("redis", len(batch), time.perf_counter() - started)
        except StreamAway as away:
            self.lose_link(str(away))
        finally:
            self._drain.forget_top()
        return slips[done:]

    async def _find_places(self, slips: Sequence[_Slip]) -> None:
        """Another writer stood in their place. Raises StreamAway, also when it happens again at once."""
        self._ids.raise_to(await self._stream.top())
        for slip in slips:
            slip.id = self._ids.next(self._now_ms())
            self._remembered.add(slip.fields[b"key"], slip.id)
        if (await self._stream.append(_entries(slips), self._append_timeout)).conflicts:
            raise StreamAway("another service writes this ledger")

    # ---- the link

    async def connect(self, query: Query, since_ms: int) -> None:
        """Meet Redis, and move facts to it from now on. Raises StreamAway."""
        async with self._turn:
            await self._open()
        await self._drain.meet(query, self._most_remembered, since_ms)
        self.link_up = True
        self._meter.link(True)
        _log.info("ledger_link_up", backlog=self.waiting)

    def lose_link(self, reason: str) -> None:
        """Journal only from now on, until `connect`."""
        if self.link_up:
            self.disconnect()
            _log.warning("ledger_link_lost", reason=reason)
        self._wake()

    def disconnect(self) -> None:
        self.link_up = False
        self._meter.link(False)

    async def _open(self) -> None:
        """Learn what an earlier life left in the journal. Without a disk facts still go to Redis."""
        if self._opened:
            return
        try:
            async for rows in self._journal.pages():
                for row in rows:
                    self._remembered.add(row.key, row.id)
                    self._ids.raise_to(row.id)
        except SpoolError as error:
            _log.error("spool_unusable", reason=str(error))
        self._opened = True
        self._drain.report()

    # ---- draining

    async def drain(self) -> None:
        """Move what waits to the stream, in order. Raises StreamAway or SpoolError."""
        await self._drain.run()

    async def tidy(self, keep_s: float = KEEP_S) -> None:
        """Have the file forget what Redis has had for so long."""
        await self._journal.tidy(keep_s)

    @property
    def waiting(self) -> int:
        """Facts that Redis does not have yet."""
        return self._journal.waiting + len(self._held)

    @property
    def duplicates(self) -> int:
        return self._drain.duplicates

    @property
    def conflicts(self) -> int:
        return self._drain.conflicts


def _entries(slips: Sequence[_Slip]) -> list[Entry]:
    return [(slip.id, slip.fields) for slip in slips if slip.id is not None]
