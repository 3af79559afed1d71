"""What can happen to a call: past-tense facts, plain frozen values.

Knows: names and fields, no rules. Must not know: Asterisk's own event names (those end in `cti.ami.translate`). The
dialplan speaks each of its steps once under the very name of the class here, live by AMI and for ever in the CEL
file.

Every event has ``ref`` (correlation id) and ``at`` (microseconds since the epoch, UTC). Longer than 300 lines
because it is the whole vocabulary, to be read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all: the call it belongs to, and when it happened (µs, UTC)."""

    ref: str
    at: int


# -- a call ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class CallArrived(Event):
    """A caller's channel was answered by the hotline's dialplan."""

    hotline: str
    caller: str = ""


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
class CallerQueued(Event):
    """The caller asked for a person and waits in a line."""

    queue: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class SeatAnswered(Event):
    """A person picked up at a seat. ``takes``: ``queue`` (first answer) or ``recall``."""

    seat: str
    platform: str
    takes: str = "queue"


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
    """Nobody could be had; the caller was told so. ``why``: app_queue's QUEUESTATUS."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class CallerLeft(Event):
    """The caller's channel ended, whoever hung up. ``cause``: Q.850."""

    xf: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class CallerGone(Event):
    """The caller's channel no longer exists and no step told of its end: Asterisk died, or its record was lost."""


# -- a transfer --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class TransferRequested(Event):
    """The service was asked (API, console) and is about to knock at the door: the intent, written before the act."""

    transfer: str
    to: str
    seat: str
    key: str = "api"
    danger: int = 0
    summary: str = ""
    only: str = ""
    mode: str = "swap"


@dataclass(frozen=True, slots=True)
class TransferStarted(Event):
    """The door let a key press in: the targets are being walked. ``mode``: swap | add (the target comes in beside the
    seat); ``key``: dtmf | refer | dial | api; ``danger`` 1: to life, ahead of routine.

    ``rule``, ``decide_s`` and ``remind_s`` are the policy of the three-party call that ``add`` leads to
    (`cti.core.model.Policy`). The dialplan, whose timers run by the same values, tells them here, so that a replay
    years later decides by what was in force then."""

    transfer: str
    to: str
    seat: str
    mode: str = "swap"
    key: str = "dtmf"
    danger: int = 0
    rule: str = "decider"
    decide_s: int = 180
    remind_s: int = 30


@dataclass(frozen=True, slots=True)
class TransferRefused(Event):
    """The door refused. ``code``: transfer-running | not-your-call | no-route | bounce | three-takers | caller-gone."""

    transfer: str
    seat: str
    code: str
    to: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TargetTried(Event):
    """The ``hop``-th target of the route rings."""

    transfer: str
    hop: int
    target: str


@dataclass(frozen=True, slots=True)
class TargetRings(Event):
    """This phone rings for the transfer: what its screen must show before it answers."""

    transfer: str
    seat: str


@dataclass(frozen=True, slots=True)
class TargetFailed(Event):
    """``why``: one of `cti.core.routing.REASONS`; ``cause``: Q.850 of the leg."""

    transfer: str
    hop: int
    target: str
    why: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TargetAnswered(Event):
    """A person picked up at the target."""

    transfer: str
    seat: str
    platform: str


@dataclass(frozen=True, slots=True)
class CallerJoined(Event):
    """Caller and target are in one bridge: they hear each other."""


@dataclass(frozen=True, slots=True)
class CallerReleased(Event):
    """The seat pressed its key again, or left: the caller is sent to wait for the target."""

    transfer: str
    seat: str


@dataclass(frozen=True, slots=True)
class TransferKept(Event):
    """The seat stays: the ringing transfer becomes a three-party call."""

    transfer: str
    seat: str


@dataclass(frozen=True, slots=True)
class CallerWaits(Event):
    """The caller is in the lobby's music while the target rings."""

    transfer: str


@dataclass(frozen=True, slots=True)
class CallerHeld(Event):
    """The caller lost the target's bridge though its leg lives, and is held for it (self-healing)."""

    transfer: str
    n: int = 1


@dataclass(frozen=True, slots=True)
class TransferFailed(Event):
    """All targets failed; ``why`` is the last one's."""

    transfer: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class TransferCancelled(Event):
    """The seat took the attempt back."""

    transfer: str
    seat: str


@dataclass(frozen=True, slots=True)
class TargetStranded(Event):
    """A target answered a transfer that was over (caller gone, cancelled)."""

    transfer: str


@dataclass(frozen=True, slots=True)
class JoinOver(Event):
    """The target's near leg ended. ``result``: BRIDGERESULT; ``tries``: bridging attempts."""

    transfer: str
    result: str = ""
    tries: int = 0


