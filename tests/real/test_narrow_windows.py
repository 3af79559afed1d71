"""Windows of a tenth of a millisecond, made wide: the dialplan of these tests waits where two legs can meet."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.conftest import SEATS
from tests.real.room import together
from tests.real.story import CLI, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real

GUARDS_S, SWAP_S = 0.3, 0.15


def widen(text: str, line: str, seconds: float) -> str:
    """``text`` with a wait behind ``line``, which stands in it once."""
    assert text.count(line) == 1, line
    return text.replace(line, f"{line}\n same => n,Wait({seconds})")


@pytest_asyncio.fixture(loop_scope="function")
async def wide(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage whose callers stay long in the lobby's guards, and whose joining legs come late."""
    plan = tmp_path / "dialplan"
    shutil.copytree(folder("dialplan"), plan)
    lobby, join = plan / "lobby.conf", plan / "join.conf"
    lobby.write_text(widen(lobby.read_text(), " same => n(top),Gosub(turn,s,1)", GUARDS_S))
    join.write_text(widen(join.read_text(), " same => n(swap),Set(TRY=0)", SWAP_S))
    async with (
        Instance(runtime_root, tmp_path / "state", directory, folder("config"), plan) as made,
        stage(made, seats=SEATS, callers=1) as on,
    ):
        yield on


async def test_a_caller_pulled_out_of_the_lobbys_guards_keeps_nobody_waiting(wide: Stage) -> None:
    """The seat hangs up as the target answers. What the caller held in his turn must not hold up whoever comes next."""
    call, seat = await talking(wide)
    number = seat.phone.user
    await seat.dtmf("*110")
    police = await ringing_at_110(wide)
    police.answer()
    await asyncio.sleep(SWAP_S / 2)
    seat.hangup()
    heard = await call.wait_heard(police.phone.name, 3)
    await asyncio.sleep(0.5)
    gone = time.monotonic()
    police.hangup()
    again = await call.wait_heard(number, 5, after=gone)
    hearing = call.heard(heard, again + 0.2)
    assert hearing.longest_without({number, police.phone.name, "music"}) < GUARDS_S * 1000 + 200
    call.hangup()
    assert outcomes(await ended(wide)) == [("returned", "vanished")]


async def test_a_caller_pulled_out_of_them_and_served_is_not_recalled(wide: Stage) -> None:
    """Where he goes on when the target has done with him is what is true then, not when he was pulled out."""
    call, seat = await talking(wide)
    await seat.dtmf("*110")
    police = await ringing_at_110(wide)
    police.answer()
    await asyncio.sleep(SWAP_S / 2)
    seat.hangup()
    await call.wait_heard(police.phone.name, 3)
    await asyncio.sleep(5.5)
    police.hangup()
    assert await call.wait_ended(8), "goodbye, and the end"
    assert outcomes(await ended(wide)) == [("answered", "")]
    assert not [f for f in await ended(wide) if f.kind == "CallerRecalled"]


@pytest_asyncio.fixture(loop_scope="function")
async def slow_goodbye(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage where a caller's hangup handler is slow to its first word. Wait() returns at once there: it spins."""
    plan = tmp_path / "dialplan"
    shutil.copytree(folder("dialplan"), plan)
    hotline = plan / "hotline.conf"
    first = "exten => s,1,Set(SHARED(OVER)=1)"
    now, most = "${STRFTIME(,UTC,%s%3q)}", int(GUARDS_S * 1000)
    spin = f"exten => s,1,Set(SINCE={now})\n same => n(spin),GotoIf($[{now}-${{SINCE}}<{most}]?spin)\n same => n,"
    text = hotline.read_text()
    assert text.count(first) == 1
    hotline.write_text(text.replace(first, spin + first.partition("1,")[2]))
    async with (
        Instance(runtime_root, tmp_path / "state", directory, folder("config"), plan) as made,
        stage(made, seats=SEATS, callers=1) as on,
    ):
        yield on


async def test_a_redirect_that_meets_the_callers_goodbye_leaves_nothing_untold(slow_goodbye: Stage) -> None:
    """A seat sets him aside while he hangs up: his handler is broken off, and runs again."""
    on = slow_goodbye
    call, seat, police = await together(on)
    pressing = asyncio.ensure_future(seat.dtmf("*3"))
    await asyncio.sleep(0.2)
    call.hangup()
    await pressing
    await asyncio.sleep(GUARDS_S + 0.2)
    for leg in (seat, police):
        leg.hangup()
    kinds = [f.kind for f in await ended(on)]
    assert (kinds.count("CallerLeft"), kinds.count("CallerGone")) == (1, 0), kinds
    assert kinds.count("RecordingEnded") == kinds.count("RecordingStarted")
    assert await on.leftovers() == []


@pytest_asyncio.fixture(loop_scope="function")
async def brief(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on which a seat has picked up long before the call knows of it."""
    plan = tmp_path / "dialplan"
    shutil.copytree(folder("dialplan"), plan)
    hotline = plan / "hotline.conf"
    first = "[seat-answered]\nexten => s,1,Set(SHARED(WAITS,${CALLCHAN})=)"
    hotline.write_text(widen(hotline.read_text(), first, SWAP_S))
    async with (
        Instance(runtime_root, tmp_path / "state", directory, folder("config"), plan) as made,
        stage(made, seats=["1001", "8001"], callers=1) as on,
    ):
        yield on


async def dropped(seat: Phone, call: Call, times: int) -> Call:
    """The seat's talk after it picked up so often, each time gone before anything was written of it."""
    before = len(seat.calls)
    seat.on_invite = Answer(0.05, hang_up_after=SWAP_S / 3)
    for _ in range(250):
        if len([c for c in seat.calls[before:] if c.t_answered and c.t_ended]) >= times:
            seat.on_invite = Answer(0.05)
        talk = seat.calls[-1] if seat.calls else None
        if talk and talk.t_answered and not talk.t_ended and talk.t_answered + SWAP_S < time.monotonic():
            return talk
        assert call.t_ended is None, call.heard()
        await asyncio.sleep(0.02)
    raise AssertionError(f"not served again: {call.heard()}")


async def test_a_seat_that_picks_up_and_is_gone_at_once_has_not_served_him(brief: Stage) -> None:
    """Out of the line, twice as the first in line again, and rung back after a transfer that came to nothing."""
    seat, police = brief.seats["1001"], brief.seats["8001"]
    call = await brief.callers[0].dial("12345", caller_id=CLI)
    talk = await dropped(seat, call, 3)
    await call.wait_heard("1001", 3)
    await talk.dtmf("*110")
    ringing = await police.wait_ringing()
    await asyncio.sleep(2)  # so long a talk is one that served him: what is asked below is not asked because of it
    await talk.dtmf("*110")  # he leaves now, and is rung back when nobody comes
    await talk.wait_ended(3)
    again = asyncio.create_task(dropped(seat, call, 1))
    await asyncio.sleep(0)
    ringing.reject(603)
    await again
    await call.wait_heard("1001", 3, after=again.result().t_answered)
    assert call.heard().longest_without({"1001", "music"}, (call.t_answered or 0) + 0.3) < 200
    call.hangup()
    assert not [f for f in await ended(brief) if f.kind in ("CallerNotServed", "Anomaly")]
