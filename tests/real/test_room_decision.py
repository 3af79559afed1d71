"""When nobody decides, or both must: the deadline, the rule `both`, and the net under a caller who is alone."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import aiohttp
import pytest
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.dialtest.stack import Stage
from tests.real.room import CHANGE_MS, all_hear, hears, sign, together, told
from tests.real.test_api import Client

pytestmark = pytest.mark.real

DECIDE_S, REMIND_S = 8, 4


async def policy(on: Stage, **values: object) -> None:
    """Shorter times, or the other rule, than the configuration allows or holds."""
    for name, value in {"DECIDE_S": DECIDE_S, "REMIND_S": REMIND_S, **values}.items():
        await on.rows(f"dialplan set global {name} {value}")


async def cti(*arguments: str) -> Result:
    """The command line, beside our loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


async def callers_channel(on: Stage) -> str:
    rows = await on.rows("core show channels concise")
    (found,) = [row.split("!")[0] for row in rows if row.startswith("PJSIP/pstn")]
    return found


@pytest.mark.parametrize(("danger", "service"), [(False, True), (True, True), (False, False)])
async def test_the_deadline_parts_as_undecided_would_and_is_on_record_once(
    on: Stage, danger: bool, service: bool
) -> None:
    await policy(on)
    call, seat, police = await together(on)
    opened = time.monotonic()
    if danger:
        caller = await callers_channel(on)
        await on.rows(f"dialplan set chanvar {caller} SHARED(DANGER) 1")
    cti = on.instance.children["cti"]
    if not service:
        cti.kill(signal.SIGKILL)
        await cti.wait()
    await sign(seat, opened, DECIDE_S)
    await sign(police, opened, DECIDE_S)
    assert not call.heard(opened).ever("music"), "the reminder is the seats' alone"
    stays, goes = (police, seat) if danger else (seat, police)
    gone = await goes.wait_ended(DECIDE_S)
    assert DECIDE_S - 1 <= gone - opened <= DECIDE_S + 3
    await all_hear(call, stays)
    assert call.heard().longest_without({stays.phone.name}, gone + 0.1, time.monotonic() - 0.1) <= CHANGE_MS
    await asyncio.sleep(5.5 if service else 0.5)  # the service's own look at the clock must not decide again
    call.hangup()
    if not service:
        await cti.restart()
    facts = await told(on, "ConferenceDecided", "DecisionDue", "ConferenceEnded", "DecisionDisputed")
    (decided,) = [f.data for f in facts if f.kind == "ConferenceDecided"]
    assert (decided["why"], decided["accepts"]) == ("deadline", "12345")  # the service was not told of the danger
    assert decided["basis"] == "first-receiver"
    assert len([f for f in facts if f.kind == "DecisionDue"]) == 1 == len([f for f in facts
                                                                          if f.kind == "ConferenceEnded"])  # fmt: skip


async def test_the_deadline_while_they_confer_brings_the_caller_back(on: Stage) -> None:
    await policy(on)
    call, seat, police = await together(on)
    await asyncio.sleep(DECIDE_S - 5)
    await police.dtmf("*3")
    await hears(call, "music")
    await police.wait_ended(DECIDE_S)
    await all_hear(call, seat)
    call.hangup()
    (decided,) = await told(on, "ConferenceDecided")
    assert (decided.data["why"], decided.data["accepts"]) == ("deadline", "12345")


async def test_both_must_agree_and_nobody_goes_before(on: Stage) -> None:
    await policy(on, ROOM_RULE="both", DECIDE_S=60)
    call, seat, police = await together(on)
    pressed = await seat.dtmf("*72")
    await sign(police, pressed)  # asked to confirm
    await asyncio.sleep(4)
    await all_hear(call, seat, police)
    await police.dtmf("*71")
    await seat.wait_ended(3)
    await all_hear(call, police)
    call.hangup()
    (decided,) = await told(on, "ConferenceDecided")
    assert (decided.data["accepts"], decided.data["basis"], decided.data["rule"]) == ("110", "chosen", "both")
    assert decided.data["words"] == "12345=110,110=110"


async def test_both_disagree_and_the_first_receiver_accepts(on: Stage) -> None:
    await policy(on, ROOM_RULE="both", DECIDE_S=60)
    call, seat, police = await together(on)
    await police.dtmf("*72")
    await asyncio.sleep(0.5)
    await seat.dtmf("*72")
    await police.wait_ended(3)
    await all_hear(call, seat)
    call.hangup()
    (decided,) = await told(on, "ConferenceDecided")
    assert (decided.data["outcome"], decided.data["accepts"], decided.data["disputed"]) == (
        "disagreement", "12345", 1)  # fmt: skip
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        status, shown = await api.get("/disputes", "", role="supervisor")
        assert status == 200
        (listed,) = shown["disputes"]
        assert (listed["ref"], listed["kind"], listed["said"]) == (
            decided.ref, "disagreement", "110=12345,12345=110")  # fmt: skip
        assert (await api.get("/disputes?period=2020Q1", "", role="read-only"))[1]["disputes"] == []
        assert (await api.get("/disputes?period=May", "", role="supervisor"))[1]["code"] == "invalid-field"
        assert (await api.get("/disputes", "1001"))[1]["code"] == "wrong-role"
    told_by_cli = await cti("disputes", "--json", "--state", str(on.instance.state))
    assert json.loads(told_by_cli.stdout)["disputes"] == shown["disputes"]
    table = await cti("disputes", "--state", str(on.instance.state))
    assert table.exit_code == 0 and "disputes 20" in table.stdout


async def test_one_word_of_two_and_the_deadline_decides(on: Stage) -> None:
    await policy(on, ROOM_RULE="both")
    call, seat, police = await together(on)
    await police.dtmf("*71")
    await police.wait_ended(DECIDE_S + 3)
    await all_hear(call, seat)
    call.hangup()
    (decided,) = await told(on, "ConferenceDecided")
    assert (decided.data["why"], decided.data["words"]) == ("deadline", "110=110")


async def test_a_caller_whom_the_keeper_finds_alone_twice_goes_to_the_lobby(on: Stage) -> None:
    """Every exit before it is taken away: the seats' hangup handlers are, and the caller sits with the keeper."""
    call, seat, police = await together(on)
    await asyncio.sleep(5.2)
    for code in (0, 1):  # once aside and back: then no Queue() is behind him, which would end the bridge itself
        await seat.dtmf("*3")
        await hears(call, "music") if code == 0 else await all_hear(call, seat, police)
    caller = await callers_channel(on)
    await on.rows(f"dialplan set chanvar {caller} SHARED(ROOM) ")
    await on.rows(f"dialplan set chanvar {caller} SHARED(SEATCHAN) nobody")
    await on.rows(f"dialplan set chanvar {caller} SHARED(XF) ")
    seat.hangup()
    police.hangup()
    left = time.monotonic()
    await call.wait_ended(14)
    assert call.t_ended is not None and call.t_ended - left > 1, "the keeper looked twice, then he was told goodbye"
