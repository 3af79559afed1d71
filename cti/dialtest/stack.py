"""The stack under test and the people on it: seats' phones, outside callers, the service's record of what happened.

Knows: an embedded `Instance` and its ports. Must not know: what a scenario expects.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as aioredis

from cti.core.facts import Fact, decode
from cti.dialtest.call import Call
from cti.dialtest.phone import Phone
from cti.dialtest.tones import TONES
from cti.stack.instance import TRUNK_HOST, Instance


@dataclass(slots=True)
class Stage:
    """Phones on an instance. Open with `async with stage(instance, …)`."""

    instance: Instance
    seats: dict[str, Phone] = field(default_factory=dict)
    callers: list[Phone] = field(default_factory=list)

    @property
    def server(self) -> tuple[str, int]:
        return "127.0.0.1", self.instance.ports.sip

    async def facts(self, ref: str | None = None) -> list[Fact]:
        """The ledger's facts, of one call or all, straight from Redis: what a report would read."""
        client = aioredis.Redis(host="127.0.0.1", port=self.instance.ports.redis)
        try:
            rows: Any = await client.xrange(f"cti:{{{self.instance.site}}}:ledger")
        finally:
            await client.aclose()
        facts = [decode(entry) for _, entry in rows]
        return [f for f in facts if isinstance(f, Fact) and ref in (None, f.ref)]

    async def wait_fact(self, kind: str, ref: str, seconds: float = 15.0) -> Fact | None:
        """The first fact of this kind of a call, as soon as it is on record."""
        for _ in range(int(seconds * 10)):
            for fact in await self.facts(ref):
                if fact.kind == kind:
                    return fact
            await asyncio.sleep(0.1)
        return None

    async def leftovers(self, seconds: float = 5.0) -> list[str]:
        """Channels and bridges Asterisk still has after everybody hung up; empty is right."""
        left: list[str] = []
        for _ in range(int(seconds * 5)):
            left = [*await self.rows("core show channels concise"), *(await self.rows("bridge show all"))[1:]]
            if not left:
                return []
            await asyncio.sleep(0.2)
        return left

    async def rows(self, command: str) -> list[str]:
        """What `asterisk -rx` says to a command, line by line."""
        argv = self.instance.asterisk_command(command)
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        return [line for line in out.decode(errors="replace").splitlines() if line.strip()]


@contextlib.asynccontextmanager
async def stage(instance: Instance, *, seats: list[str], callers: int) -> AsyncIterator[Stage]:
    """Register these seats and lay out so many outside callers, each with a tone of his own."""
    made = Stage(instance)
    tones = iter(TONES)
    try:
        for number in seats:
            seat = instance.directory.seat(number)
            if seat is None:
                raise ValueError(f"seat {number} is not in the directory")
            phone = Phone(number, next(tones), made.server, number, seat.password(instance.key))
            made.seats[number] = phone
            await phone.start()
        for n in range(callers):
            phone = Phone(f"C{n + 1}", next(tones), made.server, f"1380000{n:04d}", None, local_host=TRUNK_HOST)
            made.callers.append(phone)
            await phone.start()
        yield made
    finally:
        for phone in (*made.callers, *made.seats.values()):
            await phone.stop()


__all__ = ["TONES", "Call", "Phone", "Stage", "stage"]
