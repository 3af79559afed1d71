"""Emergency plans on the real programs: front message, `*119`, duty phones, drill, kills; two at once; seats lent."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cti.cli.plan import plan as command
from cti.core.facts import Fact
from cti.dialtest.phone import Answer, Reject, Ring
from cti.dialtest.scenarios import plan
from cti.dialtest.scenarios.plan import FIRE, FIRST, PLAN, SECOND, Scene, ask, scene
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory, load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from cti.stack.sites import Sites
from tests.real.test_two_sites import trunk_up

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

OTHER = "other"
BUSY, GONE, RINGS = "08720009811", "08720009812", "08720009813"


@asynccontextmanager
async def site(root: RuntimeRoot, tmp_path: Path, **more: Any) -> AsyncIterator[Stage]:
    """The dial test's site, with another plan of these parts; afterwards no channel is left."""
    config = plan.prepare(folder("config"), tmp_path / "config")
    one = yaml.safe_load((config / f"plans/{PLAN}.yaml").read_text(encoding="utf-8"))
    (config / f"plans/{OTHER}.yaml").write_text(yaml.safe_dump(one | more, allow_unicode=True), encoding="utf-8")
    directory = load_directory(config, dt.date.today())
    async with (
        Instance(root, tmp_path / "state", directory, config, folder("dialplan")) as instance,
        stage(instance, seats=plan.SEATS, callers=1) as on,
    ):
        yield on
        assert await on.leftovers() == []


async def rows(on: Scene) -> set[str]:
    """What AstDB holds of plans, the runs' numbers taken off."""
    return {row.split()[0] for row in await on.astdb() if row.startswith("/plan-")}


