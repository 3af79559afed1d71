"""1,000 seats in 200 waiting lines on the real stack: how soon app_queue follows a change of status, how soon every
seat is right again after a restart, and what the way not taken (members in and out instead of paused) would cost.

    python -m bench.seats [--json] [--n 200] [--seats 1000] [--lines 200]

Knows: a site of that size, the API, AMI. Must not know: rules. Times in ms. A second AMI link asks for the one member
until it has changed, so a figure holds the question's own time, some 1 ms (`ask`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bench.rig import RUNTIME, NoRuntime, ratio, spread
from cti.ami.actions import AmiError
from cti.ami.client import AmiClient, AmiConfig
from cti.ami.members import Members
from cti.directory import Directory, load_directory
from cti.log import configure_logging
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import open_root
from cti.web.auth import Tokens, Who

STATUS_BAR_MS, RESYNC_BAR_MS = 50.0, 5000.0
SKILLS = 10
PLATFORMS = ("12345", "110")


def write_site(to: Path, seats: int, lines: int) -> None:
    """A configuration of that size: each platform half of it, 1 in 25 seats dedicated, a seat in each tenth line."""
    own: list[dict[str, Any]] = []
    hotlines: list[dict[str, Any]] = []
    for p, platform in enumerate(PLATFORMS):
        for n in range((lines - len(PLATFORMS)) // len(PLATFORMS)):
            number = platform if n == 0 else f"{9 + p}{1000 + n}".rjust(6, "6")
            skills = [] if n == 0 else [f"s{n % SKILLS}"]
            hotlines.append({"number": number, "platform": platform, "division": "530100", "skills": skills,
                             "name": {"zh": f"热线{number}", "en": f"line {number}"},
                             "keys": {f"*{PLATFORMS[1 - p]}": PLATFORMS[1 - p]} if n == 0 else {}})  # fmt: skip
        for n in range(seats // len(PLATFORMS)):
            kind = "dedicated" if n % 25 == 0 else "general"
            own.append({"number": f"{p + 2}{n:04d}", "platform": platform, "kind": kind, "name": f"席{n}",
                        "skills": [f"s{n % SKILLS}"]})  # fmt: skip
    routes = [
        {"to": p, "division": "*", "targets": [{"kind": kind, "timeout": 15} for kind in ("dedicated", "general")]}
        for p in PLATFORMS
    ]
    to.mkdir()
    (to / "site.yaml").write_bytes((folder("config") / "site.yaml").read_bytes())
    for name, value in (("hotlines", {"hotlines": hotlines}), ("seats", {"seats": own}), ("routes", {"routes": routes}),
                        ("trunks", {"trunks": [{"name": "pstn", "host": "127.0.0.1", "accepts": ["127.0.0.1"]}]})):
        (to / f"{name}.yaml").write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")


@contextlib.asynccontextmanager
async def site(seats: int, lines: int) -> AsyncIterator[tuple[Instance, Directory]]:
    root = open_root(RUNTIME.resolve())
    if root is None:
        raise NoRuntime(f"{RUNTIME.name}: run `make setup` first")
    configure_logging("error", sys.stderr, json=False)
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        config = Path(made) / "config"
        write_site(config, seats, lines)
        directory = load_directory(config, dt.date.today())
        async with Instance(root, Path(made) / "s", directory, config, folder("dialplan")) as instance:
            yield instance, directory


@contextlib.asynccontextmanager
async def second_link(instance: Instance) -> AsyncIterator[AmiClient]:
    """An AMI link of our own, up."""
    place = instance.place
    up = asyncio.Event()

    async def on_up() -> None:
        up.set()

    ami = AmiClient(AmiConfig("127.0.0.1", place.ami_port, place.ami_username, place.ami_secret, action_timeout=20,
                              backoff_first=0.05, backoff_max=0.05),
                    wanted=frozenset(), on_event=lambda _: None, on_up=on_up)  # fmt: skip
    async with asyncio.TaskGroup() as group:
        group.create_task(ami.run())  # ends by `close`
        try:
            async with asyncio.timeout(60):
                await up.wait()
            yield ami
        finally:
            ami.close()


async def is_paused(ami: AmiClient, line: str, seat: str) -> bool:
    rows = await ami.list_action("QueueStatus", {"Queue": line, "Member": f"PJSIP/{seat}"})
    return any(str(r.get("Paused")) == "1" for r in rows if r.get("Event") == "QueueMember")


def lines_of(directory: Directory) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hotline in directory.hotlines:
        for seat in directory.serving(hotline):
            found.setdefault(seat.number, []).append(hotline.number)
    return found


async def measure_status(instance: Instance, directory: Directory, n: int) -> dict[str, Any]:
    """From the request to the member changed in the seat's last line."""
    rng, lines = random.Random(5), lines_of(directory)
    api = f"http://127.0.0.1:{instance.ports.http}/api/v1/seats"
    token = Tokens(instance.http_secret).make(Who(role="supervisor"))
    took, asked, answered = [], [], []
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as http, second_link(instance) as ami:
        for number in rng.sample(sorted(lines), n):
            body = {"status": "paused", "reason": "rest"}
            line = lines[number][-1]
            t0 = time.perf_counter()
            await is_paused(ami, line, number)
            t1 = time.perf_counter()

            async def post(url: str = f"{api}/{number}/status", body: Mapping[str, str] = body) -> float:
                async with http.post(url, json=body) as answer:
                    assert answer.status == 200, await answer.text()
                    return time.perf_counter()

            async with asyncio.TaskGroup() as group:
                posted = group.create_task(post())
                while not await is_paused(ami, line, number):
                    if time.perf_counter() - t1 > 10:
                        raise TimeoutError(f"{number} was not paused in {line}")
                t2 = time.perf_counter()
            answered.append((posted.result() - t1) * 1000)
            took.append((t2 - t1) * 1000)
            asked.append((t1 - t0) * 1000)
    return {"change": spread(took), "answer": spread(answered), "ask": spread(asked)}


