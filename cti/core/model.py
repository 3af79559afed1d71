"""A site's calls and transfers as plain frozen values. Knows: shapes. Must not know: rules (transfer.py, calls.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SETTLE_US = 5_000_000
"""A target that leaves within 5 s of the join vanished: the caller is recalled (ASTERISK.md §1; lobby.conf)."""


class TransferState(StrEnum):
    """Where a transfer stands. ENDED is the only terminal state; the outcome says how."""

    REQUESTED = "requested"
    RINGING = "ringing"
    WAITING = "waiting"
    ANSWERED = "answered"
    JOINED = "joined"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a transfer ended (DOMAIN.md, transfer KPIs)."""

    NONE = ""
    ANSWERED = "answered"
    RETURNED = "returned"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """Where a caller is."""

    ENTERING = "entering"
    QUEUED = "queued"
    TALKING = "talking"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer. Times are µs since the epoch, 0 = not (yet)."""

    id: str
    to: str
    seat: str
    key: str
    mode: str
    state: TransferState
    started_at: int
    outcome: Outcome = Outcome.NONE
    why: str = ""
    hops: int = 0
    target_seat: str = ""
    answered_at: int = 0
    joined_at: int = 0
    ended_at: int = 0
    released: bool = False
    danger: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One caller's call, from arrival to the end of his channel."""

    ref: str
    hotline: str
    caller: str
    arrived_at: int
    phase: Phase = Phase.ENTERING
    division: str = ""
    priority: int = 0
    nuisance: bool = False
    queued_at: int = 0
    answered_at: int = 0
    seat: str = ""
    platform: str = ""
    takers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    had: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """takers and platforms before the last join: a target that vanished is none (join.conf, [give-back])"""
    not_served: str = ""
    danger: bool = False
    ended_at: int = 0
    transfers: tuple[Transfer, ...] = ()

    @property
    def open(self) -> tuple[Transfer, ...]:
        """Transfers that have not ended: at most one the door let in, and any number it has not spoken of yet."""
        return tuple(t for t in self.transfers if t.state is not TransferState.ENDED)

    @property
    def transfer(self) -> Transfer | None:
        """The open transfer: the one the door let in, else the latest asked for."""
        begun = next((t for t in self.open if t.state is not TransferState.REQUESTED), None)
        return begun or next(reversed(self.open), None)


@dataclass(frozen=True, slots=True)
class Site:
    """All live calls of one installation, by correlation id."""

    calls: Mapping[str, Call] = field(default_factory=dict)
