"""Recorded prompts: `config/prompts/<name>.wav`, each replacing the made one, and the hashes noted of them.

Knows: the folder and `SHA256SUMS` in it (the form of sha256sum(1), so `sha256sum -c` checks it too). Must not know:
what is in a file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cti.prompts.wav import put

FOLDER: Final = "prompts"
SUMS: Final = "SHA256SUMS"
LANGUAGES: Final = ("zh", "en")
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *]((?:en/)?[a-z0-9-]+\.wav)")


@dataclass(frozen=True, slots=True)
class Recordings:
    """``files``: by key (`name`, or `en/name`); ``noted``: SHA-256 by key; ``strange``: what is no recording."""

    folder: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    noted: Mapping[str, str] = field(default_factory=dict)
    strange: tuple[Path, ...] = ()
    bad_lines: tuple[int, ...] = ()

    def changed(self) -> list[str]:
        """Keys whose file is not the one that was noted."""
        return [k for k, path in self.files.items() if k in self.noted and sha256(path.read_bytes()) != self.noted[k]]

    def gone(self) -> list[str]:
        """Keys noted whose file is not there."""
        return [key for key in self.noted if key not in self.files]


def key_of(name: str, language: str = "zh") -> str:
    """What a prompt's file is called below a folder of sounds, less its suffix. Asterisk looks for another language's
    in a folder before the file's name (main/file.c, absolute paths)."""
    return name if language == "zh" else f"{language}/{name}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def look(config: Path) -> Recordings:
    """What lies in the recordings' folder; nothing where there is none."""
    folder = config / FOLDER
    files: dict[str, Path] = {}
    strange: list[Path] = []
    if not folder.is_dir():
        return Recordings(folder)
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith(".") or path.name in (SUMS, "README.md"):
            continue
        key = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix == ".wav" and re.fullmatch(r"(en/)?[a-z0-9-]+", key):
            files[key] = path
        else:
            strange.append(path)
    noted: dict[str, str] = {}
    bad: list[int] = []
    if (folder / SUMS).exists():
        for number, line in enumerate((folder / SUMS).read_text(encoding="utf-8").splitlines(), 1):
            if found := _LINE.fullmatch(line.strip()):
                noted[found[2].removesuffix(".wav")] = found[1]
            elif line.strip():
                bad.append(number)
    return Recordings(folder, files, noted, tuple(strange), tuple(bad))


def note(recordings: Recordings, accept: frozenset[str]) -> list[str]:
    """Write down the hashes of recordings not noted yet, and of changed ones in ``accept``; forget those that are gone
    and accepted. The keys whose line is new. A changed file nobody accepted keeps its old line: `check` says so."""
    sums = dict(recordings.noted)
    new = []
    for key, path in recordings.files.items():
        found = sha256(path.read_bytes())
        if key not in sums or (key in accept and sums[key] != found):
            sums[key] = found
            new.append(key)
    for key in recordings.gone():
        if key in accept:
            del sums[key]
    if sums != dict(recordings.noted):
        text = "".join(f"{value}  {key}.wav\n" for key, value in sorted(sums.items()))
        put(recordings.folder / SUMS, text.encode())
    return new
