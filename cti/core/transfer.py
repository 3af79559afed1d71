"""The transfer machine: every rule of one transfer, as a table.

Theory of operation
-------------------
The dialplan owns liveness: it rings, joins, fails and recalls, with or without us, and speaks each step once. This
machine *predicts* those steps. An event that fits moves the transfer on; one that says nothing new is ignored for a
stated reason; one that cannot happen here is an `Anomaly`, counted and kept with its ladder, and changes nothing.

A key press (`TransferStarted`) rings the targets while caller and seat keep talking: RINGING. If the seat leaves or
presses again, the caller waits in the lobby: WAITING. A person picks up: ANSWERED. Caller and target hear each other:
JOINED. Only after the target stayed `SETTLE_US` is the transfer answered for good; one who vanishes sooner sends the
caller back, and the transfer was *returned*, not answered (DOMAIN.md, transfer rules 1 and 2). ENDED is the only
terminal state, reached exactly once, and its outcome is the one terminal record of the ledger.

Mode `add` brings the target in beside the seat and goes the same way up to JOINED. Answered, it was "brought in"; a
guest who leaves the room before that (`GuestLeft`, of the target's own seat) vanished. All else in the room is the
three-party call's (conference/room.py).

Time comes with the events. `deadline` tells when a transfer ends by itself: JOINED settles; REQUESTED, RINGING,
WAITING and ANSWERED that hear nothing more are UNKNOWN, which is an alarm, not a normal end.

Knows: one transfer. Must not know: the call around it (calls.py), Asterisk, time of day. Longer than 300 lines because
the table is: one screen a state, no rule hidden in a branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cti.core import events as e
from cti.core import rules
from cti.core.model import SETTLE_US, Outcome, Policy, Transfer
from cti.core.model import TransferState as S
from cti.core.rules import Anomaly, Ignore

REQUEST_US = 5_000_000
"""A request the door never spoke of within 5 s is lost: nothing rang, the caller never left his seat."""
RING_US = 180_000_000
"""Longer than any walk along the targets (the door's own limit is 120 s, the lobby's 60 s)."""
JOIN_US = 10_000_000
"""From a person's answer to the join: the dialplan retries for 2 s."""

Change = Callable[[Transfer, e.Event], Transfer]
To = rules.To[S, Transfer, e.Event]
Rule = rules.Rule[S, Transfer, e.Event]


def _end(outcome: Outcome, why: str | None = None) -> Change:
    def change(transfer: Transfer, event: e.Event) -> Transfer:
        said = why if why is not None else str(getattr(event, "why", "") or getattr(event, "code", ""))
        return replace(transfer, outcome=outcome, why=said or transfer.why, ended_at=event.at)

    return change


def _tried(transfer: Transfer, event: e.Event) -> Transfer:
    assert isinstance(event, e.TargetTried)
    return replace(transfer, hops=max(transfer.hops, event.hop))


def _failed_hop(transfer: Transfer, event: e.Event) -> Transfer:
    assert isinstance(event, e.TargetFailed)
    return replace(transfer, why=event.why)


def _answered(transfer: Transfer, event: e.Event) -> Transfer:
    assert isinstance(event, e.TargetAnswered)
    return replace(transfer, target_seat=event.seat, target_kind=event.kind, answered_at=event.at, why="")


def _joined(transfer: Transfer, event: e.Event) -> Transfer:
    return replace(transfer, joined_at=event.at)


def _released(transfer: Transfer, event: e.Event) -> Transfer:
    return replace(transfer, released=True)


def _kept(transfer: Transfer, event: e.Event) -> Transfer:
    return replace(transfer, mode="add")


def _started(transfer: Transfer, event: e.Event) -> Transfer:
    assert isinstance(event, e.TransferStarted)
    return replace(transfer, started_at=event.at, danger=bool(event.danger), mode=event.mode, policy=_policy(event))


def _policy(event: e.Event) -> Policy:
    """Of the three-party call this transfer may lead to."""
    if isinstance(event, e.TransferStarted):
        return Policy.told(event.rule, event.decide_s, event.remind_s)
    return Policy()


