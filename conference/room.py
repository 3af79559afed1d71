"""The room of a three-party call: who is in it, as a table.

Theory of operation
-------------------
A three-party call is born from a consultation: a transfer of mode `add` that joined. Its id is the transfer's, its
first seat the one that pressed the key, its guest the target. As with a transfer, the dialplan owns liveness: it
sets the caller aside, brings him back, lets people go, with or without us, and speaks each step once. This table
*predicts* those steps.

TOGETHER: caller and both seats hear each other. ASIDE: the seats confer, the caller is in music. ALONE: one of the
two is left with the caller, or a fourth member. LAST: the caller hung up, the seats go on talking and may still
decide. OVER is the only terminal state, reached exactly once: nobody is left, or the caller is elsewhere (recalled, in
line, with another seat). A leg is in one transfer or one conference, never both: the next transfer the door lets in
ends the room.

Who is in the room and who accepts the matter are two questions. A decision moves nobody, so it is no state here: its
rules are in `conference.decision`; this table says when a word is heard. The room's end decides what was not. A fourth
member (supervisor, 119, a utility) has no voice in it and is no state either: he is there, or not.

Time comes with the events. `deadline` tells when something happens by itself: `Policy.decide_us` after the opening the
dialplan says that time is up (`DecisionDue`); with no word of it, the matter is decided here. A room whose caller hung
up ends when nothing more is heard of it.

Knows: one conference. Must not know: the call around it (cti/core/rooms.py), Asterisk, time of day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from conference import decision
from conference.cells import (
    Cell,
    Rule,
    To,
    When,
    caller_gone,
    last_leaves,
    last_leg_ends,
    last_told,
    late_word,
    leaves,
    leg_ends,
    member_joins,
    member_leaves,
    member_out,
    muted,
    nobody_else,
    over,
    same_member,
    seat_gone,
    time_up,
    word,
)
from cti.core import events as e
from cti.core import rules
from cti.core.model import Conference, Party, Policy
from cti.core.model import RoomState as S
from cti.core.rules import Anomaly, Ignore

LATE_US = 5_000_000
"""The dialplan keeps the deadline, and looks once a second; with no word of it so long after, the table decides."""
HANGUP_US = 5_000_000
"""The caller hung up and nobody says that the seats go on talking (`WordsLast`): they do not."""
LAST_US = 600_000_000
"""Longer than the dialplan lets the seats go on talking."""

FROM_CALL: tuple[type[e.Event], ...] = (
    e.SeatLeft, e.SeatLost, e.SeatAnswered, e.CallerQueued, e.CallerReferred, e.CallerRecalled, e.CallerNotServed,
    e.CallerLeft, e.CallerGone,
)  # fmt: skip
"""Steps of the call that the room hears of too."""


_never_opened = Anomaly("step-of-unknown-conference")
_not_ours = Ignore("a matter of the call: it has no three-party call")
_told = Ignore("told to the seat alone: nothing changed")
_reminded = Ignore("the deadline stands")
_crossed = Ignore("the press crossed a leaving: there is nobody to set aside, or to set him aside for")
_hung_up = Ignore("the caller has hung up; this was told late")
_closed = Ignore("the room is over; its record stands")
_rung = Ignore("who is rung is told when he joins")

NONE: Mapping[type[e.Event], Cell] = {
    e.CallerSetAside: _never_opened,
    e.CallerBroughtBack: _never_opened,
    e.GuestLeft: _never_opened,
    e.RoomRefused: _told,
    e.ReminderTold: _never_opened,
    e.DecisionSaid: _never_opened,
    e.DecisionDue: _never_opened,
    e.SeatMuted: _never_opened,
    e.MemberAsked: _never_opened,
    e.MemberFailed: _never_opened,
    e.MemberJoined: _never_opened,
    e.MemberLeft: _never_opened,
    e.WordsLast: _never_opened,
    e.RoomOver: _never_opened,
    e.TransferStarted: _not_ours,
    **dict.fromkeys(FROM_CALL, _not_ours),
}
"""No conference of this id: a joined transfer opens one (`opened`), no step does."""

EARLY: Mapping[type[e.Event], Ignore] = {
    e.GuestLeft: Ignore("the first seat left as its guest came in: the room opens without it"),
    e.WordsLast: Ignore("the caller hung up as the guest came in: the seats talk, the room never opens"),
    e.RoomOver: Ignore("the caller hung up as the guest came in: the room never opened"),
}
"""The same where a transfer of this id brings somebody in: the dialplan speaks of the room once he is on his way, the
core knows it once he is there."""

_ELSEWHERE: Mapping[type[e.Event], Cell] = {
    e.TransferStarted: over("overtaken"),
    e.SeatAnswered: over("taken-on"),
    e.CallerQueued: over("requeued"),
    e.CallerReferred: over("referred"),
    e.CallerRecalled: over("recalled"),
    e.CallerNotServed: over("not-served"),
    e.CallerGone: over("channel-gone"),
}
"""The caller is no longer in this room."""


def _open(state: S) -> Mapping[type[e.Event], Cell]:
    """What moves nobody, in every state but the last."""
    return {
        e.RoomRefused: _told,
        e.ReminderTold: _reminded,
        e.DecisionSaid: word(state),
        e.DecisionDue: time_up(state),
        e.SeatMuted: To(state, muted),
        e.MemberAsked: _rung,
        e.MemberFailed: _rung,
        e.MemberJoined: member_joins(state),
        e.MemberLeft: member_leaves(state),
    }


def _both(state: S) -> Mapping[type[e.Event], Cell]:
    """Caller and both seats are there, whether they hear each other or he is aside."""
    return {
        **_open(state),
        **_ELSEWHERE,
        e.GuestLeft: leaves(To(S.ALONE, seat_gone)),
        e.WordsLast: To(S.LAST, last_told),
        e.RoomOver: over("room-over"),
        e.SeatLeft: leg_ends(To(S.ALONE, seat_gone)),
        e.SeatLost: leg_ends(To(S.ALONE, seat_gone)),
        e.CallerLeft: To(S.LAST, caller_gone),
    }


TABLE: Mapping[S, Mapping[type[e.Event], Cell]] = {
    S.TOGETHER: {
        **_both(S.TOGETHER),
        e.CallerSetAside: To(S.ASIDE),
        e.CallerBroughtBack: Ignore("he is back already: the key and his time crossed"),
    },
    S.ASIDE: {
        **_both(S.ASIDE),
        e.CallerSetAside: Ignore("he is aside already: both seats pressed"),
        e.CallerBroughtBack: To(S.TOGETHER),
    },
    S.ALONE: {
        **_open(S.ALONE),
        **_ELSEWHERE,
        e.CallerSetAside: _crossed,
        e.CallerBroughtBack: Ignore("he is with the seat that is left"),
        e.GuestLeft: last_leaves(),
        e.MemberLeft: When(same_member, When(nobody_else, over("seats-left", member_out), To(S.ALONE, member_out)),
                           Anomaly("stranger-left")),
        e.WordsLast: Ignore("a seat left as he hung up: nobody is left to talk to"),
        e.RoomOver: over("room-over"),
        e.SeatLeft: last_leg_ends(),
        e.SeatLost: last_leg_ends(),
        e.CallerLeft: over("caller-left", caller_gone),
    },
    S.LAST: {
        **_open(S.LAST),
        e.CallerSetAside: _crossed,
        e.CallerBroughtBack: _crossed,
        e.GuestLeft: leaves(over("caller-left", seat_gone)),
        e.DecisionDue: Ignore("the caller hung up as time was up: the seats may still decide"),
        e.WordsLast: To(S.LAST, last_told),
        e.RoomOver: over("caller-left"),
        e.TransferStarted: over("overtaken"),
        e.SeatLeft: leg_ends(over("caller-left", seat_gone)),
        e.SeatLost: leg_ends(over("caller-left", seat_gone)),
        e.SeatAnswered: _hung_up,
        e.CallerQueued: _hung_up,
        e.CallerReferred: _hung_up,
        e.CallerRecalled: _hung_up,
        e.CallerNotServed: _hung_up,
        e.CallerLeft: Ignore("he hung up: told already"),
        e.CallerGone: over("channel-gone"),
    },
    S.OVER: {
        e.CallerSetAside: Anomaly("aside-after-room"),
        e.CallerBroughtBack: Ignore("the room ended as he came back"),
        e.GuestLeft: _closed,
        e.RoomRefused: _told,
        e.ReminderTold: Ignore("the tone and the room's end crossed"),
        e.DecisionSaid: late_word(),
        e.DecisionDue: Ignore("the room ended as time was up"),
        e.SeatMuted: Ignore("the room's end undoes it"),
        e.MemberAsked: Ignore("the key and the room's end crossed"),
        e.MemberFailed: _closed,
        e.MemberJoined: Ignore("he came as the room ended, and has the caller alone"),
        e.MemberLeft: _closed,
        e.WordsLast: Ignore("the seats left as he hung up: nobody is left for last words"),
        e.RoomOver: _closed,
        e.TransferStarted: _closed,
        **dict.fromkeys(FROM_CALL, _closed),
    },
}


def rule(conference: Conference | None, event: e.Event) -> Rule:
    """What the table says of this pair. Total: every (state, event) pair is decided."""
    if conference is None:
        cell = NONE[type(event)]
        assert not isinstance(cell, rules.When)  # nothing to ask of a conference that is not there
        return cell
    return rules.resolve(TABLE[conference.state][type(event)], conference, event)


def step(conference: Conference | None, event: e.Event) -> tuple[Conference | None, Rule]:
    """One event on one conference: the conference after it, and the rule that decided."""
    decided = rule(conference, event)
    if conference is None or not isinstance(decided, rules.To):
        return conference, decided
    changed = decided.change(conference, event) if decided.change else conference
    return _moved(changed, decided.state, event.at), decided


def opened(id: str, first: Party, guest: Party, first_platform: str, policy: Policy, at: int,
           first_here: bool = True) -> Conference:  # fmt: skip
    """The conference of a transfer that has just joined. The first seat may have left while its guest's phone rang."""
    here = (first.seat, guest.seat) if first_here else (guest.seat,)
    gone = "" if first_here else first.seat
    state = S.TOGETHER if first_here else S.ALONE
    return Conference(id, first, guest, first_platform, policy, state, here, at, at, first_left=gone)


