"""A quarter of a site, made up by seed: every call is played through the core, so that its facts are those a real one
leaves. Knows: what a day looks like. Must not know: where facts go.

Nights are quiet, mornings busy; a few days are bad (``STORM``), on which many wait in vain.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

from cti.core import calls
from cti.core import events as e
from cti.core.commands import Command, Record
from cti.core.disputes import Period
from cti.core.facts import Fact, Scalar
from cti.core.model import Site
from cti.core.zone import SHANGHAI
from cti.ledger.ledger import Ledger

S = 1_000_000
SHAPE = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 15, 12, 8, 9, 13, 14, 12, 10, 7, 6, 5, 4, 3, 2)
"""calls by hour, a day's share"""
STORM = frozenset({17, 18, 44, 71})
"""days of the quarter on which lines were full"""
OTHER = {"12345": "110", "110": "12345"}
SEATS = {"12345": ("1001", "1002", "1003", "1004"), "110": ("8101", "8102", "8103")}
DEDICATED = {"12345": ("1901", "1902"), "110": ("8001", "8002", "8003")}


def quarter(over: Period, a_day: int, seed: int = 6, code: str = "530100") -> Iterator[Fact]:
    """All facts of the period, by when they happened; ``a_day`` calls on a usual day."""
    rng = random.Random(seed)
    waiting: list[Fact] = []
    day, number = 0, 0
    while (start := over.start + day * 86_400 * S) < over.end:
        weekend = dt.datetime.fromtimestamp(start / S, SHANGHAI).weekday() >= 5
        wanted = round(a_day * (0.6 if weekend else 1.0) * (1.6 if day in STORM else 1.0) * rng.uniform(0.9, 1.1))
        for _ in range(wanted):
            number += 1
            hour = rng.choices(range(24), SHAPE)[0]
            at = start + hour * 3600 * S + rng.randrange(3600 * S)
            busy = SHAPE[hour] / 16 * (2.6 if day in STORM else 0.7)
            waiting += _call(rng, f"{code}-{at // S}.{number}", at, busy)
        if day in STORM:
            waiting += _lease(start + 9 * 3600 * S, f"L{day}", code)
        waiting.sort(key=lambda fact: fact.at)
        ready = [fact for fact in waiting if fact.at < start + 86_400 * S]
        waiting = waiting[len(ready) :]
        yield from ready
        day += 1
    yield from waiting


