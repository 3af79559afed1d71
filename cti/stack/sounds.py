"""Prompts made ready to play: recorded ones converted, the others spoken by espeak-ng where the runtime has it, else
plain signs; always some sound.

Knows: the list (`cti.prompts`), the synthesizer, a folder of sounds. Must not know: who plays them. Files are 8 kHz
16-bit mono WAV. `made.json` in the folder says what was made of what: a file that is not ours (put there by hand) is
never overwritten, one of ours is made anew when its text, its recording or the synthesizer changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from cti.directory import Directory
from cti.directory.plans import prompt_of
from cti.prompts.catalogue import Catalogue, Prompt
from cti.prompts.numbers import spoken
from cti.prompts.recordings import Recordings, key_of, sha256
from cti.prompts.wav import RATE, NotSound, encoded, parse, put, read, resampled, to_int16, to_line
from cti.stack.root import RuntimeRoot

log = structlog.get_logger(__name__)

VOICES: Final[Mapping[str, tuple[str, ...]]] = {"zh": ("-v", "cmn", "-s", "150"), "en": ("-v", "en-gb", "-s", "150")}
"""how espeak-ng speaks: Mandarin, English; words a minute"""
MADE: Final = "made.json"
HEADROOM: Final = 0.7
"""the synthesizer speaks at full scale, and a resampled peak may be higher than the highest sample"""
NEEDED: Final = (1, 52)
"""espeak-ng's version: Mandarin tones are wrong in older ones"""
Kind = Literal["recorded", "made", "sign"]
SPARE: tuple[tuple[int, int], ...] = ((600, 250), (0, 100), (500, 250), (0, 100), (400, 400))
"""instead of speech when no synthesizer is there"""


@dataclass(frozen=True, slots=True)
class Made:
    """One file of the folder. ``of``: digest of all it was made of; ``sha256``: the file's own."""

    kind: Kind
    of: str
    sha256: str
    seconds: float


