"""The folder of recordings: `<day>/<ref>[-private-<n>].<format>`, and beside each its entry, the same name and `.json`.

Knows: files, hashes, the entry's form. Must not know: the ledger, when something is due. The entry is what the
ledger's `RecordingIndexed` says of the file, so that a folder (or its copy in an archive) can be listed and verified by
itself. Blocking; one thread at a time. Every method raises OSError as the disk does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cti.core.recordings import FORMATS, day_of, read_name, sound_ms

CHUNK = 1 << 20
ENTRY = ".json"


class Empty(Exception):
    """The file holds no sound."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a complete file is."""

    size: int
    ms: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One indexed file; times in µs UTC, as in `cti.core.events.RecordingIndexed`."""

    ref: str
    file: str
    part: str
    since: int
    until: int
    ms: int
    size: int
    sha256: str
    keep_until: int
    transfer: str = ""


KINDS = {field.name: str(field.type) for field in fields(Entry)}


class Folder:
    """The recordings below ``root``, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, file: str) -> Path:
        """Where a file is. Raises ValueError for a name that is none of ours, whatever it would lead to."""
        if read_name(file) is None:
            raise ValueError(f"not a recording's name: {file!r:.120}")
        return self.root / file

    def measure(self, file: str) -> Measured:
        """Hash a complete file, its head mended first if it was cut off. Raises `Empty`, FileNotFoundError."""
        path = self.path(file)
        named = read_name(file)
        assert named is not None
        size = path.stat().st_size
        if size <= FORMATS[named.format][0]:
            raise Empty(file)
        if named.format == "wav":
            _mend(path, size)
        return Measured(size, sound_ms(named.format, size), digest(path))

    def enter(self, entry: Entry) -> None:
        """Put the entry beside its file, whole or not at all."""
        place = self._entry(entry.file)
        draft = place.with_name(place.name + ".tmp")
        try:
            with draft.open("w", encoding="utf-8") as out:
                json.dump(asdict(entry), out)
                out.flush()
                os.fsync(out.fileno())
            draft.replace(place)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def entry(self, file: str) -> Entry | None:
        """The entry of a file; None: not indexed, or the entry does not read."""
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
            found = Entry(**json.loads(self._entry(file).read_text(encoding="utf-8")))
            sound = all(type(getattr(found, name)).__name__ == kind for name, kind in KINDS.items())
            return found if sound and found.file == file else None
        return None

    def days(self) -> list[str]:
        """The days' folders, oldest first."""
        return sorted(path.name for path in self.root.glob("????-??-??") if path.is_dir())

    def stamp(self, day: str) -> int:
        """Changes whenever a name comes to a day's folder or goes from it."""
        return (self.root / day).stat().st_mtime_ns

    def files(self, day: str = "", ref: str = "") -> Iterator[str]:
        """Every recording's name, in order; of one ``ref``, or one ``day`` (YYYY-MM-DD)."""
        for one in [day_of(ref) if ref else day] if ref or day else self.days():
            for path in sorted((self.root / one).glob(f"{ref}*")):
                file = f"{one}/{path.name}"
                named = read_name(file)
                if named is not None and ref in ("", named.ref):
                    yield file

    def entries(self, day: str = "", ref: str = "") -> Iterator[Entry]:
        """Every entry, also one whose file is gone; of one ``ref``, or one ``day``."""
        for one in [day_of(ref) if ref else day] if ref or day else self.days():
            for place in sorted((self.root / one).glob(f"{ref}*{ENTRY}")):
                file = f"{one}/{place.name.removesuffix(ENTRY)}"
                named = read_name(file)
                if named is not None and ref in ("", named.ref) and (found := self.entry(file)) is not None:
                    yield found

    def indexed(self, file: str) -> bool:
        """Whether a file has an entry."""
        return self._entry(file).exists()

    def remove(self, file: str) -> None:
        """The file, then its entry, then the day's folder when nothing is left in it."""
        path = self.path(file)
        path.unlink(missing_ok=True)
        self._entry(file).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            path.parent.rmdir()

    def changed_at(self, file: str) -> int:
        """When it was last written to (µs)."""
        return self.path(file).stat().st_mtime_ns // 1000

    def free_bytes(self) -> int:
        """Free on its disk, for us."""
        found = os.statvfs(self._nearest())
        return found.f_bavail * found.f_frsize

    def writable(self) -> bool:
        """Whether we may make and remove files there."""
        place = self._nearest()
        return place.is_dir() and os.access(place, os.W_OK | os.X_OK)

    def _nearest(self) -> Path:
        """The folder, or while there is none what there is above."""
        place = self.root
        while not place.exists() and place != place.parent:
            place = place.parent
        return place

    def _entry(self, file: str) -> Path:
        path = self.path(file)
        return path.with_name(path.name + ENTRY)


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    found = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _mend(path: Path, size: int) -> None:
    """Asterisk writes a WAV file's lengths when it closes it; killed before, it leaves zeros and players find no sound.
    RIFF: the file's length less 8 at byte 4, the data's at byte 40 (the 44 bytes of a plain PCM head)."""
    with path.open("r+b") as file:
        head = file.read(44)
        if head[:4] == b"RIFF" and head[36:40] == b"data" and head[40:44] != struct.pack("<I", size - 44):
            file.seek(4)
            file.write(struct.pack("<I", size - 8))
            file.seek(40)
            file.write(struct.pack("<I", size - 44))
