"""The last day, read from the ledger when the service starts, or as soon as Redis is there.

Knows: how far back a start must read, and when to give up waiting. Must not know: what the facts mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from cti.core.facts import CorruptFact, Fact, FactId
from cti.ledger.ledger import Ledger
from cti.ledger.stream import StreamAway
from cti.runtime import DAY_US, Runtime

log = structlog.get_logger(__name__)

ADOPT_S = 10.0
"""given to Redis at the start to begin telling the last day, and between two facts of it"""
MERGE_S = 1.0
"""between two looks whether Redis is back, when it was away at the start"""


class History:
    """What the ledger tells the runtime of the time before this start."""

    def __init__(self, ledger: Ledger, runtime: Runtime, now_us: Callable[[], int]) -> None:
        self._ledger, self._runtime, self._now = ledger, runtime, now_us
        self._floor: int | None = None

    async def adopt(self) -> bool:
        """The last day. False, Redis away: start without; the day is read from Asterisk's file."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ADOPT_S) as limit:
                while True:
                    try:
                        await self._runtime.adopt(self._last_day(limit))
                        return True
                    except StreamAway:
                        await asyncio.sleep(0.1)
        # What is told again every some hours was last told before this start, however long ago that is.
        self._floor = await self.since_us()
        log.warning("ledger_away_at_start", cure="is Redis running? facts go to the spool meanwhile")
        return False

    async def merge(self, then: Callable[[], Awaitable[None]]) -> None:
        """Redis was away at the start: once it is back, what only it knew (ended calls, keys) joins what we know, and
        ``then`` follows."""
        while True:
            await asyncio.sleep(MERGE_S)
            if self._ledger.link_up:
                with contextlib.suppress(StreamAway):
                    await self._runtime.adopt(self._last_day())
                    await then()
                    log.info("ledger_merged", calls=len(self._runtime.site.calls))
                    return

    async def since_us(self, newest_ms: int = 0) -> int:
        """A day before we last knew everything (µs): calls in progress then began after that."""
        known = newest_ms or await self._ledger.checkpoint_ms("cel")
        return min(self._now(), known * 1000 if known else self._now()) - DAY_US

    async def _last_day(self, limit: asyncio.Timeout | None = None) -> AsyncIterator[Fact | CorruptFact]:
        """Facts of the day before the ledger's newest one, or of the last 24 h; each puts ``limit`` off."""
        clock = asyncio.get_running_loop().time
        since = await self.since_us((await self._ledger.top()).ms)
        first = FactId((since if self._floor is None else min(since, self._floor)) // 1000, 0)
        async for _, fact in self._ledger.since(first):
            if limit is not None:
                limit.reschedule(clock() + ADOPT_S)
            yield fact