_never_opened = Anomaly("step-of-unknown-transfer")
_closed = Ignore("the transfer has ended; its record stands")
_not_mine = Ignore("a matter of the call, not of this transfer")
_no_room = Ignore("a leg of an earlier three-party call: this transfer has not joined")
_talking = Ignore("the caller is not with the lobby; the seats' legs come and go by themselves")

NONE: Mapping[type[e.Event], Rule] = {
    e.TransferRequested: To(S.REQUESTED),
    e.TransferStarted: To(S.RINGING),
    e.TransferRefused: To(S.ENDED, _end(Outcome.REFUSED)),
    e.TargetTried: _never_opened,
    e.TargetRings: _never_opened,
    e.TargetFailed: _never_opened,
    e.TargetAnswered: _never_opened,
    e.CallerJoined: _not_mine,
    e.CallerReleased: _never_opened,
    e.TransferKept: _never_opened,
    e.CallerWaits: _never_opened,
    e.CallerHeld: _never_opened,
    e.TransferFailed: _never_opened,
    e.TransferCancelled: _never_opened,
    e.TargetStranded: _never_opened,
    e.JoinOver: _never_opened,
    e.GuestLeft: _not_mine,
    e.SeatAnswered: _not_mine,
    e.SeatLeft: _not_mine,
    e.SeatLost: _not_mine,
    e.CallerReferred: _not_mine,
    e.CallerRecalled: _not_mine,
    e.CallerNotServed: _not_mine,
    e.CallerLeft: _not_mine,
    e.CallerGone: _not_mine,
}
"""Before a transfer exists: only these three open one."""


def _walk(state: S) -> Mapping[type[e.Event], Rule]:
    """The targets are tried one after another, whether the caller is still with his seat or waits in the lobby."""
    return {
        e.TransferRequested: Ignore("the door was faster than our note of the request"),
        e.TransferStarted: Anomaly("started-twice"),
        e.TransferRefused: Anomaly("refused-after-started"),
        e.TargetTried: To(state, _tried),
        e.TargetRings: Ignore("which phone rings is for the screens"),
        e.TargetFailed: To(state, _failed_hop),
        e.TargetAnswered: To(S.ANSWERED, _answered),
        e.CallerJoined: Ignore("the join of an earlier leg"),
        e.CallerHeld: Anomaly("held-before-joined"),
        e.TransferFailed: To(S.ENDED, _end(Outcome.RETURNED)),
        e.TransferCancelled: To(S.ENDED, _end(Outcome.CANCELLED)),
        e.TargetStranded: Ignore("the answer lost a race; the step that won it ends the transfer"),
        e.JoinOver: Ignore("the near leg of an earlier transfer ended"),
        e.GuestLeft: _no_room,
        e.SeatAnswered: _not_mine,
        e.SeatLeft: _talking,
        e.SeatLost: _not_mine,
        e.CallerReferred: _not_mine,
        e.CallerRecalled: To(S.ENDED, _end(Outcome.RETURNED, "timeout")),
        e.CallerNotServed: Anomaly("not-served-while-ringing"),
        e.CallerLeft: To(S.ENDED, _end(Outcome.ABANDONED, "caller-left")),
        e.CallerGone: To(S.ENDED, _end(Outcome.ABANDONED, "channel-gone")),
    }


