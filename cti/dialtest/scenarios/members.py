"""Stories of `conference` with a fourth member, and of mute. Knows: a room as it is played. Must not know: dialplan.

A supervisor of the platform that received the call is brought in by key; at most three call-takers have the caller.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from cti.dialtest.call import Call
from cti.dialtest.hearing import MUSIC
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.room import Room, Said, each_other
from cti.dialtest.scenarios.scene import Lost

SUPERVISORS = {"12345": ("*20", "1902"), "110": ("*21", "8003")}
"""key and seat, as config/linkage.yaml has them"""

Story = Callable[[Room], Awaitable[Said | None]]


async def asked(r: Room) -> tuple[Call, Call]:
    """One of the two seats asks for a supervisor: who asked, and the supervisor's phone that rings."""
    key, number = SUPERVISORS[r.scene.hotline]
    asks = r.scene.rng.choice([r.scene.first, r.guest])
    await r.press(key, asks)
    boss = await whose([r.scene.stage.seats[number]], r.scene.cli, 6)
    if boss is None:
        raise Lost("the key rang no fourth member")
    await r.dwell()
    return asks, boss


async def fourth(r: Room) -> Call:
    """The supervisor, in the room."""
    _, boss = await asked(r)
    if boss.phone not in r.scene.targets:
        r.scene.targets.append(boss.phone)
    answered = time.monotonic()
    boss.answer()
    await r.settle(answered, each_other(*r.three, boss))
    return boss


async def fourth_leaves(r: Room) -> None:
    """A fourth member joins, and leaves; the three go on. Another key while he is in is refused."""
    boss = await fourth(r)
    await r.refused(SUPERVISORS[r.scene.hotline][0], r.guest)
    gone = time.monotonic()
    boss.hangup()
    await r.settle(gone, each_other(*r.three))


async def fourth_stays(r: Room) -> None:
    """Both seats leave, one after the other; the fourth goes on with the caller."""
    boss = await fourth(r)
    one, two = r.scene.rng.sample([r.scene.first, r.guest], 2)
    gone = time.monotonic()
    one.hangup()
    await r.settle(gone, each_other(r.scene.caller, two, boss))
    await r.dwell(0.0, 0.5)
    r.kept = two is r.guest
    gone = time.monotonic()
    two.hangup()
    await r.settle(gone, each_other(r.scene.caller, boss))
    await r.dwell()


async def fourth_confers(r: Room) -> None:
    """Three confer in private: the caller hears music alone; back, all four hear each other."""
    boss = await fourth(r)
    seats = [r.scene.first, r.guest, boss]
    pressed = await r.press("*3", r.scene.rng.choice(seats))
    await r.settle(pressed, {r.scene.caller: frozenset({MUSIC}), **each_other(*seats)})
    await r.dwell()
    pressed = await r.press("*3", r.scene.rng.choice(seats))
    await r.settle(pressed, each_other(*r.three, boss))


async def fourth_fails(r: Room) -> None:
    """The fourth is taken back while he rings: the three never notice."""
    asks, boss = await asked(r)
    await r.press("*9", asks)
    await boss.wait_ended(3)
    await r.dwell()


async def mute(r: Room) -> None:
    """A seat mutes itself and is heard again."""
    who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
    caller = r.scene.caller
    pressed = await r.press("*6", who)
    await r.settle(pressed, {**each_other(caller, other), who: each_other(*r.three)[who]})
    await r.dwell()
    pressed = await r.press("*6", who)
    await r.settle(pressed, each_other(*r.three))


STORIES: dict[str, Story] = {
    "fourth-leaves": fourth_leaves, "fourth-stays": fourth_stays, "fourth-confers": fourth_confers,
    "fourth-fails": fourth_fails, "mute": mute,
}  # fmt: skip
