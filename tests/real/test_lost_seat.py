"""A seat that is lost, rather than done: its caller goes to the front of the queue, never to a goodbye."""

from __future__ import annotations

import asyncio

import pytest

from cti.dialtest.phone import Answer
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage
from tests.real.story import CLI, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real


async def next_seat(on: Stage, lost: str, platform: str = "10") -> str:
    """The seat that has the caller again after ``lost`` went."""
    others = [p for n, p in on.seats.items() if n.startswith(platform) and p.name != lost]
    for _ in range(400):
        for phone in others:
            if phone.calls and phone.calls[-1].t_answered and not phone.calls[-1].t_ended:
                return phone.name
        await asyncio.sleep(0.05)
    raise AssertionError("nobody else was rung")


async def test_a_phone_that_goes_dark_gives_its_caller_to_the_next_seat(on: Stage) -> None:
    """No BYE, no RTP: Asterisk notices by rtp_timeout (10 s) and the caller is first in line."""
    call, seat = await talking(on)
    lost = seat.phone
    await asyncio.sleep(2.2)
    lost.wire.fall_silent()
    lost.muted = True
    seat.vanish()
    name = await next_seat(on, lost.name)
    await call.wait_heard(name, 4)
    assert call.t_ended is None
    call.hangup()
    facts = await ended(on)
    assert [f.data["seat"] for f in facts if f.kind == "SeatLost"] == [lost.user]
    assert [f.data["outcome"] for f in facts if f.kind == "CallEnded"] == ["answered"]


async def test_a_target_that_goes_dark_later_leaves_him_with_its_own_platform(on: Stage) -> None:
    call, seat = await talking(on)
    await seat.dtmf("*110")
    police = await ringing_at_110(on)
    police.answer()
    await call.wait_heard(police.phone.name, 3)
    await asyncio.sleep(5.5)
    police.phone.wire.fall_silent()
    police.phone.muted = True
    police.vanish()
    heard = await call.wait_heard("music", 14)
    assert heard and call.t_ended is None
    await asyncio.sleep(0.5)
    facts = [f for f in await on.facts() if f.kind == "CallerQueued"]
    assert [f.data["queue"] for f in facts] == ["12345", "110"], "110 had him: its line takes him back"
    call.hangup()
    assert outcomes(await ended(on)) == [("answered", "")]


async def test_a_seat_that_drops_him_in_its_first_second_did_not_serve_him(on: Stage) -> None:
    for number in ("1001", "1002"):
        on.seats[number].on_invite = Answer(0.1, hang_up_after=0.4)
    call = await on.callers[0].dial("12345", caller_id=CLI)
    first = await whose([on.seats["1001"], on.seats["1002"]], CLI, 5)
    assert first is not None
    for number in ("1001", "1002"):
        on.seats[number].on_invite = Answer(0.1)
    await first.wait_ended(3)
    again = None
    for _ in range(200):
        live = [c for n in ("1001", "1002") for c in on.seats[n].calls if c.t_answered and not c.t_ended]
        if live:
            again = live[0]
            break
        await asyncio.sleep(0.05)
    assert again is not None, "he was not rung again"
    await call.wait_heard(again.phone.name, 3, after=again.t_answered)
    assert call.t_ended is None
    call.hangup()
    facts = await ended(on)
    assert len([f for f in facts if f.kind == "SeatLost"]) == 1


async def test_a_finished_talk_ends_with_a_goodbye(on: Stage) -> None:
    call, seat = await talking(on)
    await asyncio.sleep(2.2)
    seat.hangup()
    ended_at = await call.wait_ended(8)
    assert ended_at and all(len(on.seats[n].calls) <= 1 for n in ("1001", "1002"))
    facts = await ended(on)
    assert not [f for f in facts if f.kind == "SeatLost"]
