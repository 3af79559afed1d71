"""Windows of a tenth of a millisecond, made wide: the dialplan of these tests waits where two legs can meet."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.conftest import SEATS
from tests.real.room import together
from tests.real.story import ended, outcomes, ringing_at_110, talking

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
