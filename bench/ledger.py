"""How long an append to the ledger takes: with Redis there, and to the local spool with Redis away.

Knows: how to start a Valkey with production's options and time `Ledger.append`. Must not know: how it works inside.

The figures of one machine say little; the ratios to a bare fsync on the same disk, printed beside them, travel.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import structlog

from cti.core.facts import Fact
from cti.ledger.ledger import Ledger
from cti.stack.netports import LOOPBACK, free_tcp_port
from tests.real.valkey_server import ValkeyServer

EXAMPLES = """examples:
  python bench/ledger.py                          # 2,000 appends each, as fast as it goes, a small table
  python bench/ledger.py --rate 200               # at the pace of 20 calls a second: a disk that idles is slower
  python bench/ledger.py --json --appends 20000   # for a machine
  python bench/ledger.py --callers 50             # 50 callers appending at once: what grouping them brings

"append" is one call of Ledger.append with --facts facts, durable when it returns (Redis: appendfsync always; spool:
SQLite, synchronous=FULL). "fsync" is a 300-byte write and fsync to a file beside the spool: the disk's own price."""

Figures = dict[str, float]


def figures(seconds: list[float], elapsed: float, appends: int) -> Figures:
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
        "max_ms": round(max(seconds) * 1000, 3),
        "appends_per_s": round(appends / elapsed),
    }


def time_fsync(folder: Path, times: int) -> Figures:
    seconds = []
    began = time.perf_counter()
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(b"x" * 300)
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return figures(seconds, time.perf_counter() - began, times)


async def time_appends(ledger: Ledger, appends: int, facts: int, callers: int, rate: float) -> Figures:
    """``rate``: appends a second of all callers together; 0: as fast as it goes."""
    seconds: list[float] = []

    async def call(caller: int) -> None:
        for n in range(appends // callers):
            at = time.time_ns() // 1000
            ref = f"530100-{caller}.{n}"
            data: dict[str, str | int] = {"result": "joined", "ring_ms": n}
            batch = [Fact("Timed", at, ref, data, "live", f"bench/{caller}/{n}/{i}") for i in range(facts)]
            started = time.perf_counter()
            if len(await ledger.append(batch)) != facts:
                raise RuntimeError("a fact was lost: the figures would lie")
            seconds.append(time.perf_counter() - started)
            if rate:
                await asyncio.sleep(max(0.0, began + (n + 1) * callers / rate - time.perf_counter()))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for caller in range(callers):
            group.create_task(call(caller))
    return figures(seconds, time.perf_counter() - began, len(seconds))


async def measure(folder: Path, appends: int, facts: int, callers: int, rate: float) -> dict[str, Figures]:
    server = ValkeyServer(folder, free_tcp_port())
    result = {"fsync": await asyncio.to_thread(time_fsync, folder, min(appends, 2000))}
    await server.start()
    try:
        for name, url in (("redis", server.url), ("spool", f"redis://{LOOPBACK}:{free_tcp_port()}/0")):
            ledger = Ledger("bench", url, folder / f"{name}.db", now_ms=lambda: time.time_ns() // 1_000_000)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(ledger.run())
                    async with asyncio.timeout(10):
                        while name == "redis" and not ledger.link_up:  # noqa: ASYNC110 (the other side is a process)
                            await asyncio.sleep(0.01)
                    await ledger.append([Fact("Warm", 0, "", {}, "service", f"warm/{name}")])
                    result[name] = await time_appends(ledger, appends, facts, callers, rate)
                    behind = time.perf_counter()
                    async with asyncio.timeout(10):
                        while name == "redis" and ledger.backlog:  # noqa: ASYNC110
                            await asyncio.sleep(0.001)
                    result[name]["behind_ms"] = round((time.perf_counter() - behind) * 1000, 1)
                    if (ledger.backlog > 0) is (name == "redis"):
                        raise RuntimeError(f"the facts did not go to the {name}: the figures would lie")
                    running.cancel()
            finally:
                await ledger.aclose()
    finally:
        server.kill()
    return result


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench/ledger.py", description=__doc__, epilog=EXAMPLES, formatter_class=form)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--appends", type=int, default=2000, metavar="N", help="appends per measurement (2000)")
    parser.add_argument("--facts", type=int, default=1, metavar="N", help="facts in one append (1)")
    parser.add_argument("--callers", type=int, default=1, metavar="N", help="callers appending at once (1)")
    parser.add_argument("--rate", type=float, default=0.0, metavar="N",
                        help="appends a second, e.g. 200: some 20 calls a second (0: as fast as it goes)")  # fmt: skip
    parser.add_argument("--folder", type=Path, help="put the files below this folder: the disk to measure (temp)")
    options = parser.parse_args()
    if min(options.appends // max(options.callers, 1), options.facts, options.callers) < 1 or options.appends < 100:
        parser.error("need at least 100 appends, one a caller, one fact and one caller")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory(prefix="bench-ledger-", dir=options.folder) as folder:
        result = asyncio.run(measure(Path(folder), options.appends, options.facts, options.callers, options.rate))
    ratios = {
        f"{one}_to_{other}_{p}": round(result[one][f"{p}_ms"] / result[other][f"{p}_ms"], 2)
        for one, other in (("redis", "fsync"), ("spool", "fsync"), ("spool", "redis"))
        for p in ("p50", "p99")
    }
    if options.json:
        print(json.dumps({**result, "ratios": ratios, "facts": options.facts, "callers": options.callers}))
        return
    print(f"{'':8}" + "".join(f"{column:>14}" for column in result["fsync"]))
    for name, row in result.items():
        print(f"{name:8}" + "".join(f"{value:>14}" for value in row.values()))
    print(*(f"{name} = {value}" for name, value in ratios.items()), sep="\n")


if __name__ == "__main__":
    main()
