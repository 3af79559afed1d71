"""The seam: event → step → ledger → commands, in that order. The only place where the pure core meets the outside.

Knows: order (write ahead, then act), that a step heard twice counts once, and how far time has come. Must not know:
Asterisk, Redis.

One consumer task owns the state; everything else reaches it through the inbox. A caller never waits for this task: the
dialplan has already acted, or acts by itself.

Deadlines say "nothing more was heard", so time may only run as far as everything *was* heard: up to the newest step
while rows are caught up, up to the last proof of a living link otherwise, and never while steps wait in the inbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import structlog

from cti.core import calls
from cti.core import events as e
from cti.core.commands import Command, LayRoute, Record
from cti.core.facts import CorruptFact, Fact, Source
from cti.core.model import Phase, SeatNow, Site
from cti.memory import GRACE_US, Memory, fact_of
from cti.ports import Ledger, Meter, Switch

__all__ = ["GRACE_US", "Runtime"]

T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH = 256
IDLE_S = 1.0
SOON_S = 0.05
"""between two looks at a deadline that has passed while proof is missing that nothing more was said"""
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Heard:
    """An event on its way to the core. ``key``: the same key is the same step."""

    event: e.Event
    source: Source
    key: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way to the core: ``decide`` sees the site at its turn. ``answer`` is set once its event, if it
    made one, is on record."""

    decide: Callable[[Site], object]
    answer: asyncio.Future[object]
    key: str = ""


