"""pyst2's AGI verbs on an asyncio stream.

Knows: AGI's line protocol as Asterisk's ``res_agi.c`` speaks it, and pyst2's verb methods, which stay
synchronous and are bridged onto the event loop by greenback. Must not know: scripts, hotlines, or who listens
on the port.

What pyst2 0.5.1 gets wrong, and this subclass replaces: ``__init__`` calls ``signal.signal`` and writes the
caller's number to stderr; quoting drops quotes and lets a newline run a second command; a cut 520 loops for
ever; values holding ``)`` or a blank come back shortened, and a missing variable cannot be told from an empty
one.
"""
# pyst2 carries no types: its classes are Any to the checker, and subclassing them is this module's purpose.
# mypy: allow-subclassing-any

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import greenback
from asterisk.agi import (
    AGI,
    AGIAppError,
    AGIDBError,
    AGIError,
    AGIHangup,
    AGIInvalidCommand,
    AGIResultHangup,
    AGIUnknownError,
    AGIUsageError,
)

COMMAND_BYTES = 8191
"""Longest command with its newline that Asterisk 22 takes as one; it runs what is left over as a *new*
command (measured on 22.10.1: 8,191 bytes arrive whole, of 8,192 the last one is answered by itself).
"""
REPLY_BYTES = 65_536
REPLY_LINES = 128
CHUNK_BYTES = 4096

_T = TypeVar("_T")
_FORBIDDEN = re.compile(r"[\r\n\0]")
_BARE = re.compile(r"[^\s\"\\]*\Z")
_CODE = re.compile(r"(\d{3})([ -]|\Z)(.*)\Z", re.DOTALL)
_RESULT = re.compile(r"result=(\S*)(?: \((.*)\))?(.*)\Z", re.DOTALL)
_PAIR = re.compile(r"(\w+)=(\S+)")


class AgiFault(StrEnum):
    """Why a session did not end well: the label of the fault counter, so the set is closed."""

    CLOSED_EARLY = "closed_early"
    RESET = "reset"
    SILENT = "silent"
    TOO_BIG = "too_big"
    MALFORMED = "malformed"
    NOT_UTF8 = "not_utf8"
    REPLY_TIMEOUT = "reply_timeout"
    SESSION_TIMEOUT = "session_timeout"
    BAD_VALUE = "bad_value"
    UNKNOWN_SCRIPT = "unknown_script"
    FULL = "full"
    REFUSED = "refused"
    SCRIPT_ERROR = "script_error"


class AgiFailure(AGIError):
    """The session is over and nobody may believe it answered. ``kind`` is what is counted."""

    kind: AgiFault = AgiFault.MALFORMED

    def __init__(self, text: str, kind: AgiFault | None = None) -> None:
        super().__init__(text)
        self.kind = kind or self.kind


class AgiClosed(AgiFailure, AGIHangup):
    """End of stream. Also an ``AGIHangup``: scripts written for pyst2 clean up on it."""

    kind = AgiFault.CLOSED_EARLY


class AgiTimeout(AgiFailure):
    """The peer neither answered nor closed in time."""

    kind = AgiFault.REPLY_TIMEOUT


class AgiProtocolError(AgiFailure):
    """The peer sent something that is not AGI, or too much of it."""


class AgiBadValue(AgiFailure, ValueError):
    """A value that cannot be sent as one argument: CR, LF, NUL, a lone surrogate, or a command over 8,191
    bytes.
    """

    kind = AgiFault.BAD_VALUE


