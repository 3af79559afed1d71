"""Callers of several sites, one call after another, while a dial test does what it does to them.

Knows: what makes a call a lost one. Must not know: sites, leases, who kills what.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cti.dialtest.call import Call
from cti.dialtest.phone import Phone
from cti.dialtest.scenarios.onekey import whose

LINE_S: Final = 40.0
"""a caller who has nobody after that is lost"""

Group = tuple[str, Sequence[Phone], Sequence[Phone]]
"""how its callers' numbers begin, the callers, the seats that may answer them"""


@dataclass(slots=True)
class Load:
    """What the callers met."""

    faults: list[str] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    dialled: dict[str, float] = field(default_factory=dict)
    """caller's number → when he dialled"""


@contextlib.asynccontextmanager
async def calling(groups: Iterable[Group], load: Load, rng: random.Random) -> AsyncIterator[None]:
    """Calls of every group until the block is left; calls under way are finished."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for stem, callers, seats in groups:
            for n, caller in enumerate(callers):
                tasks.create_task(_calling(caller, seats, f"{stem}{n}", load, over, rng))
        try:
            yield
        finally:
            over.set()


async def _calling(caller: Phone, seats: Sequence[Phone], stem: str, load: Load, over: asyncio.Event,
                   rng: random.Random) -> None:  # fmt: skip
    count = 0
    while not over.is_set():
        count += 1
        cli = f"{stem}{count:07d}"
        load.dialled[cli] = time.monotonic()
        call = await caller.dial("12345", caller_id=cli)
        fault = await _one_call(call, seats, cli, load, rng)
        if fault:
            load.faults.append(f"caller {cli}, call {count}: {fault}")
        call.hangup()
        with contextlib.suppress(TimeoutError):
            await call.wait_ended(3)
        await asyncio.sleep(rng.uniform(0.05, 0.4))


async def _one_call(call: Call, seats: Sequence[Phone], cli: str, load: Load, rng: random.Random) -> str:
    end = time.monotonic() + LINE_S
    while time.monotonic() < end:
        if call.t_ended is not None:
            return f"lost after {call.t_ended - load.dialled[cli]:.1f} s, status {call.status}"
        seat = await whose(list(seats), cli, 0.5)
        if seat is None:
            continue
        with contextlib.suppress(TimeoutError):
            if await seat.wait_answered(5):
                await call.wait_heard(seat.phone.name, 3)
                await seat.wait_heard(call.phone.name, 3)
                await asyncio.sleep(rng.uniform(0.6, 1.6))
                load.served[seat.phone.user] += 1
                return "dropped while talking" if any(c.t_ended is not None for c in (call, seat)) else ""
    return f"nobody answered within {LINE_S:g} s"
