"""Months of Asia/Shanghai: what is archived, and what may go. Knows: the policy's arithmetic. Must not know: the clock,
files."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cti.core.zone import SHANGHAI


class BadMonth(ValueError):
    """No month; the text names the right form."""


@dataclass(frozen=True, order=True, slots=True)
class Month:
    """One month of Asia/Shanghai."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """``2026-08``. Raises `BadMonth`."""
        if not (found := re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text, re.ASCII)):
            raise BadMonth(f"{text[:20]!r} 不是月份 / is no month; e.g. 2026-08")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, at_ms: int) -> Month:
        """The month an instant (ms UTC) lies in."""
        day = dt.datetime.fromtimestamp(at_ms / 1000, SHANGHAI)
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    def plus(self, months: int) -> Month:
        """So many months later, or earlier."""
        count = self.year * 12 + self.month - 1 + months
        return Month(count // 12, count % 12 + 1)

    @property
    def start_ms(self) -> int:
        """Its first instant; its end is the next one's."""
        return int(dt.datetime(self.year, self.month, 1, tzinfo=SHANGHAI).timestamp()) * 1000

    @property
    def end_ms(self) -> int:
        """The first instant after it."""
        return self.plus(1).start_ms


def over_due(oldest_ms: int, now_ms: int, keep: int) -> Iterator[Month]:
    """Months from the oldest entry's on that the policy lets go: all but the current one and the ``keep`` before it."""
    month, first_kept = Month.of(oldest_ms), Month.of(now_ms).plus(-keep)
    while month < first_kept:
        yield month
        month = month.plus(1)
