"""The parties' tones and the detector that tells them apart in one packet; sans-IO.

Knows: a packet is 160 samples at 8 kHz, so a spectrum has bins of 50 Hz; a tone on a multiple of 50 Hz fills
exactly one bin with nothing beside it, and repeats from packet to packet with the same phase. Must not know:
RTP, who has which tone, time. Samples in, truth values out.

How a packet is judged (amplitudes as left by the digital path: the switch changes none, and a mixer adds
them):

1. *full*: the bin has the amplitude all parties send, within 1.4 dB;
2. *clean*: full tones carry at least 95 % of the packet: one party, or several in a conference;
3. *steady*: a full tone whose complex amplitude is the same in the packet before or after: it is there below
   something else (a whispered beep, music);
4. *border*: a packet at a swap holds a piece of a tone: the strongest counts when it carries a third of the
   packet and the packet before or after holds it too;
5. anything else above silence is music.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME = 160
STEP = 50  #: Hz between two bins
AMPLITUDE = 3000  #: of 32767; ten parties may be mixed before it clips
SILENCE_RMS = 32.0  #: below this a packet is silence (A-law idles at 8)
_FULL = (0.85, 1.18)
_CLEAN = 0.95
_STEADY = 0.15
_BORDER = 0.33

#: Beside the DTMF frequencies, and 450 Hz, the ringing, busy and dial tone of China.
_AVOIDED = frozenset({450, 700, 750, 850, 950, 1200, 1350, 1500, 1650})
_HIGH = tuple(hz for hz in range(1000, 3801, STEP) if hz not in _AVOIDED)
_LOW = tuple(hz for hz in range(400, 1000, STEP) if hz not in _AVOIDED)  # where music holds its notes: last
#: 60 frequencies; neighbours in this order are at least 350 Hz apart, so the first parties of a test are far apart.
TONES: tuple[int, ...] = (*(_HIGH[index * 7 % len(_HIGH)] for index in range(len(_HIGH))), *_LOW)


def samples(hz: int) -> NDArray[np.int16]:
    """One packet of the tone, int16[160], to be repeated for ever. ValueError unless a multiple of 50 Hz."""
    if hz % STEP or not 0 < hz < 4000:
        raise ValueError(f"{hz} Hz does not repeat in 20 ms: use a multiple of {STEP} below 4000")
    turns = 2 * np.pi * hz / 8000 * np.arange(FRAME)
    wave: NDArray[np.int16] = np.rint(AMPLITUDE * np.sin(turns)).astype(np.int16)
    return wave


@dataclass(frozen=True, slots=True)
class Detected:
    """For n packets and the k tones asked for."""

    tones: NDArray[np.bool_]  #: [n, k] which tones are in it
    other: NDArray[np.bool_]  #: [n] there is sound that is none of them
    silent: NDArray[np.bool_]  #: [n]


def detect(packets: NDArray[np.int16], hz: Sequence[int]) -> Detected:
    """Judge consecutive packets, int16[n, 160], for the frequencies ``hz`` (multiples of 50 Hz)."""
    spectrum = np.fft.rfft(packets.astype(np.float64), axis=1) * (2 / FRAME)
    power = (np.abs(spectrum[:, 1:]) ** 2) / 2
    power[:, -1] /= 2  # the bin at half the rate has no mirror image
    total = np.maximum(power.sum(axis=1), 1e-9)
    silent = total < SILENCE_RMS**2

    bins = spectrum[:, [f // STEP for f in hz]] / AMPLITUDE
    size = np.abs(bins)
    share = (size * AMPLITUDE) ** 2 / 2 / total[:, None]
    full = (size > _FULL[0]) & (size < _FULL[1]) & ~silent[:, None]
    clean = (share * full).sum(axis=1) >= _CLEAN
    same = full[1:] & full[:-1] & (np.abs(bins[1:] - bins[:-1]) < _STEADY)
    present = full & (clean[:, None] | _either_side(same))

    border = ~present.any(axis=1) & ~silent
    beside = _either_side_row(present) & (share >= _BORDER) & border[:, None]
    if len(hz):
        strongest = np.arange(len(hz)) == np.argmax(np.where(beside, share, 0), axis=1)[:, None]
        border_tone = beside & strongest
    else:
        border_tone = beside
    alone = ~present.any(axis=1) & ~border_tone.any(axis=1) & ~silent
    # Sound below or above a tone counts when it lasts: at a swap one packet alone holds pieces of two.
    rest = present.any(axis=1) & ((share * present).sum(axis=1) < _CLEAN)
    lasting = rest & _either_side((rest[1:] & rest[:-1])[:, None])[:, 0]
    return Detected(present | border_tone, alone | lasting, silent)


def _either_side(pairs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n-1, k] truths about neighbouring rows → [n, k]: the row has a neighbour for which it is true."""
    edge = np.zeros((1, pairs.shape[1]), dtype=np.bool_)
    return np.vstack([pairs, edge]) | np.vstack([edge, pairs])


def _either_side_row(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n, k] → [n, k]: the row before or after has it."""
    edge = np.zeros((1, rows.shape[1]), dtype=np.bool_)
    return np.vstack([rows[1:], edge]) | np.vstack([edge, rows[:-1]])
