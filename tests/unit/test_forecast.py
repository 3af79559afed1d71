"""Forecast of calls by quarter: its seasons, what it leaves out, and how far off it is."""

from __future__ import annotations

import datetime as dt
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core.forecast import (
    HOLIDAY,
    MAKEUP,
    QUARTERS,
    Calendar,
    History,
    TooLittleHistoryError,
    backtest,
    day_of,
    errors,
    first_quarter,
    forecast,
    history_of,
    next_half_hour,
    quarter_of,
    quarter_start,
    scale,
)
from cti.core.seatplan import Line, expected_share, plan
from cti.core.staffing import Traffic, seats_for_answered, seats_for_level

pytestmark = pytest.mark.unit

MONDAY = dt.date(2026, 9, 7)
SHAPE = [0.1 + math.exp(-(((n - 40) / 10) ** 2)) + 0.8 * math.exp(-(((n - 62) / 9) ** 2)) for n in range(QUARTERS)]


def poisson(rng: random.Random, mean: float) -> int:
    left, n = math.exp(-mean), 0
    product = rng.random()
    while product > left:
        product *= rng.random()
        n += 1
    return n


def truth(day: dt.date, calls: float) -> list[float]:
    factor = 0.3 if day.weekday() == 6 else 0.45 if day.weekday() == 5 else 1.15 if day.weekday() == 0 else 1.0
    return [calls * factor * share / sum(SHAPE) for share in SHAPE]


def made(days: int, calls: float = 2000, seed: int = 1, **times: float) -> History:
    """Whole days from `MONDAY`; ``times``: d<n>=factor changes a day."""
    rng, counts = random.Random(seed), {}
    for n in range(days):
        day = MONDAY + dt.timedelta(days=n)
        for k, mean in enumerate(truth(day, calls * times.get(f"d{n}", 1.0))):
            counts[first_quarter(day) + k] = poisson(rng, mean)
    start = first_quarter(MONDAY)
    return History(start, start + days * QUARTERS, counts)


