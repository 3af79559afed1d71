"""What the stories of seats share: the site they need, keys dialled at a seat, what switch and service say of it.

Knows: `queue show`, `/status`, which code does what. Must not know: which stories there are.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Ring
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.scene import Lost
from cti.dialtest.stack import Stage
from cti.pins import hash_pin

SEATS = ("1001", "1002", "1003", "8001", "8101", "8102")
AGENT, PIN = "2001", "58310274"
MISSES, RING_S, WRAP_S = 2, 3, 3
SOON_S = 3.0

Story = Callable[[Stage], Awaitable[None]]


def prepare(config: Path, to: Path) -> Path:
    """The site of these stories: `config` with an agent, a seat that must be logged in, a spill seat, short times."""
    shutil.copytree(config, to)

    def edit(name: str, change: Callable[[Any], None]) -> None:
        path = to / f"{name}.yaml"
        value = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        change(value)
        path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def seats(value: Any) -> None:
        by_number = {seat["number"]: seat for seat in value["seats"]}
        by_number["1003"]["login"] = True
        by_number["8101"]["spill"] = 5
        value["rules"] = {"misses": MISSES}

    def hotlines(value: Any) -> None:
        for hotline in value["hotlines"]:
            hotline["queue"] |= {"ring": RING_S, "wrapup": WRAP_S if hotline["number"] == "12345" else 0}

    edit("seats", seats)
    edit("hotlines", hotlines)
    edit("agents", lambda value: value.update(
        agents=[{"number": AGENT, "name": "拨测员", "pin": hash_pin(PIN)}]))  # fmt: skip
    return to


# -- what is seen ------------------------------------------------------------------------------------------------------
async def members(on: Stage) -> dict[tuple[str, str], str | None]:
    """(line, seat) → None, or why it is paused, as app_queue says."""
    found: dict[tuple[str, str], str | None] = {}
    line = ""
    for row in await on.rows("queue show"):
        if head := re.match(r"(\S+) has \d+ calls", row):
            line = head[1]
        elif member := re.search(r"\(?PJSIP/(\d+)", row):
            paused = re.search(r"\(paused(?::(\S+))? was", row)
            found[line, member[1]] = (paused[1] or "") if paused else None
    return found


async def status(on: Stage) -> Mapping[str, Any]:
    """Each seat as the service tells it. Raises OSError while it is away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", on.instance.ports.http)
    try:
        writer.write(b"GET /status HTTP/1.0\r\n\r\n")
        told = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    finally:
        writer.close()
    return {seat["number"]: seat for seat in told["seats"]}


async def until(what: str, true: Callable[[], Awaitable[bool]], seconds: float = SOON_S) -> float:
    """Wait till it is so; how long it took (s). Raises `Lost`."""
    began = time.monotonic()
    while not await true():
        if time.monotonic() - began > seconds:
            raise Lost(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def paused(on: Stage, seat: str, why: str | None, line: str = "12345", seconds: float = SOON_S) -> float:
    """Wait till app_queue has this seat paused for that reason (None: not paused)."""

    async def so() -> bool:
        return (await members(on))[line, seat] == why

    return await until(f"{seat} paused: {why}", so, seconds)


async def agree(on: Stage, seconds: float = 10.0) -> float:
    """Wait till app_queue's members are what the service says of the seats, in every line."""
    differ: list[str] = []

    async def same() -> bool:
        said = await status(on)
        differ.clear()
        for (line, seat), why in (await members(on)).items():
            s = said[seat]["status"]
            wanted = None if s == "ready" else said[seat]["reason"] if s == "paused" else s
            if why != wanted:
                differ.append(f"{line}/{seat}: app_queue {why}, ledger {wanted}")
        return not differ

    try:
        return await until("app_queue and the ledger agree", same, seconds)
    except Lost as why:
        raise Lost(f"{why}: {differ}") from None


async def fact(on: Stage, kind: str, since: int = 0, seconds: float = 10.0, **data: str) -> Fact:
    """The first fact of this kind with these values after ``since`` of them."""
    for _ in range(int(seconds * 20)):
        found = [f for f in (await on.facts())[since:] if f.kind == kind and data.items() <= f.data.items()]
        if found:
            return found[0]
        await asyncio.sleep(0.05)
    raise Lost(f"no {kind} {data} on record")


async def dial(on: Stage, seat: str, code: str) -> None:
    """A code from the seat's phone, to its end."""
    call = await on.seats[seat].dial(code)
    if not await call.wait_ended(12):
        raise Lost(f"{code} from {seat} did not end")


async def log_in(on: Stage, seat: str, pin: str, agent: str = AGENT) -> Call:
    """`*11`, number and PIN typed; the call, which the seat's phone has still."""
    call = await on.seats[seat].dial("*11")
    if not await call.wait_answered(5):
        raise Lost("*11 was not answered")
    await asyncio.sleep(0.3)
    for digits in (f"{agent}#", f"{pin}#"):
        await call.dtmf(digits, duration_ms=80, gap_ms=60)
        await asyncio.sleep(0.4)
    return call


async def ready_only(on: Stage, *seats: str) -> None:
    """Of the 12345 seats only these are rung."""
    for number in ("1001", "1002"):
        await dial(on, number, "*14" if number in seats else "*131")
    for phone in on.seats.values():
        phone.on_invite = Ring()


async def rung(on: Stage, cli: str, seats: tuple[str, ...], seconds: float = 4.0) -> Call:
    """Whose phone rings for this caller."""
    call = await whose([on.seats[n] for n in seats], cli, seconds)
    if call is None:
        raise Lost(f"none of {seats} rang")
    return call


def calls_of(on: Stage, seat: str, cli: str) -> int:
    """How often this seat was rung for this caller."""
    return sum(call.caller.user == cli for call in on.seats[seat].calls)
