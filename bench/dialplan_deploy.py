"""What a deploy costs the people who talk: good dialplans and broken ones put into service under load.

Standing calls, new ones coming in, the key pressed now and then, while deploys follow one another: some good, some that
Asterisk refuses (nothing is touched), some that pass until the probe call (taken back). Bars: no call is lost, nobody
misses another for more than 120 ms, every new call reaches a seat. `python -m bench.dialplan_deploy [--n 10] [--json]`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cti.cli.dialplan_deploy import Site, carry_out
from cti.dialplan.running import NotDeployed
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.stack import Stage, stage
from cti.directory import load_directory
from cti.log import configure_logging
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import open_root

RUNTIME = Path(".runtime/root").resolve()
SEATS = ["1001", "1002", "1003", "1004", "1901", "8001", "8002", "8101", "8102"]
STANDING = 2
SHORT_S = 2.5
BAR_MS = 120.0
PROBE_FAILS = ("trunk.conf.j2", "exten => unknown,1,CELGenUserEvent(NumberUnknown,{})", "exten => unknown,1,Wait(9)")
GOODBYE = " same => n,Playback(${SOUNDS}/goodbye)"
REFUSED = ("lobby.conf", GOODBYE, f"{GOODBYE}\n[broken\n")


class Load:
    """Callers who come one after another, talk, and go; each is watched."""

    def __init__(self, on: Stage) -> None:
        self.on, self.begun, self.lost = on, 0, list[str]()
        self.keys = 0

    async def run(self, caller: Phone) -> None:
        """One caller after another, until cancelled; every third is sent on to 110 by the key."""
        while True:
            n = self.begun
            self.begun += 1
            cli = f"139{n:08d}"
            call = await caller.dial("12345", caller_id=cli)
            seat = await self._seat(cli)
            if seat is None:
                self.lost.append(f"{cli}: no seat in 8 s")
                call.hangup()
                continue
            if n % 3 == 0:
                self.keys += 1
                await seat.dtmf("*110")
                police = await self._seat(cli, "8")
                if police is None:
                    self.lost.append(f"{cli}: the key reached nobody")
            await asyncio.sleep(SHORT_S)
            if call.t_ended is not None:
                self.lost.append(f"{cli}: ended by {call.ended_by} after {call.t_ended - (call.t_answered or 0):.1f} s")
            call.hangup()
            await asyncio.sleep(0.2)

    async def _seat(self, cli: str, platform: str = "1") -> Call | None:
        for _ in range(400):
            for number, phone in self.on.seats.items():
                for call in phone.calls[-3:]:
                    if number.startswith(platform) and call.caller.user == cli and call.t_answered and not call.t_ended:
                        return call
            await asyncio.sleep(0.02)
        return None


async def measure(n: int) -> dict[str, Any]:
    """So many deploys, a third each good, refused, taken back."""
    root = open_root(RUNTIME)
    if root is None:
        raise SystemExit("make runtime")
    config = folder("config")
    directory = load_directory(config, dt.date.today())
    counts: dict[str, int] = {}
    worst, seconds = 0.0, list[float]()
    with tempfile.TemporaryDirectory(prefix="hotline-cti-") as there:
        plan = Path(there) / "dialplan"
        shutil.copytree(folder("dialplan"), plan, ignore=shutil.ignore_patterns("stories"))
        async with (
            Instance(root, Path(there) / "state", directory, config, plan) as instance,
            stage(instance, seats=SEATS, callers=STANDING + 2) as on,
        ):
            for phone in on.seats.values():
                phone.on_invite = Answer(0.05)
            site, load, since = Site(instance, on, root, directory, config), Load(on), time.monotonic()
            standing = []
            for m, caller in enumerate(on.callers[:STANDING]):
                call = await caller.dial("12345", caller_id=f"1370000000{m}")
                seat = await load._seat(f"1370000000{m}")
                assert seat is not None
                standing.append((call, seat))
            await asyncio.sleep(1)
            since = time.monotonic()
            comers = [asyncio.create_task(load.run(caller)) for caller in on.callers[STANDING:]]
            for number in range(n):
                name, old, new = [("lobby.conf", GOODBYE, f" same => n,NoOp({number})\n{GOODBYE}"), REFUSED,
                                  PROBE_FAILS][number % 3]  # fmt: skip
                path = plan / name
                text = path.read_text(encoding="utf-8")
                assert old in text
                path.write_text(text.replace(old, new), encoding="utf-8")
                begun = time.monotonic()
                try:
                    outcome = (await carry_out(site, plan, None, checked=new is not PROBE_FAILS[2])).outcome
                except NotDeployed:
                    outcome = "refused"  # type: ignore[assignment]
                seconds.append(time.monotonic() - begun)
                counts[outcome] = counts.get(outcome, 0) + 1
                if number % 3:
                    path.write_text(text, encoding="utf-8")
            for task in comers:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            end = time.monotonic() - 0.2
            for call, seat in standing:
                for one, other in ((call, seat), (seat, call)):
                    if one.t_ended is not None:
                        load.lost.append(f"standing {one.phone.name} ended by {one.ended_by}")
                    worst = max(worst, one.gap({other.phone.name}, since, end).net_ms)
    return {"deploys": counts, "seconds_each": [round(s, 1) for s in seconds], "calls": load.begun + STANDING,
            "keys": load.keys, "lost": load.lost, "worst_gap_ms": round(worst, 1), "bar_ms": BAR_MS}  # fmt: skip


def main() -> int:
    """0 when the bars hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.dialplan_deploy", description=__doc__)
    parser.add_argument("--n", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    configure_logging("error", sys.stderr, json=False)
    found = asyncio.run(measure(chosen.n))
    print(json.dumps(found, ensure_ascii=False, indent=None if chosen.json else 1))
    return 0 if not found["lost"] and found["worst_gap_ms"] <= BAR_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
