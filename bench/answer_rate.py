"""How long the answer rate takes, and that it is linear: 250,000 calls to 2 million.

Knows: how to make calls. Must not know: how they are counted inside.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cti.core.answer_rate import EndedCall, answer_rate
from cti.core.disputes import Period
from cti.core.rate_report import Asked, Report
from cti.core.spans import DAY_US, month

EXAMPLES = """examples:
  python -m bench.answer_rate                # 250k, 500k, 1M, 2M calls
  python -m bench.answer_rate --json --sizes 1000000

rate: answer_rate() over all of them (the bar: a million in under a second).  report: what `cti rate --month --by
division --buckets` counts: both views, groups, quarters of an hour, every rolling day.  Each the best of three."""
OVER = month("2026-11")


def calls(count: int) -> list[EndedCall]:
    """A month's calls of 12 hotlines, as they come from the ledger: each a value of its own."""
    rng = random.Random(1)
    outcomes = rng.choices(("answered", "abandoned", "timeout", "refused", "callback", "unasked"), (88, 5, 2, 1, 1, 3),
                           k=count)  # fmt: skip
    gap = (OVER.end - OVER.start) // count
    made = []
    for n, outcome in enumerate(outcomes):
        hotline = f"123{n % 12:02d}"
        wait = rng.randrange(60_000)
        queues = f"{hotline},50,{outcome},{wait},general" + (";110,90000,answered,4000,dedicated" if n % 5 == 0 else "")
        at, division = OVER.start + n * gap, f"53010{n % 9}"
        made.append(EndedCall(at, hotline, outcome, "12345", division, "general", wait, queues))
    return made


def best(what: Callable[[], object]) -> float:
    """Seconds, the best of three: the others had company."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def report(of: list[EndedCall]) -> Report:
    made = Report(Asked(Period(OVER.name, OVER.start, OVER.end), by="division", buckets=True))
    made.add(of)
    assert made.figures()["rolling_24h"][-1]["offered"] <= len(of) * DAY_US
    return made


def measure(count: int) -> dict[str, float]:
    of = calls(count)
    gc.collect()
    asked = sum(call.outcome != "unasked" for call in of)
    if answer_rate(of, OVER.start, OVER.end).offered != asked:
        raise RuntimeError("the rate did not see every call: the figures would lie")
    return {
        "calls": count,
        "rate_s": round(best(lambda: answer_rate(of, OVER.start, OVER.end)), 3),
        "report_s": round(best(lambda: report(of)), 3),
    }


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("bench.answer_rate", description=__doc__, epilog=EXAMPLES, formatter_class=form)
    parser.add_argument("--sizes", type=int, nargs="+", default=[250_000, 500_000, 1_000_000, 2_000_000], metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if min(options.sizes) < 1000:
        parser.error("at least 1,000 calls")
    rows = []
    for size in options.sizes:
        print(f"\r{size:>12,} …", end="", file=sys.stderr, flush=True)
        rows.append(measure(size))
    print("\r", end="", file=sys.stderr)
    for row in rows:
        row["rate_ns_a_call"] = round(row["rate_s"] / row["calls"] * 1e9)
        row["report_ns_a_call"] = round(row["report_s"] / row["calls"] * 1e9)
    if options.json:
        print(json.dumps({"rows": rows}))
        return
    print("".join(f"{name:>18}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value:>18,}" for value in row.values()))


if __name__ == "__main__":
    main()
