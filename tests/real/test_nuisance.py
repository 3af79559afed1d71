"""The nuisance list on the real stack: a notice with the emergency route open, never for 110, with the service and
without."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
import signal
import time
import urllib.error
import urllib.request
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner

from cti.__main__ import main
from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from cti.stack.sounds import tone
from cti.web.auth import Tokens, Who
from tests.real.story import ended
from tests.real.test_queues import metrics

pytestmark = pytest.mark.real

LISTED, OTHER, RAPID = "13900001111", "13900002222", "13900003333"
CALL = "530100-1795484553.20"
AGENT, BOSS, CHIEF = Who("agent", "1001", name="2001"), Who("supervisor", name="li"), Who("supervisor", name="wang")


@pytest_asyncio.fixture(loop_scope="function")
async def here(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[Stage]:
    """An installation with 2 s of music after the notice, and a rule: three calls under 3 s."""
    config = tmp_path / "config"
    shutil.copytree(folder("config"), config)
    text = (config / "nuisance.yaml").read_text(encoding="utf-8")
    for before, after in (("wait: 5 ", "wait: 2 "), ("calls: 8, seconds: 10", "calls: 3, seconds: 3")):
        assert before in text
        text = text.replace(before, after)
    (config / "nuisance.yaml").write_text(text, encoding="utf-8")
    directory = load_directory(config, dt.date.today())
    async with (
        Instance(runtime_root, tmp_path / "state", directory, config, folder("dialplan")) as instance,
        stage(instance, seats=["1001", "1002", "8101", "8102"], callers=2) as made,
    ):
        for phone in made.seats.values():
            phone.on_invite = Answer(0.05)
        yield made
        for phone in (*made.callers, *made.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await made.leftovers() == []


async def api(on: Stage, path: str, who: Who, body: dict[str, Any] | None = None, key: str = "") -> tuple[int, Any]:
    """Status and JSON of `/api/v1/nuisance…`; POST with a body."""
    headers = {"Authorization": f"Bearer {Tokens(on.instance.http_secret).make(who)}",
               "Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}  # fmt: skip
    ask = urllib.request.Request(f"http://127.0.0.1:{on.instance.ports.http}/api/v1/nuisance{path}",
                                 data=None if body is None else json.dumps(body).encode(), headers=headers)  # fmt: skip

    def send() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(ask, timeout=5) as told:
                return told.status, json.load(told)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    return await asyncio.to_thread(send)


async def row(on: Stage, number: str, wanted: bool) -> None:
    """Wait until AstDB has the number, or has it not."""
    for _ in range(100):
        found = [line for line in await on.rows(f"database get nuisance {number}") if line.startswith("Value:")]
        if bool(found) is wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"AstDB: {number} wanted {wanted}")


async def put_on(on: Stage, number: str) -> str:
    """Propose and approve; the entry."""
    body = {"number": number, "reason": "反复辱骂", "evidence": [CALL]}
    status, one = await api(on, "", AGENT, body)
    assert status == 201, one
    status, told = await api(on, f"/{one['entry']}/approve", BOSS, {"days": 1})
    assert status == 200, told
    await row(on, number, True)
    return str(one["entry"])


def kinds(facts: list[Fact]) -> list[str]:
    return [f.kind for f in facts]


async def served(on: Stage, call: Call, cli: str, seconds: float = 5) -> float:
    """He and a seat hear each other, he was never in silence on the way; s from his INVITE to the seat's."""
    seat = await whose(list(on.seats.values()), cli, seconds)
    assert seat is not None and seat.t_invite is not None and call.t_invite is not None, "no seat rang for him"
    await call.wait_heard(seat.phone.name, 4)
    return seat.t_invite - call.t_invite


