"""What the spool holds, as values. Knows: their form. Must not know: SQLite, Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cti.core.facts import FactId


@dataclass(frozen=True, slots=True)
class Spooled:
    """One fact waiting for Redis. `pos` is its place in the queue, `fields` its stream entry."""

    pos: int
    id: FactId
    fields: Mapping[bytes, bytes]

    @property
    def key(self) -> bytes:
        return self.fields.get(b"key", b"")


@dataclass(frozen=True, slots=True)
class Added:
    """`kept`: how many entries, from the first, are on the disk now; fewer than given: the spool is full. `rows`: those
    that are new there; a key that was there already counts as kept."""

    kept: int
    rows: tuple[Spooled, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A reader's place, e.g. the CEL offset. The larger `stamp` (milliseconds) is the newer one."""

    stamp: int
    value: str

    def __str__(self) -> str:
        return f"{self.stamp} {self.value}"

    @classmethod
    def parse(cls, text: str) -> Checkpoint | None:
        """Read what `str()` wrote; None for anything else, as if it had never been set."""
        stamp, _, value = text.partition(" ")
        return cls(int(stamp), value) if stamp.isascii() and stamp.isdecimal() and len(stamp) < 20 else None
