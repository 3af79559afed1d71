"""Every kind of key, and the rules of the door: one knock at a time, bounce, three call-takers, danger, reasons."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Reject, Ring
from cti.dialtest.stack import Stage, stage
from cti.directory import load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.story import CLI, data_of, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real


async def moved(on: Stage) -> tuple[Call, Call]:
    """A caller whom 12345 handed over to 110: his call, and the police seat's."""
    call, seat = await talking(on)
    await seat.dtmf("*110")
    police = await ringing_at_110(on)
    police.answer()
    await call.wait_heard(police.phone.name, 3)
    await seat.wait_ended(3)
    await asyncio.sleep(0.3)
    return call, police


def codes(facts: list[Fact]) -> list[object]:
    return [f.data["code"] for f in facts if f.kind == "TransferRefused"]


async def test_back_to_the_platform_he_came_from_is_refused_as_bounce(on: Stage) -> None:
    call, police = await moved(on)
    on.seats["1901"].on_invite = Ring()
    pressed = await police.dtmf("*12345")
    await police.wait_heard("music", 5, after=pressed)  # the sign in the seat's ear
    await asyncio.sleep(0.5)
    assert not on.seats["1901"].calls, "the bounce rang the first platform"
    assert call.t_ended is None and police.t_ended is None
    call.hangup()
    facts = await ended(on)
    assert codes(facts) == ["bounce"]
    assert sorted(map(str, outcomes(facts))) == ["('answered', '')", "('refused', 'bounce')"]


async def test_a_fourth_call_taker_is_refused(on: Stage) -> None:
    call, police = await moved(on)
    other = next(on.seats[n] for n in ("8001", "8002") if on.seats[n] is not police.phone)
    other.on_invite = Answer(0.1)
    await police.dtmf("*110")
    await call.wait_heard(other.name, 4)
    third = other.calls[-1]
    police.phone.on_invite = Ring()
    rang = len(police.phone.calls)
    await asyncio.sleep(0.3)
    pressed = await third.dtmf("*110")
    await third.wait_heard("music", 5, after=pressed)
    assert len(police.phone.calls) == rang and call.t_ended is None
    call.hangup()
    assert codes(await ended(on)) == ["three-takers"]


async def test_a_target_that_vanished_is_no_call_taker(on: Stage) -> None:
    """Returned at once: 110 never had him, so the same key may be pressed again."""
    call, seat = await talking(on)
    number = seat.phone.user
    for name in ("8001", "8002"):
        on.seats[name].on_invite = Answer(0.1, hang_up_after=0.8)
    for _ in range(2):
        live = on.seats[number].calls[-1]
        await live.dtmf("*110")
        await live.wait_ended(5)
        for _ in range(100):
            if on.seats[number].calls[-1] is not live:
                break
            await asyncio.sleep(0.05)
        again = on.seats[number].calls[-1]
        assert again is not live and await again.wait_answered(5)
        await call.wait_heard(number, 3, after=again.t_answered)
        await asyncio.sleep(0.3)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("returned", "vanished")] * 2 and codes(facts) == []


@pytest.mark.parametrize(("status", "why"), [(486, "busy"), (603, "declined"), (480, "noanswer"), (503, "congested"),
                                             (404, "no-number")])  # fmt: skip
async def test_each_refusal_of_a_seat_is_told_apart_through_the_queue(on: Stage, status: int, why: str) -> None:
    call, seat = await talking(on)
    for name in ("8001", "8002"):
        on.seats[name].on_invite = Reject(status)
    (caller,) = [row.split("!")[0] for row in await on.rows("core show channels concise") if "PJSIP/pstn" in row]
    await on.rows(f"dialplan set chanvar {caller} SHARED(ROUTE_110) queue~110-dedicated~15|dial~PJSIP/8003~5")
    pressed = await seat.dtmf("*110")
    await seat.wait_heard("music", 8, after=pressed)
    assert call.t_ended is None and seat.t_ended is None
    call.hangup()
    facts = await ended(on)
    assert [f.data["why"] for f in facts if f.kind == "TargetFailed"] == [why, "unreachable"]
    assert outcomes(facts) == [("returned", "unreachable")]
    assert [len(on.seats[n].calls) for n in ("8001", "8002")] == [1, 1], "a seat that said no is not rung again"


async def second_caller_asks(on: Stage, route: str) -> tuple[Call, Call, Call, str]:
    """Both dedicated seats talk, one to the first caller, one on a line of its own (``busy``); the second caller's seat
    presses its key along this route. First, second, busy, and the second call's ref."""
    first, seat1 = await talking(on)
    second, seat2 = await talking(on, cli="13900005678", caller=1)
    on.seats["8001"].on_invite = Answer(0.1)
    on.seats["8002"].on_invite = Answer(0.1)
    await seat1.dtmf("*110")
    taken = await ringing_at_110(on)
    await first.wait_heard(taken.phone.name, 4)
    free = next(on.seats[n] for n in ("8001", "8002") if on.seats[n] is not taken.phone)
    busy = await free.dial("600")
    assert await busy.wait_answered(5)
    (caller,) = [row.split("!")[0] for row in await on.rows("core show channels concise") if "13900005678" in row
                 and "PJSIP/pstn" in row]  # fmt: skip
    await on.rows(f"dialplan set chanvar {caller} SHARED(ROUTE_110) {route}")
    await seat2.dtmf("*110")
    await asyncio.sleep(1.0)
    ref = next(f.ref for f in await on.facts() if f.kind == "CallArrived" and f.data["caller"] == "13900005678")
    return first, second, busy, ref


