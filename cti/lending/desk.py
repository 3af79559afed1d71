"""The one task that owns a site's leases: event → step → record → rows → orders, in that order.

Knows: order, and how the core's orders become actions, letters and facts. Must not know: rules (`cti.core.lease`),
Redis, AMI. Nothing here holds a caller: when this task is dead or late, lent.conf goes on with the rows it last laid,
and they run out by their own clock.

Every order says how things should stand and is repeated by the book until its effect is heard of; what failed is
therefore logged and left to the next time. What the book does not repeat (a seat's way home, rows of leases that are
over) is kept here in `_rest` until Asterisk has it. Longer than 300 lines because one task's order of acts is not
understood in halves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from cti.ami.actions import AmiError
from cti.core import lease_model as e
from cti.core import leasebook
from cti.core.facts import Fact, Scalar
from cti.core.lease_model import ENDED, Lease, LeaseEvent, LeaseState, SeatAsked, Terms
from cti.core.leasebook import Book
from cti.lending import bookfile
from cti.lending.letters import Letter, Letters, LettersAway
from cti.lending.line import IDLE, Line

log = structlog.get_logger(__name__)

TICK_S = 0.1
CARE_S = 1.0
"""between two looks whether the lines are as the book says"""
AWAY_S = 4.0
"""a trunk so long unreachable sends the borrowed seats home"""
OUT = (LeaseState.GRANTED, LeaseState.ACTIVE)


@dataclass(frozen=True, slots=True)
class Around:
    """What the desk needs of the directory."""

    site: str
    lendable: Mapping[str, str]
    """own general seats → platform"""
    lines: Mapping[str, str]
    """platform → its line's queue"""
    penalties: Mapping[str, int]
    """other sites → penalty of their seats here"""


class Records(Protocol):
    """Where facts become durable."""

    def append(self, facts: Sequence[Fact]) -> Awaitable[object]:
        """Never raises for Redis or the disk."""