TABLE: Mapping[S, Mapping[type[e.Event], Rule]] = {
    S.REQUESTED: {
        e.TransferRequested: Ignore("asked twice with one id"),
        e.TransferStarted: To(S.RINGING, _started),
        e.TransferRefused: To(S.ENDED, _end(Outcome.REFUSED)),
        e.TargetTried: Anomaly("tried-before-started"),
        e.TargetRings: Anomaly("tried-before-started"),
        e.TargetFailed: Anomaly("tried-before-started"),
        e.TargetAnswered: Anomaly("answered-before-started"),
        e.CallerJoined: _not_mine,
        e.CallerReleased: Anomaly("released-before-started"),
        e.TransferKept: Anomaly("kept-before-started"),
        e.CallerWaits: Anomaly("waits-before-started"),
        e.CallerHeld: Anomaly("held-before-joined"),
        e.TransferFailed: To(S.ENDED, _end(Outcome.RETURNED)),
        e.TransferCancelled: To(S.ENDED, _end(Outcome.CANCELLED)),
        e.TargetStranded: Anomaly("answered-before-started"),
        e.JoinOver: _not_mine,
        e.GuestLeft: _no_room,
        e.SeatAnswered: _not_mine,
        e.SeatLeft: _talking,
        e.SeatLost: _not_mine,
        e.CallerReferred: _not_mine,
        e.CallerRecalled: _not_mine,
        e.CallerNotServed: _not_mine,
        e.CallerLeft: To(S.ENDED, _end(Outcome.ABANDONED, "caller-left")),
        e.CallerGone: To(S.ENDED, _end(Outcome.ABANDONED, "channel-gone")),
    },
    S.RINGING: {
        **_walk(S.RINGING),
        e.CallerReleased: To(S.RINGING, _released),
        e.TransferKept: To(S.RINGING, _kept),
        e.CallerWaits: To(S.WAITING),
    },
    S.WAITING: {
        **_walk(S.WAITING),
        e.CallerReleased: Ignore("released already: he waits"),
        e.TransferKept: Ignore("the seat wanted to stay and is gone: he waits"),
        e.CallerWaits: Ignore("he waits already"),
    },
    S.ANSWERED: {
        e.TransferRequested: Ignore("the door was faster than our note of the request"),
        e.TransferStarted: Anomaly("started-twice"),
        e.TransferRefused: Anomaly("refused-after-started"),
        e.TargetTried: Anomaly("tried-after-answer"),
        e.TargetRings: Ignore("a phone rang as another answered"),
        e.TargetFailed: Ignore("the last word of the leg that was left for the answering one"),
        e.TargetAnswered: Anomaly("answered-twice"),
        e.CallerJoined: To(S.JOINED, _joined),
        e.CallerReleased: Ignore("the press and the answer crossed; the join is on its way"),
        e.TransferKept: To(S.ANSWERED, _kept),
        e.CallerWaits: Ignore("the seat left as the target answered; the joining leg pulls the caller out"),
        e.CallerHeld: Ignore("held for the living target; its leg retries"),
        e.TransferFailed: To(S.ENDED, _end(Outcome.RETURNED)),
        e.TransferCancelled: To(S.ENDED, _end(Outcome.CANCELLED)),
        e.TargetStranded: Ignore("the answer lost a race; the step that won it ends the transfer"),
        e.JoinOver: Ignore("not joined yet: the caller's own next step tells how it ended"),
        e.GuestLeft: To(S.ANSWERED, _released),
        e.SeatAnswered: _not_mine,
        e.SeatLeft: _talking,
        e.SeatLost: _not_mine,
        e.CallerReferred: _not_mine,
        e.CallerRecalled: To(S.ENDED, _end(Outcome.RETURNED, "vanished")),
        e.CallerNotServed: Anomaly("not-served-while-answered"),
        e.CallerLeft: To(S.ENDED, _end(Outcome.ABANDONED, "caller-left")),
        e.CallerGone: To(S.ENDED, _end(Outcome.ABANDONED, "channel-gone")),
    },
    S.JOINED: {
        e.TransferRequested: Anomaly("requested-after-joined"),
        e.TransferStarted: Anomaly("started-twice"),
        e.TransferRefused: Anomaly("refused-after-joined"),
        e.TargetTried: Anomaly("tried-after-answer"),
        e.TargetRings: Anomaly("tried-after-answer"),
        e.TargetFailed: Ignore("the last word of the leg that was left for the answering one"),
        e.TargetAnswered: Anomaly("answered-twice"),
        e.CallerJoined: Ignore("joined already"),
        e.CallerReleased: Ignore("the press and the join crossed: the seat wanted out and is out"),
        e.TransferKept: Anomaly("kept-after-joined"),
        e.CallerWaits: Ignore("the seat left as the target joined; the joining leg pulls the caller out"),
        e.CallerHeld: Ignore("held for the living target; its leg retries"),
        e.TransferFailed: Anomaly("failed-after-joined"),
        e.TransferCancelled: Anomaly("cancelled-after-joined"),
        e.TargetStranded: Anomaly("stranded-after-joined"),
        e.JoinOver: Ignore("the caller's own next step tells how it ended"),
        e.GuestLeft: To(S.ENDED, _end(Outcome.RETURNED, "vanished")),
        e.SeatAnswered: _not_mine,
        e.SeatLeft: Ignore("the transferor is released, or the target left: the caller's own next step tells"),
        e.SeatLost: _not_mine,
        e.CallerReferred: To(S.ENDED, _end(Outcome.ANSWERED)),
        e.CallerRecalled: To(S.ENDED, _end(Outcome.RETURNED, "vanished")),
        e.CallerNotServed: Anomaly("not-served-while-joined"),
        e.CallerLeft: To(S.ENDED, _end(Outcome.ANSWERED)),
        e.CallerGone: To(S.ENDED, _end(Outcome.ANSWERED, "channel-gone")),
    },
    S.ENDED: {kind: _closed for kind in NONE},
}

