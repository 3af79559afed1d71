"""The counter of ended calls goes on where it was, whatever ended the service.

A counter that begins again at 0 costs Prometheus what was counted after its last look: up to one interval of calls a
kill, and the live answer rate no longer agrees with the ledger's. So its values are kept, with the id of the last fact
they count; at the start what the ledger has after that id is counted as well.

Knows: that ids rise, that the runtime counts a batch in the very step in which its append returns. Must not know: what
is shown. With Redis away at the start it begins at 0 like any counter, and leaves out the calls that were counted
before: the day is then read from Asterisk's file, and all its calls end once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Sequence

import structlog

from cti.core.facts import Fact, FactId, published
from cti.ledger.ledger import Ledger, SpoolError
from cti.metrics import Metrics

log = structlog.get_logger(__name__)

NAME = "counted"
EVERY_S = 15.0

Counts = Counter[tuple[str, str]]
"""hotline, outcome"""


class KeptCounts:
    """Stands between the runtime and the ledger, so as to know how far the counters count (`cti.ports.Ledger`)."""

    def __init__(self, ledger: Ledger, metrics: Metrics) -> None:
        self._ledger, self._metrics = ledger, metrics
        self._upto = FactId(0, 0)
        self._kept = ""

    async def append(self, facts: Sequence[Fact]) -> list[FactId]:
        """As the ledger's."""
        ids = await self._ledger.append(facts)
        self._upto = max((self._upto, *ids))
        return ids

    async def resume(self) -> None:
        """Set the counter to what was kept and what was written since. Before anything is counted but records a crash
        cut off, which are in the ledger. Raises StreamAway; the counter then is as it was."""
        kept = _read(await self._ledger.read_checkpoint(NAME))
        if kept is None:
            self._upto = max(self._upto, await self._ledger.top())
            return
        upto, counts = kept
        async for fact_id, fact in self._ledger.since(upto.after()):
            upto = max(upto, fact_id)
            if isinstance(fact, Fact) and fact.kind == "CallEnded" and published(fact):
                counts[str(fact.data.get("hotline")), str(fact.data.get("outcome"))] += 1
        self._upto = max(self._upto, upto)
        self._metrics.count_calls(counts)
        log.info("counters_resumed", calls=counts.total())

    async def begin_anew(self) -> None:
        """Redis is away at the start: from 0 on, only calls that ended after the last time it was written down. So a
        kill with Redis away costs, or doubles, the calls of `EVERY_S` at most."""
        self._metrics.calls_from = (await self._ledger.checkpoint_ms(NAME) or 0) * 1000

    async def keep(self) -> None:
        """Write it down every `EVERY_S`, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write it down now, if anything was counted since."""
        counts = self._metrics.calls_counted()
        text = json.dumps([str(self._upto), [[*way, n] for way, n in sorted(counts.items())]], ensure_ascii=False)
        if text != self._kept:
            with contextlib.suppress(SpoolError):  # the ledger tells of the disk itself
                await self._ledger.checkpoint(NAME, text)
                self._kept = text


def _read(text: str | None) -> tuple[FactId, Counts] | None:
    try:
        upto, rows = json.loads(text or "")
        return FactId.parse(upto), Counter({(str(hotline), str(outcome)): int(n) for hotline, outcome, n in rows})
    except (ValueError, TypeError, AttributeError):
        return None