async def measure_ways(instance: Instance, directory: Directory, n: int) -> dict[str, Any]:
    """Pause in all lines by one action, against being taken out of and put into each of the seat's lines."""
    lines = lines_of(directory)
    paused, moved = [], []
    async with second_link(instance) as ami:
        for number in random.Random(6).sample(sorted(lines), n):
            t0 = time.perf_counter()
            await ami.action("QueuePause", {"Interface": f"PJSIP/{number}", "Paused": "true", "Reason": "rest"})
            paused.append((time.perf_counter() - t0) * 1000)
            await ami.action("QueuePause", {"Interface": f"PJSIP/{number}", "Paused": "false"})
            stranger = {"Interface": f"Local/{number}@nowhere"}
            t0 = time.perf_counter()
            for line in lines[number]:
                await ami.action("QueueAdd", {"Queue": line, **stranger})
            moved.append((time.perf_counter() - t0) * 1000)
            for line in lines[number]:
                await ami.action("QueueRemove", {"Queue": line, **stranger})
    one, many = spread(paused), spread(moved)
    return {"pause_in_all_lines": one, "add_to_each_line": many, "ratio": ratio(many["median"], one["median"])}


async def until_right(instance: Instance, since: float, expected: int) -> dict[str, float]:
    """From ``since`` (a process was started) till all ``expected`` members are what the service says, ms."""
    api = f"http://127.0.0.1:{instance.ports.http}/status"
    async with second_link(instance) as ami, aiohttp.ClientSession() as http:
        every = [*(h.number for h in instance.directory.hotlines), *(f"{p}-dedicated" for p in PLATFORMS)]
        lines = [*PLATFORMS, *(f"{p}-dedicated" for p in PLATFORMS)]  # each seat is in one of these
        linked = (time.perf_counter() - since) * 1000
        members = Members(ami, lambda: None, lambda _: (), {}, ())
        while True:
            asked = time.perf_counter()
            with contextlib.suppress(aiohttp.ClientError, AmiError):  # a part is not there yet
                async with http.get(api) as answer:
                    said = {s["number"]: s["status"] == "ready" for s in (await answer.json())["seats"]}
                places = [place for line in lines for place in await members.places(line)]
                if len(places) == len(said) and all(place.paused != said[place.seat] for place in places):
                    places = [place for line in every for place in await members.places(line)]
                    assert len(places) == expected and all(place.paused != said[place.seat] for place in places)
                    return {"started_to_linked": round(linked, 1),
                            "linked_to_right": round(max(0.0, (asked - since) * 1000 - linked), 1),
                            "started_to_right": round((asked - since) * 1000, 1)}  # fmt: skip
            if time.perf_counter() - since > 60:
                raise TimeoutError("the members were never right")
            await asyncio.sleep(0.25)  # asked all the time, it is the question that is measured


