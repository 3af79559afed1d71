"""A ledger of millions of facts: how fast its projections are rebuilt, how fast a day is read, and how much memory the
reading process takes meanwhile.

Knows: how to fill a Valkey of the runtime with facts of realistic calls. Must not know: how projections work inside.

Filling is raw XADD without fsync (it is not what is measured); the rebuild runs under production's `appendfsync
always`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from redis.asyncio import Redis

from cti.core.facts import Fact, FactId, decode, encode
from cti.core.rate_report import Asked
from cti.core.spans import day_of
from cti.ledger.days import Days
from cti.ledger.journal import Journal
from cti.ledger.keys import Keys
from cti.ledger.projections import project
from cti.ledger.query import Query
from cti.ledger.spool import Spool
from cti.ledger.stream import LedgerStream
from cti.stack.netports import LOOPBACK, free_tcp_port
from tests.real.valkey_server import ValkeyServer

EXAMPLES = """examples:
  python -m bench.ledger_scale                       # 200,000 facts, about a minute
  python -m bench.ledger_scale --facts 10000000      # the bar: rebuild < 5 min, day query < 200 ms, memory flat
  python -m bench.ledger_scale --pure                # no Valkey: facts a second through decode and projections

A call is 12 facts; --calls-a-day of them arrive evenly. Needs about 700 bytes of memory and of disk a fact (Valkey's).
"""
SITE = "530100"
FROM_US = 1_760_000_000_000_000
A_CALL = 12


def call(n: int, at: int, rng: random.Random) -> list[Fact]:
    """The facts of one call: answered by 12345, one in five transferred to 110; some abandon."""
    ref = f"{SITE}-{at // 1_000_000}.{n}"
    hotline = rng.choices(("12345", "12329", "110"), (80, 10, 10))[0]
    division, wait, talk = rng.choice(("530102", "530103", "530111", "530112")), rng.randrange(25_000), 180_000
    lost = rng.random() < 0.04
    after = 0
    facts: list[Fact] = []

    def told(kind: str, ms: int, /, **data: str | int) -> None:
        nonlocal after
        after += ms
        when = at + after * 1000
        key = f"cel/{when}/{ref}/{kind}/0" if kind not in ("CallEnded", "TransferEnded") else f"{kind}/{ref}"
        facts.append(Fact(kind, when, ref, data, "live", key))

    told("CallArrived", 0, hotline=hotline, caller="13800001111", callback="", drill="", platform="12345")
    told("EntryTold", 30, division=division, priority=0, nuisance=0)
    told("CallerQueued", 5, queue=hotline, priority=0)
    if not lost:
        told("SeatAnswered", wait, seat="1001", platform="12345", takes="queue", kind="general")
        told("RecordingStarted", 2, file=f"{ref}.wav", part="call", transfer="", keep_days=180)
        told("TransferStarted", talk // 2, transfer=f"{ref}-17", to="110", seat="1001", mode="swap", key="dtmf",
             danger=0, rule="decider", decide_s=180, remind_s=30)  # fmt: skip
        told("TargetTried", 3, transfer=f"{ref}-17", hop=1, target="110-dedicated")
        told("TargetAnswered", 4000, transfer=f"{ref}-17", seat="8001", platform="110", kind="dedicated")
        told("CallerJoined", 20)
        told("TransferEnded", 5000, transfer=f"{ref}-17", outcome="answered", why="", first_platform="12345", to="110",
             seat="1001", target="8001", key_="dtmf", mode="swap", hops=1, released=0, danger=0, started_at=at,
             answer_ms=4000, join_ms=20)  # fmt: skip
    else:
        for n_th in range(7):
            told("FrontTold", wait // 7, says=f"front-{n_th}")
    told("CallerLeft", talk // 2, xf="", cause="16")
    told("CallEnded", 0, outcome="abandoned" if lost else "answered", hotline=hotline, platform="12345",
         division=division, seat_kind="" if lost else "general", arrived_at=at, asked_at=at + 35_000, wait_ms=wait,
         talk_ms=0 if lost else talk, seats="" if lost else "1001,8001", transfers=0 if lost else 1,
         queues=f"{hotline},35,{'abandoned' if lost else 'answered'},{wait},")  # fmt: skip
    return facts


def facts(count: int, a_day: int) -> Iterator[list[tuple[FactId, Fact]]]:
    """In the ledger's order, in portions. Calls overlap as they do in life."""
    rng = random.Random(1)
    gap = 86_400_000_000 // a_day
    open_ones: list[Fact] = []
    last = FactId(0, 0)
    made = 0
    n = 0
    while made < count:
        for _ in range(512):
            open_ones += call(n, FROM_US + n * gap, rng)
            n += 1
        horizon = FROM_US + n * gap
        open_ones.sort(key=lambda fact: fact.at)
        ready = [fact for fact in open_ones if fact.at < horizon]
        if made + len(open_ones) >= count:
            ready = open_ones
        portion = []
        for fact in ready:
            ms = fact.at // 1000
            last = FactId(ms, 0) if ms > last.ms else last.after()
            portion.append((last, fact))
        del open_ones[: len(ready)]
        made += len(portion)
        yield portion


def bar(what: str, done: int, of: int, began: float) -> None:
    """One line on stderr, written over."""
    seconds = time.perf_counter() - began
    speed = done / max(seconds, 1e-6)
    print(f"\r{what:8} {done:>12,} / {of:,}  {speed:>10,.0f} /s ", end="", file=sys.stderr, flush=True)


def fill(port: int, key: str, count: int, a_day: int) -> int:
    """XADD by a plain socket: the answers are read and dropped."""
    with socket.create_connection((LOOPBACK, port)) as link:
        began, made, waiting = time.perf_counter(), 0, 0
        for portion in facts(count, a_day):
            out = []
            for fact_id, fact in portion:
                parts: list[bytes] = [b"XADD", key.encode(), str(fact_id).encode()]
                for name, value in encode(fact).items():
                    parts += (name, value)
                out.append(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            link.sendall(b"".join(out))
            waiting += len(portion)
            while waiting:  # an answer is "$15\r\n<id>\r\n": two line ends
                got = link.recv(1 << 20)
                if b"-ERR" in got or b"-OOM" in got:
                    raise RuntimeError(got[:200].decode("utf-8", "replace"))
                waiting -= _answers(got)
            if made // 100_000 < (made := made + len(portion)) // 100_000:
                bar("filling", made, count, began)
        print(file=sys.stderr)
        return made


_half = 0


def _answers(got: bytes) -> int:
    global _half
    _half += got.count(b"\r\n")
    whole, _half = divmod(_half, 2)
    return whole


def rss_mb() -> int:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() >> 20


async def measure(folder: Path, count: int, a_day: int) -> dict[str, Any]:
    server = ValkeyServer(folder, free_tcp_port())
    await server.start()
    keys = Keys(SITE)
    try:
        async with Redis(host=LOOPBACK, port=server.port) as raw:
            await raw.config_set("appendfsync", "no")
            made = await asyncio.to_thread(fill, server.port, keys.ledger, count, a_day)
            await raw.config_set("appendfsync", "always")
            stream = LedgerStream(SITE, server.url, timeout=30)
            spool = Spool(folder / "spool.db", max_bytes=1 << 20)
            query = Query(stream, Journal(spool))
            before = rss_mb()
            seen: list[int] = []
            began = time.perf_counter()

            def progress(walked: int) -> None:
                if walked % 100_000 < 2000:
                    seen.append(rss_mb())
                    bar("rebuild", walked, made, began)

            walked = await query.rebuild(progress=progress)
            seconds = time.perf_counter() - began
            print(file=sys.stderr)
            if walked != made:
                raise RuntimeError(f"{walked} of {made} facts were walked: the figures would lie")
            days = Days(SITE, server.url, timeout=30)
            queries, offered = [], 0
            for n in range(20):
                over = day_of(FROM_US + 86_400_000_000 * (1 + n % max(1, made // A_CALL // a_day)))
                start = time.perf_counter()
                told = (await days.report(Asked(over, by="hotline"))).figures()
                queries.append(time.perf_counter() - start)
                offered = max(offered, told["views"]["caller"]["offered"])
            after = rss_mb()
            memory: Any = await raw.info("memory")
            total = 0
            async for key in raw.scan_iter(match=keys.day("*"), count=1000):
                total += await raw.hlen(key)
            if not made // A_CALL - 300 <= total <= made // A_CALL + 300:
                raise RuntimeError(f"{total} calls in the days of {made} facts: the figures would lie")
            await days.close()
            await spool.close()
            await stream.close()
            return {
                "facts": made, "calls": total, "rebuild_s": round(seconds, 2),
                "rebuild_facts_per_s": round(made / seconds),
                "day_calls": offered, "day_query_ms_median": round(sorted(queries)[10] * 1000, 1),
                "day_query_ms_max": round(max(queries) * 1000, 1),
                "rss_mb_before": before, "rss_mb_rebuild_max": max(seen, default=before), "rss_mb_after_queries": after,
                "valkey_mb": round(int(memory["used_memory"]) / 2**20),
            }  # fmt: skip
    finally:
        server.kill()


def pure(count: int, a_day: int) -> dict[str, Any]:
    """Facts a second through decode (what a reader does) and `project` (what a projection does), no Redis."""
    entries = [(fact_id, encode(fact)) for portion in facts(count, a_day) for fact_id, fact in portion]

    keys = Keys(SITE)
    began = time.perf_counter()
    for _, fields in entries:
        decode(fields)
    decoded = time.perf_counter() - began
    began = time.perf_counter()
    commands = 0
    for start in range(0, len(entries), 500):
        commands += len(project(keys, entries[start : start + 500]))
    projected = time.perf_counter() - began
    return {
        "facts": len(entries), "decode_per_s": round(len(entries) / decoded),
        "project_per_s": round(len(entries) / projected),
        "both_per_s": round(len(entries) / (decoded + projected)), "commands": commands,
    }  # fmt: skip


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.ledger_scale", description=__doc__, epilog=EXAMPLES, formatter_class=form)
    parser.add_argument("--facts", type=int, default=200_000, metavar="N", help="facts in the ledger (200,000)")
    parser.add_argument("--calls-a-day", type=int, default=20_000, metavar="N", help="calls that arrive a day (20,000)")
    parser.add_argument("--folder", type=Path, help="put the files below this folder: the disk to measure (temp)")
    parser.add_argument("--pure", action="store_true", help="only decode and projections, in this process")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.facts < 10_000 or not 100 <= options.calls_a_day <= 1_000_000:
        parser.error("at least 10,000 facts, and 100 to 1,000,000 calls a day")
    if options.pure:
        told = pure(options.facts, options.calls_a_day)
    else:
        with tempfile.TemporaryDirectory(prefix="bench-scale-", dir=options.folder) as folder:
            told = asyncio.run(measure(Path(folder), options.facts, options.calls_a_day))
    if options.json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        print(f"{name:22}{value:>14,}")


if __name__ == "__main__":
    main()