def test_quarters_are_those_of_shanghai() -> None:
    midnight = dt.datetime(2026, 11, 25, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    at = round(midnight.timestamp() * 1e6)
    assert quarter_of(at) == first_quarter(dt.date(2026, 11, 25)) and quarter_of(at - 1) == quarter_of(at) - 1
    assert quarter_start(quarter_of(at)) == at and day_of(quarter_of(at)) == dt.date(2026, 11, 25)


def test_a_history_knows_only_what_lies_wholly_in_it() -> None:
    start = quarter_start(first_quarter(MONDAY))
    quarter = 900_000_000
    found = history_of([start, start + 1, start + quarter, start + 99 * quarter], start, start + 97 * quarter)
    assert (found.calls[found.first], found.end - found.first) == (2, 97) and found.whole_days() == [MONDAY]
    assert sum(found.calls.values()) == 3
    assert history_of([start], start + 1, start + 97 * quarter).whole_days() == []


def test_weekdays_and_times_of_day_are_told_apart() -> None:
    history = made(42)
    for n in (42, 43, 47, 48):
        day = MONDAY + dt.timedelta(days=n)
        found = forecast(history, day)
        assert all(d.weekday() == day.weekday() for d in found.basis) and len(found.basis) == 6
        right = truth(day, 2000)
        assert sum(found.calls) == pytest.approx(sum(right), rel=0.05)
        assert sum(abs(a - b) for a, b in zip(found.calls, right, strict=True)) < 0.12 * sum(right)


def test_a_flood_and_a_failure_are_left_out_and_named() -> None:
    history = made(42, d14=4.0, d28=0.1)
    found = forecast(history, MONDAY + dt.timedelta(days=42))
    assert found.left_out == (MONDAY + dt.timedelta(days=14), MONDAY + dt.timedelta(days=28))
    assert sum(found.calls) == pytest.approx(2300, rel=0.05)


def test_a_burst_within_a_day_moves_little() -> None:
    history = made(42)
    plain = forecast(history, MONDAY + dt.timedelta(days=42))
    burst = {**history.calls, first_quarter(MONDAY + dt.timedelta(days=35)) + 40: 250}
    found = forecast(History(history.first, history.end, burst), MONDAY + dt.timedelta(days=42))
    assert found.left_out == () and found.calls[40] == pytest.approx(plain.calls[40], rel=0.1)


def test_holidays_and_make_up_workdays_go_by_the_calendar() -> None:
    national = frozenset(dt.date(2026, 10, n) for n in range(1, 8))
    calendar = Calendar(national, frozenset({dt.date(2026, 9, 20), dt.date(2026, 10, 10)}))
    assert calendar.kind(dt.date(2026, 10, 1)) == HOLIDAY and calendar.kind(dt.date(2026, 10, 10)) == MAKEUP
    history = made(42)  # to 18 October
    saturday_worked = forecast(history, dt.date(2026, 10, 10), calendar)
    assert all(calendar.kind(d) in range(5) for d in saturday_worked.basis if d != dt.date(2026, 9, 20))
    holiday = forecast(history, dt.date(2026, 10, 3), calendar)
    assert all(d in national for d in holiday.basis)
    monday = forecast(history, dt.date(2026, 10, 19), calendar)
    assert dt.date(2026, 10, 5) not in monday.basis


def test_few_days_of_a_kind_are_pooled_and_too_few_are_refused() -> None:
    wednesday = MONDAY + dt.timedelta(days=2)
    assert forecast(made(2), wednesday).basis == (MONDAY, MONDAY + dt.timedelta(days=1))
    with pytest.raises(TooLittleHistoryError, match="only 1 whole days") as refused:
        forecast(made(1), wednesday)
    assert refused.value.days == 1 and "至少" in str(refused.value)
    with pytest.raises(TooLittleHistoryError):
        forecast(made(4), MONDAY + dt.timedelta(days=5))  # a Saturday, after workdays alone


def test_a_day_is_never_forecast_from_itself_or_later() -> None:
    history = made(42)
    day = MONDAY + dt.timedelta(days=20)
    end = first_quarter(day)
    assert forecast(history, day) == forecast(
        History(history.first, end, {q: n for q, n in history.calls.items() if q < end}), day
    )


@pytest.mark.parametrize("calls", [2000, 40])
def test_errors_are_near_the_floor_that_chance_sets(calls: float) -> None:
    history = made(56, calls)
    found = errors(backtest(history), history)
    assert found.quarters == 14 * QUARTERS
    assert found.calls == sum(sum(history.day(d)) for d in history.whole_days()[-14:])
    assert found.wape is not None and found.floor is not None and found.bias is not None
    assert 0.9 * found.floor < found.wape < 1.25 * found.floor
    assert abs(found.bias) < 0.1


def test_no_calls_have_no_errors() -> None:
    history = History(first_quarter(MONDAY), first_quarter(MONDAY) + 20 * QUARTERS)
    found = errors(backtest(history), history)
    assert (found.calls, found.wape, found.bias, found.floor) == (0, None, None, None)
    assert sum(forecast(history, MONDAY + dt.timedelta(days=20)).calls) == 0


@given(st.lists(st.integers(0, 60), min_size=3 * QUARTERS, max_size=3 * QUARTERS))
def test_a_forecast_is_never_negative_nor_above_all_that_came(counts: list[int]) -> None:
    start = first_quarter(MONDAY)
    history = History(start, start + 3 * QUARTERS, dict(enumerate(counts, start)))
    found = forecast(history, MONDAY + dt.timedelta(days=3))
    assert all(0 <= calls <= max(counts) for calls in found.calls)


def test_what_came_lately_corrects_the_forecast() -> None:
    assert scale(20, 20) == 1 and scale(0, 0) == 1
    assert scale(50, 250) == pytest.approx(260 / 60) and scale(1, 3) == pytest.approx(13 / 11)
    with pytest.raises(ValueError, match="at least 0"):
        scale(-1, 0)


def test_the_next_half_hour() -> None:
    calls, share = next_half_hour(300, 1.0, 240, 120, 44)
    assert calls == 300 and 0.95 < share < 1
    assert next_half_hour(300, 1.0, 240, 120, 44, waiting=60)[1] < share
    assert next_half_hour(300, 3.0, 240, 120, 44)[1] == pytest.approx(44 / 120, abs=0.03)
    assert next_half_hour(0, 1.0, 240, 120, 0) == (0, 1.0)


def test_a_plan_owes_general_seats_an_answer_and_dedicated_ones_an_answer_in_time() -> None:
    day = forecast(made(42), MONDAY + dt.timedelta(days=42))
    busiest = max(range(QUARTERS), key=lambda n: day.calls[n])
    traffic = Traffic(day.calls[busiest] / 900, 180, 120)
    general, dedicated = Line("12345", have=20), Line("110-dedicated", have=20)
    assert plan(day, general)[busiest].seats == seats_for_answered(traffic, 0.95)
    assert plan(day, dedicated)[busiest].seats == seats_for_level(traffic, 0.95, 15)
    answered, in_time = (expected_share(plan(day, line), line) for line in (general, dedicated))
    assert answered is not None and in_time is not None and 0.8 < in_time < answered < 1
    assert expected_share(plan(day, Line("12345")), Line("12345")) is None
