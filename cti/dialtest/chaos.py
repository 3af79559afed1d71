"""What `--chaos` does to a running instance: kill -9, SIGSTOP, a cut AMI link, Redis gone, when the seed says so.

Knows: processes of an embedded instance, by id. Must not know: what the callers are doing, which is the point; the
instants are uniform over time, so with enough runs every state is hit. What was done when is told, and drawn into the
ladder of every run it fell into.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from cti.stack.instance import Instance


@dataclass(frozen=True, slots=True)
class Blow:
    """One harm: what, from when to when (monotonic seconds)."""

    what: str
    t0: float
    t1: float

    def __str__(self) -> str:
        return f"{self.what} {self.t1 - self.t0:.2f} s"


Harm = Callable[[Instance, random.Random], Awaitable[None]]


async def kill(instance: Instance, rng: random.Random) -> None:
    """kill -9 of the service; it starts again after a while."""
    service = instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    await asyncio.sleep(rng.uniform(0.0, 2.0))
    await service.restart()


async def stop(instance: Instance, rng: random.Random) -> None:
    """SIGSTOP of the service: it holds its connections and says nothing."""
    service = instance.children["cti"]
    service.kill(signal.SIGSTOP)
    try:
        await asyncio.sleep(rng.uniform(0.1, 3.0))
    finally:
        service.kill(signal.SIGCONT)


async def cut(instance: Instance, rng: random.Random) -> None:
    """Asterisk throws the service off the manager interface."""
    for row in (await _cli(instance, "manager show connected")).splitlines():
        fields = row.split()  # user, address, start, elapsed, file descriptor, …
        if len(fields) >= 5 and fields[0] == instance.place.ami_username:
            await _cli(instance, f"manager kick session {fields[4]}")
    await asyncio.sleep(rng.uniform(0.0, 0.5))


async def redis(instance: Instance, rng: random.Random) -> None:
    """Redis killed (it fsyncs each fact) and started again, or stopped for a while."""
    valkey = instance.children["valkey"]
    if rng.random() < 0.5:
        valkey.kill(signal.SIGKILL)
        await valkey.wait()
        await asyncio.sleep(rng.uniform(0.0, 1.5))
        await valkey.restart()
    else:
        valkey.kill(signal.SIGSTOP)
        try:
            await asyncio.sleep(rng.uniform(0.1, 1.5))
        finally:
            valkey.kill(signal.SIGCONT)


HARMS: dict[str, Harm] = {"kill -9": kill, "SIGSTOP": stop, "AMI cut": cut, "Redis": redis}


@dataclass(slots=True)
class Chaos:
    """Blow after blow while the context is open; at its end everything runs again."""

    instance: Instance
    seed: int
    pause: tuple[float, float] = (0.2, 3.0)
    blows: list[Blow] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def on(self) -> AsyncIterator[Chaos]:
        """Begin; the blow under way is finished before the context is left."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._go(over))
            try:
                yield self
            finally:
                over.set()

    async def _go(self, over: asyncio.Event) -> None:
        rng = random.Random(self.seed)
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rng.uniform(*self.pause)):
                    await over.wait()
            if over.is_set():
                return
            name = rng.choice(list(HARMS))
            t0 = time.monotonic()
            await HARMS[name](self.instance, rng)
            self.blows.append(Blow(name, t0, time.monotonic()))

    def during(self, t0: float, t1: float) -> list[Blow]:
        """What was done in this stretch of time."""
        return [blow for blow in self.blows if blow.t0 <= t1 and blow.t1 >= t0]


async def _cli(instance: Instance, command: str) -> str:
    process = await asyncio.create_subprocess_exec(*instance.asterisk_command(command), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode(errors="replace")
