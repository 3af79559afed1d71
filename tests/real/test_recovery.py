"""The service killed at any instant of a transfer, Redis away or not: one record of the call and one of the transfer,
and both say what the callers heard."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest
import redis.asyncio as aioredis

from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.stack import Stage
from cti.stack.supervise import Child
from tests.real.story import CLI, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real


async def kill(child: Child) -> None:
    child.kill(signal.SIGKILL)
    await child.wait()


async def judged(on: Stage, outcome: tuple[str, str], call: str = "answered") -> list[Fact]:
    """The facts of the one call, whose records are each there once and say this."""
    facts: list[Fact] = []
    for _ in range(200):
        facts = await on.facts()
        kinds = Counter(f.kind for f in facts)
        if kinds["CallEnded"] and kinds["TransferEnded"]:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)  # whatever would be told twice has been told by now
    facts = await on.facts()
    assert outcomes(facts) == [outcome]
    assert [f.data["outcome"] for f in facts if f.kind == "CallEnded"] == [call]
    assert [f.data["caller"] for f in facts if f.kind == "CallArrived"] == [CLI]
    doubled = [key for key, n in Counter(f.key for f in facts).items() if n > 1]
    assert not doubled and not [f.data for f in facts if f.kind == "Anomaly"]
    return facts


async def pressed(on: Stage) -> tuple[Call, Call]:
    """A caller talking to a seat that has pressed its key; 110 rings."""
    call, seat = await talking(on)
    await seat.dtmf("*110")
    return call, await ringing_at_110(on)


async def checkpoint_passes(on: Stage) -> None:
    """Until the kept place in Asterisk's file is behind all it holds now (the checkpoint lags 15 s and more)."""
    size = on.instance.place.cel_file.stat().st_size
    client = aioredis.Redis(host="127.0.0.1", port=on.instance.ports.redis)
    try:
        for _ in range(500):
            value: Any = await client.hget(f"cti:{{{on.instance.site}}}:checkpoint", "cel")
            if value is not None and int(value.split()[1].split(b"@")[0]) >= size:
                return
            await asyncio.sleep(0.1)
    finally:
        await client.aclose()
    raise AssertionError("no checkpoint was kept")


async def test_killed_while_it_rings_and_the_caller_gives_up(on: Stage) -> None:
    call, _target = await pressed(on)
    service = on.instance.children["cti"]
    await kill(service)
    call.hangup()
    await asyncio.sleep(0.3)
    await service.restart()
    facts = await judged(on, ("abandoned", "caller-left"))
    assert [f.data["why"] for f in facts if f.kind == "CallbackDue"] == ["transfer"]


async def test_killed_right_after_the_join_and_back_while_they_talk(on: Stage) -> None:
    call, target = await pressed(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    service = on.instance.children["cti"]
    await kill(service)
    await service.restart()
    await asyncio.sleep(7)  # the target stayed: settled by the clock, with no step to tell
    assert outcomes(await on.facts()) == [("answered", "")]
    call.hangup()
    await judged(on, ("answered", ""))


async def test_killed_after_the_join_and_the_target_vanishes_while_it_is_away(on: Stage) -> None:
    """Back after the deadline: the clock would say answered, Asterisk's file says returned."""
    call, target = await pressed(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    service = on.instance.children["cti"]
    await kill(service)
    target.hangup()
    await asyncio.sleep(8)
    await service.restart()
    assert call.t_ended is None
    call.hangup()
    await judged(on, ("returned", "vanished"))


async def test_killed_and_back_with_redis_away_then_redis_returns(on: Stage) -> None:
    """The checkpoint is too late for an empty state: the day is read from Asterisk's file; Redis' own share joins it
    later and nothing doubles."""
    call, seat = await talking(on)
    await checkpoint_passes(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    service, valkey = on.instance.children["cti"], on.instance.children["valkey"]
    await kill(service)
    await kill(valkey)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    bringing = asyncio.ensure_future(service.restart())  # ready only when Redis answers
    await asyncio.sleep(12)
    call.hangup()
    await asyncio.sleep(1)
    await valkey.restart()
    await bringing
    await judged(on, ("answered", ""))


async def test_redis_gone_first_then_the_service_killed_twice(on: Stage) -> None:
    """What stands in the spool, what stands in the file and what stands in Redis are one history."""
    service, valkey = on.instance.children["cti"], on.instance.children["valkey"]
    call, seat = await talking(on)
    await kill(valkey)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await asyncio.sleep(0.5)
    await kill(service)
    await seat.dtmf("*9")
    await target.wait_ended(3)
    bringing = asyncio.ensure_future(service.restart())
    await asyncio.sleep(12.5)
    service.kill(signal.SIGKILL)  # again, in the midst of coming up without Redis
    with pytest.raises(Exception, match="before it was ready"):
        await bringing
    await valkey.restart()
    await service.restart()
    call.hangup()
    await judged(on, ("cancelled", ""))


async def test_killed_at_the_very_end(on: Stage) -> None:
    """Whichever of its steps were on record: the file has the rest, and nothing is told twice."""
    call, target = await pressed(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await asyncio.sleep(0.3)
    service = on.instance.children["cti"]
    call.hangup()
    await kill(service)
    await asyncio.sleep(0.5)
    await service.restart()
    await judged(on, ("answered", ""))


async def test_asterisk_dies_in_the_middle_of_a_transfer(on: Stage) -> None:
    """No step tells of the end: the channels of the new Asterisk do."""
    _call, _target = await pressed(on)
    asterisk = on.instance.children["asterisk"]
    inode = on.instance.place.cel_file.stat().st_ino
    await kill(asterisk)
    await asterisk.restart()
    facts = await judged(on, ("abandoned", "channel-gone"))
    assert [f.data["why"] for f in facts if f.kind == "CallEnded"] == ["channel-gone"]
    assert [f.data["why"] for f in facts if f.kind == "CallbackDue"] == ["transfer"]
    assert on.instance.place.cel_file.stat().st_ino == inode


async def test_both_die_and_come_back(on: Stage) -> None:
    _call, _seat = await talking(on)
    service, asterisk = on.instance.children["cti"], on.instance.children["asterisk"]
    await kill(service)
    await kill(asterisk)
    await asterisk.restart()
    await service.restart()
    (ended,) = [f for f in await closed(on) if f.kind == "CallEnded"]
    assert (ended.data["outcome"], ended.data["why"]) == ("answered", "channel-gone")
    assert 0 <= int(str(ended.data["talk_ms"])) < 60_000


async def closed(on: Stage) -> list[Fact]:
    """All facts, once the call is on record as ended."""
    for _ in range(150):
        facts = await on.facts()
        if any(f.kind == "CallEnded" for f in facts):
            return facts
        await asyncio.sleep(0.1)
    raise AssertionError("the call was never closed")
