"""Days and spans of figures, Asia/Shanghai, half-open. Knows: the calendar. Must not know: the clock, what is
counted."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from cti.core.disputes import BadPeriod, Period, period
from cti.core.zone import SHANGHAI

QUARTER_US = 900_000_000
"""15 min"""
DAY_US = 86_400_000_000
_SHIFT_US = 8 * 3_600_000_000  # UTC+8 all year: days by arithmetic, for this is on the way of a fact


def day_number(at: int) -> int:
    """Days since 1970-01-01 of the local day that holds this instant (µs UTC)."""
    return (at + _SHIFT_US) // DAY_US


def day_name(number: int) -> str:
    """``20261125`` of a day's number. Raises ValueError beyond the calendar (year 9999)."""
    try:
        return (dt.date(1970, 1, 1) + dt.timedelta(days=number)).strftime("%Y%m%d")
    except OverflowError as why:
        raise ValueError(str(why)) from None


def days(start: int, end: int) -> Iterator[str]:
    """Names of the days that [start, end) touches."""
    for number in range(day_number(start), day_number(end - 1) + 1):
        yield day_name(number)


def day(text: str) -> Period:
    """``2026-11-25``. Raises `BadPeriod`."""
    if re.fullmatch(r"20\d\d-\d\d-\d\d", text):
        try:
            date = dt.date.fromisoformat(text)
        except ValueError:
            pass
        else:
            number = (date - dt.date(1970, 1, 1)).days
            return Period(text, number * DAY_US - _SHIFT_US, (number + 1) * DAY_US - _SHIFT_US)
    raise BadPeriod(f"{text[:20]!r} 不是日期 / not a day; 如 / e.g. 2026-11-25")


def month(text: str) -> Period:
    """``2026-11``. Raises `BadPeriod`."""
    if "Q" in text.upper():
        raise BadPeriod(f"{text[:20]!r} 不是月份 / not a month; 如 / e.g. 2026-11")
    return period(text)


def day_of(at: int) -> Period:
    """The local day that holds this instant (µs UTC)."""
    return day(f"{dt.datetime.fromtimestamp(at // 1_000_000, SHANGHAI):%Y-%m-%d}")


def month_of(at: int) -> Period:
    """The local month that holds it."""
    return month(f"{dt.datetime.fromtimestamp(at // 1_000_000, SHANGHAI):%Y-%m}")


def last_hours(hours: int, now: int) -> Period:
    """The rolling window that ends with this instant, itself included."""
    return Period(f"{hours}h", now + 1 - hours * 3_600_000_000, now + 1)


def quarter_floor(at: int) -> int:
    """The quarter hour's beginning. The zone is a whole number of them from UTC."""
    return at - at % QUARTER_US


def whole_quarters(over: Period) -> Period:
    """The span from the beginning of its first quarter hour on: so that quarters sum up to it."""
    return Period(over.name, quarter_floor(over.start), over.end)


def until(over: Period, now: int) -> Period:
    """The span as far as it is past."""
    return Period(over.name, over.start, max(over.start + 1, min(over.end, now + 1)))
