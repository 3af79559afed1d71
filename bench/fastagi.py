"""FastAGI sessions per second and memory per open session, beside a plain asyncio handler of the same
dialogue.

The service runs in a process of its own; this one plays Asterisk: it sends a header, answers every command at
once, and reads until the service closes. The plain handler neither bounds nor times nor checks anything: it
is the price of the wire alone, and the ratio is the price of everything `ivr` adds.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from cti.core.entry import EntryBook
from ivr.entry import make_entry
from ivr.server import AgiLimits, FastAgiServer, ScriptLimits

HOST = "127.0.0.1"
HEADER = b"".join(
    b"agi_%s: %s\n" % pair
    for pair in [
        (b"network", b"yes"),
        (b"network_script", b"entry?ref=bench-1&hotline=110"),
        (b"request", b"agi://127.0.0.1:4573/entry?ref=bench-1&hotline=110"),
        (b"channel", b"PJSIP/trunk-00000001"),
        (b"language", b"zh"),
        (b"callerid", b"08702123456"),
        *((b"extra_%d" % n, b"value") for n in range(14)),  # Asterisk sends some twenty lines
    ]
)
PLAIN = [
    b'SET VARIABLE "ENTRY_DIVISION" "530600"\n',
    b'SET VARIABLE "ENTRY_PRIORITY" "10"\n',
    b'SET VARIABLE "ENTRY_LANGUAGE" "zh"\n',
    b'SET VARIABLE "ENTRY_NUISANCE" "0"\n',
    b'SET VARIABLE "ENTRY_TOKEN" "bench-1"\n',
]


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates and CPU (the service's, user and system) are the median of the rounds; latencies are of one whole
    session, all rounds together. On a machine with other work the CPU figure is the one to compare.
    """

    sessions_per_second: float
    cpu_ms_per_session: float
    session_ms_median: float
    session_ms_p99: float
    open_session_kib: float


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (await reader.readline()).strip():
        pass
    for command in PLAIN:
        writer.write(command)
        await writer.drain()
        await reader.readline()
    writer.close()


async def serve(kind: str, most: int) -> None:
    """The measured process: print the port, serve until told to end."""
    if kind == "plain":
        server = await asyncio.start_server(plain, HOST, 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()
    book = EntryBook(hotlines={"110": "530100"})
    limits = AgiLimits(sessions=most + 100, header_seconds=60, script=ScriptLimits(60, 60))
    ours = FastAgiServer(HOST, 0, {"entry": make_entry(lambda: book, dt.date.today)}, limits=limits)
    async with asyncio.TaskGroup() as group:
        group.create_task(ours.run())
        await ours.ready.wait()
        print(ours.port, flush=True)


@asynccontextmanager
async def service(kind: str, most: int) -> AsyncIterator[tuple[int, int]]:
    """A service process: its port and its id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.fastagi", "--serve", kind, "--open", str(most), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        yield port, process.pid
    finally:
        process.kill()
        await process.wait()


async def session(port: int) -> float:
    """Play Asterisk once; seconds from connect to close."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(HEADER + b"\n")
    last = b""
    while line := await reader.readline():
        last = line
        writer.write(b"200 result=1\n")
    writer.close()
    if last != PLAIN[-1]:
        raise RuntimeError("the session was not answered")
    return time.perf_counter() - started


async def rate(port: int, sessions: int, at_once: int) -> tuple[float, list[float]]:
    took: list[float] = []

    async def caller() -> None:
        while len(took) + at_once <= sessions:
            took.append(await session(port))

    started = time.perf_counter()
    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(caller())
    return len(took) / (time.perf_counter() - started), took


def resident_kib(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def open_cost(port: int, pid: int, most: int) -> float:
    """KiB of the service's resident memory per session that waits for its first reply."""
    before = resident_kib(pid)
    peers = [await asyncio.open_connection(HOST, port) for _ in range(most)]
    for _, writer in peers:
        writer.write(HEADER + b"\n")
    for reader, _ in peers:
        await reader.readline()
    cost = (resident_kib(pid) - before) / most
    for _, writer in peers:
        writer.close()
    return cost


async def measure(args: argparse.Namespace) -> dict[str, Figures]:
    """Both services, round by round in turn, so that what else the machine does falls on both."""
    kinds = ("ivr", "plain")
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    cpu: dict[str, list[float]] = {kind: [] for kind in kinds}
    async with service("ivr", args.open) as ivr, service("plain", args.open) as bare:
        for number in range(args.rounds + 1):
            for kind, (port, pid) in zip(kinds, (ivr, bare), strict=True):
                before = cpu_seconds(pid)
                each, times = await rate(port, args.sessions, args.at_once)
                if number:  # the first round warms up: imports, first allocations
                    rates[kind].append(each)
                    took[kind] += times
                    cpu[kind].append((cpu_seconds(pid) - before) / len(times))
    figures = {}
    for kind in kinds:
        async with service(kind, args.open) as (port, pid):  # afresh: no freed memory to hide in
            await session(port)
            cost = await open_cost(port, pid, args.open)
        took[kind].sort()
        figures[kind] = Figures(
            sessions_per_second=round(statistics.median(rates[kind]), 1),
            cpu_ms_per_session=round(statistics.median(cpu[kind]) * 1000, 3),
            session_ms_median=round(statistics.median(took[kind]) * 1000, 2),
            session_ms_p99=round(took[kind][int(len(took[kind]) * 0.99)] * 1000, 2),
            open_session_kib=round(cost, 1),
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=3000, help="sessions per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=20, help="concurrent callers (default %(default)s)")
    parser.add_argument("--open", type=int, default=400, help="sessions held open for memory (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument("--serve", choices=["ivr", "plain"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.serve, args.open))
        return
    figures = asyncio.run(measure(args))
    ours, bare = (asdict(figures[kind]) for kind in ("ivr", "plain"))
    ratio = {key: round(ours[key] / bare[key], 2) for key in ours}
    if args.json:
        print(json.dumps({"ivr": ours, "plain": bare, "ratio": ratio}))
        return
    print(f"{'':22}{'ivr':>10}{'plain':>10}{'ratio':>8}")
    for key in ours:
        print(f"{key:22}{ours[key]:10.2f}{bare[key]:10.2f}{ratio[key]:8.2f}")


if __name__ == "__main__":
    main()
