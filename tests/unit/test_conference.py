"""The three-party call and its decision: playbooks of the plan's rules, and a walk over the whole table."""

from __future__ import annotations

import ast
from itertools import product
from pathlib import Path

import pytest

import conference
from conference import room as machine
from conference import rules
from conference.words import BASES, CHOICES, ENDS, REFUSALS, WHYS
from cti.core import asking, calls
from cti.core import events as e
from cti.core.commands import Record, SayDecision
from cti.core.facts import Fact
from cti.core.model import Conference, Party, Phase, Policy, RoomState
from cti.ladder import WORDS, ladder
from cti.replay import replay_call

from .playbook import REF, T1, Play, asked_in, joined, room, said, started, talking, us

OPENED = 14.02
DEADLINE = OPENED + 180
T2 = f"{REF}-30"


def decided(play: Play) -> list[tuple[object, ...]]:
    return [tuple(r.data[k] for k in ("accepts", "basis", "why")) for r in play.records("ConferenceDecided")]


def ended(play: Play) -> list[object]:
    return [r.data["how"] for r in play.records("ConferenceEnded")]


def transfers(play: Play) -> list[tuple[object, object]]:
    return [(r.data["outcome"], r.data["why"]) for r in play.records("TransferEnded")]


# -- it opens ----------------------------------------------------------------------------------------------------------
def test_the_third_party_comes_in_beside_the_first_seat() -> None:
    play = Play()
    play(*room())
    opened = play.call.conference
    assert opened is not None and opened.id == T1 and opened.state is RoomState.TOGETHER
    assert (opened.first, opened.guest) == (Party("1001", "12345"), Party("8001", "110"))
    assert (opened.first_platform, opened.opened_at, opened.here) == ("12345", us(OPENED), ("1001", "8001"))
    assert (play.call.seat, play.call.platform) == ("1001", "12345"), "the caller stays with his first seat"
    assert (play.call.takers, play.call.platforms) == (("1001", "8001"), ("12345", "110"))


def test_brought_in_is_answered_once_the_guest_stayed_and_the_room_goes_on() -> None:
    play = Play()
    play(*room(), e.ClockTicked("", us(20)))
    assert transfers(play) == [("answered", "")] and play.records("TransferEnded")[0].data["mode"] == "add"
    assert play.call.conference is not None and play.call.transfer is None
    play(e.GuestLeft(REF, us(21), T1, "8001", "16"))
    assert transfers(play) == [("answered", "")], "what happens in the room goes to the conference alone"


@pytest.mark.parametrize("gone", [e.GuestLeft(REF, us(16), T1, "8001", "44"), e.CallerRecalled(REF, us(16), "1001")])
def test_a_guest_who_vanishes_at_once_was_never_a_taker(gone: e.Event) -> None:
    play = Play()
    play(*room(), gone)
    assert transfers(play) == [("returned", "vanished")]
    assert (play.call.takers, play.call.platforms) == (("1001",), ("12345",))


def test_a_first_seat_that_leaves_at_once_has_handed_him_over() -> None:
    play = Play()
    play(*room(), e.GuestLeft(REF, us(16), T1, "1001", "16"), e.ClockTicked("", us(20)))
    assert transfers(play) == [("answered", "")]
    assert (play.call.seat, play.call.platform) == ("8001", "110")


def test_a_first_seat_that_left_while_it_rang_is_not_in_the_room() -> None:
    play = Play()
    play(*talking(), asked_in(10), e.CallerReleased(REF, us(12), T1, "1001"), e.CallerWaits(REF, us(12), T1),
         *joined(14))  # fmt: skip
    opened = play.call.conference
    assert opened is not None and opened.state is RoomState.ALONE and opened.here == ("8001",)
    assert play.call.seat == "8001"


@pytest.mark.parametrize("order", [0, 1])
def test_a_first_seat_that_leaves_as_its_guest_comes_in_is_not_in_the_room(order: int) -> None:
    """The dialplan opens the room before the guest is in it; who leaves in between is told of a room not yet known."""
    steps = [e.SeatLeft(REF, us(14.01), "1001", "16"), e.GuestLeft(REF, us(14.01), T1, "1001", "16")]
    play = Play()
    play(*talking(), asked_in(10), e.TargetAnswered(REF, us(14), T1, "8001", "110"), steps[order], steps[1 - order],
         e.CallerHeld(REF, us(14.02), T1, 1), e.CallerJoined(REF, us(14.03)))  # fmt: skip
    opened = play.call.conference
    assert opened is not None and opened.state is RoomState.ALONE and opened.here == ("8001",)
    assert (play.call.seat, play.call.platform) == ("8001", "110")
    play(e.ClockTicked("", us(30)))
    assert transfers(play) == [("answered", "")] and play.records("Anomaly") == []


