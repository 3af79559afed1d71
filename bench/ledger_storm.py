"""Twenty calls a second while what carries the ledger is killed, filled up or taken away: is every fact there, once?

Knows: test phones, what is done to the parts, `cti ledger verify`. Must not know: how the ledger does it.

The phones count for themselves: who dialled, which seat picked up, which key was pressed, who picked up then. The
ledger is held against that count, caller by caller, and against its own rules. A call that a blow spoilt (nobody was
free) still has to be on record, once, as what it was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import rig
from bench.load import staffed
from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.stack import Stage, stage
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.netports import free_udp_port, release

CALLER_HZ = 3850
SEATS = 28
KEY, KEY_SHARE = "*110", 0.15
TALK_S = (0.4, 1.2)
FIRST_SEAT, TARGET_SEAT = 2001, 7001
SETTLE_S = 60.0

Harm = Callable[[Instance, float], Awaitable[None]]


@dataclass(slots=True)
class Seen:
    """What the phones know of one caller."""

    caller: str
    seats: list[str] = field(default_factory=list)
    """whoever picked up, in order"""
    keys: int = 0
    served: asyncio.Event = field(default_factory=asyncio.Event)
    """he has what he called for, and hangs up"""


@dataclass(slots=True)
class Count:
    """The phones' own count."""

    calls: dict[str, Seen] = field(default_factory=dict)
    dialled: list[Call] = field(default_factory=list)

    def of(self, caller: str) -> Seen:
        return self.calls.setdefault(caller, Seen(caller))


async def again(instance: Instance, *names: str) -> None:
    """kill -9 of these, in one instant; up again after a second."""
    for name in names:
        instance.children[name].kill(signal.SIGKILL)
    for name in names:
        await instance.children[name].wait()
    await asyncio.sleep(1.0)
    for name in reversed(names):  # valkey is named last, and is there before the service
        await instance.children[name].restart()


async def killing(instance: Instance, seconds: float, *names: str) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(random.uniform(2, 5))
        await again(instance, *names)


async def kill_valkey(instance: Instance, seconds: float) -> None:
    await killing(instance, seconds, "valkey")


async def kill_service(instance: Instance, seconds: float) -> None:
    await killing(instance, seconds, "cti")


async def kill_both(instance: Instance, seconds: float) -> None:
    await killing(instance, seconds, "cti", "valkey")


async def disk_full(instance: Instance, seconds: float) -> None:
    """The service may not make any file longer (RLIMIT_FSIZE 0), as on a full disk; Redis has a disk of its own."""
    pid = instance.children["cti"].pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    await asyncio.sleep(seconds)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def redis_away(instance: Instance, seconds: float) -> None:
    valkey = instance.children["valkey"]
    valkey.kill(signal.SIGKILL)
    await valkey.wait()
    await asyncio.sleep(seconds)
    await valkey.restart()


async def nothing(instance: Instance, seconds: float) -> None:
    await asyncio.sleep(seconds)


HARMS: dict[str, tuple[Harm, float]] = {
    "nothing": (nothing, 20), "kill-valkey": (kill_valkey, 40), "kill-service": (kill_service, 40),
    "kill-both": (kill_both, 40), "disk-full": (disk_full, 30), "redis-away": (redis_away, 60),
}  # fmt: skip


async def seat(phone: Phone, count: Count, rng: random.Random, target: bool) -> None:
    """Pick up, talk, and let the caller go; or press the key and be let go."""
    phone.on_invite = Answer(0.15)
    while True:
        call = await phone.wait_incoming(3600)
        seen = count.of(call.caller.user)
        try:
            if not await call.wait_answered(10):
                continue
            seen.seats.append(phone.user)
            await asyncio.sleep(rng.uniform(*TALK_S))
            if not target and call.t_ended is None and rng.random() < KEY_SHARE:
                seen.keys += 1
                await call.dtmf(KEY)
            else:
                seen.served.set()
            await call.wait_ended(30)
        except TimeoutError:
            seen.served.set()


async def callers(phone: Phone, count: Count, rate: float, over: asyncio.Event, seed: int) -> None:
    """One new caller every 1/rate s; each stays on the line until he is served, or for a minute."""
    began, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while not over.is_set():
            caller = f"134{seed % 1000:03d}{number:05d}"
            count.of(caller)
            number += 1
            group.create_task(_caller(phone, caller, count))
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))


async def _caller(phone: Phone, caller: str, count: Count) -> None:
    call = await phone.dial("12345", caller_id=caller)
    count.dialled.append(call)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            await count.of(caller).served.wait()
    call.hangup()
    with contextlib.suppress(TimeoutError):
        await call.wait_ended(5)