async def test_nobody_free_goes_on_to_the_next_target_at_once(on: Stage) -> None:
    """Both dedicated seats talk: the walk does not wait for one while another target is left."""
    first, second, busy, ref = await second_caller_asks(on, "queue~110-dedicated~15|queue~110-dedicated~3")
    why = [f.data["why"] for f in await on.facts(ref) if f.kind == "TargetFailed"]
    assert why == ["busy"], "the first hop must end at once"
    busy.hangup()
    first.hangup()
    second.hangup()


async def test_danger_is_on_the_record_and_makes_the_callback_urgent(on: Stage) -> None:
    call, seat = await talking(on)
    await seat.dtmf("**110")
    target = await ringing_at_110(on)
    assert data_of(target)["danger"] == "1"
    call.hangup()
    facts = await ended(on)
    assert [f.data["danger"] for f in facts if f.kind == "TransferEnded"] == [1]
    assert [f.data["priority"] for f in facts if f.kind == "CallbackDue"] == ["high"]


async def test_the_data_is_on_the_screen_before_the_answer(on: Stage) -> None:
    call, seat = await talking(on)
    (caller,) = [row.split("!")[0] for row in await on.rows("core show channels concise") if "PJSIP/pstn" in row]
    await on.rows(f"dialplan set chanvar {caller} SHARED(NOTE) %E7%81%AB")
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    got = data_of(target)
    facts = [f for f in await on.facts() if f.data.get("caller") == CLI]
    started = await on.wait_fact("TransferStarted", facts[0].ref)
    rings = await on.wait_fact("TargetRings", facts[0].ref)
    assert started is not None and rings is not None and rings.data["seat"] == target.phone.user
    assert got == {"call": facts[0].ref, "transfer": started.data["transfer"], "first": "12345", "caller": CLI,
                   "division": "530100", "danger": "0", "summary": "%E7%81%AB",
                   "recording": facts[0].ref, "drill": "0"}  # fmt: skip
    call.hangup()
    await ended(on)


async def test_a_speed_dial_on_a_second_line_is_the_key(on: Stage) -> None:
    call, seat = await talking(on)
    second = await seat.phone.dial("110")
    target = await ringing_at_110(on)
    assert await second.wait_answered(3)
    await second.wait_ended(5)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await seat.wait_ended(3)
    call.hangup()
    facts = await ended(on)
    assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["dial"]
    assert outcomes(facts) == [("answered", "")]


async def test_a_seat_without_a_call_that_dials_110_is_a_caller(on: Stage) -> None:
    call = await on.seats["1001"].dial("110")
    await call.wait_heard("music", 3)
    call.hangup()
    facts = await on.facts()
    assert [f.data["hotline"] for f in facts if f.kind == "CallArrived"] == ["110"]


@pytest.mark.parametrize("number", ["12345", "110", "8002", "9999"])
async def test_a_refer_by_the_seat_he_was_moved_to(on: Stage, number: str) -> None:
    """Back (bounce), on to another seat, to a colleague by name, to nowhere: he is never dropped nor left alone."""
    call, police = await moved(on)
    phone = police.phone
    other = next(on.seats[n] for n in ("8001", "8002") if on.seats[n] is not phone)
    if number == "8002":
        number = other.user
    for seat in (phone, other):
        seat.on_invite = Answer(0.1)
    assert await police.refer(number) == 202
    forward = number in ("110", other.user)
    wanted = (phone, other) if number == "110" else ((other,) if forward else (phone,))
    for _ in range(120):
        assert call.t_ended is None, "the caller was dropped"
        if any(p.calls and p.calls[-1] is not police and p.calls[-1].t_answered for p in wanted):
            break
        await asyncio.sleep(0.05)
    heard = next(p for p in wanted if p.calls and p.calls[-1] is not police and p.calls[-1].t_answered)
    await call.wait_heard(heard.name, 4, after=heard.calls[-1].t_answered)
    await asyncio.sleep(0.5)
    assert call.t_ended is None
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts).count(("answered", "")) == (2 if forward else 1), outcomes(facts)
    assert codes(facts) == (["bounce"] if number == "12345" else [])