def deadline(conference: Conference) -> int | None:
    """When something happens by itself (µs), or None."""
    return min((at for at, _ in _due(conference)), default=None)


def expire(conference: Conference, now: int) -> Conference:
    """The conference after what was due by ``now``, each *at* its deadline, not at ``now``."""
    while due := [one for one in _due(conference) if one[0] <= now]:
        at, how = min(due)
        if how == "decide":
            conference = decision.by_itself(conference, at, "deadline")
        else:
            conference = _moved(replace(conference, how=how), S.OVER, at)
    return conference


def _due(conference: Conference) -> Iterator[tuple[int, str]]:
    if conference.state is S.OVER:
        return
    if conference.decision is None:
        yield conference.opened_at + conference.policy.decide_us + LATE_US, "decide"
    if conference.state is S.LAST:
        told = conference.last_told
        yield conference.caller_left_at + (LAST_US if told else HANGUP_US), "steps-lost" if told else "caller-left"


def _moved(conference: Conference, state: S, at: int) -> Conference:
    """In another state: time spent in the old one is counted, and the room's end decides what was not."""
    if state is conference.state:
        return conference
    spent = max(0, at - conference.since)
    together = conference.together_us + (spent if conference.state is S.TOGETHER else 0)
    aside = conference.aside_us + (spent if conference.state is S.ASIDE else 0)
    since = max(at, conference.since)
    moved = replace(conference, state=state, since=since, together_us=together, aside_us=aside)
    return replace(decision.by_itself(moved, at, "room-over"), ended_at=at) if state is S.OVER else moved
