"""The picture of `bench/province_day.py`. Knows: matplotlib. Must not know: how anything was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from bench.province import YUNNAN
from cti.core.answer_rate import TARGET_PERCENT, AnswerRate

if TYPE_CHECKING:
    from bench.province_day import Outcome
    from bench.province_sites import Day

mpl.use("agg")
from matplotlib import pyplot as plt


def draw(day: Day, runs: Sequence[Outcome], needed: Sequence[tuple[int, int]], path: Path) -> None:
    """Answer rate of the struck site by quarter, its seats by owner, and every site's rate; ``runs``: without, with."""
    names = {p.code: p.latin for p in YUNNAN}
    without, with_ = runs
    hours = np.arange(len(with_.quarters)) / 4 + day.start_s / 3600 + 0.125
    figure, (rate, seats, all_sites) = plt.subplots(1, 3, figsize=(15, 4.4), constrained_layout=True,
                                                    width_ratios=(1.15, 1.15, 1))  # fmt: skip
    for one, color, label in ((without, "tab:gray", "without"), (with_, "tab:blue", "with overflow")):
        rate.plot(hours, [_percent(r) for r in one.quarters], color=color, lw=1.4,
                  label=f"{label}: {one.rates[day.struck].text}")  # fmt: skip
    rate.axhline(TARGET_PERCENT, color="tab:red", lw=0.8, ls="--")
    rate.set_title(f"{names[day.struck]}: answered by a person, % of each quarter hour's callers", fontsize=9)
    rate.legend(fontsize=8, loc="lower left")
    rate.set_ylim(0, 102)

    lenders = sorted({c for some in with_.seats for c in some} - {day.struck})
    order = [day.struck, *sorted(lenders, key=lambda c: -sum(s.get(c, 0) for s in with_.seats))]
    shown, rest = order[:7], order[7:]
    layers = [[some.get(code, 0) for some in with_.seats] for code in shown]
    layers.append([sum(some.get(code, 0) for code in rest) for some in with_.seats])
    labels = ["own", *(names[c] for c in shown[1:]), f"{len(rest)} others"]
    at = hours[: len(with_.seats)]
    colors = ["tab:gray", *plt.colormaps["tab20c"](np.linspace(0, 0.6, len(layers) - 1))]
    seats.stackplot(at, layers, labels=labels, colors=colors, step="mid")
    seats.set_title(f"seats in {names[day.struck]}'s line, by owner", fontsize=9)
    seats.legend(fontsize=7, loc="upper left")
    worst = max(n for n, _ in needed)
    rate.set_xlabel("hour of day", fontsize=8)
    seats.set_xlabel(f"hour of day (all sites: {needed[0][1]} seats, {worst} needed in the worst quarter)", fontsize=8)
    for axis in (rate, seats):
        axis.axvline(day.quake_s / 3600, color="black", lw=0.8, ls=":")
        axis.set_xlim(max(hours[0], day.quake_s / 3600 - 2), min(hours[-1], day.quake_s / 3600 + 5))
        axis.grid(lw=0.3)

    codes = [p.code for p in YUNNAN]
    rows = np.arange(len(codes))
    for one, color, shift in ((without, "tab:gray", -0.2), (with_, "tab:blue", 0.2)):
        values = [_percent(one.rates[code]) for code in codes]
        all_sites.barh(rows + shift, values, height=0.38, color=color)
    low = min(_percent(one.rates[code]) for one in runs for code in codes)
    all_sites.axvline(TARGET_PERCENT, color="tab:red", lw=0.8, ls="--")
    all_sites.set_xlim(max(0, min(90, low - 3)), 100)
    all_sites.set_yticks(rows, [names[c] for c in codes], fontsize=8)
    all_sites.invert_yaxis()
    all_sites.set_title("every site, whole span, %", fontsize=9)
    figure.suptitle(f"Simulated: earthquake at {names[day.struck]}, ×{day.times:g} calls at "
                    f"{int(day.quake_s // 3600):02d}:{int(day.quake_s % 3600 // 60):02d}, seed {day.seed}; "
                    f"first borrowed seat after {with_.first_seat_s} s", fontsize=10)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _percent(rate: AnswerRate) -> float:
    return 100 * rate.answered / rate.offered if rate.offered else float("nan")
