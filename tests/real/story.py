"""What the stories of tests/real have in common: a caller with a seat, and the waits in between."""

from __future__ import annotations

import asyncio

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage

CLI = "13900001234"


async def talking(on: Stage, *, hotline: str = "12345", cli: str = CLI, caller: int = 0) -> tuple[Call, Call]:
    """A caller of a hotline and the seat that answered him, hearing each other."""
    seats = [phone for number, phone in on.seats.items() if number.startswith("10")]
    for phone in seats:
        phone.on_invite = Answer(0.1)
    call = await on.callers[caller].dial(hotline, caller_id=cli)
    seat = await whose(seats, cli, 5)
    assert seat is not None, "no seat rang"
    assert await seat.wait_answered(5)
    await call.wait_heard(seat.phone.name, 3)
    await seat.wait_heard(on.callers[caller].name, 3)
    return call, seat


async def ringing_at_110(on: Stage, cli: str = CLI) -> Call:
    """The dedicated 110 seat that rings for this caller."""
    target = await whose([on.seats[n] for n in ("8001", "8002") if n in on.seats], cli, 3)
    assert target is not None, "no 110 seat rang"
    return target


def data_of(target: Call) -> dict[str, str]:
    """What the phone's screen was told in its INVITE: `X-Hotline: call=…; transfer=…; …`."""
    pairs = (pair.partition("=") for pair in target.invite.headers.get("X-Hotline").split("; "))
    return {name: value for name, _, value in pairs}


async def ended(on: Stage, cli: str = CLI) -> list[Fact]:
    """All facts of the caller's call once it is on record as ended."""
    arrived: list[Fact] = []
    for _ in range(150):  # a service that was just started is still reading what it missed
        arrived = [f for f in await on.facts() if f.kind == "CallArrived" and f.data["caller"] == cli]
        if arrived:
            break
        await asyncio.sleep(0.1)
    assert len(arrived) == 1
    assert await on.wait_fact("CallEnded", arrived[0].ref) is not None
    return await on.facts(arrived[0].ref)


def outcomes(facts: list[Fact]) -> list[tuple[object, object]]:
    """(outcome, why) of each terminal record of a transfer."""
    return [(f.data["outcome"], f.data["why"]) for f in facts if f.kind == "TransferEnded"]
