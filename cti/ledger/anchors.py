"""Anchors: how far the hash chain had come, noted on this machine's disk, where who tampers with Redis does not reach.

Knows: one text file beside the spool, ``<time> <id> <hash>`` a line. Must not know: how a hash is made.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import structlog

from cti.core.facts import FactId

_log = structlog.get_logger(__name__)

EVERY_S = 900.0
SETTLED_S = 90.0
"""An entry is noted so long after it was written: by then no new master of Redis lacks it any more."""


class Anchors:
    """Notes to ``path``, once in `EVERY_S`."""

    def __init__(self, path: Path, every_s: float = EVERY_S, settled_s: float = SETTLED_S) -> None:
        self._path, self._every, self._settled = path, every_s, settled_s
        self._taken: tuple[float, FactId, bytes] | None = None
        self._next = 0.0
        self._noted: FactId | None = None

    def look(self, end: tuple[FactId, bytes] | None, now: float) -> None:
        """Take the newest entry, and note it later. ``now``: seconds of any clock. Raises nothing."""
        if self._taken is not None and now >= self._taken[0] + self._settled:
            _, fact_id, digest = self._taken
            self._note(fact_id, digest)
            self._taken = None
        if self._taken is None and end is not None and now >= self._next and end[0] != self._noted:
            self._taken, self._next = (now, *end), now + self._every

    def doubt(self) -> None:
        """Redis was away: it may be another now, and lack what was taken."""
        if self._taken is not None:
            self._taken, self._next = None, 0.0

    def _note(self, fact_id: FactId, digest: bytes) -> None:
        line = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ} {fact_id} {digest.decode()}\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
            self._noted = fact_id
        except OSError as why:
            _log.error("anchor_not_noted", reason=str(why), path=self._path.name)
