"""What Asterisk wrote while we were away: its CEL file, read from the last checkpoint and told to the runtime.

Knows: that a step heard live has the same key as its row. Must not know: what steps mean, where the ledger is stored.
The checkpoint lags on purpose (`lag_s`): rows read twice are recognised by their keys, rows never read would be lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from cti.ami.translate import BadStep, Step, translate
from cti.core import events as e
from cti.ledger.cel import BadRow, CelFile, CelOffset, CelRow
from cti.ledger.spool import SpoolError

log = structlog.get_logger(__name__)

LEAST_LAG_S = 15.0
FULL = 10_000
"""Steps told and not yet on record; the reader then waits, so that a day's file never stands in memory."""
LOOK_S = 0.02


def lag_of(ping_s: float, action_s: float) -> float:
    """Seconds a checkpoint lags: longer than a half-open link goes unnoticed, for till then rows are not heard live."""
    return max(LEAST_LAG_S, 2 * ping_s + action_s)


def step_of_row(row: CelRow) -> Step:
    """The row as the translator reads it."""
    return Step(row.name, row.at_us, row.uniqueid, row.channel, row.peer, row.caller, row.extra)


def began_at(ref: str) -> int:
    """When the call of this correlation id began (µs; its channel's uniqueid says it to the second)."""
    return int(ref.partition("-")[2].partition(".")[0]) * 1_000_000


@dataclass(slots=True)
class CatchUp:
    """Reads the file at ``path``; ``load`` and ``save`` keep the checkpoint (text of a `CelOffset`)."""

    path: Path
    tell: Callable[[e.Event, str], None]
    bad: Callable[[str], None]
    """counts: row | step | checkpoint"""
    load: Callable[[], Awaitable[str | None]]
    save: Callable[[str], Awaitable[None]]
    live: Callable[[], bool]
    """whether steps are heard as they happen; the checkpoint must not move past rows nobody heard"""
    backlog: Callable[[], int]
    """steps told that are not on record yet; the checkpoint must not move past those either"""
    lag_s: float = LEAST_LAG_S
    _read_to: CelOffset | None = None
    _kept: CelOffset | None = None
    """this life's checkpoint, whether or not a disk took it"""

    async def run_once(self, since: int | None = None) -> int:
        """Tell every step since the checkpoint; how many rows were ours. The file may be missing: then none.

        ``since`` (µs): instead, every step of the calls that began then or later. Raises OSError when the file is
        there and cannot be read.
        """
        self._read_to = None
        place = await asyncio.to_thread(CelFile(self.path).written_since, since) if since else await self._place()
        return await self._read(place, since or 0)

    async def go_on(self) -> int:
        """Tell what was written since `run_once` read to the end."""
        return await self._read(self._read_to, 0) if self._read_to is not None else await self.run_once()

    async def _read(self, place: CelOffset, since: int) -> int:
        file = CelFile(self.path)
        told = 0
        while True:
            rows, after = await asyncio.to_thread(file.read_from, place.offset, place.inode)
            for row in rows:
                told += self._one(row, since)
            self._read_to = after
            if not rows or after == place:
                return told
            place = after
            await asyncio.sleep(0)
            while not await self._on_record_but(FULL):
                pass

    def _one(self, row: CelRow | BadRow, since: int) -> int:
        if isinstance(row, BadRow):
            self.bad("row")
            log.warning("cel_row_unreadable", why=row.reason)
            return 0
        step = step_of_row(row)
        event = translate(step)
        if isinstance(event, BadStep):
            self.bad("step")
            return 0
        if event is None or (began_at(event.ref) if event.ref else event.at) < since:
            return 0
        self.tell(event, step.key)
        return 1

    async def _place(self) -> CelOffset:
        if self._kept is not None:
            return self._kept
        text = await self.load()
        if text is None:
            return CelOffset(0, None)
        try:
            return CelOffset.parse(text)
        except ValueError:
            log.warning("cel_checkpoint_unreadable", cure="read from the start")
            return CelOffset(0, None)

    async def keep_checkpoint(self) -> None:
        """Until cancelled: every `lag_s` save where the file ended `lag_s` ago, once all heard since is on record.

        A disk that does not take it stops nothing: the file is read again from an older place then.
        """
        earlier: CelOffset | None = None
        failing = False
        while True:
            try:
                now = await asyncio.to_thread(self._end) if self.live() else None
                if now is not None and earlier is not None and await self._on_record_but(0) and self.live():
                    self._kept = earlier
                    await self.save(str(earlier))
                    failing = False
            except (SpoolError, OSError) as why:
                now = None
                self.bad("checkpoint")
                if not failing:
                    log.error("checkpoint_not_kept", why=str(why),
                              cure="disk full, or no rights? see paths.state, cel.path")  # fmt: skip
                failing = True
            earlier = now
            await asyncio.sleep(self.lag_s)

    async def _on_record_but(self, steps: int) -> bool:
        """Whether, within `lag_s`, all that was heard but so many steps was on record."""
        for _ in range(max(1, int(self.lag_s / LOOK_S))):
            if self.backlog() <= steps:
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def _end(self) -> CelOffset | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return CelOffset(stat.st_size, stat.st_ino)
