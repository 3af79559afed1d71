"""The service's clock, read nowhere else. Must not know: the pure core, which is told the time with its events."""

from __future__ import annotations

import datetime as dt
import time

from cti.core.zone import SHANGHAI


def now_us() -> int:
    """µs since the epoch, UTC."""
    return time.time_ns() // 1000


def local() -> dt.datetime:
    """The site's local time."""
    return dt.datetime.now(SHANGHAI)
