"""The simulated day, some hours of it: the rule keeps the target where the province has the seats, and only then."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from bench.province_day import PROPOSED, needed, run
from bench.province_sites import Day
from cti.core.answer_rate import AnswerRate

pytestmark = pytest.mark.unit

HOUR = 3600.0
DALI = Day("532900", 9.5 * HOUR, times=5, fades_s=2 * HOUR, per_thousand=0.5, room=1.5, start_s=9 * HOUR,
           end_s=12 * HOUR)  # fmt: skip


@pytest.mark.parametrize("day", [DALI, replace(DALI, struck="533300", times=15, seed=2)])
def test_with_enough_seats_in_the_province_the_struck_site_keeps_its_target(day: Day) -> None:
    assert all(wanted <= there for wanted, there in needed(day, PROPOSED.spare))
    alone, helped = run(day, overflow=False), run(day, overflow=True)
    assert alone.rates[day.struck].meets_target is False
    assert all(rate.meets_target for rate in helped.rates.values())
    assert helped.leases > 10 and helped.twice == 0
    assert helped.first_seat_s is not None and helped.first_seat_s < 300
    offered = {code: rate.offered for code, rate in alone.rates.items()}
    assert offered == {code: rate.offered for code, rate in helped.rates.items()}  # the same callers


def test_without_enough_seats_it_says_so_and_no_lender_goes_under_for_it() -> None:
    day = replace(DALI, times=25, end_s=10.25 * HOUR)
    assert any(wanted > there for wanted, there in needed(day, PROPOSED.spare))
    alone, helped = run(day, overflow=False), run(day, overflow=True)
    mine, theirs = helped.rates[day.struck], alone.rates[day.struck]
    assert mine.meets_target is False and mine.answered > 1.5 * theirs.answered
    assert all(rate.meets_target for code, rate in helped.rates.items() if code != day.struck)


def test_a_day_repeats_by_its_seed() -> None:
    day = replace(DALI, end_s=9.75 * HOUR)
    assert run(day, overflow=True) == run(day, overflow=True)
    assert run(day, overflow=True).rates != run(replace(day, seed=9), overflow=True).rates


def test_the_province_adds_counts_and_never_averages() -> None:
    found = run(replace(DALI, end_s=9.25 * HOUR), overflow=False)
    assert found.province == AnswerRate(*(sum(getattr(rate, name) for rate in found.rates.values())
                                          for name in ("answered", "abandoned", "timed_out", "refused")))  # fmt: skip


def test_the_command_explains_itself_and_refuses_what_is_wrong() -> None:
    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "bench.province_day", *words], capture_output=True, text=True,
                              check=False, timeout=60)  # fmt: skip

    assert "532900 Dali" in ran("--help").stdout
    for words in (("--at", "25:00"), ("--from", "9", "--to", "8"), ("--times", "0"), ("--struck", "510100")):
        assert ran(*words).returncode == 2