class AgiWire:
    """Bounded lines in, bytes out. Holds what was received and not yet read; every wait has a time-out in
    seconds.
    """

    __slots__ = ("_buffer", "_reader", "_writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()

    async def line(self, most: int) -> bytes:
        """The next line without its end. The caller holds the time-out.

        Raises AgiClosed at end of stream or reset, AgiProtocolError past ``most`` bytes without a newline.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > most:
                raise AgiProtocolError(f"no newline in {most} bytes", AgiFault.TOO_BIG)
            try:
                chunk = await self._reader.read(CHUNK_BYTES)
            except OSError as error:
                raise AgiClosed("connection reset", AgiFault.RESET) from error
            if not chunk:
                raise AgiClosed("end of stream")
            self._buffer += chunk
        if end > most:
            raise AgiProtocolError(f"line over {most} bytes", AgiFault.TOO_BIG)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    async def send(self, data: bytes, seconds: float) -> None:
        """Hand ``data`` to the kernel within ``seconds``. Raises AgiClosed, AgiTimeout."""
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(data)
                await self._writer.drain()
        except TimeoutError:
            raise AgiTimeout("peer does not read") from None
        except OSError as error:
            raise AgiClosed("connection reset", AgiFault.RESET) from error

    def buffered(self) -> list[bytes]:
        """Take the whole lines that have already arrived, waiting for nothing."""
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer[:] = rest
        return [line.removesuffix(b"\r") for line in lines]


class _Quoted(str):
    """An argument that already carries its quotes, so that `send_command` does not quote it twice."""

    __slots__ = ()


class Agi(AGI):
    """One session's channel. Use only inside a greenback portal; every verb blocks the script, never the
    loop.

    ``env`` holds the header as received (``agi_callerid`` …). ``reply_seconds`` bounds each command's write
    and each reply; a script that plays prompts raises it above the longest one. Errors: `AgiFailure` for the
    wire, pyst2's own (`AGIHangup`, `AGIAppError`, …) for what Asterisk answered.
    """

    HANGUP: ClassVar[bytes] = b"HANGUP"

    # pyst2's own __init__ takes over SIGHUP of the process and prints the caller's number: never called.
    def __init__(self, wire: AgiWire, env: Mapping[str, str], *, reply_seconds: float = 2.0) -> None:
        self.env = dict(env)
        self.reply_seconds = reply_seconds
        self._wire = wire
        self._got_sighup = False  # read by pyst2's test_hangup()

    @property
    def hung_up(self) -> bool:
        """Asterisk has told us that the channel is gone; the next command raises ``AGIHangup``."""
        return self._got_sighup

    def send_command(self, command: str, *args: object) -> None:
        """Write one command line. Raises AgiBadValue before a byte is sent; AgiClosed, AgiTimeout.

        pyst2 quotes some arguments and forgets others (file names, contexts): whatever could be read as more
        than one argument is quoted here.
        """
        words = [_checked(command)] + [text for arg in args if (text := self._argument(arg))]
        try:
            line = " ".join(words).strip().encode() + b"\n"
        except UnicodeEncodeError as error:
            raise AgiBadValue("value is not text") from error
        if len(line) > COMMAND_BYTES:
            raise AgiBadValue(f"command of {len(line)} bytes, Asterisk reads {COMMAND_BYTES}")
        self._refuse_unsolicited()
        self.test_hangup()
        _wait(self._wire.send(line, self.reply_seconds))

    def get_result(self, stdin: object = None) -> dict[str, tuple[str, str]]:
        """Read one reply as pyst2 shapes it: ``{"result": (value, text in parentheses), "endpos": ("160",
        ""), …}``.

        Raises AGIHangup (511, or -1 on a dead channel), AGIAppError (-1), AGIInvalidCommand (510),
        AGIUsageError (520), AGIUnknownError, AgiClosed, AgiTimeout, AgiProtocolError.
        """
        return self._result(_wait(self._reply(whole_value=False)))

    def get_variable(self, name: str) -> str | None:
        """The variable's value, "" when it is set and empty, None when it is not set.

        Asterisk cuts the value at 1,023 bytes (res_agi.c, handle_getvariable); half a character there is
        dropped. `get_full_variable` is not cut.
        """
        return self._value("GET VARIABLE", self._quote(name))

    def get_full_variable(self, name: str, channel: str | None = None) -> str | None:
        """Evaluate ``name`` as a dialplan expression, e.g. ``${CALLERID(num)}``; None only for a missing
        channel.

        Never build ``name`` from what a caller can choose: it is code.
        """
        return self._value("GET FULL VARIABLE", *map(self._quote, (name, channel) if channel else (name,)))

    def database_get(self, family: str, key: str) -> str:
        """AstDB's value; raises AGIDBError when absent. (pyst2 quotes twice, which honest escaping would send
        on.)
        """
        value = self._value("DATABASE GET", self._quote(family), self._quote(key))
        if value is None:
            raise AGIDBError("no such key")
        return value

    def _quote(self, string: object) -> str:
        """One argument for ``parse_args`` of res_agi.c, which knows ``"`` and ``\\`` and nothing else."""
        return _Quoted('"' + _checked(str(string)).replace("\\", "\\\\").replace('"', '\\"') + '"')

    def _argument(self, arg: object) -> str:
        if isinstance(arg, _Quoted):
            return arg
        text = _checked(str(arg))
        return text if _BARE.match(text) else self._quote(text)

    def _refuse_unsolicited(self) -> None:
        """A line nobody asked for (a newline inside a value makes one) would pass as the next reply: end
        instead.
        """
        for line in self._wire.buffered():
            if line != self.HANGUP:
                raise AgiProtocolError("a reply nobody asked for")
            self._got_sighup = True

    def _value(self, command: str, *args: str) -> str | None:
        self.test_hangup()
        self.send_command(command, *args)
        reply = _wait(self._reply(whole_value=True))
        value, text = self._result(reply)["result"]
        return text if value == "1" else None

    async def _reply(self, *, whole_value: bool) -> str:
        """One reply, of several lines where Asterisk sends several: a 520's usage, a value that holds
        newlines.
        """
        lines: list[str] = []
        room = REPLY_BYTES
        try:
            async with asyncio.timeout(self.reply_seconds):
                for _ in range(REPLY_LINES):
                    raw = await self._wire.line(room)
                    if raw == self.HANGUP:
                        self._got_sighup = True
                        continue
                    room = max(0, room - len(raw) - 1)
                    lines.append(raw.decode(errors="ignore" if whole_value else "replace"))
                    if lines[0].startswith("1"):  # "100 result=0 Trying...": the answer follows
                        lines.clear()
                    elif _complete(lines, whole_value=whole_value):
                        return "\n".join(lines)
        except TimeoutError:
            raise AgiTimeout("no reply") from None
        raise AgiProtocolError(f"reply over {REPLY_LINES} lines", AgiFault.TOO_BIG)

    def _result(self, reply: str) -> dict[str, tuple[str, str]]:
        head = _CODE.match(reply)
        if head is None:
            raise AgiProtocolError("reply without a code")
        code, text = head[1], head[3]
        if code == "510":
            raise AGIInvalidCommand(text)
        if code == "511":
            raise AGIResultHangup(text)
        if code == "520":
            raise AGIUsageError(reply)
        found = _RESULT.match(text)
        if code != "200" or found is None:
            raise AGIUnknownError(int(code), "Unhandled code or undefined response")
        value, inside = found[1], found[2] or ""
        if inside == "hangup" or (value == "-1" and self._got_sighup):
            raise AGIResultHangup("channel hung up during execution")
        if value == "-1":
            raise AGIAppError("Error executing application, or hangup")
        return {"result": (value, inside), **{key: (pair, "") for key, pair in _PAIR.findall(found[3])}}


def _checked(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise AgiBadValue("CR, LF or NUL in an argument")  # not the value: it may be a caller's number
    return text


def _complete(lines: list[str], *, whole_value: bool) -> bool:
    first, last = lines[0], lines[-1]
    if first.startswith("520-"):
        # Some usages lack their last newline, so that the closing line hangs on the text before it.
        return len(lines) > 1 and (last.startswith("520 ") or last.endswith("520 End of proper usage."))
    if whole_value and first.startswith("200 result=1 ("):
        return last.endswith(")")
    return True


def _wait(coroutine: Coroutine[Any, Any, _T]) -> _T:
    return greenback.await_(coroutine)
