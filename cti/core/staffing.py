"""How many seats, and what they can answer: Erlang B, C and A.

Load is in erlang (calls offered a second × mean handling time in seconds). B: no waiting, who finds no seat is lost. C:
everybody waits for ever. A (Palm): everybody waits, and each gives up after his own patience, exponential with the
given mean; C is A with endless patience. A line for people is closest to A, so seats are planned by A; B and C bound
it: with patience 0 exactly B's callers are lost.

Numerically: B by its recursion (a product of positive terms, no factorial). A by `_log_k`, the incomplete gamma
function with its large factors taken out, in the log domain: thousands of seats and years of patience stay finite.

Sources: A. K. Erlang 1917 (B, C); C. Palm 1946, and S. Zeltyn, A. Mandelbaum, "Call centers with impatient customers",
Queueing Systems 51 (2005), for A; DOMAIN.md for the vectors. Knows: formulas. Must not know: where figures come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

MOST_SEATS = 100_000
"""No province has more; a search that comes here was asked something else."""
_LONGEST_S = 1e7
"""Patience beyond this (115 days) is endless for every purpose."""


class UnstableError(ValueError):
    """Callers without end of patience, and no more seats than erlangs: the line grows without limit."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes to a line: ``rate`` calls a second, mean handling (talk, hold, wrap-up) and mean patience, in s."""

    rate: float
    handle_s: float
    patience_s: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate >= 0):
            raise ValueError(f"rate = {self.rate}: 来电率须 ≥ 0 通/秒 / must be at least 0 calls a second")
        if not (math.isfinite(self.handle_s) and self.handle_s > 0):
            raise ValueError(f"handle_s = {self.handle_s}: 平均处理时长须 > 0 秒 / mean handling must be above 0 s")
        if not self.patience_s > 0:
            raise ValueError(f"patience_s = {self.patience_s}: 平均耐心须 > 0 秒 / mean patience must be above 0 s")

    @property
    def load(self) -> float:
        """Erlangs."""
        return self.rate * self.handle_s


@dataclass(frozen=True, slots=True)
class Service:
    """What so many seats make of it, in the long run. Shares are of calls offered, 0 to 1."""

    seats: int
    answered: float
    in_level: float
    """answered within the level: answered-in ÷ offered (DOMAIN.md, the first of its four formulas)"""
    waits: float
    """finds no free seat"""
    mean_wait_s: float
    """of all callers, those who gave up too"""
    occupancy: float


