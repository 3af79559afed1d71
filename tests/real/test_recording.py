"""A call is recorded from its first answer to its end, wherever the caller goes; private words are recorded apart; and
nothing of it ever costs a call."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import signal
import time
import wave
from collections.abc import Callable

import aiohttp
import pytest

from cti.core.facts import Fact
from cti.dialtest import media
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage
from tests.real.recordings import SAID_S, indexed, phones, place, settled, swapped
from tests.real.room import CHANGE_MS, all_hear, hears, together
from tests.real.sound import FRAME_MS, frames, long_parts
from tests.real.story import CLI, data_of, ringing_at_110, talking
from tests.real.test_api import Client

pytestmark = pytest.mark.real


async def test_it_goes_on_after_the_swap_with_the_other_side(on: Stage) -> None:
    call, seat = await talking(on)
    await asyncio.sleep(SAID_S)
    target = await swapped(on, call, seat)
    assert data_of(target)["recording"] == data_of(target)["call"], "the set's id rides with the voice"
    await asyncio.sleep(SAID_S)
    call.hangup()
    facts = await settled(on)
    fact = indexed(facts)
    heard = frames(place(on, fact), phones(on))
    caller, first, second = call.phone.name, seat.phone.name, target.phone.name
    assert long_parts(heard)[0] == {caller, first} and long_parts(heard)[-1] == {caller, second}
    swap = next(i for i, who in enumerate(heard) if second in who)
    assert not any(first in who for who in heard[swap + 2 :]), "released, and not heard again"
    raw = place(on, fact).read_bytes()
    assert (fact.data["size"], fact.data["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    begun, over = (next(f for f in facts if f.kind == kind).at for kind in ("SeatAnswered", "CallerLeft"))
    assert abs(int(str(fact.data["ms"])) - (over - begun) / 1000) < 300, "from the first answer to the end, no pause"
    assert int(str(fact.data["keep_until"])) - int(str(fact.data["since"])) == 180 * 86_400_000_000


async def test_it_goes_on_through_the_lobby(on: Stage) -> None:
    """The seat leaves at once: the caller's wait in music is in it, and then the police seat."""
    call, seat = await talking(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await seat.dtmf("*110")
    await seat.wait_ended(3)
    await hears(call, "music")
    await asyncio.sleep(SAID_S)
    target.answer()
    await hears(call, target.phone.name)
    await asyncio.sleep(SAID_S)
    call.hangup()
    parts = long_parts(frames(place(on, indexed(await settled(on))), phones(on)))
    assert parts[-2:] == [{call.phone.name, "music"}, {call.phone.name, target.phone.name}]


@pytest.fixture(params=[-700, 700])
def numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream's RTP numbers begin lower than the last one's, or higher. Asterisk's recorder takes lower ones for
    packets out of order."""
    count = itertools.count(20_000, request.param)
    monkeypatch.setattr(media, "first_seq", lambda: next(count))


async def test_the_next_seat_of_a_caller_who_was_dropped_is_in_it(on: Stage, numbers: None) -> None:
    """Hung up within 2 s of answering: he goes to the front of the line, and whoever has him then is recorded."""
    firsts = [on.seats["1001"], on.seats["1002"]]
    for phone in firsts:
        phone.on_invite = Answer(0.1, hang_up_after=0.8)
    call = await on.callers[0].dial("12345", caller_id=CLI)
    first = await whose(firsts, CLI, 5)
    assert first is not None
    for phone in firsts:
        phone.on_invite = Answer(0.1)
    await first.wait_ended(3)
    again = None
    for _ in range(200):
        again = next((c for p in firsts for c in p.calls if c.t_answered and not c.t_ended), None)
        if again is not None:
            break
        await asyncio.sleep(0.05)
    assert again is not None, "he was not rung again"
    await hears(call, again.phone.name)
    await asyncio.sleep(SAID_S)
    call.hangup()
    parts = long_parts(frames(place(on, indexed(await settled(on))), phones(on)))
    assert parts[-1] == {call.phone.name, again.phone.name}, parts


async def test_a_recalled_caller_goes_on_in_the_same_file(on: Stage, numbers: None) -> None:
    """The seat that had him rings again (a pause, not in it) and has him again."""
    call, seat = await talking(on)
    await asyncio.sleep(SAID_S)
    target = await swapped(on, call, seat)
    await asyncio.sleep(SAID_S)
    target.hangup()  # within 5 s: vanished, so the seat is rung back
    again = None
    for _ in range(100):
        again = next((c for c in seat.phone.calls if c is not seat and c.t_ended is None), None)
        if again is not None:
            break
        await asyncio.sleep(0.05)
    assert again is not None
    await hears(call, seat.phone.name)
    await asyncio.sleep(SAID_S)
    call.hangup()
    parts = long_parts(frames(place(on, indexed(await settled(on))), phones(on)))
    both = frozenset({call.phone.name, seat.phone.name})
    assert parts[0] == both and {call.phone.name, target.phone.name} in parts and both in parts[2:]


async def private(on: Stage, who: Callable[[Call, Call], Call]) -> tuple[Call, Call, Call]:
    """Three together, the seats confer and come back."""
    call, seat, police = await together(on)
    await asyncio.sleep(SAID_S)
    key = who(seat, police)
    await key.dtmf("*3")
    await hears(call, "music")
    await hears(seat, police.phone.name)
    await hears(police, seat.phone.name)
    await asyncio.sleep(SAID_S)
    back = await key.dtmf("*3")
    await all_hear(call, seat, police)
    await asyncio.sleep(SAID_S)
    for one, others in ((call, (seat, police)), (seat, (call, police)), (police, (call, seat))):
        gap = one.heard().longest_without({o.phone.name for o in others}, back + 0.35, time.monotonic() - 0.1)
        assert gap <= CHANGE_MS, f"{one.phone.name}: {gap} ms"
    return call, seat, police


def judge_private(on: Stage, facts: list[Fact], call: Call, seat: Call, police: Call) -> None:
    caller, one, two = call.phone.name, seat.phone.name, police.phone.name
    main = frames(place(on, indexed(facts)), phones(on))
    assert long_parts(main)[-3:] == [{caller, one, two}, {caller, "music"}, {caller, one, two}]
    # One unbroken stretch of music with no seat in it. A frame beside it may look like music: a key or swap.
    stretches = [list(run) for music, run in itertools.groupby(main, lambda who: "music" in who) if music]
    quiet = max(stretches, key=len)
    assert len(quiet) * FRAME_MS >= SAID_S * 1000, [len(stretch) for stretch in stretches]
    assert not any({one, two} & who for who in quiet[2:-2]), "a private word in the caller's file"
    assert sum(map(len, stretches)) - len(quiet) <= 5, [len(stretch) for stretch in stretches]
    fact = indexed(facts, "private")
    heard = frames(place(on, fact), phones(on))
    assert {one, two} in long_parts(heard) and not any(caller in who for who in heard[5:-5])
    assert str(fact.data["file"]).endswith("-private-1.wav") and fact.data["transfer"]
    aside, told = (next(f for f in facts if f.kind == kind).at for kind in ("CallerSetAside", "CallerBroughtBack"))
    assert abs(int(str(fact.data["ms"])) - (told - aside) / 1000) < 150


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_private_words_are_recorded_apart_and_never_with_the_callers(on: Stage, who: str) -> None:
    call, seat, police = await private(on, lambda s, p: s if who == "seat" else p)
    call.hangup()
    facts = await settled(on, 2)
    judge_private(on, facts, call, seat, police)


async def test_each_conferring_has_its_own_file_also_when_asked_by_api(on: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        call, seat, police = await together(on)
        (started,) = [f for f in await on.facts() if f.kind == "TransferStarted"]
        for _ in range(2):
            for _ in range(2):
                path = f"/conferences/{started.data['transfer']}/confer"
                assert (await api.post(path, police.phone.user, {}))[0] == 202
                await asyncio.sleep(SAID_S)
        await all_hear(call, seat, police)
        call.hangup()
        facts = await settled(on, 3)
    files = sorted(str(f.data["file"]) for f in facts if f.kind == "RecordingIndexed" and f.data["part"] == "private")
    assert [file[-14:] for file in files] == ["-private-1.wav", "-private-2.wav"]
    for file in files:
        heard = frames(on.instance.recording.path / file, phones(on))
        assert {seat.phone.name, police.phone.name} in long_parts(heard)


async def test_words_after_the_caller_has_hung_up_are_not_recorded(on: Stage) -> None:
    call, seat, police = await together(on)
    await asyncio.sleep(SAID_S)
    call.hangup()
    await all_hear(seat, police)
    await asyncio.sleep(2)
    seat.hangup()
    police.hangup()
    heard = frames(place(on, indexed(await settled(on))), phones(on))
    assert long_parts(heard)[-1] == {call.phone.name, seat.phone.name, police.phone.name}
    assert all(call.phone.name in who for who in heard[-10:-2])


async def test_it_works_with_the_service_dead_and_is_indexed_when_it_is_back(on: Stage) -> None:
    service = on.instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    call, seat, police = await private(on, lambda s, _: s)
    call.hangup()
    await asyncio.sleep(0.5)
    await service.restart()
    facts = await settled(on, 2)
    judge_private(on, facts, call, seat, police)
    assert {f.source for f in facts if f.kind == "RecordingStarted"} == {"cel"}
    service.kill(signal.SIGKILL)
    await service.wait()
    await service.restart()
    await asyncio.sleep(4)
    assert len([f for f in await on.facts(facts[0].ref) if f.kind == "RecordingIndexed"]) == 2, "once, for ever"


async def test_asterisk_dies_and_what_was_recorded_plays(on: Stage) -> None:
    """All but the last 32 KiB, which Asterisk had not yet given to the disk."""
    call, _seat = await talking(on)
    (arrived,) = [f for f in await on.facts() if f.kind == "CallArrived"]
    started = await on.wait_fact("RecordingStarted", arrived.ref, 3)
    assert started is not None
    for _ in range(100):
        if place(on, started).stat().st_size > 32_000:
            break
        await asyncio.sleep(0.1)
    asterisk = on.instance.children["asterisk"]
    asterisk.kill(signal.SIGKILL)
    await asterisk.wait()
    await asterisk.restart()
    assert await on.wait_fact("CallEnded", arrived.ref, 20)
    fact = indexed(await settled(on))
    assert int(str(fact.data["ms"])) > 1000
    with wave.open(str(place(on, fact))) as file:
        assert file.getnframes() / 8 == pytest.approx(int(str(fact.data["ms"])), abs=20)
    assert call.t_ended is None, "nobody could tell the phone"