class LeaseDesk:
    """`run` while the service runs; `ask`, `recall` from anywhere on the loop. ``terms``: what holds unless an ask says
    otherwise."""

    def __init__(self, around: Around, line: Line, letters: Letters, records: Records, path: Path, terms: Terms,
                 now_us: Callable[[], int]) -> None:  # fmt: skip
        self.around, self._line, self._letters, self._records = around, line, letters, records
        self._path, self._now = path, now_us
        self.book: Book = bookfile.load(path, around.site, terms)
        self.terms = terms
        self._inbox: asyncio.Queue[Letter | None] = asyncio.Queue()
        self._notes: asyncio.Queue[Fact] = asyncio.Queue()
        self._resume = True
        self._rest: set[str] = set()
        """own seats on their way home"""
        self._strays: dict[str, int] = {}
        """own seats Asterisk has as lent and the book does not know; from when (µs) they come home"""
        self._phones: dict[str, str] = {}
        self._platforms: dict[str, str] = {}
        """of borrowed leases, as their owners tell with each grant"""
        self._told_phone: dict[str, str] = {}
        self._cared = self._stamp = 0
        self._gone_since: dict[str, int] = {}
        self.mail_up = False
        self.listeners: list[Callable[[Lease], None]] = []
        """told every change of a lease once it is on record; quick, raise nothing"""

    @property
    def site(self) -> str:
        """Our own code."""
        return self.around.site

    # -- from outside --------------------------------------------------------------------------------------------------
    @property
    def lent(self) -> frozenset[str]:
        """Own seats that are in none of our lines because of a lease: whoever else pauses and adds members leaves them
        out."""
        return frozenset(seat for seat, lease in self.book.lent.items() if lease.open)

    def leases(self) -> list[Lease]:
        """All that are known here, newest last."""
        return sorted((*self.book.lent.values(), *self.book.borrowed.values()), key=lambda x: (x.asked_at, x.id))

    def find(self, lease_id: str) -> Lease | None:
        """A lease by id."""
        return next((x for x in self.leases() if x.id == lease_id), None)

    async def ask(self, owner: str, seat: str, to: str, minutes: int, why: str, *, run: str = "",
                  drill: bool = False) -> str:  # fmt: skip
        """Lend ``owner``'s seat to ``to``; the lease's id. ``run``: of an emergency plan. Raises LettersAway when the
        borrower is another and cannot be told."""
        now = self._now()
        self._stamp = max(self._stamp + 1, now // 1000)  # two asks of one ms are two leases
        lease_id = leasebook.lease_id(to, self._stamp)
        asked = SeatAsked(lease_id, now, seat, owner, to, run, drill)
        letter = Letter(self.around.site, asked, minutes, why=why, open_it=True)
        if to == self.around.site:
            self._inbox.put_nowait(letter)
        else:
            await self._letters.send(to, letter)
        return lease_id

    def recall(self, lease: Lease, why: str) -> None:
        """The owner wants it back, or the borrower needs it no more, by whose desk this is."""
        kind = e.SeatRecalled if lease.owner == self.around.site else e.SeatUnneeded
        self._inbox.put_nowait(Letter(self.around.site, kind(lease.id, self._now(), why)))

    def link_up(self) -> None:
        """Asterisk is there (again): everything is asked for anew."""
        self._resume = True

    def note(self, name: str, at: int, key: str, values: Mapping[str, str]) -> None:
        """A step of lent.conf, for the record."""
        data: dict[str, Scalar] = {k: v for k, v in values.items() if k != "ref"}
        self._notes.put_nowait(Fact(name, at, values.get("ref", ""), data, "live", key))

    # -- the task ------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._write_notes())
            while True:
                letter: Letter | None = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        letter = await self._inbox.get()
                if letter is not None:
                    await self._hear(letter)
                now = self._now()
                if self._resume:
                    self._resume = False
                    await self._step(*leasebook.resume(self.book, now), "", None)
                    self._rest |= {seat for seat, lease in self.book.lent.items() if not lease.open}
                    await self._tried(self._look_for_strays())
                    self._cared = 0
                else:
                    await self._step(*leasebook.tick(self.book, now), "", None)
                if now >= self._cared + int(CARE_S * 1e6):
                    self._cared = now
                    await self._care()

    async def _write_notes(self) -> None:
        while True:
            await self._records.append([await self._notes.get()])

    async def _read(self) -> None:
        while True:
            try:
                for letter in await self._letters.read():
                    if isinstance(letter, ValueError):
                        log.warning("letter_unreadable", why=str(letter))
                    else:
                        self._inbox.put_nowait(letter)
                self.mail_up = True
            except LettersAway as why:
                if self.mail_up:
                    log.warning("letters_away", why=str(why), cure="leases run out by the clock meanwhile")
                self.mail_up = False
                await asyncio.sleep(0.2)

    async def _hear(self, letter: Letter) -> None:
        event = letter.stamped(self._now())
        if isinstance(event, SeatAsked):
            if letter.open_it is not (event.borrower == self.around.site):
                return
            self.book = await self._prepared(event, letter.minutes)
        elif isinstance(event, e.SeatGranted) and letter.phone:
            self._phones[event.lease], self._platforms[event.lease] = letter.phone, letter.platform
        await self._step(*leasebook.step(self.book, event), letter.sender, event, letter.why)

    async def _prepared(self, event: SeatAsked, minutes: int) -> Book:
        """The book with this ask's term, and the fencing number Redis gives out for the seat."""
        term = minutes * 60_000_000 or self.terms.term_us
        book = replace(self.book, terms=replace(self.terms, term_us=term))
        current = book.lent.get(event.seat)
        if event.owner == self.around.site and not (current and (current.open or current.id == event.lease)):
            with contextlib.suppress(LettersAway):
                number = await self._letters.next_fence(event.seat)
                known = book.fences.get(event.seat, 0)
                book = replace(book, fences={**book.fences, event.seat: max(known, number - 1)})
        return book

    async def _step(self, book: Book, orders: Sequence[leasebook.Order], sender: str, event: LeaseEvent | None,
                    why: str = "") -> None:  # fmt: skip
        before, self.book = self.book, book
        changed = [x for x in (*book.lent.values(), *book.borrowed.values()) if x != _before(before, x)]
        if changed:
            bookfile.save(self._path, book)
            await self._record(changed, event, why)
            for listener in self.listeners:
                for lease in changed:
                    listener(lease)
        for lease in changed:
            await self._tried(self._lay(lease))
        for order in orders:
            await self._tried(self._carry_out(order, sender))

    async def _record(self, changed: Sequence[Lease], event: LeaseEvent | None, why: str) -> None:
        """Each change of a lease is a fact: ``LeaseMoved``, with the state it is in now and what moved it."""
        facts = []
        for lease in changed:
            data: dict[str, Scalar] = {
                "lease": lease.id, "seat": lease.seat, "owner": lease.owner, "borrower": lease.borrower,
                "side": str(lease.side), "state": str(lease.state), "fence": lease.fence, "expires": lease.expires,
                "why": why or lease.why, "by": type(event).__name__ if event else "clock"}  # fmt: skip
            if lease.run:
                data |= {"run": lease.run, **({"drill": lease.run} if lease.drill else {})}
            at = event.at if event else self._now()
            facts.append(Fact("LeaseMoved", at, "", data, "service",
                              f"lease/{lease.id}/{lease.side}/{lease.state}/{lease.expires}"))  # fmt: skip
            log.info("lease_moved", **data)
        await self._records.append(facts)

    async def _tried(self, action: Awaitable[None]) -> None:
        """What fails is asked for again by the book, or by `_care`."""
        try:
            await action
        except (AmiError, LettersAway) as why:
            log.info("lease_order_failed", why=str(why))

    async def _lay(self, lease: Lease) -> None:
        """The owner's row for lent.conf: laid before anybody is told, closed before anybody is recalled."""
        if lease.side is not e.Side.OWNER:
            return
        if lease.state in OUT:
            await self._line.put_row(lease.seat, lease.borrower, lease.fence, lease.expires // 1_000_000)
        elif lease.open:
            until = (lease.expires or lease.asked_at + lease.terms.ask_us) + lease.terms.skew_us
            await self._line.put_row(lease.seat, "", lease.fence, until // 1_000_000 + 1)
        await self._letters.show(lease)

    async def _carry_out(self, order: leasebook.Order, sender: str) -> None:
        now = self._now
        match order:
            case leasebook.SetAside():
                if order.seat not in self.around.lendable:
                    self._say(e.SeatDenied(order.lease, now(), "no-seat"))
                elif await self._line.aside(order.seat):
                    self._say(e.SeatSetAside(order.lease, now()))
            case leasebook.TakeHome():
                self._rest.add(order.seat)
                await self._home(order.seat)
            case leasebook.EnterLine():
                lease = self.find(order.lease)
                if lease is not None and await self._enter(lease, order.last_offer):
                    self._say(e.SeatEntered(order.lease, now()))
            case leasebook.LeaveLine():
                lease = self.find(order.lease)
                if lease is not None and not self._again(lease) and await self._line.leave(lease.owner + lease.seat):
                    self._say(e.SeatWithdrawn(order.lease, now()))
            case leasebook.KeepOnly():
                keep = [x.owner + x.seat for x in self.book.borrowed.values() if x.id in order.leases]
                await self._line.strangers(keep)
            case leasebook.Tell():
                await self._tell(order, sender)
            case leasebook.Odd():
                log.warning("lease_step_not_expected", lease=order.lease, code=order.code)
                data: dict[str, Scalar] = {"code": order.code, "lease": order.lease, "event": "lease"}
                await self._records.append([Fact("Anomaly", now(), "", data, "service", f"odd/{order.lease}/{now()}")])

    async def _enter(self, lease: Lease, last_offer: int) -> bool:
        platform = self._platforms.get(lease.id, "")
        if platform not in self.around.lines:
            return False  # known with the next grant; it is told every second
        row = f"{lease.fence}~{last_offer // 1_000_000}~{platform}"
        penalty = self.around.penalties.get(lease.owner, 5)
        return await self._line.enter(lease.owner + lease.seat, self.around.lines[platform], penalty, row)

    async def _tell(self, order: leasebook.Tell, sender: str) -> None:
        to = order.site or sender
        if to == self.around.site or not to:
            return
        lease, minutes, phone, platform = self.find(order.event.lease), 0, "", ""
        if isinstance(order.event, SeatAsked) and lease is not None:
            minutes = lease.terms.term_us // 60_000_000
        if isinstance(order.event, e.SeatGranted) and lease is not None:
            phone, platform = self._told_phone.get(lease.seat, IDLE), self.around.lendable.get(lease.seat, "")
        event = replace(order.event, at=self._now())
        await self._letters.send(to, Letter(self.around.site, event, minutes, phone, platform))

    def _say(self, event: LeaseEvent) -> None:
        self._inbox.put_nowait(Letter(self.around.site, event))

    def _again(self, lease: Lease) -> bool:
        """Whether a newer lease holds the same seat: its line membership must not be taken away by the old one's
        end."""
        return any(x.seat == lease.seat and x.owner == lease.owner and x.state in OUT and x.id != lease.id
                   for x in self.book.borrowed.values())  # fmt: skip

    # -- how things should stand ---------------------------------------------------------------------------------------
    async def _care(self) -> None:
        """What no event tells: a line that forgot (Asterisk's restart), a lent phone or a trunk that went away."""
        self._rest |= {seat for seat, at in self._strays.items() if at <= self._now()}
        self._strays = {seat: at for seat, at in self._strays.items() if seat not in self._rest}
        if not (self.lent or self._rest or any(x.open for x in self.book.borrowed.values())):
            return
        try:
            phones = await self._line.phones()
            for seat in self.lent:
                await self._line.pause(seat)
                self._told_phone[seat] = phones.get(seat, "UNAVAILABLE")
                await self._tried(self._lay(self.book.lent[seat]))
            for seat in tuple(self._rest):
                await self._home(seat)
            for lease in self.book.borrowed.values():
                if lease.state in OUT:
                    await self._mind(lease, phones)
        except (AmiError, LettersAway) as why:
            log.info("lines_not_looked_after", why=str(why))

    async def _mind(self, lease: Lease, phones: Mapping[str, str]) -> None:
        """A borrowed seat: aside while its phone is away, home when its trunk is."""
        away = phones.get(f"site-{lease.owner}", "UNAVAILABLE") == "UNAVAILABLE"
        since = self._gone_since.setdefault(lease.owner, self._now()) if away else None
        if not away:
            self._gone_since.pop(lease.owner, None)
        elif since is not None and self._now() - since >= int(AWAY_S * 1e6):
            self._say(e.SeatUnneeded(lease.id, self._now(), "trunk"))
            return
        phone = self._phones.get(lease.id, IDLE)
        reason = "lent-trunk" if away else "lent-phone" if phone in ("UNAVAILABLE", "INVALID") else None
        if lease.state is LeaseState.ACTIVE:
            if not await self._line.inside(lease.owner + lease.seat):
                await self._enter(lease, lease.expires - lease.terms.ring_us)
            await self._line.rest(lease.owner + lease.seat, reason)

    async def _look_for_strays(self) -> None:
        """The book was lost: what nobody remembers lending comes home when its row lets nobody ring it any more."""
        for seat, until in (await self._line.lent()).items():
            if seat in self.around.lendable and seat not in self.book.lent:
                self._strays[seat] = until * 1_000_000 + self.terms.skew_us
                log.warning("lent_seat_not_in_book", seat=seat, until=until, cure="it comes home by the clock")

    async def _home(self, seat: str) -> None:
        lease = self.book.lent.get(seat)
        if lease is not None and lease.open:
            self._rest.discard(seat)
            return
        await self._line.drop_row(seat)
        await self._line.home(seat)
        self._rest.discard(seat)

    def show(self, lease: Lease) -> dict[str, Any]:
        """A lease as JSON; times in µs."""
        return {"lease": lease.id, "seat": lease.seat, "owner": lease.owner, "borrower": lease.borrower,
                "side": str(lease.side), "state": str(lease.state), "fence": lease.fence, "expires": lease.expires,
                "why": lease.why, "run": lease.run, "drill": lease.drill, "asked_at": lease.asked_at,
                "ended_at": lease.ended_at,
                "actions": [] if lease.state in ENDED else ["recall"]}  # fmt: skip


def _before(book: Book, lease: Lease) -> Lease | None:
    return book.lent.get(lease.seat) if lease.side is e.Side.OWNER else book.borrowed.get(lease.id)
