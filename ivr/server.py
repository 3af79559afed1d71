"""The FastAGI port: takes a connection, reads the header, runs one script, closes.

Knows: FastAGI's header and the limits every peer is held to. Must not know: what scripts decide, metrics
libraries, Redis, AMI. Asterisk blocks its channel while a session is open, so each session is short, bounded
in bytes and in time, and its failure is a closed connection: the dialplan's own default.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Protocol
from urllib.parse import parse_qsl

import greenback
import structlog
from asterisk.agi import AGIHangup

from ivr.agi import Agi, AgiClosed, AgiFailure, AgiFault, AgiProtocolError, AgiTimeout, AgiWire

log = structlog.get_logger(__name__)

_NAMES_LOGGED = 64
_CLOSE_SECONDS = 1.0
_STREAM_BYTES = 16_384
_QUERY_FIELDS = 32


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """One question. ``script``: the URL's path without slashes around it; ``query``: its decoded query;
    ``args``: AGI()'s further arguments; ``env``: the header (``agi_callerid``, ``agi_uniqueid`` …)."""

    script: str
    query: Mapping[str, str]
    args: tuple[str, ...]
    env: Mapping[str, str]


Script = Callable[[Agi, AgiRequest], None]
"""Synchronous; its verbs yield to the loop by themselves. It must not compute for long or block otherwise."""


class AgiMeter(Protocol):
    """What the server counts. ``outcome``: ``done``, ``hangup``, ``cancelled`` or an `AgiFault`'s value.
    ``script``: a name from the table of scripts or "", so that peers cannot invent labels."""

    def session_ended(self, script: str, outcome: str, seconds: float) -> None: ...
    def fault(self, kind: AgiFault) -> None: ...


@dataclass(frozen=True, slots=True)
class ScriptLimits:
    """Seconds: the whole session from the connection on; each command's write and each reply."""

    session_seconds: float = 5.0
    reply_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class AgiLimits:
    """What a peer may use. ``backlog`` is the kernel's queue: when it is full, Asterisk's channel stands
    still 2 s.
    """

    sessions: int = 500
    header_bytes: int = 65_536
    header_lines: int = 128
    header_seconds: float = 2.0
    backlog: int = 1024
    log_every_seconds: float = 60.0
    script: ScriptLimits = ScriptLimits()
    scripts: Mapping[str, ScriptLimits] = field(default_factory=dict)


