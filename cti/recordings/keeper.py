"""Keeps the recordings: indexes what is complete, deletes what its retention is over for, and watches the disk.

Knows: order. An entry is written before its fact, a deletion told before it is done: killed in between, either is done
again with the same key, so a file has one `RecordingIndexed` or `RecordingMissing`, and at most one
`RecordingDeleted`. Must not know: Asterisk. No call waits for any of this, and no failure here reaches one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from cti.core import events as e
from cti.core import recordings as rules
from cti.core.model import Recording, Site
from cti.recordings.folder import Empty, Entry, Folder

log = structlog.get_logger(__name__)

LOOK_S = 1.0
SWEEP_S = 60.0
"""between two looks for files nobody told us of"""
YOUNG_DAYS = 3
PURGE_S = 600.0
"""between two looks for what is to go: kept by the day, it may go ten minutes later"""
STRAY_US = 120_000_000
"""A file nobody writes to for so long, of no call we know: older than any step on its way to us."""
AGAIN_S = 30.0
"""after an error of the disk"""
DISK_CURE = ("腾出空间或换盘；通话不受影响 / free space, or point recording.path at a larger disk: calls go on, "
             "their recordings are cut off or missing")  # fmt: skip
RIGHTS_CURE = "Asterisk 与服务都须能读写 recording.path / Asterisk and the service both need to write to recording.path"


class Meter(Protocol):
    """What is counted."""

    def recording(self, what: str) -> None:
        """indexed | no-file | empty | not-ours | unanswered | deleted | failed, once."""

    def recording_disk(self, free: int, fit: bool) -> None:
        """Free bytes; whether recordings can be written."""


class Keeper:
    """`run` while the service runs. ``wanted``: this site records, so a disk that is ill is an alarm. ``site``: the
    calls now; ``tell``: put an event on record, under a key, and return then; ``complete``: whether all that happened
    is known to us."""

    def __init__(self, folder: Folder, wanted: bool, min_free: int, keep_days: int, site: Callable[[], Site],
                 tell: Callable[[e.Event, str], Awaitable[object]], complete: Callable[[], bool],
                 now_us: Callable[[], int], meter: Meter) -> None:  # fmt: skip
        self._folder, self._wanted, self._min_free, self._keep_days = folder, wanted, min_free, keep_days
        self._site, self._tell, self._complete, self._now = site, tell, complete, now_us
        self._meter = meter
        self._ill = ""
        self._unwritten: list[Entry] = []
        self._swept = False
        self._next: dict[str, tuple[int, int]] = {}
        """day → its folder's stamp when last read, and when the next of its files is due"""
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        due, purge, rest = 0.0, 0.0, 0.0
        while True:
            try:
                await self.look()
                if clock() >= rest:
                    await self.index()
                if clock() >= max(due, rest) and self._complete():
                    await self.write_entries()
                    await self.sweep()
                    due = clock() + SWEEP_S
                if clock() >= max(purge, rest) and self._complete():
                    await self.purge()
                    purge = clock() + PURGE_S
            except OSError as why:
                rest = clock() + AGAIN_S
                self._meter.recording("failed")
                log.error("recordings_disk_error", why=str(why), cure=RIGHTS_CURE)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """The disk, as a gauge, and as an alarm when that changes."""
        free = await asyncio.to_thread(self._folder.free_bytes)
        ill, cure = "", ""
        if not self._wanted:
            pass
        elif free < self._min_free:
            ill, cure = "recordings_disk_low", DISK_CURE
        elif not await asyncio.to_thread(self._folder.writable):
            ill, cure = "recordings_not_writable", RIGHTS_CURE
        self._meter.recording_disk(free, not ill)
        if ill and ill != self._ill:
            log.error(ill, path=str(self._folder.root), free_mb=free >> 20, cure=cure)
        elif self._ill and not ill:
            log.info("recordings_disk_well", free_mb=free >> 20)
        self._ill = ill

    async def index(self) -> int:
        """Settle every file that is complete; how many. One that cannot be read is tried again, the others are not held
        up by it. Raises OSError then."""
        found = list(rules.due(self._site(), self._now()))
        failed: OSError | None = None
        for ref, recording in found:
            try:
                await self._settle(ref, recording)
            except OSError as why:
                failed = why
        if failed is not None:
            raise failed
        return len(found)

    async def write_entries(self) -> None:
        """Those the disk was too full for. Raises OSError while it still is."""
        while self._unwritten:
            entry = self._unwritten[0]
            if await asyncio.to_thread(self._folder.path(entry.file).exists):
                await asyncio.to_thread(self._folder.enter, entry)
            self._unwritten.pop(0)

    async def _settle(self, ref: str, r: Recording) -> None:
        try:
            measured = await asyncio.to_thread(self._folder.measure, r.file)
        except (Empty, FileNotFoundError, NotADirectoryError, ValueError) as why:
            code = "empty" if isinstance(why, Empty) else "not-ours" if isinstance(why, ValueError) else "no-file"
            self._meter.recording(code)
            log.error("recording_missing", ref=ref, file=r.file, why=code, cure=f"{DISK_CURE}; {RIGHTS_CURE}")
            await self._tell(e.RecordingMissing(ref, self._now(), r.file, r.part, code), f"recording/{r.file}")
            if code == "empty":
                await asyncio.to_thread(self._folder.remove, r.file)
            return
        entry = Entry(ref, r.file, r.part, r.began_at, max(r.began_at, r.ended_at), measured.ms, measured.size,
                      measured.sha256, r.began_at + r.keep_days * rules.DAY_US, r.transfer)  # fmt: skip
        await self._enter(entry)

    async def _enter(self, entry: Entry) -> None:
        """Entry and fact. A disk too full for the entry does not keep the fact back; it is written later then."""
        try:
            await asyncio.to_thread(self._folder.enter, entry)
        except OSError as why:
            self._unwritten.append(entry)
            self._meter.recording("failed")
            log.error("recording_entry_not_written", file=entry.file, why=str(why), cure=DISK_CURE)
        await self._tell(
            e.RecordingIndexed(entry.ref, self._now(), entry.file, entry.part, entry.since, entry.until, entry.ms,
                               entry.size, entry.sha256, entry.keep_until, entry.transfer),
            f"recording/{entry.file}",
        )  # fmt: skip
        self._meter.recording("indexed")

    async def sweep(self) -> int:
        """Files of no call we know and without an entry: empty ones, of callers nobody answered, go; any other is
        indexed by what it says itself. How many."""
        strays = await asyncio.to_thread(self._strays)
        for file in strays:
            named = rules.read_name(file)
            if named is None or named.ref in self._site().calls:
                continue
            try:
                measured = await asyncio.to_thread(self._folder.measure, file)
            except Empty:
                await asyncio.to_thread(self._folder.remove, file)
                self._meter.recording("unanswered")
                continue
            until = await asyncio.to_thread(self._folder.changed_at, file)
            since = until - measured.ms * 1000
            log.warning("recording_found", ref=named.ref, file=file, cure="none needed: indexed now")
            await self._enter(Entry(named.ref, file, named.part, since, until, measured.ms, measured.size,
                                    measured.sha256, since + self._keep_days * rules.DAY_US))  # fmt: skip
        return len(strays)

    def _strays(self) -> list[str]:
        """In every day's folder the first time, then in the newest, where files still come."""
        there, before = self._folder, self._now() - STRAY_US
        days = there.days()[-YOUNG_DAYS if self._swept else 0 :]
        self._swept = True
        files = (file for day in days for file in there.files(day))
        return [file for file in files if not there.indexed(file) and there.changed_at(file) < before]

    async def expired(self, thorough: bool = True) -> list[Entry]:
        """What retention is over for now. Not thorough: a day's folder in which, as last read, nothing is due is not
        read again."""
        return await asyncio.to_thread(self._expired, self._now(), thorough)

    def _expired(self, now: int, thorough: bool) -> list[Entry]:
        gone: list[Entry] = []
        for day in self._folder.days():
            stamp, (seen, due) = self._folder.stamp(day), self._next.get(day, (0, 0))
            if thorough or stamp != seen or due <= now:
                entries = list(self._folder.entries(day))
                gone += [entry for entry in entries if entry.keep_until <= now]
                self._next[day] = (stamp, min((one.keep_until for one in entries), default=now + rules.DAY_US))
        return gone

    async def purge(self, thorough: bool = False) -> list[Entry]:
        """Delete what is expired, each told first; what was deleted."""
        async with self._turn:
            gone = await self.expired(thorough)
            for entry in gone:
                await self._tell(
                    e.RecordingDeleted(entry.ref, self._now(), entry.file, entry.sha256, entry.keep_until),
                    f"deleted/{entry.file}",
                )
                await asyncio.to_thread(self._folder.remove, entry.file)
                self._meter.recording("deleted")
            return gone
