"""What a run of `bench/transfer.py` found: figures, ratios, bars, table. Knows: figures. Must not know: how they were
got.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench import rig

INVITE_RATIO_BAR, GAP_BAR_MS = 2.0, 60.0


@dataclass(slots=True)
class Run:
    """One transfer; milliseconds. None: the run failed before."""

    variant: str
    number: int
    answer_after_ms: float
    key_to_invite_ms: float | None = None
    gap_ms: float | None = None
    """the longest the caller heard no person, from the last digit (one key: 250 ms later) until he has the target"""
    silence_ms: float | None = None
    """the longest he heard neither person nor music, from the first digit on"""
    alone_ms: float | None = None
    """all the time he heard no person, from the first digit on"""
    cpu_asterisk_ms: float | None = None
    """from the first digit until 0.4 s after he has the target"""
    cpu_service_ms: float | None = None
    seconds: float | None = None
    """how long that was: a standing call costs CPU too"""
    own_late_ms: float = 0.0
    """how late our own phones sent a packet at worst: in the figures, not taken off"""
    fault: str = ""


FIGURES = ("key_to_invite_ms", "gap_ms", "silence_ms", "alone_ms", "cpu_asterisk_ms", "cpu_service_ms", "seconds")


def summary(runs: Sequence[Run], barred: Collection[str]) -> dict[str, object]:
    """Spread of each figure by variant, ratios to Asterisk's blindxfer in this run, and whether the `barred` variants
    (those that make before they break) meet the bars."""
    names = list(dict.fromkeys(run.variant for run in runs))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        good = [run for run in runs if run.variant == name and not run.fault]
        table[name] = {f: rig.spread([v for r in good if (v := getattr(r, f)) is not None]) for f in FIGURES if good}
    base = table.get("blindxfer") or {}
    ratios = {
        name: {f"{figure}_{p}": rig.ratio(row[figure][p], base[figure][p])
               for figure in FIGURES[:-2] for p in ("median", "p99")}
        for name, row in table.items() if row and base
    }  # fmt: skip
    bars: dict[str, bool] = {}
    for name, row in table.items():
        if row and name in barred:
            bars[f"{name} swap gap p99 <= {GAP_BAR_MS:g} ms"] = row["gap_ms"]["p99"] <= GAP_BAR_MS
            if (times := ratios.get(name, {}).get("key_to_invite_ms_p99")) is not None:
                bars[f"{name} key to INVITE p99 <= {INVITE_RATIO_BAR:g} x blindxfer"] = times <= INVITE_RATIO_BAR
    return {"variants": table, "ratios_to_blindxfer": ratios, "bars": bars}


def text(found: dict[str, object]) -> str:
    """The table for people."""
    table, ratios, bars = found["variants"], found["ratios_to_blindxfer"], found["bars"]
    assert isinstance(table, dict) and isinstance(ratios, dict) and isinstance(bars, dict)
    shown = ("key_to_invite_ms", "gap_ms", "silence_ms", "alone_ms", "cpu_asterisk_ms", "cpu_service_ms")
    heads = ("key→INVITE", "gap", "silence", "alone", "CPU Asterisk", "CPU service")
    lines = ["ms: median / p99 / max", " " * 15 + "".join(f"{head:>24}" for head in heads)]
    for name, row in table.items():
        cells = ("{median:.1f} / {p99:.1f} / {max:.1f}".format(**row[f]) if row else "-" for f in shown)
        lines.append(f"{name:15}" + "".join(f"{cell:>24}" for cell in cells))
    lines.append("× blindxfer in this run: median / p99")
    for name, row in ratios.items():
        cells = (f"{row[f + '_median'] or 0:.2f} / {row[f + '_p99'] or 0:.2f}" for f in shown[:-1])
        lines.append(f"{name:15}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines + [f"{'met   ' if met else 'MISSED'} {bar}" for bar, met in bars.items()])
