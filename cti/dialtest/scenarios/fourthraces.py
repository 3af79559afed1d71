"""The races of `conference-races` around a fourth member: his answer, or his leaving, in one instant with another act.

Knows: the pairs and what each may come to. Must not know: how the dialplan decides (fourth.conf, the call's lock).
"""

from __future__ import annotations

import asyncio
import time

from cti.dialtest.call import Call
from cti.dialtest.scenarios.members import asked, fourth
from cti.dialtest.scenarios.races import typed_beside
from cti.dialtest.scenarios.room import Room, each_other
from cti.dialtest.scenarios.roomends import End, Race, at_once, somebody, words_or_free


async def rings(r: Room) -> tuple[Call, Call]:
    """Who asked, and the fourth, ringing."""
    asks, boss = await asked(r)
    r.scene.targets.append(boss.phone)
    return asks, boss


def both_leave(r: Room) -> None:
    """The two seats hang up."""
    r.scene.first.hangup()
    r.guest.hangup()


async def join_caller(r: Room) -> End:
    """The fourth answers as the caller hangs up."""
    _, boss = await rings(r)
    await at_once(r, boss.answer, r.scene.caller.hangup)
    return await words_or_free(r, boss)


async def join_cancel(r: Room) -> End:
    """The fourth answers as who asked for him takes it back."""
    asks, boss = await rings(r)
    await typed_beside(r.scene, "*9", boss.answer, asks)
    await asyncio.sleep(0.5)
    return End((r.scene.first, r.guest, *([] if boss.t_ended is not None else [boss])))


async def join_leave(r: Room) -> End:
    """The fourth answers as a seat leaves: the caller is with him and the other one."""
    _, boss = await rings(r)
    goes, stays = r.scene.rng.sample([r.scene.first, r.guest], 2)
    r.kept = goes is r.guest
    await at_once(r, boss.answer, goes.hangup)
    return End((stays, boss))


async def join_both_leave(r: Room) -> End:
    """The fourth answers as both seats leave: the caller is with him."""
    _, boss = await rings(r)
    await at_once(r, boss.answer, lambda: both_leave(r))
    return End((boss,))


async def join_confer(r: Room) -> End:
    """The fourth answers as a seat presses the conferring key: pressed once more, all four are together."""
    _, boss = await rings(r)
    await typed_beside(r.scene, "*3", boss.answer, r.guest)
    await asyncio.sleep(0.6)
    await r.press("*3", r.guest)
    return End((r.scene.first, r.guest, boss))


async def leave_seat(r: Room) -> End:
    """The fourth leaves as a seat leaves: the caller is with the other one."""
    boss = await fourth(r)
    goes, stays = r.scene.rng.sample([r.scene.first, r.guest], 2)
    await at_once(r, boss.hangup, goes.hangup)
    return End((stays,))


async def leave_confer(r: Room) -> End:
    """The fourth leaves as a seat presses the conferring key: pressed once more, the three are together."""
    boss = await fourth(r)
    who = r.scene.rng.choice([r.scene.first, r.guest])
    await typed_beside(r.scene, "*3", boss.hangup, who)
    await asyncio.sleep(0.6)
    await r.press("*3", who)
    return End((r.scene.first, r.guest))


async def leave_all(r: Room) -> End:
    """All three leave at once: somebody has the caller again, or he is said goodbye."""
    boss = await fourth(r)
    await at_once(r, boss.hangup, lambda: both_leave(r))
    return await somebody(r)


async def leave_caller(r: Room) -> End:
    """The fourth leaves as the caller hangs up."""
    boss = await fourth(r)
    await at_once(r, boss.hangup, r.scene.caller.hangup)
    return await words_or_free(r, boss)


async def alone_caller(r: Room) -> End:
    """The fourth, who alone has the caller, leaves as the caller hangs up: nothing is left of it."""
    boss = await fourth(r)
    r.kept = True
    gone = time.monotonic()
    r.scene.first.hangup()
    await r.settle(gone, each_other(r.scene.caller, r.guest, boss))
    gone = time.monotonic()
    r.guest.hangup()
    await r.settle(gone, each_other(r.scene.caller, boss))
    await at_once(r, boss.hangup, r.scene.caller.hangup)
    return await words_or_free(r, boss)


RACES: dict[str, Race] = {
    "fourth-join-caller": join_caller, "fourth-join-cancel": join_cancel, "fourth-join-leave": join_leave,
    "fourth-join-both-leave": join_both_leave, "fourth-join-confer": join_confer, "fourth-leave-seat": leave_seat,
    "fourth-leave-confer": leave_confer, "fourth-leave-all": leave_all, "fourth-leave-caller": leave_caller,
    "fourth-alone-caller": alone_caller,
}  # fmt: skip
