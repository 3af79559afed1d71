"""The stack under test and the people on it: seats' phones, outside callers, the service's record of what happened.

Knows: a `Target`, its ledger and its Asterisk's CLI. Must not know: what a scenario expects.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cti.core.facts import Fact, FactId, decode
from cti.dialtest.call import Call
from cti.dialtest.phone import Phone
from cti.dialtest.target import Target
from cti.dialtest.tones import TONES
from cti.ledger.stream import LedgerStream, StreamAway
from cti.stack.instance import Instance

_PAGE: Final = 500
_REDIS_S: Final = 5.0
_CLI_S: Final = 15.0
_BOOT_S: Final = 10.0


class SeatUnknown(ValueError):
    """A scenario's seat that the target does not have."""

    def __init__(self, number: str) -> None:
        super().__init__(f"没有席位 {number} / the stack has no seat {number}")


class AsteriskSilent(Exception):
    """The command that asks Asterisk failed; the text says how."""


class _NotBooted(AsteriskSilent):
    """Asterisk runs and does not know the command: its modules are still being loaded, or it has no such command."""


GIVEN_S = 0.5
"""for the service's journal to be empty, before Redis is read"""


class Record:
    """The facts a site's ledger got since `begin`, each read from Redis once.

    Not from the ledger's beginning: that may be years ago, and a seed played before used the same numbers.
    """

    def __init__(self, target: Target) -> None:
        self._stream = LedgerStream(target.site, target.redis_url, timeout=_REDIS_S)
        self._next = FactId(0, 0)
        self._all: list[Fact] = []
        self._by_ref: dict[str, list[Fact]] = {}
        self._reading = asyncio.Lock()  # two callers' questions must not read the same page twice

    async def begin(self) -> None:
        """What is there now is not told. Raises StreamAway."""
        self._next = (await self._stream.top()).after()

    async def facts(self, ref: str | None = None) -> Sequence[Fact]:
        """Facts of one call or all, in the ledger's order. Raises StreamAway."""
        async with self._reading:
            while page := await self._stream.read(self._next, _PAGE):
                for _, fields in page:
                    fact = decode(fields)
                    if isinstance(fact, Fact):
                        self._all.append(fact)
                        self._by_ref.setdefault(fact.ref, []).append(fact)
                self._next = page[-1][0].after()
        return self._all if ref is None else self._by_ref.get(ref, [])

    async def close(self) -> None:
        await self._stream.close()


