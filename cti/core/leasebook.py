"""All leases of one site, its own seats' and others', and what is to be done about them.

`step(book, event) → (book, orders)`. An order says how things should stand, so it may be carried out twice, and is
repeated (`tick`, every `AGAIN_US`) until its effect is heard of: that is all there is against lost messages and a shell
that died between record and act. The book is on record before its orders are carried out (CONTRIBUTING.md, rule 3),
which a site does one after another, after a restart those of `resume` first.

A seat has one lease at a time by the shape of `Book.lent`: an ask while another is open is refused. Knows: leases.
Must not know: Redis, Asterisk, the other site's state; how many seats anybody needs (`overflow`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cti.core import lease as machine
from cti.core import lease_model as e
from cti.core.lease_model import PROPOSED, Lease, LeaseEvent, LeaseState, SeatAsked, Side, Terms
from cti.core.rules import Anomaly

AGAIN_US = 1_000_000
KEEP_US = 3_600_000_000
"""A borrower's ended lease is remembered so long, to answer what was long on its way; an unknown one is answered
alike."""

FROM_BORROWER = (SeatAsked, e.SeatTaken, e.SeatGivenBack)
FROM_OWNER = (e.SeatGranted, e.SeatDenied, e.SeatRecalled)


@dataclass(frozen=True, slots=True)
class SetAside:
    """Take the own seat out of the own lines when it is free, then tell `SeatSetAside`."""

    seat: str
    lease: str


@dataclass(frozen=True, slots=True)
class TakeHome:
    """Put the own seat back into the own lines."""

    seat: str


@dataclass(frozen=True, slots=True)
class EnterLine:
    """Put the borrowed seat into the line, behind the own ones, then tell `SeatEntered`. The INVITE carries ``fence``;
    the dialplan offers nobody at or after ``last_offer`` (µs), with or without the service."""

    seat: str
    lease: str
    owner: str
    fence: int
    last_offer: int


@dataclass(frozen=True, slots=True)
class LeaveLine:
    """Take the borrowed seat out of the line, stop what rings there, then tell `SeatWithdrawn`."""

    seat: str
    lease: str


@dataclass(frozen=True, slots=True)
class KeepOnly:
    """The line holds no borrowed seat but of these leases: what a restart found there otherwise goes."""

    leases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Say this to the other site ("": to the one that just spoke). It may be lost, late, or told twice. The shell
    stamps ``at`` of what is heard with the hearer's clock."""

    site: str
    event: LeaseEvent


@dataclass(frozen=True, slots=True)
class Odd:
    """A step that does not fit: counted and recorded."""

    lease: str
    code: str


Order = SetAside | TakeHome | EnterLine | LeaveLine | KeepOnly | Tell | Odd


@dataclass(frozen=True, slots=True)
class Book:
    """``lent``: the newest lease of each own seat, by seat. ``borrowed``: others' seats, by lease id. ``fences``: the
    last fencing number given out for each own seat; it must outlive everything. ``heard``: the newest ask for a seat,
    by (seat, borrower): an older one that comes late opens nothing."""

    site: str
    terms: Terms = PROPOSED
    lent: Mapping[str, Lease] = field(default_factory=dict)
    borrowed: Mapping[str, Lease] = field(default_factory=dict)
    fences: Mapping[str, int] = field(default_factory=dict)
    heard: Mapping[tuple[str, str], int] = field(default_factory=dict)
    told_at: int = 0


_ID = re.compile(r"(?P<borrower>\d{6})-(?P<number>\d{1,18})\Z")


def lease_id(borrower: str, number: int) -> str:
    """The id of a borrower's ``number``-th ask. Numbers rise, over a loss of memory too: its clock's milliseconds."""
    return f"{borrower}-{number}"


def step(book: Book, event: LeaseEvent) -> tuple[Book, list[Order]]:
    """The book after this event, and what is to be done. Total: no event raises."""
    lease = _find(book, event)
    if lease is None:
        return _unknown(book, event)
    after, decided = machine.step(lease, event)
    orders = list(_moved(lease, after))
    if isinstance(decided, Anomaly):
        orders.append(Odd(event.lease, decided.code))
    if lease.state is after.state or not after.open:
        orders += [one for one in _answer(after, event) if one not in orders]
    return _with(book, after), orders


def tick(book: Book, now: int) -> tuple[Book, list[Order]]:
    """What time itself did, and once every `AGAIN_US` how things should stand."""
    orders: list[Order] = []
    for lease in [*book.lent.values(), *book.borrowed.values()]:
        after = machine.expire(lease, now)
        if after is not lease:
            orders += _moved(lease, after)
            book = _with(book, after)
    if now >= book.told_at + AGAIN_US or now < book.told_at:
        again = [order for lease in _open(book) if not _answers(lease) for order in _standing(lease)]
        orders += [one for one in again if one not in orders]
        recent = {i: x for i, x in book.borrowed.items() if x.open or x.ended_at + KEEP_US > now}
        book = replace(book, told_at=now, borrowed=recent)
    return book, orders


def resume(book: Book, now: int) -> tuple[Book, list[Order]]:
    """After a restart of the service or its Asterisk: how everything should stand, asked for anew."""
    book, orders = tick(replace(book, told_at=0), now)
    home = [TakeHome(seat) for seat, lease in book.lent.items() if not lease.open]
    held = tuple(i for i, x in book.borrowed.items() if x.state in (LeaseState.GRANTED, LeaseState.ACTIVE))
    return book, [KeepOnly(held), *(one for one in home if one not in orders), *orders]


