"""Lending as one site's service has it: what its desk is told of directory and settings, the automatic rule, and what
`cti.planning` asks for an emergency plan.

Knows: the shapes of both sides. Must not know: when how many seats are wanted, how one is lent (`cti.lending`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cti.core.lease_model import LeaseState, Terms
from cti.core.model import Phase
from cti.directory import Directory
from cti.lending.auto import Auto, Now, Past
from cti.lending.desk import Around, LeaseDesk
from cti.lending.letters import Letters
from cti.planning import Held
from cti.routes import line_of
from cti.runtime import Runtime
from cti.settings import Settings

OVER: Final = "plan-over"
OURS: Final = frozenset({OVER, "trunk", "runs-out", "clock"})
"""why a borrowed seat goes home that its owner did not take back"""


def around(site: str, directory: Directory) -> Around:
    """What lending needs of the directory."""
    return Around(
        site=site,
        lendable={s.number: s.platform for s in directory.seats if s.kind == "general"},
        lines={p: line_of(p, "general", directory) for p in directory.platforms},
        penalties={s.code: s.penalty for s in directory.sites if s.code != site},
    )


def terms(settings: Settings) -> Terms:
    """Of a lease, in µs."""
    lending = settings.lending
    return Terms(lending.minutes * 60_000_000, int(lending.skew * 1e6), int(lending.ring * 1e6), int(lending.ask * 1e6))


def rule(settings: Settings, directory: Directory, desk: LeaseDesk, letters: Letters, runtime: Runtime,
         devices: Callable[[], Mapping[str, str]], now_us: Callable[[], int]) -> Auto:  # fmt: skip
    """The automatic rule, of the line of 12345. A drill's calls are none of its figures."""
    site = directory.site(settings.site.code)
    hotline = next((h.number for h in directory.hotlines if h.platform == "12345"), "12345")
    seats = [s.number for s in directory.seats_of("12345", "general")]
    past = Past(hotline)
    runtime.listeners.append(past.saw)

    def looks() -> Now:
        calls = runtime.site.calls.values()
        waiting = sum(c.phase is Phase.QUEUED and c.hotline == hotline and not c.drill for c in calls)
        return Now({seat: devices().get(seat, "") for seat in seats}, waiting)

    others = [s.code for s in directory.sites if s.code != settings.site.code]
    place = (site.place if site else None) or (0.0, 0.0)
    return Auto(desk, letters, past, others, place, looks, now_us, every_s=settings.lending.every,
                minutes=settings.lending.minutes, acts=settings.lending.auto)  # fmt: skip


class PlanSeats:
    """`cti.planning.Desk` over the site's own desk."""

    def __init__(self, desk: LeaseDesk, letters: Letters) -> None:
        self._desk, self._letters = desk, letters

    def held(self) -> Sequence[Held]:
        """Every lease a plan asked for, as the borrower's book has it."""
        return [
            Held(x.id, x.owner, x.seat, x.run, x.open, x.state is LeaseState.ACTIVE, x.ended_at,
                 x.state in (LeaseState.RECALLED, LeaseState.RETURNED) and x.why not in OURS)
            for x in self._desk.book.borrowed.values() if x.run
        ]  # fmt: skip

    async def free(self, owner: str) -> Sequence[str]:
        """The other site's free seats, as it said within the last seconds. Raises LettersAway."""
        told = (await self._letters.views([owner])).get(owner)
        view: dict[str, Any] = json.loads(told) if told else {}
        return [str(seat) for seat in view.get("free_seats", ())]

    async def ask(self, owner: str, seat: str, minutes: int, run: str, drill: bool) -> None:
        """Into our own book, which is on disk before the other site hears of it."""
        await self._desk.ask(owner, seat, self._desk.site, minutes, run, run=run, drill=drill)

    def give_back(self, lease: str) -> None:
        """Home, once: a lease on its way there is left alone."""
        found = self._desk.find(lease)
        if found is not None and found.open and found.state is not LeaseState.RECALLED:
            self._desk.recall(found, OVER)
