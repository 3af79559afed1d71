"""Bulk export: rows a second, and what the process holds, for 200,000 rows of each table and format.

Knows: how to make facts and time `cti.export.stream.pieces`. Must not know: Redis. Memory is the process' own (RSS),
read every 20,000 rows; "grows_mb" is the largest reading after the first one less that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cti.core.disputes import period
from cti.core.facts import Fact, FactId
from cti.export.stream import FORMATS, Format, Tally, Told, pieces
from cti.export.tables import TABLES, Maker, Table
from tests.quarter import quarter

EXAMPLES = """examples:
  python bench/export.py               # 200,000 rows each, a small table
  python bench/export.py --json --rows 1000000"""


def rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


async def told(facts: list[Fact]) -> AsyncIterator[Told]:
    """A month again and again, each call under a name of its own."""
    for n in count():
        for k, fact in enumerate(facts):
            again = Fact(fact.kind, fact.at, f"{fact.ref}{n}", fact.data, fact.source, fact.key)
            yield FactId(fact.at // 1000, k), again


async def measure(table: Table, form: Format, rows: int, facts: list[Fact]) -> dict[str, float]:
    tally, held, size = Tally(), list[float](), 0
    began = time.perf_counter()
    made = pieces(Maker(table, 0, 1 << 60), told(facts), form, tally)
    async for piece in made:
        size += len(piece)
        if tally.rows >= (len(held) + 1) * 20_000:
            held.append(rss_mb())
        if tally.rows >= rows:
            break
    took = time.perf_counter() - began
    await made.aclose()  # type: ignore[attr-defined]
    return {"rows": tally.rows, "rows_per_s": round(tally.rows / took), "facts_per_s": round(tally.facts / took),
            "mb": round(size / 1e6, 1), "rss_mb": round(held[0], 1),
            "grows_mb": round(max(held) - held[0], 1)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    facts = list(quarter(period("2026-07"), 60))
    figures = {f"{table} {form}": asyncio.run(measure(table, form, asked.rows, facts))
               for table in TABLES for form in FORMATS}  # fmt: skip
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, one in figures.items():
            print(f"{name:20} " + "  ".join(f"{key} {value:,}" for key, value in one.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
