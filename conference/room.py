"""The room of a three-party call: who is in it, as a table.

Theory of operation
-------------------
A three-party call is born from a consultation: a transfer of mode `add` that joined. Its id is the transfer's, its
first seat the one that pressed the key, its guest the target. As with a transfer, the dialplan owns liveness: it
sets the caller aside, brings him back, lets people go, with or without us, and speaks each step once. This table
*predicts* those steps.

TOGETHER: caller and both seats hear each other. ASIDE: the seats confer, the caller is in music. ALONE: one seat is
left with the caller. LAST: the caller hung up, the seats go on talking and may still decide. OVER is the only
terminal state, reached exactly once: nobody is left, or the caller is elsewhere (recalled, in line, with another
seat). A leg is in one transfer or one conference, never both: the next transfer the door lets in ends the room.

Who is in the room and who accepts the matter are two questions. A decision moves nobody, so it is no state here: its
rules are in `conference.decision`; this table says when a word is heard. The room's end decides what was not.

Time comes with the events. `deadline` tells when something happens by itself: `Policy.decide_us` after the opening
the matter is decided; a room whose caller hung up ends when nothing more is heard of it.

Knows: one conference. Must not know: the call around it (cti/core/rooms.py), Asterisk, time of day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from conference import decision
from conference.rules import Anomaly, Cell, Change, Ignore, Rule, To, When, resolve
from conference.words import CHOICES
from cti.core import events as e
from cti.core.model import Conference, Party, Policy
from cti.core.model import RoomState as S

HANGUP_US = 5_000_000
"""The caller hung up and nobody says that the seats go on talking (`WordsLast`): they do not."""
LAST_US = 600_000_000
"""Longer than the dialplan lets the seats go on talking."""

FROM_CALL: tuple[type[e.Event], ...] = (
    e.SeatLeft, e.SeatLost, e.SeatAnswered, e.CallerQueued, e.CallerReferred, e.CallerRecalled, e.CallerNotServed,
    e.CallerLeft, e.CallerGone,
)  # fmt: skip
"""Steps of the call that the room hears of too."""


# -- what the event names ----------------------------------------------------------------------------------------------
def _here(conference: Conference, event: e.Event) -> bool:
    """its seat is in the room"""
    return getattr(event, "seat", "") in conference.here


def _was_here(conference: Conference, event: e.Event) -> bool:
    """its seat is one of the two"""
    return getattr(event, "seat", "") in conference.seats


def _may_speak(conference: Conference, event: e.Event) -> bool:
    """it speaks for one of the two seats, or a supervisor"""
    return getattr(event, "seat", "") in ("", *conference.seats)


def _readable(conference: Conference, event: e.Event) -> bool:
    """its choice is one of the four"""
    return getattr(event, "choice", "") in CHOICES


def _undecided(conference: Conference, event: e.Event) -> bool:
    """nothing is decided yet"""
    return conference.decision is None


def _contrary(conference: Conference, event: e.Event) -> bool:
    """it is the first to contradict what is decided"""
    assert isinstance(event, e.DecisionSaid)
    return decision.contrary(conference, event.seat, event.choice)


# -- what it changes ---------------------------------------------------------------------------------------------------
def _seat_gone(conference: Conference, event: e.Event) -> Conference:
    seat = str(getattr(event, "seat", ""))
    here = tuple(s for s in conference.here if s != seat)
    return replace(conference, here=here, first_left=conference.first_left or seat)


def _caller_gone(conference: Conference, event: e.Event) -> Conference:
    return replace(conference, caller_left_at=event.at, first_left=conference.first_left or "caller")


def _last_told(conference: Conference, event: e.Event) -> Conference:
    return replace(conference if conference.caller_left_at else _caller_gone(conference, event), last_told=True)


def _over(how: str, first: Change | None = None) -> To:
    def change(conference: Conference, event: e.Event) -> Conference:
        return replace(first(conference, event) if first else conference, how=how)

    return To(S.OVER, change)


# -- the table ---------------------------------------------------------------------------------------------------------
def _leaves(rule: To) -> Cell:
    """A leg left the room: told by the room, and once more by the leg's own end."""
    return When(_here, rule, When(_was_here, Ignore("it left already: told twice"), Anomaly("stranger-left")))


def _leg_ends(rule: To) -> Cell:
    return When(_here, rule, Ignore("a leg of another bridge, or one that left the room already"))


def _word(state: S) -> Cell:
    stands = Ignore("it says what stands, or comes from who decided: the first word stands")
    late = When(_contrary, To(state, decision.dispute), stands)
    heard = When(_may_speak, When(_undecided, To(state, decision.say), late), Anomaly("word-of-stranger"))
    return When(_readable, heard, Anomaly("unknown-choice"))


_never_opened = Anomaly("step-of-unknown-conference")
_not_ours = Ignore("a matter of the call: it has no three-party call")
_told = Ignore("told to the seat alone: nothing changed")
_reminded = Ignore("the deadline stands")
_crossed = Ignore("the press crossed a leaving: there is nobody to set aside, or to set him aside for")
_hung_up = Ignore("the caller has hung up; this was told late")
_closed = Ignore("the room is over; its record stands")

NONE: Mapping[type[e.Event], Cell] = {
    e.CallerSetAside: _never_opened,
    e.CallerBroughtBack: _never_opened,
    e.GuestLeft: _never_opened,
    e.RoomRefused: _told,
    e.ReminderTold: _never_opened,
    e.DecisionSaid: _never_opened,
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

TABLE: Mapping[S, Mapping[type[e.Event], Cell]] = {
    S.TOGETHER: {
        e.CallerSetAside: To(S.ASIDE),
        e.CallerBroughtBack: Ignore("he is back already: the key and his time crossed"),
        e.GuestLeft: _leaves(To(S.ALONE, _seat_gone)),
        e.RoomRefused: _told,
        e.ReminderTold: _reminded,
        e.DecisionSaid: _word(S.TOGETHER),
        e.WordsLast: To(S.LAST, _last_told),
        e.RoomOver: _over("room-over"),
        e.TransferStarted: _over("overtaken"),
        e.SeatLeft: _leg_ends(To(S.ALONE, _seat_gone)),
        e.SeatLost: _leg_ends(To(S.ALONE, _seat_gone)),
        e.SeatAnswered: _over("taken-on"),
        e.CallerQueued: _over("requeued"),
        e.CallerReferred: _over("referred"),
        e.CallerRecalled: _over("recalled"),
        e.CallerNotServed: _over("not-served"),
        e.CallerLeft: To(S.LAST, _caller_gone),
        e.CallerGone: _over("channel-gone"),
    },
    S.ASIDE: {
        e.CallerSetAside: Ignore("he is aside already: both seats pressed"),
        e.CallerBroughtBack: To(S.TOGETHER),
        e.GuestLeft: _leaves(To(S.ALONE, _seat_gone)),
        e.RoomRefused: _told,
        e.ReminderTold: _reminded,
        e.DecisionSaid: _word(S.ASIDE),
        e.WordsLast: To(S.LAST, _last_told),
        e.RoomOver: _over("room-over"),
        e.TransferStarted: _over("overtaken"),
        e.SeatLeft: _leg_ends(To(S.ALONE, _seat_gone)),
        e.SeatLost: _leg_ends(To(S.ALONE, _seat_gone)),
        e.SeatAnswered: _over("taken-on"),
        e.CallerQueued: _over("requeued"),
        e.CallerReferred: _over("referred"),
        e.CallerRecalled: _over("recalled"),
        e.CallerNotServed: _over("not-served"),
        e.CallerLeft: To(S.LAST, _caller_gone),
        e.CallerGone: _over("channel-gone"),
    },
    S.ALONE: {
        e.CallerSetAside: _crossed,
        e.CallerBroughtBack: Ignore("he is with the seat that is left"),
        e.GuestLeft: _leaves(_over("seats-left", _seat_gone)),
        e.RoomRefused: _told,
        e.ReminderTold: _reminded,
        e.DecisionSaid: _word(S.ALONE),
        e.WordsLast: Ignore("a seat left as he hung up: nobody is left to talk to"),
        e.RoomOver: _over("room-over"),
        e.TransferStarted: _over("overtaken"),
        e.SeatLeft: _leg_ends(_over("seats-left", _seat_gone)),
        e.SeatLost: _leg_ends(_over("seats-left", _seat_gone)),
        e.SeatAnswered: _over("taken-on"),
        e.CallerQueued: _over("requeued"),
        e.CallerReferred: _over("referred"),
        e.CallerRecalled: _over("recalled"),
        e.CallerNotServed: _over("not-served"),
        e.CallerLeft: _over("caller-left", _caller_gone),
        e.CallerGone: _over("channel-gone"),
    },
    S.LAST: {
        e.CallerSetAside: _crossed,
        e.CallerBroughtBack: _crossed,
        e.GuestLeft: _leaves(_over("caller-left", _seat_gone)),
        e.RoomRefused: _told,
        e.ReminderTold: _reminded,
        e.DecisionSaid: _word(S.LAST),
        e.WordsLast: To(S.LAST, _last_told),
        e.RoomOver: _over("caller-left"),
        e.TransferStarted: _over("overtaken"),
        e.SeatLeft: _leg_ends(_over("caller-left", _seat_gone)),
        e.SeatLost: _leg_ends(_over("caller-left", _seat_gone)),
        e.SeatAnswered: _hung_up,
        e.CallerQueued: _hung_up,
        e.CallerReferred: _hung_up,
        e.CallerRecalled: _hung_up,
        e.CallerNotServed: _hung_up,
        e.CallerLeft: Ignore("he hung up: told already"),
        e.CallerGone: _over("channel-gone"),
    },
    S.OVER: {
        e.CallerSetAside: Anomaly("aside-after-room"),
        e.CallerBroughtBack: Ignore("the room ended as he came back"),
        e.GuestLeft: _closed,
        e.RoomRefused: _told,
        e.ReminderTold: Ignore("the tone and the room's end crossed"),
        e.DecisionSaid: Anomaly("word-after-room"),
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
        assert not isinstance(cell, When)  # nothing to ask of a conference that is not there
        return cell
    return resolve(TABLE[conference.state][type(event)], conference, event)


def step(conference: Conference | None, event: e.Event) -> tuple[Conference | None, Rule]:
    """One event on one conference: the conference after it, and the rule that decided."""
    decided = rule(conference, event)
    if conference is None or not isinstance(decided, To):
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
        yield conference.opened_at + conference.policy.decide_us, "decide"
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
