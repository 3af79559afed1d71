"""What the benches of calls share: an installation of their own with a piece of dialplan more, CPU clocks, spreads.

Knows: `Instance`, the kernel's CPU clocks. Must not know: what is measured.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np

from cti.directory import Directory, load_directory
from cti.log import configure_logging
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import open_root

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
OUT = HERE / "out"
RUNTIME = HERE.parent / ".runtime" / "root"


class NoRuntime(Exception):
    """`make setup` has not been run."""


@contextlib.asynccontextmanager
async def instance(dialplan: str, change: Callable[[Directory], Directory] = lambda d: d) -> AsyncIterator[Instance]:
    """A whole installation in a folder that goes away, `dialplan` added to its own. Raises NoRuntime, as Instance."""
    root = open_root(RUNTIME)
    if root is None:
        raise NoRuntime(f"{RUNTIME.name}: run `make setup` first")
    configure_logging("warning", sys.stderr, json=False)
    directory = change(load_directory(folder("config"), dt.date.today()))
    with tempfile.TemporaryDirectory(prefix="bench-") as state:
        local = Path(state) / "state" / "asterisk" / "etc" / "local.d"  # extensions.conf includes what is in it
        local.mkdir(parents=True)
        (local / "bench.conf").write_text(dialplan, encoding="utf-8")
        async with Instance(root, Path(state) / "state", directory, folder("config"), folder("dialplan")) as made:
            yield made


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used, threads that ended included, to the nanosecond.

    clock_getcpuclockid(3) for any process; /proc/<pid>/stat would round to 10 ms, more than a call costs.
    """
    return time.clock_gettime((~pid << 3) | 2)


def spread(values: Sequence[float]) -> dict[str, float]:
    """n, min, median, p99, max to 0.1; p99 of fewer than 100 values is all but the max."""
    low, median, p99, high = np.percentile(values, [0, 50, 99, 100])
    return {"n": len(values), "min": round(float(low), 1), "median": round(float(median), 1),
            "p99": round(float(p99), 1), "max": round(float(high), 1)}  # fmt: skip


def ratio(one: float, other: float) -> float | None:
    """One over the other to 0.01; None when there is nothing to compare with."""
    return round(one / other, 2) if other > 0 else None
