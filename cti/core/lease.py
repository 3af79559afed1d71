"""The lease of one seat between two sites, as a table for each side.

Theory of operation
-------------------
A site short of seats asks another for one of its own. The owner alone grants, and in this order: the seat is out of
the owner's lines (`SeatSetAside`), *then* the grant with its expiry is on record, *then* it is told. It takes the seat
home only when the borrower has given it back, or when every clock has passed the expiry: `skew_us` later by its own.
The borrower offers callers to the seat only while its own clock is a longest ring before the expiry. So at no instant
do both sites ring it, whatever messages are lost, late or told twice, and whoever dies, as long as clocks differ by no
more than `skew_us`. In between there may be a time when nobody rings the seat; that is the price.

The fencing number rises with every ask the owner hears for the seat. It rides with the borrower's INVITE, and the
owner's switch, where the seat's phone lives, lets in none but the current one (`admits`). That holds with clocks of any
skew: a borrower who is wrong is refused, his caller goes on to the next seat.

ASKED: the owner frees the seat, the borrower waits. GRANTED: lent, the borrower has not said that it is in his line.
ACTIVE: it is. RECALLED: on its way back, whoever wanted that; nobody new is rung there. RETURNED, EXPIRED, REFUSED end
it, once. A message with another fencing number than the lease's is an anomaly and changes nothing.

Time comes with the events, each by the clock of the side that hears it; `deadline` tells when something happens by
itself. Knows: one lease, seen from one side. Must not know: how messages travel (`leasebook`), which seat to ask for
(`overflow`). Longer than 300 lines because its tables are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cti.core import rules
from cti.core.lease_model import (
    ENDED,
    PROPOSED,
    Lease,
    LeaseEvent,
    LeaseExtended,
    Rule,
    SeatAsked,
    SeatDenied,
    SeatEntered,
    SeatGivenBack,
    SeatGranted,
    SeatRecalled,
    SeatSetAside,
    SeatTaken,
    SeatUnneeded,
    SeatWithdrawn,
    Side,
    Terms,
    To,
)
from cti.core.lease_model import LeaseState as S
from cti.core.rules import Anomaly, Ignore


def _set_aside(lease: Lease, event: LeaseEvent) -> Lease:
    return replace(lease, expires=event.at + lease.terms.term_us)


def _granted(lease: Lease, event: LeaseEvent) -> Lease:
    assert isinstance(event, SeatGranted)
    return replace(lease, fence=event.fence, expires=max(lease.expires, event.expires))


def _extended(lease: Lease, event: LeaseEvent) -> Lease:
    assert isinstance(event, LeaseExtended)
    return replace(lease, expires=max(lease.expires, event.expires))


def _told(lease: Lease, event: LeaseEvent) -> Lease:
    return replace(lease, why=str(getattr(event, "why", "")) or lease.why)


_twice = Ignore("told twice")
_over = Ignore("the lease is over; its record stands")
_early = Ignore("the seat is not lent yet")
_back = Ignore("it is on its way back")
_unknown = Ignore("of a lease long over: the answer says so")
_borrowers = Anomaly("event-of-borrower")
_owners = Anomaly("event-of-owner")

_NOT_OWNER: Mapping[type[LeaseEvent], Rule] = dict.fromkeys(
    (SeatGranted, SeatEntered, SeatUnneeded, SeatWithdrawn), _borrowers
)
_NOT_BORROWER: Mapping[type[LeaseEvent], Rule] = dict.fromkeys(
    (SeatSetAside, SeatTaken, LeaseExtended, SeatGivenBack), _owners
)

NONE: Mapping[Side, Mapping[type[LeaseEvent], Rule]] = {
    Side.OWNER: {
        SeatAsked: To(S.ASKED),
        SeatSetAside: _unknown,
        SeatDenied: _unknown,
        SeatTaken: _unknown,
        LeaseExtended: _unknown,
        SeatRecalled: _unknown,
        SeatGivenBack: _unknown,
        **_NOT_OWNER,
    },
    Side.BORROWER: {
        SeatAsked: To(S.ASKED),
        SeatDenied: _unknown,
        SeatGranted: _unknown,
        SeatEntered: _unknown,
        SeatRecalled: _unknown,
        SeatUnneeded: _unknown,
        SeatWithdrawn: _unknown,
        **_NOT_BORROWER,
    },
}
"""No lease of this id: only an ask opens one. A grant of a lease the borrower does not know is given back."""

_OWNER_HOME: Mapping[type[LeaseEvent], Rule] = {
    SeatAsked: _over,
    SeatSetAside: _over,
    SeatDenied: _over,
    SeatTaken: _over,
    LeaseExtended: _over,
    SeatRecalled: _over,
    SeatGivenBack: _over,
    **_NOT_OWNER,
}
_BORROWER_DONE: Mapping[type[LeaseEvent], Rule] = {
    SeatAsked: _over,
    SeatDenied: _over,
    SeatGranted: _over,
    SeatEntered: _over,
    SeatRecalled: _over,
    SeatUnneeded: _over,
    SeatWithdrawn: _over,
    **_NOT_BORROWER,
}

TABLE: Mapping[Side, Mapping[S, Mapping[type[LeaseEvent], Rule]]] = {
    Side.OWNER: {
        S.ASKED: {
            SeatAsked: _twice,
            SeatSetAside: To(S.GRANTED, _set_aside),
            SeatDenied: To(S.REFUSED, _told),
            SeatTaken: Anomaly("taken-before-granted"),
            LeaseExtended: _early,
            SeatRecalled: To(S.REFUSED, _told),
            SeatGivenBack: To(S.RETURNED),
            **_NOT_OWNER,
        },
        S.GRANTED: {
            SeatAsked: Ignore("asked again: the grant is told again"),
            SeatSetAside: _twice,
            SeatDenied: Ignore("it is lent already; to have it back, recall it"),
            SeatTaken: To(S.ACTIVE),
            LeaseExtended: To(S.GRANTED, _extended),
            SeatRecalled: To(S.RECALLED, _told),
            SeatGivenBack: To(S.RETURNED),
            **_NOT_OWNER,
        },
        S.ACTIVE: {
            SeatAsked: Ignore("an ask that was long on its way"),
            SeatSetAside: _twice,
            SeatDenied: Ignore("it is lent already; to have it back, recall it"),
            SeatTaken: _twice,
            LeaseExtended: To(S.ACTIVE, _extended),
            SeatRecalled: To(S.RECALLED, _told),
            SeatGivenBack: To(S.RETURNED),
            **_NOT_OWNER,
        },
        S.RECALLED: {
            SeatAsked: Ignore("an ask that was long on its way"),
            SeatSetAside: _twice,
            SeatDenied: _back,
            SeatTaken: Ignore("it crossed the recall"),
            LeaseExtended: _back,
            SeatRecalled: _twice,
            SeatGivenBack: To(S.RETURNED),
            **_NOT_OWNER,
        },
        S.RETURNED: _OWNER_HOME,
        S.EXPIRED: _OWNER_HOME,
        S.REFUSED: _OWNER_HOME,
    },
    Side.BORROWER: {
        S.ASKED: {
            SeatAsked: _twice,
            SeatDenied: To(S.REFUSED, _told),
            SeatGranted: To(S.GRANTED, _granted),
            SeatEntered: Anomaly("entered-before-granted"),
            SeatRecalled: To(S.REFUSED, _told),
            SeatUnneeded: To(S.RETURNED, _told),
            SeatWithdrawn: _early,
            **_NOT_BORROWER,
        },
        S.GRANTED: {
            SeatAsked: _twice,
            SeatDenied: Anomaly("denied-after-granted"),
            SeatGranted: To(S.GRANTED, _granted),
            SeatEntered: To(S.ACTIVE),
            SeatRecalled: To(S.RECALLED, _told),
            SeatUnneeded: To(S.RECALLED, _told),
            SeatWithdrawn: Ignore("it is not in the line yet"),
            **_NOT_BORROWER,
        },
        S.ACTIVE: {
            SeatAsked: _twice,
            SeatDenied: Anomaly("denied-after-granted"),
            SeatGranted: To(S.ACTIVE, _granted),
            SeatEntered: _twice,
            SeatRecalled: To(S.RECALLED, _told),
            SeatUnneeded: To(S.RECALLED, _told),
            SeatWithdrawn: To(S.RETURNED),
            **_NOT_BORROWER,
        },
        S.RECALLED: {
            SeatAsked: _twice,
            SeatDenied: Anomaly("denied-after-granted"),
            SeatGranted: _back,
            SeatEntered: Ignore("it entered as it was recalled: it leaves"),
            SeatRecalled: _twice,
            SeatUnneeded: _twice,
            SeatWithdrawn: To(S.RETURNED),
            **_NOT_BORROWER,
        },
        S.RETURNED: _BORROWER_DONE,
        S.EXPIRED: _BORROWER_DONE,
        S.REFUSED: _BORROWER_DONE,
    },
}


def rule(lease: Lease | None, side: Side, event: LeaseEvent) -> Rule:
    """What the table says of this pair. Total: every (side, state, event) is decided."""
    if lease is None:
        return NONE[side][type(event)]
    told = getattr(event, "fence", 0)
    if lease.open and lease.fence and told and told != lease.fence:
        return Anomaly("wrong-fence")
    return TABLE[side][lease.state][type(event)]


def step(lease: Lease, event: LeaseEvent) -> tuple[Lease, Rule]:
    """One event on one lease: the lease after it, and the rule that decided. What was due before comes first, and what
    the event itself makes due (a grant that came too late) at once."""
    lease = expire(lease, event.at)
    decided = rule(lease, lease.side, event)
    if not isinstance(decided, rules.To):
        return lease, decided
    changed = decided.change(lease, event) if decided.change else lease
    return expire(_moved(changed, decided.state, event.at), event.at), decided


def opened(event: SeatAsked, side: Side, fence: int = 0, terms: Terms = PROPOSED) -> Lease:
    """The lease an ask opens. ``fence``: the owner's next for this seat."""
    return Lease(event.lease, event.seat, event.owner, event.borrower, side, S.ASKED, event.at, terms, fence,
                 run=event.run, drill=event.drill)  # fmt: skip


