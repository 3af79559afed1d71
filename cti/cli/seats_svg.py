"""The picture of `cti seats plan`: a panel a line and day, as SVG. Knows: shapes, colours. Must not know: the figures.

Written by hand because the product has no plotting library, and because the viewer's own fonts show the Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 960, 270, 56, 46, 840, 180


@dataclass(frozen=True, slots=True)
class Panel:
    """``expected``, ``seats`` and ``came`` (if known): one value a quarter; ``have``: seats there are, if known."""

    title: str
    expected: Sequence[float]
    came: Sequence[int] | None
    seats: Sequence[int]
    have: int | None


def draw(panels: Sequence[Panel]) -> str:
    """One SVG document. Bars: calls expected; dots: calls that came; blue: seats needed; red: seats there are."""
    height = HEIGHT * len(panels)
    body = "\n".join(_panel(one, n * HEIGHT) for n, one in enumerate(panels))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n')  # fmt: skip


def _panel(panel: Panel, down: int) -> str:
    quarters = len(panel.expected)
    calls_top = _round_up(max([*panel.expected, *(panel.came or ())], default=0))
    seats_top = _round_up(max([*panel.seats, panel.have or 0], default=0))
    bottom = TOP + PLOT_H
    step = PLOT_W / quarters

    def x(n: float) -> str:
        return f"{LEFT + n * step:.1f}"

    def y(value: float, top: int) -> str:
        return f"{bottom - value / top * PLOT_H:.1f}"

    def across(height: str, style: str) -> str:
        return f'<line x1="{LEFT}" x2="{LEFT + PLOT_W}" y1="{height}" y2="{height}" {style}/>'

    parts = [f'<g transform="translate(0 {down})">']
    parts += [f'<text x="{LEFT}" y="18" font-size="14">{escape(panel.title)}</text>', _legend(panel)]
    for part in range(5):
        at = f"{bottom - part / 4 * PLOT_H:.1f}"
        calls, seats = f"{calls_top * part / 4:g}", f"{seats_top * part / 4:g}"
        parts.append(across(at, 'stroke="#ddd"'))
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy="4" text-anchor="end" fill="#777">{calls}</text>')
        parts.append(f'<text x="{LEFT + PLOT_W + 6}" y="{at}" dy="4" fill="#1f6fb4">{seats}</text>')
    for hour in range(0, 25, 2):
        parts.append(f'<text x="{x(hour * 4)}" y="{bottom + 18}" text-anchor="middle">{hour:02d}:00</text>')
    for n, value in enumerate(panel.expected):
        tall = value / calls_top * PLOT_H
        size = f'width="{step * 0.9:.1f}" height="{tall:.1f}"'
        parts.append(f'<rect x="{x(n)}" y="{bottom - tall:.1f}" {size} fill="#c8c8c8"/>')
    for n, value in enumerate(panel.came or ()):
        parts.append(f'<circle cx="{x(n + 0.45)}" cy="{y(value, calls_top)}" r="2" fill="#444"/>')
    stairs = " ".join(f"{x(n)},{y(v, seats_top)} {x(n + 1)},{y(v, seats_top)}" for n, v in enumerate(panel.seats))
    parts.append(f'<polyline points="{stairs}" fill="none" stroke="#1f6fb4" stroke-width="2"/>')
    if panel.have is not None:
        parts.append(across(y(panel.have, seats_top), 'stroke="#c0392b" stroke-dasharray="6 4"'))
    return "\n".join([*parts, "</g>"])


def _legend(panel: Panel) -> str:
    words = [("#999", "▇ 预计来电/15 min expected calls")]
    if panel.came is not None:
        words.append(("#444", "● 实际来电 came"))
    words.append(("#1f6fb4", "━ 需要席位 seats needed"))
    if panel.have is not None:
        words.append(("#c0392b", f"╌ 现有席位 at hand {panel.have}"))
    spans = "  ".join(f'<tspan fill="{colour}" dx="14">{escape(text)}</tspan>' for colour, text in words)
    return f'<text x="{LEFT - 14}" y="36">{spans}</text>'


def _round_up(most: float) -> int:
    """A top that divides by four: 4, 8, 12, 20, 28, 40, 80, 120, 200, …"""
    size = 1
    while True:
        for of in (4, 8, 12, 20, 28, 40):
            if of * size >= most:
                return of * size
        size *= 10
