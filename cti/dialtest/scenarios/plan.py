"""`plan`: an emergency plan from start to stop, by sound and by record. In turn: a real one, a drill, and one whose
service is killed while a duty phone rings and again as it is stopped.

What is proven: before it `*119` is refused and nothing is heard ahead of the line; while it runs callers hear the front
message first and an agent's one key brings in 119; the first duty contact does not answer, the second hears the message
and presses 1; after it all is refused and silent again and AstDB is what it was, byte for byte. In a drill all that is
for its own callers alone, a citizen's call is as ever, and the published figures know the citizen only.

Knows: `*119`, the API of plans. Embedded stacks only: the trunk must lead to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import signal
import time
import urllib.error
import urllib.request
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.report import Run
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.scene import Lost
from cti.dialtest.stack import Stage
from cti.dialtest.tones import TONES, samples
from cti.dialtest.town import Town
from cti.directory.plans import prompt_of
from cti.stack import netports
from cti.stack.instance import TRUNK_HOST
from cti.web.auth import Tokens, Who

PLAN = "dialtest"
SEATS = ("1001", "1002")
STORIES = ("plan", "drill", "kill -9")
FRONT, NOTICE = "拨测：前置语音。", "拨测：值班通知。"
FIRST, SECOND, FIRE = "08720009801", "08720009802", "119"
DRILL_CALLER = "08720009901"
FRONT_S, NOTICE_S = 1.5, 1.0
RING_S = 3
GAP_BAR_MS = 60.0
VOLATILE = ("route", "route-danger", "registrar", "seat")
"""families of AstDB that move by themselves"""


def prepare(config: Path, to: Path) -> Path:
    """The site of these stories: `config` with one short plan and a trunk of its own port."""
    shutil.copytree(config, to)
    shutil.rmtree(to / "plans", ignore_errors=True)
    (to / "plans").mkdir()
    site = yaml.safe_load((to / "site.yaml").read_text(encoding="utf-8"))["site"]["code"]
    trunks = yaml.safe_load((to / "trunks.yaml").read_text(encoding="utf-8"))
    # Not checked: a check sent before our telephones were there times out after 3 s and takes the trunk away.
    trunks["trunks"][0] |= {"port": netports.free_udp_port(), "qualify": 0}
    trunk = trunks["trunks"][0]["name"]
    contacts = [{"kind": "phone", "number": number, "trunk": trunk, "timeout": seconds}
                for number, seconds in ((FIRST, RING_S), (SECOND, 10))]  # fmt: skip
    plan = {
        "name": {"zh": "拨测方案", "en": "dial test"}, "sites": [site],
        "front": {"hotlines": ["12345"], "say": FRONT}, "open": [FIRE],
        "duty": {"say": NOTICE, "rounds": 1, "pause": 0,
                 "phones": [{"name": {"zh": "拨测值班室", "en": "duty desk"}, "contacts": contacts}]},
        "notify": ["110"], "drill": {"callers": [DRILL_CALLER]},
    }  # fmt: skip
    for path, value in ((to / "trunks.yaml", trunks), (to / f"plans/{PLAN}.yaml", plan)):
        path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return to


@dataclass(slots=True)
class Scene:
    """The stack, and who is outside."""

    stage: Stage
    town: Town
    caller: Phone
    rng: random.Random

    async def api(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Of the plan, as a supervisor. Raises OSError while the service is away."""
        return await asyncio.to_thread(ask, self.stage, method, f"/plans/{PLAN}{path}", body)

    async def calls(self, cli: str) -> Call:
        """A caller whom nobody answers yet."""
        for number in SEATS:
            self.stage.seats[number].on_invite = Ring()
        return await self.caller.dial("12345", caller_id=cli)

    async def seat_of(self, cli: str, call: Call) -> Call:
        """The seat that answers him, hearing each other."""
        seat = await whose([self.stage.seats[n] for n in SEATS], cli, 8)
        if seat is None:
            raise Lost("no seat rang")
        await asyncio.sleep(0.1)
        seat.answer()
        await call.wait_heard(seat.phone.name, 3)
        await asyncio.sleep(0.2)
        return seat

    async def astdb(self) -> list[str]:
        """What AstDB holds, but for what moves by itself."""
        rows = await self.stage.rows("database show")
        return sorted(row for row in rows if row.startswith("/") and row.split("/")[1] not in VOLATILE)


