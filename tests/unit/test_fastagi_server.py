"""The FastAGI port against bad peers: each is a counted, typed fault, and the next caller is served."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from cti.core.entry import EntryBook
from ivr.agi import Agi, AgiFault, AgiProtocolError
from ivr.entry import make_entry
from ivr.server import AgiLimits, AgiRequest, FastAgiServer, Script, ScriptLimits, parse_request

HEADER = b"agi_network_script: entry?ref=r1&hotline=12345\nagi_callerid: 08702123456\nagi_language: zh\n\n"
ENTRY = make_entry(lambda: EntryBook(hotlines={"12345": "530100"}), lambda: dt.date(2026, 5, 1))
LIMITS = AgiLimits(sessions=50, header_seconds=0.2, script=ScriptLimits(session_seconds=0.5, reply_seconds=0.3))


class Meter:
    def __init__(self) -> None:
        self.faults: Counter[AgiFault] = Counter()
        self.ended: list[tuple[str, str]] = []
        self.news = asyncio.Event()

    def fault(self, kind: AgiFault) -> None:
        self.faults[kind] += 1
        self.news.set()

    def session_ended(self, script: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append((script, outcome))
        self.news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not done():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def serving(limits: AgiLimits = LIMITS, meter: Any = None, **scripts: Script) -> AsyncIterator[FastAgiServer]:
    server = FastAgiServer("127.0.0.1", 0, {"entry": ENTRY, **scripts}, limits=limits, meter=meter)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run())
        async with asyncio.timeout(5):
            await server.ready.wait()
        yield server
        task.cancel()


async def connect(server: FastAgiServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def call(server: FastAgiServer, header: bytes = HEADER) -> list[str]:
    """Play Asterisk once: answer each command with success; the commands heard until the service closes."""
    reader, writer = await connect(server)
    heard = []
    try:
        async with asyncio.timeout(5):
            writer.write(header)
            while line := await reader.readline():
                heard.append(line.decode().strip())
                writer.write(b"200 result=1\n")
    except ConnectionError:
        heard.append("reset")
    finally:
        writer.close()
    return heard


async def gone(reader: asyncio.StreamReader) -> bytes:
    """What the service still sent before it closed or reset."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a killed peer's kernel does."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_an_entry_is_answered_and_its_token_comes_last() -> None:
    meter = Meter()
    async with serving(meter=meter) as server:
        heard = await call(server)
        assert heard[0] == 'SET VARIABLE "ENTRY_DIVISION" "530600"'
        assert heard[-1] == 'SET VARIABLE "ENTRY_TOKEN" "r1"'
        await meter.until(lambda: bool(meter.ended))
    assert meter.ended == [("entry", "done")] and not meter.faults and not server.faults


