"""Seats for each quarter of a day, from its forecast. Knows: what service a line owes. Must not know: how it is shown.

General seats owe an answer to 95 % of all calls (人工接通率). Dedicated seats owe it within the level: the walk of a
transfer goes on to the next target after 15 s (DOMAIN.md, transfer rule 3), so a later answer is none.
"""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.forecast import QUARTER_S, Forecast
from cti.core.staffing import Service, Traffic, seats_for_answered, seats_for_level, serve

LEVEL_S = 15.0
HANDLE_S, PATIENCE_S = 180.0, 120.0
"""proposals, until enough calls tell better"""


@dataclass(frozen=True, slots=True)
class Line:
    """``have``: seats there are, None when nobody said. Times in seconds."""

    name: str
    handle_s: float = HANDLE_S
    patience_s: float = PATIENCE_S
    have: int | None = None

    @property
    def dedicated(self) -> bool:
        """Takes only what the other platform hands over."""
        return self.name.endswith("-dedicated")


@dataclass(frozen=True, slots=True)
class Row:
    """One quarter: ``calls`` expected, ``seats`` needed, and what the seats there are would make of it."""

    calls: float
    seats: int
    with_have: Service | None


def plan(forecast: Forecast, line: Line, target: float = 0.95, level_s: float = LEVEL_S) -> tuple[Row, ...]:
    """The day's 96 quarters. ``target``: share of calls, 0 to 1."""
    rows = []
    for calls in forecast.calls:
        traffic = Traffic(calls / QUARTER_S, line.handle_s, line.patience_s)
        in_time = line.dedicated
        seats = seats_for_level(traffic, target, level_s) if in_time else seats_for_answered(traffic, target)
        rows.append(Row(calls, seats, None if line.have is None else serve(traffic, line.have, level_s)))
    return tuple(rows)


def expected_share(rows: tuple[Row, ...], line: Line) -> float | None:
    """Of all the day's calls, answered by the seats there are (dedicated: within the level); None if unknown."""
    calls = sum(row.calls for row in rows)
    if not calls or any(row.with_have is None for row in rows):
        return None
    good = 0.0
    for row in rows:
        if row.with_have is not None:
            good += row.calls * (row.with_have.in_level if line.dedicated else row.with_have.answered)
    return good / calls
