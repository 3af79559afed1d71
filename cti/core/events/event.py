"""The base of all events, and the passing of time. See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all: the call it belongs to, and when it happened (µs, UTC)."""

    ref: str
    at: int


@dataclass(frozen=True, slots=True)
class ClockTicked(Event):
    """Time went on (``ref`` is empty). Not a fact of the ledger: deadlines are functions of the events' own times."""
