"""RTP packets (RFC 3550), G.711 A-law and telephone events (RFC 4733), and the record of arrivals; sans-IO.

Knows: bytes of packets and how a row of them is kept for later. Must not know: sockets, tones, who speaks.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RATE = 8000  #: samples a second
PCMA = 8  #: payload type of G.711 A-law, RFC 3551
FRAME = 160  #: samples, and A-law bytes, of one packet
PACKET_S = FRAME / RATE  #: 20 ms
DIGITS = "0123456789*#ABCD"  #: RFC 4733 event numbers 0…15
QUIET = 0xD5  #: A-law's smallest positive value
_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")


def _alaw_levels() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    mantissa, exponent = code & 0x0F, (code >> 4) & 7
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


ALAW = _alaw_levels()  #: linear value of each A-law byte (ITU-T G.711), int16[256]
_ORDER = np.argsort(ALAW)
_BORDERS = (ALAW[_ORDER][1:].astype(np.int32) + ALAW[_ORDER][:-1]) / 2


def alaw(samples: NDArray[np.int16]) -> bytes:
    """Linear samples → A-law bytes, each to its nearest level."""
    return _ORDER[np.searchsorted(_BORDERS, samples)].astype(np.uint8).tobytes()


def packet(payload: bytes, *, kind: int, seq: int, stamp: int, ssrc: int, marker: bool = False) -> bytes:
    """One packet; ``seq`` and ``stamp`` are taken modulo 2**16 and 2**32."""
    return _HEADER.pack(0x80, marker << 7 | kind, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + payload


def event(digit: str, duration: int, *, end: bool = False) -> bytes:
    """Telephone-event payload (RFC 4733 2.3); ``duration`` in samples. ValueError for no such digit."""
    return _EVENT.pack(DIGITS.index(digit), end << 7 | 10, min(duration, 0xFFFF))


@dataclass(frozen=True, slots=True)
class Packet:
    kind: int
    seq: int
    stamp: int
    ssrc: int
    payload: bytes


def parse(data: bytes) -> Packet | None:
    """None for anything that is not RTP version 2, for RTCP (RFC 5761 4), and for cut packets."""
    if len(data) < 12:
        return None
    flags, kind, seq, stamp, ssrc = _HEADER.unpack_from(data)
    if flags >> 6 != 2 or 192 <= kind <= 223:
        return None
    start, end = 12 + 4 * (flags & 15), len(data)
    if flags & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if flags & 0x20:
        end -= data[-1]
    return Packet(kind & 0x7F, seq, stamp, ssrc, data[start:end]) if start <= end else None


@dataclass(slots=True)
class Digit:
    """A digit received as events: monotonic seconds of its first packet and of its first END."""

    digit: str
    t: float
    t_end: float
    duration_ms: float
    ended: bool = False


@dataclass(slots=True)
class Recording:
    """Every audio and event packet of one call in order of arrival, in columns: some 180 bytes a packet.

    One thread feeds it, others read slices: columns only grow, and :meth:`rows` looks at the shortest of
    them.
    """

    limit: int = 180_000  #: rows kept (an hour); later ones are counted in ``dropped``
    times: array[float] = field(default_factory=lambda: array("d"))  #: monotonic seconds of arrival
    kinds: bytearray = field(default_factory=bytearray)  #: payload types
    seqs: array[int] = field(default_factory=lambda: array("H"))
    stamps: array[int] = field(default_factory=lambda: array("I"))
    sources: array[int] = field(default_factory=lambda: array("I"))  #: SSRCs
    audio: bytearray = field(default_factory=bytearray)  #: FRAME bytes a row
    digits: list[Digit] = field(default_factory=list)
    events: int | None = None  #: payload type agreed for telephone-event
    strays: int = 0  #: not RTP, RTCP, or a payload nobody agreed on
    dropped: int = 0
    _last_event: tuple[int, int] = (-1, -1)

    def feed(self, t: float, data: bytes) -> None:
        """Take one datagram that arrived at ``t``."""
        got = parse(data)
        if got is None or got.kind not in (PCMA, self.events):
            self.strays += 1
            return
        if len(self.times) >= self.limit:
            self.dropped += 1
            return
        if got.kind == self.events:
            self._event(t, got)
        self.seqs.append(got.seq)
        self.stamps.append(got.stamp)
        self.sources.append(got.ssrc)
        self.kinds.append(got.kind)
        self.audio += got.payload[:FRAME].ljust(FRAME, bytes([QUIET]))
        self.times.append(t)  # last: a reader counts rows by this column

    def _event(self, t: float, got: Packet) -> None:
        if len(got.payload) < 4:
            return
        number, flags, duration = _EVENT.unpack_from(got.payload)
        if number >= len(DIGITS):
            return
        if (got.stamp, number) != self._last_event:
            self._last_event = (got.stamp, number)
            self.digits.append(Digit(DIGITS[number], t, t, duration / 8))
            return
        digit = self.digits[-1]
        if not digit.ended:  # END is sent three times: the first counts
            digit.t_end, digit.duration_ms, digit.ended = t, duration / 8, bool(flags & 0x80)

    def rows(self, t0: float, t1: float, *, margin: int = 0) -> slice:
        """The rows with t0 <= arrival <= t1, and up to ``margin`` rows more on each side."""
        count = len(self.times)
        first = bisect.bisect_left(self.times, t0, 0, count)
        last = bisect.bisect_right(self.times, t1, 0, count)
        return slice(max(0, first - margin), min(count, last + margin))

    def samples(self, rows: slice) -> NDArray[np.int16]:
        """Linear samples, int16[n, FRAME]. Copied, as the buffer may be growing in another thread."""
        raw = bytes(self.audio[rows.start * FRAME : rows.stop * FRAME])
        return ALAW[np.frombuffer(raw, np.uint8)].reshape(-1, FRAME)
