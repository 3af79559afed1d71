"""The dispute list: what is on it, for which month or quarter; `cti disputes` and metrics read the same facts."""

from __future__ import annotations

import pytest

from cti.core import events as e
from cti.core.commands import Record
from cti.core.disputes import BadPeriod, disputes, period, quarter_of
from cti.core.facts import Fact
from cti.metrics import Metrics

from .playbook import REF, T1, Play, room, said, us

BASE = 1_795_000_000_000_000
"""2026-11-18 in Asia/Shanghai"""


def facts(*events: e.Event) -> list[Fact]:
    play = Play()
    play(*events)
    return [Fact(r.kind, BASE + r.at, REF, r.data, "live", r.key) for r in play.commands if isinstance(r, Record)]


DISAGREED = (*room(rule="both", danger=1), said(30, "1001", "110"), said(40, "8001", "12345", "A01"))
CONTRARY = (*room(), said(30, "1001", "110"), said(31, "8001", "12345", "no-crime"))


def test_a_disagreement_is_on_the_list_with_both_words() -> None:
    (one,) = disputes(facts(*DISAGREED), period("2026Q4"))
    assert (one.kind, one.said, one.accepts, one.basis) == ("disagreement", "12345=110,110=12345", "110", "danger")
    assert (one.at, one.ref, one.conference, one.reason, one.danger) == (BASE + us(40), REF, T1, "A01", True)


def test_a_contrary_word_is_on_it_with_what_it_contradicts() -> None:
    (one,) = disputes(facts(*CONTRARY), period("2026-11"))
    assert (one.kind, one.said, one.seat, one.accepts) == ("contrary", "110=12345", "8001", "110")
    assert (one.first_platform, one.basis, one.reason) == ("12345", "chosen", "no-crime")


def test_an_agreement_is_not_and_each_dispute_is_there_once() -> None:
    assert disputes(facts(*room(), said(30, "1001", "110")), period("2026Q4")) == []
    twice = facts(*CONTRARY)
    assert len(disputes([*twice, *twice], period("2026Q4"))) == 1
    assert disputes(twice, period("2026Q3")) == [] == disputes(twice, period("2026-12"))


@pytest.mark.parametrize(("text", "start", "end"), [
    ("2026-12", 1_796_054_400, 1_798_732_800), ("2026Q4", 1_790_784_000, 1_798_732_800),
    ("2026q1", 1_767_196_800, 1_774_972_800),
])  # fmt: skip
def test_a_period_is_of_local_months(text: str, start: int, end: int) -> None:
    made = period(text)
    assert (made.start, made.end) == (start * 1_000_000, end * 1_000_000)
    assert made.holds(made.start) and not made.holds(made.end)
    assert quarter_of(made.start).holds(made.start)


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026Q5", "Q4", "26-11", "2026-1", ""])
def test_what_is_no_period_is_said_so(text: str) -> None:
    with pytest.raises(BadPeriod, match="2026Q4"):
        period(text)


def test_metrics_count_the_same() -> None:
    metrics = Metrics()
    for fact in (*facts(*DISAGREED), *facts(*CONTRARY)):
        metrics.saw(fact)
    value = metrics.registry.get_sample_value
    assert value("cti_conferences_total", {"first_platform": "12345"}) == 2
    assert value("cti_conference_join_seconds_sum", {"first_platform": "12345"}) == pytest.approx(8.04)
    decided = {"first_platform": "12345", "outcome": "disagreement", "basis": "danger"}
    assert value("cti_conference_decisions_total", decided) == 1
    assert value("cti_conference_decisions_total", {**decided, "outcome": "chosen", "basis": "chosen"}) == 1
    assert value("cti_conference_disputes_total", {"kind": "disagreement"}) == 1
    assert value("cti_conference_disputes_total", {"kind": "contrary"}) == 1
