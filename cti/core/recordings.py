"""The recordings of a call: begun, ended, settled; and what can be said of a file without opening it.

Knows: that each file begun is settled exactly once, as indexed or as missing, and when it may be looked at. Must not
know: disks, Asterisk's options, how anything is recorded (dialplan/record.conf).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cti.core import events as e
from cti.core import records
from cti.core.commands import Command
from cti.core.model import Call, Phase, Recording, Site

DAY_US = 86_400_000_000
CLOSE_US = 2_000_000
"""Asterisk closes a file within milliseconds of its channel's end; before, its head and its length may change"""

LATER = (e.RecordingIndexed, e.RecordingMissing, e.RecordingHeard, e.RecordingDeleted)
"""told of a file when its call may be long forgotten"""

FORMATS = {"wav": (44, 16, 1), "alaw": (0, 8, 1), "ulaw": (0, 8, 1), "gsm": (0, 33, 20)}
"""format → bytes of its head, and then so many bytes for so many ms (8 kHz, one channel)"""

NAME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)/(?P<ref>\d{6}-\d{1,12}\.\d{1,12})(?P<private>-private-\d{1,6})?\.(?P<format>[a-z]{3,4})\Z"
)
"""a file's path below the folder; nothing else is ever opened, served or deleted there"""


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says."""

    ref: str
    part: str
    format: str


def read_name(file: str) -> Named | None:
    """None: not one of ours."""
    found = NAME.match(file)
    if found is None or found["format"] not in FORMATS:
        return None
    return Named(found["ref"], "private" if found["private"] else "main", found["format"])


def day_of(ref: str) -> str:
    """The day's folder of a call: that of its arrival in China's time (UTC+8, no summer time)."""
    began = int(ref.partition("-")[2].partition(".")[0])
    return (datetime(1970, 1, 1) + timedelta(seconds=began, hours=8)).strftime("%Y-%m-%d")


def sound_ms(format: str, size: int) -> int:
    """Milliseconds of sound in a file of so many bytes: one that was cut off has no length in its head."""
    head, most, ms = FORMATS[format]
    return max(0, size - head) * ms // most


def hears(call: Call, event: e.Event) -> tuple[Call, list[Command]]:
    """One step of a recording. One that ends without having begun is an anomaly; any other repeat changes nothing."""
    file = str(getattr(event, "file", ""))
    known = next((r for r in call.recordings if r.file == file), None)
    match event:
        case e.RecordingStarted() if known is None:
            ended = call.ended_at if call.phase is Phase.ENDED else 0
            made = Recording(file, event.part, event.transfer, event.at, event.keep_days, ended)
            return replace(call, recordings=(*call.recordings, made)), []
        case e.RecordingEnded() if known is None:
            return call, [records.anomaly(event, "recording-not-begun")]
        case e.RecordingEnded() if known is not None:
            return _put(call, replace(known, ended_at=event.at)), []
        case e.RecordingIndexed() | e.RecordingMissing() if known is not None:
            return _put(call, replace(known, settled=True)), []
    return call, []


def over(call: Call) -> Call:
    """The caller's channel ended: nothing of his is written any more, whether or not somebody says so."""
    ended = tuple(r if r.ended_at else replace(r, ended_at=call.ended_at) for r in call.recordings)
    return replace(call, recordings=ended)


def due(site: Site, now: int) -> Iterator[tuple[str, Recording]]:
    """Call and file of what can be indexed at ``now`` (µs): complete, not settled yet."""
    for call in site.calls.values():
        if call.phase is Phase.ENDED and now >= call.ended_at + CLOSE_US:
            for recording in call.recordings:
                if not recording.settled and now >= recording.ended_at + CLOSE_US:
                    yield call.ref, recording


def _put(call: Call, changed: Recording) -> Call:
    return replace(call, recordings=tuple(changed if r.file == changed.file else r for r in call.recordings))