async def laid(on: Stage, family: str, wanted: set[str]) -> set[str]:
    """The routes AstDB holds, once they are these; they are laid as soon as the service is linked."""
    keys: set[str] = set()
    for _ in range(50):
        rows = [row for row in await on.rows(f"database show {family}") if row.startswith(f"/{family}/")]
        keys = {row.split(":")[0].strip().removeprefix(f"/{family}/") for row in rows}
        if keys == wanted:
            break
        await asyncio.sleep(0.1)
    return keys


async def test_the_routes_of_this_hour_are_in_astdb_and_an_old_one_is_gone(on: Stage) -> None:
    """Laid by the service, walked without it; what an earlier configuration left there is not walked for ever."""
    for family in ("route", "route-danger"):
        await on.rows(f"database put {family} 110/530199 dial~PJSIP/9999~20")
    service = on.instance.children["cti"]
    await service.restart()
    for family, danger in (("route", False), ("route-danger", True)):
        routes = [route for route in on.instance.directory.routes if route.danger is danger]
        members = set() if danger else {f"m{one.number}/*" for one in on.instance.directory.linkage}
        wanted = {f"{route.to}/{route.division}" for route in routes} | members
        assert wanted and await laid(on, family, wanted) == wanted
    service.kill()
    call, seat = await talking(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    call.hangup()
    await service.restart()
    assert outcomes(await ended(on)) == [("answered", "")]


async def test_no_place_in_line_is_given_up_for_a_target_that_is_away(on: Stage) -> None:
    """All seats of the line talk and only who cannot be reached is left: the caller waits for the line."""
    first, second, busy, ref = await second_caller_asks(on, "queue~110-dedicated~15|dial~PJSIP/8003~5~~~1")
    assert [f.kind for f in await on.facts(ref) if f.kind.startswith("Target")] == ["TargetTried"], "he waits"
    busy.hangup()
    await second.wait_heard(busy.phone.name, 8)
    first.hangup()
    second.hangup()


DANGER = """routes:
  - {to: "110", division: "*", targets: [{kind: seat, number: "8001", timeout: 10}]}
  - {to: "110", division: "530100", danger: true, targets: [{kind: seat, number: "8002", timeout: 10}]}
  - {to: "110", division: "*", danger: true, targets: [{kind: seat, number: "8101", timeout: 10}]}
  - {to: "12345", division: "*", targets: [{kind: general, timeout: 15}]}
"""


@pytest_asyncio.fixture(loop_scope="function")
async def with_danger(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[Stage]:
    """Routine leads to 8001, danger to 8002 in the caller's city and to 8101 elsewhere; each of them says no."""
    config = shutil.copytree(folder("config"), tmp_path / "config")
    (config / "routes.yaml").write_text(DANGER, encoding="utf-8")
    directory = load_directory(config, dt.date.today())
    async with (
        Instance(runtime_root, tmp_path / "state", directory, config, folder("dialplan")) as instance,
        stage(instance, seats=["1001", "1002", "8001", "8002", "8101"], callers=1) as on,
    ):
        for number in ("8001", "8002", "8101"):
            on.seats[number].on_invite = Reject(486)
        yield on
        for phone in (*on.callers, *on.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []


async def refused_by(on: Stage, seat: Call, key: str, number: str) -> None:
    """The key rings this seat, which is busy; the transferor's sign is over."""
    rang = len(on.seats[number].calls)
    pressed = await seat.dtmf(key)
    for _ in range(200):
        if len(on.seats[number].calls) > rang:
            break
        await asyncio.sleep(0.02)
    assert len(on.seats[number].calls) == rang + 1, f"{key} did not ring {number}"
    await seat.wait_heard("music", 5, after=pressed)
    await asyncio.sleep(1.5)


async def test_danger_walks_its_own_list_with_the_service_dead(with_danger: Stage) -> None:
    """The list of his city; with AstDB's gone the one rendered into the dialplan; without any the ordinary one."""
    on = with_danger
    service = on.instance.children["cti"]
    service.kill()
    await service.wait()
    call, seat = await talking(on)
    await refused_by(on, seat, "*110", "8001")
    await refused_by(on, seat, "**110", "8002")
    await on.rows("database deltree route-danger")
    await refused_by(on, seat, "**110", "8101")
    await on.rows('dialplan set global ROUTE_DANGER_110 ""')
    await refused_by(on, seat, "**110", "8001")
    call.hangup()
    await service.restart()
    tried = [f.data["target"] for f in await ended(on) if f.kind == "TargetTried"]
    assert tried == [f"PJSIP/{number}" for number in ("8001", "8002", "8101", "8001")]


async def test_the_calls_own_list_for_danger_is_laid_with_its_routes(with_danger: Stage) -> None:
    """With AstDB's gone, the one on his channel is walked; a call once marked danger walks it with any key."""
    on = with_danger
    call, seat = await talking(on)
    await on.rows("database deltree route-danger")
    await refused_by(on, seat, "*110", "8001")
    await refused_by(on, seat, "**110", "8002")
    await refused_by(on, seat, "*110", "8002")
    call.hangup()
    await ended(on)
