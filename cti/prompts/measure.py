"""What a prompt sounds like, in figures: length, level, clipping, dead air. Pure.

Knows: samples. Must not know: files, prompts. The limits are proposals; ITU-T P.56 measures speech over its active
parts, as `level_db` does with 20 ms frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cti.prompts.wav import Samples

FRAME_S: Final = 0.02
ACTIVE_DB: Final = 25.0
"""a frame this much below the loudest ones is a pause"""
SILENT_DB: Final = -45.0
"""active level, dB below full scale, under which nobody hears it on a telephone"""
FULL: Final = 0.999
RUN: Final = 3
"""so many samples of full scale in a row are no peak but a cut-off one"""
FLAT_RUN, FLAT_RUNS = 4, 5
"""a flat top also below full scale: cut first, turned down later"""


@dataclass(frozen=True, slots=True)
class Measured:
    """``level_db``: dB full scale of the active parts; -inf for digital silence. ``lead_s``, ``tail_s``: dead air."""

    seconds: float
    level_db: float
    peak_db: float
    clipped: bool
    lead_s: float
    tail_s: float

    @property
    def silent(self) -> bool:
        return self.level_db < SILENT_DB


def measure(samples: Samples, rate: int) -> Measured:
    """Figures of one prompt, samples in -1…1."""
    size = max(1, int(rate * FRAME_S))
    count = len(samples) // size
    if count:
        power = np.square(samples[: count * size].reshape(count, size)).mean(axis=1)
    else:
        power = np.array([float(np.square(samples).mean()) if len(samples) else 0.0])
    loudest = float(np.percentile(power, 95))
    active = power >= max(loudest * 10 ** (-ACTIVE_DB / 10), 1e-12)
    where = np.flatnonzero(active)
    level = float(power[active].mean()) if len(where) else 0.0
    lead, tail = (int(where[0]), len(power) - 1 - int(where[-1])) if len(where) else (len(power), 0)
    return Measured(
        seconds=len(samples) / rate, level_db=_db(level), peak_db=2 * _db(float(np.abs(samples).max(initial=0.0))),
        clipped=_clipped(samples), lead_s=lead * FRAME_S, tail_s=tail * FRAME_S)  # fmt: skip


def _db(power: float) -> float:
    return 10 * float(np.log10(power)) if power > 0 else float("-inf")


def _clipped(samples: Samples) -> bool:
    size = np.abs(samples)
    peak = float(size.max(initial=0.0))
    if peak >= FULL and _runs(size >= FULL, RUN) >= 2:
        return True
    return peak > 0.02 and _runs(size >= peak * (1 - 1e-4), FLAT_RUN) >= FLAT_RUNS


def _runs(true: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], length: int) -> int:
    """How many stretches of at least so many in a row."""
    edges = np.diff(np.concatenate(([0], true.astype(np.int8), [0])))
    return int(np.sum(np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1) >= length))
