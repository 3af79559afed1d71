"""What the runtime knows: the site, the keys of what it heard, the last day's figures. Built fact by fact.

Knows: the core, and how to rebuild all this from the ledger's facts, records a crash cut off included. Must not know:
asyncio, where facts are stored, the clock (times are given).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import structlog

from cti.core import calls, plans
from cti.core import events as e
from cti.core.answer_rate import EndedCall, ended_call
from cti.core.commands import Command, Record
from cti.core.facts import CorruptFact, Fact, Source, published
from cti.core.model import SeatNow, Site
from cti.core.nuisance_rate import Rates

log = structlog.get_logger(__name__)

KEEP_KEYS = 200_000
"""keys of steps and records known as heard, newest first to stay: a step is told twice within minutes, not days"""
KEEP_DAY = 200_000
"""calls (transfers, anomalies) kept for the live figures: a day of a large site"""
TICK_EVERY = 256
"""facts between two looks at deadlines while adopting: ended calls leave, so that a step's cost does not grow"""
GRACE_US = 1_000_000
"""Time is taken to have reached what was heard, less this: Asterisk's threads write steps of one instant in any order,
and its clock may differ a little from ours (both machines keep NTP time)."""

Way = tuple[str, str, str]
"""first platform, to, outcome"""
T = TypeVar("T")


class Recent(Generic[T]):
    """Values with their times (µs), each key once; at most ``most``, the oldest leave first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[str, tuple[int, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, key: str, at: int, value: T) -> None:
        """A key that is there already changes nothing."""
        if key not in self._rows:
            self._rows[key] = (at, value)
            if len(self._rows) > self._most:
                self._rows.popitem(last=False)

    def since(self, start: int) -> list[T]:
        """Values of [start, now]."""
        return [value for at, value in self._rows.values() if at >= start]

    def prune(self, before: int) -> None:
        """Forget what is older, from the oldest on."""
        while self._rows and next(iter(self._rows.values()))[0] < before:
            self._rows.popitem(last=False)


class Memory:
    """All state of one site. Times in µs UTC."""

    def __init__(self, seats: Mapping[str, SeatNow] | None = None) -> None:
        self.site = Site(seats=dict(seats or {}))
        self.last_at = 0
        """time of the newest step: everything up to there, less `GRACE_US`, has been heard"""
        self.keys: OrderedDict[str, None] = OrderedDict()
        self.ended: Recent[EndedCall] = Recent(KEEP_DAY)
        self.transfers: Recent[Way] = Recent(KEEP_DAY)
        self.handled: Recent[tuple[str, str, str]] = Recent(KEEP_DAY)
        """(seat, to, target's seat) of each answered transfer: whether dedicated seats take what is handed over"""
        self.anomalies: Recent[str] = Recent(KEEP_DAY)
        self.rates = Rates()
        self.corrupt = 0
        self._adopted = 0
        self._unwritten: dict[str, Fact] = {}

    def first_time(self, key: str) -> bool:
        """Whether this key is new; from now on it is not."""
        if key in self.keys:
            return False
        self.keys[key] = None
        if len(self.keys) > KEEP_KEYS:
            self.keys.popitem(last=False)
        return True

    def step(self, event: e.Event, now: int) -> list[Command]:
        """One event. A time beyond ``now`` is a damaged one and moves nothing but its own call."""
        if event.at <= now:
            self.last_at = max(self.last_at, event.at)
        self.site, commands = calls.step(self.site, event)
        for told in records(commands):
            if told.kind == "CallEnded":
                self.rates.saw(self.site.calls[told.ref], str(told.data["outcome"]), told.at)
        return commands

    def tick(self, upto: int) -> list[Command]:
        """End what was due by ``upto``; calls that are over leave."""
        self.site, commands = calls.tick(self.site, upto)
        return commands

    def tally(self, fact: Fact) -> None:
        """Count one record, unless it is a drill's. One that does not read is counted as corrupt: it must not stop a
        recovery."""
        data = fact.data
        if not published(fact):
            return
        try:
            if fact.kind == "CallEnded":
                self.ended.add(fact.key, fact.at, ended_call(data))
            elif fact.kind == "TransferEnded":
                way = (str(data["first_platform"]), str(data["to"]), str(data["outcome"]))
                self.transfers.add(fact.key, fact.at, way)
                if way[2] == "answered":
                    self.handled.add(fact.key, fact.at, (str(data.get("seat")), way[1], str(data.get("target"))))
            elif fact.kind == "Anomaly":
                self.anomalies.add(fact.key, fact.at, str(data.get("code", "")))
        except (KeyError, ValueError) as why:
            self._spoilt(fact, repr(why))

    def mark(self, event: e.Event) -> str:
        """What the fact of this event, stepped already, carries as ``drill``: the run whose drill it belongs to."""
        if isinstance(event, e.PlanEvent):
            return plans.mark(self.site, event.run)
        return calls.drill_of(self.site, event.ref) if event.ref else ""

    def transfers_since(self, start: int) -> Counter[Way]:
        """Ended transfers by way."""
        return Counter(self.transfers.since(start))

    def prune(self, before: int) -> None:
        """Forget figures older than this."""
        for recent in (self.ended, self.transfers, self.handled, self.anomalies):
            recent.prune(before)

    # -- from the ledger -----------------------------------------------------------------------------------------------
    def adopt(self, fact: Fact | CorruptFact, now: int) -> None:
        """One fact of the past, in ledger order. What it led to was done already, so commands are dropped; records
        are kept until their own fact comes by (`unwritten`)."""
        if isinstance(fact, CorruptFact):
            self.corrupt += 1
            return
        self._unwritten.pop(fact.key, None)
        if not self.first_time(fact.key):
            return
        if fact.kind not in e.BY_NAME:
            self.tally(fact)
            return
        try:
            event = e.make(fact.kind, fact.ref, fact.at, fact.data)
        except e.BadEvent as why:
            self._spoilt(fact, str(why))
            return
        self._keep(self.step(event, now), fact.source)
        self._adopted += 1
        if self._adopted % TICK_EVERY == 0:
            self._keep(self.tick(self.last_at - GRACE_US), "service")

    def unwritten(self) -> list[Fact]:
        """Records the adopted steps lead to and the ledger has not: a crash came between the two."""
        return list(self._unwritten.values())

    def _keep(self, commands: list[Command], source: Source) -> None:
        for record in records(commands):
            if record.data.get("code") in ("step-of-unknown-call", "step-of-unknown-plan"):
                continue  # it began before the facts we were given
            if record.key not in self.keys:
                self._unwritten[record.key] = fact_of(record, source)

    def _spoilt(self, fact: Fact, why: str) -> None:
        self.corrupt += 1
        log.warning("ledger_entry_unreadable", ref=fact.ref, kind=fact.kind, why=why)


def records(commands: list[Command]) -> Iterator[Record]:
    """Those to be written down."""
    return (command for command in commands if isinstance(command, Record))


def fact_of(record: Record, source: Source) -> Fact:
    """The record as the ledger keeps it."""
    return Fact(record.kind, record.at, record.ref, record.data, source, record.key)