def ask(on: Stage, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of `/api/v1…` as a supervisor. Raises OSError while the service is away."""
    token = Tokens(on.instance.http_secret).make(Who("supervisor"))
    request = urllib.request.Request(
        f"http://127.0.0.1:{on.instance.ports.http}/api/v1{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=5) as told:
            return told.status, json.load(told)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def sound(on: Stage, text: str, hz: int, seconds: float) -> None:
    """The prompt of this text as a tone, so that it is told from music; Asterisk reads the file each time."""
    with wave.open(str(on.instance.place.sounds / f"{prompt_of(text)}.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(samples(hz).tobytes() * round(seconds * 50))


@contextlib.asynccontextmanager
async def scene(stage: Stage, rng: random.Random, caller: Phone) -> AsyncIterator[Scene]:
    """119 and the duty phones outside; the two prompts are heard as "front" and "notice"."""
    trunk = stage.instance.directory.trunks[0]
    town = Town("town", TONES[-1], stage.server, FIRE, None, local_host=TRUNK_HOST, local_port=trunk.port)
    town.policies = {FIRE: Answer(0.3)}
    front, notice = (Phone(name, TONES[n], stage.server, name, None) for name, n in (("front", -2), ("notice", -3)))
    for text, voice, seconds in ((FRONT, front, FRONT_S), (NOTICE, notice, NOTICE_S)):
        sound(stage, text, voice.tone_hz, seconds)
    started = list[Phone]()
    try:
        for phone in (town, front, notice):
            await phone.start()
            started.append(phone)
        yield Scene(stage, town, caller, rng)
    finally:
        for phone in (caller, town, *stage.seats.values()):
            for call in phone.calls:
                call.hangup()
        for phone in started:
            await phone.stop()


async def one(stage: Stage, number: int, rng: random.Random, caller: Phone) -> Run:
    """One story from start to stop."""
    story = STORIES[number % len(STORIES)]
    run = Run(number, story=story)
    if stage.embedded is None:
        run.faults.append("this stack's trunk does not lead to us")
        return run
    since = len(await stage.facts())
    try:
        async with scene(stage, rng, caller) as on:
            await _play(on, run, story)
    except Lost as why:
        run.faults.append(str(why))
    except (TimeoutError, OSError) as why:
        run.faults.append(f"{type(why).__name__}: {why}; the caller heard {caller.calls[-1].heard()}".strip())
    await _judge(stage, run, story, (await stage.facts())[since:])
    return run


async def _play(on: Scene, run: Run, story: str) -> None:
    drill, kills = story == "drill", story == "kill -9"
    citizen = f"135{run.number % 100:02d}{on.rng.randrange(10**6):06d}"
    caller = DRILL_CALLER if drill else citizen
    before = await on.astdb()
    await as_ever(on, citizen)
    status, shown = await on.api("POST", "/start", {"drill": drill})
    if status != 201 or (await on.api("POST", "/start", {"drill": drill}))[1].get("code") != "plan-runs":
        raise Lost(f"not started once and only once: {status} {shown}")
    first = await on.town.rung(FIRST, 4)
    service = on.stage.instance.children["cti"]
    if kills:
        service.kill(signal.SIGKILL)
        await service.wait()
    await with_front_and_key(on, caller, run)
    if drill:
        await as_ever(on, citizen)
    await first.wait_ended(RING_S + 2)
    if kills:
        await service.restart()
    second = await on.town.rung(SECOND, 20)
    second.answer()
    await second.wait_heard("notice", 6)
    await second.dtmf("1")
    await second.wait_ended(8)
    await until(on, lambda shown: shown["run"]["duties"][0]["state"] == "acknowledged", "acknowledged")
    if (await on.api("POST", "/received", {"platform": "110"}))[0] != 200:
        raise Lost("110 could not say that it knows")
    if (await on.api("POST", "/stop", {}))[0] != 200:
        raise Lost("not stopped")
    if kills:
        service.kill(signal.SIGKILL)
        await service.wait()
        await service.restart()
    await until(on, lambda shown: shown["laid"] and not shown["running"], "laid")
    if (await on.api("POST", "/stop", {}))[1].get("code") != "plan-not-running":
        raise Lost("stopped twice")
    if (after := await on.astdb()) != before:
        raise Lost(f"not as before: {sorted(set(after) ^ set(before))}")
    await as_ever(on, caller)


async def as_ever(on: Scene, cli: str) -> None:
    """A caller without a plan: nothing ahead of the line, the key to 119 refused to the seat alone."""
    call, known = await on.calls(cli), len(on.town.calls_to(FIRE))
    seat = await on.seat_of(cli, call)
    pressed = await seat.dtmf(f"*{FIRE}")
    await seat.wait_heard("music", 4, after=pressed)
    await asyncio.sleep(0.3)
    if call.heard().ever("front") or len(on.town.calls_to(FIRE)) > known or call.dtmf_heard:
        raise Lost(f"{cli[-4:]} was touched by the plan: {call.heard()}")
    call.hangup()
    await seat.wait_ended(4)


async def with_front_and_key(on: Scene, cli: str, run: Run) -> None:
    """A caller of the plan: the front message first, then the line; 119 by one key, make before break."""
    call, known = await on.calls(cli), len(on.town.calls_to(FIRE))
    told = await call.wait_heard("front", 4)
    seat = await on.seat_of(cli, call)
    if (seat.t_invite or 0) < told + FRONT_S - 0.3:
        raise Lost("a seat was rung before the front message had been heard")
    pressed = await seat.dtmf(f"*{FIRE}")
    fire = await on.town.rung(FIRE, 3, known)
    run.key_to_invite_ms = ((fire.t_invite or 0) - pressed) * 1000
    joined = await call.wait_heard("town", 8)
    await fire.wait_heard(on.caller.name, 3)
    await asyncio.sleep(0.5)
    run.swap_gap_ms = call.heard().longest_without({seat.phone.name, "town"}, pressed + 0.3, time.monotonic() - 0.1)
    if run.swap_gap_ms > GAP_BAR_MS:
        run.faults.append(f"the caller heard neither for {run.swap_gap_ms:.0f} ms around {joined:.3f}")
    run.heard = str(call.heard())
    call.hangup()
    await fire.wait_ended(4)


async def until(on: Scene, wanted: Any, what: str, seconds: float = 15.0) -> dict[str, Any]:
    """The plan as the API shows it, once it is so. Raises Lost."""
    shown: dict[str, Any] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            _, shown = await on.api("GET")
            if wanted(shown):
                return shown
        await asyncio.sleep(0.1)
    raise Lost(f"never {what}: {shown}")


async def _judge(stage: Stage, run: Run, story: str, facts: list[Fact]) -> None:
    """The record: each step once, the mark on all of a drill and on nothing else."""
    kinds = [fact.kind for fact in facts]
    for kind, times in (("PlanStarted", 1), ("PlanStopped", 1), ("PlanEnded", 1), ("DutyCalled", 2), ("DutyTold", 1),
                        ("DutyAcknowledged", 1), ("DutyEnded", 1), ("PlanNotified", 2),
                        ("NoticeReceived", 1)):  # fmt: skip
        if kinds.count(kind) != times:
            run.faults.append(f"{kinds.count(kind)} {kind} on record, {times} wanted")
    if run.faults:
        run.faults.append(f"duty calls ended {[str(f.data['why']) for f in facts if f.kind == 'DutyOver']}")
    run.faults += [f"anomaly {fact.data}" for fact in facts if fact.kind == "Anomaly"]
    started = next((fact for fact in facts if fact.kind == "PlanStarted"), None)
    mark = str(started.data["run"]) if started and story == "drill" else ""
    for fact in facts:
        of_plan = fact.kind.startswith(("Plan", "Duty", "Notice"))
        if of_plan and fact.data.get("drill", "") != mark:
            run.faults.append(f"{fact.kind} marked {fact.data.get('drill')!r}, not {mark!r}")
    front = {fact.ref for fact in facts if fact.kind == "FrontTold"}
    for ended in (fact for fact in facts if fact.kind in ("CallEnded", "TransferEnded")):
        wanted = mark if ended.ref in front else ""
        if ended.data.get("drill", "") != wanted:
            run.faults.append(f"{ended.kind} {ended.ref} marked {ended.data.get('drill')!r}, not {wanted!r}")
    run.ref = next(iter(front), "")
