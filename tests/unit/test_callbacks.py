"""Callback tasks: the table row by row, stories, and a machine that plays any order of steps."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cti.core import asking, callbacks, tasks
from cti.core import events as e
from cti.core.answer_rate import EndedCall, answer_rate
from cti.core.commands import Command, DropPlace, Record
from cti.core.facts import Fact
from cti.core.model import CallbackState, Site
from cti.core.priority import WIDTH, Band
from cti.memory import Memory, fact_of, records
from cti.replay import replay_call

from .playbook import REF, Play, us

TALK = "530100-1732406500.30"


def asked(at: float = 20) -> list[e.Event]:
    """A caller who waited and chose to be called back."""
    return [
        e.CallArrived(REF, us(0), "12345", "13800001111"),
        e.CallerQueued(REF, us(0.1), "12345", 0),
        e.CallbackAsked(REF, us(at), "12345", 0),
        e.CallerLeft(REF, us(at + 3)),
    ]


def abandoned(at: float = 20) -> list[e.Event]:
    return [e.CallArrived(REF, us(0), "12345", "13800001111"), e.CallerQueued(REF, us(0.1), "12345", 0),
            e.CallerLeft(REF, us(at))]  # fmt: skip


def tried(at: float, why: str) -> list[e.Event]:
    return [e.CallbackTaken(REF, us(at), "1001", "12345"), e.CallbackDialled(REF, us(at + 1), "1001"),
            e.CallbackFailed(REF, us(at + 9), "1001", why)]  # fmt: skip


def met(at: float) -> list[e.Event]:
    return [e.CallbackTaken(REF, us(at), "1001", "12345"), e.CallbackDialled(REF, us(at + 1), "1001"),
            e.CallArrived(TALK, us(at + 5), "12345", "13800001111", REF),
            e.CallbackAnswered(REF, us(at + 5), TALK, "1001"),
            e.SeatAnswered(TALK, us(at + 5), "1001", "12345", "callback"),
            e.CallbackOver(REF, us(at + 60), TALK), e.CallerLeft(TALK, us(at + 60))]  # fmt: skip


def test_every_pair_is_decided() -> None:
    for state in CallbackState:
        assert set(callbacks.TABLE[state]) == set(e.CALLBACK_EVENTS), state


def test_he_asks_and_is_called_back_at_his_turn() -> None:
    play = Play()
    play(*asked())
    assert play.records("CallEnded")[0].data["outcome"] == "callback"
    assert [r.data["why"] for r in play.records("CallbackDue")] == ["asked"]
    assert play.site.callbacks[REF].state is CallbackState.PLACED
    play(*met(100), e.CallbackPlaceOver(REF, us(100.5)))
    (ended,) = play.records("CallbackEnded")
    assert (ended.data["result"], ended.data["attempts"], ended.data["call"]) == ("answered", 1, TALK)
    assert ended.data["first_try_ms"] == 81_000
    assert not play.records("Anomaly")


def test_a_callback_is_never_counted_as_answered() -> None:
    play = Play()
    play(*asked(), *met(100))
    ended = [EndedCall(int(r.data["arrived_at"]), str(r.data["hotline"]), str(r.data["outcome"]))
             for r in play.records("CallEnded")]  # fmt: skip
    assert sorted(c.outcome for c in ended) == ["callback", "called-back"]
    rate = answer_rate(ended, 0, us(1000))
    assert (rate.answered, rate.offered, rate.text) == (0, 1, "0.00 %")


def test_a_place_nobody_came_for_is_a_task_in_the_list() -> None:
    play = Play()
    play(*asked(), e.CallbackPlaceOver(REF, us(3620), "TIMEOUT"))
    assert play.site.callbacks[REF].state is CallbackState.DUE


@pytest.mark.parametrize(("why", "result"), [("busy", "busy"), ("noanswer", "no-answer"), ("congested", "unreachable")])
def test_three_attempts_and_it_ends_with_the_last_reason(why: str, result: str) -> None:
    play = Play()
    play(*abandoned())
    for n in range(3):
        assert not play.records("CallbackEnded")
        play(*tried(100 * (n + 1), why))
    play(e.ClockTicked("", us(400)))
    (ended,) = play.records("CallbackEnded")
    assert (ended.data["result"], ended.data["attempts"], ended.at) == (result, 3, us(309))


def test_a_number_that_is_none_ends_it_at_once_and_a_seat_that_hangs_up_is_no_attempt() -> None:
    play = Play()
    play(*abandoned(), *tried(100, "seat-left"))
    assert play.site.callbacks[REF].attempts == 0
    play(*tried(200, "no-number"), e.ClockTicked("", us(300)))
    assert play.records("CallbackEnded")[0].data["result"] == "wrong-number"


def test_a_persons_word_ends_it_and_the_stand_in_leaves() -> None:
    play = Play()
    play(*asked())
    said = asking.say_callback(play.site, REF, "", "withdrawn", "", us(30))
    assert isinstance(said, e.CallbackSaid)
    assert any(isinstance(c, DropPlace) for c in play(said))
    assert asking.say_callback(play.site, REF, "", "answered", "", us(31)) == asking.No("callback-ended")


def test_who_may_take_a_task() -> None:
    play = Play()
    assert asking.take_callback(play.site, REF, "1001", 0) == asking.No("unknown-callback")
    play(*abandoned())
    taken = asking.take_callback(play.site, REF, "1001", us(30))
    assert isinstance(taken, e.CallbackTaken)
    play(taken)
    assert asking.take_callback(play.site, REF, "1002", us(31)) == asking.No("callback-taken")
    assert asking.say_callback(play.site, REF, "1002", "answered", "", us(31)) == asking.No("callback-taken")
    play(e.ClockTicked("", us(200)))
    assert play.site.callbacks[REF].state is CallbackState.DUE, "its phone was never picked up"


def test_an_emergency_is_first_in_the_list_and_nobody_is_forgotten_in_silence() -> None:
    play = Play()
    play(e.CallArrived(REF, us(1), "110", "1"), e.CallerQueued(REF, us(1), "110", 10), e.CallerLeft(REF, us(5)))
    assert play.site.callbacks[REF].priority == "high"
    play(e.ClockTicked("", us(5) + callbacks.LIFE_US))
    assert play.records("CallbackEnded")[0].data["result"] == "expired"
    play(e.ClockTicked("", us(5) + callbacks.LIFE_US + tasks.KEEP_US + 1))
    assert play.site == Site()


def test_the_bands_are_in_order_and_no_hotlines_priority_leaves_its_band() -> None:
    assert Band.DANGER > Band.RECALL > Band.TRANSFERRED > Band.ROUTINE
    assert WIDTH > 100


class Tasks(RuleBasedStateMachine):
    """Steps of one task in any order, told twice, with the clock looked at whenever."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.now = Memory(), us(50)
        self.commands: list[Command] = []
        self.facts: list[Fact] = []
        for event in asked():
            self.tell(event)

    def tell(self, event: e.Event) -> None:
        """Of a task that was over for an hour there is nothing to tell."""
        if self.facts and REF not in {**self.memory.site.callbacks, **self.memory.site.calls}:
            return
        self.facts.append(Fact(type(event).__name__, event.at, event.ref, e.values_of(event), "live", str(event)))
        made = self.memory.step(event, self.now)
        self.commands += made
        self.facts += [fact_of(r, "live") for r in records(made) if self.memory.first_time(r.key)]

    @rule(kind=st.sampled_from(e.CALLBACK_EVENTS), why=st.sampled_from(["busy", "noanswer", "no-number", "seat-left"]),
          result=st.sampled_from(callbacks.SAYABLE), later=st.integers(1, 400))  # fmt: skip
    def anything(self, kind: type[e.Event], why: str, result: str, later: int) -> None:
        self.now += later * 100_000
        values = {"seat": "1001", "why": why, "result": result, "call": TALK, "queue": "12345"}
        self.tell(e.make(kind.__name__, REF, self.now, values))

    @rule(later=st.integers(1, 4000))
    def the_clock_is_looked_at(self, later: int) -> None:
        self.now += later * 1_000_000
        made = self.memory.tick(self.now)
        self.commands += made
        self.facts += [fact_of(r, "live") for r in records(made) if self.memory.first_time(r.key)]

    @invariant()
    def ended_at_most_once(self) -> None:
        kinds = Counter(c.kind for c in self.commands if isinstance(c, Record))
        assert kinds["CallbackEnded"] <= 1 and kinds["CallbackDue"] == 1
        for task in self.memory.site.callbacks.values():
            assert (task.state is CallbackState.ENDED) == bool(task.result) and task.attempts >= 0

    def teardown(self) -> None:
        self.now += callbacks.LIFE_US + callbacks.TALKING_US + 2 * tasks.KEEP_US
        for _ in range(2):
            made = self.memory.tick(self.now)
            self.commands += made
            self.facts += [fact_of(r, "live") for r in records(made) if self.memory.first_time(r.key)]
            self.now += 2 * tasks.KEEP_US
        assert Counter(c.kind for c in self.commands if isinstance(c, Record))["CallbackEnded"] == 1
        assert not self.memory.site.callbacks and not self.memory.site.calls
        assert replay_call(self.facts) == []


Tasks.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestTasks = Tasks.TestCase
