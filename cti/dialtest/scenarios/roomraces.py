"""`conference-races`: two acts in one instant around a three-party call: the join, conferring, the decision, somebody
leaving, the caller's own hang-up beside each, and the same around a fourth member (fourthraces.py).

The second act falls within ±25 ms of the first, drawn by the seed, so that either may win. Whichever does: the caller
is with somebody who hears him, or was let go for a reason; seats whose caller is gone hear each other or are free, none
sits alone; each transfer that began, each room and each decision is on record once.

Knows: the pairs and what each may come to. Must not know: how the dialplan decides (its lock, door.conf).
"""

from __future__ import annotations

import asyncio
import random
import time

from cti.dialtest.phone import Phone
from cti.dialtest.report import Run
from cti.dialtest.scenarios import fourthraces
from cti.dialtest.scenarios.races import typed_beside
from cti.dialtest.scenarios.room import WAYS, Room, check_outcomes, each_other, open_room, set_seats, whole_record
from cti.dialtest.scenarios.roomends import End, Race, at_once, somebody, with_caller, words_or_free
from cti.dialtest.scenarios.scene import Lost, Outcomes, no_silence, on_record
from cti.dialtest.stack import Stage

ANSWERED, VANISHED = ("answered", ""), ("returned", "vanished")
JOINED: list[Outcomes] = [[ANSWERED], [VANISHED]]
"""a guest who is let go within 5 s of joining has vanished, as far as the transfer goes"""


async def join_caller(r: Room) -> End:
    """The guest answers as the caller hangs up."""
    await at_once(r, r.guest.answer, r.scene.caller.hangup)
    await words_or_free(r)
    return End((), [[ANSWERED], [VANISHED], [("abandoned", "caller-left")]])


async def join_first(r: Room) -> End:
    """The guest answers as the first seat hangs up: he has the caller either way."""
    await at_once(r, r.guest.answer, r.scene.first.hangup)
    return End((r.guest,))


async def join_cancel(r: Room) -> End:
    """The guest answers as the first seat takes the attempt back."""
    await typed_beside(r.scene, "*9", r.guest.answer)
    await asyncio.sleep(0.5)
    if r.guest.t_ended is not None:
        return End((r.scene.first,), [[("cancelled", "")]])
    return End((r.scene.first, r.guest))


async def confers(r: Room) -> None:
    """A seat presses the conferring key."""
    await typed_beside(r.scene, "*3", r.scene.caller.hangup, r.scene.rng.choice([r.scene.first, r.guest]))


async def confers_back(r: Room) -> None:
    """Conferring ends."""
    await r.aside(r.scene.first)
    await confers(r)


async def is_decided(r: Room) -> None:
    """A seat says who accepts."""
    code = r.scene.rng.choice(["*71", "*72", "*73", "*74"])
    await typed_beside(r.scene, code, r.scene.caller.hangup, r.scene.rng.choice([r.scene.first, r.guest]))


async def first_leaves(r: Room) -> None:
    """The first seat leaves."""
    await at_once(r, r.scene.first.hangup, r.scene.caller.hangup)


async def guest_leaves(r: Room) -> None:
    """The guest leaves."""
    await at_once(r, r.guest.hangup, r.scene.caller.hangup)


async def leaves_aside(r: Room) -> None:
    """A seat leaves while they confer."""
    await r.aside(r.guest)
    await at_once(r, r.scene.rng.choice([r.scene.first, r.guest]).hangup, r.scene.caller.hangup)


async def last_leaves(r: Room) -> None:
    """The last seat leaves, the other one having left before."""
    goes, last = r.scene.rng.sample([r.scene.first, r.guest], 2)
    gone = time.monotonic()
    goes.hangup()
    await r.settle(gone, each_other(r.scene.caller, last))
    await at_once(r, last.hangup, r.scene.caller.hangup)


async def confer_leave(r: Room) -> End:
    """A seat wants to confer as the other one leaves: the caller is with the one who pressed."""
    who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
    await typed_beside(r.scene, "*3", other.hangup, who)
    return End((who,))


