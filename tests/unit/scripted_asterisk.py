"""A tiny Asterisk manager for the faults a real one cannot be made to show: silence, half-open links, torn answers.

Answers Login and Ping by itself; every other action waits in `actions` until the test answers it with `say`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Action = dict[str, str]
BANNER = "Asterisk Call Manager/11.0.0\r\n"


class ScriptedAsterisk:
    """One listening manager; `secret` is what Login must bring. `pongs` and `banner` are switched by the test."""

    def __init__(self) -> None:
        self.port = 0
        self.secret = "right"
        self.banner = BANNER
        self.pongs = True
        self.logins: list[Action] = []
        self.connections = 0
        self.actions: asyncio.Queue[Action] = asyncio.Queue()
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self._reading = asyncio.Event()
        self._reading.set()

    @property
    def transport(self) -> asyncio.WriteTransport:
        assert self._writer is not None
        return self._writer.transport

    def say(self, *frames: str | bytes) -> None:
        """Send frames (lines joined by CRLF, without their end) in one piece."""
        assert self._writer is not None
        raw = [frame.encode() if isinstance(frame, str) else frame for frame in frames]
        self._writer.write(b"".join(frame + b"\r\n\r\n" for frame in raw))

    async def heard(self, what: str, times: int = 1) -> None:
        """Wait until `connection`, `Login` or `Ping` has come so many times (from now on, or unheard before)."""
        async with asyncio.timeout(5):
            while times:
                times -= await self._heard.get() == what

    async def next(self, name: str) -> Action:
        """The next action that came, which must be `name`."""
        async with asyncio.timeout(5):
            action = await self.actions.get()
        assert action["Action"] == name, action
        return action

    async def answer(self, name: str, *lines: str) -> Action:
        """Take the next action and answer it with one frame that carries its id."""
        action = await self.next(name)
        first, *rest = lines or ("Response: Success",)
        self.say("\r\n".join([first, f"ActionID: {action['ActionID']}", *rest]))
        return action

    def stop_reading(self) -> None:
        self._reading.clear()

    def drop(self) -> None:
        """Close the current connection from this side."""
        self.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.connections += 1
        self._heard.put_nowait("connection")
        writer.write(self.banner.encode())
        try:
            while True:
                await self._reading.wait()
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                action = dict(line.split(": ", 1) for line in lines if line)
                self._take(action, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _take(self, action: Action, writer: asyncio.StreamWriter) -> None:
        tail = f"ActionID: {action['ActionID']}\r\n"
        if action["Action"] == "Login":
            self.logins.append(action)
            self._heard.put_nowait("Login")
            good = action["Secret"] == self.secret
            writer.write(
                f"Response: {'Success' if good else 'Error'}\r\n{tail}Message: Authentication\r\n\r\n".encode()
            )
        elif action["Action"] == "Ping":
            self._heard.put_nowait("Ping")
            if self.pongs:
                writer.write(f"Response: Success\r\n{tail}Ping: Pong\r\n\r\n".encode())
        else:
            self.actions.put_nowait(action)


@asynccontextmanager
async def scripted_asterisk() -> AsyncIterator[ScriptedAsterisk]:
    """A manager on a free loopback port, gone afterwards with all its connections."""
    asterisk = ScriptedAsterisk()
    conversations: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.get_running_loop().create_task(asterisk._serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    asterisk.port = server.sockets[0].getsockname()[1]
    try:
        yield asterisk
    finally:
        server.close()
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        if asterisk._writer is not None:
            asterisk._writer.transport.abort()
