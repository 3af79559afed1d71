"""What the core asks for: imperatives, plain frozen values, carried out by the shells through `cti.runtime`.

The dialplan owns liveness, so these are few: records for the ledger, and routes laid ready before a key is pressed.
Must not know: how any of it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all: the call it is for."""

    ref: str


@dataclass(frozen=True, slots=True)
class Record(Command):
    """Append to the ledger. ``key`` makes a repeat recognisable; ``at`` is µs UTC."""

    kind: str
    at: int
    key: str
    data: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class KnockDoor(Command):
    """Knock at the dialplan's door for a seat: one action, as its key would. ``only``: a colleague's seat."""

    transfer: str
    to: str
    seat: str
    danger: bool
    summary: str
    only: str = ""
    mode: str = "swap"
    """swap | add: the three-party call"""


@dataclass(frozen=True, slots=True)
class TakeBack(Command):
    """Take a ringing transfer back: the target stops, caller and seat go on."""

    transfer: str


@dataclass(frozen=True, slots=True)
class Release(Command):
    """The seat leaves a ringing transfer now; the caller waits for the target in music."""

    transfer: str


@dataclass(frozen=True, slots=True)
class SayDecision(Command):
    """Say a word on who accepts in a three-party call: one action, as the seat's key would. ``seat`` empty: a
    supervisor's. ``key``: api | console."""

    transfer: str
    seat: str
    choice: str
    reason: str = ""
    text: str = ""
    key: str = "api"


@dataclass(frozen=True, slots=True)
class Confer(Command):
    """The caller into music while the seats of a three-party call confer, or back, as the seat's key would."""

    transfer: str
    seat: str


@dataclass(frozen=True, slots=True)
class Mute(Command):
    """A seat of a three-party call muted (``on``) or heard again, as its own key would."""

    transfer: str
    seat: str
    on: bool


@dataclass(frozen=True, slots=True)
class BringFourth(Command):
    """Ring a fourth member for a three-party call, as the seat's key would. ``member``: the attempt's id; ``seat``
    empty: a supervisor's request."""

    transfer: str
    member: str
    to: str
    seat: str


@dataclass(frozen=True, slots=True)
class PartFourth(Command):
    """Take a ringing fourth member back, or let one go who is there."""

    transfer: str
    member: str


@dataclass(frozen=True, slots=True)
class SyncSeat(Command):
    """Make Asterisk's waiting lines agree with what the seat is now (``ref`` is empty). May be repeated."""

    seat: str


@dataclass(frozen=True, slots=True)
class CallBack(Command):
    """Ring a seat for a callback task; when it picks up the caller is called. ``number``: his, digits alone."""

    seat: str
    number: str
    hotline: str


@dataclass(frozen=True, slots=True)
class DropPlace(Command):
    """The task's stand-in leaves the line: it was taken or withdrawn otherwise."""


@dataclass(frozen=True, slots=True)
class DropDuty(Command):
    """A duty call stops, wherever it stands (``ref`` is empty): its plan was stopped, or somebody has pressed 1."""

    attempt: str


@dataclass(frozen=True, slots=True)
class LayRoute(Command):
    """Put this call's own ways to the platforms on the caller's channel, ready before a key is pressed."""

    division: str
