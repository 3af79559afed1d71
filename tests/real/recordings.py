"""What the tests of recording share: where a file is, the facts of it, and a caller moved by one key."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Phone
from cti.dialtest.stack import Stage
from tests.real.story import ended, ringing_at_110

SAID_S = 1.2


def phones(on: Stage) -> list[Phone]:
    return [*on.seats.values(), *on.callers]


def place(on: Stage, fact: Fact) -> Path:
    return on.instance.recording.path / str(fact.data["file"])


async def settled(on: Stage, files: int = 1, kind: str = "RecordingIndexed") -> list[Fact]:
    """The facts of the one call, once so many of its files are indexed; one fact each, and nothing unexpected."""
    facts = await ended(on)
    for _ in range(120):
        facts = await on.facts(facts[0].ref)
        if len([f for f in facts if f.kind == kind]) >= files:
            break
        await asyncio.sleep(0.1)
    of_files = [f for f in facts if f.kind in ("RecordingIndexed", "RecordingMissing")]
    assert len(of_files) == files == len({f.data["file"] for f in of_files}), of_files
    assert [f.data for f in facts if f.kind == "Anomaly"] == []
    return facts


def indexed(facts: list[Fact], part: str = "main") -> Fact:
    found = [f for f in facts if f.kind == "RecordingIndexed" and f.data["part"] == part]
    assert len(found) == 1, [(f.kind, f.data) for f in facts if f.kind.startswith("Recording")]
    return found[0]


async def swapped(on: Stage, call: Call, seat: Call) -> Call:
    """By one key the caller is with a police seat."""
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await asyncio.sleep(0.3)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await seat.wait_ended(3)
    return target
