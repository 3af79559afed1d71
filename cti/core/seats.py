"""The seat's status as a table: `step(site, event) → (site, commands)`; drawn in docs/seat-machine.md.

Theory: the dialplan acts first (a key pauses the seat in app_queue, a timer ends its wrap-up), with or without us, and
says so; a request over HTTP is decided in `seat_desk` and comes here as the same event. Every change ends in
`SyncSeat`, which makes Asterisk agree with this table's latest word, so that two changes in one instant cannot leave
the two apart.

Knows: which status may follow which. Must not know: Asterisk, calls, who may ask. Total: every (status, event) pair is
moved, noted or ignored for a stated reason. A fact older than the last change moves nothing: rows read after an absence
must not undo what was decided since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cti.core import events as e
from cti.core import records, rules
from cti.core.commands import Command, SyncSeat
from cti.core.model import SeatNow, SeatStatus, Site
from cti.core.rules import Ignore

LATE_US = 3_000_000
"""a wrap-up's own timer is Asterisk's; so long after it we end it, for Asterisk may have been restarted"""

OUT, READY, PAUSED = SeatStatus.OUT, SeatStatus.READY, SeatStatus.PAUSED
WRAPUP, TRAINING, LENT = SeatStatus.WRAPUP, SeatStatus.TRAINING, SeatStatus.LENT


@dataclass(frozen=True, slots=True)
class IfOpen:
    """A seat that needs no log-in moves; any other stays, for the reason."""

    state: SeatStatus
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """Counted, nothing moves."""


@dataclass(frozen=True, slots=True)
class Restore:
    """The status is the one told."""


To = rules.To[SeatStatus, SeatNow, e.SeatEvent]
Rule = To | IfOpen | Note | Restore | Ignore

_NOBODY = Ignore("nobody is logged in")
_LENT = Ignore("lent: the borrower's matter")
_SAME = Ignore("it is so already")
_NOT_HERE = Ignore("no wrap-up to end")
_QUIET = Ignore("a seat that takes no calls has none to wrap up")
_UNLENT = Ignore("it was not lent")
_BUSY = Ignore("only a ready seat can be lent")


def _row(default: Rule, **some: Rule) -> Mapping[SeatStatus, Rule]:
    return {status: some.get(status.name.lower(), default) for status in SeatStatus}


RULES: Mapping[type[e.SeatEvent], Mapping[SeatStatus, Rule]] = {
    e.SeatLoggedIn: _row(To(READY), lent=_LENT),
    e.SeatLoggedOut: _row(To(OUT), out=_SAME, lent=_LENT),
    e.SeatLoginRefused: _row(Note()),
    e.SeatPaused: _row(To(PAUSED), out=_NOBODY, lent=_LENT),
    e.SeatMadeReady: _row(To(READY), out=IfOpen(READY, "nobody is logged in"), ready=_SAME, lent=_LENT),
    e.WrapUpBegan: _row(_QUIET, ready=To(WRAPUP), wrapup=To(WRAPUP)),
    e.WrapUpOver: _row(_NOT_HERE, wrapup=To(READY)),
    e.TrainingBegan: _row(To(TRAINING), out=_NOBODY, training=_SAME, lent=_LENT),
    e.SeatLent: _row(_BUSY, ready=To(LENT), out=_NOBODY, lent=_SAME),
    e.SeatReturned: _row(_UNLENT, lent=To(READY)),
    e.RingMissed: _row(Note()),
    e.DedicatedRefused: _row(Note()),
    e.SeatStands: _row(Restore()),
}
"""event → status → what follows"""


def step(site: Site, event: e.SeatEvent) -> tuple[Site, list[Command]]:
    """The site after this event. A seat that left the configuration is none of ours any more: nothing."""
    seat = site.seats.get(event.seat)
    if seat is None:
        return site, []
    rule = RULES[type(event)][seat.status]
    match rule:
        case Note():
            misses = event.n if isinstance(event, e.RingMissed) else seat.misses
            return _with(site, replace(seat, misses=misses)), []
        case Restore():
            assert isinstance(event, e.SeatStands)
            return _with(site, _restored(seat, event)), []
        case rules.Ignore():
            return site, []
        case IfOpen() if not seat.open:
            return site, []
    if event.at < seat.since or (isinstance(event, e.WrapUpOver) and event.turn not in ("", seat.reason)):
        return site, []  # older than what stands
    return _moved(site, seat, _after(seat, event, rule.state), event.at)


def tick(site: Site, now: int) -> tuple[Site, list[Command]]:
    """End wrap-ups whose timer was not heard of."""
    commands: list[Command] = []
    for seat in [s for s in site.seats.values() if s.status is WRAPUP and s.until + LATE_US <= now]:
        over = replace(seat, status=READY, reason="", by="clock", since=seat.until, until=0)
        site, more = _moved(site, seat, over, seat.until)
        commands += more
    return site, commands


def next_deadline(site: Site) -> int | None:
    """When `tick` has something to do (µs)."""
    return min((s.until + LATE_US for s in site.seats.values() if s.status is WRAPUP), default=None)


@dataclass(frozen=True, slots=True)
class Member:
    """What app_queue and AstDB must say of a seat."""

    paused: bool
    reason: str
    """shown beside the pause"""
    mark: str
    """AstDB's word, as [seat-mark] writes it: ``<status>~<reason>``"""