def deadline(lease: Lease) -> int | None:
    """When something happens by itself (µs, this side's clock), or None."""
    return min((at for at, _, _ in _due(lease)), default=None)


def expire(lease: Lease, now: int) -> Lease:
    """The lease after what was due by ``now``, each *at* its deadline."""
    while due := [one for one in _due(lease) if one[0] <= now]:
        at, state, why = min(due)
        lease = _moved(replace(lease, why=why), state, at)
    return lease


def _due(lease: Lease) -> Iterator[tuple[int, S, str]]:
    terms = lease.terms
    match lease.side, lease.state:
        case Side.OWNER, S.ASKED:
            yield lease.asked_at + terms.ask_us, S.REFUSED, "not-free"
        case Side.BORROWER, S.ASKED:
            yield lease.asked_at + 2 * terms.ask_us, S.EXPIRED, "no-answer"
        case Side.OWNER, S.GRANTED | S.ACTIVE | S.RECALLED:
            yield lease.expires + terms.skew_us, S.EXPIRED, "clock"
        case Side.BORROWER, S.GRANTED | S.ACTIVE:
            yield lease.expires - terms.ring_us, S.RECALLED, "runs-out"
        case Side.BORROWER, S.RECALLED:
            yield lease.expires, S.EXPIRED, "clock"