async def api(on: Scene, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(ask, on.stage, method, f"/plans{path}", body)


async def laid(on: Scene, wanted: set[str]) -> None:
    found = await rows(on)
    for _ in range(100):
        if found == wanted:
            return
        await asyncio.sleep(0.05)
        found = await rows(on)
    raise AssertionError(f"{wanted} wanted, not {found}")


async def test_a_drill_and_a_plan_whose_service_is_killed(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    """The dial test's stories but the plain one, of which the last is a superset."""
    async with site(runtime_root, tmp_path) as on:
        for number, story in list(enumerate(plan.STORIES))[1:]:
            run = await plan.one(on, number, random.Random(number), on.callers[0])
            assert (run.story, run.faults) == (story, [])
            assert run.key_to_invite_ms is not None and run.key_to_invite_ms < 50
        shown = CliRunner().invoke(command, ["report", PLAN, "--state", str(on.instance.state)])
        assert shown.exit_code == 0 and "拨测值班室: 已确认" in shown.output and "→ 119 answered 1" in shown.output
        drill = next(f for f in await on.facts() if f.kind == "PlanStarted" and f.data["drill"])
        told = (await asyncio.to_thread(ask, on, "GET", f"/plans/{PLAN}/report?run={drill.data['run']}", None))[1]
        assert (told["drill"], told["calls"], told["answered"], told["front"]["heard"]) == (True, 1, 1, 1)
        counted = sum(f.kind == "CallEnded" and not f.data.get("drill") for f in await on.facts())
        reader, writer = await asyncio.open_connection("127.0.0.1", on.instance.ports.http)
        writer.write(b"GET /status HTTP/1.0\r\n\r\n")
        status = (await reader.read()).decode()
        writer.close()
        assert f'"offered": {counted},' in status, "a drill's call is in no published figure"


async def test_two_plans_compose_and_a_duty_call_is_told_apart(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    """Stopping one leaves what the other needs; a drill beside them is apart; busy, gone before the 1, stopped."""
    contact = {"kind": "phone", "trunk": "pstn", "timeout": 20}
    duty = {"say": plan.NOTICE, "rounds": 1, "pause": 0, "phones": [
        {"name": {"zh": name, "en": name}, "contacts": [{**contact, "number": number}]}
        for name, number in (("忙", BUSY), ("走", GONE), ("响", RINGS))]}  # fmt: skip
    front = {"hotlines": ["12345"], "say": "另一方案。"}
    async with site(runtime_root, tmp_path, open=[FIRE, "120"], front=front, duty=duty) as made, \
            scene(made, random.Random(1), made.callers[0]) as on:  # fmt: skip
        on.town.policies |= {BUSY: Reject(486), GONE: Answer(0.1, hang_up_after=0.5), FIRST: Answer(0.1)}
        before = await on.astdb()
        assert (await api(on, "POST", f"/{PLAN}/start", {}))[0] == 201
        one = {"/plan-front/all/12345", f"/plan-open/all/{FIRE}"}
        await laid(on, one)
        mine = [row for row in await on.astdb() if row.startswith("/plan-front")]
        first = await on.town.rung(FIRST, 3)
        await first.wait_heard("notice", 3)
        await first.dtmf("1")
        assert (await api(on, "POST", f"/{OTHER}/start", {}))[0] == 201
        await laid(on, {*one, "/plan-open/all/120"})
        both = next(row for row in await on.astdb() if row.startswith("/plan-front"))
        assert both.split(" : ")[1].count("said-") == 2, "the older plan's message first, then the other's"
        assert both.split(" : ")[1].startswith(mine[0].split(" : ")[1].strip())
        rings = await on.town.rung(RINGS, 3)
        shown: dict[str, Any] = {}
        for _ in range(60):
            shown = (await api(on, "GET", f"/{OTHER}"))[1]
            if [d["last"] for d in shown["run"]["duties"][:2]] == ["busy", "vanished"]:
                break
            await asyncio.sleep(0.1)
        assert [(d["state"], d["last"], d["told"]) for d in shown["run"]["duties"]] == [
            ("unreached", "busy", 0), ("unreached", "vanished", 1), ("ringing", "", 0)]  # fmt: skip
        assert (await api(on, "POST", f"/{OTHER}/stop", {}))[0] == 200
        await rings.wait_ended(2)
        await laid(on, one)
        assert [row for row in await on.astdb() if row.startswith("/plan-front")] == mine
        assert (await api(on, "POST", f"/{OTHER}/start", {"drill": True}))[0] == 201
        run = (await api(on, "GET", f"/{OTHER}"))[1]["run"]["id"]
        await laid(on, {*one, f"/plan-caller/n{plan.DRILL_CALLER}", f"/plan-front/{run}/12345",
                        f"/plan-open/{run}/{FIRE}", f"/plan-open/{run}/120"})  # fmt: skip
        for name in (OTHER, PLAN):
            assert (await api(on, "POST", f"/{name}/stop", {}))[0] == 200
        for _ in range(40):
            if await on.astdb() == before:
                break
            await asyncio.sleep(0.05)
        assert await on.astdb() == before
        assert (await api(on, "POST", "/nothing/start", {}))[1]["code"] == "unknown-plan"
        ended = [(f.data["name"], f.data["result"]) for f in await made.facts()
                 if f.kind == "DutyEnded" and not f.data["drill"]]  # fmt: skip
        assert ended == [("拨测值班室", "acknowledged"), ("忙", "unreached"), ("走", "unreached"), ("响", "stopped")]
        assert not on.town.calls_to(SECOND), "he had been reached"


async def test_119_by_second_line_refer_and_http_and_a_caller_who_leaves_in_the_message(
    runtime_root: RuntimeRoot, tmp_path: Path
) -> None:
    """Every kind of key leads to the one door, which refuses what no plan has opened."""
    async with site(runtime_root, tmp_path) as made, scene(made, random.Random(2), made.callers[0]) as on:
        call = await on.calls("13900002001")
        seat = await on.seat_of("13900002001", call)
        asked = ("POST", "/transfers", {"to": FIRE, "call": await ref_of(made, "13900002001")})
        assert (await asyncio.to_thread(ask, made, *asked))[1]["code"] == "not-open"
        line = await seat.phone.dial(FIRE)
        await line.wait_ended(6)
        assert (await api(on, "POST", f"/{PLAN}/start", {}))[0] == 201
        await laid(on, {"/plan-front/all/12345", f"/plan-open/all/{FIRE}"})
        assert not on.town.calls_to(FIRE)
        on.town.policies[FIRE] = Ring()
        for way in range(2):
            if way:
                assert (await asyncio.to_thread(ask, made, *asked))[0] == 201
            else:
                line = await seat.phone.dial(FIRE)
            fire = await on.town.rung(FIRE, 3, way)
            pressed = await seat.dtmf("*0")  # "stay with me" is for a platform
            await seat.wait_heard("music", 4, after=pressed)
            await seat.dtmf("*9")
            await fire.wait_ended(3)
        await seat.refer(FIRE)
        fire = await on.town.rung(FIRE, 3, 2)
        await call.wait_heard("music", 3)
        fire.answer()
        await call.wait_heard("town", 4)
        call.hangup()
        leaver = await on.calls("13900002002")
        await leaver.wait_heard("front", 4)
        leaver.hangup()
        ended = await made.wait_fact("CallEnded", await ref_of(made, "13900002002"))
        assert ended is not None and ended.data["outcome"] == "unasked"
        ref = await ref_of(made, "13900002001")
        assert await made.wait_fact("CallEnded", ref) is not None
        facts = await made.facts(ref)
        ends = [f.data["outcome"] for f in facts if f.kind == "TransferEnded"]
        assert [end for end in ends if end != "refused"] == ["cancelled", "cancelled", "answered"]
        assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["dial", "api", "refer"]
        codes = [f.data["code"] for f in facts if f.kind in ("TransferRefused", "RoomRefused")]
        assert codes == ["no-route", "no-route"], codes
        assert not [f for f in facts if f.kind == "Anomaly"]
        assert (await api(on, "POST", f"/{PLAN}/stop", {}))[0] == 200  # no duty phone is rung while the town closes


async def ref_of(on: Stage, cli: str) -> str:
    for _ in range(50):
        found = [f.ref for f in await on.facts() if f.kind == "CallArrived" and f.data["caller"] == cli]
        if found:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"{cli} never arrived")


async def home_again(on: Stage) -> list[Fact]:
    """What is on record of the lease, once it has ended, or what there is after 3 s."""
    moved: list[Fact] = []
    for _ in range(30):
        moved = [f for f in await on.facts() if f.kind == "LeaseMoved"]
        if moved and moved[-1].data["state"] == "returned":
            break
        await asyncio.sleep(0.1)
    return moved


async def test_seats_of_another_site_come_with_the_plan_and_go_home_with_it(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """Two real sites: a drill of flood-dali borrows a seat of Kunming's; the mark is on both sides' records."""
    settings = {"CTI_LENDING__EVERY": "0.5"}
    async with (
        Sites(runtime_root, tmp_path, directory, folder("config"), folder("dialplan"), settings=settings) as sites,
        stage(sites[0], seats=["1001"], callers=1) as kunming,
        stage(sites[1], seats=["8001"], callers=1, first_tone=20) as dali,
    ):
        await trunk_up(kunming, "532900")
        status, _ = await asyncio.to_thread(ask, kunming, "POST", "/plans/flood-dali/start", {})
        assert status == 409, "Kunming has no flood in Dali"
        assert (await asyncio.to_thread(ask, dali, "POST", "/plans/flood-dali/start", {"drill": True}))[0] == 201
        await seats_here(dali, 1, 12)
        lent = kunming.seats["1001"]
        lent.on_invite = Answer(0.1)
        call = await dali.callers[0].dial("12345", caller_id="13900007777")
        assert "site=532900" in ((await lent.wait_incoming(6)).invite.headers.get("X-Hotline") or "")
        await call.wait_heard("1001", 4)
        call.hangup()
        assert (await asyncio.to_thread(ask, dali, "POST", "/plans/flood-dali/stop", {}))[0] == 200
        await seats_here(dali, 0, 6)
        for on in (kunming, dali):
            moved = await home_again(on)
            assert moved and all(str(f.data["drill"]).startswith("flood-dali-") for f in moved)
            assert moved[-1].data["state"] == "returned"
        ended = [f for f in await dali.facts() if f.kind == "CallEnded"]
        assert all("drill" not in f.data for f in ended), "a citizen served by a borrowed seat counts"


async def seats_here(on: Stage, wanted: int, seconds: float) -> None:
    deadline, shown = time.monotonic() + seconds, {}
    while time.monotonic() < deadline:
        shown = (await asyncio.to_thread(ask, on, "GET", "/plans/flood-dali", None))[1]["run"]
        if shown["seats"][0]["here"] == wanted and (wanted or shown["home"]):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{wanted} seats wanted: {shown}")
