"""How many calls will come to a line, per quarter of an hour.

The baseline is seasonal: what came on earlier days of the same kind (weekday, Saturday, Sunday, holiday, make-up
workday) at the same time of day. It is robust in two ways: a day whose total is far from its kind's median (a flood,
a failure, a holiday nobody entered) is left out and named; a single burst within a day is cut to what chance
explains. Too few days of a kind: all workdays, or all days off, together.

Quarters are half-open and count from 1970 in Asia/Shanghai, which has been UTC+8 without summer time since 1991.
Working days follow the State Council's yearly calendar (DOMAIN.md): `Calendar`. Errors are shown beside the error a
perfect forecast would have, since calls come by chance: that floor cannot be beaten.

Knows: counts. Must not know: where they come from, what day it is.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from cti.core.staffing import Traffic, answered_soon

QUARTER_S = 900
QUARTERS = 96
"""of a day"""
LEAST_DAYS = 2
_EPOCH = dt.date(1970, 1, 1).toordinal()
_ZONE_S = 8 * 3600
HOLIDAY, MAKEUP = 7, 8
"""kinds of days beside the weekdays 0 (Monday) to 6"""
_WORK = frozenset({0, 1, 2, 3, 4, MAKEUP})


class TooLittleHistoryError(ValueError):
    """Not enough whole days to forecast from. ``days``: how many there were."""

    def __init__(self, day: dt.date, days: int) -> None:
        super().__init__(
            f"{day}: 历史只有 {days} 个完整日，至少要 {LEAST_DAYS} 个同类日（工作日或休息日） / "
            f"only {days} whole days of history; at least {LEAST_DAYS} of its kind (workdays, or days off) are needed"
        )
        self.days = days


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days that are not what their weekday says: ``off`` (holidays and their bridges), ``work`` (make-up workdays)."""

    off: frozenset[dt.date] = frozenset()
    work: frozenset[dt.date] = frozenset()

    def kind(self, day: dt.date) -> int:
        """0 to 6 as the weekday, `HOLIDAY` or `MAKEUP`."""
        return HOLIDAY if day in self.off else MAKEUP if day in self.work else day.weekday()


