"""Who hears whom as a table over time, and where what was heard departs from it; pure.

A *moment* is one row of the table: from an act on (``since``) its parties should hear exactly these, and each does from
his own ``settled`` on, until the next act. Between act and settling a party may hear whom the old row or the new one
gives him; after it nobody else, not for one packet (a *leak*), and nobody of his row may be missing for longer than a
change may last (a *lack*). Music stands for itself; a seat may hear it at any time, as the signs only it is told.

Knows: names and times. Must not know: calls, the switch, which story is played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cti.dialtest.hearing import DTMF, GAP, MUSIC, SILENCE, Hearing

NOBODY = frozenset({GAP, SILENCE})
MUTED_S = 0.3
"""from the end of the last digit on: typing mutes who types, some 180 ms a digit"""

Hear = Callable[[str, float, float], Hearing]
"""(party, from, to) → what it heard"""
Missed = Callable[[str, str, float, float], float]
"""(party, name, from, to) → longest without that name, ms"""


@dataclass(frozen=True, slots=True)
class Moment:
    """A row: who should hear whom, since when he may, since when he does."""

    since: float
    row: Mapping[str, frozenset[str]]
    settled: Mapping[str, float]


@dataclass(slots=True)
class Table:
    """The rows of one call, in order, and who typed when (which mutes him)."""

    caller: str
    moments: list[Moment] = field(default_factory=list)
    typed: list[tuple[str, float, float]] = field(default_factory=list)

    def faults(self, end: float, hear: Hear, missed: Missed, most_ms: float) -> list[str]:
        """Every departure from the table up to ``end``, a line each, in words."""
        found: list[str] = []
        ends = [moment.since for moment in self.moments[1:]] + [end]
        before: Mapping[str, frozenset[str]] = {}
        for moment, until in zip(self.moments, ends, strict=True):
            for party, names in moment.row.items():
                start = moment.settled[party]
                found += self._leaks(party, before.get(party, frozenset()) | names | {MUSIC}, moment.since, start, hear)
                found += self._leaks(party, names, start, until, hear)
                found += self._lacks(party, names, start, until, missed, most_ms)
            before = moment.row
        return found

    def _leaks(self, party: str, may: frozenset[str], t0: float, t1: float, hear: Hear) -> list[str]:
        may = may | NOBODY | {DTMF} | (frozenset() if party == self.caller else frozenset({MUSIC}))
        if t1 <= t0:
            return []
        heard = hear(party, t0, t1)
        return [f"{party} heard {'+'.join(sorted(part.what - may))} for {part.ms:.0f} ms {part.start - t0:.3f} s into"
                f" a time of {'+'.join(sorted(may - NOBODY - {DTMF}))} alone" for part in heard.intervals
                if part.what - may]  # fmt: skip

    def _lacks(self, party: str, names: frozenset[str], t0: float, t1: float, missed: Missed,
               most_ms: float) -> list[str]:  # fmt: skip
        found = []
        for name in sorted(names):
            for start, end in self._untyped(name, t0, t1):
                ms = missed(party, name, start, end)
                if ms > most_ms:
                    found.append(f"{party} did not hear {name} for {ms:.0f} ms")
        return found

    def _untyped(self, name: str, t0: float, t1: float) -> list[tuple[float, float]]:
        """The stretches of a time in which this one did not type."""
        edges = [t0]
        for who, began, ended in sorted(self.typed, key=lambda one: one[1]):
            if who == name:
                edges += [began, ended + MUTED_S]
        edges.append(t1)
        stretches = [(max(start, t0), min(end, t1)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        return [(start, end) for start, end in stretches if end > start]