# -- B and C -----------------------------------------------------------------------------------------------------------
def erlang_b(load: float, seats: int) -> float:
    """Share of calls lost by ``seats`` seats and no waiting, ``load`` in erlang. O(seats)."""
    _check(load, seats)
    blocked = 1.0
    for n in range(1, seats + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(load: float, seats: int) -> float:
    """Share of callers who must wait when nobody ever gives up. Raises UnstableError at ``load`` ≥ ``seats``."""
    _check(load, seats)
    if load >= seats:
        raise UnstableError(f"{load:g} 爱尔兰 ≥ {seats} 席，队列无限增长 / {load:g} erlang on {seats} seats: the line "
                            "grows without limit; more seats, or Erlang A with a patience")  # fmt: skip
    blocked = erlang_b(load, seats)
    return seats * blocked / (seats - load * (1.0 - blocked))


# -- A -----------------------------------------------------------------------------------------------------------------
def serve(traffic: Traffic, seats: int, level_s: float = 15.0) -> Service:
    """What ``seats`` seats make of ``traffic``: Erlang A, or C with endless patience (UnstableError as there).

    ``level_s``: seconds within which an answer counts as in time (GB/T 33358-2016: 15 s).
    """
    load = traffic.load
    _check(load, seats)
    if not (math.isfinite(level_s) and level_s >= 0):
        raise ValueError(f"level_s = {level_s}: 时限须 ≥ 0 秒 / the level must be at least 0 s")
    if load == 0.0:
        return Service(seats, 1.0, 1.0, 0.0, 0.0, 0.0)
    if seats == 0:
        if traffic.patience_s > _LONGEST_S:
            erlang_c(load, seats)  # unstable: says so
        return Service(0, 0.0, 0.0, 1.0, traffic.patience_s, 0.0)
    if traffic.patience_s > _LONGEST_S:
        return _serve_c(traffic, seats, level_s)
    return _serve_a(traffic, seats, level_s)


def _serve_c(traffic: Traffic, seats: int, level_s: float) -> Service:
    waits = erlang_c(traffic.load, seats)
    spare = (seats - traffic.load) / traffic.handle_s
    late = waits * math.exp(-spare * level_s)
    return Service(seats, 1.0, 1.0 - late, waits, waits / spare, traffic.load / seats)


def _serve_a(traffic: Traffic, seats: int, level_s: float) -> Service:
    """Zeltyn and Mandelbaum, with x = Nμ/θ and y = λ/θ. The wait of a caller with endless patience has the density
    λ p(N-1) exp(y (1 - e^-θt) - Nμt) (Baccelli and Hebuterne 1981); its integrals are incomplete gamma functions."""
    load, patience = traffic.load, traffic.patience_s
    x, y = seats * patience / traffic.handle_s, traffic.rate * patience
    log_k = _log_k(x, y)
    log_j = math.log(x) + log_k  # J: how much likelier it is to find all seats busy with a line than without one
    blocked = erlang_b(load, seats)
    if blocked == 0.0:
        return Service(seats, 1.0, 1.0, 0.0, 0.0, load / seats)
    waits = _share(math.log1p(-blocked) - math.log(blocked) - log_j)
    given_up = _given_up(x, y, log_j)  # of those who wait
    lost = waits * given_up
    # of those who wait, answered within the level: the same integral with one patience more, up to level_s
    b = x + 1.0
    z = y * math.exp(-level_s / patience)
    served = math.exp(_log_k(b, y) - log_k)
    later = math.exp(_log_k(b, z) + (y - z) - b * level_s / patience - log_k) if z > 0.0 else 0.0
    in_time = 1.0 - waits + waits * max(0.0, served - later)
    answered = 1.0 - lost
    return Service(seats, answered, min(in_time, answered), waits, lost * patience, load * answered / seats)


def _given_up(x: float, y: float, log_j: float) -> float:
    """Of those who wait, the share that gives up."""
    if y > x:  # more comes than can be served: no small difference of large numbers
        return 1.0 - x / y + (x / y) * math.exp(-log_j)
    # Σ k t(k) ÷ (y J) with t(k) = y^k / ((x+1)…(x+k)): all terms positive
    term, total, k = 1.0, 0.0, 0
    while True:
        k += 1
        term *= y / (x + k)
        total += k * term
        if k * term < total * 1e-16 or term == 0.0:
            return total / y * math.exp(-log_j)


def _log_k(a: float, y: float) -> float:
    """log of e^y y^-a γ(a, y), the lower incomplete gamma function without its large factors. a, y > 0."""
    if y <= a + 1.0:  # a series of positive terms, falling from the start: some 8 √a of them at worst
        term = total = 1.0 / a
        n = a
        while term > total * 1e-17:
            n += 1.0
            term *= y / n
            total += term
        return math.log(total)
    # Γ(a) e^y y^-a - e^y y^-a Γ(a, y); the second by Lentz's continued fraction
    tiny = 1e-300
    b = y + 1.0 - a
    c, d = 1.0 / tiny, 1.0 / (b if b != 0.0 else tiny)
    upper = d
    for i in range(1, 10_000_000):
        an = -i * (i - a)
        b += 2.0
        d = an * d + b
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = b + an / c
        c = c if abs(c) > tiny else tiny
        upper *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    whole = _log_gamma_scaled(a, y)
    return whole + math.log1p(-min(upper * math.exp(-whole), 1.0 - 1e-16))


def _log_gamma_scaled(a: float, y: float) -> float:
    """log Γ(a) + y - a log y, for y > a, without the difference of huge numbers it would be for large a."""
    if a < 50.0:
        return math.lgamma(a) + y - a * math.log(y)
    excess = (y - a) / a
    stirling = 0.5 * math.log(2.0 * math.pi / a) + 1.0 / (12.0 * a) - 1.0 / (360.0 * a**3)
    return stirling + a * (excess - math.log1p(excess))


def _share(log_odds_against: float) -> float:
    """1 / (1 + e^x), safe at both ends."""
    if log_odds_against > 700.0:
        return 0.0
    return 1.0 / (1.0 + math.exp(log_odds_against))


def answered_soon(traffic: Traffic, seats: int, waiting: int, span_s: float = 1800.0) -> float:
    """The share of those in line now and those who come within ``span_s`` that is answered.

    The line melts or grows as a fluid does (dq/dt = λ - Nμ - θq). A fluid knows no chance, so it is never believed to
    do better than the long run, which with nobody in line is all. More seats never answer less.
    """
    if waiting < 0:
        raise ValueError(f"waiting = {waiting}: 排队人数须 ≥ 0 / callers in line must be at least 0")
    if not (math.isfinite(span_s) and span_s > 0):
        raise ValueError(f"span_s = {span_s}: 时段须 > 0 秒 / the span must be above 0 s")
    offered = waiting + traffic.rate * span_s
    if offered == 0.0:
        return 1.0
    served = seats / traffic.handle_s
    if traffic.patience_s > _LONGEST_S:  # nobody is lost; who is not reached in time is not answered in time
        return min(1.0, served * span_s / offered)
    steady = 1.0 - serve(traffic, seats).answered
    patience, excess = traffic.patience_s, traffic.rate - served
    rest = excess * patience  # where the line would settle
    melting = min(span_s, patience * math.log1p(waiting / -rest)) if rest < 0.0 else span_s
    line = rest * melting + (waiting - rest) * patience * -math.expm1(-melting / patience)  # ∫ q dt
    lost = max(line / patience, steady * offered)
    return max(0.0, 1.0 - lost / offered)


# -- how many seats ----------------------------------------------------------------------------------------------------
def seats_for_answered(traffic: Traffic, target: float = 0.95) -> int:
    """The fewest seats that answer at least ``target`` of all calls (0 < target < 1). 0 for no calls."""
    _check_target(target)
    if traffic.patience_s > _LONGEST_S:
        return _fewest(traffic, lambda n: n > traffic.load)  # nobody gives up: any stable line answers all
    return _fewest(traffic, lambda n: serve(traffic, n).answered >= target)


def seats_for_level(traffic: Traffic, target: float, level_s: float = 15.0) -> int:
    """The fewest seats that answer at least ``target`` of all calls within ``level_s`` seconds."""
    _check_target(target)
    endless = traffic.patience_s > _LONGEST_S
    return _fewest(
        traffic, lambda n: not (endless and n <= traffic.load) and serve(traffic, n, level_s).in_level >= target
    )


def _fewest(traffic: Traffic, enough: Callable[[int], bool]) -> int:
    """Both measures rise with every seat: doubling, then halving."""
    if traffic.rate == 0.0:
        return 0
    if traffic.load > MOST_SEATS:
        raise ValueError(f"{traffic.load:g} 爱尔兰需 {MOST_SEATS} 席以上，请检查来电率单位（通/秒） / "
                         f"would need more than {MOST_SEATS} seats: is the rate in calls a second?")  # fmt: skip
    low, high = 0, max(1, math.ceil(traffic.load))
    while not enough(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(load: float, seats: int) -> None:
    if not (math.isfinite(load) and load >= 0):
        raise ValueError(f"load = {load}: 话务量须 ≥ 0 爱尔兰 / must be at least 0 erlang")
    if type(seats) is not int or not 0 <= seats <= 4 * MOST_SEATS:
        raise ValueError(
            f"seats = {seats!r}: 席数须为 0 至 {4 * MOST_SEATS} 的整数 / must be a whole number of seats in that range"
        )


def _check_target(target: float) -> None:
    if not 0.0 < target < 1.0:
        raise ValueError(f"target = {target}: 目标须在 0 与 1 之间，如 0.95 / must lie between 0 and 1, e.g. 0.95")
