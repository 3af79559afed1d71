"""A caller chooses to be called back: his place is kept, a seat gets the task at his turn, the service well or dead."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cti.cli.callbacks import callbacks
from cti.core.answer_rate import EndedCall, answer_rate
from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Reject, Ring
from cti.dialtest.stack import Stage, stage
from cti.dialtest.tones import TONES
from cti.directory import Directory
from cti.replay import replay_call
from cti.share import folder
from cti.stack import netports
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.root import RuntimeRoot
from cti.web.auth import Tokens, Who
from tests.real.story import ended
from tests.real.test_queues import kinds, lines, live, rings

pytestmark = pytest.mark.real

BUSY, ASKS, NEXT = "13800000000", "13800000001", "13800000002"


@asynccontextmanager
async def site(root: RuntimeRoot, directory: Directory, tmp: Path, seats: list[str],
               ) -> AsyncIterator[tuple[Stage, Phone]]:  # fmt: skip
    """An installation whose trunk leads to the caller's own telephone; afterwards no channel is left."""
    port = netports.free_udp_port()
    changed = lines(directory, "12345", callback=True)
    trunks = tuple(t.model_copy(update={"port": port}) for t in changed.trunks)
    changed = changed.model_copy(update={"trunks": trunks})
    async with (
        Instance(root, tmp / "state", changed, folder("config"), folder("dialplan")) as instance,
        stage(instance, seats=seats, callers=3) as on,
    ):
        home = Phone("home", TONES[-1], on.server, ASKS, None, local_host=TRUNK_HOST, local_port=port)
        await home.start()
        try:
            yield on, home
            for phone in (*on.callers, *on.seats.values(), home):
                for call in phone.calls:
                    call.hangup()
            assert await on.leftovers() == []
        finally:
            await home.stop()


async def asks_back(on: Stage) -> tuple[Call, Call, Call]:
    """Seat 1001 talks; behind it one who presses 1 and is gone, and one who came after him and waits on."""
    on.seats["1001"].on_invite = Answer(0.05)
    busy = await on.callers[0].dial("12345", caller_id=BUSY)
    await busy.wait_heard("1001", 5)
    asks = await on.callers[1].dial("12345", caller_id=ASKS)
    await asks.wait_heard("music", 3)
    waits = await on.callers[2].dial("12345", caller_id=NEXT)
    await waits.wait_heard("music", 3)
    await asyncio.sleep(0.3)
    await asks.dtmf("1")
    await asks.wait_ended(12)
    assert asks.heard().longest_without({"music"}, (asks.t_answered or 0) + 0.3) < 400, "told, not left in silence"
    return busy, asks, waits


async def until(on: Stage, kind: str, ref: str) -> Fact:
    found = await on.wait_fact(kind, ref)
    assert found is not None, f"no {kind}"
    return found


