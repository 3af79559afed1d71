"""Stories of one key on real Asterisk, each judged by who hears whom and by the one terminal record."""

from __future__ import annotations

import asyncio
import time

import pytest

from cti.dialtest.dialog import CallState
from cti.dialtest.phone import Answer, Reject, Ring
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage
from tests.real.story import CLI, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real


async def test_caller_hangs_up_while_110_rings_and_110_stops_ringing(on: Stage) -> None:
    call, seat = await talking(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    left = time.monotonic()
    call.hangup()
    stopped = await target.wait_ended(2)
    assert target.ended_by == "cancelled" and (stopped - left) < 0.5
    facts = await ended(on)
    assert outcomes(facts) == [("abandoned", "caller-left")]
    assert [f.data["why"] for f in facts if f.kind == "CallbackDue"] == ["transfer"]


async def test_second_press_lets_the_seat_go_and_the_caller_waits_in_music(on: Stage) -> None:
    call, seat = await talking(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await seat.dtmf("*110")
    await seat.wait_ended(3)
    heard = await call.wait_heard("music", 2)
    assert call.t_ended is None
    await asyncio.sleep(1.0)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    hearing = call.heard(heard, time.monotonic())
    assert hearing.longest_without({"music", target.phone.name}) < 200
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("answered", "")]
    told = next(f.data for f in facts if f.kind == "CallEnded")  # what the answer rate is made of
    line, police = (one.split(",") for one in str(told["queues"]).split(";"))
    assert (told["platform"], told["seat_kind"]) == ("12345", "general")
    assert (line[0], line[2], line[4]) == ("12345", "answered", "general")
    assert (police[0], police[2], police[4]) == ("110", "answered", "dedicated")


async def test_cancel_stops_the_ringing_and_the_talk_goes_on(on: Stage) -> None:
    call, seat = await talking(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await seat.dtmf("*9")
    await target.wait_ended(2)
    await call.wait_heard(seat.phone.name, 2)
    await asyncio.sleep(0.5)
    assert call.state is CallState.ANSWERED and seat.state is CallState.ANSWERED
    call.hangup()
    assert outcomes(await ended(on)) == [("cancelled", "")]


async def test_the_target_may_pass_the_caller_on_and_take_that_back(on: Stage) -> None:
    """A second transfer of the same call: cancelling it must not touch the leg the first one made."""
    call, seat = await talking(on)
    await seat.dtmf("*110")
    police = await ringing_at_110(on)
    police.answer()
    await call.wait_heard(police.phone.name, 3)
    await asyncio.sleep(0.3)
    other = next(on.seats[n] for n in ("8001", "8002") if on.seats[n] is not police.phone)
    await police.dtmf("*110")
    second = await whose([other], CLI, 3)
    assert second is not None, "the other 110 seat did not ring"
    await police.dtmf("*9")
    await second.wait_ended(2)
    await call.wait_heard(police.phone.name, 2)
    await asyncio.sleep(0.3)
    assert call.t_ended is None and police.t_ended is None
    other.on_invite = Answer(0.2)
    await police.dtmf("*110")
    await call.wait_heard(other.name, 4)
    await police.wait_ended(3)
    call.hangup()
    assert outcomes(await ended(on)) == [("answered", ""), ("cancelled", ""), ("answered", "")]


async def test_a_target_that_vanishes_at_once_gives_the_caller_back_to_his_seat(on: Stage) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    for name in ("8001", "8002"):
        on.seats[name].on_invite = Answer(0.2, hang_up_after=0.8)
    await seat.dtmf("*110")
    await seat.wait_ended(5)
    again = await on.seats[number].wait_incoming(1)  # the first call's own entry in the queue of calls
    if again is seat:
        again = await on.seats[number].wait_incoming(8)
    assert await again.wait_answered(5)
    await call.wait_heard(number, 3)
    assert call.t_ended is None
    call.hangup()
    assert outcomes(await ended(on)) == [("returned", "vanished")]


async def test_a_refer_to_110_moves_the_caller_who_waits_in_music(on: Stage) -> None:
    call, seat = await talking(on)
    assert await seat.refer("110") == 202
    target = await ringing_at_110(on)
    await call.wait_heard("music", 2)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await target.wait_heard(on.callers[0].name, 3)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("answered", "")]
    assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["refer"]


async def test_a_refer_to_nowhere_rings_the_seat_back(on: Stage) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    await on.seats[number].wait_incoming(1)
    assert await seat.refer("9999") == 202
    again = await on.seats[number].wait_incoming(5)
    assert await again.wait_answered(3)
    await call.wait_heard(number, 3)
    call.hangup()
    await ended(on)


async def test_nobody_answers_and_only_the_seat_is_told(on: Stage) -> None:
    """The whole walk fails: a sign in the seat's ear alone, the talk goes on, and the record says why."""
    call, seat = await talking(on)
    for name in ("8001", "8002"):
        on.seats[name].on_invite = Reject(486)
    (caller,) = [row.split("!")[0] for row in await on.rows("core show channels concise") if "PJSIP/pstn" in row]
    route = "dial~PJSIP/8001~5|dial~PJSIP/8003~5|dial~PJSIP/8002~5"  # busy, not registered, busy
    await on.rows(f"dialplan set chanvar {caller} SHARED(ROUTE_110) {route}")
    pressed = await seat.dtmf("*110")
    await seat.wait_heard("music", 5, after=pressed)  # sound that is no party's tone
    await asyncio.sleep(0.5)
    hearing = call.heard(pressed + 0.3, time.monotonic())
    assert hearing.longest_without({seat.phone.name}) < 60, "the caller was disturbed"
    assert call.dtmf_heard == ""
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("returned", "busy")]
    assert [f.data["why"] for f in facts if f.kind == "TargetFailed"] == ["busy", "unreachable", "busy"]


async def test_a_seat_that_left_has_no_say(on: Stage) -> None:
    """After the join the first seat's channel is gone; a key of somebody without a caller does nothing."""
    on.seats["8001"].on_invite = Ring()
    lonely = await on.seats["1001"].dial("1002")
    callee = await on.seats["1002"].wait_incoming(3)
    callee.answer()
    assert await lonely.wait_answered(3)
    await lonely.dtmf("*110")
    await asyncio.sleep(1.0)
    assert not on.seats["8001"].calls and lonely.t_ended is None
    lonely.hangup()
    assert CLI not in {f.data.get("caller") for f in await on.facts()}
