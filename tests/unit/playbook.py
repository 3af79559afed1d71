"""A dialogue with the core: `play(event, …)` returns what it recorded. Times are seconds, so that a test reads as a
ladder."""

from __future__ import annotations

from collections.abc import Iterable

from cti.core import calls
from cti.core import events as e
from cti.core.commands import Command, Record
from cti.core.model import Call, Site

REF = "530100-1732406400.12"
T1 = f"{REF}-17"
T2 = f"{REF}-30"
S = 1_000_000
OPENED = 14.02
"""when `room` opens"""
DEADLINE = OPENED + 180


def us(seconds: float) -> int:
    return round(seconds * S)


class Play:
    """One site, fed event by event."""

    def __init__(self) -> None:
        self.site = Site()
        self.commands: list[Command] = []

    def __call__(self, *events: e.Event) -> list[Command]:
        made: list[Command] = []
        for event in events:
            self.site, more = calls.step(self.site, event)
            made += more
        self.commands += made
        return made

    @property
    def call(self) -> Call:
        return self.site.calls[REF]

    def records(self, kind: str) -> list[Record]:
        return [c for c in self.commands if isinstance(c, Record) and c.kind == kind]


def talking(seat: str = "1001", at: float = 0.0) -> Iterable[e.Event]:
    """A caller of 12345 whom a seat has answered."""
    return (
        e.CallArrived(REF, us(at), "12345", "13800001111"),
        e.EntryTold(REF, us(at + 0.1), "530100", 0, 0),
        e.CallerQueued(REF, us(at + 0.1), "12345", 0),
        e.SeatAnswered(REF, us(at + 2.1), seat, "12345", "queue"),
    )


def started(at: float, transfer: str = T1, seat: str = "1001", to: str = "110") -> Iterable[e.Event]:
    """A key press that rings the first target."""
    return (
        e.TransferStarted(REF, us(at), transfer, to, seat, "swap", "dtmf"),
        e.TargetTried(REF, us(at), transfer, 1, f"{to}-dedicated"),
    )


def joined(at: float, transfer: str = T1, seat: str = "8001", to: str = "110") -> Iterable[e.Event]:
    """The target picks up and is with the caller."""
    return (e.TargetAnswered(REF, us(at), transfer, seat, to), e.CallerJoined(REF, us(at + 0.02)))


def asked_in(at: float, transfer: str = T1, seat: str = "1001", to: str = "110", **more: object) -> e.Event:
    """A key press that asks a third party in beside the seat; ``more``: danger, rule, decide_s."""
    values = {"transfer": transfer, "to": to, "seat": seat, "mode": "add", **more}
    return e.make("TransferStarted", REF, us(at), values)


def room(at: float = 10, **more: object) -> Iterable[e.Event]:
    """A caller of 12345 with seat 1001, and 8001 of 110 brought in: the room opens 4.02 s after the key."""
    return (*talking(), asked_in(at, **more), *joined(at + 4))  # type: ignore[arg-type]


def said(at: float, seat: str, choice: str, reason: str = "", key: str = "dtmf", transfer: str = T1) -> e.Event:
    """A seat's word on who accepts."""
    platform = {"1": "12345", "8": "110"}.get(seat[:1], "")
    return e.DecisionSaid(REF, us(at), transfer, seat, platform, choice, reason, "", key)


def decided(play: Play) -> list[tuple[object, ...]]:
    """Who accepts, the basis and why, of each decision on record."""
    return [tuple(r.data[k] for k in ("accepts", "basis", "why")) for r in play.records("ConferenceDecided")]


def ended(play: Play) -> list[object]:
    """How each three-party call ended."""
    return [r.data["how"] for r in play.records("ConferenceEnded")]


def transfers(play: Play) -> list[tuple[object, object]]:
    """Outcome and why of each transfer on record."""
    return [(r.data["outcome"], r.data["why"]) for r in play.records("TransferEnded")]