class Runtime:
    """Owns the site's state. `hear` from anywhere on the loop; `run` until cancelled.

    ``seats``: those of the configuration, as they stand when nothing is on record.

    ``heard_until``: the time (µs) up to which every live step has been heard; None while that is not known (link
    down, rows still being read).
    """

    def __init__(self, ledger: Ledger, switch: Switch, meter: Meter, now_us: Callable[[], int],
                 heard_until: Callable[[], int | None],
                 seats: Mapping[str, SeatNow] | None = None) -> None:  # fmt: skip
        self._ledger, self._switch, self._meter = ledger, switch, meter
        self._now, self._heard_until = now_us, heard_until
        self._inbox: asyncio.Queue[Heard | Asked] = asyncio.Queue()
        self._outbox: asyncio.Queue[Command] = asyncio.Queue()
        self._heard = self._done = 0
        self._turns = asyncio.Lock()
        self._meanwhile: list[Fact] | None = None
        self._seats = seats
        self.memory = Memory(seats)
        self.listeners: list[Callable[[Fact], None]] = []
        """told every fact once it is on record, in order; quick, raise nothing"""

    @property
    def site(self) -> Site:
        """The calls as the last turn left them."""
        return self.memory.site

    def hear(self, event: e.Event, source: Source, key: str) -> None:
        """Put an event in the inbox; a key heard before is dropped there."""
        self._heard += 1
        self._inbox.put_nowait(Heard(event, source, key))

    async def ask(self, decide: Callable[[Site], T], key: str = "") -> T:
        """Decide on a request in its turn among the steps. An event is stepped, recorded, then acted on; any other
        value only answers. Returns what ``decide`` returned, after the record. ``key``: the event's, else that of its
        transfer."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._heard += 1
        self._inbox.put_nowait(Asked(decide, answer, key))
        return cast(T, await answer)

    def act(self, command: Command) -> None:
        """Have a command carried out that changes no state by itself: Asterisk's steps will tell what came of it."""
        self._outbox.put_nowait(command)

    @property
    def backlog(self) -> int:
        """Events heard and not yet on record. 0: the ledger has all that was heard."""
        return self._heard - self._done

    async def adopt(self, facts: AsyncIterable[Fact | CorruptFact]) -> None:
        """Rebuild the state from the ledger's facts; records a crash cut off are written now.

        May be called while `run` runs (Redis was away at the start): what is recorded meanwhile is adopted too, then
        the new state takes the old one's place. What ``facts`` raises is passed on, and nothing has changed.
        """
        fresh, read = Memory(self._seats), 0
        meanwhile: list[Fact] = []
        self._meanwhile = meanwhile
        try:
            async for fact in facts:
                fresh.adopt(fact, self._now())
                read += 1
                if read % BATCH == 0:
                    await asyncio.sleep(0)  # calls in the same loop do not wait for our history
            async with self._turns:
                for fact in meanwhile:
                    fresh.adopt(fact, self._now())
                cut_off = [fact for fact in fresh.unwritten() if fresh.first_time(fact.key)]
                if cut_off:
                    await self._ledger.append(cut_off)
                    self._count(fresh, cut_off)
                    log.info("records_completed", records=len(cut_off))
                self.memory = fresh
        finally:
            self._meanwhile = None

    async def run(self) -> None:
        """Step until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._act())
            while True:
                await self._turn(await self._next())

    async def _next(self) -> list[Heard | Asked]:
        due = calls.next_deadline(self.site)
        wait = IDLE_S if due is None else min(IDLE_S, max(SOON_S, (due + GRACE_US - self._now()) / 1e6))
        try:
            async with asyncio.timeout(wait + 0.001):
                batch = [await self._inbox.get()]
        except TimeoutError:
            return []
        while len(batch) < BATCH and not self._inbox.empty():
            batch.append(self._inbox.get_nowait())
        return batch

    async def _turn(self, batch: list[Heard | Asked]) -> None:
        async with self._turns:
            memory, now = self.memory, self._now()
            facts: list[Fact] = []
            wanted: list[Command] = []
            asked: list[tuple[Asked, object]] = []
            for heard in batch:
                if isinstance(heard, Asked):
                    decided = heard.decide(memory.site)
                    asked.append((heard, decided))
                    if not isinstance(decided, e.Event):
                        continue
                    heard = Heard(decided, "service", heard.key or _asked_key(decided))
                if not memory.first_time(heard.key):
                    continue
                event = heard.event
                made = memory.step(event, now)
                told = {**e.values_of(event), **({"drill": mark} if (mark := memory.mark(event)) else {})}
                facts.append(Fact(type(event).__name__, event.at, event.ref, told, heard.source, heard.key))
                self._sort(made, heard.source, facts, wanted)
            self._sort(memory.tick(self._upto()), "service", facts, wanted)
            memory.prune(now - DAY_US)
            if facts:
                await self._ledger.append(facts)  # ahead of acting (DESIGN.md §1.4)
                if self._meanwhile is not None:
                    self._meanwhile += facts
            self._count(memory, facts)
            self._done += len(batch)
            for one, decided in asked:
                if not one.answer.cancelled():
                    one.answer.set_result(decided)
        for command in wanted:
            self._outbox.put_nowait(command)

    def _upto(self) -> int:
        """How far time has come, for deadlines; never beyond now, for neither of the two is."""
        upto = self.memory.last_at
        live = self._heard_until()
        if live is not None and self._inbox.empty():
            upto = max(upto, live)
        return upto - GRACE_US

    def _sort(self, commands: list[Command], source: Source, facts: list[Fact], wanted: list[Command]) -> None:
        for command in commands:
            if not isinstance(command, Record):
                wanted.append(command)
            elif self.memory.first_time(command.key):
                facts.append(fact_of(command, source))

    def _count(self, memory: Memory, facts: list[Fact]) -> None:
        for fact in facts:
            memory.tally(fact)
            self._meter.saw(fact)
            for listener in self.listeners:
                listener(fact)
            if fact.kind == "Anomaly":
                log.warning("step_not_expected", ref=fact.ref, step=fact.data.get("event"),
                            **{k: v for k, v in fact.data.items() if k != "event"})  # fmt: skip

    async def _act(self) -> None:
        while True:
            command = await self._outbox.get()
            call = self.site.calls.get(command.ref)
            over = call is None or call.phase is Phase.ENDED
            if not (over and isinstance(command, LayRoute)):  # rows caught up may be of calls long over
                said = await self._switch.carry_out(command)
                if said is not None:
                    self.hear(said, "service", f"said/{type(said).__name__}/{getattr(said, 'transfer', said.ref)}")


def _asked_key(event: e.Event) -> str:
    if isinstance(event, e.PlanEvent):
        return f"asked/{event.run}/{type(event).__name__}/{getattr(event, 'attempt', event.at)}"
    if isinstance(event, e.SeatEvent):
        return f"asked/{event.seat}/{type(event).__name__}/{event.at}"
    named = getattr(event, "transfer", f"{type(event).__name__}/{event.ref}/{event.at}")
    return f"asked/{named}"