def test_a_caller_who_hangs_up_as_the_guest_comes_in_leaves_no_room_behind() -> None:
    play = Play()
    play(*talking(), asked_in(10), e.TargetAnswered(REF, us(14), T1, "8001", "110"),
         e.CallerLeft(REF, us(14.01), "joined", "16"), e.WordsLast(REF, us(14.01), T1),
         e.CallerJoined(REF, us(14.01)), e.RoomOver(REF, us(15), T1))  # fmt: skip
    assert transfers(play) == [("abandoned", "caller-left")]
    assert not ended(play) and not decided(play) and not play.records("Anomaly")


def test_a_request_by_api_takes_its_mode_from_the_door() -> None:
    play = Play()
    play(*talking(), e.TransferRequested(REF, us(9.9), T1, "110", "1001"), asked_in(10, rule="both"), *joined(14))
    assert play.call.conference is not None and play.call.conference.policy.rule == "both"


def test_the_platform_that_received_the_call_first_is_the_first_takers_not_the_hotlines_number() -> None:
    play = Play()
    play(e.CallArrived(REF, 0, "12319", ""), *list(talking())[1:], asked_in(10), *joined(14),
         e.RoomOver(REF, us(60), T1))  # fmt: skip
    assert decided(play) == [("12345", "first-receiver", "room-over")]


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
    assert decided(play) == [] and calls.next_deadline(play.site) == us(DEADLINE)
    play(e.ClockTicked("", us(500)))
    assert decided(play) == [("12345", "first-receiver", "deadline")]
    record = play.records("ConferenceDecided")[0]
    assert (record.at, record.data["asked_ms"], record.data["by"]) == (us(DEADLINE), 180_000, "")


@pytest.mark.parametrize("at", [DEADLINE, 300])
def test_a_word_at_the_deadline_or_later_is_too_late_though_nobody_looked_at_the_clock(at: float) -> None:
    play = Play()
    play(*room(), said(at, "8001", "110"))
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
    assert [r.at for r in play.records("ConferenceDecided")] == [us(OPENED + 20)]
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


# -- who is in the room ------------------------------------------------------------------------------------------------
def test_conferring_in_private_is_measured() -> None:
    play = Play()
    play(*room(), e.CallerSetAside(REF, us(24.02), T1, "8001"), e.CallerSetAside(REF, us(25), T1, "1001"))
    assert play.call.conference is not None and play.call.conference.state is RoomState.ASIDE
    play(e.CallerBroughtBack(REF, us(54.02), T1, ""), e.CallerBroughtBack(REF, us(54.03), T1, "1001"),
         said(60, "1001", "110"), e.GuestLeft(REF, us(64.02), T1, "1001"), e.CallerLeft(REF, us(90)))  # fmt: skip
    (record,) = play.records("ConferenceEnded")
    wanted = {"seats": "1001,8001", "opened_at": us(OPENED), "together_ms": 20_000, "aside_ms": 30_000,
              "first_left": "1001", "how": "caller-left"}  # fmt: skip
    assert {k: record.data[k] for k in wanted} == wanted and record.key == f"conference/{T1}"
    assert not play.records("Anomaly")


def test_a_key_that_fits_nothing_is_for_the_seats_ear_alone() -> None:
    play = Play()
    play(*talking(), e.RoomRefused(REF, us(5), "", "1001", "no-room"), asked_in(10), *joined(14))
    before = play.call
    play(e.RoomRefused(REF, us(15), T1, "1001", "alone"))
    assert play.call == before and not play.records("Anomaly")


def test_a_seat_lost_in_the_room_leaves_the_caller_with_the_other() -> None:
    play = Play()
    play(*room(), e.SeatLost(REF, us(60), "1001", "44"))
    assert (play.call.phase, play.call.seat) == (Phase.TALKING, "8001")
    play(e.SeatLost(REF, us(70), "8001", "44"))
    assert (play.call.phase, ended(play)) == (Phase.WAITING, ["seats-left"])


