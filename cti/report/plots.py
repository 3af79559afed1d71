"""The report's plots, as SVG written by hand: it needs no library, and the viewer's own fonts show the Chinese.

Knows: shapes and colours. Must not know: what the figures mean. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 960
INK, GREY, GRID = "#1f2933", "#7b8794", "#e4e7eb"
GOOD, BAD = "#2f855a", "#c53030"
SERIES = ("#2b6cb0", "#dd8b2b", "#805ad5", "#c53030", "#718096", "#38b2ac", "#d69e2e")
"""told apart by lightness too, for who does not see red and green"""
STEPS = ((9_500, "#9ae6b4", "≥ 95 %"), (9_000, "#f6e05e", "90–95 %"), (8_000, "#f6ad55", "80–90 %"),
         (0, "#e53e3e", "< 80 %"))  # fmt: skip
EMPTY = "#f1f3f5"
Rate = tuple[int | None, int, int]
"""hundredths of a percent (None: nothing asked), answered, asked"""


def days(rows: Sequence[tuple[str, int | None, int, int]], target: int) -> str:
    """The rate day by day, with the calls asked as bars beneath. Rows: label, hundredths, answered, asked."""
    left, right, top, plot, bars, gap = 58, 16, 34, 170, 60, 34
    height = top + plot + gap + bars + 24
    rates = [rate for _, rate, _, _ in rows if rate is not None]
    mark = 500 if min([*rates, target]) >= 7_500 else 1_000 if min(rates) >= 5_000 else 2_000
    floor = max(0, (min([*rates, target]) - 50) // mark * mark)
    step = (WIDTH - left - right) / max(1, len(rows))
    most = max([asked for *_, asked in rows], default=0) or 1

    def x(n: int) -> float:
        return left + (n + 0.5) * step

    def y(rate: int) -> float:
        return top + plot - (rate - floor) / max(1, 10_000 - floor) * plot

    parts = [_text(left, 16, "每日接通率 answer rate by day（%）", size=13, weight="600")]
    for at in range(floor, 10_001, mark):
        parts.append(_line(left, y(at), WIDTH - right, y(at), GRID))
        parts.append(_text(left - 8, y(at) + 4, f"{at / 100:g}", anchor="end", fill=GREY))
    parts.append(_line(left, y(target), WIDTH - right, y(target), BAD, dash="6 4"))
    parts.append(_text(WIDTH - right, 16, f"- - - 目标 target {target / 100:g} %", anchor="end", fill=BAD))
    points = [(x(n), y(rate)) for n, (_, rate, _, _) in enumerate(rows) if rate is not None]
    if points:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{SERIES[0]}" stroke-width="1.6"/>')
    base = top + plot + gap + bars
    for n, (label, rate, answered, asked) in enumerate(rows):
        tip = f"<title>{escape(label)}  {answered}/{asked}</title>"
        tall = asked / most * bars
        parts.append(f'<rect x="{x(n) - step * 0.38:.1f}" y="{base - tall:.1f}" width="{step * 0.76:.1f}" '
                     f'height="{tall:.1f}" fill="#cbd5e0">{tip}</rect>')  # fmt: skip
        if rate is not None:
            colour = BAD if rate < target else SERIES[0]
            parts.append(f'<circle cx="{x(n):.1f}" cy="{y(rate):.1f}" r="2.8" fill="{colour}">{tip}</circle>')
        if n % max(1, -(-len(rows) // 13)) == 0:
            parts.append(_text(x(n), base + 16, label, anchor="middle", fill=GREY))
    parts.append(_text(left - 8, base - bars + 8, f"{most:,}", anchor="end", fill=GREY))
    parts.append(_text(left - 8, base, "0", anchor="end", fill=GREY))
    parts.append(_text(left, base - bars - 8, "要求人工 asked", fill=GREY, size=11))
    return _svg(height, parts)


def week(cells: Mapping[tuple[int, int], Rate]) -> str:
    """Hours of the week by colour: (weekday, hour) to a rate."""
    left, top, wide, tall = 58, 50, 36.5, 24
    parts = [_text(left, 16, "一周各时的接通率 by hour of the week", size=13, weight="600")]
    at = WIDTH - 440
    for _, colour, words in (*STEPS, (0, EMPTY, "无 none")):
        parts.append(f'<rect x="{at}" y="6" width="14" height="14" fill="{colour}"/>')
        parts.append(_text(at + 20, 17, words, fill=GREY))
        at += 88
    for hour in range(24):
        parts.append(_text(left + (hour + 0.5) * wide, top - 8, f"{hour:02d}", anchor="middle", fill=GREY))
    for day, name in enumerate("一二三四五六日"):
        parts.append(_text(left - 10, top + day * tall + 16, f"周{name}", anchor="end"))
        for hour in range(24):
            rate, answered, asked = cells.get((day, hour), (None, 0, 0))
            colour = EMPTY if rate is None else next(c for least, c, _ in STEPS if rate >= least)
            where = f'x="{left + hour * wide:.1f}" y="{top + day * tall}"'
            tip = f"<title>周{name} {hour:02d}:00  {answered}/{asked}</title>"
            parts.append(f'<rect {where} width="{wide - 2}" height="{tall - 2}" fill="{colour}">{tip}</rect>')
            if rate is not None:
                dark = "#fff" if rate < 8_000 else INK
                parts.append(_text(left + (hour + 0.5) * wide - 1, top + day * tall + 15, f"{rate // 100}",
                                   anchor="middle", size=10, fill=dark))  # fmt: skip
    return _svg(top + 7 * tall + 8, parts)


def stacked(rows: Sequence[tuple[str, Sequence[int]]], series: Sequence[str]) -> str:
    """A bar a row, its parts by series, the longest over the whole width."""
    left, right, tall, top = 150, 80, 30, 40
    most = max([sum(values) for _, values in rows], default=0) or 1
    parts: list[str] = []
    at = float(left)
    for n, words in enumerate(series):
        parts.append(f'<rect x="{at:.1f}" y="8" width="12" height="12" fill="{SERIES[n % len(SERIES)]}"/>')
        parts.append(_text(at + 17, 18, words, fill=GREY, size=11))
        at += 34 + sum(11 if ord(c) > 255 else 5.6 for c in words)
    for n, (label, values) in enumerate(rows):
        y, x = top + n * tall, float(left)
        parts.append(_text(left - 10, y + 15, label[:22], anchor="end"))
        for k, value in enumerate(values):
            wide = value / most * (WIDTH - left - right)
            if value:
                tip = f"<title>{escape(series[k])}  {value}</title>"
                parts.append(f'<rect x="{x:.1f}" y="{y}" width="{max(wide, 0.5):.1f}" height="{tall - 9}" '
                             f'fill="{SERIES[k % len(SERIES)]}">{tip}</rect>')  # fmt: skip
            if wide > 9 * len(f"{value:,}") + 4:
                parts.append(_text(x + wide / 2, y + 15, f"{value:,}", anchor="middle", fill="#fff", size=11))
            x += wide
        parts.append(_text(x + 7, y + 15, f"{sum(values):,}", fill=GREY))
    return _svg(top + len(rows) * tall + 4, parts)


def _svg(height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" font-size="12" '
            f'font-family="inherit">\n{body}\n</svg>')  # fmt: skip


def _text(x: float, y: float, words: str, *, anchor: str = "start", fill: str = INK, size: int = 12,
          weight: str = "400") -> str:  # fmt: skip
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" '
            f'font-weight="{weight}">{escape(words)}</text>')  # fmt: skip


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'