def told_in_log(instance: Instance) -> float:
    """From the service's link to the seats put right, as its last start tells them (ms). ValueError: it did not."""
    at: dict[str, dt.datetime] = {}
    for line in (instance.state / "cti.log").read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            if told["event"] == "ami_link_up":
                at = {"ami_link_up": dt.datetime.fromisoformat(told["timestamp"])}
            elif told["event"] == "seats_resynchronised":
                at.setdefault("seats_resynchronised", dt.datetime.fromisoformat(told["timestamp"]))
    if len(at) < 2:
        raise ValueError("no seats_resynchronised after the last ami_link_up in cti.log")
    return round((at["seats_resynchronised"] - at["ami_link_up"]).total_seconds() * 1000, 1)


async def measure_resync(instance: Instance, expected: int) -> dict[str, Any]:
    """Each part killed and started. Asterisk also with its AstDB gone, so that only the ledger knows the seats; while
    the service is dead every seat is paused by a hand that tells nobody."""
    found = {}
    service, asterisk = instance.children["cti"], instance.children["asterisk"]
    for name, child, forget in (("asterisk", asterisk, False), ("asterisk_without_astdb", asterisk, True),
                                ("service", service, False)):  # fmt: skip
        await asyncio.sleep(2)  # AstDB is written within a second
        child.kill(signal.SIGKILL)
        await child.wait()
        if child is service:
            await scramble(instance)
        if forget:
            for path in (instance.place.state / "db").glob("*"):
                path.unlink()
        since = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(child.restart())
            found[name] = await until_right(instance, since, expected)
    found["service"]["linked_to_right"] = told_in_log(instance)
    return found


async def scramble(instance: Instance) -> None:
    async with second_link(instance) as ami:
        for seat in instance.directory.seats:
            paused = {"Interface": f"PJSIP/{seat.number}", "Paused": "true", "Reason": "scrambled"}
            await ami.action("QueuePause", paused)


async def run(n: int, seats: int, lines: int) -> dict[str, Any]:
    async with site(seats, lines) as (instance, directory):
        made = lines_of(directory)
        members = sum(map(len, made.values())) + len([s for s in directory.seats if s.kind == "dedicated"])
        ways = await measure_ways(instance, directory, min(50, n))
        status = await measure_status(instance, directory, n)
        resync = await measure_resync(instance, members)
    worst = max(r["linked_to_right"] for r in resync.values())
    return {
        "site": {"seats": len(directory.seats), "lines": len(directory.hotlines) + 2, "members": members},
        "status_change": status, "ways": ways, "resync": resync,
        "bars": {"status_p99_of_bar": ratio(status["change"]["p99"], STATUS_BAR_MS),
                 "resync_of_bar": ratio(worst, RESYNC_BAR_MS)},
        "passed": status["change"]["p99"] < STATUS_BAR_MS and worst < RESYNC_BAR_MS,
    }  # fmt: skip


def main() -> int:
    """0 within the bars, 1 not."""
    parser = argparse.ArgumentParser(prog="python -m bench.seats", description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="changes of status")
    parser.add_argument("--seats", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = asyncio.run(run(asked.n, asked.seats, asked.lines))
    if asked.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, value in figures.items():
            print(f"{name}: {json.dumps(value)}")
    return 0 if figures["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