_DEADLINES: Mapping[S, tuple[Callable[[Transfer], int], Outcome, str]] = {
    S.REQUESTED: (lambda t: t.started_at + REQUEST_US, Outcome.UNKNOWN, "door-silent"),
    S.RINGING: (lambda t: t.started_at + RING_US, Outcome.UNKNOWN, "steps-lost"),
    S.WAITING: (lambda t: t.started_at + RING_US, Outcome.UNKNOWN, "steps-lost"),
    S.ANSWERED: (lambda t: t.answered_at + JOIN_US, Outcome.UNKNOWN, "never-joined"),
    S.JOINED: (lambda t: t.joined_at + SETTLE_US, Outcome.ANSWERED, ""),
}


def deadline(transfer: Transfer) -> int | None:
    """When the transfer ends by itself (µs), or None once it has."""
    row = _DEADLINES.get(transfer.state)
    return row[0](transfer) if row else None


def expire(transfer: Transfer, now: int) -> Transfer:
    """The transfer after its deadline, if that has passed by ``now``; ended *at* the deadline, not at ``now``."""
    row = _DEADLINES.get(transfer.state)
    if row is None or now < row[0](transfer):
        return transfer
    return replace(transfer, state=S.ENDED, outcome=row[1], why=row[2], ended_at=row[0](transfer))


def rule(transfer: Transfer | None, kind: type[e.Event]) -> Rule:
    """What the table says of this pair. Total: every (state, event) pair is decided."""
    return (NONE if transfer is None else TABLE[transfer.state])[kind]


def open_transfer(event: e.Event) -> Transfer:
    """A transfer as its opening event tells it (TransferRequested, TransferStarted or TransferRefused)."""
    assert isinstance(event, e.TransferRequested | e.TransferStarted | e.TransferRefused)
    return Transfer(
        id=event.transfer,
        to=getattr(event, "to", ""),
        seat=event.seat,
        key=getattr(event, "key", ""),
        danger=bool(getattr(event, "danger", 0)),
        summary=getattr(event, "summary", ""),
        mode=getattr(event, "mode", "swap"),
        policy=_policy(event),
        state=S.REQUESTED,
        started_at=event.at,
    )


def step(transfer: Transfer | None, event: e.Event) -> tuple[Transfer | None, Rule]:
    """One event on one transfer: the transfer after it, and the rule that decided."""
    decided = rule(transfer, type(event))
    if not isinstance(decided, rules.To):
        return transfer, decided
    base = transfer if transfer is not None else open_transfer(event)
    changed = decided.change(base, event) if decided.change else base
    return replace(changed, state=decided.state), decided
