"""The ended calls of days, in portions, and the official answer rate that is counted from them.

Knows: that a day is kept in a hash of its own, by arrival. Must not know: how it is written (projections/days.py), how
calls are counted (`cti.core`).

It has a connection of its own: a month's figures keep no fact from being written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from cti.core.answer_rate import EndedCall
from cti.core.rate_report import Asked, Report
from cti.core.spans import days
from cti.ledger.projections.days import unpack
from cti.ledger.stream import LedgerStream

AT_ONCE = 2000
"""calls a round trip, about: some 5 ms of reading, so that calls in the same loop do not wait longer"""


class Days:
    """Reads the ledger of one `site`. Every method raises StreamAway when Redis does not answer: half a day must not
    pass for a whole one."""

    def __init__(self, site: str, url: str, *, timeout: float) -> None:
        self._stream = LedgerStream(site, url, timeout=timeout)

    async def ended(self, start: int, end: int) -> AsyncIterator[list[EndedCall]]:
        """Calls of the days that [start, end) (µs) touches, each once, in portions. What does not read is left out."""
        for name in days(start, end):
            seen: set[bytes] = set()
            cursor = 0
            while True:
                cursor, calls = await self._stream.day(name, cursor, AT_ONCE)
                yield _read(packed for ref, packed in calls.items() if ref not in seen)
                if not cursor:
                    break
                seen.update(calls)

    async def report(self, asked: Asked) -> Report:
        """The official figures of a span."""
        made = Report(asked)
        async for calls in self.ended(asked.start, asked.over.end):
            made.add(calls)
        return made

    async def close(self) -> None:
        """Give the connection back."""
        await self._stream.close()


def _read(packed: Iterable[bytes]) -> list[EndedCall]:
    found = []
    for one in packed:
        try:
            found.append(unpack(one))
        except ValueError:
            continue
    return found
