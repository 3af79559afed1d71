"""Days, months, quarters of an hour: Asia/Shanghai, half-open."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core import spans
from cti.core.disputes import BadPeriod
from cti.core.zone import SHANGHAI


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()) * 1_000_000


@given(st.integers(at("2000-01-01"), at("2099-12-31")))
def test_the_day_of_an_instant_is_the_calendars(us: int) -> None:
    local = dt.datetime.fromtimestamp(us // 1_000_000, SHANGHAI)
    assert spans.day_name(spans.day_number(us)) == f"{local:%Y%m%d}"
    over = spans.day_of(us)
    assert over.holds(us) and over.end - over.start == spans.DAY_US and over.name == f"{local:%Y-%m-%d}"
    assert spans.month_of(us).holds(us) and spans.month_of(us).name == f"{local:%Y-%m}"
    assert spans.quarter_floor(us) <= us < spans.quarter_floor(us) + spans.QUARTER_US


def test_edges_belong_to_what_they_begin() -> None:
    midnight = at("2026-12-01")
    assert list(spans.days(midnight - 1, midnight)) == ["20261130"]
    assert list(spans.days(midnight - 1, midnight + 1)) == ["20261130", "20261201"]
    november, december = spans.month("2026-11"), spans.month("2026-12")
    assert november.end == midnight == december.start
    assert len(list(spans.days(november.start, november.end))) == 30
    over = spans.last_hours(24, midnight)
    assert over.holds(midnight) and not over.holds(midnight - spans.DAY_US)


@pytest.mark.parametrize("text", ["", "2026-13-01", "2026-02-30", "20261125", "2026-11", "1999-01-01", "x" * 99])
def test_what_is_no_day_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(BadPeriod, match="2026-11-25"):
        spans.day(text)


@pytest.mark.parametrize("text", ["2026Q4", "2026-00", "november"])
def test_what_is_no_month_says_so(text: str) -> None:
    with pytest.raises(BadPeriod):
        spans.month(text)
