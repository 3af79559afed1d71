"""What the parties of a story do, and how things are put before it and back after it.

Knows: acts, phones, Asterisk's CLI, the service's HTTP interface. Must not know: what is expected.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cti.clock import local
from cti.core.facts import Fact
from cti.core.zone import SHANGHAI
from cti.dialplan.stories import words
from cti.dialplan.stories.cast import Cast
from cti.dialplan.stories.model import Act, Given, Story, moment
from cti.dialtest.dialog import CallState
from cti.dialtest.stack import Stage
from cti.directory import Directory
from cti.routes import routes
from cti.stack.instance import Instance
from cti.web.auth import Tokens, Who

FENCE: Final = "7"
FAR: Final = 9_999_999_999
KEPT: Final = ("registrar", "route", "route-danger")
"""families of AstDB that move by themselves"""
SAFE: Final = re.compile(r"[\w.+~|/@*:=-]*")
PICK_UP_S: Final = 8.0
ROUTES_S: Final = 6.0


class CannotPlay(Exception):
    """A step that cannot be done: nobody is in that call, the service refused. The text says so."""


@dataclass(slots=True)
class Before:
    """How an instance stood when its first story began: what a reset restores."""

    astdb: dict[str, str] = field(default_factory=dict)
    globals: dict[str, str] = field(default_factory=dict)


async def astdb(on: Stage) -> dict[str, str]:
    """AstDB's rows, but for those that move by themselves."""
    found = {}
    for row in await on.rows("database show"):
        key, colon, value = row.partition(":")
        if row.startswith("/") and colon and row.split("/")[1] not in KEPT:
            found[key.strip()] = value.strip()
    return found


async def variables(on: Stage) -> dict[str, str]:
    """The dialplan's global variables."""
    found = {}
    for row in await on.rows("dialplan show globals"):
        name, equals, value = row.strip().partition("=")
        if equals and re.fullmatch(r"[A-Z]\w*", name):
            found[name] = value
    return found


async def look(on: Stage) -> Before:
    return Before(await astdb(on), await variables(on))


def walks(story: Story) -> bool:
    """Whether a target may be walked to in it: then the service must know first whose phones are there."""
    acts = [act for step in story.steps for act in step.when]
    return any(act.refer or act.api or (act.by != "caller" and (act.press or act.dial)) for act in acts)


async def set_up(cast: Cast, story: Story, directory: Directory) -> None:
    """Make things stand as given. Raises CannotPlay."""
    on, given = cast.on, story.given
    if walks(story):
        await routes_laid(on, directory, {number for number, text in given.seats.items() if text != "off"})
    if given.at is not None:
        ahead = int((moment(given.at).replace(tzinfo=SHANGHAI) - dt.datetime.now(SHANGHAI)).total_seconds())
        for number in {cast.number("caller"), *given.callers.values()}:
            await on.rows(f"dialplan set global CLOCK_{re.sub('[^0-9]', '', number)} {ahead}")
    for name, value in given.globals.items():
        await _global(on, name, str(value))
    for number in given.listed:
        await _put(on, f"nuisance/{number}", f"{FAR}~story")
    for number, text in given.borrowed.items():
        if text != "off":
            await _put(on, f"borrowed/{number}", f"{FENCE}~{FAR}~12345")
            for line in ("12345",):
                await on.rows(f"queue add member Local/{number}@lent/n to {line} penalty 5 as {number}"
                              f" state_interface Custom:lent{number}")  # fmt: skip
    for number, site in given.lent.items():
        await _put(on, f"lent/{number}", f"{site}~{FENCE}~{FAR}")
    for key, value in given.astdb.items():
        await _put(on, key, str(value))
    if given.plan is not None:
        body = {"drill": True} if given.drill else {}
        await _api(on, "POST", f"/plans/{given.plan}/start", Who("supervisor", name="story"), body)
    if given.service != "running":
        await service(on.instance, "stop" if given.service == "stopped" else "stuck")