def deadline(book: Book) -> int | None:
    """The earliest time (µs) at which `tick` has something to do."""
    due = [at for lease in _open(book) if (at := machine.deadline(lease)) is not None]
    return min([*due, book.told_at + AGAIN_US]) if due else None


# -- inside ------------------------------------------------------------------------------------------------------------
def _find(book: Book, event: LeaseEvent) -> Lease | None:
    if event.lease in book.borrowed:
        return book.borrowed[event.lease]
    return next((one for one in book.lent.values() if one.id == event.lease), None)


def _unknown(book: Book, event: LeaseEvent) -> tuple[Book, list[Order]]:
    """No such lease: an ask opens one, unless the seat has one; a grant is given back; all else is old."""
    if not isinstance(event, SeatAsked):
        if isinstance(event, e.SeatGranted | e.SeatRecalled):
            return book, [Tell("", e.SeatGivenBack(event.lease, event.at, getattr(event, "fence", 0)))]
        return book, []
    if event.borrower == book.site:
        lease = machine.opened(event, Side.BORROWER, terms=book.terms)
        return _with(book, lease), list(_standing(lease))
    form = _ID.match(event.lease)
    if event.owner != book.site or form is None or form["borrower"] != event.borrower:
        return book, [Odd(event.lease, "ask-of-strangers")]
    who, number = (event.seat, event.borrower), int(form["number"])
    if number <= book.heard.get(who, -1):
        return book, [Tell(event.borrower, e.SeatDenied(event.lease, event.at, "old"))]
    current = book.lent.get(event.seat)
    current = machine.expire(current, event.at) if current else None
    if current is not None and current.open:
        return book, [Tell(event.borrower, e.SeatDenied(event.lease, event.at, "lent"))]
    fence = book.fences.get(event.seat, 0) + 1
    lease = machine.opened(event, Side.OWNER, fence, book.terms)
    book = replace(book, fences={**book.fences, event.seat: fence}, heard={**book.heard, who: number})
    return _with(book, lease), list(_standing(lease))


def _moved(before: Lease, after: Lease) -> Iterator[Order]:
    """What a change of state asks for at once."""
    if after.state is not before.state:
        yield from _standing(after)
    elif after.expires != before.expires:
        yield from _extension(after)


def _extension(lease: Lease) -> Iterator[Order]:
    if lease.side is Side.OWNER:
        yield Tell(lease.borrower, e.SeatGranted(lease.id, 0, lease.fence, lease.expires))
    else:
        yield _enter(lease)


def _standing(lease: Lease) -> Iterator[Order]:
    """How things should stand in this state."""
    match lease.side, lease.state:
        case Side.OWNER, LeaseState.ASKED:
            yield SetAside(lease.seat, lease.id)
        case Side.OWNER, LeaseState.GRANTED | LeaseState.ACTIVE:
            yield Tell(lease.borrower, e.SeatGranted(lease.id, 0, lease.fence, lease.expires))
        case Side.OWNER, LeaseState.RECALLED:
            yield Tell(lease.borrower, e.SeatRecalled(lease.id, 0, lease.why))
        case Side.OWNER, _:
            yield TakeHome(lease.seat)
            if lease.state is LeaseState.REFUSED:
                yield Tell(lease.borrower, e.SeatDenied(lease.id, 0, lease.why))
        case Side.BORROWER, LeaseState.ASKED:
            yield Tell(lease.owner, SeatAsked(lease.id, 0, lease.seat, lease.owner, lease.borrower, lease.run,
                                              lease.drill))  # fmt: skip
        case Side.BORROWER, LeaseState.GRANTED:
            yield _enter(lease)
        case Side.BORROWER, LeaseState.ACTIVE:
            yield Tell(lease.owner, e.SeatTaken(lease.id, 0, lease.fence))
        case Side.BORROWER, LeaseState.RECALLED:
            yield LeaveLine(lease.seat, lease.id)
        case Side.BORROWER, LeaseState.RETURNED | LeaseState.EXPIRED:
            yield LeaveLine(lease.seat, lease.id)
            yield Tell(lease.owner, e.SeatGivenBack(lease.id, 0, lease.fence))


def _answer(lease: Lease, event: LeaseEvent) -> Iterator[Order]:
    """To a message that changed nothing: what this side holds, so that the other can catch up."""
    if lease.side is Side.BORROWER and isinstance(event, FROM_OWNER):
        if lease.open or lease.state is LeaseState.REFUSED:
            yield from _standing(lease)
        else:
            yield Tell(lease.owner, e.SeatGivenBack(lease.id, 0, lease.fence or getattr(event, "fence", 0)))
    elif lease.side is Side.OWNER and isinstance(event, SeatAsked):
        yield from (one for one in _standing(lease) if isinstance(one, Tell))
    elif lease.side is Side.OWNER and isinstance(event, e.SeatTaken) and not lease.open:
        yield Tell(lease.borrower, e.SeatRecalled(lease.id, 0, lease.why))


def _answers(lease: Lease) -> bool:
    """The owner's grant is told again and again; this side only answers it."""
    return lease.side is Side.BORROWER and lease.state is LeaseState.ACTIVE


def _enter(lease: Lease) -> EnterLine:
    return EnterLine(lease.seat, lease.id, lease.owner, lease.fence, lease.expires - lease.terms.ring_us)


def _open(book: Book) -> Iterator[Lease]:
    return (one for one in (*book.lent.values(), *book.borrowed.values()) if one.open)


def _with(book: Book, lease: Lease) -> Book:
    if lease.side is Side.OWNER:
        return replace(book, lent={**book.lent, lease.seat: lease})
    return replace(book, borrowed={**book.borrowed, lease.id: lease})
