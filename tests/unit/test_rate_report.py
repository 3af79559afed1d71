"""The report of a span: what it says is what was counted, with the rule beside it."""

from __future__ import annotations

from typing import Any

from cti.core.answer_rate import By, Counting, EndedCall
from cti.core.rate_report import Asked, Report
from cti.core.spans import DAY_US, QUARTER_US, day, last_hours, until, whole_quarters

DAY = day("2026-11-25")


def told(calls: list[EndedCall], asked: Asked) -> dict[str, Any]:
    report = Report(asked)
    report.add(calls)
    return report.figures()


def some(start: int, count: int, outcome: str = "answered", kind: str = "general", ms: int = 3000) -> list[EndedCall]:
    return [EndedCall(start + n, "12345", outcome, "12345", "530102", kind, ms) for n in range(count)]


def test_the_rule_and_its_thresholds_stand_beside_the_figure() -> None:
    shown = told(some(DAY.start, 19) + some(DAY.start, 1, "abandoned", "", 2000), Asked(DAY, counting=Counting(5_000)))
    view = shown["views"]["caller"]
    assert (view["answer_rate"], view["meets_target"]) == ("95.00 %", True)
    assert view["adjusted"] == {"offered": 19, "answer_rate": "100.00 %", "meets_target": True}
    assert "5 秒" in shown["rule"]["zh"] and "shorter than 5 s" in shown["rule"]["en"]
    assert "15 秒服务水平" in shown["rule"]["zh"] and "（0：不剔除）" in told([], Asked(DAY))["rule"]["zh"]
    assert shown["views"]["queue"]["rule"] != view["rule"]
    assert (shown["from"], shown["to"]) == ("2026-11-25T00:00:00+08:00", "2026-11-26T00:00:00+08:00")


def test_a_kind_of_seat_has_a_share_and_no_rate() -> None:
    by: By = "seat-kind"
    shown = told(some(DAY.start, 8) + some(DAY.start, 1, kind="dedicated") + some(DAY.start, 1, "timeout", ""),
                 Asked(DAY, by=by))  # fmt: skip
    groups = {g["name"]: (g["answer_rate"], g["share_of_offered"]) for g in shown["views"]["caller"]["groups"]}
    assert groups == {"": ("—", "10.00 %"), "dedicated": ("—", "10.00 %"), "general": ("—", "80.00 %")}


def test_every_rolling_day_is_shown_and_the_worst_named() -> None:
    noon = DAY.start + DAY_US // 2
    calls = some(DAY.start - DAY_US // 2, 100) + some(noon - 1, 1, "abandoned") + some(noon, 9, "abandoned")
    shown = told(calls, Asked(DAY, buckets=True))
    assert len(shown["buckets"]) == len(shown["rolling_24h"]) == 96
    assert sum(b["offered"] for b in shown["buckets"]) == 10 == shown["views"]["caller"]["offered"]
    points = {p["until"][11:16]: p["answer_rate"] for p in shown["rolling_24h"]}
    # at noon the first hundred leave the window as the nine come
    assert (points["00:15"], points["12:00"], points["12:15"], points["00:00"]) == (
        "100.00 %", "99.00 %", "0.00 %", "0.00 %")  # fmt: skip
    assert shown["rolling_24h_worst"]["answer_rate"] == "0.00 %"
    assert {b["from"][11:16]: b["answer_rate"] for b in shown["buckets"]}["00:00"] == "—"


def test_quarters_of_a_rolling_span_sum_up_to_it() -> None:
    now = DAY.start + 7 * QUARTER_US + 17
    over = whole_quarters(last_hours(24, now))
    calls = [call for n in range(-200, 10) for call in some(DAY.start + n * QUARTER_US + 100, n % 3 + 1)]
    shown = told(calls, Asked(over, buckets=True))
    assert sum(b["offered"] for b in shown["buckets"]) == shown["views"]["caller"]["offered"] > 0


def test_a_span_ends_with_now() -> None:
    assert until(DAY, DAY.start + 5).end == DAY.start + 6
    assert until(DAY, DAY.end + 5) == DAY
    assert until(DAY, DAY.start - 5).end == DAY.start + 1