async def routes_laid(on: Stage, directory: Directory, here: set[str]) -> None:
    """Until the service has seen whose phones are there, and laid the routes anew: whom Asterisk cannot reach is walked
    last. Raises CannotPlay."""
    gone = frozenset(seat.number for seat in directory.seats) - here
    wanted = {f"/{'route-danger' if danger else 'route'}/{to}/{division}": text
              for (to, division, danger), text in routes(directory, local().time(), gone).items()}  # fmt: skip
    deadline = time.monotonic() + ROUTES_S
    while True:
        laid = {}
        for row in [*await on.rows("database show route"), *await on.rows("database show route-danger")]:
            key, _, text = row.partition(":")
            laid[key.strip()] = text.strip()
        wrong = [key for key, text in wanted.items() if laid.get(key) != text]
        if not wrong:
            return
        if time.monotonic() > deadline:
            key = wrong[0]
            raise CannotPlay(f"服务没有按在线话机重排路由 / the service has not laid the routes for the phones there:"
                             f" {key}: {laid.get(key)} ≠ {wanted[key]}")  # fmt: skip
        await asyncio.sleep(0.05)


async def _put(on: Stage, key: str, value: str) -> None:
    family, _, name = key.rpartition("/")
    if not SAFE.fullmatch(value) or not SAFE.fullmatch(name):
        raise CannotPlay(f"AstDB {key}: 只许字母数字和 . + ~ | / @ * : = - / only letters, digits and these")
    await on.rows(f"database put {family} {name} {value}")


async def _global(on: Stage, name: str, value: str) -> None:
    if not SAFE.fullmatch(value):
        raise CannotPlay(f"{name}: 只许字母数字和 . + ~ | / @ * : = - / only letters, digits and these")
    await on.rows(f"dialplan set global {name} {value}" if value else f'dialplan set global {name} ""')


async def reset(on: Stage, before: Before, given: Given) -> list[str]:
    """Everything as it was before the first story; what could not be is told."""
    if given.service != "running" or not on.instance.children["cti"].alive:
        await service(on.instance, "start")
    if given.plan is not None:
        await _api(on, "POST", f"/plans/{given.plan}/stop", Who("supervisor", name="story"), {})
        for _ in range(30):
            if not [key for key in await astdb(on) if key.startswith("/plan-")]:
                break
            await asyncio.sleep(0.1)
    for number in given.borrowed:
        for line in ("12345",):
            await on.rows(f"queue remove member Local/{number}@lent/n from {line}")
    now = await astdb(on)
    for key, value in now.items():
        if key.startswith("/seat/"):
            await _ready(on, key.rpartition("/")[2], value, before.astdb.get(key))
        elif before.astdb.get(key) != value:
            family, _, name = key[1:].rpartition("/")
            old = before.astdb.get(key)
            await on.rows(f"database put {family} {name} {old}" if old is not None else f"database del {family} {name}")
    for name, value in (await variables(on)).items():
        if before.globals.get(name, "") != value:
            await _global(on, name, before.globals.get(name, ""))
    return await on.leftovers() or []


async def _ready(on: Stage, seat: str, now: str, before: str | None) -> None:
    """A seat as it was, service and Asterisk alike."""
    was = (before or "ready").partition("~")[0]
    if now.partition("~")[0] == was:
        return
    who = Who("supervisor", name="story")
    if was == "out":
        await _api(on, "POST", f"/seats/{seat}/logout", who, {})
    else:
        await _api(on, "POST", f"/seats/{seat}/status", who, {"status": "ready"})


async def service(instance: Instance, what: str) -> None:
    """Stop, start, or freeze the service."""
    child = instance.children["cti"]
    match what:
        case "stop":
            child.kill(signal.SIGKILL)
            await child.wait()
        case "stuck":
            child.kill(signal.SIGSTOP)
        case _:
            child.kill(signal.SIGCONT)
            if not child.alive:
                await child.restart()


