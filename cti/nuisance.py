"""The nuisance list of a running service: laid into AstDB, put right after an absence, proposed to by the rate rule.

Knows: the file's entries, the ledger's (the runtime's), AstDB's families. Must not know: the rules of an entry
(`cti.core.nuisance`), what the dialplan does with a row (dialplan/nuisance.conf), HTTP.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from cti.ami.actions import AmiError, AmiRefused
from cti.ami.client import AmiClient
from cti.core import events as e
from cti.core import nuisance, nuisance_desk
from cti.core.entry import EntryBook, Nuisance, normalise_caller
from cti.core.facts import Fact
from cti.core.listing import ListingState
from cti.core.model import Site
from cti.core.nuisance_rate import ShortCalls
from cti.core.zone import SHANGHAI
from cti.directory import Directory
from cti.runtime import Runtime

log = structlog.get_logger(__name__)

FAMILY, FREE = "nuisance", "nuisance-free"
BY_RULE = "rule"
FULL_S = 600.0
"""between two looks at AstDB itself, which somebody may have emptied"""
AGAIN_S = 1.0
WHY = "短时重复来电 repeated short calls"


class NuisanceList:
    """Rows of AstDB follow the list within milliseconds of a record; `keep` until cancelled.

    ``known``: whether the ledger could be read: before that nothing is taken out of AstDB, for it may be all that is
    left of the list.
    """

    def __init__(self, directory: Directory, ami: AmiClient, runtime: Runtime, book: EntryBook,
                 known: Callable[[], bool], now_us: Callable[[], int]) -> None:  # fmt: skip
        self._ami, self._runtime, self._known, self._now = ami, runtime, known, now_us
        self._plain, self._book = book, book
        rules = directory.nuisance_rules
        never = {normalise_caller(number).number for number in directory.never_listed}
        self.limits = nuisance_desk.Limits(rules.days, rules.most_days, never | directory.never_listed)
        short = rules.short_calls
        self.rule = ShortCalls(short.calls, short.seconds, short.minutes) if short else None
        self.file = {normalise_caller(n.number).number: n for n in directory.nuisance}
        """by number: what nuisance.yaml lists"""
        self._ends = {number: _end(entry.until) for number, entry in self.file.items()}
        self._laid: dict[str, str] | None = None
        """what AstDB holds; None: not known"""
        self._good_until = 0
        """when the first of its rows ends (µs)"""
        self._changed = asyncio.Event()
        self._renew()
        runtime.listeners.append(self._saw)

    def book(self) -> EntryBook:
        """The entry book with the list as it stands."""
        return self._book

    def link_up(self) -> None:
        """AstDB has to be looked at anew."""
        self._laid = None
        self._changed.set()

    def wanted(self, site: Site) -> dict[str, str]:
        """Number → row. Of a number in both the later end holds."""
        ends = {number: (end, "file") for number, end in self._ends.items()}
        for number, one in nuisance.listed(site).items():
            ends[number] = max(ends.get(number, (0, "")), (one.until, one.id))
        now = self._now()
        return {number: nuisance.row(until, name) for number, (until, name) in ends.items() if until > now}

    def tell(self) -> None:
        """Have every open entry the ledger last had whole some hours ago told again. At a start before anything else is
        heard: a service that was away for days must not push the list out of the last day that the next one reads."""
        now = self._now()
        for one in self._runtime.site.nuisance.values():
            if one.state is not ListingState.ENDED and now - one.told_at >= nuisance.STANDS_US:
                turn = now // nuisance.STANDS_US
                self._runtime.hear(nuisance.stands(one, now), "service", f"nuisance/{one.id}/stands/{turn}")

    async def keep(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        full = clock() + FULL_S
        while True:
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            changed = self._changed.is_set()
            self._changed.clear()
            await self._propose()
            self.tell()
            if clock() >= full:
                full, self._laid = clock() + FULL_S, None
            if self._ami.connected and (changed or self._laid is None or self._now() >= self._good_until):
                try:
                    await self._publish()
                except AmiError as why:
                    self._laid = None
                    log.info("nuisance_not_laid", why=str(why))

    async def _publish(self) -> None:
        laid = self._laid
        if laid is None:
            laid = await self._rows(FAMILY)
            now = self._now() // 1_000_000
            for number, text in (await self._rows(FREE)).items():
                if not text.isdecimal() or int(text) <= now:
                    await self._delete(FREE, number)
        wanted = self.wanted(self._runtime.site)
        self._laid = None  # until all of it is done
        self._good_until = min((int(text.partition("~")[0]) for text in wanted.values()), default=1 << 40) * 1_000_000
        for number, text in wanted.items():
            if laid.get(number) != text:
                await self._ami.action("DBPut", {"Family": FAMILY, "Key": number, "Val": text})
        kept = dict(wanted)
        for number in laid.keys() - wanted.keys():
            if self._known():
                await self._delete(FAMILY, number)
            else:
                kept[number] = laid[number]
        self._laid = kept

    async def _rows(self, family: str) -> dict[str, str]:
        try:
            listed = await self._ami.list_action("DBGetTree", {"Family": family})
        except AmiRefused:  # there is none
            return {}
        rows = ((str(m.get("Key") or ""), str(m.get("Val") or "")) for m in listed)
        return {key.rpartition("/")[2]: text for key, text in rows if key}

    async def _delete(self, family: str, number: str) -> None:
        try:
            await self._ami.action("DBDel", {"Family": family, "Key": number})
        except AmiRefused:
            log.info("nuisance_row_gone")  # somebody else took it out

    def _saw(self, fact: Fact) -> None:
        if fact.kind.startswith(("Nuisance", "Appeal")) and fact.kind not in ("NuisanceTold", "NuisancePassed"):
            self._renew()
            self._changed.set()
        elif fact.kind == "CallEnded" and self.rule is not None:
            self._changed.set()

    def _renew(self) -> None:
        site = self._runtime.site
        dynamic = tuple(Nuisance(n, dt.datetime.fromtimestamp(one.until / 1e6, SHANGHAI).date(), one.reason)
                        for n, one in nuisance.listed(site).items())  # fmt: skip
        self._book = replace(self._plain, nuisances=self._plain.nuisances + dynamic) if dynamic else self._plain

    async def _propose(self) -> None:
        """What the rate rule finds. It only proposes."""
        rates = self._runtime.memory.rates
        numbers, now, rule = sorted(rates.fresh), self._now(), self.rule
        rates.fresh.clear()
        if rule is None:
            return
        for number in numbers:
            refs = rates.due(number, rule, now)
            if not refs or number in self.file or nuisance.rested(self._runtime.site, number, now):
                continue
            entry = f"n{now // 1000:x}{secrets.token_hex(3)}"
            reason = f"{WHY}: {len(refs)} × < {rule.seconds} s / {rule.minutes} min"

            def decide(site: Site, number: str = number, entry: str = entry, reason: str = reason,
                       refs: tuple[str, ...] = refs) -> object:  # fmt: skip
                return nuisance_desk.propose(site, entry, number, BY_RULE, reason, refs, 0, now, self.limits,
                                             "short-calls")  # fmt: skip

            said = await self._runtime.ask(decide, f"nuisance/{entry}/proposed")
            if isinstance(said, e.NuisanceProposed):
                log.info("nuisance_proposed", entry=entry, rule="short-calls", calls=len(refs))

    def counts(self) -> Mapping[str, int]:
        """Entries by state, the file's among the listed."""
        now, made = self._now(), {"proposed": 0, "listed": 0, "appealed": 0}
        for one in self._runtime.site.nuisance.values():
            if one.state is not ListingState.ENDED:
                made[str(one.state)] += 1
                made["appealed"] += bool(one.appealed_at)
        made["listed"] += sum(end > now for end in self._ends.values())
        return made


def _end(until: dt.date) -> int:
    """The end of a day of the file (µs)."""
    after = dt.datetime.combine(until, dt.time(), SHANGHAI)
    return (int(after.timestamp()) + 86_400) * 1_000_000
