"""`make run SCENARIO=flood`: a flood at one site, an emergency plan started, run and stopped, told a line a step.

Knows: the order of the story, the API of plans. Must not know: how a plan works. Everything in it is real: the two
sites, the callers, the duty phones outside, which are test phones behind the trunk's address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

from cti.demo.callers import calling
from cti.demo.seats import DemoSeats
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.stack import TONES
from cti.dialtest.town import Town
from cti.directory import Directory
from cti.directory.targets import PhoneTarget
from cti.plan_words import changes, report_lines
from cti.stack import netports
from cti.stack.instance import TRUNK_HOST, Instance
from cti.web.auth import Tokens, Who

PLANS = {"flood": "flood-dali"}
"""scenario → the plan it is about"""
CALM_S, SURGE_S, RUNS_S = 8.0, 8.0, 60.0
"""before the rain; callers pour in without a plan; how long the plan runs at least"""
SURGE_EVERY_S = 2.5
MESSAGE_MS = 15_000
"""the front message takes about so long"""
POLL_S = 0.5
TALK_S, HEAR_S = 12.0, 5.0
"""with a caller handed over; the message, before 1 is pressed"""

Say = Callable[[str], None]


def with_free_trunk(directory: Directory) -> Directory:
    """The directory with its first trunk on a free port of this machine, where `town` answers."""
    first, *rest = directory.trunks
    return directory.model_copy(
        update={"trunks": (first.model_copy(update={"port": netports.free_udp_port()}), *rest)})  # fmt: skip


def site_of(instances: Sequence[Instance], plan: str) -> Instance:
    """Where the plan is started: the last of these sites it is for. Raises ValueError."""
    found = instances[0].directory.plan(plan)
    for instance in reversed(instances):
        if found is not None and instance.site in found.sites:
            return instance
    raise ValueError(f"没有站点适用方案 {plan} / no site here has the plan {plan}")


async def flood(instances: Sequence[Instance], seats: Sequence[DemoSeats], say: Say) -> None:
    """The story once; afterwards the sites run on."""
    plan = PLANS["flood"]
    where = site_of(instances, plan)
    people = seats[list(instances).index(where)]
    name = where.directory.plan(plan)
    assert name is not None
    async with town(instances[0]):
        await asyncio.sleep(CALM_S)
        async with calling(where, "12345", SURGE_EVERY_S, seed=9, tone=650, name="flood", longer=MESSAGE_MS):
            say(f"① 暴雨，{where.site} 的 12345 来电激增 / heavy rain: callers pour in at {where.site}")
            await asyncio.sleep(SURGE_S)
            shown = await _api(where, "POST", f"/plans/{plan}/start", {})
            say(f"② 启动「{name.name.zh}」/ plan started  {shown['run']['id']}    "
                f"cti plan status --state {where.state}")  # fmt: skip
            people.opened = "*119"
            await _watch(where, plan, say)
            await _api(where, "POST", f"/plans/{plan}/received", {"platform": "110"})
            say("③ 110 确认已知晓 / 110 knows")
            people.opened = ""
            await _api(where, "POST", f"/plans/{plan}/stop", {})
        await _restored(where, plan)
        say("④ 方案已停止，前置语音、一键转接、席位均已恢复 / stopped: all as it was before")
        for line in report_lines(await _api(where, "GET", f"/plans/{plan}/report")):
            say(line)


async def _restored(where: Instance, plan: str) -> None:
    """Until all is as it was before, the borrowed seats at home."""
    while True:
        shown = await _api(where, "GET", f"/plans/{plan}")
        if shown["laid"] and shown["run"]["home"]:
            return
        await asyncio.sleep(POLL_S)


async def _watch(where: Instance, plan: str, say: Say) -> None:
    """Each change a line, until the duty phones are through and callers have had their time."""
    told: dict[str, str] = {}
    loop = asyncio.get_running_loop()
    until = loop.time() + RUNS_S
    while True:
        shown = await _api(where, "GET", f"/plans/{plan}")
        for line in changes(shown, told):
            say(f"   {line}")
        if loop.time() > until and shown["run"]["duties_open"] == 0:
            return
        await asyncio.sleep(POLL_S)


@contextlib.asynccontextmanager
async def town(instance: Instance) -> AsyncIterator[Town]:
    """119 and the others outside. Of a duty desk the first contact does not answer, any other presses 1."""
    directory = instance.directory
    trunk = directory.trunks[0]
    phone = Town("town", TONES[-1], ("127.0.0.1", instance.ports.sip), "119", None, local_host=TRUNK_HOST,
                 local_port=trunk.port)  # fmt: skip
    silent = {one.contacts[0].number for p in directory.plans for one in (p.duty.phones if p.duty else ())
              if len(one.contacts) > 1}  # fmt: skip
    linked = {t.number for one in directory.linkage for t in one.targets if isinstance(t, PhoneTarget)}
    contacts = {c.number for p in directory.plans for one in (p.duty.phones if p.duty else ()) for c in one.contacts}
    phone.policies = {number: Answer(1.5, hang_up_after=TALK_S) for number in (linked | contacts) - silent}
    await phone.start()
    try:
        async with asyncio.TaskGroup() as group:
            answering = group.create_task(_acknowledge(phone, {h.number for h in directory.hotlines}))
            yield phone
            answering.cancel()
    finally:
        await phone.stop()


async def _acknowledge(phone: Town, hotlines: Collection[str]) -> None:
    """Whoever is called by a hotline itself presses 1 once he has heard it; with a caller handed over one just talks.
    """
    async with asyncio.TaskGroup() as group:
        while True:
            with contextlib.suppress(TimeoutError):
                group.create_task(_press(await phone.wait_incoming(3600), hotlines))


async def _press(call: Call, hotlines: Collection[str]) -> None:
    with contextlib.suppress(TimeoutError):
        if call.caller.user in hotlines and await call.wait_answered(60):
            await asyncio.sleep(HEAR_S)
            if call.t_ended is None:
                await call.dtmf("1")


async def _api(instance: Instance, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """As a supervisor; while the service is away (it may be killed), asked again. Raises RuntimeError when refused."""
    token = Tokens(instance.http_secret).make(Who("supervisor"))
    request = urllib.request.Request(
        f"http://127.0.0.1:{instance.ports.http}/api/v1{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json",
                 "Idempotency-Key": f"demo {method} {path}"})  # fmt: skip

    def ask() -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=3) as told:
            values: dict[str, Any] = json.load(told)
            return values

    while True:
        try:
            return await asyncio.to_thread(ask)
        except urllib.error.HTTPError as why:
            if why.code < 500:
                raise RuntimeError(f"{method} {path}: {json.load(why).get('title')}") from None
        except (OSError, ValueError):
            pass
        await asyncio.sleep(POLL_S)
