"""The ledger's one door: facts go in and are durable, in order, each once, whether Redis is there or not.

Knows: when to try Redis again, where checkpoints live. Must not know: what a fact means, who reads it.

    append ──► journal (local disk, fsync) ──► the caller's turn goes on
                   └──(run: drain, in order)──► stream in Redis

A call never waits for Redis: an append costs one local fsync, whether Redis is there, slow or away. Only while the disk
takes nothing do facts go straight to Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import NoReturn

import structlog

from cti.core.facts import CorruptFact, Fact, FactId
from cti.ledger.anchors import Anchors
from cti.ledger.journal import Journal
from cti.ledger.meter import LedgerMeter, NoMeter
from cti.ledger.query import Query, Told
from cti.ledger.rows import Checkpoint
from cti.ledger.spool import Spool, SpoolError
from cti.ledger.stream import LedgerStream, StreamAway
from cti.ledger.transfers import PastTransfers
from cti.ledger.writer import Writer

__all__ = ["Ledger", "LedgerMeter", "SpoolError", "StreamAway"]

_log = structlog.get_logger(__name__)

FIRST_RETRY, LAST_RETRY = 0.05, 1.0  # seconds between attempts to reach Redis: doubled each time, with jitter
LOOK_EVERY = 1.0  # seconds between looks at an idle link
LINGER = 0.003  # seconds until journaled facts go to Redis: what a key sets off is not slowed by it, and goes as one
SETTLE_S = 0.5  # for who reads Redis alone: it is some milliseconds behind the disk
ANCHORS = "ledger-anchors.txt"
"""beside the spool's file"""
DAY = 86_400