def tone(steps: tuple[tuple[int, int], ...], level: float = 0.3) -> bytes:
    """16-bit samples of a sequence of (Hz, ms), edges rounded so that it does not click."""
    out = []
    for hertz, ms in steps:
        at = np.arange(RATE * ms // 1000)
        edge = np.minimum(1.0, np.minimum(at / 80, (len(at) - at) / 80))
        out.append((32767 * level * edge * np.sin(2 * np.pi * hertz * at / RATE)).astype(np.int16))
    return np.concatenate(out).tobytes()


MELODY = (
    261.6, 329.6, 392.0, 329.6, 293.7, 349.2, 440.0, 349.2, 246.9, 293.7, 392.0, 293.7, 261.6, 329.6, 392.0, 523.3,
)  # fmt: skip
"""Hz, one note a beat; above it the octave and the fifth. Ours, so that a caller hears music from the first packet:
the packaged pieces begin with 0.6 s of silence (measured with `cti dialtest queue`)"""
BEAT_MS = 420


def melody() -> bytes:
    """Waiting music, 16-bit samples: plucked notes that never quite die away, so that no moment of it is silence."""
    count = RATE * BEAT_MS // 1000
    t = np.arange(count) / RATE
    out = []
    for beat, hertz in enumerate(MELODY * 4):
        before, value = (MELODY * 4)[beat - 1], np.zeros(count)
        for base, level in ((hertz, 0.25 + 0.75 * np.exp(-3 * t)), (before, 0.25 * (1 - np.arange(count) / count))):
            for multiple, share in ((1.0, 0.5), (1.5, 0.25), (2.003, 0.25)):
                value += level * share * np.sin(2 * np.pi * base * multiple * (t + beat * BEAT_MS / 1000))
        out.append((32767 * 0.22 * value).astype(np.int16))
    return np.concatenate(out).tobytes()


def greetings(directory: Directory) -> dict[str, str]:
    """What each hotline says to who waits, and each emergency plan to callers and duty phones, by prompt."""
    made = {f"greeting-{h.number}": h.greeting for h in directory.hotlines if h.greeting}
    return made | {prompt_of(text): text for plan in directory.plans for text in plan.texts}


def ensure_sounds(folder: Path, root: RuntimeRoot | None, catalogue: Catalogue, recordings: Recordings,
                  more: Mapping[str, str] = MappingProxyType({}), *,
                  step: Callable[[str], None] = lambda _: None) -> dict[str, Made]:  # fmt: skip
    """Every prompt of the list, and ``more`` (texts by name), ready in ``folder``; those by key. Without a root, or its
    synthesizer, signs stand in. A recording that cannot be read is logged, and the made prompt stands."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wait").mkdir(exist_ok=True)
    if not any((folder / "wait").iterdir()):
        put(folder / "wait" / "wait.wav", _file(melody()))
    before, now = made_of(folder), dict[str, Made]()
    for prompt in (*catalogue.prompts.values(), *(Prompt.model_construct(name=n, zh=t) for n, t in more.items())):
        for language in ("zh", "en") if prompt.en is not None else ("zh",):
            key = key_of(prompt.name, language)
            one = _ensure(folder, key, prompt, language, root, recordings, before.get(key))
            if one is not None:
                now[key] = one
            step(key)
    if now != before:
        text = json.dumps({key: asdict(one) for key, one in sorted(now.items())}, indent=1)
        put(folder / MADE, (text + "\n").encode())
    return now


def made_of(folder: Path) -> dict[str, Made]:
    """What the folder says of its files; empty where it says nothing we understand."""
    try:
        return {key: Made(**one) for key, one in json.loads((folder / MADE).read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _ensure(folder: Path, key: str, prompt: Prompt, language: str, root: RuntimeRoot | None, recordings: Recordings,
            was: Made | None) -> Made | None:  # fmt: skip
    path = folder / f"{key}.wav"
    there = path.exists()
    if there and (was is None or sha256(path.read_bytes()) != was.sha256):
        return None  # put there by hand
    kind, of = _wanted(key, prompt, language, root, recordings)
    if there and was is not None and (was.of == of or (kind == "sign" and was.kind == "made" and not prompt.tones)):
        return was  # the same as ever; or nobody here can speak it again
    line: NDArray[np.int16] | None = None
    if kind == "recorded":
        try:
            line = to_line(read(recordings.files[key]))
        except (NotSound, OSError) as why:
            log.warning("prompt_recording_unreadable", file=str(recordings.files[key]), why=str(why))
            kind, of = _wanted(key, prompt, language, root, Recordings(recordings.folder))
    if kind == "made" and root is not None:
        samples = _speak(spoken(_text(prompt, language)), language, root)
        if samples is None:
            kind, of = "sign", _digest("sign", SPARE)
        else:
            line = np.frombuffer(samples, "<i2").astype(np.int16)
    if line is None:
        line = _sign(prompt.tones or SPARE)
    data = encoded(line, "wav")
    path.parent.mkdir(exist_ok=True)
    put(path, data)
    return Made(kind, of, sha256(data), round(len(line) / RATE, 3))


def _wanted(key: str, prompt: Prompt, language: str, root: RuntimeRoot | None,
            recordings: Recordings) -> tuple[Kind, str]:  # fmt: skip
    if key in recordings.files:
        return "recorded", _digest("recorded", sha256(recordings.files[key].read_bytes()))
    if prompt.tones:
        return "sign", _digest("sign", prompt.tones)
    if root is None:
        return "sign", _digest("sign", SPARE)
    return "made", _digest("made", VOICES[language], spoken(_text(prompt, language)))


def _text(prompt: Prompt, language: str) -> str:
    return (prompt.zh if language == "zh" else prompt.en) or ""


def _digest(*parts: object) -> str:
    return hashlib.blake2s(repr(parts).encode(), digest_size=12).hexdigest()


@cache
def _sign(steps: tuple[tuple[int, int], ...]) -> NDArray[np.int16]:
    return np.frombuffer(tone(steps), np.int16)


def _file(samples: bytes) -> bytes:
    return encoded(np.frombuffer(samples, np.int16), "wav")


def voice_version(root: RuntimeRoot) -> tuple[int, ...] | None:
    """The synthesizer's version; None: there is none."""
    try:
        argv = root.argv("espeak-ng", "--version")
        done = subprocess.run(argv, env=_environment(root), capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", done.stdout + done.stderr)
    return tuple(int(part) for part in found.groups(default="0")) if found else None


def _speak(text: str, language: str, root: RuntimeRoot) -> bytes | None:
    """The text's samples. Made once a root: they are kept beside it, for the synthesis takes some 60 ms."""
    if root.path.parent == root.path:  # this system itself: nothing is put beside it
        return _synthesize(text, language, root)
    kept = root.path.parent / "prompts" / f"{_digest('sinc', HEADROOM, VOICES[language], text)}.wav"
    with contextlib.suppress(OSError, NotSound):
        sound = parse(kept.read_bytes())
        if sound.plays:
            return to_int16(sound.samples).tobytes()
    samples = _synthesize(text, language, root)
    if samples is not None:
        with contextlib.suppress(OSError):  # a root nobody may write beside: spoken anew each time
            kept.parent.mkdir(exist_ok=True)
            put(kept, _file(samples))
    return samples


def _synthesize(text: str, language: str, root: RuntimeRoot) -> bytes | None:
    try:
        argv = root.argv("espeak-ng", *VOICES[language], "--stdout", text)
    except FileNotFoundError:
        return None
    done = subprocess.run(argv, env=_environment(root), capture_output=True, timeout=20, check=False)
    if done.returncode or len(done.stdout) < 1000:
        log.warning("prompt_not_spoken", why=done.stderr.decode(errors="replace").strip()[-200:])
        return None
    header, sound = done.stdout[:44], done.stdout[44 : 44 + (len(done.stdout) - 44) // 2 * 2]
    rate = int.from_bytes(header[24:28], "little")  # a stream: its sizes are not to be believed
    return to_int16(HEADROOM * resampled(np.frombuffer(sound, "<i2").astype(np.float64) / 32768, rate)).tobytes()


def _environment(root: RuntimeRoot) -> dict[str, str]:
    return {**os.environ, "ESPEAK_DATA_PATH": str(root.libraries / "espeak-ng-data")}