# -- a three-party call (``transfer``: the one that brought the third party in) ----------------------------------------
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


# -- its recordings (``file``: path below the folder of recordings) ----------------------------------------------------
@dataclass(frozen=True, slots=True)
class RecordingStarted(Event):
    """A file is written from now on. ``part``: ``main`` (what the caller says and hears) or ``private`` (the seats
    confer without him, in the three-party call ``transfer``). ``keep_days``: the retention in force."""

    file: str
    part: str = "main"
    transfer: str = ""
    keep_days: int = 180


@dataclass(frozen=True, slots=True)
class RecordingEnded(Event):
    """Nothing more is written: the last party has left the caller, or he has; he is back from music."""

    file: str


@dataclass(frozen=True, slots=True)
class RecordingIndexed(Event):
    """The file is complete, and this is it: ``since`` to ``until`` and ``keep_until`` in µs UTC, ``ms`` of sound,
    ``size`` in bytes. Pauses with nobody in a bridge are not in it: ``ms`` may be less than the time between."""

    file: str
    part: str
    since: int
    until: int
    ms: int
    size: int
    sha256: str
    keep_until: int
    transfer: str = ""


@dataclass(frozen=True, slots=True)
class RecordingMissing(Event):
    """It was begun and there is nothing to index. ``why``: ``no-file`` (never made: no rights, disk full), ``empty``
    (nothing was written: disk full, or nobody was bridged), ``not-ours`` (a name that is none)."""

    file: str
    part: str
    why: str


@dataclass(frozen=True, slots=True)
class RecordingHeard(Event):
    """The file was given out. ``role`` of who asked; ``token``: tells apart whose, without being it."""

    file: str
    role: str
    token: str


@dataclass(frozen=True, slots=True)
class RecordingDeleted(Event):
    """Its time was over (`RecordingIndexed.keep_until`); the only way a recording goes. Told before it is done."""

    file: str
    sha256: str
    keep_until: int


# -- time --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ClockTicked(Event):
    """Time went on (``ref`` is empty). Not a fact of the ledger: deadlines are functions of the events' own times."""


CALL_EVENTS: tuple[type[Event], ...] = (
    CallArrived, EntryTold, EntryDefaulted, CallerQueued, SeatAnswered, SeatLeft, SeatLost, CallerReferred,
    CallerRecalled, CallerNotServed, CallerLeft, CallerGone,
)  # fmt: skip
TRANSFER_EVENTS: tuple[type[Event], ...] = (
    TransferRequested, TransferStarted, TransferRefused, TargetTried, TargetRings, TargetFailed, TargetAnswered,
    CallerJoined, CallerReleased, TransferKept, CallerWaits, CallerHeld, TransferFailed, TransferCancelled,
    TargetStranded, JoinOver,
)  # fmt: skip
ROOM_EVENTS: tuple[type[Event], ...] = (
    CallerSetAside, CallerBroughtBack, GuestLeft, RoomRefused, ReminderTold, DecisionSaid, DecisionDue, SeatMuted,
    MemberAsked, MemberFailed, MemberJoined, MemberLeft, WordsLast, RoomOver,
)  # fmt: skip
RECORDING_EVENTS: tuple[type[Event], ...] = (
    RecordingStarted, RecordingEnded, RecordingIndexed, RecordingMissing, RecordingHeard, RecordingDeleted,
)  # fmt: skip
BY_NAME: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (*CALL_EVENTS, *TRANSFER_EVENTS, *ROOM_EVENTS, *RECORDING_EVENTS)
}


class BadEvent(ValueError):
    """A named step came with fields that do not fit; the message names the step and the field."""


def make(name: str, ref: str, at: int, values: Mapping[str, object]) -> Event:
    """The event of this name from loose values (JSON of the dialplan, or a ledger entry). Unknown values are left
    out, whole numbers are read from text. Raises `BadEvent` when the name is unknown or a field is missing or not a
    number."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise BadEvent(f"unknown step {name!r}")
    given: dict[str, object] = {}
    for field in fields(kind):
        if field.name in ("ref", "at") or field.name not in values:
            continue
        value = values[field.name]
        if field.type == "int":
            try:
                value = int(str(value) or 0)
            except ValueError:
                raise BadEvent(f"{name}.{field.name}: {value!r} is not a whole number") from None
        else:
            value = str(value)
        given[field.name] = value
    try:
        return kind(ref, at, **given)
    except TypeError as why:
        raise BadEvent(f"{name}: {why}") from None


def values_of(event: Event) -> dict[str, str | int]:
    """The event's own fields (without ``ref`` and ``at``), as a ledger entry keeps them."""
    return {name: value for name, value in asdict(event).items() if name not in ("ref", "at")}
