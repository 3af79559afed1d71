"""Plays a scenario n times on a stage, one caller at a time or a few beside each other.

Knows: which scenarios there are and which seats each needs. Must not know: what is proven.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from cti.dialtest.report import Report, Run
from cti.dialtest.scenarios import onekey, queue
from cti.dialtest.stack import Phone, Stage, stage
from cti.stack.instance import Instance

One = Callable[[Stage, int, random.Random, Phone], Awaitable[Run]]


def _onekey(way: onekey.Way) -> One:
    async def one(on: Stage, number: int, rng: random.Random, caller: Phone) -> Run:
        return await onekey.one(on, way, number, rng, caller)

    return one


SCENARIOS: dict[str, tuple[tuple[str, ...], One]] = {
    **{name: ((*way.firsts, *way.targets), _onekey(way)) for name, way in onekey.WAYS.items()},
    "queue": (queue.SEATS, queue.one),
}


async def play(instance: Instance, scenario: str, n: int, seed: int, beside: int = 1,
               tell: Callable[[Run], None] | None = None) -> Report:
    """Run a scenario ``n`` times, ``beside`` callers at once. Raises KeyError for an unknown name."""
    seats, one = SCENARIOS[scenario]
    runs: list[Run] = []
    numbers = iter(range(n))
    way = onekey.WAYS.get(scenario)
    if way is not None:  # a seat must be free for every key, or it is the waiting for one that is measured
        beside = max(1, min(beside, min(len(way.firsts), len(way.targets)) - 1))
    async with stage(instance, seats=list(seats), callers=beside) as on:

        async def worker(caller: Phone) -> None:
            for number in numbers:
                run = await one(on, number, random.Random(seed * 1_000_003 + number), caller)
                runs.append(run)
                if tell is not None:
                    tell(run)

        async with asyncio.TaskGroup() as group:
            for caller in on.callers:
                group.create_task(worker(caller))
        left = await on.leftovers()
    return Report(scenario, seed, sorted(runs, key=lambda run: run.number), left)
