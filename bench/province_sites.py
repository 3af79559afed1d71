"""Sites and seats of the simulated day, and what each tells of itself. Knows: sizes, assumptions. Must not know: what
happens to them (`province_world`)."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.province import Prefecture
from cti.core.answer_rate import EndedCall
from cti.core.forecast import scale
from cti.core.lease_model import LeaseState
from cti.core.leasebook import Book
from cti.core.overflow import SiteView
from cti.core.staffing import Traffic, seats_for_answered

HANDLE_S, PATIENCE_S, LIMIT_S = 240.0, 120.0, 120.0
SIGMA = 0.7
"""of the logarithm of a talk"""
HOURS = (8, 6, 5, 4, 4, 6, 14, 30, 70, 100, 98, 85, 55, 60, 90, 95, 92, 80, 55, 45, 40, 34, 24, 14)
"""calls by hour of day, in proportion"""
LOOK_S, RECENT_S, TICK_S = 15.0, 600.0, 2.0
WEIGHT = 10.0
OUT = (LeaseState.ASKED, LeaseState.GRANTED, LeaseState.ACTIVE)

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Day:
    """What happens; times in seconds from midnight."""

    struck: str
    quake_s: float
    times: float
    fades_s: float
    per_thousand: float
    room: float
    start_s: float = 0.0
    end_s: float = 86_400.0
    seed: int = 1


@dataclass(slots=True, eq=False)
class Seat:
    name: str
    owner: str
    home: bool = True
    aside_for: str = ""
    """the lease it is to be set aside for once it is free"""
    busy: bool = False
    lines: dict[str, str] = field(default_factory=dict)
    """foreign lines it is in: lease → site"""


@dataclass(slots=True, eq=False)
class Caller:
    at: float
    taken: simpy.Event
    handle_s: float


class Site:
    """One line: its callers, its own seats, those it borrowed, its lease book and its own clock."""

    def __init__(self, of: Prefecture, day: Day, world: simpy.Environment) -> None:
        self.code, self.place, self.day, self.world = of.code, of.place, day, world
        self.calls_a_day = of.residents / 1000 * day.per_thousand
        busiest = max(self.usual(h * 3600 + 1800.0) for h in range(24)) * day.room
        self.own = seats_for_answered(Traffic(busiest, HANDLE_S, PATIENCE_S), 0.97)
        self.seats = [Seat(f"{of.code}/{n + 1}", of.code) for n in range(self.own)]
        self.borrowed: dict[str, Seat] = {}
        self.waiting: deque[Caller] = deque()
        self.ended: list[EndedCall] = []
        self.recent: deque[float] = deque()
        self.book = Book(of.code)
        self.asks = 0
        self.offset_us = random.Random(f"{day.seed} clock {of.code}").randint(-500_000, 500_000)

    def usual(self, at_s: float) -> float:
        """Calls a second on a day like others: what a forecast from history knows."""
        hour = at_s / 3600 - 0.5
        low = math.floor(hour)
        between = hour - low
        weight = HOURS[low % 24] * (1 - between) + HOURS[(low + 1) % 24] * between
        return self.calls_a_day * weight / sum(HOURS) / 3600

    def rate(self, at_s: float) -> float:
        """Calls a second that really come."""
        after = at_s - self.day.quake_s
        rush = (self.day.times - 1) * math.exp(-after / self.day.fades_s) if after >= 0 and self.struck else 0.0
        return self.usual(at_s) * (1 + rush)

    @property
    def struck(self) -> bool:
        return self.code == self.day.struck

    def needed(self, at_s: float, share: float) -> int:
        return seats_for_answered(Traffic(self.rate(at_s), HANDLE_S, PATIENCE_S), share)

    def clock(self) -> int:
        return round(self.world.now * 1e6) + self.offset_us

    def free(self) -> list[Seat]:
        return [s for s in self.seats if s.home and not s.busy and not s.aside_for]

    def view(self) -> SiteView:
        """As the site would tell it: the usual traffic, corrected by the last ten minutes'."""
        now = self.world.now
        while self.recent and self.recent[0] < now - RECENT_S:
            self.recent.popleft()
        # three significant digits: more would only be noise, and answers already computed could not be used again
        more = scale(self.usual(now) * RECENT_S, len(self.recent), WEIGHT)
        rate = float(f"{self.usual(now + 900) * more:.3g}")
        lent = Counter(x.borrower for x in self.book.lent.values() if x.state in OUT)
        held = [x for x in self.book.borrowed.values() if x.state in OUT]
        coming = sum(x.state is not LeaseState.ACTIVE for x in held)
        return SiteView(self.code, Traffic(rate, HANDLE_S, PATIENCE_S), self.own, len(self.free()), len(self.waiting),
                        lent, Counter(x.owner for x in held), coming, self.place)  # fmt: skip