@pytest.mark.parametrize(("event", "how"), [
    (e.CallerRecalled(REF, us(60), "1001"), "recalled"), (e.CallerQueued(REF, us(60), "12345"), "requeued"),
    (e.CallerNotServed(REF, us(60), "TIMEOUT"), "not-served"), (e.CallerGone(REF, us(60)), "channel-gone"),
    (e.CallerReferred(REF, us(60), "1001", "9999"), "referred"), (asked_in(60, T2), "overtaken"),
    (e.SeatAnswered(REF, us(60), "1001", "12345", "recall"), "taken-on"),
])  # fmt: skip
def test_a_caller_who_is_elsewhere_is_in_no_room(event: e.Event, how: str) -> None:
    play = Play()
    play(*room(), e.ClockTicked("", us(30)), event)
    assert ended(play) == [how] and decided(play) == [("12345", "first-receiver", "room-over")]
    assert play.call.conference is None


def test_a_call_may_have_several_one_after_another() -> None:
    play = Play()
    play(*room(), said(30, "1001", "12345"), e.GuestLeft(REF, us(40), T1, "8001"), asked_in(50, T2, to="110"),
         *joined(55, T2, "8002"), said(60, "8002", "110", transfer=T2), e.CallerLeft(REF, us(70)),
         e.RoomOver(REF, us(71), T2))  # fmt: skip
    assert [(r.data["transfer"], r.data["accepts"]) for r in play.records("ConferenceDecided")] == [
        (T1, "12345"), (T2, "110")]  # fmt: skip
    assert ended(play) == ["overtaken", "caller-left"] and play.call.takers == ("1001", "8001", "8002")


# -- the caller hangs up -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [e.WordsLast(REF, us(60), T1), e.CallerLeft(REF, us(60))])
def test_the_seats_may_still_decide_when_the_caller_has_hung_up(first: e.Event) -> None:
    play = Play()
    other = e.CallerLeft(REF, us(60.01)) if isinstance(first, e.WordsLast) else e.WordsLast(REF, us(60.01), T1)
    play(*room(), first, other, e.ClockTicked("", us(80)), said(85, "8001", "110"))
    assert decided(play) == [("110", "chosen", "")] and ended(play) == []
    play(e.GuestLeft(REF, us(90), T1, "8001"), e.SeatLeft(REF, us(90), "8001"), e.RoomOver(REF, us(91), T1),
         e.SeatLeft(REF, us(91), "1001"), e.ClockTicked("", us(102)))  # fmt: skip
    assert ended(play) == ["caller-left"] and not play.records("Anomaly") and not play.site.calls
    assert len(play.records("CallEnded")) == 1


def test_a_hang_up_nobody_goes_on_from_closes_the_room() -> None:
    play = Play()
    play(*room(), e.CallerLeft(REF, us(60)), e.ClockTicked("", us(64)))
    assert decided(play) == []
    play(e.ClockTicked("", us(200)))
    assert decided(play) == [("12345", "first-receiver", "room-over")] and ended(play) == ["caller-left"]
    assert {r.at for kind in ("ConferenceDecided", "ConferenceEnded") for r in play.records(kind)} == {us(65)}


def test_a_word_said_before_he_hung_up_stands() -> None:
    play = Play()
    play(*room(), said(30, "8001", "110"), e.CallerLeft(REF, us(60)), e.RoomOver(REF, us(60.1), T1))
    assert decided(play) == [("110", "chosen", "")] and ended(play) == ["caller-left"]


def test_seats_that_talk_on_and_are_heard_of_no_more() -> None:
    play = Play()
    play(*room(), e.CallerLeft(REF, us(60)), e.WordsLast(REF, us(60), T1), e.ClockTicked("", us(2000)))
    assert decided(play) == [("12345", "first-receiver", "deadline")] and ended(play) == ["steps-lost"]


def test_a_caller_who_leaves_one_seat_closes_the_room_at_once() -> None:
    play = Play()
    play(*room(), e.GuestLeft(REF, us(50), T1, "8001"), e.CallerLeft(REF, us(60)))
    assert ended(play) == ["caller-left"] and play.records("ConferenceEnded")[0].data["first_left"] == "8001"