async def storm(name: str, rate: float, seed: int, seconds: float | None) -> dict[str, Any]:
    """One harm under load on an installation of its own; what the phones and the ledger say."""
    harm, usual = HARMS[name]
    rng, port, count, over = random.Random(seed), free_udp_port(), Count(), asyncio.Event()
    numbers = [str(base + n) for base in (FIRST_SEAT, TARGET_SEAT) for n in range(SEATS)]
    try:
        async with (
            rig.instance("", lambda directory: staffed(SEATS, port, directory)) as made,
            stage(made, seats=numbers, callers=0) as on,
        ):
            phone = Phone("C", CALLER_HZ, on.server, "13400000000", None, local_host=TRUNK_HOST)
            await phone.start()
            try:
                async with asyncio.TaskGroup() as group:
                    at_work = [group.create_task(seat(one, count, random.Random(rng.random()), int(n) >= TARGET_SEAT))
                               for n, one in on.seats.items()]  # fmt: skip
                    calling = group.create_task(callers(phone, count, rate, over, seed))
                    await asyncio.sleep(3)
                    began = time.monotonic()
                    await harm(made, seconds or usual)
                    harmed = time.monotonic() - began
                    await asyncio.sleep(3)
                    over.set()
                    await calling
                    for task in at_work:
                        task.cancel()
            finally:
                await phone.stop()
            facts = await _all_over(on, len(count.calls))
            told = await _verify(made)
            return {"storm": name, "seconds": round(harmed, 1), "rate": rate, **_held(count, facts), "verify": told}
    finally:
        release(port)


async def _all_over(on: Stage, calls: int) -> list[Fact]:
    """The ledger once it has an end for every call, or after `SETTLE_S`."""
    until, facts = time.monotonic() + SETTLE_S, list[Fact]()
    while time.monotonic() < until:
        facts = await on.facts()
        if sum(f.kind == "CallEnded" for f in facts) >= calls:
            break
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)
    return await on.facts()


def _held(count: Count, facts: list[Fact]) -> dict[str, Any]:
    """Caller by caller: what the phones saw against what is on record."""
    arrived = [f for f in facts if f.kind == "CallArrived"]
    refs = {f.ref: str(f.data["caller"]) for f in arrived}
    of = Counter(refs.values())
    ended = Counter(refs.get(f.ref, "?") for f in facts if f.kind == "CallEnded")
    transfers = Counter(refs.get(f.ref, "?") for f in facts if f.kind == "TransferEnded")
    outcomes = {refs.get(f.ref, "?"): (str(f.data["outcome"]), str(f.data["seats"])) for f in facts
                if f.kind == "CallEnded"}  # fmt: skip
    wrong = []
    for caller, seen in count.calls.items():
        if (of[caller], ended[caller]) != (1, 1):
            wrong.append(f"{caller}: {of[caller]} arrivals, {ended[caller]} ends on record")
            continue
        outcome, seats = outcomes[caller]
        if ",".join(dict.fromkeys(seen.seats)) != seats or (outcome == "answered") is not bool(seen.seats):
            wrong.append(f"{caller}: picked up by {seen.seats}, on record {outcome} {seats!r}")
        if seen.keys != transfers[caller]:
            wrong.append(f"{caller}: {seen.keys} keys pressed, {transfers[caller]} transfers on record")
    keys = Counter(f.key for f in facts)
    return {
        "calls": len(count.calls), "answered": sum(bool(s.seats) for s in count.calls.values()),
        "transfers": sum(s.keys for s in count.calls.values()), "facts": len(facts),
        "sources": dict(Counter(f.source for f in facts)),
        "doubled": sum(n - 1 for n in keys.values()), "wrong": wrong,
        "unknown": sorted(set(refs.values()) - set(count.calls)),
    }  # fmt: skip


async def _verify(made: Instance) -> dict[str, Any]:
    argv = [sys.executable, "-m", "cti", "ledger", "verify", "--state", str(made.state), "--json", "--projections",
            "--quiet-minutes", "0"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.DEVNULL)  # fmt: skip
    out, _ = await process.communicate()
    said: dict[str, Any] = json.loads(out)
    return {name: said[name] for name in ("whole", "entries", "calls", "transfers", "found")} | {
        "findings": said["findings"][:10]}  # fmt: skip


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m bench.ledger_storm", description=__doc__, formatter_class=form)
    parser.add_argument("--only", nargs="+", choices=list(HARMS), default=[n for n in HARMS if n != "nothing"])
    parser.add_argument("--rate", type=float, default=20.0, help="calls a second (20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=None, help="of harm (60 for redis-away, else 30 or 40)")
    parser.add_argument("--json", type=Path, default=None, help="write all that was seen to this file")
    options = parser.parse_args()
    told = []
    for name in options.only:
        print(f"{name} …", file=sys.stderr, flush=True)
        one = asyncio.run(storm(name, options.rate, options.seed, options.seconds))
        told.append(one)
        good = not one["wrong"] and not one["doubled"] and not one["unknown"] and one["verify"]["whole"]
        print(f"{'✓' if good else '✗'} {name:14} {one['seconds']:5.0f} s  {one['calls']:5} calls "
              f"{one['answered']:5} answered {one['transfers']:4} transfers {one['facts']:6} facts "
              f"{one['sources']}  lost {len(one['wrong'])}  doubled {one['doubled']}  "
              f"verify {'whole' if one['verify']['whole'] else one['verify']['found']}", flush=True)  # fmt: skip
        for line in [*one["wrong"][:10], *(str(f) for f in one["verify"]["findings"])]:
            print("    " + line)
    if options.json:
        options.json.write_text(json.dumps(told, ensure_ascii=False, indent=1))
    sys.exit(any(one["wrong"] or one["doubled"] or not one["verify"]["whole"] for one in told))


if __name__ == "__main__":

    main()