@dataclass(slots=True)
class Stage:
    """Phones on a stack. Open with `async with stage(instance or target, …)`."""

    target: Target
    record: Record
    embedded: Instance | None = None
    seats: dict[str, Phone] = field(default_factory=dict)
    callers: list[Phone] = field(default_factory=list)
    before: frozenset[str] = frozenset()
    """channels and bridges that were there already: somebody else's"""
    harmed: bool = False
    """parts of it are killed meanwhile (`--chaos`)"""

    @property
    def server(self) -> tuple[str, int]:
        return self.target.server

    @property
    def instance(self) -> Instance:
        """The embedded instance below, whose parts a test may stop and kill. ValueError: it is another stack."""
        if self.embedded is None:
            raise ValueError("this stack is not an embedded instance")
        return self.embedded

    async def facts(self, ref: str | None = None) -> list[Fact]:
        """The ledger's facts since the stage was set, of one call or all, straight from Redis: what a report would
        read, once the embedded service has given Redis what it has on its disk. Raises StreamAway."""
        if self.embedded is not None and not self.harmed:
            await self._given(self.embedded)
        return list(await self.record.facts(ref))

    async def _given(self, instance: Instance) -> None:
        """Until nothing waits in the service's journal, or for half a second; a service that is away is not waited
        for."""
        asked = b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(TimeoutError, OSError, ValueError, KeyError):
            async with asyncio.timeout(GIVEN_S):
                while True:
                    reader, writer = await asyncio.open_connection("127.0.0.1", instance.ports.http)
                    try:
                        writer.write(asked)
                        said = await reader.read()
                    finally:
                        writer.close()
                    if json.loads(said.partition(b"\r\n\r\n")[2])["spool"] == 0:
                        return
                    await asyncio.sleep(0.01)

    async def wait_fact(self, kind: str, ref: str, seconds: float = 15.0) -> Fact | None:
        """The first fact of this kind of a call, as soon as it is on record. Raises StreamAway."""
        for _ in range(int(seconds * 10)):
            for fact in await self.record.facts(ref):
                if fact.kind == kind:
                    return fact
            await asyncio.sleep(0.1)
        return None

    async def leftovers(self, seconds: float = 5.0) -> list[str] | None:
        """Channels and bridges Asterisk still has after everybody hung up, but for those that were there before.

        Empty is right; None: Asterisk cannot be asked. Raises AsteriskSilent.
        """
        if self.target.command is None:
            return None
        left: list[str] = []
        for _ in range(max(1, int(seconds * 5))):
            left = [row for name, row in await self._present() if name not in self.before]
            if not left:
                return []
            await asyncio.sleep(0.2)
        return left

    async def look_before(self) -> None:
        """Remember whose channels are there already. Raises AsteriskSilent."""
        if self.target.command is None:
            return
        deadline = asyncio.get_running_loop().time() + _BOOT_S
        while True:
            late = asyncio.get_running_loop().time() > deadline
            try:
                self.before = frozenset([name for name, _ in await self._present()])
                if late or not any("@seats-boot-" in name for name in self.before):  # of Asterisk's first moments
                    return
            except _NotBooted:
                if late:
                    raise
            await asyncio.sleep(0.1)

    async def _present(self) -> list[tuple[str, str]]:
        channels = [(row.split("!")[0], row) for row in await self.rows("core show channels concise")]
        bridges = [(row.split()[0], row) for row in (await self.rows("bridge show all"))[1:]]  # [0]: their head
        return channels + bridges

    async def rows(self, command: str) -> list[str]:
        """What Asterisk's CLI says to a command, line by line. Raises AsteriskSilent."""
        if self.target.command is None:
            raise AsteriskSilent("没有询问 Asterisk 的命令 / there is no command to ask Asterisk with")
        argv = self.target.command(command)
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)  # fmt: skip
        except OSError as error:
            raise AsteriskSilent(f"{argv[0]}: {error.strerror}") from None
        try:
            async with asyncio.timeout(_CLI_S):
                out, err = await process.communicate()
        except TimeoutError:
            raise AsteriskSilent(f"{argv[0]}: no answer in {_CLI_S:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            text = (err or out).decode(errors="replace").strip()[-300:]
            raise AsteriskSilent(f"{argv[0]}: exit {process.returncode}: {text}")
        lines = [line for line in out.decode(errors="replace").splitlines() if line.strip()]
        if lines and lines[0].startswith("No such command"):  # said with exit code 0
            raise _NotBooted(lines[0])
        return lines


async def _start(phone: Phone) -> None:
    try:
        await phone.start()
    except OSError as error:  # which address it was is all that helps
        raise OSError(error.errno, error.strerror or str(error), phone.local_host) from None


@contextlib.asynccontextmanager
async def stage(on: Instance | Target, *, seats: Sequence[str], callers: int,
                first_tone: int = 0) -> AsyncIterator[Stage]:
    """Register these seats and lay out so many outside callers, each with a tone of his own.
    ``first_tone``: of `TONES`; two stages beside each other must not share one.

    Raises SeatUnknown, RegistrationRefused, StreamAway, AsteriskSilent; OSError: an address that is not this machine's.
    """
    target = on if isinstance(on, Target) else Target.of(on)
    made = Stage(target, Record(target), None if isinstance(on, Target) else on)
    tones = iter(TONES[first_tone:])
    try:
        await made.record.begin()
        await made.look_before()
        for number in seats:
            password = target.seat_password(number)
            if password is None:
                raise SeatUnknown(number)
            phone = Phone(number, next(tones), made.server, number, password, local_host=target.seat_host)
            made.seats[number] = phone
            await _start(phone)
        for n in range(callers):
            phone = Phone(f"C{n + 1}", next(tones), made.server, f"1380000{n:04d}", None, local_host=target.caller_host)
            made.callers.append(phone)
            await _start(phone)
        gc.freeze()  # walking all modules for cycles stops the tones' sender for 40-60 ms
        yield made
    finally:
        gc.unfreeze()
        for phone in (*made.callers, *made.seats.values()):
            await phone.stop()
        await made.record.close()


__all__ = ["TONES", "AsteriskSilent", "Call", "Phone", "Record", "SeatUnknown", "Stage", "StreamAway", "Target",
           "stage"]  # fmt: skip
