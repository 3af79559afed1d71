"""Steps of a three-party call; ``transfer`` is the one that brought the third party in. See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class CallerSetAside(Event):
    """``seat`` wants to confer in private: the caller is in music, the seats hear each other."""

    transfer: str
    seat: str


@dataclass(frozen=True, slots=True)
class CallerBroughtBack(Event):
    """The caller is back in the room. ``seat`` empty: by itself, its time was up."""

    transfer: str
    seat: str = ""


@dataclass(frozen=True, slots=True)
class GuestLeft(Event):
    """A seat's leg left the room, the first's or the second's; the others go on. ``cause``: Q.850."""

    transfer: str
    seat: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class RoomRefused(Event):
    """A room key that fits nothing now, told to the seat alone. ``code``: one of `conference.words.REFUSALS`;
    ``transfer`` may be empty."""

    transfer: str
    seat: str
    code: str


@dataclass(frozen=True, slots=True)
class ReminderTold(Event):
    """The tone before the deadline of the decision."""

    transfer: str


@dataclass(frozen=True, slots=True)
class DecisionDue(Event):
    """Time is up and nobody has decided: the dialplan let one seat go by the rule of the first receiver."""

    transfer: str


@dataclass(frozen=True, slots=True)
class SeatMuted(Event):
    """A seat muted itself (``on`` 1) or is heard again (0): by its own key, or because the room ended."""

    transfer: str
    seat: str
    on: int


@dataclass(frozen=True, slots=True)
class MemberAsked(Event):
    """A fourth member is being rung for the room. ``member``: this attempt's id; ``to``: a short number of the linkage
    directory or a seat's; ``seat``: who asked, empty: a supervisor; ``key``: dtmf | dial | refer | api."""

    transfer: str
    member: str
    seat: str
    to: str
    key: str = "dtmf"


@dataclass(frozen=True, slots=True)
class MemberFailed(Event):
    """The fourth member did not come. ``why``: as of a transfer (`cti.core.routing.REASONS`), or taken-back."""

    transfer: str
    member: str
    to: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class MemberJoined(Event):
    """The fourth member picked up and joins the room; ``seat``: a seat's number, or the telephone outside."""

    transfer: str
    member: str
    seat: str
    platform: str


@dataclass(frozen=True, slots=True)
class MemberLeft(Event):
    """The fourth member's leg ended; the others go on. ``cause``: Q.850."""

    transfer: str
    member: str
    seat: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class DecisionSaid(Event):
    """A seat's word on who accepts. ``choice``: one of `conference.words.CHOICES`; ``seat`` empty: a supervisor's;
    ``key``: dtmf | api | console."""

    transfer: str
    seat: str
    platform: str
    choice: str
    reason: str = ""
    text: str = ""
    key: str = "dtmf"


@dataclass(frozen=True, slots=True)
class WordsLast(Event):
    """The caller hung up; the two seats go on talking, as long as the dialplan lets them."""

    transfer: str


@dataclass(frozen=True, slots=True)
class RoomOver(Event):
    """Nobody is left in the room."""

    transfer: str


ROOM_EVENTS: tuple[type[Event], ...] = (
    CallerSetAside, CallerBroughtBack, GuestLeft, RoomRefused, ReminderTold, DecisionSaid, DecisionDue, SeatMuted,
    MemberAsked, MemberFailed, MemberJoined, MemberLeft, WordsLast, RoomOver,
)  # fmt: skip
