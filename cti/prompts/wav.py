"""Sound files: RIFF/WAVE of any common kind in; what Asterisk plays on an 8 kHz line out.

Knows: RIFF (Microsoft/IBM, *Multimedia Programming Interface* 1.0), G.711 (ITU-T), resampling. Must not know: which
prompt it is. Samples are float64 in -1…1, one channel.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 8000
MAX_BYTES: Final = 64 * 2**20
_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
FORMATS: Final = {"wav": ".wav", "alaw": ".alaw", "slin": ".sln"}
"""what can be written, and Asterisk's suffix of each (format_wav, format_pcm, format_sln)"""

Samples = NDArray[np.float64]


class NotSound(ValueError):
    """The file is no sound we can read; the text says why, Chinese first."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A file as it was: its rate, channels and width (bits), and its sound, channels mixed into one."""

    rate: int
    channels: int
    bits: int
    kind: int
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def plays(self) -> bool:
        """Asterisk's format_wav plays it as it is: 16-bit PCM, mono, 8 kHz."""
        return (self.rate, self.channels, self.bits, self.kind) == (RATE, 1, 16, _PCM)


def parse(data: bytes) -> Sound:
    """A RIFF/WAVE file. NotSound for anything else, cut files and empty ones too."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotSound("不是 WAV 文件 / is no WAV file")
    form: tuple[int, int, int, int] | None = None
    body: bytes | None = None
    at = 12
    while at + 8 <= len(data) and body is None:
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        chunk = data[at + 8 : at + 8 + size]
        if name == b"fmt " and len(chunk) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
            if kind == _EXTENSIBLE and len(chunk) >= 26:
                kind = int.from_bytes(chunk[24:26], "little")
            form = (kind, channels, rate, bits)
        elif name == b"data":
            body = chunk
        at += 8 + size + size % 2
    if form is None or body is None:
        raise NotSound("WAV 不完整，没有 fmt 或 data 段 / the WAV file has no fmt or no data chunk")
    kind, channels, rate, bits = form
    if not 1 <= channels <= 8 or not 4000 <= rate <= 192_000:
        raise NotSound(f"{channels} 声道、{rate} Hz 不可用 / {channels} channels at {rate} Hz cannot be used")
    flat = _decode(body, kind, bits)
    count = len(flat) // channels
    if not count:
        raise NotSound("文件里没有声音 / the file holds no sound")
    return Sound(rate, channels, bits, kind, flat[: count * channels].reshape(count, channels).mean(axis=1))


def read(path: Path) -> Sound:
    """A sound file. NotSound, OSError."""
    if path.stat().st_size > MAX_BYTES:
        raise NotSound(f"大于 {MAX_BYTES >> 20} MB / is larger than {MAX_BYTES >> 20} MB")
    return parse(path.read_bytes())


def _decode(body: bytes, kind: int, bits: int) -> Samples:
    if kind == _PCM and bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.float64) - 128) / 128
    if kind == _PCM and bits == 16:
        return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float64) / 32768
    if kind == _PCM and bits == 24:
        parts = np.frombuffer(body[: len(body) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int32)
        whole = parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16
        return np.where(whole >= 2**23, whole - 2**24, whole) / 2**23
    if kind == _PCM and bits == 32:
        return np.frombuffer(body[: len(body) // 4 * 4], "<i4").astype(np.float64) / 2**31
    if kind == _FLOAT and bits in (32, 64):
        width = bits // 8
        found = np.frombuffer(body[: len(body) // width * width], f"<f{width}").astype(np.float64)
        return np.nan_to_num(found, nan=0.0, posinf=1.0, neginf=-1.0)
    if kind in (_ALAW, _ULAW) and bits == 8:
        levels = _ALAW_LEVELS if kind == _ALAW else _ULAW_LEVELS
        return levels[np.frombuffer(body, np.uint8)] / 32768
    said = f"编码 {kind}（{bits} 位）不支持 / encoding {kind} ({bits} bits) is not supported"
    raise NotSound(f"{said}: 存为 PCM / save it as PCM")


def _alaw_levels() -> Samples:
    code = np.arange(256) ^ 0x55
    mantissa, exponent = code & 0x0F, (code >> 4) & 7
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.float64)


def _ulaw_levels() -> Samples:
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.float64)


_ALAW_LEVELS, _ULAW_LEVELS = _alaw_levels(), _ulaw_levels()
_ORDER = np.argsort(_ALAW_LEVELS)
_BORDERS = (_ALAW_LEVELS[_ORDER][1:] + _ALAW_LEVELS[_ORDER][:-1]) / 2


def to_line(sound: Sound) -> NDArray[np.int16]:
    """The sound as a telephone line carries it: 8 kHz, 16 bits, one channel."""
    return to_int16(resampled(sound.samples, sound.rate))


def to_int16(samples: Samples) -> NDArray[np.int16]:
    """Floats in -1…1 as 16-bit values; what is louder is cut at full scale."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def resampled(samples: Samples, rate: int, width: int = 12) -> Samples:
    """To 8 kHz by a windowed sinc (``width`` zero crossings each side, Hann), cut at 0.45 of the lower rate: nothing
    folds back into the voice."""
    if rate == RATE:
        return samples
    step, low = rate / RATE, min(rate, RATE)
    cut = 0.9 * low / rate  # of the source's own Nyquist frequency
    half = int(np.ceil(width / cut))
    at = np.arange(max(1, int(len(samples) / step))) * step
    whole = np.floor(at).astype(np.int64)
    padded = np.concatenate((np.zeros(half), samples, np.zeros(half + 1)))
    made = np.zeros(len(at))
    for tap in range(-half, half + 1):
        away = at - whole - tap
        made += padded[whole + tap + half] * cut * np.sinc(cut * away) * np.cos(np.pi * away / (2 * (half + 1))) ** 2
    return made


def encoded(line: NDArray[np.int16], form: str) -> bytes:
    """The file of one of `FORMATS`; ``slin`` and ``alaw`` have no header, as Asterisk has them."""
    raw = line.astype("<i2").tobytes()
    if form == "slin":
        return raw
    if form == "alaw":
        return _ORDER[np.searchsorted(_BORDERS, line)].astype(np.uint8).tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(raw), b"WAVE", b"fmt ", 16, _PCM, 1, RATE, 2 * RATE, 2, 16)
    return head + struct.pack("<4sI", b"data", len(raw)) + raw


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(path)
