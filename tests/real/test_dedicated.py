"""Dedicated seats (专席): only calls the other platform handed over, whoever tries otherwise; the share is counted."""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from cti.dialtest.phone import Answer, Ring
from cti.dialtest.scenarios import seat, seats
from cti.dialtest.scenarios.seat import calls_of, dial, fact, ready_only, rung
from cti.dialtest.stack import Stage
from cti.stack.root import RuntimeRoot
from cti.web.auth import Tokens, Who
from tests.real.test_seats import open_site

pytestmark = pytest.mark.real


@pytest_asyncio.fixture(loop_scope="function")
async def on(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_site(runtime_root, tmp_path) as made:
        yield made


async def metrics(on: Stage) -> str:
    url = f"http://127.0.0.1:{on.instance.ports.http}/metrics"

    def read() -> str:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


async def test_both_ways_in_and_the_share_is_counted(on: Stage) -> None:
    """Dialled, from outside, for the own platform's caller: refused. Handed over: first, then the spill seat."""
    await seats.dedicated(on)
    for _ in range(50):
        if sum(f.kind == "TransferEnded" for f in await on.facts()) == 3:
            break
        await asyncio.sleep(0.1)
    text = await metrics(on)
    assert 'cti_handed_over_total{by="dedicated",to="110"} 1.0' in text
    assert 'cti_handed_over_total{by="general",to="110"} 1.0' in text, "the spill; not 8102, asked by its own platform"
    assert 'cti_dedicated_refused_total{code="direct"} 2.0' in text


async def test_put_into_a_general_line_at_run_time_it_is_not_rung_and_taken_out(on: Stage) -> None:
    await ready_only(on)
    since = len(await on.facts())
    await on.rows("queue add member PJSIP/8001 to 12345")
    cli = "13912350001"
    caller = await on.callers[0].dial("12345", caller_id=cli)
    await fact(on, "DedicatedRefused", since, seat="8001", code="general-queue", source="12345")
    await asyncio.sleep(2.5)
    assert calls_of(on, "8001", cli) == 0
    # besides it the service's own word, once it has looked at the line and taken the seat out
    refused = [f for f in await on.facts() if f.kind == "DedicatedRefused" and f.source != "service"]
    assert len(refused) == 1, "once, not at every turn"
    on.seats["1001"].on_invite = Answer(0.1)
    await dial(on, "1001", "*14")
    await caller.wait_heard("1001", 4)
    caller.hangup()
    service = on.instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    await service.restart()
    await seat.agree(on)
    assert ("12345", "8001") not in await seat.members(on)


async def test_a_loop_and_a_caller_of_its_own_platform_are_refused_by_code(on: Stage) -> None:
    """12345 → 8001 (dedicated) → 8101 → 8001 is a loop; a 110 caller at 8101 is not for 8001. The talk goes on."""
    await ready_only(on, "1001")
    on.seats["1001"].on_invite = Answer(0.1)
    cli = "13912350002"
    caller = await on.callers[0].dial("12345", caller_id=cli)
    first = await rung(on, cli, ("1001",))
    await caller.wait_heard("1001", 4)
    await first.dtmf("*110", duration_ms=80, gap_ms=60)
    second = await rung(on, cli, ("8001",), 6)
    second.answer()
    await caller.wait_heard("8001", 4)
    await first.wait_ended(3)
    await asyncio.sleep(0.3)

    async def pass_on(seat: str, to: str) -> tuple[int, dict[str, object]]:
        token = Tokens(on.instance.http_secret).make(Who(role="agent", seat=seat))
        url = f"http://127.0.0.1:{on.instance.ports.http}/api/v1/transfers"
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json={"to": to}) as answer:
            return answer.status, await answer.json(content_type=None)

    for phone in on.seats.values():
        phone.on_invite = Ring()
    status, _ = await pass_on("8001", "8101")
    assert status == 201
    third = await rung(on, cli, ("8101",), 6)
    third.answer()
    await caller.wait_heard("8101", 4)
    await second.wait_ended(4)
    await asyncio.sleep(0.5)
    status, problem = await pass_on("8101", "8001")
    assert (status, problem["code"]) == (409, "three-takers")
    since = len(await on.facts())
    again = await on.seats["8101"].dial("8001")
    await fact(on, "DedicatedRefused", since, seat="8001", code="direct", source="8101")
    await again.wait_ended(8)
    caller.hangup()
    await third.wait_ended(4)
    on.seats["8101"].on_invite = Answer(0.1)
    await dial(on, "8102", "*131")
    own = "13912350003"
    caller = await on.callers[1].dial("110", caller_id=own)
    await rung(on, own, ("8101",))
    await caller.wait_heard("8101", 4)
    await asyncio.sleep(0.3)
    status, problem = await pass_on("8101", "8001")
    assert (status, problem["code"]) == (409, "dedicated-only")
    assert calls_of(on, "8001", own) == 0 and caller.t_ended is None
    caller.hangup()
