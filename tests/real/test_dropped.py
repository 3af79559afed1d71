"""Who keeps being dropped, or chose a callback nobody can make, is told so in the end: no wait for ever, no goodbye."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from cti.dialtest.phone import Answer, Reject
from cti.directory import Directory
from cti.stack.root import RuntimeRoot
from tests.real.room import hears
from tests.real.story import CLI
from tests.real.test_queues import kinds, lines, site

pytestmark = pytest.mark.real

WAIT_S = 5


async def test_a_phone_that_drops_everybody_keeps_him_no_longer_than_any_wait(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    async with site(runtime_root, lines(directory, "12345", wait=WAIT_S), tmp_path, ["1001"], 1) as on:
        seat = on.seats["1001"]
        seat.on_invite = Answer(0.02, hang_up_after=0.05)
        began = time.monotonic()
        call = await on.callers[0].dial("12345", caller_id=CLI)
        await call.wait_ended(WAIT_S + 8)
        assert call.heard(began, call.t_ended).longest_without({"1001", "music"}, (call.t_answered or 0) + 0.3) < 400
        assert WAIT_S <= len(seat.calls) <= 2 * WAIT_S, "about once a second, not 14 times"
        ref = (await on.facts())[0].ref
        assert await on.wait_fact("CallbackDue", ref) is not None
        assert [f.data["why"] for f in kinds(await on.facts(ref), "CallerNotServed")] == ["TIMEOUT"]
        assert not kinds(await on.facts(ref), "Anomaly")


async def test_recalled_and_without_a_number_to_call_he_is_first_in_line_again_and_told_when_nobody_comes(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    changed = lines(directory, "12345", wait=3, callback=True)
    async with site(runtime_root, changed, tmp_path, ["1001"], 1) as on:
        seat = on.seats["1001"]
        seat.on_invite = Answer(0.05)
        call = await on.callers[0].dial("12345", caller_id="anonymous")
        await call.wait_heard("1001", 5)
        await asyncio.sleep(2.2)
        seat.on_invite = Reject(486)
        await seat.calls[-1].refer("9999")  # none of ours: his seat is rung back, says no, and he is in line
        await hears(call, "music")
        await asyncio.sleep(0.8)
        await call.dtmf("1")
        await call.wait_ended(WAIT_S + 10)
        ref = (await on.facts())[0].ref
        assert await on.wait_fact("CallEnded", ref) is not None
        facts = await on.facts(ref)
        assert len(kinds(facts, "CallerNotServed")) == 1 and not kinds(facts, "CallbackAsked")
