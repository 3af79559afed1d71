"""A seat's status on the real stack: by phone, by API, after a call, after rings in vain, through kills."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.dialtest.scenarios import seat, seats
from cti.dialtest.scenarios.seat import AGENT, PIN, paused
from cti.dialtest.stack import Stage, stage
from cti.directory import load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from cti.web.auth import Tokens, Who

pytestmark = pytest.mark.real


@contextlib.asynccontextmanager
async def open_site(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[Stage]:
    """An instance of the scenario's own site; afterwards no channel is left."""
    config = seat.prepare(folder("config"), tmp_path / "config")
    directory = load_directory(config, dt.date.today())
    async with (
        Instance(runtime_root, tmp_path / "s", directory, config, folder("dialplan")) as instance,
        stage(instance, seats=seat.SEATS, callers=2) as made,
    ):
        yield made
        for phone in (*made.callers, *made.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await made.leftovers(10) == []


@pytest_asyncio.fixture(loop_scope="function")
async def on(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_site(runtime_root, tmp_path) as made:
        yield made


@pytest.mark.parametrize("story", [name for name in seats.STORIES if name != "dedicated"])
async def test_story(on: Stage, story: str) -> None:
    await seats.STORIES[story](on)


class Api:
    """`/api/v1/seats` as one holder of a token."""

    def __init__(self, on: Stage, **who: Any) -> None:
        self.base = f"http://127.0.0.1:{on.instance.ports.http}/api/v1"
        self.headers = {"Authorization": f"Bearer {Tokens(on.instance.http_secret).make(Who(**who))}"}

    async def __call__(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession(headers=self.headers) as http:
            asked = http.get(self.base + path) if body is None else http.post(self.base + path, json=body)
            async with asked as answer:
                return answer.status, await answer.json(content_type=None)

    async def refused(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        status, problem = await self(path, body)
        return status, str(problem.get("code"))


async def test_over_http(on: Stage) -> None:
    """Log in, pause, be ready, log out; each refusal with its code; app_queue follows within 50 ms here."""
    boss = Api(on, role="supervisor")
    own, other = Api(on, role="agent", seat="1003"), Api(on, role="agent", seat="1001")
    assert await own.refused("/seats/1003/status", {"status": "ready"}) == (409, "not-logged-in")
    assert await own.refused("/seats/1003/login", {"agent": AGENT, "pin": "00000000"}) == (403, "wrong-pin")
    assert await own.refused("/seats/1003/login", {"agent": "9999", "pin": PIN}) == (403, "wrong-pin")
    assert await own.refused("/seats/1003/login", {"agent": AGENT}) == (422, "invalid-field")
    assert await other.refused("/seats/1003/login", {"agent": AGENT, "pin": PIN}) == (403, "not-your-seat")
    assert await boss.refused("/seats/7777/login", {"agent": AGENT}) == (404, "unknown-seat")
    status, row = await own("/seats/1003/login", {"agent": AGENT, "pin": PIN})
    assert (status, row["status"], row["agent"]) == (200, "ready", AGENT) and PIN not in str(row)
    await paused(on, "1003", None)
    assert await boss.refused("/seats/1001/login", {"agent": AGENT}) == (409, "agent-elsewhere")
    assert await own.refused("/seats/1003/status", {"status": "paused", "reason": "nap"}) == (422, "unknown-reason")
    assert await own.refused("/seats/1003/status", {"status": "lent"}) == (422, "invalid-field"), "by a lease alone"
    status, row = await own("/seats/1003/status", {"status": "paused", "reason": "meal"})
    assert (status, row["reason"], row["reason_zh"]) == (200, "meal", "用餐")
    await paused(on, "1003", "meal")
    status, row = await boss("/seats/1003/status", {"status": "training"})
    assert (row["status"], row["by"]) == ("training", "supervisor")
    status, row = await own("/seats/1003/logout", {})
    assert (status, row["status"], row["agent"]) == (200, "out", "")
    await paused(on, "1003", "out")
    reader = Api(on, role="read-only")
    assert len((await reader("/seats"))[1]["seats"]) == 11
    assert await reader.refused("/seats/1001/status", {"status": "ready"}) == (403, "wrong-role")
    changes = [(f.data["status"], f.data["by"]) for f in await on.facts() if f.kind == "SeatStatus"]
    assert changes == [("ready", "1003"), ("paused", "1003"), ("training", "supervisor"), ("out", "1003")]


async def test_a_supervisor_is_told_of_a_seat_that_rings_in_vain(on: Stage) -> None:
    boss = Api(on, role="supervisor")
    alerts: list[str] = []

    async def listen() -> None:
        async with aiohttp.ClientSession(headers=boss.headers) as http, http.get(f"{boss.base}/live") as stream:
            async for line in stream.content:
                if line.startswith((b"event: alert", b"data: ")):
                    alerts.append(line.decode())

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.3)
    await seats.missed(on)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening
    at = alerts.index("event: alert\n")
    assert '"seat": "1001"' in alerts[at + 1] and '"reason": "missed"' in alerts[at + 1]


async def test_a_seat_that_rings_in_vain_is_taken_out_with_the_service_dead(on: Stage) -> None:
    service = on.instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    await seat.ready_only(on, "1001")
    cli = "13912360001"
    caller = await on.callers[0].dial("12345", caller_id=cli)
    await paused(on, "1001", "missed", seconds=14)
    assert seat.calls_of(on, "1001", cli) == seat.MISSES
    caller.hangup()
    await service.restart()
    await seat.agree(on)
    told = await seat.fact(on, "SeatStatus", seat="1001", status="paused", reason="missed")
    assert told.source == "cel"


async def test_by_command(on: Stage) -> None:
    """`cti seats`: the list, a pause with its reason, ready, log-out; a refusal is told in words, with exit 1."""
    state = str(on.instance.state)

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["seats", "--state", state, "--config", str(on.instance.config), *words])

    done = await asyncio.to_thread(run, "pause", "1001", "--reason", "meal")
    assert (done.exit_code, "paused meal" in done.output) == (0, True), done.output
    await paused(on, "1001", "meal")
    assert (await asyncio.to_thread(run, "ready", "1001")).exit_code == 0
    await paused(on, "1001", None)
    refused = await asyncio.to_thread(run, "ready", "1003")
    assert refused.exit_code == 1 and "座席未登录" in refused.output and "not-logged-in" in refused.output
    assert (await asyncio.to_thread(run, "login", "1003", "--agent", AGENT)).exit_code == 0
    told = json.loads((await asyncio.to_thread(run, "--json")).output)
    assert {s["number"]: s["status"] for s in told["seats"]}["1003"] == "ready"
    assert (await asyncio.to_thread(run, "logout", "1003")).exit_code == 0
    assert "拨测员" not in (await asyncio.to_thread(run)).output
