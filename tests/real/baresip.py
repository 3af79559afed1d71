"""A telephone that is not ours: baresip (Debian's package in the runtime root), driven over its ctrl_tcp module.

Knows: its configuration, JSON in netstrings, its SIP trace. Must not know: what a test expects. It plays a tone from a
file, so that the phones' detector knows it as any other party. Version 1.1.0 watches a number by Event: presence alone
(PIDF, RFC 3863); it has no module for dialog-info (RFC 4235).
"""

from __future__ import annotations

import asyncio
import json
import os
import wave
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from cti.dialtest.tones import samples
from cti.stack import netports
from cti.stack.root import RuntimeRoot

READY_S = 10.0
ANSWER_S = 5.0
CONFIG = """sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
rtp_ports {first}-{last}
audio_player aufile,/dev/null
audio_alert aufile,/dev/null
audio_source aufile,{tone}
module_path {modules}
module g711.so
module aufile.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app presence.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class Baresip:
    """``async with Baresip(…)``: registered at ``server`` inside, watching ``lamps``; afterwards it does not run."""

    def __init__(self, root: RuntimeRoot, folder: Path, number: str, password: str, server: tuple[str, int], *,
                 tone: int, lamps: tuple[str, ...] = ()) -> None:  # fmt: skip
        self._root, self._folder = root, folder
        self._number, self._password, self._server = number, password, f"{server[0]}:{server[1]}"
        self._tone, self._lamps = tone, lamps
        self._ports: list[int] = []
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        rtp = netports.free_udp_range(20)
        control, sip = netports.free_tcp_port(), netports.free_udp_port()
        self._ports = [*rtp, control, sip]
        self._folder.mkdir()
        one = samples(self._tone).astype("<i2")
        with wave.open(str(self._folder / "tone.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(np.tile(one, 50 * 120).tobytes())
        (self._folder / "config").write_text(CONFIG.format(
            sip=sip, first=rtp.start, last=rtp.stop - 1, tone=self._folder / "tone.wav", control=control,
            modules=self._root.path / "usr/lib/baresip/modules"))  # fmt: skip
        account = f"<sip:{self._number}@{self._server}>;auth_pass={self._password};regint=60;audio_codecs=pcma\n"
        (self._folder / "accounts").write_text(account)
        (self._folder / "contacts").write_text(
            "".join(f'"{n}" <sip:{n}@{self._server}>;presence=p2p\n' for n in self._lamps))  # fmt: skip
        argv = self._root.argv("baresip", "-f", str(self._folder), "-s")
        environment = {**os.environ, "HOME": str(self._folder)}
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, env=environment)
        try:
            await self.traced("baresip is ready.")
            reader, self._writer = await asyncio.open_connection("127.0.0.1", control)
            self._reading = asyncio.create_task(self._read(reader))
            await self.traced("[1 binding]")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._writer.close()
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(3):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        netports.release(*self._ports)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            size = await reader.readuntil(b":")
            said = json.loads((await reader.readexactly(int(size[:-1]) + 1))[:-1])
            if said.get("event"):
                self.events.append(said)
                self._came.set()
            elif (waits := self._answers.pop(said.get("token", ""), None)) is not None and not waits.done():
                waits.set_result(said)

    async def do(self, command: str, words: str = "") -> str:
        """What it says to a command; AssertionError when it refuses."""
        token = f"{command}-{len(self.events)}-{os.urandom(4).hex()}"
        waits = self._answers[token] = asyncio.get_running_loop().create_future()
        body = json.dumps({"command": command, "params": words, "token": token}).encode()
        self._writer.write(str(len(body)).encode() + b":" + body + b",")
        async with asyncio.timeout(ANSWER_S):
            said = await waits
        assert said["ok"], f"baresip refused {command}: {said['data']}"
        return str(said["data"])

    async def press(self, code: str) -> None:
        """A key of kind `dtmf`: each digit as a telephone event."""
        for digit in code:
            await self.do("sndcode", digit)

    async def event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The ``count``-th event of this type since it started. TimeoutError."""
        async with asyncio.timeout(READY_S):
            while len(found := [e for e in self.events if e["type"] == kind]) < count:
                self._came.clear()
                await self._came.wait()
        return found[count - 1]

    @property
    def trace(self) -> str:
        """Everything it said: its own words and every SIP message."""
        return (self._folder / "log").read_text(errors="replace")

    async def traced(self, words: str, after: int = 0) -> int:
        """Where in its trace these words stand, past ``after``, as soon as they do. TimeoutError: its last words."""
        for _ in range(int(READY_S * 20)):
            if (at := self.trace.find(words, after)) >= 0:
                return at
            if self._process.returncode is not None:
                break
            await asyncio.sleep(0.05)
        raise TimeoutError(f"baresip did not say {words!r}: {self.trace[-600:]}")
