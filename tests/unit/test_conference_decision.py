"""Who accepts: the first word or both platforms', the deadline, danger; asked by key, API or console."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cti.core import asking, calls
from cti.core import events as e
from cti.core.commands import SayDecision
from cti.core.model import Phase, Policy

from .playbook import (
    DEADLINE,
    OPENED,
    REF,
    T1,
    T2,
    Play,
    asked_in,
    decided,
    ended,
    joined,
    room,
    said,
    started,
    talking,
    us,
)

NOW = us(90)


# -- who accepts: one decides ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("seat", "choice", "accepts", "outcome"), [
    ("1001", "110", "110", "chosen"), ("8001", "12345", "12345", "chosen"), ("8001", "110", "110", "chosen"),
    ("1001", "guidance", "", "guidance"),
])  # fmt: skip
def test_the_first_word_stands(seat: str, choice: str, accepts: str, outcome: str) -> None:
    play = Play()
    play(*room(), said(44.02, seat, choice, "traffic"), e.ClockTicked("", us(400)))
    assert decided(play) == [(accepts, "chosen", "")]
    (record,) = play.records("ConferenceDecided")
    assert (record.key, record.at) == (f"decision/{T1}", us(44.02))
    wanted = {"choice": choice, "by": seat, "outcome": outcome, "reason": "traffic", "disputed": 0, "asked_ms": 30_000}
    assert {k: record.data[k] for k in wanted} == wanted
    assert ended(play) == [], "a decision moves nobody"


def test_left_undecided_the_first_receiver_accepts() -> None:
    play = Play()
    play(*room(), said(30, "8001", "undecided"))
    assert decided(play) == [("12345", "first-receiver", "undecided")]
    assert play.records("ConferenceDecided")[0].data["by"] == "8001"


def test_no_word_till_the_deadline_and_the_record_is_at_the_deadline() -> None:
    play = Play()
    play(*room(), e.ReminderTold(REF, us(OPENED + 150), T1), e.ClockTicked("", us(OPENED + 179.9)))
    play(e.DecisionDue(REF, us(DEADLINE + 0.4), T1), e.GuestLeft(REF, us(DEADLINE + 0.5), T1, "8001", "0"),
         e.ClockTicked("", us(500)))  # fmt: skip
    assert decided(play) == [("12345", "first-receiver", "deadline")]
    record = play.records("ConferenceDecided")[0]
    assert (record.at, record.data["asked_ms"], record.data["by"]) == (us(DEADLINE + 0.4), 180_400, "")
    assert not play.records("Anomaly")


def test_a_deadline_nobody_tells_of_decides_by_itself_a_little_later() -> None:
    play = Play()
    play(*room(), e.ClockTicked("", us(DEADLINE + 4.9)))
    assert decided(play) == [] and calls.next_deadline(play.site) == us(DEADLINE + 5)
    play(e.ClockTicked("", us(500)), e.DecisionDue(REF, us(501), T1))
    assert decided(play) == [("12345", "first-receiver", "deadline")]
    assert play.records("ConferenceDecided")[0].at == us(DEADLINE + 5)


def test_a_word_that_crossed_the_deadline_stands_if_the_dialplan_let_it() -> None:
    play = Play()
    play(*room(), said(DEADLINE + 0.2, "8001", "110"), e.DecisionDue(REF, us(DEADLINE + 0.4), T1))
    assert decided(play) == [("110", "chosen", "")] and not play.records("Anomaly")


@pytest.mark.parametrize("due", [True, False])
def test_a_word_after_the_deadline_is_too_late_though_nobody_looked_at_the_clock(due: bool) -> None:
    play = Play()
    play(*room(), *([e.DecisionDue(REF, us(DEADLINE), T1)] if due else []), said(300, "8001", "110"))
    assert decided(play) == [("12345", "first-receiver", "deadline")]
    assert [r.data["choice"] for r in play.records("DecisionDisputed")] == ["110"]


def test_the_room_over_without_a_word() -> None:
    play = Play()
    play(*room(), e.GuestLeft(REF, us(60), T1, "8001"), e.GuestLeft(REF, us(62), T1, "1001"),
         e.RoomOver(REF, us(62), T1))  # fmt: skip
    assert decided(play) == [("12345", "first-receiver", "room-over")] and ended(play) == ["seats-left"]
    assert not play.records("Anomaly")


def test_one_seat_left_with_the_caller_does_not_decide_by_being_left() -> None:
    play = Play()
    play(*room(), e.GuestLeft(REF, us(60), T1, "1001"), e.SeatLeft(REF, us(60), "1001"), e.ClockTicked("", us(100)))
    assert decided(play) == [] and play.call.seat == "8001" and play.call.phase is Phase.TALKING
    play(e.ClockTicked("", us(300)))
    assert decided(play) == [("12345", "first-receiver", "deadline")]


def test_one_seat_left_may_still_say_its_word() -> None:
    play = Play()
    play(*room(), e.GuestLeft(REF, us(60), T1, "1001"), said(70, "8001", "110"))
    assert decided(play) == [("110", "chosen", "")]


def test_the_policy_rides_on_the_key_press() -> None:
    play = Play()
    play(*room(decide_s=20), e.ClockTicked("", us(40)))
    assert [r.at for r in play.records("ConferenceDecided")] == [us(OPENED + 25)]
    assert Policy.told("nonsense", 0, -1) == Policy()


def test_a_contrary_word_is_on_record_once_and_changes_nothing() -> None:
    play = Play()
    play(*room(), said(30, "1001", "110"), said(31, "8001", "110"), said(32, "1001", "12345"))
    assert not play.records("DecisionDisputed"), "it agrees; and who decided does not dispute with himself"
    play(said(33, "8001", "12345", "no crime"), said(34, "8001", "guidance"))
    assert decided(play) == [("110", "chosen", "")] and not play.records("Anomaly")
    (dispute,) = play.records("DecisionDisputed")
    assert (dispute.key, dispute.at) == (f"dispute/{T1}", us(33))
    assert (dispute.data["seat"], dispute.data["choice"], dispute.data["accepts"]) == ("8001", "12345", "110")


def test_a_supervisors_word_counts_as_nobodys_seat() -> None:
    play = Play()
    play(*room(rule="both"), said(30, "", "110", key="console"))
    assert decided(play) == [("110", "chosen", "")]
    record = play.records("ConferenceDecided")[0]
    assert (record.data["by"], record.data["key_"], record.data["words"]) == ("", "console", "supervisor=110")


@pytest.mark.parametrize(("event", "code"), [
    (said(30, "1002", "110"), "word-of-stranger"), (said(30, "1001", "119"), "unknown-choice"),
    (said(30, "1001", "110", transfer=T2), "step-of-unknown-conference"),
    (e.GuestLeft(REF, us(30), T1, "1002"), "stranger-left"),
])  # fmt: skip
def test_words_of_others_decide_nothing(event: e.Event, code: str) -> None:
    play = Play()
    play(*room(), event)
    assert decided(play) == [] and [r.data["code"] for r in play.records("Anomaly")] == [code]


# -- who accepts: both agree -------------------------------------------------------------------------------------------
def test_both_must_say_the_same() -> None:
    play = Play()
    play(*room(rule="both"), said(30, "1001", "110"))
    assert decided(play) == []
    play(said(40, "8001", "110"))
    assert decided(play) == [("110", "chosen", "")]
    record = play.records("ConferenceDecided")[0]
    assert (record.data["words"], record.data["disputed"], record.at) == ("12345=110,110=110", 0, us(40))


@pytest.mark.parametrize(("danger", "accepts", "basis"), [(0, "12345", "first-receiver"), (1, "110", "danger")])
def test_a_disagreement_goes_to_the_first_receiver_or_in_danger_to_110(danger: int, accepts: str, basis: str) -> None:
    play = Play()
    play(*room(rule="both", danger=danger), said(30, "1001", "110"), said(40, "8001", "12345"),
         said(41, "1001", "12345"))  # fmt: skip
    assert decided(play) == [(accepts, basis, "disagreement")]
    record = play.records("ConferenceDecided")[0]
    assert (record.data["outcome"], record.data["disputed"]) == ("disagreement", 1)
    assert not play.records("DecisionDisputed"), "it is marked already"


def test_a_platform_may_change_its_word_before_the_other_has_spoken() -> None:
    play = Play()
    play(*room(rule="both"), said(30, "1001", "12345"), said(35, "1001", "110"), said(40, "8001", "110"))
    assert decided(play) == [("110", "chosen", "")]


def test_one_word_of_two_is_no_agreement() -> None:
    play = Play()
    play(*room(rule="both"), said(30, "1001", "110"), e.ClockTicked("", us(300)))
    assert decided(play) == [("12345", "first-receiver", "deadline")]
    assert play.records("ConferenceDecided")[0].data["words"] == "12345=110"


def test_two_seats_of_one_platform_have_one_voice() -> None:
    play = Play()
    play(*talking(), *started(5), *joined(7), e.ClockTicked("", us(13)), asked_in(20, T2, "8001", rule="both"),
         *joined(22, T2, "8002"), said(30, "8002", "110", transfer=T2))  # fmt: skip
    assert decided(play) == [("110", "chosen", "")]


# -- danger ------------------------------------------------------------------------------------------------------------
def test_in_danger_110_dispatches_first_at_once_whoever_accepts_later() -> None:
    play = Play()
    play(*room(danger=1))
    (dispatch,) = play.records("DispatchFirst")
    assert (dispatch.key, dispatch.at) == (f"dispatch/{T1}", us(OPENED))
    assert (dispatch.data["platform"], dispatch.data["seat"], dispatch.data["after_ms"]) == ("110", "8001", 0)
    play(said(30, "8001", "12345"))
    assert decided(play) == [("12345", "chosen", "")] and len(play.records("DispatchFirst")) == 1


@pytest.mark.parametrize(("event", "why"), [
    (said(30, "8001", "undecided"), "undecided"), (e.ClockTicked("", us(300)), "deadline"),
    (e.RoomOver(REF, us(60), T1), "room-over"),
])  # fmt: skip
def test_in_danger_110_accepts_what_nobody_decided(event: e.Event, why: str) -> None:
    play = Play()
    play(*room(danger=1), event)
    assert decided(play) == [("110", "danger", why)]


def test_danger_that_shows_only_in_the_room_dispatches_then() -> None:
    play = Play()
    asks = e.TransferRequested(REF, us(40), T2, "110", "1001", "api", 1)
    play(*room(), asks, asks, e.TransferRefused(REF, us(40.1), T2, "1001", "transfer-running"))
    assert [(r.at, r.data["after_ms"]) for r in play.records("DispatchFirst")] == [(us(40), 25_980)]
    play(e.RoomOver(REF, us(60), T1))
    assert decided(play) == [("110", "danger", "room-over")]


def test_danger_after_the_room_dispatches_nothing_of_it() -> None:
    play = Play()
    play(*room(), e.RoomOver(REF, us(60), T1), e.TransferRequested(REF, us(70), T2, "110", "1001", "api", 1))
    assert not play.records("DispatchFirst")


# -- asked by API or console -------------------------------------------------------------------------------------------
def test_only_a_seat_in_the_room_or_a_supervisor_may_decide() -> None:
    play = Play()
    assert asking.decide(None, T1, "1001", "110", at=NOW) == asking.No("unknown-call")
    play(*talking())
    assert asking.decide(play.call, T1, "1001", "110", at=NOW) == asking.No("no-room")
    play(asked_in(10), *joined(14))
    assert asking.decide(play.call, T2, "1001", "110", at=NOW) == asking.No("no-room")
    assert asking.decide(play.call, T1, "1002", "110", at=NOW) == asking.No("not-in-room")
    assert asking.decide(play.call, T1, "1001", "119", at=NOW) == asking.No("unknown-choice")
    for seat in ("1001", "8001", ""):
        said_so = SayDecision(REF, T1, seat, "110", "traffic", "a jam", "console")
        assert asking.decide(play.call, T1, seat, "110", "traffic", "a jam", "console", at=NOW) == said_so
    play(said(30, "1001", "110"))
    assert asking.decide(play.call, T1, "1001", "12345", at=NOW) == asking.No("decided")
    assert asking.decide(play.call, T1, "8001", "110", at=NOW) == asking.No("decided")
    assert isinstance(asking.decide(play.call, T1, "8001", "12345", at=NOW), SayDecision), "a dispute, for the record"
    play(said(31, "8001", "12345"), e.GuestLeft(REF, us(32), T1, "8001"))
    assert asking.decide(play.call, T1, "", "guidance", at=NOW) == asking.No("decided")
    assert asking.decide(play.call, T1, "8001", "12345", at=NOW) == asking.No("decided"), "disputed once"


@pytest.mark.parametrize("over", [False, True])
def test_a_seat_the_decision_let_go_may_still_contradict_it(over: bool) -> None:
    play = Play()
    play(*room(), said(30, "8001", "110"), e.SeatLeft(REF, us(31), "1001"))
    if over:
        play(e.RoomOver(REF, us(32), T1))
    assert asking.decide(play.call, T1, "1001", "110", at=NOW) == asking.No("decided")
    word = asking.decide(play.call, T1, "1001", "12345", "noise", "a neighbour", at=us(40))
    assert isinstance(word, e.DecisionSaid)
    play(word, replace(word, at=us(41), choice="guidance"))
    (dispute,) = play.records("DecisionDisputed")
    data = [dispute.data[name] for name in ("seat", "platform", "choice", "text")]
    assert data == ["1001", "12345", "12345", "a neighbour"]
    assert decided(play) == [("110", "chosen", "")]
