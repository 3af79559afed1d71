"""The three-party call: how it opens, who is in it, and the caller who hangs up; playbooks of the plan's rules."""

from __future__ import annotations

import pytest

from cti.core import events as e
from cti.core.model import Party, Phase, RoomState

from .playbook import (
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
    talking,
    transfers,
    us,
)


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
    (said(61, "8001", "12345"), "word-after-room"), (e.CallerSetAside(REF, us(61), T1, "8001"), "aside-after-room"),
])  # fmt: skip
def test_after_the_end_nothing_is_decided_twice(event: e.Event, code: str) -> None:
    play = Play()
    over = e.RoomOver(REF, us(60), T1)
    play(*room(), over, event, over, e.GuestLeft(REF, us(61), T1, "8001"), e.ClockTicked("", us(900)))
    assert decided(play) == [("12345", "first-receiver", "room-over")] and ended(play) == ["room-over"]
    assert [r.data["code"] for r in play.records("Anomaly")] == [code]
