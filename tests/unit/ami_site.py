"""A client of AMI against a scripted Asterisk, and everything it tells its owner."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from cti.ami.client import AmiClient, AmiConfig, AmiError, Message
from tests.unit.scripted_asterisk import ScriptedAsterisk, scripted_asterisk

WANTED = frozenset({"CEL", "OriginateResponse", "Shutdown", "UserEvent", "DeviceStateChange"})


class Site:
    """A client running against a scripted Asterisk, and everything it told its owner."""

    def __init__(self, asterisk: ScriptedAsterisk) -> None:
        self.asterisk = asterisk
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.ups: asyncio.Queue[int] = asyncio.Queue()
        self.downs: asyncio.Queue[str] = asyncio.Queue()
        self.counts: Counter[str] = Counter()
        self.on_up: Callable[[], Awaitable[None]] | None = None
        self.client: AmiClient

    def ami_events(self, what: str, count: int = 1) -> None:
        self.counts[what] += count

    def hear(self, event: Message) -> None:
        if event.eventname == "bug":
            raise RuntimeError("a bug in a handler")
        self.events.put_nowait(event)

    async def up(self) -> None:
        self.ups.put_nowait(self.asterisk.connections)
        if self.on_up is not None:
            await self.on_up()

    async def event(self) -> Message:
        async with asyncio.timeout(5):
            return await self.events.get()


@asynccontextmanager
async def site(**config: float | str) -> AsyncIterator[Site]:
    async with scripted_asterisk() as asterisk:
        one = Site(asterisk)
        base = AmiConfig("127.0.0.1", asterisk.port, "cti", "right", backoff_first=0.01, backoff_max=0.02)
        one.client = AmiClient(
            replace(base, **config),  # type: ignore[arg-type]
            wanted=WANTED, on_event=one.hear, on_up=one.up, on_down=one.downs.put_nowait, meter=one,
        )  # fmt: skip
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(one.client.run())
            try:
                yield one
            finally:
                one.client.close()


@asynccontextmanager
async def linked(**config: float | str) -> AsyncIterator[Site]:
    async with site(**config) as one:
        await one.ups.get()
        yield one


@asynccontextmanager
async def pending(one: Site, name: str, **headers: str) -> AsyncIterator[asyncio.Task[Message]]:
    """An action that Asterisk has and has not answered."""
    async with asyncio.TaskGroup() as tasks:
        action = tasks.create_task(outcome(one.client.action(name, headers)))
        await one.asterisk.next(name)
        yield action


async def outcome(action: Awaitable[Message]) -> Message | AmiError:
    try:
        return await action
    except AmiError as error:
        return error
