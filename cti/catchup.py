"""What Asterisk wrote while we were away: its CEL file, read from the last checkpoint and told to the runtime.

Knows: that a step heard live has the same key as its row. Must not know: what steps mean, where the ledger is stored.
The checkpoint lags on purpose (`LAG_S`): rows read twice are recognised by their keys, rows never read would be lost.
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

log = structlog.get_logger(__name__)

LAG_S = 15.0
"""Longer than a half-open link goes unnoticed (ping interval and time-out, 8 s): till then rows are not heard live."""


def step_of_row(row: CelRow) -> Step:
    """The row as the translator reads it."""
    return Step(row.name, row.at_us, row.uniqueid, row.channel, row.peer, row.caller, row.extra)


@dataclass(slots=True)
class CatchUp:
    """Reads the file at ``path``; ``load`` and ``save`` keep the checkpoint (text of a `CelOffset`)."""

    path: Path
    tell: Callable[[e.Event, str], None]
    bad: Callable[[str], None]
    load: Callable[[], Awaitable[str | None]]
    save: Callable[[str], Awaitable[None]]
    live: Callable[[], bool]
    """whether steps are heard as they happen; the checkpoint must not move past rows nobody heard"""

    async def run_once(self) -> int:
        """Tell every step since the checkpoint; how many rows were ours. The file may be missing: then none."""
        file = CelFile(self.path)
        place = await self._place()
        told = 0
        while True:
            rows, after = await asyncio.to_thread(file.read_from, place.offset, place.inode)
            for row in rows:
                told += self._one(row)
            if not rows or after == place:
                return told
            place = after
            await asyncio.sleep(0)

    def _one(self, row: CelRow | BadRow) -> int:
        if isinstance(row, BadRow):
            self.bad("row")
            log.warning("cel_row_unreadable", why=row.reason)
            return 0
        step = step_of_row(row)
        event = translate(step)
        if isinstance(event, BadStep):
            self.bad("step")
            return 0
        if event is None:
            return 0
        self.tell(event, step.key)
        return 1

    async def _place(self) -> CelOffset:
        text = await self.load()
        if text is None:
            return CelOffset(0, None)
        try:
            return CelOffset.parse(text)
        except ValueError:
            log.warning("cel_checkpoint_unreadable", cure="read from the start")
            return CelOffset(0, None)

    async def keep_checkpoint(self) -> None:
        """Until cancelled: every `LAG_S` save where the file ended `LAG_S` ago."""
        earlier: CelOffset | None = None
        while True:
            now = await asyncio.to_thread(self._end) if self.live() else None
            if now is not None and earlier is not None:
                await self.save(str(earlier))
            earlier = now
            await asyncio.sleep(LAG_S)

    def _end(self) -> CelOffset | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return CelOffset(stat.st_size, stat.st_ino)
