"""119 brought into a three-party call over a trunk, on a real telephone outside: joined, left alone with the caller;
and what the seats are told when the trunk does not lead there."""

from __future__ import annotations

import asyncio
import time

import pytest

from cti.dialtest.phone import Answer, Phone, Reject
from cti.dialtest.sip import uri_user
from cti.dialtest.stack import Stage
from tests.real.room import CHANGE_MS, all_hear, sign, together, told
from tests.real.test_outside_phone import outside as outside_fixture
from tests.real.test_outside_phone import rung

pytestmark = pytest.mark.real
outside = outside_fixture
KEY = "*119"


async def test_fire_and_rescue_joins_and_has_the_caller_when_both_seats_have_left(outside: tuple[Stage, Phone]) -> None:
    on, fire = outside
    call, seat, police = await together(on)
    fire.on_invite = Answer(0.3)
    await seat.dtmf(KEY)
    there = await rung(fire)
    assert uri_user(there.invite.uri) == "119"
    assert not any(name.startswith("X-Hotline") for name, _ in there.invite.headers), "data left the house"
    await all_hear(call, seat, police, there)
    seat.hangup()
    await all_hear(call, police, there)
    gone = time.monotonic()
    police.hangup()
    await all_hear(call, there)
    assert call.heard().longest_without({police.phone.name, "duty"}, gone, time.monotonic() - 0.1) <= CHANGE_MS
    await asyncio.sleep(0.5)
    call.hangup()
    await there.wait_ended(3)
    facts = await told(on, "MemberJoined", "MemberLeft", "CallEnded")
    assert [(f.kind, f.data.get("seat")) for f in facts if f.kind == "MemberJoined"] == [("MemberJoined", "119")]
    assert [f.data["outcome"] for f in facts if f.kind == "CallEnded"] == ["answered"]


async def test_where_the_trunk_does_not_lead_there_the_seats_alone_are_told(outside: tuple[Stage, Phone]) -> None:
    on, fire = outside
    call, seat, police = await together(on)
    fire.on_invite = Reject(502)
    pressed = await police.dtmf(KEY)
    await sign(police, pressed)
    await asyncio.sleep(2.5)  # the reason is said
    assert not call.heard(pressed, time.monotonic()).ever("music")
    await all_hear(call, seat, police)
    call.hangup()
    assert [f.data["why"] for f in await told(on, "MemberFailed")] == ["trunk-down"]