def api(on: Stage, path: str, who: Who, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of `/api/v1/callbacks…`; POST with a body."""
    data = None if body is None else json.dumps(body).encode()
    ask = urllib.request.Request(
        f"http://127.0.0.1:{on.instance.ports.http}/api/v1/callbacks{path}", data=data,
        headers={"Authorization": f"Bearer {Tokens(on.instance.http_secret).make(who)}",
                 "Content-Type": "application/json"})  # fmt: skip
    try:
        with urllib.request.urlopen(ask, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as why:
        return why.code, json.load(why)


@pytest.mark.parametrize("dead", [False, True], ids=["service well", "service killed"])
async def test_his_place_is_kept_and_his_turn_rings_seat_then_him(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path, dead: bool
) -> None:
    """The seat has him before the one who came later; both hear each other at once; the key to 110 works in that talk;
    what is on record is the same when the service was dead from before the digit to after the talk."""
    async with site(runtime_root, directory, tmp_path, ["1001", "8001"]) as (on, home):
        seat, service = on.seats["1001"], on.instance.children["cti"]
        if dead:
            service.kill()
            await service.wait()
        busy, _, waits = await asks_back(on)
        home.on_invite = Answer(1.0)
        talk = seat.calls[-1]
        busy.hangup()
        taken = await live(seat, 6, but=talk)
        theirs = await live(home, 8)
        await theirs.wait_heard("1001", 2)
        await taken.wait_heard("home", 2)
        assert taken.heard().longest_without({"music", "home"}, (taken.t_answered or 0) + 0.1) < 250, "never in silence"
        assert "callback=" in taken.invite.headers.get("X-Hotline") and ASKS in taken.invite.headers.get("X-Hotline")
        assert waits.heard().longest_without({"music"}, (waits.t_answered or 0) + 0.3) < 200 and not waits.t_ended
        on.seats["8001"].on_invite = Answer(0.05)
        await taken.dtmf("*110")
        await theirs.wait_heard("8001", 5)
        assert theirs.t_ended is None
        theirs.hangup()
        await waits.wait_heard("1001", 8)
        waits.hangup()
        if dead:
            assert not [f for f in await on.facts() if f.kind.startswith("Callback")]
            await service.restart()
        everything: list[Fact] = []
        for _ in range(100):
            everything = await on.facts()
            if kinds(everything, "CallbackEnded") and len(kinds(everything, "CallEnded")) == 4:
                break
            await asyncio.sleep(0.1)
        (done,) = kinds(everything, "CallbackEnded")
        assert (done.data["result"], done.data["attempts"], done.data["why"]) == ("answered", 1, "asked")
        outcomes = sorted(str(f.data["outcome"]) for f in kinds(everything, "CallEnded"))
        assert outcomes == ["answered", "answered", "callback", "called-back"]
        rate = answer_rate([EndedCall(int(str(f.data["arrived_at"])), str(f.data["hotline"]), str(f.data["outcome"]))
                            for f in kinds(everything, "CallEnded")], 0, 1 << 62)  # fmt: skip
        assert (rate.answered, rate.offered, rate.callback) == (2, 3, 1), "a callback never mends the answer rate"
        assert not kinds(everything, "Anomaly")
        assert replay_call(await on.facts(done.ref)) == []


async def test_tries_by_the_list_and_what_became_of_them(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """Busy at his turn: the task is in the list. Taken from there by a seat (API), no answer; then a person's word ends
    it. The abandoned caller is in the same list."""
    boss, agent = Who("supervisor"), Who("agent", "1001")
    async with site(runtime_root, directory, tmp_path, ["1001"]) as (on, home):
        seat = on.seats["1001"]
        home.on_invite = Reject(486)
        busy, _, waits = await asks_back(on)
        waits.hangup()
        (arrived,) = [f for f in await on.facts() if f.kind == "CallArrived" and f.data["caller"] == ASKS]
        task = arrived.ref
        busy.hangup()
        failed = await until(on, "CallbackFailed", task)
        assert failed.data["why"] == "busy"
        for _ in range(50):
            if all(call.t_ended for call in seat.calls):
                break
            await asyncio.sleep(0.1)
        status, shown = api(on, "?state=open", boss)
        assert status == 200
        by_why = {row["why"]: row for row in shown["callbacks"]}
        assert (by_why["asked"]["state"], by_why["asked"]["attempts"], by_why["asked"]["last"]) == ("due", 1, "busy")
        assert by_why["asked"]["caller"] == ASKS and by_why["abandoned"]["state"] == "due"
        assert {row["caller"] for row in api(on, "", agent)[1]["callbacks"]} == {"…01", "…02"}
        token = Tokens(on.instance.http_secret).make(boss)
        base = f"http://127.0.0.1:{on.instance.ports.http}"
        listed = CliRunner().invoke(callbacks, ["--url", base, "--token", token, "--json"])
        assert listed.exit_code == 0 and {row["why"] for row in json.loads(listed.output)} == set(by_why)
        assert CliRunner().invoke(callbacks, ["--url", base, "--token", "none"]).exit_code == 1
        home.on_invite = Ring()
        assert api(on, f"/{task}/take", Who("read-only"), {})[0] == 403
        assert api(on, f"/{task}/take", agent, {})[0] == 202
        assert api(on, f"/{task}/take", agent, {})[1]["code"] == "callback-taken"
        at_home = await home.wait_ringing(8)
        at_home.reject(480)
        for _ in range(100):
            if len(kinds(await on.facts(task), "CallbackFailed")) == 2:
                break
            await asyncio.sleep(0.1)
        assert [f.data["seat"] for f in kinds(await on.facts(task), "CallbackDialled")] == ["1001", "1001"]
        assert api(on, f"/{task}/result", agent, {"result": "maybe"})[0] == 422
        assert api(on, f"/{task}/result", agent, {"result": "wrong-number", "note": "不是本人"})[0] == 200
        done = await until(on, "CallbackEnded", task)
        assert (done.data["result"], done.data["attempts"]) == ("wrong-number", 2)
        assert api(on, f"/{task}/result", agent, {"result": "answered"})[1]["code"] == "callback-ended"


async def test_without_a_number_he_keeps_his_place_and_a_task_withdrawn_leaves_the_line(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    async with site(runtime_root, directory, tmp_path, ["1001"]) as (on, home):
        on.seats["1001"].on_invite = Answer(0.05)
        busy = await on.callers[0].dial("12345", caller_id=BUSY)
        await busy.wait_heard("1001", 5)
        hidden = await on.callers[1].dial("12345", caller_id="anonymous")
        await hidden.wait_heard("music", 3)
        asks = await on.callers[2].dial("12345", caller_id=ASKS)
        await asks.wait_heard("music", 3)
        await hidden.dtmf("1")
        await asks.dtmf("1")
        await asks.wait_ended(12)
        waiting = [row for row in await on.rows("queue show 12345") if "(wait:" in row]
        assert "PJSIP/pstn" in waiting[0] and "callback-place" in waiting[1], waiting
        task = next(f.ref for f in await on.facts() if f.kind == "CallbackAsked")
        await until(on, "CallbackDue", task)
        assert api(on, f"/{task}/result", Who("supervisor"), {"result": "withdrawn"})[0] == 200
        for _ in range(50):
            waiting = [row for row in await on.rows("queue show 12345") if "(wait:" in row]
            if len(waiting) == 1:
                break
            await asyncio.sleep(0.1)
        assert len(waiting) == 1 and not home.calls
        busy.hangup()
        await hidden.wait_heard("1001", 6)
        assert (await ended(on, ASKS))[-1].kind in ("CallbackEnded", "CallbackPlaceOver", "CallEnded")
        await rings(on, "1001", hidden.caller.user, 1)