async def back_leave(r: Room) -> End:
    """A seat brings the caller back as the other one leaves."""
    who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
    await r.aside(other)
    await typed_beside(r.scene, "*3", other.hangup, who)
    return End((who,))


async def confer_both(r: Room) -> End:
    """Both press at once: aside and back again."""
    async with asyncio.TaskGroup() as group:
        for seat in (r.scene.first, r.guest):
            group.create_task(typed_beside(r.scene, "*3", lambda: None, seat))
    return End((r.scene.first, r.guest))


async def decide_both(r: Room) -> End:
    """Each says that it accepts: one decision, and the caller is with that one."""
    async with asyncio.TaskGroup() as group:
        for seat in (r.scene.first, r.guest):
            group.create_task(typed_beside(r.scene, "*71", lambda: None, seat))
    await asyncio.sleep(0.3)
    return End((r.guest if r.scene.first.t_ended is not None else r.scene.first,))


async def decide_leave(r: Room) -> End:
    """One says who accepts as the other leaves."""
    who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
    code = r.scene.rng.choice(["*71", "*72"])
    await typed_beside(r.scene, code, other.hangup, who)
    await asyncio.sleep(0.3)
    return End((who,)) if code == "*71" else await somebody(r)


async def both_leave(r: Room) -> End:
    """Both seats leave."""
    await at_once(r, r.scene.first.hangup, r.guest.hangup)
    return await somebody(r)


async def both_leave_aside(r: Room) -> End:
    """Both seats leave while they confer: he was with nobody, so somebody must have him again."""
    await r.aside(r.scene.first)
    await at_once(r, r.scene.first.hangup, r.guest.hangup)
    end = await somebody(r)
    if not end.having:
        raise Lost("the caller was let go though both seats had vanished")
    return end


RACES: dict[str, Race] = {
    "join-caller": join_caller, "join-first": join_first, "join-cancel": join_cancel,
    "confer-caller": with_caller(confers), "back-caller": with_caller(confers_back),
    "decide-caller": with_caller(is_decided), "first-caller": with_caller(first_leaves),
    "guest-caller": with_caller(guest_leaves), "aside-leave-caller": with_caller(leaves_aside),
    "last-caller": with_caller(last_leaves),
    "confer-leave": confer_leave, "back-leave": back_leave, "confer-both": confer_both, "decide-both": decide_both,
    "decide-leave": decide_leave, "both-leave": both_leave, "both-leave-aside": both_leave_aside,
    **fourthraces.RACES,
}  # fmt: skip


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """One race; pairs and directions take turns."""
    hotline, name = list(WAYS)[(number + number // len(RACES)) % 2], list(RACES)[number % len(RACES)]
    run = Run(number, story=f"{hotline} {name}")
    cli = f"135{number % 1000:03d}{rng.randrange(10**5):05d}"
    set_seats(stage)
    call = await phone.dial(hotline, caller_id=cli)
    room: Room | None = None
    end = End()
    try:
        room = await open_room(stage, run, rng, phone, cli, call, hotline, not name.startswith("join"))
        end = await RACES[name](room)
        if end.having:
            await room.settle(time.monotonic(), each_other(call, *end.having), 4000)
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    run.heard = str(call.heard())
    if room is not None and end.having:
        gap = run.swap_gap_ms
        no_silence(run, call, room.scene, time.monotonic(), True)
        run.swap_gap_ms = gap
    call.hangup()
    for leg in [leg for seat in stage.seats.values() for leg in seat.calls if leg.caller.user == cli]:
        leg.hangup()
    facts = await on_record(stage, run, cli)
    if room is not None and run.ref:
        joined = {outcome for outcome, _ in (ANSWERED, VANISHED)}
        opened = any(f.kind == "TransferEnded" and f.data.get("outcome") in joined for f in facts)
        facts = await whole_record(stage, run, facts, opened)
        check_outcomes(run, facts, end.may or JOINED)
    return run
