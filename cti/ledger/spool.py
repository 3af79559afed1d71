"""The spool: facts on the local disk on their way to Redis, and the checkpoints' local copy.

Knows: one SQLite file (WAL, synchronous=FULL: a fact is on the disk when `add` returns) and one thread. A small `add`
is done where it is asked for: to a thread and back takes two to four times as long as the disk itself. A disk that is
slow has its work done on the thread for a while.
Must not know: Redis, when to drain, what a fact means.

The file is private to one process: it is opened with an exclusive lock, so two services can never drain one
spool. A file that SQLite cannot read is moved aside under a name (`….corrupt-1`) for an engineer, never
deleted and never a reason not to start; rows whose checksum is wrong are kept in the table `bad`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from cti.core.facts import FactId
from cti.ledger.rows import Added, Checkpoint, Spooled

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_OVERHEAD = 96  # bytes a row takes beside its fields: page, indexes, checksum; measured, rounded up
SMALL = 16  # entries in an add that is done in place
SLOW_S, AWHILE_S = 0.005, 10.0  # two adds in place within a second that took so long; none is for so long then
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FIELDS = msgspec.msgpack.Decoder(dict[bytes, bytes])

_SCHEMA = """
PRAGMA locking_mode=EXCLUSIVE;
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS fact (
    pos INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival: the order of draining
    id TEXT NOT NULL,
    key BLOB NOT NULL UNIQUE,               -- the same fact twice is one row
    fields BLOB NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS bad (pos INTEGER PRIMARY KEY, id TEXT, key BLOB, fields BLOB, crc INTEGER);
CREATE TABLE IF NOT EXISTS checkpoint (name TEXT PRIMARY KEY, stamp INTEGER NOT NULL, value TEXT NOT NULL);
"""


class SpoolError(Exception):
    """The spool cannot be used: no rights, no disk, or another process has it open."""


class Spool:
    """A durable queue at `path`, holding at most `max_bytes` of entries.

    All work is done on the one thread the spool owns, but for a small `add`. Raises SpoolError as described there.
    `rows`, `bytes`, `corrupt_files`, `corrupt_rows` may be read at any time.
    """

    def __init__(self, path: Path, *, max_bytes: int = 256 << 20) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._lock = threading.Lock()  # one at a time, on the thread or in place
        self._slow_at = self._patient_until = 0.0
        self._db: sqlite3.Connection | None = None
        self.rows = 0
        self.bytes = 0
        self.corrupt_files = 0
        self.corrupt_rows = 0

    # ---- what the ledger asks

    async def open(self) -> None:
        """Open or create the file; count what an earlier life left in it. Repeating it does nothing."""
        await self._run(lambda db: None)

    async def add(self, entries: Sequence[tuple[FactId, Mapping[bytes, bytes]]]) -> Added:
        """Write `entries` in order. Raises SpoolError when the disk fails; then none of them is certain."""
        if len(entries) <= SMALL and self._db is not None and time.monotonic() >= self._patient_until \
                and self._lock.acquire(blocking=False):  # fmt: skip
            began = time.monotonic()
            try:
                return self._guarded(lambda db: self._add(db, entries))
            finally:
                self._lock.release()
                if (now := time.monotonic()) - began > SLOW_S:
                    if now - self._slow_at < 1.0:
                        self._patient_until = now + AWHILE_S
                    self._slow_at = now
        return await self._run(lambda db: self._add(db, entries))

    async def head(self, most: int, after: int = 0) -> list[Spooled]:
        """Return up to `most` facts in order, behind position `after`. Damaged rows are set aside."""
        return await self._run(lambda db: self._head(db, most, after))

    async def remove(self, rows: Sequence[tuple[int, FactId]]) -> None:
        """Forget facts, by place and id, that Redis has for certain."""
        await self._run(lambda db: self._remove(db, rows))

    async def renumber(self, rows: Sequence[Spooled], above: FactId) -> list[Spooled]:
        """Give those of `rows` that need it ids above `above`, rising in order; return those that changed.

        On disk before any of them is written anywhere under its new id, so that a repeat is still a repeat.
        """
        return await self._run(lambda db: self._renumber(db, rows, above))

    async def set_checkpoint(self, name: str, checkpoint: Checkpoint) -> None:
        """Keep `checkpoint` unless a newer one of that name is here."""
        await self._run(lambda db: self._set_checkpoint(db, name, checkpoint))

    async def last(self) -> int:
        """Position of the newest fact; 0 when there is none."""
        return await self._run(lambda db: int(db.execute("SELECT coalesce(max(pos), 0) FROM fact").fetchone()[0]))

    async def checkpoints(self) -> dict[str, Checkpoint]:
        """All of them; a damaged one counts as never set."""
        return await self._run(
            lambda db: {
                name: Checkpoint(stamp, value)
                for name, stamp, value in db.execute("SELECT name, stamp, value FROM checkpoint")
                if isinstance(stamp, int) and isinstance(value, str)
            }
        )

    async def close(self) -> None:
        """Close the file. What is in it stays. The spool cannot be used afterwards."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._close)
        finally:
            self._thread.shutdown(wait=False)

    # ---- on the spool's thread

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._alone, work)

    def _alone(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._lock:
            return self._guarded(work)

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in one transaction. A file found damaged is moved aside and `work` done on a new one."""
        for attempt in (1, 2):
            try:
                if self._db is None:
                    self._db = self._opened()
                with self._db:  # commits, or rolls back on an exception
                    return work(self._db)
            except sqlite3.Error as error:
                self._recount()
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if attempt == 1 and code in _DAMAGED:
                    try:
                        self._move_aside(str(error))
                    except (sqlite3.Error, OSError) as stuck:
                        raise SpoolError(f"{self._path}: {error}; {stuck}") from stuck
                    continue
                raise SpoolError(f"{self._path}: {error}") from error
            except OSError as error:
                raise SpoolError(f"{self._path}: {error}") from error
        raise AssertionError("unreachable: the second attempt returns or raises")

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))  # facts may hold phone numbers
        db = sqlite3.connect(self._path, timeout=0.2, check_same_thread=False)
        db.text_factory = _text  # a damaged text must not stop the rows around it
        try:
            db.executescript(_SCHEMA)
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            self._count(db)
        except BaseException:
            db.close()
            raise
        if verdict != "ok":
            db.close()
            self._move_aside(str(verdict))
            return self._opened()
        return db

    def _move_aside(self, reason: str) -> None:
        self._close()
        n = 1
        while (aside := self._path.with_name(f"{self._path.name}.corrupt-{n}")).exists():
            n += 1
        for suffix in ("", "-wal", "-shm"):
            if (part := self._path.with_name(self._path.name + suffix)).exists():
                part.rename(aside.with_name(aside.name + suffix))
        self.corrupt_files += 1
        self.rows = self.bytes = 0
        _log.error("spool_corrupt", reason=reason, moved_to=aside.name)

    def _count(self, db: sqlite3.Connection) -> None:
        size = f"coalesce(sum(length(fields) + {_OVERHEAD}), 0)"
        self.rows, self.bytes = db.execute(f"SELECT count(*), {size} FROM fact").fetchone()

    def _recount(self) -> None:
        """After a rollback. A file too sick to count is about to be moved aside or told as an error."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._count(self._db)

    def _add(self, db: sqlite3.Connection, entries: Sequence[tuple[FactId, Mapping[bytes, bytes]]]) -> Added:
        rows: list[Spooled] = []
        for done, (fact_id, fields) in enumerate(entries):
            body = msgspec.msgpack.encode(dict(fields))
            size = len(body) + _OVERHEAD
            if self.bytes + size > self._max_bytes:
                return Added(done, tuple(rows))
            row = (str(fact_id), fields.get(b"key", b""), body, _crc(str(fact_id), body))
            new = db.execute("INSERT OR IGNORE INTO fact (id, key, fields, crc) VALUES (?,?,?,?)", row)
            if new.rowcount:
                rows.append(Spooled(int(new.lastrowid or 0), fact_id, fields))
                self.rows += 1
                self.bytes += size
        return Added(len(entries), tuple(rows))

    def _head(self, db: sqlite3.Connection, most: int, after: int) -> list[Spooled]:
        """Damaged rows do not count towards `most`, so an empty answer means there is nothing more."""
        good: list[Spooled] = []
        while len(good) < most:
            found = db.execute(
                "SELECT pos, id, fields, crc FROM fact WHERE pos > ? ORDER BY pos LIMIT ?",
                (after, most - len(good)),
            ).fetchall()
            if not found:
                break
            for pos, fact_id, body, crc in found:
                after = pos
                sound = isinstance(fact_id, str) and isinstance(body, bytes) and crc == _crc(fact_id, body)
                if sound:
                    good.append(Spooled(pos, FactId.parse(fact_id), _FIELDS.decode(body)))
                else:
                    self._set_aside(db, pos)
        return good

    def _set_aside(self, db: sqlite3.Connection, pos: int) -> None:
        db.execute("INSERT OR IGNORE INTO bad SELECT * FROM fact WHERE pos = ?", (pos,))
        db.execute("DELETE FROM fact WHERE pos = ?", (pos,))
        self._count(db)
        self.corrupt_rows += 1
        _log.error("spool_row_corrupt", pos=pos)

    def _remove(self, db: sqlite3.Connection, rows: Sequence[tuple[int, FactId]]) -> None:
        for pos, fact_id in rows:  # by id too: a file moved aside begins its positions anew
            gone = db.execute(
                "DELETE FROM fact WHERE pos = ? AND id = ? RETURNING length(fields)", (pos, str(fact_id)))
            for (size,) in gone:
                self.rows -= 1
                self.bytes -= size + _OVERHEAD

    def _renumber(self, db: sqlite3.Connection, rows: Sequence[Spooled], above: FactId) -> list[Spooled]:
        changed: list[Spooled] = []
        for row in rows:
            if row.id > above:  # it rises already
                above = row.id
                continue
            above = above.after()
            body = msgspec.msgpack.encode(dict(row.fields))
            new = (str(above), _crc(str(above), body), row.pos, str(row.id))
            db.execute("UPDATE fact SET id = ?, crc = ? WHERE pos = ? AND id = ?", new)
            changed.append(Spooled(row.pos, above, row.fields))
        return changed

    def _set_checkpoint(self, db: sqlite3.Connection, name: str, new: Checkpoint) -> None:
        db.execute(
            "INSERT INTO checkpoint VALUES (?,?,?) ON CONFLICT (name) DO UPDATE"
            " SET stamp = excluded.stamp, value = excluded.value WHERE excluded.stamp >= stamp",
            (name, new.stamp, new.value),
        )

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _crc(fact_id: str, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(fact_id.encode()))
