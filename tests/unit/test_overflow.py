"""The automatic rule: whom it asks, what a lender keeps, and that it does not flap."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.core.overflow import (
    Borrow,
    Decision,
    GiveBack,
    Memory,
    Policy,
    Recall,
    SiteView,
    decide,
    distance_km,
    level,
    predicted,
)
from cti.core.staffing import Traffic, seats_for_answered

pytestmark = pytest.mark.unit

MINUTE, HOUR = 60_000_000, 3_600_000_000
POLICY = Policy()
DALI, CHUXIONG, KUNMING, HONGHE = "532900", "532300", "530100", "532500"
PLACES = {DALI: (25.61, 100.27), CHUXIONG: (25.04, 101.54), KUNMING: (25.04, 102.71), HONGHE: (23.36, 103.38)}


def site(code: str, erlangs: float, seats: int, **more: object) -> SiteView:
    view = SiteView(code, Traffic(erlangs / 240, 240, 120), seats, max(0, seats - round(erlangs)),
                    place=PLACES.get(code, (25.0, 102.0)))  # fmt: skip
    return replace(view, **more)  # type: ignore[arg-type]


def asked(decisions: list[Decision]) -> dict[str, int]:
    return {d.lender: d.count for d in decisions if isinstance(d, Borrow)}


def test_a_short_site_borrows_from_the_nearest_what_it_needs() -> None:
    views = [site(DALI, 30, 20), site(KUNMING, 40, 70), site(CHUXIONG, 5, 18), site(HONGHE, 10, 40)]
    _, decisions = decide(0, views, {}, POLICY)
    got = asked(decisions)
    assert list(got) == [CHUXIONG, KUNMING] and {d.borrower for d in decisions} == {DALI}
    short, wanted = views[0], sum(got.values())
    assert predicted(short, short.seats + wanted) >= POLICY.aim > predicted(short, short.seats + wanted - 1)
    for view in views[1:]:
        assert predicted(view, view.seats - got.get(view.code, 0)) >= POLICY.spare


def test_seats_on_their_way_are_not_asked_for_again() -> None:
    views = [site(DALI, 30, 20), site(KUNMING, 40, 90)]
    memory, decisions = decide(0, views, {}, POLICY)
    count = asked(decisions)[KUNMING]
    views[0] = replace(views[0], borrowed={KUNMING: count}, coming=count)
    views[1] = replace(views[1], lent={DALI: count}, free=views[1].free - count)
    assert decide(5 * MINUTE, views, memory, POLICY)[1] == []


def test_a_line_of_callers_is_a_shortage_whatever_is_forecast() -> None:
    views = [site(DALI, 10, 20, waiting=30), site(KUNMING, 40, 90)]
    assert predicted(replace(views[0], waiting=0)) > POLICY.calm
    assert asked(decide(0, views, {}, POLICY)[1])[KUNMING] >= 15


def test_only_free_seats_are_lent_and_half_of_all_at_most() -> None:
    short = site(DALI, 100, 20)
    assert asked(decide(0, [short, site(KUNMING, 2, 60, free=5)], {}, POLICY)[1]) == {KUNMING: 5}
    assert asked(decide(0, [short, site(KUNMING, 2, 60)], {}, POLICY)[1]) == {KUNMING: 30}
    assert asked(decide(0, [short, site(KUNMING, 2, 60, lent={HONGHE: 29})], {}, POLICY)[1]) == {KUNMING: 1}
    assert asked(decide(0, [short, site(KUNMING, 2, 60, waiting=1)], {}, POLICY)[1]) == {}


def test_who_borrows_does_not_lend_and_who_is_short_does_not_either() -> None:
    short = site(DALI, 100, 20)
    assert asked(decide(0, [short, site(KUNMING, 2, 60, borrowed={HONGHE: 1})], {}, POLICY)[1]) == {}
    both = decide(0, [short, site(KUNMING, 90, 60), site(HONGHE, 1, 30)], {}, POLICY)[1]
    assert {d.lender for d in both} == {HONGHE}


def test_another_province_and_a_site_out_of_touch_are_never_asked() -> None:
    short = site(DALI, 100, 20)
    assert decide(0, [short, site("510100", 2, 90)], {}, POLICY)[1] == []
    assert decide(0, [short, site(KUNMING, 2, 90, reachable=False)], {}, POLICY)[1] == []
    assert decide(0, [replace(short, reachable=False), site(KUNMING, 2, 90)], {}, POLICY)[1] == []


def test_the_own_prefecture_comes_first() -> None:
    county = replace(site("532901", 2, 30), place=(26.9, 101.0))  # farther than Chuxiong, and its own
    decisions = decide(0, [site(DALI, 60, 20), site(CHUXIONG, 5, 60), county], {}, POLICY)[1]
    assert next(iter(asked(decisions))) == "532901"
    assert [level("532901", code) for code in ("532922", CHUXIONG, "510100")] == [0, 1, 2]
    assert distance_km(PLACES[KUNMING], PLACES[DALI]) == pytest.approx(253, abs=5)


def test_a_lender_recalls_before_it_falls_under_its_own_target() -> None:
    lender = site(KUNMING, 48, 70, lent={DALI: 15, HONGHE: 5})
    assert POLICY.target < predicted(lender) < POLICY.alarm
    views = [lender, site(DALI, 30, 20, borrowed={KUNMING: 15}), site(HONGHE, 10, 40, borrowed={KUNMING: 5})]
    memory, decisions = decide(0, views, {}, POLICY)
    recalls = [d for d in decisions if isinstance(d, Recall)]
    assert recalls[0].borrower == HONGHE  # it misses them least
    back = sum(d.count for d in recalls)
    assert predicted(lender, lender.serving + back) >= POLICY.spare
    calm = [site(KUNMING, 5, 70), site(DALI, 60, 20)]
    assert asked(decide(POLICY.rest_us - 1, calm, memory, POLICY)[1]) == {}
    assert asked(decide(POLICY.rest_us, calm, memory, POLICY)[1]) != {}


def test_seats_go_back_when_they_were_not_missed_for_a_while() -> None:
    views = [site(DALI, 8, 20, borrowed={KUNMING: 10}), site(KUNMING, 40, 90, lent={DALI: 10})]
    memory: Memory = {}
    back: list[tuple[int, int]] = []
    for minute in range(30):
        memory, decisions = decide(minute * MINUTE, views, memory, POLICY)
        for one in decisions:
            assert isinstance(one, GiveBack)
            back.append((minute, one.count))
            left = views[0].borrowed[KUNMING] - one.count
            views = [replace(views[0], borrowed={KUNMING: left}), replace(views[1], lent={DALI: left})]
    assert back == [(3, 5), (6, 3), (9, 1), (12, 1)]


@pytest.mark.parametrize("wrong", [{"calm": 0.96}, {"target": 0.97}, {"alarm": 0.98}, {"pause_us": 0}, {"calm": 1.0}])
def test_a_policy_that_would_flap_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Policy(**wrong)  # type: ignore[arg-type]


# -- properties --------------------------------------------------------------------------------------------------------
loads = st.floats(0.5, 80)


@st.composite
def provinces(draw: st.DrawFn) -> list[SiteView]:
    views = []
    for n in range(draw(st.integers(2, 8))):
        erlangs = draw(loads)
        enough = seats_for_answered(Traffic(erlangs / 240, 240, 120), 0.97)
        seats = max(1, round(enough * draw(st.floats(0.4, 2.0))))
        views.append(site(f"53{n + 10}00", erlangs, seats, place=(22 + n, 100 + n % 3)))
    return views


def follow(views: list[SiteView], decisions: list[Decision]) -> list[SiteView]:
    """As if every decision came true at once."""
    sites = {v.code: v for v in views}
    for d in decisions:
        change = d.count if isinstance(d, Borrow) else -d.count
        lender, borrower = sites[d.lender], sites[d.borrower]
        lent = {**lender.lent, d.borrower: lender.lent.get(d.borrower, 0) + change}
        held = {**borrower.borrowed, d.lender: borrower.borrowed.get(d.lender, 0) + change}
        assert lent[d.borrower] == held[d.lender] >= 0
        sites[d.lender] = replace(lender, lent={k: v for k, v in lent.items() if v}, free=max(0, lender.free - change))
        sites[d.borrower] = replace(borrower, borrowed={k: v for k, v in held.items() if v})
    return list(sites.values())


@given(provinces())
@settings(max_examples=40, deadline=None)
def test_under_steady_traffic_it_settles_and_no_lender_falls_under_its_target(views: list[SiteView]) -> None:
    """An hour, looked at every 15 s: after the first few minutes nothing moves any more."""
    memory: Memory = {}
    kinds: list[tuple[int, Decision]] = []
    for look in range(240):
        memory, decisions = decide(look * 15_000_000, views, memory, POLICY)
        kinds += [(look, d) for d in decisions]
        views = follow(views, decisions)
        for view in views:
            assert not (view.lent and view.borrowed)
            if view.lent:
                assert predicted(view) >= POLICY.spare
                assert sum(view.lent.values()) <= POLICY.lend_share * view.seats
    assert all(isinstance(d, Borrow) for _, d in kinds)
    assert max((look for look, _ in kinds), default=0) <= 40


@given(provinces(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_whatever_the_figures_do_changes_are_bounded(views: list[SiteView], seed: int) -> None:
    """Traffic, lines and free seats jump at every look for an hour. A site borrows at most every `pause`, turns from
    borrowing to giving back at most every `hold`, and lends again at most every `rest`."""
    rng = random.Random(seed)
    memory: Memory = {}
    borrowed_at: dict[str, list[int]] = {}
    turns: Counter[str] = Counter()
    lends: Counter[str] = Counter()
    last: dict[str, str] = {}
    lender_last: dict[str, str] = {}
    for look in range(240):
        now = look * 15_000_000
        views = [
            replace(v, traffic=Traffic(rng.choice((0.004, 0.02, 0.05, 0.12, 0.3)), 240, 120),
                    free=rng.randint(0, v.seats), waiting=rng.choice((0, 0, 0, 2, 40)))
            for v in views
        ]  # fmt: skip
        memory, decisions = decide(now, views, memory, POLICY)
        views = follow(views, decisions)
        for code in {d.borrower for d in decisions if isinstance(d, Borrow)}:
            borrowed_at.setdefault(code, []).append(now)
            last[code] = "borrow"
        for code in {d.borrower for d in decisions if isinstance(d, GiveBack)}:
            turns[code] += last.get(code) == "borrow"
            last[code] = "back"
        for code in {d.lender for d in decisions if isinstance(d, Borrow)}:
            lends[code] += lender_last.get(code) == "recall"
            lender_last[code] = "lend"
        for code in {d.lender for d in decisions if isinstance(d, Recall)}:
            lender_last[code] = "recall"
    for times in borrowed_at.values():
        assert all(b - a >= POLICY.pause_us for a, b in pairwise(times))
    assert all(n <= HOUR // POLICY.hold_us for n in turns.values())
    assert all(n <= HOUR // POLICY.rest_us for n in lends.values())


def test_noise_between_the_thresholds_moves_nothing() -> None:
    """Two per cent up and down, for an hour, at a site that has just borrowed what it needs."""
    views, moved = [site(DALI, 30, 24), site(KUNMING, 40, 90)], list[int]()
    memory: Memory = {}
    for look in range(240):
        factor = 1 + 0.02 * (1 if look % 3 else -1)
        seen = [replace(v, traffic=replace(v.traffic, rate=v.traffic.rate * factor)) for v in views]
        memory, decisions = decide(look * 15_000_000, seen, memory, POLICY)
        moved += [look] * len(decisions)
        views = follow(views, decisions)
    assert moved and max(moved) <= 4