@pytest.mark.parametrize(("event", "code"), [
    (said(61, "8001", "110"), "word-after-room"), (e.CallerSetAside(REF, us(61), T1, "8001"), "aside-after-room"),
])  # fmt: skip
def test_after_the_end_nothing_is_decided_twice(event: e.Event, code: str) -> None:
    play = Play()
    over = e.RoomOver(REF, us(60), T1)
    play(*room(), over, event, over, e.GuestLeft(REF, us(61), T1, "8001"), e.ClockTicked("", us(900)))
    assert decided(play) == [("12345", "first-receiver", "room-over")] and ended(play) == ["room-over"]
    assert [r.data["code"] for r in play.records("Anomaly")] == [code]


# -- asked by API or console -------------------------------------------------------------------------------------------
def test_only_a_seat_in_the_room_or_a_supervisor_may_decide() -> None:
    play = Play()
    assert asking.decide(None, T1, "1001", "110") == asking.No("unknown-call")
    play(*talking())
    assert asking.decide(play.call, T1, "1001", "110") == asking.No("no-room")
    play(asked_in(10), *joined(14))
    assert asking.decide(play.call, T2, "1001", "110") == asking.No("no-room")
    assert asking.decide(play.call, T1, "1002", "110") == asking.No("not-in-room")
    assert asking.decide(play.call, T1, "1001", "119") == asking.No("unknown-choice")
    for seat in ("1001", "8001", ""):
        said_so = SayDecision(REF, T1, seat, "110", "traffic", "a jam", "console")
        assert asking.decide(play.call, T1, seat, "110", "traffic", "a jam", "console") == said_so
    play(said(30, "1001", "110"))
    assert asking.decide(play.call, T1, "1001", "12345") == asking.No("decided")
    assert asking.decide(play.call, T1, "8001", "110") == asking.No("decided")
    assert isinstance(asking.decide(play.call, T1, "8001", "12345"), SayDecision), "heard as a dispute, for the record"
    play(said(31, "8001", "12345"), e.GuestLeft(REF, us(32), T1, "8001"))
    assert asking.decide(play.call, T1, "", "guidance") == asking.No("decided")
    assert asking.decide(play.call, T1, "8001", "12345") == asking.No("not-in-room")


# -- the table ---------------------------------------------------------------------------------------------------------
def sample(kind: type[e.Event], seat: str, choice: str = "110") -> e.Event:
    values = {"transfer": T1, "to": "110", "seat": seat, "code": "alone", "platform": "110", "choice": choice,
              "queue": "12345"}  # fmt: skip
    return e.make(kind.__name__, REF, us(3), values)


def standing(state: RoomState, word: str) -> Conference:
    """A conference in this state: undecided, decided by 12345, or disputed."""
    opened = machine.opened(T1, Party("1001", "12345"), Party("8001", "110"), "12345", Policy(), us(1))
    for event in ((said(1.1, "1001", "12345"),) if word else ()) + ((said(1.2, "8001", "110"),) if word == "2" else ()):
        opened = _stepped(opened, event)
    ways = {RoomState.TOGETHER: [], RoomState.ASIDE: [sample(e.CallerSetAside, "1001")],
            RoomState.ALONE: [sample(e.GuestLeft, "1001")], RoomState.LAST: [sample(e.WordsLast, "")],
            RoomState.OVER: [sample(e.RoomOver, "")]}  # fmt: skip
    for event in ways[state]:
        opened = _stepped(opened, event)
    assert opened.state is state
    return opened


def _stepped(before: Conference, event: e.Event) -> Conference:
    after, rule = machine.step(before, event)
    assert after is not None and isinstance(rule, rules.To)
    return after


def test_every_pair_is_decided() -> None:
    heard = {*e.ROOM_EVENTS, *machine.FROM_CALL, e.TransferStarted}
    assert set(machine.NONE) == heard and set(machine.TABLE) == set(RoomState)
    for state in RoomState:
        assert set(machine.TABLE[state]) == heard, state


@pytest.mark.parametrize("state", list(RoomState))
@pytest.mark.parametrize("kind", list(machine.NONE))
def test_the_whole_product(state: RoomState, kind: type[e.Event]) -> None:
    for word, seat, choice in product(("", "1", "2"), ("1001", "8001", "1002", ""), (*CHOICES, "119")):
        before = standing(state, word)
        after, rule = machine.step(before, sample(kind, seat, choice))
        assert after is not None
        if isinstance(rule, rules.To):
            assert after.state is rule.state
            assert (after.state is RoomState.OVER) == (after.ended_at > 0) == bool(after.how)
            assert after.state is not RoomState.OVER or (after.decision is not None and after.how in ENDS)
            assert before.decision is None or after.decision == before.decision, "a decision stands"
        else:
            assert after is before and (rule.reason if isinstance(rule, rules.Ignore) else rule.code)
        assert state is not RoomState.OVER or after is before


