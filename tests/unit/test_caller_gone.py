"""A caller whose channel no longer exists and who never left by a step: Asterisk died. His records are closed."""

from __future__ import annotations

import asyncio

import pytest

from cti.ami.actions import AmiError, AmiTimeout
from cti.core import calls
from cti.core import events as e
from cti.core.commands import Record
from cti.core.model import Site
from cti.reconcile import Reconcile, started_at

from .playbook import REF, T1, Play, joined, started, talking, us

OTHER = REF.replace(".12", ".99")


def ended(play: Play) -> list[tuple[object, object]]:
    return [(r.data["outcome"], r.data["why"]) for r in play.records("TransferEnded")]


@pytest.mark.parametrize(("steps", "outcome"), [
    ([e.TransferRequested(REF, us(10), T1, "110", "1001")], ("abandoned", "channel-gone")),
    ([*started(10)], ("abandoned", "channel-gone")),
    ([*started(10), e.CallerWaits(REF, us(11), T1)], ("abandoned", "channel-gone")),
    ([*started(10), e.TargetAnswered(REF, us(11), T1, "8001", "110")], ("abandoned", "channel-gone")),
    ([*started(10), *joined(11)], ("answered", "channel-gone")),
])  # fmt: skip
def test_an_open_transfer_ends_with_the_channel(steps: list[e.Event], outcome: tuple[str, str]) -> None:
    play = Play()
    play(*talking(), *steps, e.CallerGone(REF, us(13)))
    assert ended(play) == [outcome]
    (call,) = play.records("CallEnded")
    assert (call.data["outcome"], call.data["why"]) == ("answered", "channel-gone")
    assert len(play.records("CallbackDue")) == (outcome[0] == "abandoned")


def test_one_who_waited_for_a_person_is_abandoned_and_called_back() -> None:
    play = Play()
    play(e.CallArrived(REF, 0, "12345", ""), e.CallerQueued(REF, us(0.2), "12345"), e.CallerGone(REF, us(9)))
    assert [r.data["outcome"] for r in play.records("CallEnded")] == ["abandoned"]
    assert len(play.records("CallbackDue")) == 1


def test_a_caller_who_left_by_himself_has_no_such_word_and_is_not_closed_twice() -> None:
    play = Play()
    play(*talking(), e.CallerLeft(REF, us(20)), e.CallerGone(REF, us(21)))
    (call,) = play.records("CallEnded")
    assert "why" not in call.data and not play.records("Anomaly")
    _, commands = calls.step(Site(), e.CallerGone(REF, us(21)))
    assert commands == [], "over and forgotten: nothing to say"


# -- who asks ----------------------------------------------------------------------------------------------------------
class Asterisk:
    """Answers CoreShowChannels and CoreStatus as the tests set it."""

    def __init__(self) -> None:
        self.channels: list[str] = []
        self.asked = 0
        self.status = {"CoreStartupDate": "2024-11-24", "CoreStartupTime": "00:00:20"}
        self.fault: AmiError | None = None

    async def list_action(self, name: str) -> list[dict[str, str]]:
        assert name == "CoreShowChannels"
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return [{"Event": "CoreShowChannel", "Uniqueid": one} for one in self.channels]

    async def action(self, name: str) -> dict[str, str]:
        assert name == "CoreStatus"
        return self.status


class Rig:
    def __init__(self) -> None:
        self.asterisk = Asterisk()
        self.play = Play()
        self.heard: list[tuple[e.Event, str]] = []
        self.waiting = 0
        self.during: list[e.Event] = []
        self.reconcile = Reconcile(self.asterisk, lambda: self.play.site, lambda: self.waiting, self.hear,
                                   lambda: us(1732406460), sure_s=0.02)  # fmt: skip

    def hear(self, event: e.Event, key: str) -> None:
        self.heard.append((event, key))
        self.play(event)


async def test_a_call_without_a_channel_is_closed_at_asterisks_start() -> None:
    rig = Rig()
    late = us(1732406400)
    rig.play(e.CallArrived(REF, late, "12345"), e.CallArrived(OTHER, late, "12345"))
    rig.asterisk.channels = [OTHER]
    assert await rig.reconcile.run_once() == 1
    assert rig.heard == [(e.CallerGone(REF, us(1732406421) - 1), f"gone/{REF}")]
    assert await rig.reconcile.run_once() == 0 and len(rig.heard) == 1
    assert [r.ref for r in rig.play.commands if isinstance(r, Record) and r.kind == "CallEnded"] == [REF]


async def test_a_call_whose_last_step_is_on_its_way_is_left_alone() -> None:
    rig = Rig()
    rig.play(e.CallArrived(REF, us(1732406400), "12345"))
    asking = asyncio.ensure_future(rig.reconcile.run_once())
    await asyncio.sleep(0.005)
    rig.play(e.CallerLeft(REF, us(1732406459)))
    assert await asking == 0 and rig.heard == []


async def test_a_channel_that_is_there_at_the_second_look_is_alive() -> None:
    rig = Rig()
    rig.play(e.CallArrived(REF, us(1732406400), "12345"))
    asking = asyncio.ensure_future(rig.reconcile.run_once())
    await asyncio.sleep(0.005)
    rig.asterisk.channels = [REF]
    assert await asking == 0 and rig.heard == [] and rig.asterisk.asked == 2


async def test_nobody_is_asked_while_steps_wait_or_nobody_calls() -> None:
    rig = Rig()
    assert await rig.reconcile.run_once() == 0 and rig.asterisk.asked == 0
    rig.play(e.CallArrived(REF, us(1732406400), "12345"))
    rig.waiting = 1
    assert await rig.reconcile.run_once() is None and rig.asterisk.asked == 0


async def test_an_asterisk_that_does_not_answer_closes_nothing() -> None:
    rig = Rig()
    rig.play(e.CallArrived(REF, us(1732406400), "12345"))
    rig.asterisk.fault = AmiTimeout("CoreShowChannels", 5)
    assert await rig.reconcile.run_once() is None and rig.heard == []


@pytest.mark.parametrize("waits", [False, True])
async def test_an_asterisk_restarted_between_two_looks_is_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    """Not at the next minute: its link was down for less than a look takes; nor when steps still wait just then."""
    monkeypatch.setattr("cti.reconcile.LOOK_S", 0.01)
    rig = Rig()
    rig.play(e.CallArrived(REF, us(1732406400), "12345"))
    rig.asterisk.channels = [REF]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(rig.reconcile.run(lambda: True))
        await asyncio.sleep(0.05)
        rig.asterisk.channels, rig.waiting = [], int(waits)
        assert rig.asterisk.asked == 1, "the next look is a minute away"
        rig.reconcile.link_up()
        await asyncio.sleep(0.05)
        rig.waiting = 0
        await asyncio.sleep(0.15)
        running.cancel()
    assert [key for _, key in rig.heard] == [f"gone/{REF}"]


@pytest.mark.parametrize("status", [{}, {"CoreStartupDate": "soon", "CoreStartupTime": "x"}])
def test_a_start_that_does_not_read_is_none(status: dict[str, str]) -> None:
    assert started_at(status) is None
    assert started_at({"CoreStartupDate": "2024-11-24", "CoreStartupTime": "00:00:20"}) == us(1732406421) - 1
