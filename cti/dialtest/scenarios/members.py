"""Stories of `conference` with a fourth member, and of mute. Knows: a room as it is played. Must not know: dialplan.

A supervisor of the platform that received the call is brought in by key; at most three call-takers have the caller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cti.dialtest.call import Call
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.scene import Lost

if TYPE_CHECKING:
    from cti.dialtest.scenarios.conference import Room

SUPERVISORS = {"12345": ("*20", "1902"), "110": ("*21", "8003")}
"""key and seat, as config/linkage.yaml has them"""

Story = Callable[["Room"], Awaitable[None]]


async def _fourth(r: Room) -> Call:
    """The supervisor, in the room, brought in by one of the two seats."""
    key, number = SUPERVISORS[r.scene.hotline]
    asks = r.scene.rng.choice([r.scene.first, r.guest])
    await r.scene.press(key, asks)
    boss = await whose([r.scene.stage.seats[number]], r.scene.cli, 6)
    if boss is None:
        raise Lost("the key rang no fourth member")
    r.scene.targets.append(boss.phone)
    await asyncio.sleep(r.scene.rng.uniform(0.2, 0.8))
    answered = time.monotonic()
    boss.answer()
    await r.together(*r.three, boss)
    await r.change(answered, r.scene.first.phone.name, r.guest.phone.name)
    return boss


async def fourth_leaves(r: Room) -> None:
    """A fourth member joins, and leaves; the three go on. Another key while he is in is refused."""
    boss = await _fourth(r)
    wrong = await r.scene.press(SUPERVISORS[r.scene.hotline][0], r.guest)
    await r.guest.wait_heard("music", 5, after=wrong)
    await asyncio.sleep(2.5)  # the reason is said
    gone = time.monotonic()
    boss.hangup()
    await r.together()
    await r.change(gone, r.scene.first.phone.name, r.guest.phone.name)


async def fourth_stays(r: Room) -> None:
    """Both seats leave, one after the other; the fourth goes on with the caller."""
    boss = await _fourth(r)
    one, two = r.scene.rng.sample([r.scene.first, r.guest], 2)
    one.hangup()
    await r.together(r.scene.caller, two, boss)
    await asyncio.sleep(r.scene.rng.uniform(0.0, 0.5))
    two.hangup()
    await r.together(r.scene.caller, boss)


async def fourth_confers(r: Room) -> None:
    """Three confer in private: the caller hears music alone; back, all four hear each other."""
    boss = await _fourth(r)
    seats = [r.scene.first, r.guest, boss]
    await r.scene.press("*3", r.scene.rng.choice(seats))
    begins = await r.hears(r.scene.caller, "music")
    await r.together(*seats)
    await asyncio.sleep(r.scene.rng.uniform(0.2, 0.8))
    heard = r.scene.caller.heard(begins, time.monotonic())
    if any(heard.ever(call.phone.name) for call in seats):
        raise Lost(f"the caller heard the seats confer: {heard}")
    await r.scene.press("*3", r.scene.rng.choice(seats))
    await r.together(*r.three, boss)


async def fourth_fails(r: Room) -> None:
    """The fourth is taken back while he rings: the three never notice."""
    key, number = SUPERVISORS[r.scene.hotline]
    asks = r.scene.rng.choice([r.scene.first, r.guest])
    await r.scene.press(key, asks)
    boss = await whose([r.scene.stage.seats[number]], r.scene.cli, 6)
    if boss is None:
        raise Lost("the key rang no fourth member")
    await r.scene.press("*9", asks)
    await boss.wait_ended(3)
    await r.together()


async def mute(r: Room) -> None:
    """A seat mutes itself and is heard again."""
    who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
    pressed = await r.scene.press("*6", who)
    await who.wait_heard("music", 5, after=pressed)
    await r.hears(r.scene.caller, other.phone.name)
    await r.hears(other, r.scene.caller.phone.name)
    await r.hears(who, r.scene.caller.phone.name, other.phone.name)
    await r.scene.press("*6", who)
    await r.together()


STORIES: dict[str, Story] = {
    "fourth-leaves": fourth_leaves, "fourth-stays": fourth_stays, "fourth-confers": fourth_confers,
    "fourth-fails": fourth_fails, "mute": mute,
}  # fmt: skip
