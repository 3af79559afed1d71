"""A seat mutes itself in a three-party call: nobody hears it, it hears all, and the room's end undoes it."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from cti.dialtest.stack import Stage
from tests.real.room import SETTLE_S, all_hear, hears, sign, together, told
from tests.real.story import talking
from tests.real.test_api import Client

pytestmark = pytest.mark.real

MUTED_MS = 400.0
"""from the key's last digit until nothing of the seat is heard: the digits' own muting included"""


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_nobody_hears_who_muted_himself_until_he_presses_again(on: Stage, who: str) -> None:
    call, seat, police = await together(on)
    mute, other = (seat, police) if who == "seat" else (police, seat)
    pressed = await mute.dtmf("*6")
    await sign(mute, pressed)
    await hears(call, other.phone.name)
    await hears(other, call.phone.name)
    await hears(mute, call.phone.name, other.phone.name)
    await asyncio.sleep(1)
    for ear in (call, other):
        last = ear.heard(pressed, time.monotonic()).last(mute.phone.name)
        assert last is None or (last - pressed) * 1000 <= MUTED_MS
    await mute.dtmf("*6")
    await all_hear(call, seat, police)
    call.hangup()
    facts = await told(on, "SeatMuted")
    assert [(f.data["seat"], f.data["on"]) for f in facts] == [(mute.phone.user, 1), (mute.phone.user, 0)]


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_the_rooms_end_undoes_it(on: Stage, who: str) -> None:
    call, seat, police = await together(on)
    mute, leaves = (seat, police) if who == "seat" else (police, seat)
    await sign(mute, await mute.dtmf("*6"))
    await hears(call, leaves.phone.name)
    leaves.hangup()
    await all_hear(call, mute)
    await asyncio.sleep(5.2)
    call.hangup()
    assert [f.data["on"] for f in await told(on, "SeatMuted")] == [1, 0]


async def test_a_muted_seat_is_heard_in_the_last_words(on: Stage) -> None:
    call, seat, police = await together(on)
    await sign(seat, await seat.dtmf("*6"))
    await hears(call, police.phone.name)
    call.hangup()
    await all_hear(seat, police)
    seat.hangup()
    await police.wait_ended(3)


async def test_without_a_room_it_is_refused(on: Stage) -> None:
    call, seat = await talking(on)
    pressed = await seat.dtmf("*6")
    await sign(seat, pressed)
    await asyncio.sleep(SETTLE_S)
    await hears(call, seat.phone.name)
    call.hangup()
    assert [f.data["code"] for f in await told(on, "RoomRefused")] == ["no-room"]


async def test_by_api_and_while_they_confer(on: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        call, seat, police = await together(on)
        (opened,) = [f for f in await on.facts() if f.kind == "ConferenceOpened"]
        room = f"/conferences/{opened.data['transfer']}"
        for _ in range(2):  # told twice is told once
            status, shown = await api.post(f"{room}/mute", police.phone.user, {"on": True})
            assert status == 202
        await hears(seat, call.phone.name)
        await seat.dtmf("*3")
        await hears(call, "music")
        await hears(police, seat.phone.name)
        assert not seat.heard(time.monotonic() - 0.3).ever(police.phone.name)
        await seat.dtmf("*3")
        await hears(call, seat.phone.name)
        status, shown = await api.get(room, seat.phone.user)
        assert shown["muted"] == [police.phone.user]
        assert (await api.post(f"{room}/mute", police.phone.user, {"on": False}))[0] == 202
        await all_hear(call, seat, police)
        assert (await api.post(f"{room}/mute", "", {"on": True}, role="supervisor"))[1]["code"] == "not-in-room"
        assert (await api.post(f"{room}/mute", seat.phone.user, {"on": "yes"}))[1]["code"] == "invalid-field"
        call.hangup()
    assert [f.data["on"] for f in await told(on, "SeatMuted")] == [1, 0]
