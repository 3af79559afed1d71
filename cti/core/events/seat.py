"""Steps of a seat, in a call or not (``ref`` is empty). ``by``: a seat's number, supervisor, phone, asterisk, clock.
See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class SeatEvent(Event):
    """Base of all: the seat's number."""

    seat: str


@dataclass(frozen=True, slots=True)
class SeatLoggedIn(SeatEvent):
    """An agent took the seat; his PIN was right."""

    agent: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class SeatLoggedOut(SeatEvent):
    """Nobody serves at this seat any more."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class SeatLoginRefused(SeatEvent):
    """``code``: wrong-pin | login-locked | seat-taken | agent-elsewhere. The PIN is never part of it."""

    agent: str
    code: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class SeatPaused(SeatEvent):
    """``reason``: a code of the site's list, or ``missed``: Asterisk itself took the seat out after rings in vain."""

    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class SeatMadeReady(SeatEvent):
    """The seat takes calls again; a wrap-up ends by it too."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class WrapUpBegan(SeatEvent):
    """A call's leg at the seat ended; the dialplan's timer runs ``seconds``. ``turn`` tells it from the next one."""

    seconds: int
    turn: str = ""


@dataclass(frozen=True, slots=True)
class WrapUpOver(SeatEvent):
    """The timer of ``turn`` ran out."""

    turn: str = ""


@dataclass(frozen=True, slots=True)
class TrainingBegan(SeatEvent):
    """The seat is in training: no calls."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class SeatLent(SeatEvent):
    """The seat serves another site; its calls are none of ours meanwhile. ``to``: that site."""

    to: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class SeatReturned(SeatEvent):
    """A lent seat is ours again."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class RingMissed(SeatEvent):
    """The seat was rung its full time and nobody answered; ``n``: in a row."""

    n: int = 1


@dataclass(frozen=True, slots=True)
class DedicatedRefused(SeatEvent):
    """Somebody would have reached a dedicated seat (专席) with a call the other platform did not hand over. ``code``:
    direct | dedicated-only | general-queue; ``source``: a seat's number, or a waiting line's name."""

    code: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class SeatStands(SeatEvent):
    """Where the seat stands, told again every some hours, so that the last day of the ledger is enough to know it."""

    status: str
    reason: str = ""
    agent: str = ""
    by: str = ""
    since: int = 0
    until: int = 0


SEAT_EVENTS: tuple[type[SeatEvent], ...] = (
    SeatLoggedIn, SeatLoggedOut, SeatLoginRefused, SeatPaused, SeatMadeReady, WrapUpBegan, WrapUpOver, TrainingBegan,
    SeatLent, SeatReturned, RingMissed, DedicatedRefused, SeatStands,
)  # fmt: skip