class FastAgiServer:
    """Serves ``scripts`` on ``host:port`` (0: any free port) while `run` runs, which owns every session.

    ``ready`` is set while the port is open. ``faults`` counts by kind, with or without a meter.
    """

    def __init__(
        self,
        host: str,
        port: int,
        scripts: Mapping[str, Script],
        *,
        limits: AgiLimits | None = None,
        meter: AgiMeter | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        self.faults: Counter[AgiFault] = Counter()
        self._host = host
        self._asked_port = port
        self._scripts = dict(scripts)
        self._limits = limits or AgiLimits()
        self._meter = meter
        self._group: asyncio.TaskGroup | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._unknown: set[str] = set()
        self._quiet: dict[AgiFault, _Quiet] = {}

    @property
    def port(self) -> int:
        """The bound port; 0 before the first `ready`."""
        return self._port

    @property
    def open_sessions(self) -> int:
        return len(self._open)

    async def run(self) -> None:
        """Serve until cancelled; then close the port, cancel every session and wait for all. OSError: bind
        failed.
        """
        try:
            async with asyncio.TaskGroup() as group:
                server = await asyncio.start_server(
                    self._accept,
                    self._host,
                    self._asked_port,
                    limit=_STREAM_BYTES,
                    backlog=self._limits.backlog,
                )
                self._group = group
                try:
                    self._port = server.sockets[0].getsockname()[1]
                    self.ready.set()
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._group = None
                    self.ready.clear()
                    server.close()
        finally:
            for writer in self._open:  # only sessions cancelled before their first step are left here
                writer.transport.abort()
            self._open.clear()
            for kind, quiet in self._quiet.items():
                quiet.flush(kind)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._group is None:
            writer.transport.abort()
        elif len(self._open) >= self._limits.sessions:
            writer.transport.abort()  # at once: Asterisk's channel stands still until then
            self._fault(AgiFault.FULL, "sessions are at their limit")
        else:
            self._open.add(writer)
            self._group.create_task(self._session(reader, writer), name="agi-session")

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The per-session barrier, the only place that catches everything: one bad script is one lost
        session.
        """
        try:
            await self._serve(reader, writer)
        except Exception as error:
            # Neither the message nor the values: they may hold the caller's number.
            at = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{at.name}:{at.lineno}"
            self._say(AgiFault.SCRIPT_ERROR, "script failed", error=type(error).__name__, at=place)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started = asyncio.get_running_loop().time()
        script, outcome = "", str(AgiFault.SCRIPT_ERROR)
        try:
            wire = AgiWire(reader, writer)
            request = await self._read_request(wire)
            script = request.script if request.script in self._scripts else ""
            if not script:
                raise AgiFailure(self._name_unknown(request.script), AgiFault.UNKNOWN_SCRIPT)
            await self._run_script(wire, request, started)
            outcome = "done"
        except AgiFailure as failure:
            outcome = failure.kind
            self._fault(failure.kind, str(failure), script=script)
        except AGIHangup:
            outcome = "hangup"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            if outcome == AgiFault.SCRIPT_ERROR:
                self._count(AgiFault.SCRIPT_ERROR)
            await self._close(writer, politely=outcome == "done")
            self._open.discard(writer)
            if self._meter is not None:
                self._meter.session_ended(script, outcome, asyncio.get_running_loop().time() - started)

    async def _read_request(self, wire: AgiWire) -> AgiRequest:
        try:
            async with asyncio.timeout(self._limits.header_seconds):
                lines = await read_header(wire, self._limits)
        except TimeoutError:
            raise AgiTimeout("the header did not arrive", AgiFault.SILENT) from None
        request, clean = parse_request(lines)
        if not clean:
            # Counted, and gone on with: a carrier's GBK display name must not cost its caller the answer.
            self._fault(AgiFault.NOT_UTF8, "the header is not UTF-8")
        return request

    async def _run_script(self, wire: AgiWire, request: AgiRequest, started: float) -> None:
        limits = self._limits.scripts.get(request.script, self._limits.script)
        agi = Agi(wire, request.env, reply_seconds=limits.reply_seconds)
        deadline = asyncio.timeout_at(started + limits.session_seconds)
        try:
            async with deadline:
                await greenback.with_portal_run_sync(self._scripts[request.script], agi, request)
        except AgiClosed:
            if agi.hung_up:  # Asterisk said HANGUP before it closed: the caller left, nobody is at fault
                raise AGIHangup("the caller left") from None
            raise
        except TimeoutError:
            if deadline.expired():
                raise AgiTimeout("the session took too long", AgiFault.SESSION_TIMEOUT) from None
            raise

    async def _close(self, writer: asyncio.StreamWriter, *, politely: bool) -> None:
        try:
            if politely:
                writer.close()
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await writer.wait_closed()
        except OSError:
            # Reset, or our own time-out: the session is over either way, and the abort ends the socket.
            log.debug("agi peer left before the close")
        finally:
            writer.transport.abort()

    def _name_unknown(self, name: str) -> str:
        """The log's text; each unknown name is said once, and the number of names is bounded."""
        if name not in self._unknown and len(self._unknown) < _NAMES_LOGGED:
            self._unknown.add(name)
            log.warning("agi script unknown", script=name[:64])
        return "no such script"

    def _fault(self, kind: AgiFault, text: str, **fields: str) -> None:
        self._count(kind)
        self._say(kind, text, **fields)

    def _count(self, kind: AgiFault) -> None:
        self.faults[kind] += 1
        if self._meter is not None:
            self._meter.fault(kind)

    def _say(self, kind: AgiFault, text: str, **fields: str) -> None:
        """The first of its kind at once, then one line with a count for each interval that has any."""
        quiet = self._quiet.setdefault(kind, _Quiet())
        now = asyncio.get_running_loop().time()
        if now < quiet.speak_at:
            quiet.unsaid += 1
            return
        log.warning("agi fault", kind=kind.value, text=text, unsaid=quiet.unsaid, **fields)
        quiet.speak_at, quiet.unsaid = now + self._limits.log_every_seconds, 0


@dataclass(slots=True)
class _Quiet:
    speak_at: float = -math.inf
    unsaid: int = 0

    def flush(self, kind: AgiFault) -> None:
        if self.unsaid:
            log.warning("agi fault", kind=kind.value, text="not said before the end", unsaid=self.unsaid)
            self.unsaid = 0


async def read_header(wire: AgiWire, limits: AgiLimits) -> list[bytes]:
    """The header's lines up to the blank one. The caller holds the time-out.

    Raises AgiClosed, AgiProtocolError(TOO_BIG).
    """
    lines: list[bytes] = []
    room = limits.header_bytes
    while line := await wire.line(room):
        lines.append(line)
        room = max(0, room - len(line) - 1)
        if len(lines) > limits.header_lines:
            raise AgiProtocolError(f"header over {limits.header_lines} lines", AgiFault.TOO_BIG)
    return lines


def parse_request(lines: Sequence[bytes]) -> tuple[AgiRequest, bool]:
    """The request, and whether every byte was UTF-8 (what was not is replaced by U+FFFD).

    Raises AgiProtocolError(MALFORMED) for a line without a colon, a repeated key or query field (a newline
    smuggled into a value would make one), too many query fields, or no address of a script.
    """
    env: dict[str, str] = {}
    clean = True
    for line in lines:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text, clean = line.decode(errors="replace"), False
        key, colon, value = text.partition(":")
        if not colon or not key or key in env:
            raise AgiProtocolError("header line is not one new `key: value`")
        env[key] = value.strip()
    address = env.get("agi_request", "").partition("://")[2].partition("/")[2]
    path, _, query = (env.get("agi_network_script") or address).partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS)
    except ValueError as error:
        raise AgiProtocolError("query has too many fields") from error
    fields = dict(pairs)
    if not path.strip("/") or len(fields) != len(pairs):
        raise AgiProtocolError("no script, or a repeated query field")
    numbers = takewhile(lambda n: f"agi_arg_{n}" in env, count(1))
    args = tuple(env[f"agi_arg_{n}"] for n in numbers)
    return AgiRequest(path.strip("/"), fields, args, env), clean