@pytest.mark.parametrize("kind", list(machine.NONE))
def test_no_step_opens_a_conference(kind: type[e.Event]) -> None:
    after, rule = machine.step(None, sample(kind, "1001"))
    assert after is None and isinstance(rule, rules.Ignore | rules.Anomaly)


def test_the_room_is_pure() -> None:
    """No I/O, no clock, no chance: it may import these and nothing else."""
    allowed = {"__future__", "collections", "dataclasses", "conference", "cti"}
    for path in Path(conference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [])  # fmt: skip
            assert {name.split(".")[0] for name in names} <= allowed, path


# -- ladder and replay -------------------------------------------------------------------------------------------------
def facts(play_events: list[e.Event]) -> list[Fact]:
    """Events and their records, as the ledger holds them."""
    play, made = Play(), list[Fact]()
    for n, event in enumerate(play_events):
        records = [c for c in play(event) if isinstance(c, Record)]
        if not isinstance(event, e.ClockTicked):
            made.append(Fact(type(event).__name__, event.at, REF, e.values_of(event), "live", f"cel/{n}"))
        made += [Fact(r.kind, r.at, REF, r.data, "live", r.key) for r in records]
    return made


STORY: list[e.Event] = [
    *room(danger=1), e.CallerSetAside(REF, us(24), T1, "8001"), e.CallerBroughtBack(REF, us(50), T1, ""),
    e.ReminderTold(REF, us(60), T1), said(61, "8001", "110", "crime"), said(62, "1001", "12345"),
    e.RoomRefused(REF, us(63), T1, "1001", "decided"), e.GuestLeft(REF, us(70), T1, "1001", "16"),
    e.CallerLeft(REF, us(80)), e.RoomOver(REF, us(80), T1),
]  # fmt: skip


def test_the_ladder_tells_a_three_party_call_with_its_decision() -> None:
    text = ladder(facts(STORY))
    lines = {line[11:].split("  ")[-1].strip(): line for line in text.splitlines()}
    assert "■ 涉险：110 先行出警 / danger: 110 dispatches first" in lines
    assert "■ 110 受理：协商决定 / 110 accepts: as agreed" in lines
    assert "■ 异议：1001（12345）12345 受理，决定不变 / disputed: 12345 accepts" in lines
    assert "1001 按键无效：已有决定 / refused: it is decided already" in lines
    guest, first = (next(x for x in text.splitlines() if words in x) for words in ("8001（110）", "1001（12345）：1"))
    assert "|<--------|" in guest and "|-------->|" in first, "drawn from the seat that spoke"
    by_default = ladder(facts([*room(), e.RoomOver(REF, us(60), T1)]))
    assert "■ 12345 受理：首接负责，通话已结束 / 12345 accepts: it received the call first, the call" in by_default
    assert "■ 均不受理，引导告知" in ladder(facts([*room(), said(30, "8001", "guidance")]))


def test_every_record_and_code_has_its_words() -> None:
    assert {"DispatchFirst", "ConferenceDecided", "DecisionDisputed", "ConferenceEnded"} <= set(WORDS)
    for table in (REFUSALS, CHOICES, BASES, WHYS, ENDS):
        assert all(zh and en for zh, en in table.values())
    assert {"no-room", "not-in-room", "alone", "decided"} <= set(REFUSALS)


@pytest.mark.parametrize("cut", range(len(STORY) + 1))
def test_replay_finds_every_record_again_at_any_moment(cut: int) -> None:
    assert replay_call(facts([*STORY[:cut]])) == []
    assert replay_call(facts([*STORY[:cut], e.ClockTicked("", us(1000))])) == []


def test_replay_while_the_seats_still_talk_and_after_a_deadline_of_the_clock() -> None:
    talks = [*room(), e.CallerLeft(REF, us(60)), e.WordsLast(REF, us(60), T1)]
    assert replay_call(facts(talks)) == []
    assert replay_call(facts([*room(), e.ClockTicked("", us(300))])) == [], "the call goes on"
    lacks = [f for f in facts([*talks, e.RoomOver(REF, us(70), T1)]) if f.kind != "ConferenceDecided"]
    assert [d.key for d in replay_call(lacks)] == [f"decision/{T1}"]
