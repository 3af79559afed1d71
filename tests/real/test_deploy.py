"""A dialplan is put into service and taken back while people talk: no call is lost, whatever it is worth, and it is on
record."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import time
from pathlib import Path

import pytest

from cti.cli.dialplan_deploy import Site, carry_out
from cti.dialplan.running import NotDeployed
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.stack import Stage, stage
from cti.directory import load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real

GAP_MS = 120.0
TALKS = 3


async def talks(on: Stage) -> list[tuple[Call, Call]]:
    """Callers, each with a seat of his own."""
    made = []
    for n, caller in enumerate(on.callers[:TALKS]):
        call = await caller.dial("12345", caller_id=f"1390000000{n}")
        found: list[Call] = []
        for _ in range(200):
            found = [c for p in on.seats.values() for c in p.calls if c.t_answered and not c.t_ended
                     and c.caller.user == f"1390000000{n}"]  # fmt: skip
            if found:
                break
            await asyncio.sleep(0.02)
        await call.wait_heard(found[0].phone.name, 3)
        made.append((call, found[0]))
    return made


def unharmed(pairs: list[tuple[Call, Call]], since: float) -> None:
    """Nobody missed more than a packet or two of anybody."""
    for call, seat in pairs:
        for one, other in ((call, seat), (seat, call)):
            assert one.t_ended is None, "a call was lost"
            gap = one.gap({other.phone.name}, since, time.monotonic() - 0.1)
            assert gap.net_ms <= GAP_MS, f"{one.phone.name} missed {other.phone.name} for {gap}"


async def test_good_refused_and_taken_back_while_people_talk(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    config = folder("config")
    directory = load_directory(config, dt.date.today())
    plan = tmp_path / "dialplan"
    shutil.copytree(folder("dialplan"), plan, ignore=shutil.ignore_patterns("stories"))
    async with (
        Instance(runtime_root, tmp_path / "state", directory, config, plan) as instance,
        stage(instance, seats=["1001", "1002", "1003", "8001"], callers=TALKS + 1) as on,
    ):
        for phone in on.seats.values():
            phone.on_invite = Answer(0.05)
        site = Site(instance, on, runtime_root, directory, config)

        def edit(name: str, old: str, new: str) -> None:
            path = plan / name
            text = path.read_text(encoding="utf-8")
            assert old in text
            path.write_text(text.replace(old, new), encoding="utf-8")

        pairs, since = await talks(on), time.monotonic()
        assert (await carry_out(site, plan, None)).outcome == "unchanged"

        said = " same => n,Playback(${SOUNDS}/goodbye)"
        edit("lobby.conf", said, f" same => n,NoOp(new)\n{said}")
        done = await carry_out(site, plan, None)
        assert (done.outcome, done.files) == ("deployed", ("lobby.conf",)), done.why
        unharmed(pairs, since)
        assert any(line.startswith("[goodbye]") and "NoOp(new)" in line for line in await site.running.show())

        # the second line of a seat that talks still knows its call, which a reload would have forgotten
        second = await on.seats["1001"].dial("110")
        with_1001 = next(call for call, seat in pairs if seat.phone is on.seats["1001"])
        await with_1001.wait_heard("8001", 5)
        second.hangup()
        pairs = [pair for pair in pairs if pair[0] is not with_1001]

        # what Asterisk does not take is refused, and nothing was touched
        edit("lobby.conf", "NoOp(new)", "NoOp(new)\n[broken\nsame => n,(")
        before, since = site.running.files(["lobby.conf"]), time.monotonic()
        with pytest.raises(NotDeployed, match=r"lobby\.conf:\d+"):
            await carry_out(site, plan, None)
        with pytest.raises(NotDeployed, match="no closing"):
            await carry_out(site, plan, None, checked=False)
        assert site.running.files(["lobby.conf"]) == before
        edit("lobby.conf", "\n[broken\nsame => n,(", "")

        # what Asterisk takes and the probe call does not come through is taken back
        edit("trunk.conf.j2", "exten => unknown,1,CELGenUserEvent(NumberUnknown,{})", "exten => unknown,1,Wait(9)")
        done = await carry_out(site, plan, None, checked=False)
        assert done.outcome == "rolled-back" and "试拨" in done.why, done
        assert not any("unknown 1. Wait(9)" in line for line in await site.running.show())
        unharmed(pairs, since)

        late = await on.callers[TALKS].dial("12345", caller_id="13900000009")
        assert await late.wait_answered(3)
        facts = [f for f in await on.facts() if f.kind.startswith("Dialplan")]
        assert [f.kind for f in facts] == ["DialplanDeployed", "DialplanRolledBack"]
        assert facts[1].data["before"] == facts[0].data["after"] == done.before
        for phone in (*on.callers, *on.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []
