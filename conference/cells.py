"""What the cells of the room's table ask of an event, and what they change: one function each, so that the table in
`conference.room` reads as a table. Knows: one conference. Must not know: which state asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conference import decision
from conference.words import CHOICES
from cti.core import events as e
from cti.core import rules
from cti.core.model import Conference, Member
from cti.core.model import RoomState as S
from cti.core.rules import Anomaly, Ignore

Change = Callable[[Conference, e.Event], Conference]
To = rules.To[S, Conference, e.Event]
When = rules.When[S, Conference, e.Event]
Rule = rules.Rule[S, Conference, e.Event]
Cell = rules.Cell[S, Conference, e.Event]


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


def _fourth_here(conference: Conference, event: e.Event) -> bool:
    """a fourth member is there"""
    return conference.fourth is not None


def same_member(conference: Conference, event: e.Event) -> bool:
    """it names the fourth member who is there"""
    return conference.fourth is not None and conference.fourth.id == getattr(event, "member", "")


def nobody_else(conference: Conference, event: e.Event) -> bool:
    """both seats have left"""
    return not conference.here


def _undecided(conference: Conference, event: e.Event) -> bool:
    """nothing is decided yet"""
    return conference.decision is None


def _contrary(conference: Conference, event: e.Event) -> bool:
    """it is the first to contradict what is decided"""
    assert isinstance(event, e.DecisionSaid)
    return decision.contrary(conference, event.seat, event.choice)


# -- what it changes ---------------------------------------------------------------------------------------------------
def seat_gone(conference: Conference, event: e.Event) -> Conference:
    seat = str(getattr(event, "seat", ""))
    here = tuple(s for s in conference.here if s != seat)
    return replace(conference, here=here, first_left=conference.first_left or seat)


def caller_gone(conference: Conference, event: e.Event) -> Conference:
    return replace(conference, caller_left_at=event.at, first_left=conference.first_left or "caller")


def _member_in(conference: Conference, event: e.Event) -> Conference:
    assert isinstance(event, e.MemberJoined)
    joined = Member(event.member, event.seat, event.platform, event.at)
    return replace(conference, members=(*conference.members, joined))


def member_out(conference: Conference, event: e.Event) -> Conference:
    gone = conference.fourth
    return replace(conference, members=tuple(replace(m, left_at=event.at) if m is gone else m
                                             for m in conference.members))  # fmt: skip


def muted(conference: Conference, event: e.Event) -> Conference:
    assert isinstance(event, e.SeatMuted)
    others = tuple(seat for seat in conference.muted if seat != event.seat)
    return replace(conference, muted=(*others, event.seat) if event.on else others)


def last_told(conference: Conference, event: e.Event) -> Conference:
    return replace(conference if conference.caller_left_at else caller_gone(conference, event), last_told=True)


def over(how: str, first: Change | None = None) -> To:
    def change(conference: Conference, event: e.Event) -> Conference:
        return replace(first(conference, event) if first else conference, how=how)

    return To(S.OVER, change)


# -- cells of several rules --------------------------------------------------------------------------------------------
def leaves(rule: To) -> Cell:
    """A leg left the room: told by the room, and once more by the leg's own end."""
    return When(_here, rule, When(_was_here, Ignore("it left already: told twice"), Anomaly("stranger-left")))


def leg_ends(rule: To) -> Cell:
    return When(_here, rule, Ignore("a leg of another bridge, or one that left the room already"))


def last_leaves() -> Cell:
    """The last of the two: a fourth member goes on with the caller."""
    gone = When(_fourth_here, To(S.ALONE, seat_gone), over("seats-left", seat_gone))
    return When(_here, gone, When(_was_here, Ignore("it left already: told twice"), Anomaly("stranger-left")))


def last_leg_ends() -> Cell:
    gone = When(_fourth_here, To(S.ALONE, seat_gone), over("seats-left", seat_gone))
    return When(_here, gone, Ignore("a leg of another bridge, or one that left the room already"))


def member_joins(state: S) -> Cell:
    return When(_fourth_here, Anomaly("two-fourths"), To(state, _member_in))


def member_leaves(state: S) -> Cell:
    return When(same_member, To(state, member_out), Anomaly("stranger-left"))


def time_up(state: S) -> Cell:
    return When(_undecided, To(state, decision.due), Ignore("decided already: the word and the deadline crossed"))


def late_word() -> Cell:
    """After the room: who was let go may still contradict, for the dispute list; nothing else is heard."""
    return When(_readable, When(_contrary, To(S.OVER, decision.dispute), Anomaly("word-after-room")),
                Anomaly("unknown-choice"))  # fmt: skip


def word(state: S) -> Cell:
    stands = Ignore("it says what stands, or comes from who decided: the first word stands")
    late = When(_contrary, To(state, decision.dispute), stands)
    heard = When(_may_speak, When(_undecided, To(state, decision.say), late), Anomaly("word-of-stranger"))
    return When(_readable, heard, Anomaly("unknown-choice"))