async def test_listed_hears_the_notice_and_gets_through_with_the_service_well_and_dead(here: Stage) -> None:
    on, caller = here, here.callers[0]
    entry = await put_on(on, LISTED)
    # by the key, at once; by any way of writing his number
    call = await caller.dial("12345", caller_id=f"+86{LISTED}")
    await call.wait_answered(3)
    await asyncio.sleep(1.2)
    assert await whose(list(on.seats.values()), f"+86{LISTED}", 0.1) is None, "a seat rang before he had heard it"
    await call.dtmf("1")
    await served(on, call, f"+86{LISTED}")
    assert "nuisance=key" in on_screen(on, f"+86{LISTED}")
    call.hangup()
    facts = await ended(on, f"+86{LISTED}")
    last = next(f for f in facts if f.kind == "CallEnded")
    assert (last.data["outcome"], last.data["notice"]) == ("answered", "key")
    told = next(f for f in facts if f.kind == "NuisanceTold")
    assert told.data["entry"] == entry
    # he leaves during the notice: on record, in no rate
    call = await caller.dial("12345", caller_id=f"0{LISTED}")
    await asyncio.sleep(1.0)
    call.hangup()
    last = next(f for f in await ended(on, f"0{LISTED}") if f.kind == "CallEnded")
    assert (last.data["outcome"], last.data["notice"]) == ("unasked", "told")
    # 110 serves the same number at once, and who is handed over to 12345 from there hears no notice
    call = await caller.dial("110", caller_id=LISTED)
    assert await served(on, call, LISTED) < 1.5
    await seat_of(on, "81", LISTED).dtmf("*12345")
    given = await whose([on.seats["1001"], on.seats["1002"]], LISTED, 5)
    assert given is not None
    await call.wait_heard(given.phone.name, 4)
    call.hangup()
    assert "NuisanceTold" not in kinds(await ended(on, LISTED))
    text = metrics(on)
    assert 'cti_nuisance_notices_total{what="told"} 2.0' in text and 'what="key"} 1.0' in text
    # danger to life: for a day he is asked nothing
    call = await caller.dial("12345", caller_id=f"0086{LISTED}")
    await call.wait_answered(3)
    await call.dtmf("1")
    await served(on, call, f"0086{LISTED}")
    await seat_of(on, "10", f"0086{LISTED}").dtmf("**110")
    taken = await whose([on.seats["8101"], on.seats["8102"]], f"0086{LISTED}", 5)
    assert taken is not None
    call.hangup()
    await ended(on, f"0086{LISTED}")
    call = await caller.dial("12345", caller_id=f"+86{LISTED[:-1]}9")  # another number: not listed, not freed
    await served(on, call, f"+86{LISTED[:-1]}9")
    call.hangup()
    again = await on.callers[1].dial("12345", caller_id=LISTED)
    assert await served(on, again, LISTED) < 1.5
    again.hangup()
    await on.rows(f"database del nuisance-free {LISTED}")
    # the service dies while another hears it; he stays on the line, and is let in after the music
    short_notice(on)
    call = await caller.dial("12345", caller_id=f"86{LISTED}")
    await call.wait_answered(3)
    on.instance.children["cti"].kill(signal.SIGKILL)
    waited = await served(on, call, f"86{LISTED}", 8)
    assert waited > 2
    assert call.heard().longest_without({"music", "1001", "1002"}, (call.t_answered or 0) + 0.3) < 250
    call.hangup()


def seat_of(on: Stage, numbers: str, cli: str) -> Call:
    """The living call of this caller at a seat whose number begins so."""
    return next(c for n, p in on.seats.items() if n.startswith(numbers) for c in p.calls
                if c.caller.user == cli and c.t_answered and c.t_ended is None)  # fmt: skip


def on_screen(on: Stage, cli: str) -> str:
    """What the seat's screen was told of him."""
    calls = [call for phone in on.seats.values() for call in phone.calls]
    return next(str(call.invite.headers.get("X-Hotline")) for call in calls if call.caller.user == cli)


