"""What is in a recording, told by the parties' tones, frame by frame, as the phones' own hearing is."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from cti.dialtest import rtp, tones
from cti.dialtest.phone import Phone

HEAD = 44
FRAME_MS = int(rtp.PACKET_S * 1000)


def frames(file: Path, phones: list[Phone]) -> list[frozenset[str]]:
    """Who is heard in each 20 ms of a WAV file (8 kHz, 16 bit, one channel): parties' names, ``music``, ``silence``."""
    raw = file.read_bytes()[HEAD:]
    whole = len(raw) // (2 * tones.FRAME) * 2 * tones.FRAME
    found = tones.detect(np.frombuffer(raw[:whole], "<i2").reshape(-1, tones.FRAME), [p.tone_hz for p in phones])
    names = [phone.name for phone in phones]
    return [
        frozenset({*itertools.compress(names, heard), *["music"] * other, *["silence"] * silent})
        for heard, other, silent in zip(found.tones.tolist(), found.other.tolist(), found.silent.tolist(), strict=True)
    ]


def long_parts(heard: list[frozenset[str]], least_ms: int = 400) -> list[frozenset[str]]:
    """What was heard unchanged for so long, in order, equal neighbours once."""
    runs = [(who, len(list(run)) * FRAME_MS) for who, run in itertools.groupby(heard)]
    return [who for who, _ in itertools.groupby(who for who, ms in runs if ms >= least_ms)]
