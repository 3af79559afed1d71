"""The linkage directory (联动目录) of one site, whole: hotlines, seats, routes, trunks, nuisance list.

Knows: its parts and how to look things up in them. Must not know: files, YAML, Asterisk, the clock.
"""

from __future__ import annotations

import datetime as dt
from functools import cached_property

from cti.directory import divisions
from cti.directory.base import Frozen
from cti.directory.fields import EMERGENCY, Platform, SeatKind
from cti.directory.hotlines import CallbackRules, ConferenceRules, Hotline
from cti.directory.nuisance import Nuisance, NuisanceRules
from cti.directory.peers import SiteEntry, Trunk
from cti.directory.plans import Plan
from cti.directory.seats import Agent, Seat, SeatRules
from cti.directory.targets import Linked, PhoneTarget, Route, Target


class Directory(Frozen):
    """One site's linkage directory. `load_directory` builds it and checks its parts against each other."""

    hotlines: tuple[Hotline, ...]
    seats: tuple[Seat, ...]
    routes: tuple[Route, ...]
    trunks: tuple[Trunk, ...] = ()
    nuisance: tuple[Nuisance, ...] = ()
    nuisance_rules: NuisanceRules = NuisanceRules()
    conference: ConferenceRules = ConferenceRules()
    callbacks: CallbackRules = CallbackRules()
    sites: tuple[SiteEntry, ...] = ()
    linkage: tuple[Linked, ...] = ()
    agents: tuple[Agent, ...] = ()
    seat_rules: SeatRules = SeatRules()
    plans: tuple[Plan, ...] = ()

    @cached_property
    def _agents(self) -> dict[str, Agent]:
        return {a.number: a for a in self.agents}

    def agent(self, number: str) -> Agent | None:
        """The agent with this number."""
        return self._agents.get(number)

    def serving(self, hotline: Hotline) -> tuple[Seat, ...]:
        """The general seats of a hotline's line, in the file's order: those that name it, or have its skills."""
        needed = set(hotline.skills)
        return tuple(
            s for s in self.seats_of(hotline.platform, "general")
            if (hotline.number in s.lines if s.lines is not None else needed <= set(s.skills)))  # fmt: skip

    def wrapup(self, hotline: Hotline) -> int:
        """Seconds of wrap-up after its calls."""
        return self.seat_rules.wrapup if hotline.queue.wrapup is None else hotline.queue.wrapup

    @cached_property
    def platforms(self) -> tuple[Platform, ...]:
        """Platforms with a hotline here, in the file's order."""
        return tuple(dict.fromkeys(h.platform for h in self.hotlines))

    @cached_property
    def _routes(self) -> dict[tuple[Platform, str, bool], tuple[Target, ...]]:
        return {(r.to, r.division, r.danger): r.targets for r in self.routes}

    @cached_property
    def _seats(self) -> dict[str, Seat]:
        return {s.number: s for s in self.seats}

    @cached_property
    def _nuisance(self) -> dict[str, Nuisance]:
        return {n.number: n for n in self.nuisance}

    def hotline(self, number: str) -> Hotline | None:
        """The hotline with this public number."""
        return next((h for h in self.hotlines if h.number == number), None)

    def seat(self, number: str) -> Seat | None:
        """The seat with this number."""
        return self._seats.get(number)

    def site(self, code: str) -> SiteEntry | None:
        """The site with this code."""
        return next((s for s in self.sites if s.code == code), None)

    def linked(self, number: str) -> Linked | None:
        """Who has this short number in the linkage directory."""
        return next((one for one in self.linkage if one.number == number), None)

    def plan(self, name: str) -> Plan | None:
        """The emergency plan of this name."""
        return next((p for p in self.plans if p.id == name), None)

    def trunk(self, name: str) -> Trunk | None:
        """The trunk with this name."""
        return next((t for t in self.trunks if t.name == name), None)

    def seats_of(self, platform: Platform, kind: SeatKind | None = None) -> tuple[Seat, ...]:
        """A platform's seats, of one kind or all, in the file's order."""
        return tuple(s for s in self.seats if s.platform == platform and kind in (None, s.kind))

    def route(self, to: Platform, division: str | None, *, danger: bool = False) -> tuple[Target, ...]:
        """Targets on platform `to` for a call from `division`: county, else prefecture, else any, else `()`; of the
        ordinary lists, or of those for danger alone.

        `None` or a malformed division (it may come from a caller's data) is unknown and meets only `*`.
        """
        keys = ((to, d, danger) for d in divisions.lineage(division))
        return next((self._routes[key] for key in keys if key in self._routes), ())

    @cached_property
    def never_listed(self) -> frozenset[str]:
        """Numbers no nuisance list may hold: our own, emergency services', the linkage directory's telephones."""
        lists = (*(r.targets for r in self.routes), *(one.targets for one in self.linkage))
        phones = {t.number for targets in lists for t in targets if isinstance(t, PhoneTarget)}
        own = {h.number for h in self.hotlines} | {s.number for s in self.seats} | {one.number for one in self.linkage}
        return frozenset(own | phones | EMERGENCY)

    def nuisance_entry(self, number: str, today: dt.date) -> Nuisance | None:
        """The entry for a number, if it still holds on `today` (site's local date)."""
        entry = self._nuisance.get(number)
        return entry if entry and today <= entry.until else None
