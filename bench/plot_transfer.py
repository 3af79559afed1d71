"""The picture of `bench/transfer.py`. Knows: matplotlib. Must not know: how anything was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

if TYPE_CHECKING:
    from bench.transfer_report import Run

mpl.use("agg")
from matplotlib import pyplot as plt


def draw(runs: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Every run a dot, the median a bar, by variant; saved in the format of the path's ending."""
    names = [name for name, some in runs.items() if some]
    if not names:
        return
    figure, axes = plt.subplots(1, 4, figsize=(15, 4.6), constrained_layout=True, sharey=True)
    panels = (("key_to_invite_ms", "key → INVITE at the target, ms", True),
              ("gap_ms", "caller without a person at the swap, ms", True),
              ("silence_ms", "longest silence (no person, no music), ms", True),
              ("cpu_asterisk_ms", "CPU of a transfer, ms (ring: with service)", False))  # fmt: skip
    jitter = np.random.default_rng(1)
    for axis, (key, title, log) in zip(axes, panels, strict=True):
        for row, name in enumerate(names):
            values = np.array([getattr(run, key) for run in runs[name]], dtype=float)
            ours = "xfer" not in name
            color = "tab:blue" if ours else "tab:gray"
            ys = row + jitter.uniform(-0.22, 0.22, len(values))
            axis.plot(values, ys, "o", ms=3.5, alpha=0.5, color=color, mec="none")
            axis.plot([np.median(values)] * 2, [row - 0.34, row + 0.34], color="black", lw=1.6)
            axis.annotate(f"{np.median(values):.1f}", (float(np.median(values)), row - 0.36), ha="center",
                          va="bottom", fontsize=8)  # fmt: skip
            if key == "cpu_asterisk_ms":
                both = values + np.array([run.cpu_service_ms for run in runs[name]], dtype=float)
                axis.plot(both, ys, "o", ms=3.5, alpha=0.5, mfc="none", mec=color)
        if log:
            axis.set_xscale("log")
            low, high = axis.get_xlim()
            axis.set_xlim(low / 1.2, high * 1.2)
            ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if low / 1.2 <= t <= high * 1.2]
            axis.xaxis.set_major_locator(FixedLocator(ticks))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xticklabels([str(tick) for tick in ticks])
        else:
            axis.set_xlim(left=0)
        if key == "gap_ms":
            axis.axvline(60, color="tab:red", lw=0.8, ls="--")
        axis.set_title(title, fontsize=9)
        axis.grid(axis="x", which="both", lw=0.3)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.7)
    count = max(len(some) for some in runs.values())
    figure.suptitle(f"One key (blue) beside Asterisk's own transfers (gray), in turn on one instance, {count} rounds; "
                    "bars: medians, red: the bar", fontsize=10)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
