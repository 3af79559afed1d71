"""Steps of a call's recordings; ``file`` is the path below their folder. See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


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


RECORDING_EVENTS: tuple[type[Event], ...] = (
    RecordingStarted, RecordingEnded, RecordingIndexed, RecordingMissing, RecordingHeard, RecordingDeleted,
)  # fmt: skip