BAD: dict[str, tuple[bytes, str, AgiFault]] = {
    "closes at once": (b"", "close", AgiFault.CLOSED_EARLY),
    "closes in the header": (HEADER[:-1], "close", AgiFault.CLOSED_EARLY),
    "closes before the reply": (HEADER, "close", AgiFault.CLOSED_EARLY),
    "resets in the header": (HEADER[:20], "reset", AgiFault.RESET),
    "resets in the middle": (HEADER, "reset after command", AgiFault.RESET),
    "never speaks": (b"", "wait", AgiFault.SILENT),
    "drips": (HEADER[:30], "wait", AgiFault.SILENT),
    "never answers": (HEADER, "wait", AgiFault.REPLY_TIMEOUT),
    "2 MB without a newline": (b"x" * 2_000_000, "wait", AgiFault.TOO_BIG),
    "many lines": (b"".join(b"k%d: v\n" % n for n in range(200)), "wait", AgiFault.TOO_BIG),
    "no colon": (b"agi_network_script entry\n\n", "wait", AgiFault.MALFORMED),
    "nothing asked": (b"\n", "wait", AgiFault.MALFORMED),
    "unknown script": (b"agi_network_script: nosuch\n\n", "wait", AgiFault.UNKNOWN_SCRIPT),
    "no ref": (b"agi_network_script: entry\n\n", "wait", AgiFault.REFUSED),
    "answers nonsense": (HEADER + b"what?\n", "wait", AgiFault.MALFORMED),
    "answers unasked": (HEADER + b"200 result=1\n" * 9, "wait", AgiFault.MALFORMED),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_peer_is_counted_by_kind_and_the_next_call_is_served(name: str) -> None:
    sent, then, kind = BAD[name]
    meter = Meter()
    async with serving(meter=meter) as server:
        reader, writer = await connect(server)
        writer.write(sent)
        if then == "close":
            writer.close()
        elif then == "reset":
            await writer.drain()
            reset(writer)
        elif then == "reset after command":
            await reader.readline()
            reset(writer)
        else:
            assert b"ENTRY_TOKEN" not in await gone(reader)
        await meter.until(lambda: bool(meter.ended))
        # A reset may overtake what was sent before it: then the service sees only an early end.
        assert meter.ended[0][1] == kind
        assert server.faults == meter.faults == {kind: 1}
        assert (await call(server))[-1] == 'SET VARIABLE "ENTRY_TOKEN" "r1"'
        writer.close()
    assert server.open_sessions == 0


async def test_a_gbk_name_is_counted_but_costs_its_caller_nothing() -> None:
    async with serving() as server:
        heard = await call(server, "agi_calleridname: 报警人张三\n".encode("gbk") + HEADER)
        assert heard[-1] == 'SET VARIABLE "ENTRY_TOKEN" "r1"'
        assert server.faults == {AgiFault.NOT_UTF8: 1}


@pytest.mark.parametrize("last_words", [b"HANGUP\n", b"HANGUP\n200 result=1\n", b"511 Not Permitted\n"])
async def test_a_caller_who_hangs_up_is_nobodys_fault(last_words: bytes) -> None:
    meter = Meter()
    async with serving(meter=meter) as server:
        reader, writer = await connect(server)
        writer.write(HEADER)
        await reader.readline()
        writer.write(last_words)
        writer.write_eof()
        await meter.until(lambda: bool(meter.ended))
        writer.close()
    assert meter.ended == [("entry", "hangup")] and not meter.faults


async def test_a_session_too_many_is_closed_at_once() -> None:
    meter = Meter()
    limits = AgiLimits(sessions=2, header_seconds=5)
    async with serving(limits, meter) as server:
        held = [await connect(server) for _ in range(2)]
        before = time.monotonic()
        reader, writer = await connect(server)
        assert await gone(reader) == b""
        assert time.monotonic() - before < 1
        assert meter.faults == {AgiFault.FULL: 1}
        held[0][1].close()
        await meter.until(lambda: ("", AgiFault.CLOSED_EARLY) in meter.ended)
        assert server.open_sessions == 1
        assert (await call(server))[-1] == 'SET VARIABLE "ENTRY_TOKEN" "r1"'
        for _, each in [*held, (reader, writer)]:
            each.close()


async def test_the_whole_session_is_timed_however_busy_it_is() -> None:
    def endless(agi: Agi, request: AgiRequest) -> None:
        for _ in range(1_000_000):
            agi.noop()

    meter = Meter()
    async with serving(meter=meter, endless=endless) as server:
        assert await call(server, b"agi_network_script: endless\n\n")
        assert server.faults == {AgiFault.SESSION_TIMEOUT: 1}
    assert meter.ended == [("endless", AgiFault.SESSION_TIMEOUT)]


async def test_a_script_may_be_given_its_own_time() -> None:
    limits = AgiLimits(scripts={"slow": ScriptLimits(session_seconds=5, reply_seconds=0.05)})
    async with serving(limits, slow=lambda agi, request: agi.noop()) as server:
        reader, writer = await connect(server)
        writer.write(b"agi_request: agi://127.0.0.1:4573/slow\n\n")
        assert await gone(reader) == b"NOOP\n"
        assert server.faults == {AgiFault.REPLY_TIMEOUT: 1}
        writer.close()


async def test_a_broken_script_is_one_lost_session_and_its_message_is_not_logged() -> None:
    def broken(agi: Agi, request: AgiRequest) -> None:
        raise ValueError("caller 13812345678")

    meter = Meter()
    with capture_logs() as logs:
        async with serving(meter=meter, broken=broken) as server:
            assert await call(server, b"agi_network_script: broken\n\n") in ([], ["reset"])
            assert (await call(server))[-1] == 'SET VARIABLE "ENTRY_TOKEN" "r1"'
    assert meter.ended[0] == ("broken", AgiFault.SCRIPT_ERROR)
    assert meter.faults == {AgiFault.SCRIPT_ERROR: 1}
    assert [entry["error"] for entry in logs] == ["ValueError"]
    assert "13812345678" not in str(logs)


async def test_a_broken_meter_costs_no_call() -> None:
    class Broken:
        def fault(self, kind: AgiFault) -> None:
            raise RuntimeError

        def session_ended(self, script: str, outcome: str, seconds: float) -> None:
            raise RuntimeError

    async with serving(meter=Broken()) as server:
        for _ in range(3):
            assert (await call(server))[-1] == 'SET VARIABLE "ENTRY_TOKEN" "r1"'
            await call(server, b"nonsense\n\n")
        assert server.faults[AgiFault.MALFORMED] == 3


async def test_a_storm_of_one_kind_is_two_log_lines() -> None:
    with capture_logs() as logs:
        async with serving() as server:
            for n in range(20):
                await call(server, b"nonsense\n\n")
                await call(server, b"agi_network_script: no%d\n\n" % (n % 2))
    faults = [(entry["kind"], entry["unsaid"]) for entry in logs if entry["event"] == "agi fault"]
    assert faults == [("malformed", 0), ("unknown_script", 0), ("malformed", 19), ("unknown_script", 19)]
    assert [entry["script"] for entry in logs if entry["event"] == "agi script unknown"] == ["no0", "no1"]


async def test_a_count_follows_when_the_interval_is_over() -> None:
    with capture_logs() as logs:
        async with serving(AgiLimits(log_every_seconds=0)) as server:
            for _ in range(3):
                await call(server, b"nonsense\n\n")
    assert len(logs) == 3


async def test_invented_names_do_not_fill_the_log() -> None:
    with capture_logs() as logs:
        async with serving() as server:
            for n in range(80):
                await call(server, b"agi_network_script: x%d\n\n" % n)
    assert sum(entry["event"] == "agi script unknown" for entry in logs) == 64


async def test_stopping_closes_every_session_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    meter = Meter()
    async with serving(AgiLimits(header_seconds=60), meter) as server:
        peers = [await connect(server) for _ in range(20)]
        for _, writer in peers[:10]:
            writer.write(HEADER)
        for reader, _ in peers[:10]:
            await reader.readline()
        assert server.open_sessions == 20
        late = await connect(server)  # may be accepted in the very step that stops the service
    assert asyncio.all_tasks() == before
    assert server.open_sessions == 0 and not server.ready.is_set()
    for reader, writer in [*peers, late]:
        await gone(reader)
        writer.close()
    assert {outcome for _, outcome in meter.ended} == {"cancelled"}
    with pytest.raises(ConnectionRefusedError):
        await connect(server)
    gc.collect()


async def test_peers_that_left_cost_no_cpu() -> None:
    meter = Meter()
    async with serving(AgiLimits(header_seconds=60), meter) as server:
        for _ in range(20):
            _, writer = await connect(server)
            writer.write(HEADER[:20])
            writer.close()
        idle = [await connect(server) for _ in range(20)]
        await meter.until(lambda: len(meter.ended) == 20)
        spent = time.process_time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.get_running_loop().create_future()
        assert time.process_time() - spent < 0.1  # a spinning session would take all 0.5 s
        for _, writer in idle:
            writer.close()


def test_a_request_is_read_from_either_address() -> None:
    lines = [b"agi_request: agi://[::1]:4573/a/b?x=%E6%98%86+1&y=", b"agi_arg_1: one", b"agi_arg_2: two:2"]
    request, clean = parse_request(lines)
    assert (request.script, request.query, request.args) == ("a/b", {"x": "昆 1", "y": ""}, ("one", "two:2"))
    assert clean


@pytest.mark.parametrize(
    "lines",
    [
        [b"agi_network_script: entry?ref=1&ref=2"],
        [b"agi_network_script: entry?" + b"&".join(b"k%d=" % n for n in range(99))],
        [b"agi_network_script: /"],
        [b"agi_network_script: entry", b"agi_callerid: 1", b"agi_callerid: 110"],
        [b": entry"],
        [],
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(AgiProtocolError) as refused:
        parse_request(lines)
    assert refused.value.kind is AgiFault.MALFORMED