async def told(ledger: Ledger, facts: Iterator[Fact], now: list[int]) -> int:
    """Append them through the ledger, whose clock is ``now`` (ms): each is written when it happened."""
    count = 0
    async for page in _pages(facts):
        now[0] = max(now[0], page[0].at // 1000)
        await ledger.append(page)
        count += len(page)
    return count


async def _pages(facts: Iterator[Fact]) -> AsyncIterator[list[Fact]]:
    """Facts of one second together, at most 200."""
    page: list[Fact] = []
    for fact in facts:
        if page and (len(page) == 200 or fact.at // S != page[0].at // S):
            yield page
            page = []
        page.append(fact)
    if page:
        yield page


# -- one call ----------------------------------------------------------------------------------------------------------
def _call(rng: random.Random, ref: str, at: int, busy: float) -> list[Fact]:
    hotline = "110" if rng.random() < 0.25 else "12345"
    caller = f"139{rng.randrange(10**8):08d}" if rng.random() < 0.95 else ""
    steps: list[e.Event] = [e.CallArrived(ref, at, hotline, caller),
                            e.EntryTold(ref, at + 100_000, "530100", 10 if hotline == "110" else 0, 0)]  # fmt: skip
    now = at + 2 * S
    if rng.random() < 0.03:  # left before asking
        return _facts([*steps, e.CallerLeft(ref, now, "", "16")])
    steps.append(e.CallerQueued(ref, now, hotline, 0))
    chance = rng.random()
    if chance < 0.03 * busy**2:
        if rng.random() < 0.5:
            steps.append(e.CallerOverflowed(ref, now + 60 * S, OTHER[hotline], hotline, "TIMEOUT"))
        why = "TIMEOUT" if rng.random() < 0.5 else "FULL"
        steps += [e.CallerNotServed(ref, now + 120 * S, why), e.CallerLeft(ref, now + 126 * S, "", "16")]
        return _facts(steps)
    if chance < 0.06 * busy**2:
        left = now + round(rng.expovariate(1 / 40) * S) + S
        return _facts([*steps, e.CallerLeft(ref, left, "", "16")])
    now += round(rng.expovariate(1 / (4 + 14 * busy)) * S) + 800_000
    seat = rng.choice(SEATS[hotline])
    steps.append(e.SeatAnswered(ref, now, seat, hotline, "queue"))
    now += round(rng.uniform(8, 60) * S)
    if rng.random() < (0.16 if hotline == "12345" else 0.22):
        more, now = _transfer(rng, ref, seat, hotline, now)
        steps += more
    now += round(rng.expovariate(1 / 120) * S) + 6 * S
    steps.append(e.CallerLeft(ref, now, "", "16"))
    return _facts(steps)


def _transfer(rng: random.Random, ref: str, seat: str, hotline: str, at: int) -> tuple[list[e.Event], int]:
    to, name = OTHER[hotline], f"{ref}-{rng.randrange(10, 99)}p1"
    how = rng.random()
    if how < 0.04:
        return [e.TransferRefused(ref, at, name, seat, rng.choice(("transfer-running", "no-route")), to, "dtmf")], at
    room = rng.random() < 0.15
    steps: list[e.Event] = [
        e.TransferStarted(ref, at, name, to, seat, "add" if room else "swap", "dtmf", int(rng.random() < 0.05),
                          rule="both", decide_s=180, remind_s=30),
        e.TargetTried(ref, at + 5_000, name, 1, f"{to}-dedicated")]  # fmt: skip
    if how < 0.10:
        over = at + 31 * S
        return [*steps, e.TargetFailed(ref, over - S, name, 1, f"{to}-dedicated", "no-answer", ""),
                e.TransferFailed(ref, over, name, "no-answer")], over  # fmt: skip
    if how < 0.13:
        return [*steps, e.TransferCancelled(ref, at + 4 * S, name, seat)], at + 4 * S
    target = rng.choice(DEDICATED[to])
    answered = at + round(rng.lognormvariate(1.4, 0.5) * S)
    steps += [e.TargetAnswered(ref, answered, name, target, to), e.CallerJoined(ref, answered + 40_000)]
    if not room:
        steps.append(e.SeatLeft(ref, answered + 60_000, seat, "0"))
        return steps, answered + 8 * S
    word = answered + 25 * S
    second = to if rng.random() < 0.4 else hotline
    steps += [e.DecisionSaid(ref, word, name, seat, hotline, hotline, "traffic", "", "dtmf"),
              e.DecisionSaid(ref, word + 6 * S, name, target, to, second, "traffic", "路段归属不清" * (second == to),
                             "dtmf")]  # fmt: skip
    leaves = word + 30 * S
    steps.append(e.GuestLeft(ref, leaves, name, target, "16"))
    return steps, leaves


def _lease(at: int, name: str, code: str) -> list[Fact]:
    data: dict[str, Scalar] = {"lease": name, "seat": "1003", "owner": "530300", "borrower": code, "side": "borrower",
                               "fence": 1, "expires": at + 4 * 3600 * S, "why": "", "by": "clock"}  # fmt: skip
    return [Fact("LeaseMoved", at + hours * 3600 * S, "", {**data, "state": state}, "service", f"lease/{name}/{state}")
            for hours, state in ((0, "active"), (4, "ended"))]  # fmt: skip


def _facts(steps: list[e.Event]) -> list[Fact]:
    """What the ledger has of a call: its steps and the records the core makes of them, deadlines in between."""
    site, facts = Site(), list[Fact]()
    ends = [step.at for step in steps[1:]] + [1 << 62]
    for n, (step, until) in enumerate(zip(steps, ends, strict=True)):
        facts.append(Fact(type(step).__name__, step.at, step.ref, e.values_of(step), "live", f"{step.ref}/{n}"))
        site, made = calls.step(site, step)
        facts += _records(made)
        site, made = calls.tick(site, until)
        facts += _records(made)
    assert all(a.ref == b.ref for a, b in pairwise(facts))
    return facts


def _records(commands: list[Command]) -> list[Fact]:
    return [Fact(one.kind, one.at, one.ref, one.data, "service", one.key)
            for one in commands if isinstance(one, Record)]  # fmt: skip
