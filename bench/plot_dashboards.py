"""The dashboards' panels as plots, from a real Prometheus: what Grafana would show, where Grafana cannot be had.

    cti up --demo --sites 2                                    # elsewhere; it says where its Prometheus is
    python -m bench.plot_dashboards http://127.0.0.1:9090 --minutes 20 --out /tmp/boards

Knows: Prometheus' HTTP API, matplotlib. Must not know: what a panel means; it draws any board of `cti.dashboards`.
Colours, thresholds, units and names are the panels' own; fonts and layout are not Grafana's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from rich.progress import track

from cti.core.zone import SHANGHAI
from cti.dashboards import Board, Panel, Query, boards
from cti.dashboards.model import Bars, Lines, Stat, Steps, Table, refs
from cti.dashboards.words import LANGS, TINTS, Lang

GROUND, CARD, INK, QUIET, GRID = "#111217", "#181b1f", "#d8d9da", "#8e9196", "#2c3235"
COLOURS = {"red": "#f2495c", "orange": "#ff9830", "green": "#73bf69", "blue": "#5794f2", "text": INK}
SERIES = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d", "#fade2a", "#c0d8ff")
TINTED = {"light-green": "#96d98d", "semi-dark-blue": "#3274d9", "light-blue": "#8ab8ff", "yellow": "#fade2a",
          "purple": "#b877d9", "semi-dark-red": "#c4162a", **COLOURS}  # fmt: skip
CJK = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
       "Droid Sans Fallback", "AR PL UMing CN", "SimHei", "Microsoft YaHei", "PingFang SC")  # fmt: skip
LINE_H = 0.42
"""inch of a grid row"""


@dataclass(frozen=True)
class Source:
    """A Prometheus, and the stretch of time looked at (s since the epoch)."""

    url: str
    start: float
    end: float
    site: str

    def ask(self, what: str, expr: str, **words: float) -> list[dict[str, Any]]:
        """The result's series. OSError, ValueError."""
        told = {"query": expr.replace("$site", self.site), **words}
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(told)}", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def range(self, expr: str) -> list[dict[str, Any]]:
        """Values over the stretch, some 240 of each."""
        step = max(1.0, (self.end - self.start) / 240)
        return self.ask("query_range", expr, start=self.start, end=self.end, step=step)

    def now(self, expr: str) -> list[dict[str, Any]]:
        """Values at the end."""
        return self.ask("query", expr, time=self.end)


def human(value: float, unit: str, decimals: int | None) -> str:
    """A value as its unit is written."""
    if value != value:
        return "—"
    match unit:
        case "percentunit":
            return f"{value * 100:.{1 if decimals is None else decimals}f} %"
        case "s":
            if value < 1:
                return f"{value * 1000:.3g} ms"
            return f"{value:.{1 if decimals is None else decimals}f} s" if value < 120 else f"{value / 60:.1f} min"
        case "bytes":
            for power, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
                if value >= 2**power:
                    return f"{value / 2**power:.3g} {name}"
            return f"{value:.0f} B"
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if abs(value - round(value)) < 0.005 else f"{value:.3g}"


def colour(steps: Steps, value: float) -> str:
    """Which step the value has reached."""
    chosen = steps.base
    for least, name in steps.steps:
        chosen = name if value >= least else chosen
    return COLOURS[chosen]


def speak_chinese() -> None:
    """Use a font that has Chinese, where this machine has one."""
    for path in font_manager.findSystemFonts():
        if any(word in Path(path).name for word in ("SansCJK", "wqy", "simhei", "msyh", "PingFang")):
            font_manager.fontManager.addfont(path)  # matplotlib's own list is made once and may be older
    there = {font.name for font in font_manager.fontManager.ttflist}
    plt.rcParams["font.family"] = [*[name for name in CJK if name in there][:1], "DejaVu Sans"]


def at_local(seconds: float) -> dt.datetime:
    """The clock on the wall there."""
    return dt.datetime.fromtimestamp(seconds, SHANGHAI)


def legend(query: Query, labels: dict[str, str], panel: Panel, lang: Lang) -> str:
    """The series' name, as Grafana makes it."""
    text = query.legend.say(lang)
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return panel.names[text].say(lang) if text in panel.names else text


