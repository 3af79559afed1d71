"""The three-party call on real phones: who hears whom is exactly as it should be, whoever comes, goes, or confers."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from cti.dialtest.stack import Stage
from tests.real.room import CHANGE_MS, all_hear, hears, together
from tests.real.story import ended, ringing_at_110, talking
from tests.real.test_api import Client

pytestmark = pytest.mark.real

async def test_all_three_hear_each_other(on: Stage) -> None:
    call, *_ = await together(on)
    call.hangup()


async def test_the_seats_confer_in_private_and_the_caller_hears_only_music(on: Stage) -> None:
    call, seat, police = await together(on)
    for who in (seat, police):
        await who.dtmf("*3")
        await hears(call, "music")
        await hears(seat, police.phone.name)
        await hears(police, seat.phone.name)
        await asyncio.sleep(1)
        await who.dtmf("*3")
        await all_hear(call, seat, police)
    call.hangup()


async def test_the_first_seat_leaves_and_the_two_others_go_on(on: Stage) -> None:
    call, seat, police = await together(on)
    gone = time.monotonic()
    seat.hangup()
    await all_hear(call, police)
    await asyncio.sleep(5.2)  # gone sooner, the guest would have vanished, and the caller be served again
    assert call.heard().longest_without({police.phone.name}, gone, time.monotonic() - 0.1) <= CHANGE_MS
    police.hangup()
    await call.wait_ended(12)


async def test_the_guest_leaves_and_the_two_others_go_on(on: Stage) -> None:
    call, seat, police = await together(on)
    gone = time.monotonic()
    police.hangup()
    await all_hear(call, seat)
    await asyncio.sleep(2)
    assert call.heard().longest_without({seat.phone.name}, gone, time.monotonic() - 0.1) <= CHANGE_MS
    seat.hangup()
    await call.wait_ended(12)


@pytest.mark.parametrize("aside", [False, True])
async def test_the_caller_hangs_up_and_the_seats_finish_their_words(on: Stage, aside: bool) -> None:
    call, seat, police = await together(on)
    if aside:
        for _ in range(2):
            await seat.dtmf("*3")
            await asyncio.sleep(0.6)
    call.hangup()
    await all_hear(seat, police)
    await asyncio.sleep(0.5)
    seat.hangup()
    await police.wait_ended(3)


@pytest.mark.parametrize("first", ["seat", "police"])
async def test_a_seat_that_leaves_while_they_confer_brings_the_caller_back(on: Stage, first: str) -> None:
    call, seat, police = await together(on)
    await seat.dtmf("*3")
    await hears(call, "music")
    leaver, stays = (seat, police) if first == "seat" else (police, seat)
    leaver.hangup()
    await all_hear(call, stays)
    await asyncio.sleep(5.2)
    stays.hangup()
    await call.wait_ended(12)


async def test_both_seats_vanish_while_they_confer_and_the_caller_is_served_again(on: Stage) -> None:
    call, seat, police = await together(on)
    await seat.dtmf("*3")
    await hears(call, "music")
    seat.hangup()
    police.hangup()
    for _ in range(200):
        again = [c for p in on.seats.values() for c in p.calls if c not in (seat, police) and c.t_ended is None]
        if again:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError(f"nobody had the caller again: {call.heard()}")
    await all_hear(call, again[0])
    call.hangup()


@pytest.mark.parametrize(("code", "who", "stays"), [
    ("*71", "seat", "seat"), ("*72", "seat", "police"), ("*71", "police", "police"), ("*73", "police", "seat"),
    ("*74", "seat", "seat")])  # fmt: skip
async def test_who_accepts_stays_and_the_other_is_let_go(on: Stage, code: str, who: str, stays: str) -> None:
    call, seat, police = await together(on)
    both = {"seat": seat, "police": police}
    await both[who].dtmf(code)
    goes = both["police" if stays == "seat" else "seat"]
    await goes.wait_ended(3)
    await all_hear(call, both[stays])
    call.hangup()


async def test_a_ringing_transfer_becomes_a_three_party_call(on: Stage) -> None:
    call, seat = await talking(on)
    await seat.dtmf("*110")
    police = await ringing_at_110(on)
    await seat.dtmf("*0")
    await asyncio.sleep(0.3)
    police.answer()
    await all_hear(call, seat, police)
    call.hangup()


async def test_room_keys_without_a_room_are_refused_to_the_seat_alone(on: Stage) -> None:
    call, seat = await talking(on)
    for code in ("*3", "*71"):
        pressed = await seat.dtmf(code)
        await seat.wait_heard("music", 4, after=pressed)
        await hears(call, seat.phone.name)
    call.hangup()


@pytest.mark.parametrize("choice", ["110", "undecided"])
async def test_the_api_brings_in_confers_and_decides_and_it_is_on_record_once(on: Stage, choice: str) -> None:
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        call, seat = await talking(on)
        status, made = await api.post("/transfers", seat.phone.user, {"to": "110", "mode": "add"})
        assert status == 201 and made["mode"] == "add"
        police = await ringing_at_110(on)
        police.answer()
        await all_hear(call, seat, police)
        room = f"/conferences/{made['transfer']}"
        assert (await api.post(f"{room}/confer", police.phone.user, {}))[0] == 202
        await hears(call, "music")
        assert (await api.post(f"{room}/confer", seat.phone.user, {}))[0] == 202
        await all_hear(call, seat, police)
        status, problem = await api.post(f"{room}/decision", "1902", {"choice": "110"})
        assert (status, problem["code"]) == (409, "not-in-room")
        status, problem = await api.post(f"{room}/decision", seat.phone.user, {"choice": "119"})
        assert (status, problem["code"]) == (422, "invalid-field")
        word = {"choice": choice, "reason": "A01", "text": "涉嫌诈骗，移交"}
        assert (await api.post(f"{room}/decision", seat.phone.user, word))[0] == 202
        stays, goes = (police, seat) if choice == "110" else (seat, police)
        await goes.wait_ended(3)
        await all_hear(call, stays)
        call.hangup()
        facts = await ended(on)
    (said,) = [f.data for f in facts if f.kind == "ConferenceDecided"]
    accepts, basis = ("110", "chosen") if choice == "110" else ("12345", "first-receiver")
    assert (said["accepts"], said["basis"], said["by"]) == (accepts, basis, seat.phone.user)
    assert (said["reason"], said["text"]) == ("A01", "涉嫌诈骗，移交") or choice == "undecided"
    assert len([f for f in facts if f.kind == "ConferenceEnded"]) == 1
    assert [f.data for f in facts if f.kind == "Anomaly"] == []
