"""Which figures of the answer rate are asked for: by the command, by the interface, in the same words.

Knows: what may be asked. Must not know: who asks, the clock (the time is given).
"""

from __future__ import annotations

from cti.core import spans
from cti.core.answer_rate import BYS, By, Counting
from cti.core.disputes import Period
from cti.core.rate_report import Asked

MOST_HOURS = 744
MOST_SHORT_S = 60


class BadAsk(ValueError):
    """What is asked makes no sense; the text says what would."""


def asked(now: int, *, day: str = "", month: str = "", hours: int = 0, by: str = "", buckets: bool = False,
          short_s: float = 0) -> tuple[Asked, ...]:  # fmt: skip
    """One span, or with none of the three: today, the last 24 h, this month. Spans end with ``now`` (µs). Raises
    `BadAsk` and `BadPeriod`."""
    if sum((bool(day), bool(month), bool(hours))) > 1:
        raise BadAsk("day、month、hours 只能给一个 / one of day, month and hours")
    if not 0 <= hours <= MOST_HOURS:
        raise BadAsk(f"hours 须为 1–{MOST_HOURS} / must be 1 to {MOST_HOURS}")
    if by and by not in BYS:
        raise BadAsk(f"by 须为 / must be one of {', '.join(BYS)}")
    if not 0 <= short_s <= MOST_SHORT_S:
        raise BadAsk(f"short_abandon 须为 0–{MOST_SHORT_S} 秒 / must be 0 to {MOST_SHORT_S} s")
    group: By | None = next((one for one in BYS if one == by), None)
    counting = Counting(short_ms=round(short_s * 1000))
    return tuple(Asked(_fit(over, now, buckets), group, buckets, counting) for over in _spans(now, day, month, hours))


def _spans(now: int, day: str, month: str, hours: int) -> list[Period]:
    if day:
        return [spans.day(day)]
    if month:
        return [spans.month(month)]
    if hours:
        return [spans.last_hours(hours, now)]
    return [spans.day_of(now), spans.last_hours(24, now), spans.month_of(now)]


def _fit(over: Period, now: int, buckets: bool) -> Period:
    past = spans.until(over, now)
    return spans.whole_quarters(past) if buckets else past
