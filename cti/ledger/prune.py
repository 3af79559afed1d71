"""Entries that leave Redis: a month that is archived, every entry byte for byte, and its projections.

Knows: the stream, the projections' keys. Must not know: the policy, the archive's files (entries come as an
iterator), who asked. Months go from the oldest on; the days of the answer rate (projections/days.py) stay, they have
no number. Broken off, it can be begun again: what is left must be the archive's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cti.core.chain import FIELD
from cti.core.facts import FactId
from cti.core.months import Month
from cti.ledger.projections.transfers import month_of
from cti.ledger.stream import Entry, LedgerStream
from cti.ledger.transfers import PastTransfers
from cti.ledger.walk import walk

CHUNK = 5_000
"""entries trimmed at a time: Redis serves calls in between"""
Progress = Callable[[FactId], object]


class NotArchived(ValueError):
    """The stream holds what the archive does not; nothing was deleted. The text names the first such id."""


@dataclass(frozen=True, slots=True)
class Left:
    """What of a month is in Redis."""

    entries: int
    first_id: str
    last_id: str


async def compare(stream: LedgerStream, month: Month, archived: Iterable[Entry],
                  progress: Progress = lambda _: None) -> Left:  # fmt: skip
    """Hold every entry of a month in Redis against the archive. Raises `NotArchived` and StreamAway."""
    kept = iter(archived)
    count, first, last = 0, "", ""
    async for fact_id, fields in walk(stream, month.start_ms, month.end_ms):
        there = next((entry for entry in kept if count or entry[0] >= fact_id), None)
        if there is None or there[0] != fact_id or dict(there[1]) != dict(fields):
            raise NotArchived(f"{fact_id}: 不在 {month} 的归档中，或内容不同 / is not in the archive of {month}, or "
                              "differs there")  # fmt: skip
        count, first, last = count + 1, first or str(fact_id), str(fact_id)
        progress(fact_id)
    if count and next(kept, None) is not None:
        raise NotArchived(f"{last}: 归档比账本长 / the archive goes on after it, the ledger does not")
    return Left(count, first, last)


async def delete(stream: LedgerStream, month: Month, progress: Progress = lambda _: None) -> int:
    """Delete a month, and all before it, from the stream and its projections; return how many entries went."""
    gone = 0
    while page := await stream.read(None, CHUNK):
        going = [entry for entry in page if entry[0].ms < month.end_ms]
        if going:
            fact_id, fields = going[-1]
            gone += await stream.trim(fact_id, fields.get(FIELD))
            progress(fact_id)
        if len(going) < len(page):
            break
    await _projections(stream, month)
    return gone


async def _projections(stream: LedgerStream, month: Month) -> None:
    keys = stream.keys
    await stream.ask([("ZREMRANGEBYSCORE", keys.decisions, "-inf", f"({month.end_ms}")])
    months = {month_of(f"0-{second}.0") for second in range(
        max(0, month.start_ms // 1000 - 400 * 86_400), month.end_ms // 1000, 86_400)}  # fmt: skip
    await stream.ask([("UNLINK", key) for one in sorted(months) for key in (keys.arrivals(one), keys.callers(one))])
    rows = PastTransfers(stream)
    async for page in rows.before(month.end_ms * 1000):
        commands: list[tuple[Any, ...]] = []
        for row in page:
            if row.last_ms >= month.end_ms:
                continue  # its end is in a month that stays
            indexes = {keys.transfers, keys.transfer_ids, keys.transfers_of("outcome", row.outcome),
                       keys.transfers_of("seat", row.seat), keys.transfers_of("seat", row.target)}  # fmt: skip
            commands += [("ZREM", key, row.id) for key in sorted(indexes)]
            commands.append(("UNLINK", keys.transfer(row.id)))
        if commands:
            await stream.ask(commands)
