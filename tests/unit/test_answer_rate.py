"""The answer rate on whole numbers (DOMAIN.md, KPI definitions)."""

from __future__ import annotations

from cti.core.answer_rate import AnswerRate, EndedCall, answer_rate


def test_nothing_offered_is_a_dash_never_a_hundred() -> None:
    assert AnswerRate().text == "—" and AnswerRate().meets_target is None


def test_ninety_four_point_996_fails() -> None:
    rate = AnswerRate(answered=94_996, abandoned=5_004)
    assert rate.meets_target is False and rate.text == "94.99 %"
    assert AnswerRate(answered=95, abandoned=5).meets_target is True


def test_asked_is_answered_abandoned_timed_out_and_refused_alone() -> None:
    outcomes = ["answered"] * 7 + ["abandoned", "timeout", "refused", "unasked", "unasked"]
    calls = [EndedCall(10, "12345", o) for o in outcomes] + [EndedCall(10, "110", "abandoned")]
    assert answer_rate(calls, 0, 20, "12345") == AnswerRate(7, 1, 1, 1)
    assert answer_rate(calls, 0, 20).offered == 11


def test_the_window_is_half_open_by_arrival() -> None:
    calls = [EndedCall(at, "12345", "answered") for at in (9, 10, 19, 20)]
    assert answer_rate(calls, 10, 20).offered == 2
