"""Steps of a transfer, from the key to the swap. See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


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
    """A person picked up at the target. ``kind``: as `SeatAnswered`'s, or ``outside`` (a telephone)."""

    transfer: str
    seat: str
    platform: str
    kind: str = ""


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


TRANSFER_EVENTS: tuple[type[Event], ...] = (
    TransferRequested, TransferStarted, TransferRefused, TargetTried, TargetRings, TargetFailed, TargetAnswered,
    CallerJoined, CallerReleased, TransferKept, CallerWaits, CallerHeld, TransferFailed, TransferCancelled,
    TargetStranded, JoinOver,
)  # fmt: skip
