"""What recording costs: Asterisk's CPU with 30 calls talking, recorded and not, round by round in turn on one instance;
after each round one-key transfers, one by one: key → INVITE, and the caller's gap at the swap.

Knows: phones, the dialplan's switch of a hotline (RECORD_<number>). Must not know: how a call is recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time

import numpy as np

from bench import rig
from bench.load import CALLER_HZ, FIRST_SEAT, TARGET_SEAT, Moved, burst, staffed
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.stack import Stage, stage
from cti.stack.instance import TRUNK_HOST

SETTLE_S = 2.0


async def talk(on: Stage, caller: Phone, calls: int, seconds: float, pid: int) -> tuple[float, int]:
    """So many callers of 12345 with a seat each: cores Asterisk used while they talked, and how many did."""
    made: list[Call] = []
    try:
        for n in range(calls):
            made.append(await caller.dial("12345", caller_id=f"1350000{n:04d}"))
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE_S)
        before, began = rig.cpu_seconds(pid), time.monotonic()
        await asyncio.sleep(seconds)
        cores = (rig.cpu_seconds(pid) - before) / (time.monotonic() - began)
        legs = [leg for phone in on.seats.values() for leg in phone.calls if leg.t_ended is None and leg.t_answered]
        return cores, len(legs)
    finally:
        for call in made:
            call.hangup()
        await asyncio.sleep(SETTLE_S)


async def measure(rounds: int, calls: int, seconds: float, transfers: int) -> dict[str, object]:
    """Cores by round, their ratio; transfers of each kind; faults."""
    cores: dict[bool, list[float]] = {True: [], False: []}
    moved: dict[bool, list[Moved]] = {True: [], False: []}
    wrong: list[str] = []
    numbers = [*(str(FIRST_SEAT + n) for n in range(calls)), str(TARGET_SEAT)]
    async with (
        rig.instance("", lambda directory: staffed(calls, 9, directory)) as made,
        stage(made, seats=numbers, callers=0) as on,
    ):
        for phone in on.seats.values():
            phone.on_invite = Answer(0.1)
        caller = Phone("C", CALLER_HZ, on.server, "13500000000", None, local_host=TRUNK_HOST)
        await caller.start()
        try:
            for number in range(2 * rounds):
                recorded = number % 2 == 0
                await on.rows(f'dialplan set global RECORD_12345 "{1 if recorded else 0}"')
                before = len(list(made.recording.path.rglob("*.wav")))
                used, talked = await talk(on, caller, calls, seconds, made.children["asterisk"].pid)
                files = len(list(made.recording.path.rglob("*.wav"))) - before
                cores[recorded].append(round(used, 3))
                for n in range(transfers):
                    moved[recorded] += await burst(on, number * transfers + n, caller, 1)
                for phone in on.seats.values():
                    phone.on_invite = Answer(0.1)
                await asyncio.sleep(SETTLE_S)
                if (talked, files) != (calls, calls * recorded):
                    wrong.append(f"round {number}: {talked} of {calls} talked, {files} files")
        finally:
            await caller.stop()
        wrong += [f"left over: {row}" for row in await on.leftovers(10) or []]
    ratio = rig.ratio(float(np.median(cores[True])), float(np.median(cores[False])))
    figures: dict[str, object] = {}
    for kind, name in ((True, "recorded"), (False, "not")):
        wrong += [f"transfer {one.round}, {name}: {one.fault}" for one in moved[kind] if one.fault]
        for key in ("key_to_invite_ms", "gap_ms"):
            values = [v for one in moved[kind] if (v := getattr(one, key)) is not None]
            figures[f"{key}_{name}"] = rig.spread(values or [0.0])
    return {"cores_recorded": cores[True], "cores_not": cores[False], "ratio": ratio, **figures, "wrong": wrong}


def main() -> int:
    """0: every call talked and was recorded, or not, as wanted; 1: some were not."""
    parser = argparse.ArgumentParser("python -m bench.recording", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of each kind (%(default)s)")
    parser.add_argument("--calls", type=int, default=30, choices=range(1, 31), metavar="1-30", help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each round (%(default)s)")
    parser.add_argument("--transfers", type=int, default=5, help="after each round (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    args = parser.parse_args()
    found = asyncio.run(measure(args.rounds, args.calls, args.seconds, args.transfers))
    result = {"calls": args.calls, "seconds": args.seconds, **found, "load_average": os.getloadavg()}
    if args.json:
        print(json.dumps(result))
    else:
        print(*(f"{key:26} {value}" for key, value in result.items()), sep="\n")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
