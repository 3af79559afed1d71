"""Erlang B, C and A: DOMAIN.md's vectors to the printed digits, properties, extremes, and the simulator `ciw`."""

from __future__ import annotations

import math
import statistics

import ciw
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cti.core.staffing import (
    Traffic,
    UnstableError,
    answered_soon,
    erlang_b,
    erlang_c,
    seats_for_answered,
    seats_for_level,
    serve,
)

pytestmark = pytest.mark.unit

loads = st.floats(0.01, 400.0)
seat_counts = st.integers(1, 450)
patiences = st.floats(0.5, 1e6)


@pytest.mark.parametrize(("load", "seats", "digits", "value"), [
    (25, 30, 4, 0.0526), (20, 10, 5, 0.53796), (5, 1, 12, round(5 / 6, 12)), (0, 0, 12, 1.0), (0, 3, 12, 0.0),
])  # fmt: skip
def test_vectors_of_b(load: float, seats: int, digits: int, value: float) -> None:
    assert round(erlang_b(load, seats), digits) == value


@pytest.mark.parametrize(("load", "seats", "digits", "value"), [
    (2, 3, 12, round(4 / 9, 12)), (3, 5, 5, 0.23615), (10, 14, 5, 0.17413), (20, 25, 5, 0.20910),
])  # fmt: skip
def test_vectors_of_c(load: float, seats: int, digits: int, value: float) -> None:
    assert round(erlang_c(load, seats), digits) == value


@pytest.mark.parametrize(("seats", "level"), [(14, 0.8752), (15, 0.9327), (16, 0.9652)])
def test_vectors_of_the_15_second_level(seats: int, level: float) -> None:
    assert round(serve(Traffic(10 / 180, 180), seats, 15).in_level, 4) == level


def test_vector_of_a() -> None:
    found = serve(Traffic(48 / 60, 60, 120), 50)
    assert round(100 * (1 - found.answered), 2) == 3.09 and round(found.mean_wait_s, 2) == 3.71


def test_an_unstable_line_is_said_to_be_one() -> None:
    for seats in (0, 9, 10):
        with pytest.raises(UnstableError, match="grows"):
            erlang_c(10, seats)
        with pytest.raises(UnstableError, match="grows"):
            serve(Traffic(10 / 180, 180), seats)


def direct(rate: float, handle: float, patience: float, seats: int, most: int = 4000) -> tuple[float, float]:
    """Erlang A straight from its birth and death chain: lost, waits."""
    logs, at = [0.0], 0.0
    for n in range(1, seats + most):
        at += math.log(rate) - math.log(min(n, seats) / handle + max(0, n - seats) / patience)
        logs.append(at)
    top = max(logs)
    weights = [math.exp(one - top) for one in logs]
    total = sum(weights)
    line = sum((n - seats) * w for n, w in enumerate(weights) if n > seats) / total
    return line / patience / rate, sum(weights[seats:]) / total


@pytest.mark.parametrize(("rate", "handle", "patience", "seats"), [
    (0.8, 60, 120, 50), (2.0, 180, 60, 300), (2.0, 180, 60, 400), (0.01, 200, 30, 1), (3.0, 300, 5, 700),
    (1.5, 200, 900, 299), (1.5, 200, 900, 300), (1.5, 200, 900, 301), (0.5, 120, 3600, 55),
])  # fmt: skip
def test_a_is_its_own_birth_and_death_chain(rate: float, handle: float, patience: float, seats: int) -> None:
    lost, waits = direct(rate, handle, patience, seats)
    found = serve(Traffic(rate, handle, patience), seats)
    assert 1 - found.answered == pytest.approx(lost, rel=1e-8, abs=1e-13)
    assert found.waits == pytest.approx(waits, rel=1e-8, abs=1e-13)
    assert found.mean_wait_s == pytest.approx(lost * patience, rel=1e-8, abs=1e-9)


@given(loads, seat_counts)
def test_b_falls_with_seats_rises_with_load_and_lies_below_c(load: float, seats: int) -> None:
    lost = erlang_b(load, seats)
    assert 0 <= erlang_b(load, seats + 1) <= lost <= 1
    assert lost <= erlang_b(load * 1.01, seats) + 1e-15
    if load < seats:
        assert lost <= erlang_c(load, seats) <= 1
        assert erlang_c(load, seats + 1) <= erlang_c(load, seats)


