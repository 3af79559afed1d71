"""Lines: who goes first, what is said without delaying an offer, closed, full, overflow, two numbers of one line."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cti.core.answer_rate import EndedCall, answer_rate
from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory, Hotline, Name
from cti.directory.hotlines import Announce, Opening, Overflow
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.story import ended

pytestmark = pytest.mark.real

Change = Callable[[Hotline], Hotline]


def lines(directory: Directory, number: str, **rules: object) -> Directory:
    """The directory with other queue rules for one hotline."""
    hotlines = tuple(
        h.model_copy(update={"queue": h.queue.model_copy(update=rules)}) if h.number == number else h
        for h in directory.hotlines
    )
    return directory.model_copy(update={"hotlines": hotlines})


@asynccontextmanager
async def site(root: RuntimeRoot, directory: Directory, tmp: Path, seats: list[str], callers: int,
               ) -> AsyncIterator[Stage]:  # fmt: skip
    """A whole installation of this directory; afterwards no channel is left."""
    async with (
        Instance(root, tmp / "state", directory, folder("config"), folder("dialplan")) as instance,
        stage(instance, seats=seats, callers=callers) as on,
    ):
        yield on
        for phone in (*on.callers, *on.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []


async def live(phone: Phone, seconds: float = 6, but: Call | None = None) -> Call:
    """The call this phone is in, as soon as it has answered one other than ``but``."""
    for _ in range(int(seconds * 50)):
        if phone.calls and phone.calls[-1] is not but and phone.calls[-1].t_answered and not phone.calls[-1].t_ended:
            return phone.calls[-1]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{phone.name} was not rung")


async def rings(on: Stage, seat: str, cli: str, seconds: float = 5) -> Call:
    found = await whose([on.seats[seat]], cli, seconds)
    assert found is not None, f"{seat} does not ring for {cli}"
    return found


def metrics(on: Stage) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{on.instance.ports.http}/metrics", timeout=3) as answer:
        return str(answer.read().decode())


def kinds(facts: list[Fact], kind: str) -> list[Fact]:
    return [f for f in facts if f.kind == kind]


async def test_danger_then_recalled_then_transferred_then_routine(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """One seat of 110 on duty, busy; four callers get into its line in the worst order, and are answered in the right
    one."""
    seats = ["1001", "1002", "8101", "8102"]
    async with site(runtime_root, directory, tmp_path, seats, 5) as on:
        one, other = on.seats["8101"], on.seats["8102"]
        for phone in on.seats.values():
            phone.on_invite = Answer(0.05)
        # The seat is busy with somebody; the second seat of 110 has the caller who will be recalled.
        first = await on.callers[0].dial("110", caller_id="13800000000")
        busy = await whose([one, other], "13800000000", 5)
        assert busy is not None
        if busy.phone is other:  # rrmemory began with the other one
            one, other = other, one
        recalled = await on.callers[1].dial("110", caller_id="13800000001")
        had = await rings(on, other.user, "13800000001")
        await recalled.wait_heard(other.name, 3)
        one.on_invite = Ring()
        # routine: in line first
        routine = await on.callers[2].dial("110", caller_id="13800000002")
        await routine.wait_answered(3)
        await asyncio.sleep(0.5)
        # transferred: a caller of 12345, by key
        transferred = await on.callers[3].dial("12345", caller_id="13800000003")
        his = await whose([on.seats["1001"], on.seats["1002"]], "13800000003", 5)
        assert his is not None
        await transferred.wait_heard(his.phone.name, 3)
        danger = await on.callers[4].dial("12345", caller_id="13800000004")
        hers = await whose([on.seats["1001"], on.seats["1002"]], "13800000004", 5)
        assert hers is not None
        await danger.wait_heard(hers.phone.name, 3)
        other.on_invite = Ring()
        await other.stop()  # its phone is gone from the line: its caller is recalled within the line
        other.vanish()
        had.vanish()
        await recalled.wait_heard("music", 14)
        if not kinds(await on.facts(), "SeatLost"):
            assert await recalled.wait_heard("music", 12)
        # their targets have 15 s: pressed only when the lost seat was found out, and counted on once all four wait
        await his.dtmf("*110")
        await hers.dtmf("**110")
        for _ in range(100):
            if sum("wait:" in row for row in await on.rows("queue show 110")) == 4:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(await on.rows("queue show 110"))
        order: list[str] = []
        one.on_invite = Answer(0.05, hang_up_after=None)
        names = {"13800000001": "recalled", "13800000002": "routine", "13800000003": "transferred",
                 "13800000004": "danger"}  # fmt: skip
        callers = {"recalled": recalled, "routine": routine, "transferred": transferred, "danger": danger}
        busy.hangup()
        first.hangup()
        last: Call = busy
        for _ in range(4):
            last = await live(one, 8, but=last)
            name = names[last.caller.user]
            order.append(name)
            await callers[name].wait_heard(one.name, 4)
            callers[name].hangup()
            await last.wait_ended(4)
        assert order == ["danger", "recalled", "transferred", "routine"]


async def test_place_and_wait_are_said_into_the_ear_and_the_offer_comes_at_once(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """While the voice speaks a seat turns ready: it is rung within app_queue's own second, and its answer cuts the
    voice off."""
    changed = lines(directory, "12345", announce=Announce(first=1, every=10))
    async with site(runtime_root, changed, tmp_path, ["1001"], 2) as on:
        seat = on.seats["1001"]
        seat.on_invite = Answer(0.05)
        first = await on.callers[0].dial("12345", caller_id="13800000000")
        await first.wait_heard("1001", 5)
        waits = await on.callers[1].dial("12345", caller_id="13800000001")
        await waits.wait_answered(3)
        for _ in range(60):
            shown = "\n".join(await on.rows("core show channels concise"))
            if "@line-voice" in shown and "ChanSpy" in shown:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("nothing was said")
        first.hangup()
        began = time.monotonic()
        call = await rings(on, "1001", "13800000001", 3)
        assert call.t_invite is not None and call.t_invite - began < 1.3
        await waits.wait_heard("1001", 3)
        assert waits.heard().longest_without({"music", "1001"}, (waits.t_answered or 0) + 0.3) < 200
        assert "@line-voice" not in "\n".join(await on.rows("core show channels concise"))


async def test_full_is_spoken_and_recorded_and_overflow_leads_to_the_other_line(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    changed = lines(directory, "12345", max_waiting=1)
    changed = lines(changed, "110", max_waiting=1, overflow=Overflow(after=3, to="12345"))
    async with site(runtime_root, changed, tmp_path, ["1001"], 4) as on:
        waits = await on.callers[0].dial("12345", caller_id="13800000001")
        await waits.wait_answered(3)
        await rings(on, "1001", "13800000001")
        full = await on.callers[1].dial("12345", caller_id="13800000002")
        assert await full.wait_answered(3), "no fast busy: he is answered and told"
        spoken = await full.wait_ended(10)
        assert spoken - (full.t_answered or 0) > 0.8
        facts = await ended(on, "13800000002")
        assert [f.data["why"] for f in kinds(facts, "CallerNotServed")] == ["FULL"]
        assert [(f.data["outcome"], f.data["why"]) for f in kinds(facts, "CallEnded")] == [("refused", "FULL")]
        assert len(kinds(facts, "CallbackDue")) == 1
        assert 'cti_not_served_total{hotline="12345",why="FULL"} 1.0' in metrics(on)
        service = on.instance.children["cti"]
        service.kill()
        await service.wait()
        # 110's line has nobody: after 3 s he goes on to 12345's, where 1001 is rung for him once it is free
        waits.hangup()
        seat = on.seats["1001"]
        for call in seat.calls:
            call.hangup()
        seat.on_invite = Answer(0.05)
        passed = await on.callers[2].dial("110", caller_id="13800000003")
        await passed.wait_heard("1001", 9)
        assert passed.heard().longest_without({"music", "1001"}, (passed.t_answered or 0) + 0.3) < 200
        passed.hangup()
        await service.restart()
        facts = await ended(on, "13800000003")
        went = [(f.data["line"], f.data["to"], f.data["why"]) for f in kinds(facts, "CallerOverflowed")]
        assert went == [("110", "12345", "TIMEOUT")]
        assert [f.data["outcome"] for f in kinds(facts, "CallEnded")] == ["answered"]
        assert 'cti_overflows_total{line="110",to="12345",why="TIMEOUT"} 1.0' in metrics(on)


async def test_closed_and_more_than_the_site_carries_are_spoken_and_recorded(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """The service is dead meanwhile: the dialplan alone says and records it. 110 is never refused."""
    now = dt.datetime.now(dt.timezone(dt.timedelta(hours=8)))
    shut = Opening(hours="00:00-23:59", holidays=(now.date(), now.date() + dt.timedelta(days=1)))
    hotlines = tuple(
        h.model_copy(update={"opening": shut}) if h.number == "12345" else h for h in directory.hotlines
    )
    changed = directory.model_copy(update={"hotlines": hotlines})
    async with site(runtime_root, changed, tmp_path, ["8101"], 2) as on:
        service = on.instance.children["cti"]
        service.kill()
        await service.wait()
        closed = await on.callers[0].dial("12345", caller_id="13800000001")
        assert await closed.wait_answered(3)
        await closed.wait_ended(10)
        await on.rows("dialplan set global CALLS_MOST 0")
        over = await on.callers[0].dial("12345", caller_id="13800000002")
        assert await over.wait_answered(3)
        await over.wait_ended(10)
        on.seats["8101"].on_invite = Answer(0.05)
        police = await on.callers[1].dial("110", caller_id="13800000003")
        await police.wait_heard("8101", 5)
        police.hangup()
        await service.restart()
        for cli, why in (("13800000001", "CLOSED"), ("13800000002", "LINES")):
            facts = await ended(on, cli)
            assert [(f.data["outcome"], f.data["why"]) for f in kinds(facts, "CallEnded")] == [("refused", why)]
        assert [f.data["outcome"] for f in kinds(await ended(on, "13800000003"), "CallEnded")] == ["answered"]


async def test_two_numbers_of_one_line_keep_their_own_figures(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """双号并行: 12329 has its number, greeting and statistics; its callers wait in 12345's line, for the same seats."""
    own = directory.hotlines[0]
    other = own.model_copy(update={
        "number": "12329", "shares": "12345", "greeting": "这里是住房公积金热线。",
        "name": Name(zh="住房公积金热线", en="Housing fund hotline")})  # fmt: skip
    changed = directory.model_copy(update={"hotlines": (*directory.hotlines, other)})
    async with site(runtime_root, changed, tmp_path, ["1001"], 2) as on:
        seat = on.seats["1001"]
        seat.on_invite = Answer(0.05)
        call = await on.callers[0].dial("12329", caller_id="13800000001")
        await call.wait_heard("1001", 5)
        told = seat.calls[-1].invite.headers.get("X-Hotline")
        assert "first=12329" in told, "the seat's screen shows which number was dialled"
        waits = await on.callers[1].dial("12345", caller_id="13800000002")
        await waits.wait_answered(3)
        await asyncio.sleep(0.5)
        assert [row for row in await on.rows("queue show 12345") if "PJSIP/pstn" in row], "one line for both"
        waits.hangup()
        call.hangup()
        facts = [*await ended(on, "13800000001"), *await ended(on, "13800000002")]
        calls = [EndedCall(int(str(f.data["arrived_at"])), str(f.data["hotline"]), str(f.data["outcome"]))
                 for f in kinds(facts, "CallEnded")]  # fmt: skip
        rates = {n: answer_rate(calls, 0, 1 << 62, n) for n in ("12329", "12345")}
        assert (rates["12329"].answered, rates["12329"].offered) == (1, 1)
        assert (rates["12345"].answered, rates["12345"].offered) == (0, 1)
