"""What the tests of a three-party call share: a room with its three, and waits for who hears whom."""

from __future__ import annotations

import asyncio
import time

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.stack import Stage
from tests.real.story import ended, ringing_at_110, talking

JOIN_MS, CHANGE_MS = 60.0, 120.0
SETTLE_S = 0.25
"""typing mutes the seat about 180 ms a digit"""


async def hears(call: Call, *names: str, seconds: float = 3.0) -> float:
    """Until `call` hears exactly these (other calls' names, or music); when that began."""
    begins = time.monotonic()
    wanted = frozenset(names)
    while time.monotonic() < begins + seconds:
        last = call.heard(time.monotonic() - 0.2).intervals
        if last and last[-1].what == wanted and last[-1].ms >= 60:
            return last[-1].start
        await asyncio.sleep(0.02)
    raise AssertionError(f"{call.phone.name} wanted {sorted(wanted)}, heard {call.heard(begins)}")


async def together(on: Stage) -> tuple[Call, Call, Call]:
    """A caller, his seat, and the police seat that was brought in; each hears the two others."""
    call, seat = await talking(on)
    pressed = await seat.dtmf("*0")
    police = await ringing_at_110(on)
    await asyncio.sleep(0.3)
    police.answer()
    await all_hear(call, seat, police)
    gap = call.heard().longest_without({seat.phone.name, police.phone.name}, pressed + SETTLE_S, time.monotonic() - 0.1)
    assert gap <= JOIN_MS
    return call, seat, police


async def all_hear(*calls: Call) -> None:
    for call in calls:
        await hears(call, *(other.phone.name for other in calls if other is not call))


async def told(on: Stage, *kinds: str) -> list[Fact]:
    """The call's facts of these kinds once it is over, and no step that was not expected."""
    facts = await ended(on)
    if set(kinds) & {"ConferenceDecided", "ConferenceEnded"}:
        for phone in on.seats.values():  # their last words are said
            for call in phone.calls:
                call.hangup()
        assert await on.wait_fact("ConferenceEnded", facts[0].ref, 20) is not None
        facts = await on.facts(facts[0].ref)
    assert [f.data for f in facts if f.kind == "Anomaly"] == []
    return [f for f in facts if f.kind in kinds]


async def sign(call: Call, after: float, seconds: float = 4.0) -> None:
    """Until a sign is whispered into this seat's ear (not a party's tone, so it is heard as music)."""
    await call.wait_heard("music", seconds, after=after)
