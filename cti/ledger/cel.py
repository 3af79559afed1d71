"""Reader of Asterisk's own call record: the CSV file that `cel_custom` appends to, one row per event.

Knows: the fourteen columns of our `cel_custom.conf`, how such a file is cut, torn, rotated and damaged.
Must not know: what a row means for a call (the translator does), Redis, asyncio (run it in a thread).

Columns, each written with `${CSV_QUOTE()}`: eventtype, eventtime (`%F %T.%6q`; Asterisk runs with TZ=UTC),
caller number, context, exten, channel, application, its data, uniqueid, linkedid, peer, userdeftype,
eventextra (JSON), userfield. Source: Asterisk 22, `cel_custom.conf.sample` and a real file of 22.10.1.

Asterisk opens, appends and closes the file for every event, so a reader may meet half a row: only whole rows
are given out and the rest waits for the next read. Positions are bytes, never characters.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

COLUMNS = 14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Start of a row. Inside a quoted field every quote is doubled, so no sound row contains this at a line's start:
# it is where reading starts again after a row whose quotes do not add up.
_ROW_START = re.compile(rb'"[^"\n]*","\d{4}-\d\d-\d\d \d\d:\d\d:\d\d')


@dataclass(frozen=True, slots=True)
class CelRow:
    """One CEL event. `name` is the user event's name where there is one, else Asterisk's event type.

    `at_us`: microseconds since the epoch, UTC.  `extra`: eventextra, flattened to text; the JSON object that
    `CELGenUserEvent(NAME,{…})` carries stands here with its own keys, other text under "extra".
    `extra_damaged`: eventextra was there and could not be read.
    """

    name: str
    at_us: int
    channel: str
    uniqueid: str
    linkedid: str
    context: str
    exten: str
    app: str
    appdata: str
    peer: str
    extra: Mapping[str, str]
    caller: str
    extra_damaged: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """Bytes of the file that are no row, and why. `raw` may hold phone numbers: do not log it."""

    reason: str
    raw: bytes


class CelOffset(NamedTuple):
    """Where to read on. Keep both together: an offset means nothing in another file."""

    offset: int
    inode: int | None

    def __str__(self) -> str:
        return f"{self.offset}@{'' if self.inode is None else self.inode}"

    @classmethod
    def parse(cls, text: str) -> CelOffset:
        """Read what `str()` wrote (a checkpoint). Raises ValueError on anything else."""
        offset, _, inode = text.partition("@")
        return cls(int(offset), int(inode) if inode else None)


Row: TypeAlias = CelRow | BadRow


class CelFile:
    """The file at `path` and its rotated elders `path.1` … `path.<elders>`. Blocking; not for two threads.

    `chunk`: most bytes read from one file per call; what is left comes with the next call.
    `longest_row`: bytes after which an unfinished row is given up as a `BadRow`.
    """

    def __init__(
        self, path: Path, *, chunk: int = 1 << 20, longest_row: int = 1 << 16, elders: int = 9
    ) -> None:
        if chunk <= longest_row:
            raise ValueError("chunk must be larger than the longest row, or reading could stand still")
        self._path = path
        self._chunk = chunk
        self._longest = longest_row
        self._elders = elders
        self.replaced = 0  # rows with bytes that are not UTF-8 (an old phone sending GBK), shown as U+FFFD

    def read_from(self, offset: int, inode: int | None = None) -> tuple[list[Row], CelOffset]:
        """Return the whole rows after `offset` and where to read on. No rows and the same place: no news.

        `inode` None takes the file that is there now. A file that was rotated away is read to its end first;
        one that cannot be found any more is told as one `BadRow`. A file that is not there yet is no news.
        Raises OSError when the file cannot be read for another reason (rights, disk).
        """
        rows: list[Row] = []
        try:
            now = self._path.stat()
        except FileNotFoundError:
            now = None
        if now is not None and inode in (None, now.st_ino) and now.st_size >= offset:
            return self._read(self._path, offset, now.st_ino)
        if offset or inode is not None:  # the file we were in was rotated, copied and truncated, or removed
            age = self._find(offset, inode)
            if age == 0 and now is not None:
                rows.append(BadRow(f"the file read up to byte {offset} is gone", b""))
            while age:
                elder = self._elder(age)
                older, place = self._read(elder, offset, inode)
                rows += older
                size = elder.stat().st_size
                if len(older) and place.offset < size:  # perhaps more to come: stay with this file
                    rest, place = self._read(elder, place.offset, inode)
                    rows += rest
                    if rest:
                        return rows, place
                if now is None and age == 1:
                    return rows, place
                if place.offset < size:
                    rows.append(BadRow("torn row at the end of a rotated file", _tail(elder, place.offset)))
                age, offset, inode = age - 1, 0, None
        if now is None:
            return rows, CelOffset(offset, inode)
        more, place = self._read(self._path, 0, now.st_ino)
        return rows + more, place
