"""What the core asks for: imperatives, plain frozen values, carried out by the shells through `cti.runtime`.

The dialplan owns liveness, so these are few: records for the ledger, routes laid ready before a key is pressed, and the
one door for a transfer. Must not know: how any of it is done.
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
class LayRoute(Command):
    """Put this call's own way to a platform on the caller's channel, ready before a key is pressed."""

    to: str
    division: str


@dataclass(frozen=True, slots=True)
class StartTransfer(Command):
    """Knock at the door for a seat."""

    transfer: str
    to: str
    seat: str


@dataclass(frozen=True, slots=True)
class CancelTransfer(Command):
    """Take a ringing attempt back."""

    transfer: str


@dataclass(frozen=True, slots=True)
class ReleaseCaller(Command):
    """Let the caller wait in the lobby for the ringing target; his seat is free."""

    transfer: str
