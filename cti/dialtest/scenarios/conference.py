"""`conference`: the three-party call, whoever comes, goes, confers or decides; both directions, drawn by the seed.

At every moment each of the three must hear exactly those he should: together the two others; while the seats confer the
caller music alone, they each other. A story fails on a leak, on a gap, on a record too few or too many.

Knows: stories and what each must come to. Must not know: how the room is made, what is killed when (`--chaos`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Ring
from cti.dialtest.report import Run
from cti.dialtest.scenarios import members
from cti.dialtest.scenarios.onekey import FIRST_ANSWER_S, whose
from cti.dialtest.scenarios.scene import LEDGER_S, Lost, Scene, no_silence, on_record
from cti.dialtest.stack import Stage

JOIN_MS, CHANGE_MS = 60.0, 120.0
TYPED_S = 0.25
"""from the last digit on; typing itself mutes the seat some 180 ms a digit"""
HEARD_S = 0.08
"""so long the same must be heard to count"""

WAYS = {
    "12345": (("1001", "1002", "1003", "1004"), ("8001", "8002", "8003")),
    "110": (("8101", "8102"), ("1901", "1902")),
}
SEATS = tuple(number for way in WAYS.values() for side in way for number in side)


@dataclass(slots=True)
class Room:
    """The scene with its third party."""

    scene: Scene
    run: Run
    guest: Call

    @property
    def three(self) -> tuple[Call, Call, Call]:
        return self.scene.caller, self.scene.first, self.guest

    async def together(self, *calls: Call) -> None:
        """Until each of these hears exactly the others."""
        for call in calls or self.three:
            await hears(call, *(other.phone.name for other in calls or self.three if other is not call))

    async def hears(self, call: Call, *names: str) -> float:
        """Until ``call`` hears exactly these."""
        return await hears(call, *names)

    async def change(self, since: float, *names: str) -> None:
        """From ``since`` on the caller was never longer than a change may last without these."""
        await asyncio.sleep(0.15)
        gap = self.scene.caller.heard().longest_without({*names, "music"}, since, time.monotonic() - 0.1)
        late = self.scene.first.phone.media.lateness(since, time.monotonic())
        self.run.wait_ms = max(self.run.wait_ms or 0.0, gap)
        if gap - late > CHANGE_MS:
            raise Lost(f"the change left the caller with nobody for {gap:.0f} ms")

    async def aside(self, who: Call) -> None:
        """The seats confer; the caller hears music alone, and nothing of them."""
        caller, first, guest = self.three
        pressed = await self.scene.press("*3", who)
        begins = await hears(caller, "music")
        await hears(first, guest.phone.name)
        await hears(guest, first.phone.name)
        await self.change(pressed, first.phone.name, guest.phone.name)
        await asyncio.sleep(self.scene.rng.uniform(0.2, 0.8))
        heard = caller.heard(begins, time.monotonic())
        if heard.ever(first.phone.name) or heard.ever(guest.phone.name):
            raise Lost(f"the caller heard the seats confer: {heard}")

    async def back(self, who: Call) -> None:
        pressed = await self.scene.press("*3", who)
        await self.together()
        await self.change(pressed, self.scene.first.phone.name, self.guest.phone.name)


async def hears(call: Call, *names: str, seconds: float = 4.0) -> float:
    """Until `call` hears exactly these (phones' names, or music); when that began. Raises `Lost`."""
    begins, wanted = time.monotonic(), frozenset(names)
    while time.monotonic() < begins + seconds:
        last = call.heard(time.monotonic() - 0.3).intervals
        if last and last[-1].what == wanted and last[-1].ms >= HEARD_S * 1000:
            return last[-1].start
        await asyncio.sleep(0.02)
    raise Lost(f"{call.phone.name} wanted {'+'.join(sorted(wanted))}, heard {call.heard(begins)}")


Story = Callable[[Room], Awaitable[None]]


async def first_leaves(r: Room) -> None:
    """The seat that brought in leaves; caller and guest go on."""
    gone = time.monotonic()
    r.scene.first.hangup()
    await r.together(r.scene.caller, r.guest)
    await r.change(gone, r.guest.phone.name)


async def guest_leaves(r: Room) -> None:
    """The guest leaves; caller and seat go on."""
    gone = time.monotonic()
    r.guest.hangup()
    await r.together(r.scene.caller, r.scene.first)
    await r.change(gone, r.scene.first.phone.name)


async def confer(r: Room) -> None:
    """Private conferring and back, begun by one seat and ended by the other, twice."""
    seats = [r.scene.first, r.guest]
    for _ in range(2):
        r.scene.rng.shuffle(seats)
        await r.aside(seats[0])
        await r.back(seats[1])


async def leaves_while_conferring(r: Room) -> None:
    """A seat leaves while they confer: the caller is back with the other."""
    await r.aside(r.scene.first)
    leaver, stays = r.scene.rng.sample([r.scene.first, r.guest], 2)
    leaver.hangup()
    await r.together(r.scene.caller, stays)


async def both_vanish(r: Room) -> None:
    """Both seats are gone while the caller is in music: somebody has him again."""
    await r.aside(r.guest)
    r.scene.first.hangup()
    r.guest.hangup()
    everybody = list(r.scene.stage.seats.values())
    for _ in range(300):
        again = await whose(everybody, r.scene.cli, 0.1)
        if again is not None and again not in (r.scene.first, r.guest) and again.t_answered is not None:
            await r.together(r.scene.caller, again)
            return
        await asyncio.sleep(0.02)
    raise Lost("nobody had the caller again")


async def last_words(r: Room) -> None:
    """The caller hangs up; the seats hear each other until one of them leaves."""
    if r.scene.rng.random() < 0.5:
        await r.aside(r.scene.first)
        await r.back(r.guest)
    r.scene.caller.hangup()
    await r.together(r.scene.first, r.guest)
    leaver, stays = r.scene.rng.sample([r.scene.first, r.guest], 2)
    leaver.hangup()
    await stays.wait_ended(3)


def _decides(code: str, own: bool | None) -> Story:
    async def story(r: Room) -> None:
        who, other = r.scene.rng.sample([r.scene.first, r.guest], 2)
        stays = r.scene.first if own is None else who if own else other
        goes = r.guest if stays is r.scene.first else r.scene.first
        pressed = await r.scene.press(code, who)
        await goes.wait_ended(3)
        await r.together(r.scene.caller, stays)
        await r.change(pressed, stays.phone.name)

    story.__doc__ = f"{code}: who accepts stays with the caller, the other is let go."
    return story


STORIES: dict[str, Story] = {
    "first-leaves": first_leaves, "guest-leaves": guest_leaves, "confer": confer,
    "leaves-while-conferring": leaves_while_conferring, "both-vanish": both_vanish, "last-words": last_words,
    "own-accepts": _decides("*71", True), "other-accepts": _decides("*72", False), "undecided": _decides("*73", None),
    "guidance": _decides("*74", True), **members.STORIES,
}  # fmt: skip


async def _open(stage: Stage, run: Run, rng: random.Random, phone: Phone, cli: str, call: Call, hotline: str) -> Room:
    firsts, targets = ([stage.seats[n] for n in side] for side in WAYS[hotline])
    first = await whose(firsts, cli, 8)
    if first is None or not await first.wait_answered(5):
        raise Lost("no seat answered")
    await call.wait_heard(first.phone.name, 5)
    await first.wait_heard(phone.name, 5)
    await asyncio.sleep(0.25)
    to = "110" if hotline == "12345" else "12345"
    scene = Scene(stage, rng, cli, call, first, targets, firsts, hotline=hotline, to=to)
    wrong = await scene.press("*3")  # no room yet: refused to the seat alone
    await first.wait_heard("music", 5, after=wrong)
    stays = rng.random() < 0.25
    await scene.press("*110" if stays and to == "110" else "*12345" if stays else "*0")
    guest = await scene.rings()
    if stays:
        await scene.press("*0")  # "stay with me"
    await asyncio.sleep(rng.uniform(0.2, 0.8))
    answered = time.monotonic()
    guest.answer()
    room = Room(scene, run, guest)
    await room.together()
    gap = call.heard().longest_without({first.phone.name, guest.phone.name}, answered, time.monotonic() - 0.05)
    run.swap_gap_ms = gap
    if gap - first.phone.media.lateness(answered, time.monotonic()) > JOIN_MS:
        run.faults.append(f"the caller heard nobody for {gap:.0f} ms as the third one joined")
    return room


async def one(stage: Stage, number: int, rng: random.Random, phone: Phone) -> Run:
    """One caller, one story, drawn by the seed; directions and stories in turn, so that each comes as often."""
    rounds, story = divmod(number, len(STORIES))
    hotline, name = list(WAYS)[(rounds + story) % 2], sorted(STORIES)[story]
    run = Run(number, story=f"{hotline} {name}")
    cli = f"136{number % 1000:03d}{rng.randrange(10**5):05d}"
    for firsts, targets in WAYS.values():
        for seat in (*firsts, *targets):
            stage.seats[seat].on_invite = Answer(FIRST_ANSWER_S) if seat in firsts else Ring()
    call = await phone.dial(hotline, caller_id=cli)
    room: Room | None = None
    try:
        room = await _open(stage, run, rng, phone, cli, call, hotline)
        await STORIES[name](room)
    except (Lost, TimeoutError) as why:
        run.faults.append(f"{name}: {str(why) or 'timed out waiting for somebody to be heard'}")
    if call.t_ended is not None and name != "last-words":
        run.faults.append("the caller was dropped")
    run.heard = str(call.heard())
    gap = run.swap_gap_ms
    if room is not None:
        no_silence(run, call, room.scene, time.monotonic())
        run.swap_gap_ms = gap
    call.hangup()
    for leg in [leg for seat in stage.seats.values() for leg in seat.calls if leg.caller.user == cli]:
        leg.hangup()
    facts = await on_record(stage, run, cli)
    if run.ref and await stage.wait_fact("ConferenceEnded", run.ref, LEDGER_S) is not None:
        facts = await stage.facts(run.ref)
    for kind, wanted in (("TransferEnded", 1), ("ConferenceDecided", 1), ("ConferenceEnded", 1)):
        found = [dict(f.data) for f in facts if f.kind == kind]
        if len(found) != wanted:
            run.faults.append(f"{len(found)} {kind} on record, {wanted} wanted: {found}")
    return run
