"""The seam: event → step → ledger → commands, in that order. The only place where the pure core meets the outside.

Knows: order (write ahead, then act), that a step heard twice counts once, and deadlines. Must not know: Asterisk,
Redis.

One consumer task owns the state; everything else reaches it through the inbox, so no lock is needed. A caller never
waits for this task: the dialplan has already acted, or acts by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from cti.core import calls
from cti.core import events as e
from cti.core.answer_rate import EndedCall
from cti.core.commands import Command, Record
from cti.core.facts import CorruptFact, Fact, Source
from cti.core.model import Site
from cti.ports import Ledger, Meter, Switch

log = structlog.get_logger(__name__)

BATCH = 256
IDLE_S = 1.0
KEEP_ENDED = 200_000
"""ended calls kept for the live rate: a day of a large site"""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event on its way to the core. ``key``: the same key is the same step."""

    event: e.Event
    source: Source
    key: str


class Runtime:
    """Owns the site's state. `hear` from anywhere on the loop; `run` until cancelled."""

    def __init__(self, ledger: Ledger, switch: Switch, meter: Meter, now_us: Callable[[], int]) -> None:
        self._ledger, self._switch, self._meter, self._now = ledger, switch, meter, now_us
        self._inbox: asyncio.Queue[Heard] = asyncio.Queue()
        self._outbox: asyncio.Queue[Command] = asyncio.Queue()
        self._keys: dict[str, None] = {}
        self.site = Site()
        self.ended: list[EndedCall] = []
        self.transfers: dict[tuple[str, str, str], int] = {}
        """(first platform, to, outcome) → count"""
        self.anomalies = 0
        self.corrupt = 0

    def hear(self, event: e.Event, source: Source, key: str) -> None:
        """Put an event in the inbox; a key heard before is dropped there."""
        self._inbox.put_nowait(Heard(event, source, key))

    @property
    def backlog(self) -> int:
        """Events not yet stepped."""
        return self._inbox.qsize()

    def adopt(self, facts: Iterable[Fact | CorruptFact]) -> None:
        """Rebuild the state from the ledger's facts, before `run`. What these led to is already in the ledger, so
        commands are not carried out again; a corrupt entry is counted and skipped."""
        for fact in facts:
            if isinstance(fact, CorruptFact):
                self.corrupt += 1
                continue
            if fact.kind in e.BY_NAME:
                self._remember(fact.key)
                try:
                    event = e.make(fact.kind, fact.ref, fact.at, fact.data)
                except e.BadEvent as why:
                    self.corrupt += 1
                    log.warning("ledger_entry_unreadable", ref=fact.ref, why=str(why))
                    continue
                self.site, _ = calls.step(self.site, event)
            else:
                self._tally(fact)
                self._meter.saw(fact)

    async def run(self) -> None:
        """Step until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._act())
            while True:
                await self._turn(await self._next())

    async def _next(self) -> list[Heard]:
        due = calls.next_deadline(self.site)
        wait = IDLE_S if due is None else min(IDLE_S, max(0.0, (due - self._now()) / 1e6))
        try:
            async with asyncio.timeout(wait + 0.001):
                batch = [await self._inbox.get()]
        except TimeoutError:
            return []
        while len(batch) < BATCH and not self._inbox.empty():
            batch.append(self._inbox.get_nowait())
        return batch

    async def _turn(self, batch: list[Heard]) -> None:
        facts: list[Fact] = []
        wanted: list[Command] = []
        for heard in batch:
            if heard.key in self._keys:
                continue
            self._remember(heard.key)
            event = heard.event
            facts.append(
                Fact(type(event).__name__, event.at, event.ref, e.values_of(event), heard.source, heard.key)
            )
            self.site, commands = calls.step(self.site, event)
            self._sort(commands, heard.source, facts, wanted)
        self.site, commands = calls.tick(self.site, self._now())
        self._sort(commands, "service", facts, wanted)
        if facts:
            await self._ledger.append(facts)  # ahead of acting (DESIGN.md §1.4)
        for fact in facts:
            if fact.kind not in e.BY_NAME:
                self._tally(fact)
            self._meter.saw(fact)
        for command in wanted:
            self._outbox.put_nowait(command)

    def _sort(self, commands: list[Command], source: Source, facts: list[Fact], wanted: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Record):
                if command.key not in self._keys:
                    self._remember(command.key)
                    facts.append(Fact(command.kind, command.at, command.ref, command.data, source, command.key))
            else:
                wanted.append(command)

    async def _act(self) -> None:
        while True:
            await self._switch.carry_out(await self._outbox.get())

    def _remember(self, key: str) -> None:
        self._keys[key] = None
        if len(self._keys) > KEEP_ENDED:
            del self._keys[next(iter(self._keys))]

    def _tally(self, fact: Fact) -> None:
        self._remember(fact.key)
        if fact.kind == "CallEnded":
            data = fact.data
            self.ended.append(EndedCall(int(str(data["arrived_at"])), str(data["hotline"]), str(data["outcome"])))
            if len(self.ended) > KEEP_ENDED:
                del self.ended[: KEEP_ENDED // 10]
        elif fact.kind == "TransferEnded":
            data = fact.data
            way = (str(data["first_platform"]), str(data["to"]), str(data["outcome"]))
            self.transfers[way] = self.transfers.get(way, 0) + 1
        elif fact.kind == "Anomaly":
            self.anomalies += 1
            log.warning("step_not_expected", ref=fact.ref, **{k: v for k, v in fact.data.items() if k != "event"},
                        step=fact.data.get("event"))
