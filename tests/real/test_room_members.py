"""A fourth member in a three-party call, on real phones: who hears whom whoever comes, fails, goes or is left."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from cti.dialtest.call import Call
from cti.dialtest.phone import Phone, Reject
from cti.dialtest.stack import Stage, stage
from cti.stack.instance import Instance
from tests.real.conftest import SEATS
from tests.real.room import CHANGE_MS, JOIN_MS, all_hear, hears, sign, together, told
from tests.real.story import talking
from tests.real.test_api import Client

pytestmark = pytest.mark.real

KEY, NUMBER, SUPERVISOR = "*20", "2000", "1902"
"""of the linkage directory shipped (config/linkage.yaml)"""


@pytest_asyncio.fixture(loop_scope="function")
async def on(instance: Instance) -> AsyncIterator[Stage]:
    """The usual seats and the supervisor's; afterwards no channel is left."""
    async with stage(instance, seats=[*SEATS, SUPERVISOR], callers=1) as made:
        yield made
        for phone in (*made.callers, *made.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await made.leftovers() == []


async def rung(phone: Phone, seconds: float = 4.0) -> Call:
    """The call that rings at this phone."""
    for _ in range(int(seconds * 50)):
        if phone.calls and phone.calls[-1].t_ended is None:
            return phone.calls[-1]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{phone.name} did not ring")


async def four(on: Stage, who: str = "seat") -> tuple[Call, Call, Call, Call]:
    """A room with its supervisor, brought in by key of the first seat or of the guest."""
    call, seat, police = await together(on)
    await (seat if who == "seat" else police).dtmf(KEY)
    boss = await rung(on.seats[SUPERVISOR])
    await asyncio.sleep(0.3)
    begins = time.monotonic()
    boss.answer()
    await all_hear(call, seat, police, boss)
    names = {seat.phone.name, police.phone.name}
    assert call.heard().longest_without(names, begins, time.monotonic() - 0.1) <= JOIN_MS
    return call, seat, police, boss


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_a_supervisor_joins_by_key_and_leaves_and_the_three_go_on(on: Stage, who: str) -> None:
    call, seat, police, boss = await four(on, who)
    asking = seat if who == "seat" else police
    pressed = await asking.dtmf(KEY)  # a fifth: refused to that seat alone
    await sign(asking, pressed)
    heard = [other.heard(pressed, time.monotonic()) for other in (call, boss)]
    assert not any(one.ever("music") for one in heard)
    await asyncio.sleep(2.5)  # the reason is said
    await all_hear(call, seat, police, boss)
    gone = time.monotonic()
    boss.hangup()
    await all_hear(call, seat, police)
    names = {seat.phone.name, police.phone.name}
    assert call.heard().longest_without(names, gone, time.monotonic() - 0.1) <= CHANGE_MS
    call.hangup()
    facts = await told(on, "MemberAsked", "MemberJoined", "MemberLeft", "RoomRefused", "ConferenceEnded")
    who_when = [(f.kind, str(f.data["seat"])) for f in facts if f.kind.startswith("Member")]
    assert who_when == [("MemberAsked", asking.phone.user), ("MemberJoined", SUPERVISOR), ("MemberLeft", SUPERVISOR)]
    assert [f.data["code"] for f in facts if f.kind == "RoomRefused"] == ["room-full"]
    assert [f.data["members"] for f in facts if f.kind == "ConferenceEnded"] == [SUPERVISOR]


async def test_the_key_without_a_room_is_refused_to_the_seat_alone(on: Stage) -> None:
    call, seat = await talking(on)
    pressed = await seat.dtmf(KEY)
    await sign(seat, pressed)
    await hears(call, seat.phone.name)
    assert not call.heard(pressed, time.monotonic()).ever("music")
    assert not on.seats[SUPERVISOR].calls
    call.hangup()
    assert [f.data["code"] for f in await told(on, "RoomRefused")] == ["no-room"]


async def test_nobody_comes_and_the_seats_alone_are_told(on: Stage) -> None:
    call, seat, police = await together(on)
    on.seats[SUPERVISOR].on_invite = Reject(603)
    pressed = await seat.dtmf(KEY)
    await sign(seat, pressed)
    await sign(police, pressed)
    assert not call.heard(pressed, time.monotonic()).ever("music")
    await asyncio.sleep(2.5)
    await all_hear(call, seat, police)
    call.hangup()
    assert [f.data["why"] for f in await told(on, "MemberFailed")] == ["declined"]


async def test_taken_back_while_it_rings(on: Stage) -> None:
    call, seat, police = await together(on)
    await seat.dtmf(KEY)
    boss = await rung(on.seats[SUPERVISOR])
    await police.dtmf("*9")  # not his to take back
    await asyncio.sleep(0.4)
    assert boss.t_ended is None
    await seat.dtmf("*9")
    await boss.wait_ended(2)
    await all_hear(call, seat, police)
    call.hangup()
    assert [f.data["why"] for f in await told(on, "MemberFailed")] == ["taken-back"]


@pytest.mark.parametrize("conferred", [False, True])
@pytest.mark.parametrize("order", ["seat-first", "police-first"])
async def test_the_two_leave_and_the_fourth_goes_on_with_the_caller(on: Stage, order: str, conferred: bool) -> None:
    call, seat, police, boss = await four(on)
    if conferred:
        for _ in range(2):
            await seat.dtmf("*3")
            await asyncio.sleep(0.8)
        await all_hear(call, seat, police, boss)
    one, two = (seat, police) if order == "seat-first" else (police, seat)
    gone = time.monotonic()
    one.hangup()
    await all_hear(call, two, boss)
    assert call.heard().longest_without({two.phone.name, boss.phone.name}, gone, time.monotonic() - 0.1) <= 200
    await asyncio.sleep(0.5)
    gone = time.monotonic()
    two.hangup()
    await all_hear(call, boss)
    heard = call.heard()
    assert heard.longest_without({boss.phone.name, "music"}, gone, time.monotonic() - 0.1) <= 200
    await asyncio.sleep(5.5)
    boss.hangup()
    await call.wait_ended(12)
    (over,) = await told(on, "ConferenceEnded")
    assert over.data["how"] == "seats-left"


async def test_both_leave_at_once_and_the_fourth_has_him(on: Stage) -> None:
    call, seat, police, boss = await four(on)
    seat.hangup()
    police.hangup()
    await all_hear(call, boss)
    call.hangup()
    await boss.wait_ended(4)


async def test_both_leave_while_the_fourth_rings_and_he_is_waited_for(on: Stage) -> None:
    call, seat, police = await together(on)
    await asyncio.sleep(5.2)
    await seat.dtmf(KEY)
    boss = await rung(on.seats[SUPERVISOR])
    seat.hangup()
    police.hangup()
    await hears(call, "music", seconds=5)
    boss.answer()
    await all_hear(call, boss)
    await asyncio.sleep(5.2)  # gone sooner, he would have vanished, and the caller be served again
    boss.hangup()
    await call.wait_ended(12)


async def test_three_confer_in_private_and_one_of_them_leaves(on: Stage) -> None:
    call, seat, police, boss = await four(on)
    await police.dtmf("*3")
    await hears(call, "music")
    await all_hear(seat, police, boss)
    await asyncio.sleep(0.5)
    seat.hangup()
    await all_hear(call, police, boss)
    call.hangup()


async def test_he_joins_while_they_confer(on: Stage) -> None:
    call, seat, police = await together(on)
    await seat.dtmf(KEY)
    boss = await rung(on.seats[SUPERVISOR])
    await seat.dtmf("*3")
    begins = await hears(call, "music")
    boss.answer()
    await all_hear(seat, police, boss)
    await asyncio.sleep(0.5)
    heard = call.heard(begins, time.monotonic())
    assert not any(heard.ever(one.phone.name) for one in (seat, police, boss)), str(heard)
    await boss.dtmf("*3")
    await all_hear(call, seat, police, boss)
    pressed = await boss.dtmf("*71")  # no voice in the decision
    await sign(boss, pressed)
    await asyncio.sleep(2.5)
    await all_hear(call, seat, police, boss)
    call.hangup()
    assert [f.data["code"] for f in await told(on, "RoomRefused")] == ["no-voice"]


async def test_the_decision_lets_one_seat_go_and_the_fourth_stays(on: Stage) -> None:
    call, seat, police, boss = await four(on)
    await seat.dtmf("*72")
    await seat.wait_ended(3)
    await all_hear(call, police, boss)
    call.hangup()
    await boss.wait_ended(4)


async def test_the_caller_hangs_up_and_all_three_may_finish_their_words(on: Stage) -> None:
    call, seat, police, boss = await four(on)
    call.hangup()
    await all_hear(seat, police, boss)
    await asyncio.sleep(0.5)
    seat.hangup()
    await police.wait_ended(4)
    await boss.wait_ended(4)


async def test_the_door_works_with_the_service_dead(on: Stage) -> None:
    call, seat, police = await together(on)
    service = on.instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    await seat.dtmf(KEY)
    boss = await rung(on.seats[SUPERVISOR])
    boss.answer()
    await all_hear(call, seat, police, boss)
    boss.hangup()
    await all_hear(call, seat, police)
    call.hangup()
    await service.restart()
    facts = await told(on, "MemberJoined", "MemberLeft", "ConferenceDecided")
    assert sorted(f.kind for f in facts) == ["ConferenceDecided", "MemberJoined", "MemberLeft"]


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_a_seat_refers_to_him_and_leaves_and_he_comes_beside_the_other(on: Stage, who: str) -> None:
    call, seat, police = await together(on)
    refers, stays = (seat, police) if who == "seat" else (police, seat)
    await refers.refer(NUMBER)
    boss = await rung(on.seats[SUPERVISOR])
    if who == "seat":
        await refers.wait_ended(3)
    else:  # its REFER ends as failed (503): what it was talked through is gone at once, so the phone does not hang up
        refers.hangup()
    boss.answer()
    await all_hear(call, stays, boss)
    call.hangup()
    facts = await told(on, "MemberAsked", "MemberJoined")
    assert [(f.kind, str(f.data["seat"])) for f in facts] == [
        ("MemberAsked", refers.phone.user), ("MemberJoined", SUPERVISOR)]  # fmt: skip


async def test_the_platform_is_asked_in_again_beside_the_fourth(on: Stage) -> None:
    call, seat, police, boss = await four(on)
    await asyncio.sleep(4)
    police.hangup()
    await all_hear(call, seat, boss)
    pressed = await seat.dtmf("*110")  # swapped over, the fourth would be left behind: refused
    await sign(seat, pressed)
    await asyncio.sleep(2.5)
    await seat.dtmf("*0")
    again = await rung_at_110(on, police)
    again.answer()
    await all_hear(call, seat, again, boss)
    seat.hangup()
    await all_hear(call, again, boss)
    again.hangup()
    await all_hear(call, boss)
    call.hangup()


async def rung_at_110(on: Stage, before: Call) -> Call:
    """The 110 seat that rings now."""
    for _ in range(200):
        for number in ("8001", "8002"):
            for call in on.seats[number].calls:
                if call is not before and call.t_ended is None:
                    return call
        await asyncio.sleep(0.02)
    raise AssertionError("no 110 seat rang")


async def test_by_second_line_and_by_api(on: Stage) -> None:
    call, seat, police = await together(on)
    line = await seat.phone.dial(NUMBER)
    boss = await rung(on.seats[SUPERVISOR])
    await line.wait_ended(6)
    boss.answer()
    await all_hear(call, seat, police, boss)
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        (opened,) = [f for f in await on.facts() if f.kind == "ConferenceOpened"]
        room = f"/conferences/{opened.data['transfer']}"
        status, shown = await api.get(room, seat.phone.user)
        assert status == 200
        (member,) = shown["members"]
        assert (member["seat"], member["left_at"]) == (SUPERVISOR, 0)
        assert (await api.post(f"{room}/members", seat.phone.user, {"to": "1002"}))[1]["code"] == "room-full"
        assert await api.delete(f"{room}/members/{member['member']}", police.phone.user) == 202
        await boss.wait_ended(3)
        await all_hear(call, seat, police)
        assert (await api.post(f"{room}/members", seat.phone.user, {"to": "9999"}))[1]["code"] == "no-route"
        status, made = await api.post(f"{room}/members", police.phone.user, {"to": "1002" if seat.phone.user == "1001"
                                                                             else "1001"})  # fmt: skip
        assert status == 202
        colleague = on.seats["1002" if seat.phone.user == "1001" else "1001"]
        other = await rung(colleague)
        assert await api.delete(f"{room}/members/{made['member']}", seat.phone.user) == 202
        await other.wait_ended(3)
        await all_hear(call, seat, police)
    call.hangup()
    facts = await told(on, "MemberJoined", "MemberLeft", "MemberFailed", "MemberAsked")
    assert [f.data["key"] for f in facts if f.kind == "MemberAsked"] == ["dial", "api"]
