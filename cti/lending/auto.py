"""The automatic rule at work: what each site says of itself, what `cti.core.overflow` makes of it, what the desk is
asked.

Knows: where a view's figures come from. Must not know: the rule. Every site looks at all views and acts on its own
part: a borrower asks and gives back, a lender recalls; so no site must be the one that decides. Of the 12345 lines
alone: 110's seats are moved by a person.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from cti.core import overflow
from cti.core.facts import Fact, published
from cti.core.lease_model import Lease, LeaseState
from cti.core.overflow import Memory, Policy, SiteView
from cti.core.seatplan import HANDLE_S, PATIENCE_S
from cti.core.staffing import Traffic
from cti.lending.desk import LeaseDesk
from cti.lending.letters import Letters, LettersAway

log = structlog.get_logger(__name__)

WINDOW_US: Final = 1_800_000_000
"""traffic of the last half hour stands for the next one"""
ENOUGH: Final = 30
HERE: Final = (LeaseState.ASKED, LeaseState.GRANTED, LeaseState.ACTIVE)


@dataclass(slots=True)
class Past:
    """Calls of one hotline that ended: (ended at µs, talk s of an answered one)."""

    hotline: str
    calls: deque[tuple[int, float]] = field(default_factory=deque)

    def saw(self, fact: Fact) -> None:
        """One fact on record; raises nothing."""
        data = fact.data
        if fact.kind != "CallEnded" or data.get("hotline") != self.hotline or data.get("outcome") == "unasked":
            return
        if not published(fact):
            return
        with contextlib.suppress(ValueError):
            answered = fact.data.get("outcome") == "answered"
            self.calls.append((fact.at, int(str(fact.data.get("talk_ms") or 0)) / 1000 if answered else 0.0))

    def traffic(self, now: int, waiting: int) -> Traffic:
        """By the last half hour; with too few answered ones by the proposal's handling time."""
        while self.calls and self.calls[0][0] < now - WINDOW_US:
            self.calls.popleft()
        talks = [talk for _, talk in self.calls if talk > 0]
        handle = sum(talks) / len(talks) if len(talks) >= ENOUGH else HANDLE_S
        return Traffic((len(self.calls) + waiting) / (WINDOW_US / 1e6), max(1.0, handle), PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Now:
    """What the service sees at this moment. ``phones``: own seats of the line → device state; ``waiting``: in line."""

    phones: Mapping[str, str]
    waiting: int


class Auto:
    """`run` while the service runs. ``sites``: all others; ``looks`` tells how things are; ``acts``: the rule is
    switched on. Where it is not, the site still says what it is: others' plans ask for free seats by it."""

    def __init__(self, desk: LeaseDesk, letters: Letters, past: Past, sites: Sequence[str],
                 place: tuple[float, float], looks: Callable[[], Now], now_us: Callable[[], int], *, every_s: float,
                 minutes: int, acts: bool = True, policy: Policy | None = None) -> None:  # fmt: skip
        self._desk, self._letters, self._past = desk, letters, past
        self._sites, self._place, self._looks, self._now = list(sites), place, looks, now_us
        self._every, self._minutes, self._policy, self._acts = every_s, minutes, policy or Policy(), acts
        self._memory: Memory = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.once()
            except LettersAway as why:
                log.info("overflow_not_looked_at", why=str(why))

    async def once(self) -> None:
        """Say what we are, look at all, act on our part. Raises LettersAway."""
        now, own = self._now(), self._desk.site
        view, free = self.view(now)
        await self._letters.say_view(json.dumps({**_plain(view), "free_seats": free}))
        if not self._acts:
            return
        said = {site: json.loads(text) for site, text in (await self._letters.views(self._sites)).items()}
        views = [view, *(_view(values) for values in said.values())]
        self._memory, decisions = overflow.decide(now, views, self._memory, self._policy)
        for decision in decisions:
            match decision:
                case overflow.Borrow() if decision.borrower == own:
                    for seat in said[decision.lender]["free_seats"][: decision.count]:
                        await self._desk.ask(decision.lender, seat, own, self._minutes, f"auto-{decision.why}")
                case overflow.GiveBack() if decision.borrower == own:
                    self._back(self._desk.book.borrowed.values(), decision)
                case overflow.Recall() if decision.lender == own:
                    self._back(self._desk.book.lent.values(), decision)
                case _:
                    continue
            log.info("overflow_decided", what=type(decision).__name__, borrower=decision.borrower,
                     lender=decision.lender, count=decision.count, why=decision.why)  # fmt: skip

    def view(self, now: int) -> tuple[SiteView, list[str]]:
        """What we are, and which seats could go."""
        seen, book = self._looks(), self._desk.book
        there = [seat for seat, state in seen.phones.items() if state not in ("UNAVAILABLE", "INVALID", "UNKNOWN", "")]
        free = [seat for seat in there if seen.phones[seat] == "NOT_INUSE" and seat not in self._desk.lent]
        lent = [x for x in book.lent.values() if x.state in HERE]
        borrowed = [x for x in book.borrowed.values() if x.state in HERE]
        return SiteView(
            self._desk.site, self._past.traffic(now, seen.waiting), len(there), len(free), seen.waiting,
            Counter(x.borrower for x in lent), Counter(x.owner for x in borrowed),
            sum(x.state is not LeaseState.ACTIVE for x in borrowed), self._place), free  # fmt: skip

    def _back(self, leases: Iterable[Lease], decision: overflow.Decision) -> None:
        mine = [x for x in leases if x.state in HERE and (x.borrower, x.owner) == (decision.borrower, decision.lender)]
        for lease in sorted(mine, key=lambda x: x.asked_at)[: decision.count]:
            self._desk.recall(lease, decision.why)


def _plain(view: SiteView) -> dict[str, Any]:
    traffic = view.traffic
    return {"code": view.code, "traffic": [traffic.rate, traffic.handle_s, traffic.patience_s], "seats": view.seats,
            "free": view.free, "waiting": view.waiting, "lent": dict(view.lent), "borrowed": dict(view.borrowed),
            "coming": view.coming, "place": list(view.place)}  # fmt: skip


def _view(values: Mapping[str, Any]) -> SiteView:
    lat, lon = values["place"]
    return SiteView(values["code"], Traffic(*values["traffic"]), values["seats"], values["free"], values["waiting"],
                    values["lent"], values["borrowed"], values["coming"], (lat, lon))  # fmt: skip
