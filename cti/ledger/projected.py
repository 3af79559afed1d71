"""What is projected from the stream, made again and held against it.

Knows: pages, projections, how a value is asked back. Must not know: what any projection is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cti.core.facts import FactId
from cti.ledger.projections import Command, project
from cti.ledger.stream import Entry, LedgerStream

PAGE = 2000  # larger than others: more facts of a call are in one page, so fewer commands


async def rebuild(stream: LedgerStream, since_ms: int = 0, progress: Callable[[int], None] | None = None) -> int:
    """Write the projections again, from what was written at ``since_ms`` on; return the number of entries walked.
    ``progress``: told that number after each page. Raises StreamAway.

    Safe beside appends. Nothing is deleted first, so no call is missing meanwhile. The next page is read while one is
    written; the loop is held some 10 ms at most by either.
    """
    walked = 0
    page = await stream.read(FactId(since_ms, 0), PAGE)
    while page:
        following, _ = await asyncio.gather(stream.read(page[-1][0].after(), PAGE), stream.reindex(page))
        walked += len(page)
        page = following
        if progress is not None:
            progress(walked)
    return walked


async def differing(stream: LedgerStream, entries: Sequence[Entry]) -> int:
    """How many of the values projected from these entries are not in Redis as they should be. Raises StreamAway."""
    wanted: list[tuple[Command, Any]] = []
    for command, key, *rest in project(stream.keys, entries):
        if command == "ZADD":
            lowest = rest[0] == "LT"  # another entry may have told a lower one
            wanted += [(("ZSCORE", key, rest[n + 1]), AtMost(rest[n]) if lowest else rest[n])
                       for n in range(int(lowest), len(rest), 2)]  # fmt: skip
        elif command == "HSET":
            wanted += [(("HGET", key, rest[n]), rest[n + 1]) for n in range(0, len(rest), 2)]
    answers = await stream.ask([question for question, _ in wanted])
    return sum(not _same(answer, value) for answer, (_, value) in zip(answers, wanted, strict=True))


@dataclass(frozen=True, slots=True)
class AtMost:
    """A score that stands, or a lower one."""

    score: bytes | str | int


def _same(answer: Any, value: bytes | str | int | AtMost) -> bool:
    if isinstance(value, AtMost):
        return answer is not None and float(answer) <= float(value.score)
    if isinstance(answer, float):
        return answer == float(value)
    return bool(answer == (value if isinstance(value, bytes) else str(value).encode()))
