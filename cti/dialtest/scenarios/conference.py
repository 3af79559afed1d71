"""`conference`: the three-party call, whoever comes, goes, confers or decides; both directions in turn.

At every moment each must hear exactly those the table gives him (`whohears`): together the others; while the seats
confer the caller music alone, they each other. A key pressed where it has no meaning is refused to its seat alone. A
story fails on a leak, on a gap, on a record too few or too many, on a decision that says another who, or another basis.
With `--chaos` (chaos.py) nothing here changes, for nothing may change for the three.

Knows: stories and what each must come to. Must not know: how the room is made, what is killed when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from cti.dialtest.phone import Phone
from cti.dialtest.report import Run
from cti.dialtest.scenarios import members
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.scenarios.room import (
    WAYS,
    Room,
    Said,
    check_decision,
    check_outcomes,
    each_other,
    open_room,
    set_seats,
    whole_record,
)
from cti.dialtest.scenarios.scene import Lost, no_silence, on_record
from cti.dialtest.stack import Stage

Story = Callable[[Room], Awaitable[Said | None]]
"""None: nobody says who accepts"""


async def first_leaves(r: Room) -> None:
    """The seat that brought in leaves; caller and guest go on, and there is nobody to confer with."""
    gone = time.monotonic()
    r.scene.first.hangup()
    await r.settle(gone, each_other(r.scene.caller, r.guest))
    await r.refused("*3", r.guest)


async def guest_leaves(r: Room) -> None:
    """The guest leaves; caller and seat go on."""
    gone = time.monotonic()
    r.guest.hangup()
    await r.settle(gone, each_other(r.scene.caller, r.scene.first))
    await r.refused("*3", r.scene.first)


async def confer(r: Room) -> None:
    """Private conferring and back, begun by one seat and ended by the other, twice; a transfer is refused meanwhile."""
    seats = [r.scene.first, r.guest]
    for _ in range(2):
        r.scene.rng.shuffle(seats)
        await r.aside(seats[0])
        if r.scene.rng.random() < 0.5:
            await r.refused("*0", r.scene.first, ("refused", "room-open"))
        await r.back(seats[1])


async def leaves_while_conferring(r: Room) -> None:
    """A seat leaves while they confer: the caller is back with the other."""
    await r.aside(r.scene.first)
    leaver, stays = r.scene.rng.sample([r.scene.first, r.guest], 2)
    gone = time.monotonic()
    leaver.hangup()
    await r.settle(gone, each_other(r.scene.caller, stays))
    await r.dwell()


async def both_vanish(r: Room) -> None:
    """Both seats are gone while the caller is in music: somebody has him again."""
    await r.aside(r.guest)
    gone = time.monotonic()
    r.scene.first.hangup()
    r.guest.hangup()
    everybody = list(r.scene.stage.seats.values())
    for _ in range(300):
        again = await whose(everybody, r.scene.cli, 0.1)
        if again is not None and again not in (r.scene.first, r.guest) and again.t_answered is not None:
            settled = r.run.settle_ms
            await r.settle(gone, each_other(r.scene.caller, again))
            r.run.settle_ms = settled  # he waited for a person
            await r.dwell()
            return
        await asyncio.sleep(0.02)
    raise Lost("nobody had the caller again")


async def last_words(r: Room) -> None:
    """The caller hangs up; the seats hear each other until one of them leaves."""
    if r.scene.rng.random() < 0.5:
        await r.aside(r.scene.first)
        await r.back(r.guest)
    gone = time.monotonic()
    r.scene.caller.hangup()
    await r.settle(gone, each_other(r.scene.first, r.guest))
    await r.dwell()
    leaver, stays = r.scene.rng.sample([r.scene.first, r.guest], 2)
    r.judge(time.monotonic())
    leaver.hangup()
    await stays.wait_ended(3)


def decides(code: str) -> Story:
    async def story(r: Room) -> Said:
        who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
        mine, theirs = r.platforms[who], r.platforms[other]
        unsaid = r.unsaid
        said, takes = {
            "*71": (Said(mine, "chosen", "", who.phone.user), mine),
            "*72": (Said(theirs, "chosen", "", who.phone.user), theirs),
            "*73": (Said(unsaid.accepts, unsaid.basis, "undecided", who.phone.user), unsaid.accepts),
            "*74": (Said("", "chosen", "", who.phone.user), mine),
        }[code]
        stays, goes = (who, other) if takes == mine else (other, who)
        pressed = await r.press(code, who)
        await r.settle(pressed, each_other(r.scene.caller, stays))
        await goes.wait_ended(3)
        await r.dwell()
        return said

    story.__doc__ = f"{code}: who accepts stays with the caller, the other is let go."
    return story


STORIES: dict[str, Story] = {
    "first-leaves": first_leaves, "guest-leaves": guest_leaves, "confer": confer,
    "leaves-while-conferring": leaves_while_conferring, "both-vanish": both_vanish, "last-words": last_words,
    "own-accepts": decides("*71"), "other-accepts": decides("*72"), "undecided": decides("*73"),
    "guidance": decides("*74"), **members.STORIES,
}  # fmt: skip


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """One caller, one story; stories and directions in turn, so that each comes as often."""
    rounds, story = divmod(number, len(STORIES))
    hotline, name = list(WAYS)[(rounds + story) % 2], sorted(STORIES)[story]
    run = Run(number, story=f"{hotline} {name}")
    cli = f"136{number % 1000:03d}{rng.randrange(10**5):05d}"
    set_seats(stage)
    call = await phone.dial(hotline, caller_id=cli)
    room: Room | None = None
    said: Said | None = None
    try:
        room = await open_room(stage, run, rng, phone, cli, call, hotline)
        said = await STORIES[name](room)
        if name != "last-words":
            room.judge(time.monotonic())
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    if call.t_ended is not None and name != "last-words":
        run.faults.append("the caller was dropped")
    run.heard = str(call.heard())
    if room is not None:
        gap = run.swap_gap_ms
        no_silence(run, call, room.scene, time.monotonic())
        run.swap_gap_ms = gap
    may = room.outcomes() if room is not None else []
    call.hangup()
    for leg in [leg for seat in stage.seats.values() for leg in seat.calls if leg.caller.user == cli]:
        leg.hangup()
    facts = await on_record(stage, run, cli)
    if room is not None and run.ref:
        facts = await whole_record(stage, run, facts, True)
        check_decision(run, facts, said or room.unsaid)
        check_outcomes(run, facts, may)
        refused = sum(f.kind == "RoomRefused" for f in facts)
        if refused != room.refusals:
            run.faults.append(f"{refused} RoomRefused on record, {room.refusals} wanted")
    return run
