"""The lamps of a seat's keys (BLF): a colleague's, a platform's; the key below the lamp; no lamp for a trunk."""

from __future__ import annotations

import pytest

from cti.dialtest.blf import Lamp, SubscriptionRefused
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage
from tests.real.story import CLI, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real


def shown(lamp: Lamp) -> list[str]:
    """What it showed, one after the other, without repeats."""
    said = [state for _, state in lamp.states]
    return [state for before, state in zip(["", *said], said, strict=False) if state != before]


async def test_a_colleagues_lamp_flashes_is_lit_and_goes_dark(on: Stage) -> None:
    lamps = {number: await on.seats["1901"].subscribe(number) for number in ("1001", "1002")}
    for lamp in lamps.values():
        await lamp.wait("terminated")
    call = await on.callers[0].dial("12345", caller_id=CLI)
    seat = await whose([on.seats["1001"], on.seats["1002"]], CLI, 5)
    assert seat is not None and seat.t_ringing is not None
    lamp = lamps.pop(seat.phone.user)
    flashes = await lamp.wait("early")
    seat.answer()
    lit = await lamp.wait("confirmed")
    assert seat.t_answered is not None and flashes < seat.t_answered < lit
    call.hangup()
    dark = await lamp.wait("terminated", after=lit)
    assert call.t_ended is not None and dark > call.t_ended
    assert shown(lamp) == ["terminated", "early", "confirmed", "terminated"]
    assert [shown(other) for other in lamps.values()] == [["terminated"]], "a colleague who was not rung"
    print(f"flash {1e3 * (flashes - seat.t_ringing):+.0f}, lit {1e3 * (lit - seat.t_answered):+.0f}, "
          f"dark {1e3 * (dark - call.t_ended):+.0f} ms")  # fmt: skip


async def test_a_platforms_lamp_is_lit_while_none_of_its_dedicated_seats_is_free(on: Stage) -> None:
    """8003, whose phone is not there, counts for nothing."""
    lamp = await on.seats["1001"].subscribe("110")
    free = await lamp.wait("terminated")
    first = await on.seats["8001"].dial("600")
    assert await first.wait_answered(5)
    second = await on.seats["8002"].dial("600")
    assert await second.wait_answered(5)
    lit = await lamp.wait("confirmed", after=free)
    assert second.t_invite is not None and lit > second.t_invite, "lit while 8002 was free"
    first.hangup()
    dark = await lamp.wait("terminated", after=lit)
    assert first.t_ended is not None and dark > first.t_ended
    await on.seats["8001"].stop()
    gone = await lamp.wait("confirmed", after=dark)
    print(f"lit {1e3 * (lit - second.t_invite):+.0f}, dark {1e3 * (dark - first.t_ended):+.0f} ms")
    second.hangup()
    await lamp.wait("terminated", after=gone)


async def test_the_key_below_the_lamp_rings_a_dedicated_seat_and_moves_the_caller(on: Stage) -> None:
    call, seat = await talking(on)
    lamp = await seat.phone.subscribe("110")
    other = await on.seats["8002"].dial("600")
    assert await other.wait_answered(5)
    free = await lamp.wait("terminated")
    second = await seat.phone.dial(lamp.number)
    target = await ringing_at_110(on)
    assert target.phone.user == "8001"
    lit = await lamp.wait("confirmed", after=free)  # the last free seat is rung: one more key would find nobody
    target.answer()
    await call.wait_heard("8001", 3)
    await seat.wait_ended(3)
    await second.wait_ended(5)
    assert lamp.state == "confirmed"
    call.hangup()
    await lamp.wait("terminated", after=lit)
    other.hangup()
    facts = await ended(on)
    assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["dial"]
    assert outcomes(facts) == [("answered", "")]


@pytest.mark.parametrize("number", ["1001", "110"])
async def test_an_outside_trunk_sees_no_lamp(on: Stage, number: str) -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        await on.callers[0].subscribe(number)
    assert refused.value.status == 603  # 404 would be: allowed, but nothing there
    await on.seats["1002"].subscribe(number)


async def test_a_number_without_a_lamp_is_told_so(on: Stage) -> None:
    with pytest.raises(SubscriptionRefused) as refused:
        await on.seats["1001"].subscribe("9999")
    assert refused.value.status == 404
