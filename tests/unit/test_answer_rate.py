"""The answer rate on whole numbers (DOMAIN.md, KPI definitions)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core.answer_rate import AnswerRate, Counting, EndedCall, Tally, answer_rate, as_queues, ended_call, rolling

OUTCOMES = ("answered", "abandoned", "timeout", "refused", "callback", "unasked", "called-back")
CALLS = st.lists(
    st.builds(EndedCall, st.integers(0, 99), st.sampled_from(("12345", "110")), st.sampled_from(OUTCOMES),
              kind=st.sampled_from(("", "general")), wait_ms=st.integers(-1, 30_000)), max_size=60)  # fmt: skip


def test_nothing_offered_is_a_dash_never_a_hundred() -> None:
    assert AnswerRate().text == AnswerRate().level_text == "—"
    assert AnswerRate().meets_target is None and AnswerRate().asa_ms is None


def test_ninety_four_point_996_fails() -> None:
    rate = AnswerRate(answered=94_996, abandoned=5_004)
    assert rate.meets_target is False and rate.text == "94.99 %"
    assert AnswerRate(answered=95, abandoned=5).meets_target is True
    assert AnswerRate(answered=9_499_999_999, abandoned=500_000_001).meets_target is False


def test_asked_is_answered_abandoned_timed_out_and_refused_alone() -> None:
    outcomes = ["answered"] * 7 + ["abandoned", "timeout", "refused", "unasked", "unasked"]
    calls = [EndedCall(10, "12345", o) for o in outcomes] + [EndedCall(10, "110", "abandoned")]
    assert answer_rate(calls, 0, 20, "12345") == AnswerRate(7, 1, 1, 1)
    assert answer_rate(calls, 0, 20).offered == 11


def test_the_window_is_half_open_by_arrival() -> None:
    calls = [EndedCall(at, "12345", "answered") for at in (9, 10, 19, 20)]
    assert answer_rate(calls, 10, 20).offered == 2


def test_the_service_level_is_answered_in_time_of_all_offered() -> None:
    """DOMAIN.md's vector: 1000 answered, 60 abandoned, 860 answered in 15 s, 20 abandoned in 15 s → 81.1 %."""
    calls = [EndedCall(0, "12345", "answered", wait_ms=15_000)] * 860
    calls += [EndedCall(0, "12345", "answered", wait_ms=15_001)] * 140
    calls += [EndedCall(0, "12345", "abandoned", wait_ms=10_000)] * 20
    calls += [EndedCall(0, "12345", "abandoned", wait_ms=40_000)] * 40
    rate = answer_rate(calls, 0, 1)
    assert rate.level_text == "81.13 %" and rate.in_level == 860
    assert rate.asa_ms == (860 * 15_000 + 140 * 15_001) // 1000


def test_short_abandons_are_in_the_raw_figure_and_not_in_the_adjusted() -> None:
    calls = [EndedCall(0, "1", "answered", wait_ms=1)] * 18
    calls += [EndedCall(0, "1", "abandoned", wait_ms=w) for w in (4_999, 5_000)]
    five = answer_rate(calls, 0, 1, counting=Counting(short_ms=5_000))
    assert (five.text, five.adjusted.text, five.short) == ("90.00 %", "94.73 %", 1)
    off = answer_rate(calls, 0, 1)
    assert off.adjusted == off and off.text == "90.00 %"  # changing the threshold counts anew, from the same calls
    assert AnswerRate(abandoned=1, short=1).adjusted.text == "—"


@given(CALLS, st.integers(0, 98), st.integers(1, 40))
def test_groups_buckets_and_portions_sum_up_to_the_whole(calls: list[EndedCall], start: int, step: int) -> None:
    whole = answer_rate(calls, start, 99, counting=Counting(short_ms=9_000))
    tally = Tally(start, 99, by="hotline", step=step, counting=Counting(short_ms=9_000))
    for call in calls:
        tally.add([call])
    assert tally.total == whole == sum(tally.buckets, AnswerRate()) == sum(tally.groups.values(), AnswerRate())
    for name, rate in tally.groups.items():
        assert rate == answer_rate(calls, start, 99, name, Counting(short_ms=9_000))
    for n, rate in enumerate(tally.buckets):
        begin = start + n * step
        assert rate == answer_rate(calls, begin, min(99, begin + step), counting=Counting(short_ms=9_000))
    counts = Counter(call.outcome for call in calls if start <= call.arrived_at < 99)
    assert whole.offered == sum(counts[o] for o in OUTCOMES[:5])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 10))
def test_a_rolling_window_is_the_sum_of_its_buckets(counts: list[int], width: int) -> None:
    buckets = [AnswerRate(answered=n, abandoned=1) for n in counts]
    wanted = [sum(buckets[i : i + width], AnswerRate()) for i in range(len(buckets) - width + 1)]
    assert rolling(buckets, width) == wanted


def test_the_queues_view_counts_a_transferred_call_once_for_each_queue() -> None:
    queues = "12329,1000,timeout,10000,;12345,11000,answered,3000,general;110,35000,timeout,15000,"
    call = EndedCall(7, "12329", "answered", "12345", "530102", "general", 3000, queues)
    assert list(as_queues([call])) == [
        EndedCall(7, "12329", "timeout", "12345", "530102", "", 10_000),
        EndedCall(7, "12345", "answered", "12345", "530102", "general", 3000),
        EndedCall(7, "110", "timeout", "110", "530102", "", 15_000),
    ]
    both = Tally(0, 9, by="hotline").add([call]), Tally(0, 9, by="hotline").add(as_queues([call]))
    assert [t.total.text for t in both] == ["100.00 %", "33.33 %"]
    old = EndedCall(7, "12345", "abandoned")
    assert list(as_queues([old])) == [old]


def test_an_older_entry_reads_with_what_it_tells() -> None:
    old = {"outcome": "answered", "hotline": "12345", "division": "530102", "arrived_at": 7, "wait_ms": 9}
    assert ended_call(old) == EndedCall(7, "12345", "answered", "", "530102", "", 9, "")
    with pytest.raises(KeyError):
        ended_call({"outcome": "answered"})
    with pytest.raises(ValueError, match="soon"):
        ended_call({**old, "arrived_at": "soon"})
