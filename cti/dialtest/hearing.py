"""Who was heard when: from received packets to intervals and gaps; pure.

Knows: the parties' tones by frequency, and how packets become labelled time. Must not know: sockets, SIP,
calls.

**Convention** (the one all figures of this project use). A packet stands for the 20 ms that begin when it
arrives. A *gap* is the time from the arrival of the last packet that held somebody to the arrival of the next
packet that holds somebody again: **20–21 ms means that no packet was lost**, 40 that one was. Nothing is
subtracted.

Labels are sets of names: parties, or one of ``music`` (sound that is nobody's tone), ``silence``, ``gap`` (no
packet for more than 30 ms) and ``dtmf`` (a telephone event instead of sound). ``music`` may stand beside
parties.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cti.dialtest import rtp, tones

MUSIC, SILENCE, GAP, DTMF = "music", "silence", "gap", "dtmf"
GAP_S = 0.030  #: two packets further apart than this have a gap between them

Label = frozenset[str]
_SILENCE, _GAP, _DTMF = Label({SILENCE}), Label({GAP}), Label({DTMF})


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``start`` to ``end`` (monotonic seconds) exactly the parties of ``what`` were heard."""

    start: float
    end: float
    what: Label

    @property
    def ms(self) -> float:
        return (self.end - self.start) * 1000

    def __str__(self) -> str:
        length = f"{self.ms / 1000:.1f}s" if self.ms >= 100 else f"{self.ms:.0f}ms"
        return f"{'+'.join(sorted(self.what))} {length}"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What one call received between ``t0`` and ``t1``: arrival times and labels, packet by packet."""

    t0: float
    t1: float
    times: NDArray[np.float64]  #: [n] monotonic seconds
    labels: tuple[Label, ...]  #: the different labels
    which: NDArray[np.int_]  #: [n] index into labels

    @property
    def packets(self) -> int:
        return len(self.times)

    @property
    def intervals(self) -> list[Interval]:
        """Equal neighbours merged; without holes from ``t0`` to ``t1``."""
        return list(self._intervals())

    def _intervals(self) -> Iterator[Interval]:
        start, before, what = self.t0, self.t0, _GAP
        for t, index in zip(self.times.tolist(), self.which.tolist(), strict=True):
            label = self.labels[index]
            if t - before > GAP_S:
                end = start if what == _GAP else before + rtp.PACKET_S
                if end > start:
                    yield Interval(start, end, what)
                yield Interval(end, t, _GAP)
                start, what = t, label
            elif label != what:
                if what != _GAP:  # only at the very start: what was before the first packet counts with it
                    yield Interval(start, t, what)
                    start = t
                what = label
            before = t
        end = self.t1
        if self.t1 - before > GAP_S:
            end = start if what == _GAP else before + rtp.PACKET_S
        if end > start:
            yield Interval(start, end, what)
        if self.t1 > end:
            yield Interval(end, self.t1, _GAP)

    def holding(self, any_of: Collection[str], t0: float | None = None, t1: float | None = None) -> NDArray[np.float64]:
        """Arrival times of the packets that held any of these names (parties, or ``music``, ``silence``)."""
        wanted = [index for index, label in enumerate(self.labels) if not label.isdisjoint(any_of)]
        low, high = self._window(t0, t1)
        inside = np.isin(self.which, wanted) & (self.times >= low) & (self.times <= high)
        return self.times[inside]

    def longest_without(self, any_of: Collection[str], t0: float | None = None, t1: float | None = None) -> float:
        """The longest time, ms, in which none of these was heard; 20–21 is an undisturbed stream (see above).

        The edges count: from ``t0`` to the first packet and from the last packet to ``t1``; nobody at all
        gives the whole window. Choose ``t0`` when somebody is already heard.
        """
        return max((end - start) * 1000 for start, end in self.without(any_of, t0, t1))

    def without(
        self, any_of: Collection[str], t0: float | None = None, t1: float | None = None
    ) -> list[tuple[float, float]]:
        """Every stretch (start, end) in which none of these was heard: between neighbouring packets that held one, and
        at the edges."""
        low, high = self._window(t0, t1)
        marks = [low, *self.holding(any_of, low, high).tolist(), high]
        return list(itertools.pairwise(marks))

    def first(self, name: str, after: float | None = None) -> float | None:
        """Arrival of the first packet that held ``name``, at or after ``after``."""
        found = self.holding({name}, after)
        return float(found[0]) if len(found) else None

    def last(self, name: str, before: float | None = None) -> float | None:
        """Arrival of the last packet that held ``name``, at or before ``before``."""
        found = self.holding({name}, None, before)
        return float(found[-1]) if len(found) else None

    def ever(self, name: str) -> bool:
        return any(name in label for label in self.labels)

    def total(self, name: str) -> float:
        """Milliseconds in which ``name`` was heard, counted in packets."""
        return len(self.holding({name})) * rtp.PACKET_S * 1000

    def arrivals(self) -> NDArray[np.float64]:
        """Times between neighbouring packets, ms, whatever they held."""
        return np.diff(self.times) * 1000

    def _window(self, t0: float | None, t1: float | None) -> tuple[float, float]:
        return self.t0 if t0 is None else t0, self.t1 if t1 is None else t1

    def __str__(self) -> str:
        return " | ".join(map(str, self._intervals()))


def listen(recording: rtp.Recording, parties: Mapping[int, str], t0: float, t1: float) -> Hearing:
    """Judge what ``recording`` holds between two moments.

    ``parties``: frequency in Hz → name. A packet is judged with its neighbours, also those outside the
    window.
    """
    rows = recording.rows(t0, t1, margin=2)
    times = np.array(recording.times[rows])
    kinds = np.frombuffer(bytes(recording.kinds[rows]), np.uint8)
    hz, names = list(parties), list(parties.values())
    audio = kinds == rtp.PCMA
    found = tones.detect(recording.samples(rows)[audio], hz)

    # One number a packet: a bit for each party, then music, silence, event.
    weights = 1 << np.arange(len(hz), dtype=np.uint64)
    mask = np.zeros(len(times), np.uint64)
    mask[~audio] = 1 << 63
    mask[audio] = (found.tones * weights).sum(axis=1, dtype=np.uint64)
    mask[audio] |= found.other.astype(np.uint64) << np.uint64(61)
    mask[audio] |= found.silent.astype(np.uint64) << np.uint64(62)

    inside = (times >= t0) & (times <= t1)
    masks, which = np.unique(mask[inside], return_inverse=True)
    return Hearing(t0, t1, times[inside], tuple(_label(int(bits), names) for bits in masks), which)


def _label(bits: int, names: list[str]) -> Label:
    if bits >> 63:
        return _DTMF
    if bits >> 62 & 1:
        return _SILENCE
    heard = {name for index, name in enumerate(names) if bits >> index & 1}
    return Label(heard | ({MUSIC} if bits >> 61 & 1 else set()))