def member(seat: SeatNow) -> Member:
    """A seat's place in its waiting lines: only a ready one is rung."""
    if seat.status is READY:
        return Member(False, "", "ready~")
    shown = seat.reason if seat.status is PAUSED else str(seat.status)
    return Member(True, shown, f"{seat.status}~{seat.reason}")


def stands(seat: SeatNow, at: int) -> e.SeatStands:
    """The snapshot of a seat."""
    return e.SeatStands("", at, seat.number, str(seat.status), seat.reason, seat.agent, seat.by, seat.since, seat.until)


def _after(seat: SeatNow, event: e.SeatEvent, status: SeatStatus) -> SeatNow:
    """The seat in its next status."""
    told = replace(seat, status=status, reason="", by=str(getattr(event, "by", "")) or "asterisk", since=event.at,
                   until=0, misses=0)  # fmt: skip
    match event:
        case e.SeatLoggedIn():
            return replace(told, agent=event.agent)
        case e.SeatLoggedOut():
            return replace(told, agent="")
        case e.SeatPaused():
            return replace(told, reason=event.reason)
        case e.SeatLent():
            return replace(told, reason=event.to)
        case e.WrapUpBegan():
            return replace(told, reason=event.turn, until=event.at + event.seconds * 1_000_000)
    return told


def _restored(seat: SeatNow, event: e.SeatStands) -> SeatNow:
    if event.status not in list(SeatStatus):
        return seat
    return replace(seat, status=SeatStatus(event.status), reason=event.reason, agent=event.agent, by=event.by,
                   since=event.since, until=event.until)  # fmt: skip


def _moved(site: Site, before: SeatNow, seat: SeatNow, at: int) -> tuple[Site, list[Command]]:
    """With the record every report reads: which status, why, by whom, and how long the last one stood."""
    reason = "" if seat.status is WRAPUP else seat.reason
    told = records.record(
        "", "SeatStatus", at, f"seat/{seat.number}/{at}/{seat.status}", seat=seat.number, status=str(seat.status),
        reason=reason, agent=seat.agent or before.agent, by=seat.by, before=str(before.status),
        lasted_ms=(at - before.since) // 1000 if before.since else -1)  # fmt: skip
    return _with(site, seat), [told, SyncSeat("", seat.number)]


def _with(site: Site, seat: SeatNow) -> Site:
    return replace(site, seats={**site.seats, seat.number: seat})
