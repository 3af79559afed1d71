"""What a run of a scenario found: figures, faults, verdict. Knows: bars. Must not know: how anything was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from cti.dialtest.hearing import GAP, SILENCE, Hearing
from cti.probes import Probe

GAP_BAR_MS = 60.0
"""the caller is never longer without another party's voice at the swap"""
INVITE_BAR_MS = 50.0
"""from the key's last digit to the target's INVITE"""
DEAD_AIR_MS = 1000.0
"""a caller who hears neither voice nor music for so long thinks that the line is dead"""
GAP_SHOWN_MS = 40.0
"""gaps below this are one lost packet at most (see `hearing`)"""


@dataclass(slots=True)
class Run:
    """One call of a scenario. Times in ms; None: not measured (the run failed before)."""

    number: int
    ref: str = ""
    story: str = ""
    key_to_invite_ms: float | None = None
    swap_gap_ms: float | None = None
    wait_ms: float | None = None
    change_ms: float | None = None
    """longest without anybody as a three-party call changes, whoever of those in it heard nobody"""
    settle_ms: float | None = None
    """longest from an act in it until each hears exactly those he should"""
    own_late_ms: float = 0.0
    """for how long within that gap our own phones owed a packet: taken off before it is judged, never hidden"""
    silent_ms: float = 0.0
    """longest the caller heard neither voice nor music, from the answer to his end; `own_late_ms` is not taken off"""
    heard: str = ""
    faults: list[str] = field(default_factory=list)
    ladder: str = ""
    """the call as its facts tell it; drawn for failed runs, for all when asked"""
    gaps: list[str] = field(default_factory=list)
    """when the caller heard nothing, in the ladder's time; filled with the ladder"""
    blows: list[str] = field(default_factory=list)
    """what `--chaos` did during this call, in the ladder's time"""

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON; `ladder` and `gaps` only where they were drawn."""
        values = asdict(self)
        if not self.ladder:
            del values["ladder"], values["gaps"]
        if not self.blows:
            del values["blows"]
        return values


@dataclass(slots=True)
class Report:
    """All runs of one scenario, and what was left behind (None: Asterisk could not be asked)."""

    scenario: str
    seed: int
    runs: list[Run]
    leftovers: list[str] | None = field(default_factory=list)
    blows: dict[str, int] = field(default_factory=dict)
    """how often `--chaos` did what"""
    more: dict[str, list[float]] = field(default_factory=dict)
    """a scenario's own measured times (ms), beside those of each run"""

    @property
    def passed(self) -> bool:
        """No fault in any run, nothing left as far as that could be asked."""
        return bool(self.runs) and not self.leftovers and not any(run.faults for run in self.runs)

    def figures(self) -> dict[str, dict[str, float]]:
        """min, median, p99, max of each measured time (ms)."""
        own = {name: _spread(values) for name, values in self.more.items() if values}
        return own | {
            name: _spread([v for run in self.runs if (v := getattr(run, name)) is not None])
            for name in ("key_to_invite_ms", "swap_gap_ms", "wait_ms", "change_ms", "settle_ms", "own_late_ms")
            if any(getattr(run, name) is not None for run in self.runs)
        }

    def probe(self, ended_at: float) -> Probe:
        """What the service tells of it in its metrics."""
        return Probe(self.scenario, len(self.runs), sum(bool(run.faults) for run in self.runs),
                     sum(run.silent_ms >= DEAD_AIR_MS for run in self.runs),
                     round(max((run.silent_ms for run in self.runs), default=0.0), 1), ended_at)  # fmt: skip

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON. `leftovers` null: not checked."""
        return {
            "scenario": self.scenario, "seed": self.seed, "n": len(self.runs), "passed": self.passed,
            "figures": self.figures(), "stories": dict(Counter(run.story for run in self.runs if run.story)),
            "blows": self.blows, "leftovers": self.leftovers, "runs": [run.as_dict() for run in self.runs],
        }  # fmt: skip


def gaps(hearing: Hearing, since: float | None) -> list[str]:
    """Every time the caller heard nothing or silence for long, a line each; seconds after ``since``."""
    lines = []
    intervals = hearing.intervals
    for index, one in enumerate(intervals):
        if one.what <= {GAP, SILENCE} and one.ms >= GAP_SHOWN_MS:
            before, after = ("+".join(sorted(intervals[i].what)) if 0 <= i < len(intervals) else "…"
                             for i in (index - 1, index + 1))  # fmt: skip
            lines.append(f"{one.start - (since or hearing.t0):9.3f}  {one.ms:5.0f} ms  {'+'.join(sorted(one.what))}"
                         f"  ({before} → {after})")  # fmt: skip
    return lines


def silent(hearing: Hearing) -> float:
    """The longest time, ms, in which nothing was heard, be it no packet or packets of silence."""
    longest = now = 0.0
    for one in hearing.intervals:
        now = now + one.ms if one.what <= {GAP, SILENCE} else 0.0
        longest = max(longest, now)
    return round(longest, 1)


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, median, p95, p99, high = np.percentile(values, [0, 50, 95, 99, 100])
    return {"n": len(values), "min": round(float(low), 1), "median": round(float(median), 1),
            "p95": round(float(p95), 1), "p99": round(float(p99), 1), "max": round(float(high), 1)}  # fmt: skip