def short_notice(on: Stage) -> None:
    """A spoken notice of 0.6 s, so that a test need not wait for the whole of it."""
    with wave.open(str(on.instance.place.sounds / "nuisance.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(tone(((600, 300), (500, 300))))


async def test_expired_rings_and_a_restart_of_asterisk_brings_the_list_back(here: Stage) -> None:
    on = here
    await put_on(on, LISTED)
    # Expired by the clock alone, with nobody there to take it out.
    on.instance.children["cti"].kill(signal.SIGKILL)
    await on.rows(f"database put nuisance {OTHER} {int(time.time()) - 1}~x")
    call = await on.callers[1].dial("12345", caller_id=OTHER)
    assert await served(on, call, OTHER) < 1.5
    call.hangup()
    # The rows lost, the service killed: the ledger has the list. Then Asterisk killed, and its whole AstDB lost.
    await on.rows("database deltree nuisance")
    await on.instance.children["cti"].restart()
    await row(on, LISTED, True)
    await row(on, OTHER, False)
    asterisk = on.instance.children["asterisk"]
    asterisk.kill(signal.SIGKILL)
    await asterisk.wait()
    (on.instance.place.state / "db" / "astdb.sqlite3").unlink()
    await asterisk.restart()
    await on.look_before()  # its modules are loaded: it can be asked
    await row(on, LISTED, True)


async def test_a_rule_proposes_and_blocks_nobody_people_decide(here: Stage) -> None:
    on, caller = here, here.callers[0]
    for n in range(4):
        call = await caller.dial("12345", caller_id=RAPID)
        assert await served(on, call, RAPID) < 1.5, f"call {n} was held up by a proposal"
        call.hangup()
        await asyncio.sleep(0.3)
    found: list[Any] = []
    for _ in range(50):
        found = (await api(on, "?state=proposed", BOSS))[1]["nuisance"]
        if found:
            break
        await asyncio.sleep(0.1)
    (one,) = found
    assert (one["number"], one["rule"], one["proposed_by"]) == (RAPID, "short-calls", "rule")
    assert len(one["evidence"]) >= 3
    await row(on, RAPID, False)
    entry = one["entry"]
    status, whole = await api(on, f"/{entry}", BOSS)
    assert status == 200 and all(c["recordings"] for c in whole["calls"]), "recordings are the evidence"
    assert (await api(on, f"/{entry}", AGENT))[1]["number"] == "…33"
    # people
    assert (await api(on, f"/{entry}/approve", AGENT, {}))[1]["code"] == "wrong-role"
    assert (await api(on, f"/{entry}/approve", Who("supervisor"), {}))[1]["code"] == "no-name"
    again = {"number": RAPID, "reason": "again", "evidence": [CALL]}
    assert (await api(on, "", BOSS, again))[1]["code"] == "nuisance-open"
    own = {"number": LISTED, "reason": "反复辱骂", "evidence": [CALL]}
    status, mine = await api(on, "", BOSS, own, "k1")
    assert status == 201 and (await api(on, "", BOSS, own, "k1")) == (200, mine)
    assert (await api(on, f"/{mine['entry']}/approve", BOSS, {}))[1]["code"] == "nuisance-same-person"
    out = await asyncio.to_thread(cti, on, "approve", mine["entry"], "--by", "wang")
    assert "撤销 / undo: cti nuisance remove" in out, out
    assert "反复辱骂" in await asyncio.to_thread(cti, on, "show", mine["entry"])
    assert (await api(on, f"/{mine['entry']}/appeal", AGENT, {"text": "号码已过户"}))[0] == 200
    decided = f"/{mine['entry']}/appeal/decide"
    assert (await api(on, decided, CHIEF, {"outcome": "granted"}))[1]["code"] == "nuisance-same-person"
    status, over = await api(on, decided, BOSS, {"outcome": "granted", "note": "属实"})
    assert status == 200 and (over["state"], over["how"]) == ("ended", "appeal")
    await row(on, LISTED, False)
    steps = [f for f in await on.facts() if "Nuisance" in f.kind or "Appeal" in f.kind]
    who = [(f.kind, f.data.get("by")) for f in steps if f.data.get("entry") == mine["entry"]]
    assert who == [("NuisanceProposed", "li"), ("NuisanceApproved", "wang"), ("NuisanceAppealed", "2001"),
                   ("AppealGranted", "li"), ("NuisanceEnded", "li")]  # fmt: skip


def cti(on: Stage, *words: str) -> str:
    """`cti nuisance …` on this instance."""
    done = CliRunner().invoke(main, ["nuisance", "--state", str(on.instance.state), *words])
    assert done.exit_code == 0, done.output
    return str(done.output)