def _moved(lease: Lease, state: S, at: int) -> Lease:
    if state is lease.state:
        return lease
    return replace(lease, state=state, ended_at=at if state in ENDED else 0)


# -- who may ring the seat ---------------------------------------------------------------------------------------------
def rings_for(lease: Lease | None, owner: str) -> str:
    """By the owner's record: the one site whose callers may ring the seat's phone, or "" for none. One record has one
    answer: the seat is never in two places."""
    if lease is None:
        return owner
    assert lease.side is Side.OWNER and lease.owner == owner
    if lease.state in (S.GRANTED, S.ACTIVE):
        return lease.borrower
    return "" if lease.state is S.RECALLED else owner


def admits(lease: Lease | None, site: str, fence: int, now: int) -> bool:
    """At the owner's switch: may this ring from another site reach the seat's phone?"""
    if lease is None or site != lease.borrower or rings_for(lease, lease.owner) != site:
        return False
    return fence == lease.fence and now < lease.expires


def may_ring(lease: Lease, now: int) -> bool:
    """At the borrower: may a caller be offered to the seat? A ring begun now is over before the expiry."""
    return (
        lease.side is Side.BORROWER
        and lease.state in (S.GRANTED, S.ACTIVE)
        and now < lease.expires - lease.terms.ring_us
    )