@dataclass(frozen=True, slots=True)
class History:
    """Calls by quarter. Quarters in [first, end) are known, 0 where ``calls`` says nothing."""

    first: int
    end: int
    calls: Mapping[int, int] = field(default_factory=dict)

    def whole_days(self) -> list[dt.date]:
        """Days that lie in it from midnight to midnight."""
        return [_date(n) for n in range(-(-self.first // QUARTERS), self.end // QUARTERS)]

    def day(self, day: dt.date) -> tuple[int, ...]:
        """Its 96 counts."""
        start = first_quarter(day)
        return tuple(self.calls.get(start + n, 0) for n in range(QUARTERS))


@dataclass(frozen=True, slots=True)
class Forecast:
    """``calls``: expected in each of the day's 96 quarters. ``basis``: the days it rests on; ``left_out``: those that
    were far from the others."""

    day: dt.date
    calls: tuple[float, ...]
    basis: tuple[dt.date, ...]
    left_out: tuple[dt.date, ...]


@dataclass(frozen=True, slots=True)
class Errors:
    """Of forecasts against what came. ``wape``: Σ|forecast - came| ÷ Σ came; ``bias``: Σ(forecast - came) ÷ Σ came;
    ``floor``: the wape that chance alone gives a perfect forecast. None with no calls at all."""

    quarters: int
    calls: int
    wape: float | None
    bias: float | None
    floor: float | None


def quarter_of(at_us: int) -> int:
    """The quarter of a time (µs UTC)."""
    return (at_us // 1_000_000 + _ZONE_S) // QUARTER_S


def quarter_start(quarter: int) -> int:
    """When it begins (µs UTC)."""
    return (quarter * QUARTER_S - _ZONE_S) * 1_000_000


def first_quarter(day: dt.date) -> int:
    """The quarter that begins at its midnight."""
    return (day.toordinal() - _EPOCH) * QUARTERS


def day_of(quarter: int) -> dt.date:
    """The day a quarter lies in."""
    return _date(quarter // QUARTERS)


def history_of(times_us: Iterable[int], start_us: int, end_us: int) -> History:
    """From arrivals in [start, end): quarters that lie wholly in it are known."""
    calls: dict[int, int] = {}
    for at in times_us:
        if start_us <= at < end_us:
            quarter = quarter_of(at)
            calls[quarter] = calls.get(quarter, 0) + 1
    first = quarter_of(start_us - 1) + 1
    return History(first, max(first, quarter_of(end_us)), calls)


def forecast(history: History, day: dt.date, calendar: Calendar = Calendar(), weeks: int = 8) -> Forecast:
    """One day, from the whole days before it, ``weeks`` back. Raises `TooLittleHistoryError`."""
    before = [d for d in history.whole_days() if 0 < (day - d).days <= 7 * weeks]
    wanted = calendar.kind(day)
    days = [d for d in before if calendar.kind(d) == wanted]
    if len(days) < LEAST_DAYS:
        days = [d for d in before if (calendar.kind(d) in _WORK) == (wanted in _WORK)]
    if len(days) < LEAST_DAYS:
        raise TooLittleHistoryError(day, len(before))
    totals = {d: sum(history.day(d)) for d in days}
    basis = _near_the_median(totals)
    return Forecast(day, _profile([history.day(d) for d in basis]), tuple(basis),
                    tuple(d for d in days if d not in basis))  # fmt: skip


def backtest(history: History, calendar: Calendar = Calendar(), days: int = 14, weeks: int = 8) -> list[Forecast]:
    """The last ``days`` whole days, each forecast from those before it alone; days with too little before are left
    out."""
    made = []
    for day in history.whole_days()[-days:]:
        try:
            made.append(forecast(history, day, calendar, weeks))
        except TooLittleHistoryError:
            continue
    return made


def errors(forecasts: Iterable[Forecast], history: History) -> Errors:
    """How far off they were, quarter by quarter."""
    n = came = 0
    off = bias = floor = 0.0
    for one in forecasts:
        for expected, actual in zip(one.calls, history.day(one.day), strict=True):
            n += 1
            came += actual
            off += abs(expected - actual)
            bias += expected - actual
            floor += _mean_deviation(expected)
    return Errors(n, came, off / came, bias / came, floor / came) if came else Errors(n, 0, None, None, None)


def scale(expected: float, came: int, weight: float = 10.0) -> float:
    """How much more comes than was forecast, from the last minutes: ``expected`` calls were, ``came`` did. With few
    calls it stays near 1 (the mean of a gamma-Poisson model whose prior is worth ``weight`` calls)."""
    if not (expected >= 0 and came >= 0 and weight > 0):
        raise ValueError(f"expected = {expected}, came = {came}, weight = {weight}: 通数须 ≥ 0，权重须 > 0 / "
                         "calls must be at least 0, the weight above 0")  # fmt: skip
    return (weight + came) / (weight + expected)


def next_half_hour(calls: float, traffic_scale: float, handle_s: float, patience_s: float, seats: int,
                   waiting: int = 0) -> tuple[float, float]:  # fmt: skip
    """Calls expected in the next 30 min and the share of them, and of those in line, that ``seats`` answer. ``calls``:
    the baseline's for that half hour; ``traffic_scale`` from `scale`."""
    expected = calls * traffic_scale
    return expected, answered_soon(Traffic(expected / 1800, handle_s, patience_s), seats, waiting, 1800.0)


# -- inside ------------------------------------------------------------------------------------------------------------
def _date(days: int) -> dt.date:
    return dt.date.fromordinal(days + _EPOCH)


def _near_the_median(totals: Mapping[dt.date, int]) -> list[dt.date]:
    """Days within 3.5 robust deviations; never stricter than chance (4 √) or a fifth."""
    middle = median(totals.values())
    spread = 1.4826 * median(abs(total - middle) for total in totals.values())
    limit = max(3.5 * spread, 4 * math.sqrt(middle), 0.2 * middle, 1.0)
    near = [day for day, total in totals.items() if abs(total - middle) <= limit]
    return near if len(near) >= LEAST_DAYS else list(totals)


def _profile(days: list[tuple[int, ...]]) -> tuple[float, ...]:
    """The mean day: bursts cut to what chance explains, then smoothed as widely as the counts are thin."""
    wide = [[_window(day, n, 2) for n in range(QUARTERS)] for day in days]
    usual = [median(one[n] for one in wide) for n in range(QUARTERS)]
    most = [u + 4 * math.sqrt(max(u, 0.25)) + 1 for u in usual]
    mean = [sum(min(day[n], most[n]) for day in days) / len(days) for n in range(QUARTERS)]
    seen = sum(mean) / QUARTERS * len(days)  # observations behind one quarter
    half = next((w for w in range(1, 5) if (2 * w + 1) * seen >= 25), 4)
    return tuple(_window(mean, n, half) for n in range(QUARTERS))


def _window(values: tuple[int, ...] | list[float], n: int, half: int) -> float:
    """A weighted mean around n, heaviest in the middle; the day's ends look inwards only."""
    total = weights = 0.0
    for k in range(max(0, n - half), min(len(values), n + half + 1)):
        weight = half + 1 - abs(k - n)
        total += weight * values[k]
        weights += weight
    return total / weights


def _mean_deviation(mean: float) -> float:
    """E|X - m| of a Poisson count X with mean m: 2 e^-m m^(⌊m⌋+1) ÷ ⌊m⌋!"""
    if mean <= 0:
        return 0.0
    whole = math.floor(mean)
    return 2 * math.exp(-mean + (whole + 1) * math.log(mean) - math.lgamma(whole + 1))
