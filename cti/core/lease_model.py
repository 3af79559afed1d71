"""The words of a seat lease: its states, its values, what is told of it, what a cell of its table may be.

Knows: shapes. Must not know: rules (`lease`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cti.core import rules


class Side(StrEnum):
    """Whose record of the lease this is."""

    OWNER = "owner"
    BORROWER = "borrower"


class LeaseState(StrEnum):
    """Where a lease stands, as one side sees it."""

    ASKED = "asked"
    GRANTED = "granted"
    ACTIVE = "active"
    RECALLED = "recalled"
    RETURNED = "returned"
    EXPIRED = "expired"
    REFUSED = "refused"


ENDED = frozenset({LeaseState.RETURNED, LeaseState.EXPIRED, LeaseState.REFUSED})


@dataclass(frozen=True, slots=True)
class Terms:
    """Times in µs. All are proposals but ``skew_us``: clocks kept by NTP differ by less than 1 s."""

    term_us: int = 900_000_000
    """a grant holds so long, unless extended"""
    skew_us: int = 1_000_000
    ring_us: int = 15_000_000
    """the longest ring: nobody is offered to the seat later than this before the expiry"""
    ask_us: int = 30_000_000
    """the owner frees the seat within this, or refuses; a talk is never cut"""


PROPOSED = Terms()


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease of one seat. ``id`` is the borrower's, never used twice. Times: µs UTC by this side's clock, but
    ``expires``, which the owner's clock set and both go by."""

    id: str
    seat: str
    owner: str
    borrower: str
    side: Side
    state: LeaseState
    asked_at: int
    terms: Terms = PROPOSED
    fence: int = 0
    """0: the borrower has not been told yet"""
    expires: int = 0
    why: str = ""
    ended_at: int = 0
    run: str = ""
    """the start of an emergency plan that asked for it"""
    drill: bool = False

    @property
    def open(self) -> bool:
        return self.state not in ENDED


# -- events: past-tense facts ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LeaseEvent:
    """Base of all. ``at``: µs UTC by the clock of the side that hears it."""

    lease: str
    at: int


@dataclass(frozen=True, slots=True)
class SeatAsked(LeaseEvent):
    """The borrower wants this seat, for an emergency plan's ``run`` or not. Opens the lease on either side."""

    seat: str
    owner: str
    borrower: str
    run: str = ""
    drill: bool = False


@dataclass(frozen=True, slots=True)
class SeatSetAside(LeaseEvent):
    """Observed by the owner: the seat is in none of its lines, and nothing of its own rings or talks there."""


@dataclass(frozen=True, slots=True)
class SeatDenied(LeaseEvent):
    """The owner does not lend it."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class SeatGranted(LeaseEvent):
    """The owner lends it till ``expires``. Told again with a later one, it is extended."""

    fence: int
    expires: int


@dataclass(frozen=True, slots=True)
class SeatEntered(LeaseEvent):
    """Observed by the borrower: the seat is in its line."""


@dataclass(frozen=True, slots=True)
class SeatTaken(LeaseEvent):
    """The borrower says that it has it."""

    fence: int


@dataclass(frozen=True, slots=True)
class LeaseExtended(LeaseEvent):
    """The owner lends it for longer."""

    expires: int


@dataclass(frozen=True, slots=True)
class SeatRecalled(LeaseEvent):
    """The owner wants it back."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class SeatUnneeded(LeaseEvent):
    """The borrower needs it no more."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class SeatWithdrawn(LeaseEvent):
    """Observed by the borrower: the seat is in none of its lines, and nothing of its own rings there."""


@dataclass(frozen=True, slots=True)
class SeatGivenBack(LeaseEvent):
    """The borrower says that it has left its lines. ``fence`` 0: it never had it."""

    fence: int


# -- what a cell may be ------------------------------------------------------------------------------------------------
To = rules.To[LeaseState, Lease, LeaseEvent]
Rule = rules.Rule[LeaseState, Lease, LeaseEvent]
