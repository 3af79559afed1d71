"""What is done to two sites while seats go between them: services and Redis killed or stopped, the trunk cut.

Knows: instances' children, the trunk's relay. Must not know: leases, callers. Each blow is over, and what it struck is
back, when it returns.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from cti.dialtest.relay import Relay
from cti.stack.instance import Instance


@dataclass(frozen=True, slots=True)
class Struck:
    """Whom the blows are for; one Redis, the borrower's."""

    borrower: Instance
    owner: Instance
    relay: Relay


Blow = Callable[[Struck, random.Random], Awaitable[None]]


async def _kill(on: Instance, rng: random.Random) -> None:
    service = on.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    await asyncio.sleep(rng.uniform(0.0, 1.5))
    await service.restart()


async def _borrower(sites: Struck, rng: random.Random) -> None:
    await _kill(sites.borrower, rng)


async def _owner(sites: Struck, rng: random.Random) -> None:
    await _kill(sites.owner, rng)


async def _redis(sites: Struck, rng: random.Random) -> None:
    valkey = sites.borrower.children["valkey"]
    valkey.kill(signal.SIGKILL)
    await valkey.wait()
    await asyncio.sleep(rng.uniform(0.0, 2.0))
    await valkey.restart()


async def _redis_stop(sites: Struck, rng: random.Random) -> None:
    valkey = sites.borrower.children["valkey"]
    valkey.kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(rng.uniform(0.5, 3.0))
    finally:
        valkey.kill(signal.SIGCONT)


async def _trunk(sites: Struck, rng: random.Random) -> None:
    sites.relay.up = False
    try:
        await asyncio.sleep(rng.uniform(0.5, 8.0))
    finally:
        sites.relay.up = True


async def _none(sites: Struck, rng: random.Random) -> None:
    await asyncio.sleep(0)


BLOWS: Mapping[str, Blow] = {
    "borrower -9": _borrower, "owner -9": _owner, "redis -9": _redis, "redis STOP": _redis_stop, "trunk": _trunk,
    "none": _none,
}  # fmt: skip