@given(loads, seat_counts, patiences, st.floats(20, 900))
def test_a_is_a_share_and_rises_with_seats(load: float, seats: int, patience: float, handle: float) -> None:
    traffic = Traffic(load / handle, handle, patience)
    found, more = serve(traffic, seats), serve(traffic, seats + 1)
    for value in (found.answered, found.in_level, found.waits, found.occupancy):
        assert 0 <= value <= 1 + 1e-12
    assert found.in_level <= found.answered
    assert more.answered >= found.answered - 1e-12 and more.in_level >= found.in_level - 1e-9
    assert more.waits <= found.waits + 1e-12 and more.mean_wait_s <= found.mean_wait_s * (1 + 1e-9) + 1e-9
    assert 1 - found.answered <= erlang_b(load, seats) + 1e-9  # who may wait is lost less often
    assert found.answered <= min(1.0, seats / load) + 1e-9  # no seat does more than its time allows


@given(loads, seat_counts, patiences, st.floats(20, 900))
def test_a_falls_with_load(load: float, seats: int, patience: float, handle: float) -> None:
    found = serve(Traffic(load / handle, handle, patience), seats)
    assert serve(Traffic(1.02 * load / handle, handle, patience), seats).answered <= found.answered + 1e-12


@given(loads, seat_counts, patiences, st.floats(20, 900), st.floats(0, 600), st.floats(0, 600))
def test_the_level_rises_to_all_answered(load: float, seats: int, patience: float, handle: float, one: float,
                                         two: float) -> None:  # fmt: skip
    traffic = Traffic(load / handle, handle, patience)
    low, high = sorted((one, two))
    assert serve(traffic, seats, low).in_level <= serve(traffic, seats, high).in_level + 1e-9
    assert serve(traffic, seats, 0).in_level == pytest.approx(1 - serve(traffic, seats).waits, abs=1e-9)
    late = serve(traffic, seats, 60 * patience + 100 * handle)
    assert late.in_level == pytest.approx(late.answered, abs=1e-8)


@given(st.floats(0.01, 200), st.integers(1, 220), st.floats(20, 900))
def test_a_comes_to_c_as_patience_grows(load: float, seats: int, handle: float) -> None:
    assume(load < 0.97 * seats)
    patient, endless = serve(Traffic(load / handle, handle, 9e6), seats), serve(Traffic(load / handle, handle), seats)
    assert patient.waits == pytest.approx(endless.waits, rel=1e-2, abs=1e-9)
    assert patient.in_level == pytest.approx(endless.in_level, abs=1e-2)
    assert patient.mean_wait_s <= endless.mean_wait_s * (1 + 1e-9)


@given(loads, seat_counts)
def test_a_comes_to_b_as_patience_goes(load: float, seats: int) -> None:
    assert 1 - serve(Traffic(load / 100, 100, 1e-4), seats).answered == pytest.approx(erlang_b(load, seats), abs=1e-3)


@given(st.floats(0.001, 5000), st.floats(5, 600), st.floats(0.5, 0.999), st.floats(10, 600))
@settings(max_examples=60)
def test_the_fewest_seats_are_enough_and_one_less_is_not(load: float, patience: float, target: float,
                                                        handle: float) -> None:  # fmt: skip
    traffic = Traffic(load / handle, handle, patience)
    seats = seats_for_answered(traffic, target)
    assert serve(traffic, seats).answered >= target > serve(traffic, seats - 1).answered
    seats = seats_for_level(traffic, target)
    assert serve(traffic, seats).in_level >= target > serve(traffic, seats - 1).in_level


@given(loads, seat_counts, st.floats(5, 600), st.floats(20, 900), st.integers(0, 400))
def test_a_line_lowers_what_is_answered_soon_and_seats_raise_it(load: float, seats: int, patience: float,
                                                                handle: float, waiting: int) -> None:  # fmt: skip
    traffic = Traffic(load / handle, handle, patience)
    found = answered_soon(traffic, seats, waiting)
    assert 0 <= found <= 1
    assert answered_soon(traffic, seats, 0) <= serve(traffic, seats).answered + 1e-9
    assert answered_soon(traffic, seats + 1, waiting) >= found - 1e-9
    assert answered_soon(traffic, seats, waiting + 5) <= found + 1e-9
    if load <= seats:
        assert answered_soon(traffic, seats, 0) == pytest.approx(serve(traffic, seats).answered)


@pytest.mark.parametrize(("load", "seats", "waiting"), [(20, 40, 60), (60, 30, 40), (60, 30, 0), (39, 40, 200)])
def test_a_line_melts_or_grows_as_a_fluid_does(load: float, seats: int, waiting: int) -> None:
    """Against small steps of dq/dt = λ - Nμ - θq, where chance plays no part (its long-run share is within 4 %)."""
    traffic, line, lost = Traffic(load / 240, 240, 120), float(waiting), 0.0
    for _ in range(180_000):
        lost += line / 120 * 0.01
        line = max(0.0, line + (traffic.rate - seats / 240 - line / 120) * 0.01)
    expected = 1 - lost / (waiting + traffic.rate * 1800)
    assert answered_soon(traffic, seats, waiting) == pytest.approx(expected, abs=0.04)