def draw_lines(ax: Axes, panel: Lines, source: Source, lang: Lang) -> None:
    """Values over time."""
    drawn: list[tuple[str, list[float], list[float]]] = []
    for query in panel.queries:
        for one in source.range(query.expr):
            at = [float(t) for t, _ in one["values"]]
            drawn.append((legend(query, one["metric"], panel, lang), at, [float(v) for _, v in one["values"]]))
    if not drawn:
        nothing(ax)
        return
    shown = [(n, x, y) for n, x, y in drawn if any(y)] or drawn
    xs = sorted({t for _, at, _ in shown for t in at})
    base = [0.0] * len(xs)
    for n, (name, at, values) in enumerate(shown):
        by = dict(zip(at, values, strict=True))
        raw = next((value for value, text in panel.names.items() if text.say(lang) == name), "")
        ink = TINTED[TINTS[raw]] if raw in TINTS else SERIES[n % len(SERIES)]
        heights = [by.get(t, float("nan")) for t in xs]
        if panel.stack:
            top = [b + (h if h == h else 0.0) for b, h in zip(base, heights, strict=True)]
            ax.fill_between(xs, base, top, color=ink, alpha=0.65, linewidth=0.6, label=name, step="post")
            base = top
        elif panel.bars:
            ax.fill_between(xs, 0, heights, color=ink, alpha=0.55, linewidth=0.8, label=name, step="post")
        else:
            ax.plot(xs, heights, color=ink, linewidth=1.5, label=name)
    if panel.line:
        for value, _ in panel.steps.steps:
            ax.axhline(value, color=COLOURS["red"], linewidth=1, linestyle=(0, (4, 3)))
    low, high = ax.get_ylim()
    most = max(high, 1e-9)
    if panel.most is not None:
        most = panel.most * 1.03
    elif panel.unit == "short":
        most = max(most, 1.0)
    ax.set_ylim(panel.least if panel.least is not None else low, most)
    ax.set_xlim(source.start, source.end)
    whole = (0 if most > 0.05 else 2) if panel.unit == "percentunit" else None
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: human(v, panel.unit, whole)))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=panel.unit == "short" and most >= 3))
    minute = max(1, round((source.end - source.start) / 60 / 5)) * 60
    first = int(source.start // minute + 1) * minute
    ax.set_xticks(list(range(first, int(source.end) + 1, minute)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{at_local(t):%H:%M}"))
    ax.set_axisbelow(True)
    ax.grid(True, color=GRID, linewidth=0.6)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=min(5, len(shown)), frameon=False, fontsize=7,
              labelcolor=INK, handlelength=1.2, columnspacing=1.2)  # fmt: skip


def draw_stat(ax: Axes, panel: Stat, source: Source, lang: Lang) -> None:
    """Large numbers."""
    ax.axis("off")
    found = [(legend(q, one["metric"], panel, lang), float(one["value"][1]))
             for q in panel.queries for one in source.now(q.expr)]  # fmt: skip
    for n, (name, value) in enumerate(found[:4] or [("", float("nan"))]):
        x = (n + 0.5) / max(1, len(found[:4]))
        ink = colour(panel.steps, value) if value == value else QUIET
        size = 22 if len(found) < 2 else 16
        text = human(value, panel.unit, panel.decimals)
        ax.text(x, 0.55 if name else 0.45, text, ha="center", va="center", fontsize=size, color=ink)
        ax.text(x, 0.12, name, ha="center", va="center", fontsize=7, color=QUIET)


def draw_bars(ax: Axes, panel: Bars, source: Source, lang: Lang) -> None:
    """The newest values as bars."""
    found = [(legend(q, one["metric"], panel, lang), float(one["value"][1]))
             for q in panel.queries for one in source.now(q.expr)]  # fmt: skip
    if not found:
        nothing(ax)
        return
    found.reverse()
    most = max([value for _, value in found] + [1e-9])
    rows = range(len(found))
    ax.barh(rows, [most * 1.0] * len(found), color=GRID, height=0.6)
    ax.barh(rows, [v for _, v in found], color=[colour(panel.steps, v) for _, v in found], height=0.6)
    for row, (_, value) in zip(rows, found, strict=True):
        ax.text(most * 1.03, row, human(value, panel.unit, panel.decimals), va="center", fontsize=8, color=INK)
    ax.set_xlim(0, most * 1.3)
    ax.set_ylim(-0.6, max(3, len(found)) - 0.4)
    ax.set_yticks(rows, [name for name, _ in found])
    ax.set_xticks([])


def draw_table(ax: Axes, panel: Table, source: Source, lang: Lang) -> None:
    """Rows by label, columns by query."""
    ax.axis("off")
    keys = [column.field for column in panel.columns if not column.field.startswith("Value")]
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for query, ref in zip(panel.queries, refs(panel.queries), strict=True):
        for one in source.now(query.expr):
            key = tuple(one["metric"].get(name, "") for name in keys)
            rows.setdefault(key, {})[f"Value #{ref}"] = float(one["value"][1])
    if not rows:
        nothing(ax)
        return
    wide = [1.0] * len(panel.columns)
    edges = [sum(wide[:n]) / sum(wide) for n in range(len(wide))]
    height = 1 / max(9, len(rows) + 1)
    for column, x in zip(panel.columns, edges, strict=True):
        ax.text(x, 1 - height / 2, column.title.say(lang), fontsize=8, color=QUIET, va="center")
        for n, (key, values) in enumerate(sorted(rows.items())[:12], 1):
            y, ink = 1 - height * (n + 0.5), INK
            if column.field in keys:
                raw = key[keys.index(column.field)]
                text = panel.names[raw].say(lang) if raw in panel.names else raw
            else:
                value = values.get(column.field, float("nan"))
                text = human(value, column.unit, column.decimals)
                ink = colour(column.steps, value) if column.steps and value == value else INK
            ax.text(x, y, text, fontsize=9, color=ink, va="center")


def nothing(ax: Axes) -> None:
    """Nothing to show."""
    ax.axis("off")
    ax.text(0.5, 0.5, "—", ha="center", va="center", fontsize=18, color=QUIET)


def draw(board: Board, source: Source, lang: Lang, out: Path, dpi: int) -> Path:
    """The whole board as a PNG; its path."""
    placed = board.json(lang)["panels"]
    tall = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in placed)
    figure = plt.figure(figsize=(16, tall * LINE_H + 0.7), facecolor=GROUND)
    height = tall * LINE_H + 0.7

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return x / 24, 1 - (y * LINE_H + h * LINE_H + 0.7) / height, w / 24, h * LINE_H / height

    figure.text(0.008, 1 - 0.4 / height, board.title.say(lang), fontsize=15, color=INK, va="center")
    panels = iter(board.panels)
    for item in placed:
        at = item["gridPos"]
        x, y, w, h = box(at["x"], at["y"], at["w"], at["h"])
        if item["type"] == "row":
            figure.text(x + 0.008, y + h / 2, item["title"], fontsize=11, color=INK, va="center")
            continue
        panel = next(panels)
        inset = 0.003
        figure.add_artist(Rectangle((x + inset, y + 0.06 / height), w - 2 * inset, h - 0.12 / height, facecolor=CARD,
                                    edgecolor=GRID, linewidth=0.6, zorder=-1,
                                    transform=figure.transFigure))  # fmt: skip
        figure.text(x + 0.009, y + h - 0.24 / height, item["title"], fontsize=9, color=INK, va="center")
        left, below = (0.035, 0.75) if isinstance(panel, Lines) else (0.07 if isinstance(panel, Bars) else 0.012, 0.2)
        inside = (x + left, y + below / height, w - left - 0.012, h - (below + 0.5) / height)
        ax = figure.add_axes(inside, facecolor=CARD)
        ax.tick_params(colors=QUIET, labelsize=7, length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        match panel:
            case Lines():
                draw_lines(ax, panel, source, lang)
            case Stat():
                draw_stat(ax, panel, source, lang)
            case Bars():
                draw_bars(ax, panel, source, lang)
            case Table():
                draw_table(ax, panel, source, lang)
    path = out / f"{board.key}-{lang}.png"
    figure.savefig(path, dpi=dpi, facecolor=GROUND)
    plt.close(figure)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot_dashboards", description="看板画成图 / draw them")
    parser.add_argument("url", help="Prometheus, e.g. http://127.0.0.1:9090")
    parser.add_argument("--minutes", type=float, default=15.0, help="looked back")
    parser.add_argument("--end", type=float, default=None, help="s since the epoch  [now]")
    parser.add_argument("--site", default=".*", help="site, as a regular expression  [all]")
    parser.add_argument("--lang", choices=LANGS, default="zh")
    parser.add_argument("--board", choices=[board.key for board in boards()], help="one of them  [all]")
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--dpi", type=int, default=80)
    options = parser.parse_args(arguments)
    speak_chinese()
    options.out.mkdir(parents=True, exist_ok=True)
    end = options.end or time.time()
    source = Source(options.url.rstrip("/"), end - options.minutes * 60, end, options.site)
    wanted = [board for board in boards() if options.board in (None, board.key)]
    for board in track(wanted, description="绘图 / drawing"):
        print(draw(board, source, options.lang, options.out, options.dpi))


if __name__ == "__main__":
    main()