async def act(cast: Cast, one: Act, facts: Sequence[Fact]) -> None:
    """Do it. Raises CannotPlay."""
    await asyncio.sleep(one.after)
    match one.verb:
        case "dial":
            phone = cast.phone(one.by)
            known = {"headers": {"X-Fence": FENCE}} if words.SITE.match(one.by) else {}
            outside = words.CALLER.match(one.by)
            number = cast.number(one.by) if outside else None
            await phone.dial(str(one.dial), caller_id=number, **known)  # type: ignore[arg-type]
        case "press":
            call = await _in_call(cast, one.by)
            await call.dtmf(str(one.press))
        case "refer":
            call = await _in_call(cast, one.by)
            status = await call.refer(str(one.refer))
            if status not in (200, 202):
                raise CannotPlay(f"{one.by}: REFER {one.refer} 被拒 / refused with {status}")
        case "hang_up":
            (await _any_call(cast, str(one.hang_up))).hangup()
        case "answer":
            await _ringing(cast, str(one.answer), "answer")
        case "decline":
            await _ringing(cast, str(one.decline), "decline")
        case "vanish":
            cast.phone(str(one.vanish)).vanish()
        case "wait":
            await asyncio.sleep(float(one.wait or 0))
        case "service":
            await service(cast.on.instance, str(one.service))
        case "api":
            method, _, path = str(one.api).partition(" ")
            who = Who("agent", one.by) if one.by in cast.on.seats else Who("supervisor", name="story")
            await _api(cast.on, method, _filled(path, facts), who, one.send or {})


async def _in_call(cast: Cast, party: str) -> Any:
    deadline = time.monotonic() + PICK_UP_S
    while True:
        call = cast.call(party)
        if call is not None and call.state is CallState.ANSWERED:
            return call
        if time.monotonic() > deadline:
            raise CannotPlay(f"{party} 不在通话中，不能按键或转接 / is in no call: cannot press or transfer")
        await asyncio.sleep(0.02)


async def _any_call(cast: Cast, party: str) -> Any:
    call = cast.call(party)
    if call is None or call.t_ended is not None:
        raise CannotPlay(f"{party} 不在通话中，无从挂机 / is in no call: nothing to hang up")
    return call


async def _ringing(cast: Cast, party: str, verb: str) -> None:
    deadline = time.monotonic() + PICK_UP_S
    while time.monotonic() < deadline:
        for call in reversed(cast.calls(party)):
            if call.direction == "in" and call.state is CallState.RINGING:
                if verb == "answer":
                    call.answer()
                else:
                    call.reject(603)
                return
        await asyncio.sleep(0.02)
    raise CannotPlay(f"{party} 没有振铃 / does not ring")


def _filled(path: str, facts: Sequence[Fact]) -> str:
    """The path with the story's own ids."""
    def last(kinds: tuple[str, ...], name: str) -> str:
        return next((str(f.data.get(name) or f.ref) for f in reversed(facts) if f.kind in kinds), "-")

    ids = {
        "call": next((f.ref for f in facts if f.kind == "CallArrived"), "-"),
        "transfer": last(("TransferStarted", "TransferRequested"), "transfer"),
        "conference": last(("TransferStarted",), "transfer"),
        "member": last(("MemberAsked",), "member"),
        "task": last(("CallbackAsked", "CallbackDue"), "ref"),
    }
    return re.sub(r"\{(\w+)\}", lambda m: ids.get(m[1], "-"), path)


async def _api(on: Stage, method: str, path: str, who: Who, body: object) -> None:
    """Ask the service. CannotPlay for anything but success."""
    url = f"http://127.0.0.1:{on.instance.ports.http}/api/v1{path}"
    token = Tokens(on.instance.http_secret).make(who)
    request = urllib.request.Request(url, None if method == "DELETE" else json.dumps(body).encode(), method=method,
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})

    def ask() -> None:
        with urllib.request.urlopen(request, timeout=8) as told:
            told.read()

    try:
        await asyncio.to_thread(ask)
    except urllib.error.HTTPError as refused:
        raise CannotPlay(f"{method} {path}: {refused.code} {refused.read().decode('utf-8', 'replace')[:300]}") from None
    except OSError as why:
        raise CannotPlay(f"{method} {path}: 服务没有应答 / the service does not answer: {why}") from None
