"""How a race around a room comes out: who has the caller; or he is gone, and no seat sits alone.

Knows: what a seat hears. Must not know: which races there are, how the dialplan decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cti.dialtest.call import Call
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.races import SPREAD_S
from cti.dialtest.scenarios.room import Room
from cti.dialtest.scenarios.scene import Lost, Outcomes

ALONE_S = 2.0
"""so long a seat may hear nobody once the caller is gone"""


@dataclass(frozen=True, slots=True)
class End:
    """How a race came out. Nobody having the caller: he hung up himself, or was said goodbye."""

    having: tuple[Call, ...] = ()
    may: list[Outcomes] | None = None


Race = Callable[[Room], Awaitable[End]]


async def at_once(r: Room, one: Callable[[], None], other: Callable[[], None]) -> None:
    """Both, within 25 ms, either first."""
    loop, offset = asyncio.get_running_loop(), r.scene.rng.uniform(-SPREAD_S, SPREAD_S)
    for act, delay in ((one, max(0.0, -offset)), (other, max(0.0, offset))):
        loop.call_later(delay, act)
    await asyncio.sleep(2 * SPREAD_S)


async def words_or_free(r: Room, *others: Call) -> End:
    """The caller is gone: the seats (and ``others``) hear each other until all but one have left; or all are free."""
    deadline = time.monotonic() + ALONE_S
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        here = [c for c in (r.scene.first, r.guest, *others) if c.t_ended is None]
        if not here:
            return End()
        if len(here) > 1 and all(_hears_one(call, here) for call in here):
            *leavers, stays = r.scene.rng.sample(here, len(here))
            for leaver in leavers:
                leaver.hangup()
            await stays.wait_ended(3)
            return End()
    alone = [c.phone.name for c in (r.scene.first, r.guest, *others) if c.t_ended is None]
    raise Lost(f"the caller is gone, and {' and '.join(alone)} heard nobody for {ALONE_S:.0f} s")


def _hears_one(call: Call, here: list[Call]) -> bool:
    intervals = call.heard(time.monotonic() - 0.2).intervals
    return bool(intervals) and any(o.phone.name in intervals[-1].what for o in here if o is not call)


async def somebody(r: Room) -> End:
    """Some seat has the caller, again or still; or he was said goodbye."""
    everybody = list(r.scene.stage.seats.values())
    for _ in range(60):
        await asyncio.sleep(0.1)
        again = await whose(everybody, r.scene.cli, 0.1)
        if again is not None and again.t_answered is not None:
            try:
                await r.scene.caller.wait_heard(again.phone.name, 0.3)
            except TimeoutError:
                continue
            return End((again,))
        if r.scene.caller.t_ended is not None:
            return End()
    raise Lost("nobody had the caller, and nobody said goodbye")


def with_caller(act: Callable[[Room], Awaitable[None]]) -> Race:
    async def race(r: Room) -> End:
        await act(r)
        return await words_or_free(r)

    race.__doc__ = f"{act.__doc__} As the caller hangs up."
    return race