class Ledger:
    """The ledger of one `site`, in Redis at `redis_url` by way of the file `spool_path`.

    `now_ms`: milliseconds since the epoch, for ids.  `append_timeout`: seconds an append waits for Redis where the disk
    takes nothing.
    `redis_timeout`: seconds for everything else (reading, draining).  `spool_bytes`: bound of the spool.
    `remember_keys`, `remember_for`: how many keys, of how many past seconds, are known as told.

    `run` must be running for facts to reach Redis; without it they stay on the disk. Close with `aclose`.
    Raises ValueError for a site or URL that cannot be used.
    """

    def __init__(
        self,
        site: str,
        redis_url: str,
        spool_path: Path,
        *,
        now_ms: Callable[[], int],
        meter: LedgerMeter | None = None,
        append_timeout: float = 0.05,
        redis_timeout: float = 2.0,
        spool_bytes: int = 256 << 20,
        remember_keys: int = 200_000,
        remember_for: int = 2 * DAY,
    ) -> None:
        self._now_ms = now_ms
        self._meter = meter or NoMeter()
        self._remember_ms = remember_for * 1000
        self._awake = asyncio.Event()
        self._stream = LedgerStream(site, redis_url, timeout=redis_timeout)
        self._spool = Spool(spool_path, max_bytes=spool_bytes)
        self._journal = Journal(self._spool)
        self._query = Query(self._stream, self._journal)
        self._writer = Writer(
            self._stream, self._spool, self._journal, now_ms=now_ms, meter=self._meter, append_timeout=append_timeout,
            remembered=remember_keys, wake=self._awake.set,
        )  # fmt: skip
        self._anchors = Anchors(spool_path.with_name(ANCHORS))
        self._corrupt = 0
        self._stamp = 0
        self._last_word = False  # Redis was there as `run` ended: what waits is moved before we close

    # ---- writing

    async def append(self, facts: Sequence[Fact]) -> list[FactId]:
        """Return once `facts` are durable, with their ids in the same order.

        Never raises for Redis or the disk. A fact whose key was told before is skipped and answered with the
        id it has. The id of a fact on the disk rises if another writer takes its place before it is moved.
        Facts that neither the disk nor Redis takes are held in memory, and written as soon as one of them does; the
        20,001st is lost: it has no id in the answer and is counted. (Asterisk's own file has most of them too.)
        Raises TypeError for data that is not flat.
        Cancelled, the facts may or may not be written; telling them again is safe.
        """
        return await self._writer.append(facts)

    async def run(self) -> NoReturn:
        """Keep the link to Redis and drain the spool, until cancelled."""
        retry = FIRST_RETRY
        try:
            while True:
                try:
                    await self._writer.connect(self._query, self._now_ms() - self._remember_ms)
                    self._anchors.doubt()
                    await self._share_checkpoints()
                    retry = FIRST_RETRY
                    await self._keep_up()
                except StreamAway as away:
                    self._writer.lose_link(str(away))
                except SpoolError as error:  # the disk: Redis goes on without it, what is in it waits
                    _log.error("spool_unusable", reason=str(error))
                await self._writer.finish(wait=False)
                await asyncio.sleep(retry * random.uniform(0.5, 1.0))
                retry = min(LAST_RETRY, retry * 2)
        finally:
            self._last_word = self._writer.link_up
            self._writer.disconnect()

    async def _keep_up(self) -> None:
        while True:
            self._awake.clear()
            await self._writer.drain()
            await self._writer.finish(wait=False)
            await self._writer.drain()
            await self._writer.tidy()
            self._anchors.look(self._stream.end, time.monotonic())
            self._count_corrupt()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._awake.wait()
            except TimeoutError:
                await self._stream.ping()
            else:
                await asyncio.sleep(LINGER)
            if not self._writer.link_up:  # an append found out; it has told why
                return

    async def aclose(self) -> None:
        """Finish what is half written, close Redis and the file. What Redis did not take stays for the next life."""
        try:
            await self._writer.finish()
            if self._last_word:
                with contextlib.suppress(StreamAway, SpoolError, TimeoutError):
                    async with asyncio.timeout(SETTLE_S):
                        await self._writer.drain()
                        await self._writer.finish()  # to Redis what the disk does not take, now that nothing waits
            self._writer.give_up()
            await self._writer.tidy()  # what a new master may lack stays
            await self._stream.close()
        finally:
            await self._spool.close()

    # ---- reading; all of these raise StreamAway when Redis does not answer

    async def facts_of(self, ref: str) -> list[tuple[FactId, Fact]]:
        """The facts of one call, in order, spooled ones too. Empty: unknown, or the index expired (90 days)."""
        return await self._query.facts_of(ref)

    async def since(self, first: FactId | None) -> AsyncIterator[Told]:
        """Every fact from `first` on (None: the oldest), in order: the stream, then what is spooled."""
        async for fact_id, fact in self._query.since(first):
            if isinstance(fact, CorruptFact):
                self._meter.counted("corrupt", 1)
                _log.error("ledger_entry_corrupt", id=str(fact_id), reason=fact.reason)
            yield fact_id, fact

    def between(self, start_ms: int, end_ms: int) -> AsyncIterator[Told]:
        """Facts written in `[start_ms, end_ms)`, milliseconds; what happened earlier may be written later."""
        return self._query.between(start_ms, end_ms)

    async def trace(self, ref: str, start_ms: int, end_ms: int) -> list[tuple[FactId, Fact]]:
        """Like `facts_of` for a call whose index expired: walks what was written in `[start_ms, end_ms)`."""
        return await self._query.trace(ref, start_ms, end_ms)

    async def recent_keys(self, since_ms: int) -> set[str]:
        """Keys of all facts written since `since_ms`."""
        return await self._query.recent_keys(since_ms)

    async def decisions(self, since_ms: int) -> list[Fact]:
        """See `LedgerStream.decisions`; what waits on the disk for a Redis that is away is not in it. Raises
        StreamAway."""
        await self._settled()
        return await self._stream.decisions(since_ms)

    @property
    def transfers(self) -> PastTransfers:
        """Past transfers by page; what still waits in the spool is not in them."""
        return PastTransfers(self._stream)

    async def top(self) -> FactId:
        """Id of the newest entry in Redis; 0-0 for an empty ledger."""
        return await self._stream.top()

    async def rebuild(self, since_ms: int = 0) -> int:
        """Make the projections again from the stream. Return the number of entries walked."""
        return await self._query.rebuild(since_ms)

    # ---- checkpoints

    async def checkpoint(self, name: str, value: str) -> None:
        """Keep `value` (how far a reader has come, e.g. the CEL offset) on this disk and in Redis.

        Append the facts first: then a crash in between only tells them twice. Raises SpoolError for the disk; Redis
        then has the value all the same.
        """
        self._stamp = max(self._stamp + 1, self._now_ms())
        new = Checkpoint(self._stamp, value)
        try:
            await self._spool.set_checkpoint(name, new)
        finally:
            await self._settled()  # Redis' place must not be ahead of its facts
            if self._writer.link_up:
                try:
                    await self._stream.set_checkpoints({name: str(new)})
                except StreamAway as away:
                    self._writer.lose_link(str(away))

    async def read_checkpoint(self, name: str) -> str | None:
        """The newer of this disk's and Redis' value; the other's while one of them is away. None: neither has one."""
        newest = (await self._local_checkpoints()).get(name)
        if self._writer.link_up:
            try:
                remote = Checkpoint.parse((await self._stream.checkpoints()).get(name, ""))
            except StreamAway as away:
                self._writer.lose_link(str(away))
            else:
                newest = max((c for c in (newest, remote) if c), key=lambda c: c.stamp, default=None)
        if newest is None:
            return None
        self._stamp = max(self._stamp, newest.stamp)  # the clock may have gone back since
        return newest.value

    async def checkpoint_ms(self, name: str) -> int | None:
        """When this disk's value was kept (milliseconds since the epoch); None: never, or the disk is unusable."""
        local = (await self._local_checkpoints()).get(name)
        return local.stamp if local else None

    async def _settled(self) -> None:
        """Until Redis has what was appended before; not longer than `SETTLE_S`, nor while it is away."""
        if self._writer.link_up:
            await self._journal.emptied(SETTLE_S)

    async def _local_checkpoints(self) -> dict[str, Checkpoint]:
        try:
            return await self._spool.checkpoints()
        except SpoolError as error:
            _log.error("spool_unusable", reason=str(error), cure="disk full, or no rights? see paths.spool")
            return {}

    async def _share_checkpoints(self) -> None:
        """Tell Redis what it missed. What it alone knows (a new machine), `read_checkpoint` finds."""
        remote = {name: Checkpoint.parse(text) for name, text in (await self._stream.checkpoints()).items()}
        newer: dict[str, str] = {}
        for name, local in (await self._spool.checkpoints()).items():
            there = remote.get(name)
            if there is None or there.stamp < local.stamp:
                newer[name] = str(local)
        if newer:
            await self._stream.set_checkpoints(newer)

    # ---- how it stands

    @property
    def backlog(self) -> int:
        """Facts on the local disk that Redis does not have yet."""
        return self._writer.waiting

    @property
    def link_up(self) -> bool:
        """Whether Redis answered last."""
        return self._writer.link_up

    @property
    def lost(self) -> int:
        """Facts that neither Redis nor the spool took, since the start. More than 0 is an alarm."""
        return self._writer.lost

    @property
    def duplicates(self) -> int:
        """Facts told again and skipped, since the start."""
        return self._writer.duplicates

    @property
    def conflicts(self) -> int:
        """Facts whose place another writer had taken, since the start. More than 0: two services at work."""
        return self._writer.conflicts

    def _count_corrupt(self) -> None:
        seen = self._spool.corrupt_files + self._spool.corrupt_rows
        if seen > self._corrupt:
            self._meter.counted("corrupt", seen - self._corrupt)
            self._corrupt = seen
