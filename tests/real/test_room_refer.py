"""The phone's transfer key after a three-party call, and in one: who is referred is never left to a goodbye."""

from __future__ import annotations

import asyncio

import pytest

from cti.dialtest.phone import Answer
from cti.dialtest.stack import Stage
from tests.real.room import all_hear, hears, together
from tests.real.test_queues import kinds, live

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("who", "to"), [("seat", "1901"), ("seat", "9999"), ("police", "9999")])
async def test_the_seat_left_with_him_refers_him_on(on: Stage, who: str, to: str) -> None:
    """To a colleague, or to a number that is none of ours: rung back."""
    call, seat, police = await together(on)
    stays, goes = (seat, police) if who == "seat" else (police, seat)
    lands = to if to in on.seats else stays.phone.user
    await asyncio.sleep(2)
    goes.hangup()
    await all_hear(call, stays)
    on.seats[lands].on_invite = Answer(0.05)
    await stays.refer(to)
    again = await live(on.seats[lands], but=stays)
    await hears(call, lands)
    await hears(again, call.phone.name)
    call.hangup()


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_who_refers_out_of_the_room_leaves_him_with_the_other(on: Stage, who: str) -> None:
    call, seat, police = await together(on)
    refers, stays = (seat, police) if who == "seat" else (police, seat)
    await refers.refer("9999")
    refers.hangup()
    await all_hear(call, stays)
    await asyncio.sleep(1)
    await all_hear(call, stays)
    call.hangup()
    assert not kinds(await on.facts(), "CallerReferred")
