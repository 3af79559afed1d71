"""The simulated day itself: callers come, sites answer, the rule moves seats, messages travel. Knows: simpy, the pure
rules. Must not know: what is published.

A seat is in one line by the lease alone: nothing here prevents it from being in two, that is only counted (`twice`).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import simpy

from bench.province import YUNNAN
from bench.province_sites import (
    HANDLE_S,
    HOURS,
    LIMIT_S,
    LOOK_S,
    OUT,
    PATIENCE_S,
    SIGMA,
    TICK_S,
    Caller,
    Day,
    Process,
    Seat,
    Site,
)
from cti.core import lease_model as e
from cti.core.answer_rate import EndedCall
from cti.core.lease import may_ring
from cti.core.lease_model import Lease, LeaseState
from cti.core.leasebook import EnterLine, KeepOnly, LeaveLine, Order, SetAside, TakeHome, Tell, lease_id, step, tick
from cti.core.overflow import Borrow, Decision, GiveBack, Memory, Policy, decide


class Province:
    """All sites, their callers, and with a policy the rule that moves seats between them."""

    def __init__(self, day: Day, policy: Policy | None) -> None:
        self.day, self.policy = day, policy
        self.world = simpy.Environment(initial_time=day.start_s)
        self.sites = {p.code: Site(p, day, self.world) for p in YUNNAN}
        self.seats = {seat.name: seat for site in self.sites.values() for seat in site.seats}
        self.post = random.Random(f"{day.seed} post")
        self.memory: Memory = {}
        self.decided: Counter[str] = Counter()
        self.turns: dict[tuple[str, str], list[str]] = {}
        self.leases = self.twice = 0
        self.first_seat_s: float | None = None
        self.serving: list[dict[str, int]] = []

    def run(self) -> None:
        for site in self.sites.values():
            self.world.process(self.arrivals(site))
        self.world.process(self.sampled())
        if self.policy is not None:
            self.world.process(self.looked_at(self.policy))
            for site in self.sites.values():
                self.world.process(self.ticked(site))
        self.world.run(until=self.day.end_s)
        while any(site.waiting for site in self.sites.values()):  # who came in time is counted
            self.world.run(until=self.world.now + 10)

    def reversals(self) -> int:
        """How often a pair of sites turned from giving back to borrowing again."""
        pairs = (pair for turns in self.turns.values() for pair in pairwise(turns))
        return sum(before != "Borrow" and after == "Borrow" for before, after in pairs)

    # -- callers -------------------------------------------------------------------------------------------------------
    def arrivals(self, site: Site) -> Process:
        rng = random.Random(f"{self.day.seed} callers {site.code}")  # the same callers in every run
        most = site.calls_a_day * max(HOURS) / sum(HOURS) / 3600 * (self.day.times if site.struck else 1.0) * 1.001
        while True:
            yield self.world.timeout(rng.expovariate(most))
            if self.world.now >= self.day.end_s:
                return
            if rng.random() * most < site.rate(self.world.now):
                handle = rng.lognormvariate(math.log(HANDLE_S) - SIGMA**2 / 2, SIGMA)
                self.world.process(self.call(site, handle, rng.expovariate(1 / PATIENCE_S)))

    def call(self, site: Site, handle_s: float, patience_s: float) -> Process:
        caller = Caller(self.world.now, self.world.event(), handle_s)
        site.recent.append(self.world.now)
        site.waiting.append(caller)
        self.offer(site)
        outcome = "answered"
        if not caller.taken.triggered:
            yield caller.taken | self.world.timeout(min(patience_s, LIMIT_S))
            if not caller.taken.triggered:
                site.waiting.remove(caller)
                outcome = "abandoned" if patience_s < LIMIT_S else "timeout"
        site.ended.append(EndedCall(round(caller.at * 1e6), site.code, outcome))

    def offer(self, site: Site) -> None:
        """The longest waiting to the line's own seats first, borrowed ones behind them (a higher penalty)."""
        while site.waiting and (seat := self.ready(site)) is not None:
            caller = site.waiting.popleft()
            seat.busy = True
            caller.taken.succeed()
            self.world.process(self.talk(seat, caller.handle_s))

    def ready(self, site: Site) -> Seat | None:
        if own := next((s for s in site.seats if s.home and not s.busy and not s.aside_for), None):
            return own
        for lease, seat in site.borrowed.items():
            if not seat.busy and may_ring(site.book.borrowed[lease], site.clock()):
                return seat
        return None

    def talk(self, seat: Seat, seconds: float) -> Process:
        yield self.world.timeout(seconds)
        seat.busy = False
        owner = self.sites[seat.owner]
        if seat.aside_for:
            self.set_aside(owner, seat)
        elif seat.home:
            self.offer(owner)
        for code in list(seat.lines.values()):
            self.offer(self.sites[code])

    # -- leases --------------------------------------------------------------------------------------------------------
    def hear(self, site: Site, event: e.LeaseEvent, sender: str = "") -> None:
        site.book, orders = step(site.book, replace(event, at=site.clock()))
        self.carry_out(site, orders, sender)

    def carry_out(self, site: Site, orders: list[Order], sender: str = "") -> None:
        for order in orders:
            match order:
                case SetAside(name, lease):
                    seat = self.seats[name]
                    seat.aside_for = lease
                    if not seat.busy:
                        self.set_aside(site, seat)
                case TakeHome(name):
                    seat = self.seats[name]
                    seat.home, seat.aside_for = True, ""
                    self.twice += bool(seat.lines)
                    self.offer(site)
                case EnterLine(name, lease):
                    self.enter(site, self.seats[name], lease)
                case LeaveLine(name, lease):
                    site.borrowed.pop(lease, None)
                    self.seats[name].lines.pop(lease, None)
                    self.hear(site, e.SeatWithdrawn(lease, 0))
                case Tell(to, event) if self.post.random() >= 0.01:  # one message in a hundred is lost
                    self.world.process(self.delivered(site.code, to or sender, event))
                case KeepOnly() | Tell():
                    pass
                case odd:
                    raise AssertionError(f"{site.code}: {odd}")

    def set_aside(self, site: Site, seat: Seat) -> None:
        lease, seat.aside_for, seat.home = seat.aside_for, "", False
        self.hear(site, e.SeatSetAside(lease, 0))

    def enter(self, site: Site, seat: Seat, lease: str) -> None:
        if lease not in site.borrowed:
            self.twice += seat.home or bool(seat.lines)
            site.borrowed[lease] = seat
            seat.lines[lease] = site.code
            self.leases += 1
            if self.first_seat_s is None and site.struck and self.world.now >= self.day.quake_s:
                self.first_seat_s = round(self.world.now - self.day.quake_s, 1)
        self.hear(site, e.SeatEntered(lease, 0))
        self.offer(site)

    def delivered(self, sender: str, to: str, event: e.LeaseEvent) -> Process:
        yield self.world.timeout(self.post.uniform(0.02, 0.3))
        self.hear(self.sites[to], event, sender)

    def ticked(self, site: Site) -> Process:
        """Clocks: what runs out, what is told again; a lease in use is extended in its second half."""
        while True:
            yield self.world.timeout(TICK_S)
            if not any(x.open for x in (*site.book.lent.values(), *site.book.borrowed.values())):
                continue
            now, term = site.clock(), site.book.terms.term_us
            for lease in list(site.book.lent.values()):
                if lease.state is LeaseState.ACTIVE and lease.expires - now < term // 2:
                    self.hear(site, e.LeaseExtended(lease.id, 0, now + term))
            site.book, orders = tick(site.book, now)
            self.carry_out(site, orders)

    # -- the rule ------------------------------------------------------------------------------------------------------
    def looked_at(self, policy: Policy) -> Process:
        while True:
            yield self.world.timeout(LOOK_S)
            views = [site.view() for site in self.sites.values()]
            self.memory, decisions = decide(round(self.world.now * 1e6), views, self.memory, policy)
            for decision in decisions:
                kind = type(decision).__name__
                self.decided[kind] += 1
                self.turns.setdefault((decision.borrower, decision.lender), []).append(kind)
                self.follow(decision)

    def follow(self, decision: Decision) -> None:
        borrower, lender = self.sites[decision.borrower], self.sites[decision.lender]
        if isinstance(decision, Borrow):
            for seat in lender.free()[: decision.count]:
                borrower.asks += 1
                ask = e.SeatAsked(lease_id(borrower.code, borrower.asks), 0, seat.name, lender.code, borrower.code)
                self.hear(borrower, ask)
        elif isinstance(decision, GiveBack):
            held = [x for x in borrower.book.borrowed.values() if x.state in OUT and x.owner == lender.code]
            for lease in self.idle_first(held)[: decision.count]:
                self.hear(borrower, e.SeatUnneeded(lease.id, 0, decision.why))
        else:
            lent = [x for x in lender.book.lent.values() if x.state in OUT and x.borrower == borrower.code]
            for lease in self.idle_first(lent)[: decision.count]:
                self.hear(lender, e.SeatRecalled(lease.id, 0, decision.why))

    def idle_first(self, leases: list[Lease]) -> list[Lease]:
        return sorted(leases, key=lambda lease: self.seats[lease.seat].busy)

    def sampled(self) -> Process:
        """Seats in the struck line, in the middle of each quarter."""
        site = self.sites[self.day.struck]
        yield self.world.timeout(450)
        while True:
            there = Counter(seat.owner for seat in site.borrowed.values())
            there[site.code] = sum(seat.home for seat in site.seats)
            self.serving.append(dict(there))
            yield self.world.timeout(900)
