"""Steps of a call: it comes, waits, is with a seat, ends. See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class CallArrived(Event):
    """A caller's channel was answered by the hotline's dialplan. ``callback``: the task by which he was called, the ref
    of the call he did not get through with. ``drill``: the run of an emergency plan whose drill caller he is.
    ``platform``: the hotline's."""

    hotline: str
    caller: str = ""
    callback: str = ""
    drill: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class EntryTold(Event):
    """The service said what the call is, in time."""

    division: str
    priority: int = 0
    nuisance: int = 0


@dataclass(frozen=True, slots=True)
class EntryDefaulted(Event):
    """The service did not say in time: the hotline's own division and priority stand."""

    division: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class FrontTold(Event):
    """An emergency plan's front message is being played to him; ``says``: the prompts, joined by ``~``."""

    says: str = ""


@dataclass(frozen=True, slots=True)
class CallerQueued(Event):
    """The caller asked for a person and waits in a line."""

    queue: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CallerOverflowed(Event):
    """He goes on from one line to another. ``why``: TIMEOUT, FULL or CLOSED."""

    to: str
    line: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class SeatAnswered(Event):
    """A person picked up at a seat. ``takes``: ``queue`` (first answer), ``recall`` or ``callback``. ``kind``: general
    | dedicated | remote (of another site)."""

    seat: str
    platform: str
    takes: str = "queue"
    kind: str = ""


@dataclass(frozen=True, slots=True)
class SeatLeft(Event):
    """A seat's leg of this call ended. ``cause``: Q.850; 16 is the phone's own BYE."""

    seat: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class SeatLost(Event):
    """The seat that had the caller vanished (no RTP, phone gone) or dropped him at once: he is first in line again."""

    seat: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CallerReferred(Event):
    """The seat's phone sent the caller on by REFER and is gone; ``to``: the number asked for, digits alone."""

    seat: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class CallerRecalled(Event):
    """The transfer came to nothing and its seat is gone: the caller is on his way back to it."""

    seat: str


@dataclass(frozen=True, slots=True)
class CallerNotServed(Event):
    """Nobody could be had; the caller was told so. ``why``: app_queue's QUEUESTATUS (TIMEOUT, FULL…), CLOSED at this
    hour, or LINES (as many callers as the site carries)."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class CallerLeft(Event):
    """The caller's channel ended, whoever hung up. ``cause``: Q.850."""

    xf: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CallerGone(Event):
    """The caller's channel no longer exists and no step told of its end: Asterisk died, or its record was lost."""


CALL_EVENTS: tuple[type[Event], ...] = (
    CallArrived, EntryTold, EntryDefaulted, FrontTold, CallerQueued, CallerOverflowed, SeatAnswered, SeatLeft, SeatLost,
    CallerReferred, CallerRecalled, CallerNotServed, CallerLeft, CallerGone,
)  # fmt: skip
