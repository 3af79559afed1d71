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

import contextlib
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
_NOTHING: Mapping[str, str] = MappingProxyType({})
# Start of a row. Inside a quoted field every quote is doubled, so no sound row has this at a line's start:
# there reading starts again after a row whose quotes do not add up.
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
    """The file at `path` with its rotated elders `path.1` … `path.<elders>`. Blocking; one thread at a time.

    `chunk`: bytes after which one call returns what it has.
    `longest_row`: bytes after which an unfinished row is given up as a `BadRow`.
    """

    def __init__(self, path: Path, *, chunk: int = 1 << 20, longest_row: int = 1 << 16, elders: int = 9) -> None:
        if chunk <= longest_row:
            raise ValueError("chunk must be larger than the longest row, or reading could stand still")
        self._path = path
        self._chunk = chunk
        self._longest = longest_row
        self._elders = elders
        self.replaced = 0  # rows with bytes that are not UTF-8 (a phone sending GBK), shown as U+FFFD

    def read_from(self, offset: int, inode: int | None = None) -> tuple[list[Row], CelOffset]:
        """Return the whole rows after `offset` and where to read on; the same place again means no news.

        `inode` None means the file that is there now. A file that was rotated meanwhile is read to its end
        first; one that cannot be found any more is told as a `BadRow`. No file yet is no news.
        Raises OSError when a file is there and cannot be read (rights, disk).
        """
        files = self._files()
        if not files:
            return [], CelOffset(offset, inode)
        rows: list[Row] = []
        age = _find(files, offset, inode)
        if age is None:
            rows.append(BadRow(f"the file read up to byte {offset} is gone", b""))
            age, offset = 0, 0
        budget = self._chunk
        while True:
            path, stat = files[age]
            data = _bytes_of(path, stat.st_ino, offset, self._chunk)
            found, used = self._rows(data)
            rows += found
            offset += used
            budget -= used
            if used and budget > 0:
                continue
            if used or age == 0:
                return rows, CelOffset(offset, stat.st_ino)
            if data:  # nobody appends to an elder: its unfinished row stays so
                rows.append(BadRow("torn row at the end of a rotated file", data))
            age, offset = age - 1, 0

    def written_since(self, since_us: int) -> CelOffset:
        """Where to begin for everything written since then: the start of the oldest file still written to."""
        files = [stat for _, stat in self._files() if stat.st_mtime_ns // 1000 >= since_us]
        return CelOffset(0, files[-1].st_ino if files else None)

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """What is there, youngest first."""
        found = []
        for age in range(self._elders + 1):
            path = self._path.with_name(f"{self._path.name}.{age}") if age else self._path
            with contextlib.suppress(FileNotFoundError):
                found.append((path, path.stat()))
        return found

    def _rows(self, data: bytes) -> tuple[list[Row], int]:
        """Cut `data`, which starts at a row, into rows. Return them and how many bytes they took."""
        rows: list[Row] = []
        start = line = quotes = 0
        while (end := data.find(b"\n", line)) >= 0:
            if quotes % 2 and _ROW_START.match(data, line):
                rows += self._mended(data[start:line], "quotes do not add up")
                start, quotes = line, 0
            quotes += data.count(b'"', line, end)
            line = end + 1
            if quotes % 2 == 0:  # else the line break stands inside a quoted field
                rows += self._mended(data[start:line])
                start, quotes = line, 0
        if len(data) - start > self._longest:
            rows.append(BadRow(f"no end within {self._longest} bytes", data[start:]))
            start = len(data)
        return rows, start

    def _mended(self, raw: bytes, reason: str = "") -> Iterator[Row]:
        """Read one row. Where a row was torn (kill -9) and the next one follows on its line, give both."""
        row = BadRow(reason, raw) if reason else self._row(raw)
        if isinstance(row, BadRow):
            for start in _ROW_START.finditer(raw, 1):
                rest = self._row(raw[start.start() :])
                if isinstance(rest, CelRow):
                    yield BadRow(row.reason, raw[: start.start()])
                    yield rest
                    return
        yield row

    def _row(self, raw: bytes) -> Row:
        text = raw.decode("utf-8", "replace")
        try:
            lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            return BadRow(str(error), raw)
        if len(lines) != 1 or len(lines[0]) != COLUMNS:
            return BadRow(f"{len(lines[0]) if lines else 0} columns instead of {COLUMNS}", raw)
        event, time, caller, context, exten, channel, app, appdata = lines[0][:8]
        uniqueid, linkedid, peer, user, extra = lines[0][8:13]
        if '"' in event:  # `"HANGUP` was torn after its closing quote: the next row's first one doubled it
            return BadRow(f"not an event: {event[:64]!r}", raw)
        try:
            at_us = (datetime.fromisoformat(time).replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
        except ValueError:
            return BadRow(f"not a time: {time[:32]!r}", raw)
        values, damaged = _extra(extra)
        if "\ufffd" in text and "\ufffd".encode() not in raw:
            self.replaced += 1
        return CelRow(
            name=user or event, at_us=at_us, channel=channel, uniqueid=uniqueid, linkedid=linkedid,
            context=context, exten=exten, app=app, appdata=appdata, peer=peer, extra=values, caller=caller,
            extra_damaged=damaged,
        )  # fmt: skip


def _find(files: list[tuple[Path, os.stat_result]], offset: int, inode: int | None) -> int | None:
    """Age of the file that was read up to `offset`, or None when it is gone."""
    sizes = [(stat.st_ino, stat.st_size) for _, stat in files]
    for age, (number, size) in enumerate(sizes):
        if (number == inode or (inode is None and age == 0)) and size >= offset:
            return age
    # Same file but shorter: it was copied and truncated, so what we have not read stands in its copy.
    if sizes[0][0] == inode and len(sizes) > 1 and sizes[1][1] >= offset:
        return 1
    return None


def _bytes_of(path: Path, inode: int, offset: int, most: int) -> bytes:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_ino != inode:
            return b""  # rotated between the look and the opening: the next call finds it under its new name
        file.seek(offset)
        return file.read(most)


def _extra(text: str) -> tuple[Mapping[str, str], bool]:
    """Flatten eventextra. Return the values and whether some of it could not be read."""
    if not text:
        return _NOTHING, False
    outer = _json_object(text)
    if outer is None:
        return _NOTHING, True
    inner_text = outer.get("extra", "")
    if not inner_text.startswith("{"):
        return MappingProxyType(outer), False
    inner = _json_object(inner_text)
    if inner is None:
        return MappingProxyType(outer), True
    del outer["extra"]
    return MappingProxyType(outer | inner), False


def _json_object(text: str) -> dict[str, str] | None:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {k: v if isinstance(v, str) else "" if v is None else json.dumps(v) for k, v in value.items()}