def test_nobody_gives_up_but_not_everybody_is_reached() -> None:
    assert answered_soon(Traffic(0.5, 240), 60, 0) == pytest.approx(0.5)
    assert answered_soon(Traffic(0.1, 240), 60, 10) == 1.0 and answered_soon(Traffic(0, 240, 60), 0, 0) == 1.0


@pytest.mark.parametrize("patience", [1.0, 120.0, 1e7, math.inf])
@pytest.mark.parametrize(("load", "seats"), [(5000, 5100), (19_000, 20_000), (0.001, 20_000)])
def test_thousands_of_seats(load: float, seats: int, patience: float) -> None:
    found = serve(Traffic(load / 180, 180, patience), seats)
    assert 0.97 < found.in_level <= found.answered <= 1 and math.isfinite(found.mean_wait_s)


@pytest.mark.parametrize(
    ("load", "seats", "patience"), [(20_000, 100, 1e7), (5000, 4000, 1e6), (5000, 4999, 1e7), (50, 1, 30)]
)
def test_far_more_calls_than_seats(load: float, seats: int, patience: float) -> None:
    """Every seat is busy, and the rest is lost: the fluid limit."""
    assert serve(Traffic(load / 180, 180, patience), seats).answered == pytest.approx(seats / load, rel=1e-3)


def test_no_calls_and_no_seats() -> None:
    assert serve(Traffic(0, 180, 60), 3).answered == 1 and seats_for_answered(Traffic(0, 180, 60)) == 0
    assert serve(Traffic(1, 180, 60), 0).answered == 0 and serve(Traffic(1, 180, 60), 0).mean_wait_s == 60
    assert seats_for_answered(Traffic(10 / 180, 180)) == 11


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Traffic(-1, 180), "calls a second"), (lambda: Traffic(math.nan, 180), "calls a second"),
    (lambda: Traffic(1, 0), "above 0 s"), (lambda: Traffic(1, 180, 0), "patience must be above 0 s"),
    (lambda: Traffic(1, 180, math.nan), "patience"), (lambda: erlang_b(-1, 3), "erlang"),
    (lambda: erlang_b(1, -3), "whole number of seats"), (lambda: erlang_b(1, 2.5), "whole number"),  # type: ignore[arg-type]
    (lambda: serve(Traffic(1, 1), 3, -1), "level must be at least 0 s"),
    (lambda: seats_for_answered(Traffic(1, 1), 95), "e.g. 0.95"),
    (lambda: seats_for_level(Traffic(1, 1), 1.0), "0 and 1"),
    (lambda: answered_soon(Traffic(1, 1, 1), 1, -1), "in line"),
    (lambda: answered_soon(Traffic(1, 1), 1, 0, 0), "the span"),
    (lambda: seats_for_answered(Traffic(1e6, 600, 1)), "calls a second"),
])  # fmt: skip
def test_bad_input_is_named_with_its_unit(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(("seats", "patience"), [(50, 120), (46, 60)])
def test_a_within_simulation_error_of_ciw(seats: int, patience: float) -> None:
    """Ten runs of two hours; the mean must lie within four standard errors (false alarm: 1 in some 1,000 seeds; the
    seeds are fixed)."""
    traffic = Traffic(48 / 60, 60, patience)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=traffic.rate)],
        service_distributions=[ciw.dists.Exponential(rate=1 / traffic.handle_s)],
        reneging_time_distributions=[ciw.dists.Exponential(rate=1 / patience)],
        number_of_servers=[seats],
    )
    lost, waits = [], []
    for seed in range(10):
        ciw.seed(seed)
        simulation = ciw.Simulation(network)
        simulation.simulate_until_max_time(7200 + 600)
        seen = [r for r in simulation.get_all_records() if r.arrival_date >= 600 and r.arrival_date < 7200]
        lost.append(sum(r.record_type == "renege" for r in seen) / len(seen))
        waits.append(statistics.fmean(r.waiting_time for r in seen))
    found = serve(traffic, seats)
    for values, expected in ((lost, 1 - found.answered), (waits, found.mean_wait_s)):
        error = statistics.stdev(values) / math.sqrt(len(values))
        assert abs(statistics.fmean(values) - expected) < 4 * error
        assert error < 0.25 * expected  # else it would prove nothing
