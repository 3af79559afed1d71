"""Emergency plans: the duty phone's table, what runs ask for together, and any order of starts, steps and stops."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cti.core import calls, duty, plan_desk, plans
from cti.core import events as e
from cti.core.asking import No
from cti.core.commands import Command, DropDuty, Record
from cti.core.facts import Fact
from cti.core.model import Site
from cti.core.plan_model import DUTY_ENDED, Contact, DutyPhone, DutyState, Lent, Spec
from cti.memory import Memory, fact_of, records

from .playbook import Play, us

DESK = DutyPhone("水务", (Contact("111", 20, "pstn"), Contact("222", 20, "pstn")))
FLOOD = Spec("防汛", {"12345": "said-a"}, ("119", "120"), ("777",), (Lent("530100", 2, 60),), (DESK,), "said-n", 2, 30,
             ("110",))  # fmt: skip
QUAKE = Spec("地震", {"12345": "said-b"}, ("119",), ("888",))


def begin(play: Play, plan: str = "flood", spec: Spec = FLOOD, at: float = 0, drill: bool = False) -> str:
    said = plan_desk.start(play.site, plan, spec, drill, "supervisor", us(at))
    assert isinstance(said, e.PlanStarted)
    play(said)
    return said.run


def end(play: Play, plan: str, at: float) -> list[Command]:
    said = plan_desk.stop(play.site, plan, "supervisor", us(at))
    assert isinstance(said, e.PlanStopped)
    return play(said)


def called(play: Play, run: str, at: float) -> e.DutyCalled:
    said = plans.call(play.site, run, 0, us(at))
    assert said is not None
    play(said)
    return said


def step(kind: type[e.DutyEvent], call: e.DutyCalled, at: float, **more: str) -> e.DutyEvent:
    return kind("", us(at), call.run, call.duty, call.attempt, **more)


def state(play: Play, run: str) -> DutyState:
    return play.site.plans[run].duties[0].state


def test_every_pair_of_state_and_step_is_decided() -> None:
    assert set(duty.TABLE) == set(DutyState)
    for one in DutyState:
        assert set(duty.TABLE[one]) == set(e.DUTY_EVENTS), one


def test_the_next_contact_is_called_round_after_round_then_he_is_unreached() -> None:
    play, numbers = Play(), []
    run, now = begin(play), 0.0
    while plans.call(play.site, run, 0, us(now)) or state(play, run) is not DutyState.UNREACHED:
        call = called(play, run, now)
        numbers.append((call.number, now))
        play(step(e.DutyOver, call, now + 20, why="noanswer"))
        now = max(now + 20, play.site.plans[run].duties[0].due / 1e6)
    assert numbers == [("111", 0), ("222", 20), ("111", 70), ("222", 90)], "30 s between two rounds"
    (record,) = play.records("DutyEnded")
    assert (record.data["result"], record.data["tries"], record.data["last"]) == ("unreached", 4, "noanswer")
    assert plans.call(play.site, run, 0, us(900)) is None


def test_the_second_presses_1_and_nobody_else_is_called() -> None:
    play = Play()
    run = begin(play)
    first = called(play, run, 0)
    assert plans.call(play.site, run, 0, us(1)) is None, "one call at a time"
    play(step(e.DutyRings, first, 0.1), step(e.DutyOver, first, 20, why="busy"))
    second = called(play, run, 20)
    play(step(e.DutyTold, second, 25), step(e.DutyAcknowledged, second, 30), step(e.DutyOver, second, 31))
    (record,) = play.records("DutyEnded")
    data = record.data
    assert (data["result"], data["by"], data["told"], record.at) == ("acknowledged", "222", 1, us(30))
    assert plans.call(play.site, run, 0, us(500)) is None and not play.records("Anomaly")


def test_a_call_nobody_speaks_of_is_over_at_its_deadline_and_its_late_1_counts() -> None:
    play = Play()
    run = begin(play)
    first = called(play, run, 0)
    deadline = 20 + duty.TELL_S + duty.GRACE_US / 1e6
    play(e.ClockTicked("", us(deadline - 1)))
    assert state(play, run) is DutyState.CALLING and calls.next_deadline(play.site) == us(deadline)
    play(e.ClockTicked("", us(deadline)))
    second = called(play, run, deadline)
    play(step(e.DutyOver, first, deadline + 1, why="noanswer"))
    assert state(play, run) is DutyState.CALLING, "a late word of the first moves nothing"
    made = play(step(e.DutyAcknowledged, first, deadline + 2))
    assert state(play, run) is DutyState.ACKNOWLEDGED
    assert DropDuty("", second.attempt) in made, "the second need not be told any more"


def test_started_twice_stopped_twice_or_not_at_all_is_refused_by_code() -> None:
    play = Play()
    assert plan_desk.stop(play.site, "flood", "", us(0)) == No("plan-not-running")
    said = plan_desk.start(play.site, "flood", FLOOD, False, "supervisor", us(0), "key")
    assert isinstance(said, e.PlanStarted)
    play(said)
    assert plan_desk.start(play.site, "flood", FLOOD, False, "", us(1)) == No("plan-runs")
    again = plan_desk.start(play.site, "flood", FLOOD, False, "", us(1), "key")
    assert again == play.site.plans[said.run], "the same request: what it started"
    assert plan_desk.start(play.site, "flood", FLOOD, True, "", us(1), "key") == No("plan-runs")
    end(play, "flood", 2)
    assert plan_desk.stop(play.site, "flood", "", us(3)) == No("plan-not-running")
    assert isinstance(plan_desk.start(play.site, "flood", FLOOD, False, "", us(4)), e.PlanStarted)


def test_two_plans_compose_and_stopping_one_leaves_what_the_other_needs() -> None:
    play = Play()
    begin(play)
    flood = dict(plans.rows(play.site))
    assert flood == {("plan-front", "all/12345"): "said-a", ("plan-open", "all/119"): "1",
                     ("plan-open", "all/120"): "1"}  # fmt: skip
    begin(play, "quake", QUAKE, 10)
    assert plans.rows(play.site) == flood | {("plan-front", "all/12345"): "said-a~said-b"}
    end(play, "flood", 20)
    assert plans.rows(play.site) == {("plan-front", "all/12345"): "said-b", ("plan-open", "all/119"): "1"}
    end(play, "quake", 30)
    assert plans.rows(play.site) == {} and plans.seats(play.site) == []


def test_a_drill_opens_for_its_own_callers_alone() -> None:
    play = Play()
    run = begin(play, drill=True)
    assert plans.rows(play.site) == {
        ("plan-front", f"{run}/12345"): "said-a", ("plan-open", f"{run}/119"): "1", ("plan-open", f"{run}/120"): "1",
        ("plan-caller", "n777"): run}  # fmt: skip
    assert plans.opened(play.site, "119", run)
    assert not plans.opened(play.site, "119", "") and not plans.opened(play.site, "119", "other-1")
    same = plan_desk.start(play.site, "quake", replace(QUAKE, callers=("777",)), True, "", us(1))
    assert same == No("drill-callers-taken")
    begin(play, "quake", QUAKE, 5)
    assert plans.opened(play.site, "119", "") and not plans.opened(play.site, "120", "")


def test_the_other_platform_is_told_and_says_that_it_knows_once() -> None:
    play = Play()
    run = begin(play)
    assert [(r.data["to"], r.data["what"]) for r in play.records("PlanNotified")] == [("110", "started")]
    said = plan_desk.receive(play.site, "flood", "110", "8001", us(5))
    assert isinstance(said, e.NoticeReceived)
    play(said)
    assert plan_desk.receive(play.site, "flood", "110", "8002", us(9)) == play.site.plans[run]
    assert play.site.plans[run].received == {"110": us(5)}
    assert plan_desk.receive(play.site, "flood", "12345", "1001", us(9)) == No("not-notified")
    end(play, "flood", 20)
    assert plan_desk.receive(play.site, "flood", "110", "8001", us(21)) == No("plan-not-running")
    assert [r.data["what"] for r in play.records("PlanNotified")] == ["started", "stopped"]


def test_stopping_ends_what_rings_and_writes_each_record_once() -> None:
    play = Play()
    run = begin(play)
    call = called(play, run, 0)
    assert DropDuty("", call.attempt) in end(play, "flood", 5)
    play(step(e.DutyOver, call, 6, why="cut"), e.ClockTicked("", us(3600)))
    assert [r.data["result"] for r in play.records("DutyEnded")] == ["stopped"]
    (record,) = play.records("PlanEnded")
    assert (record.data["ms"], record.data["stopped"], record.data["acknowledged"]) == (5000, 1, 0)
    assert run in play.site.plans
    play(e.ClockTicked("", us(5 + 86_401)))
    assert not play.site.plans, "a day after its stop it is out of sight"


def test_a_step_of_a_run_nobody_knows_is_an_anomaly_and_a_spec_that_does_not_read_too() -> None:
    play = Play()
    play(e.DutyOver("", us(1), "flood-1", 0, "1d0t0"), e.PlanStarted("", us(2), "flood-2", "flood", "{}"))
    assert [r.data["code"] for r in play.records("Anomaly")] == ["step-of-unknown-plan", "plan-unreadable"]
    run = begin(play, at=3)
    play(e.DutyOver("", us(4), run, 7, "1d7t0"))
    assert play.records("Anomaly")[-1].data["code"] == "step-of-unknown-duty"


def test_a_snapshot_is_enough_when_the_start_is_out_of_sight() -> None:
    play = Play()
    run = begin(play, drill=True)
    call = called(play, run, 0)
    play(step(e.DutyOver, call, 20, why="busy"))
    seen = play.site.plans[run]
    stands = plans.stands(seen, us(30_000))
    memory = Memory()
    memory.adopt(as_fact(step(e.DutyOver, call, 20, why="busy")), us(31_000))
    memory.adopt(as_fact(stands), us(31_000))
    assert memory.site.plans[run] == seen
    assert memory.unwritten() == [], "a step from before the facts we were given is nobody's fault"
    memory.adopt(as_fact(stands), us(31_000))
    assert len(memory.site.plans) == 1


def as_fact(event: e.Event) -> Fact:
    return Fact(type(event).__name__, event.at, event.ref, e.values_of(event), "live", f"k/{event!r}")


def test_the_state_rebuilt_from_the_ledger_is_the_same() -> None:
    play, facts = Play(), []

    def tell(event: e.Event) -> None:
        facts.append(as_fact(event))
        facts.extend(fact_of(one, "service") for one in records(play(event)))

    said = plan_desk.start(play.site, "flood", FLOOD, True, "supervisor", us(0))
    assert isinstance(said, e.PlanStarted)
    tell(said)
    call = plans.call(play.site, said.run, 0, us(0))
    assert call is not None
    tell(call)
    tell(step(e.DutyRings, call, 0.2))
    tell(step(e.DutyOver, call, 3, why="declined"))
    memory = Memory()
    for fact in facts:
        memory.adopt(fact, us(60))
    assert memory.site.plans == play.site.plans and memory.unwritten() == [] and memory.corrupt == 0
    assert plans.rows(memory.site) == plans.rows(play.site)


def test_spec_text_reads_back_and_garbage_is_a_value_error() -> None:
    assert Spec.read(FLOOD.text) == FLOOD
    for text in ("", "[]", '{"title": 1}', '{"title":"","front":[],"open":1}'):
        with pytest.raises(ValueError):
            Spec.read(text)


class AnyOrder(RuleBasedStateMachine):
    """Whatever is started, told and stopped, in any order, with any attempt's steps late or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.play, self.now, self.calls = Play(), 0.0, list[e.DutyCalled]()

    def _later(self, seconds: float) -> None:
        self.now += seconds

    @rule(plan=st.sampled_from(["flood", "quake", "storm"]), drill=st.booleans())
    def starts(self, plan: str, drill: bool) -> None:
        self._later(1)
        spec = replace(FLOOD if plan != "quake" else QUAKE, callers=(plan[0],))
        said = plan_desk.start(self.play.site, plan, spec, drill, "supervisor", us(self.now))
        if isinstance(said, e.PlanStarted):
            self.play(said)
        else:
            assert said == No("plan-runs")

    @rule(plan=st.sampled_from(["flood", "quake", "storm"]))
    def stops(self, plan: str) -> None:
        self._later(1)
        said = plan_desk.stop(self.play.site, plan, "supervisor", us(self.now))
        if isinstance(said, e.PlanStopped):
            self.play(said)

    @rule()
    def calls_who_is_due(self) -> None:
        for run, index in list(plans.due(self.play.site, us(self.now))):
            said = plans.call(self.play.site, run, index, us(self.now))
            assert said is not None
            self.play(said)
            self.calls.append(said)

    @rule(kind=st.sampled_from(e.DUTY_EVENTS[1:]), data=st.data())
    def a_step(self, kind: type[e.DutyEvent], data: st.DataObject) -> None:
        if self.calls:
            self._later(0.5)
            self.play(step(kind, data.draw(st.sampled_from(self.calls)), self.now))

    @rule(seconds=st.sampled_from([1, 40, 200]))
    def time_goes_on(self, seconds: int) -> None:
        self._later(seconds)
        self.play(e.ClockTicked("", us(self.now)))

    @invariant()
    def one_run_a_plan_one_record_a_duty_and_rows_are_those_of_active_runs(self) -> None:
        site = self.play.site
        running = [run.plan for run in plans.active(site)]
        assert len(set(running)) == len(running)
        made = [r.key for r in self.play.commands if isinstance(r, Record)]
        assert len(set(made)) == len(made)
        ended = {f"duty/{run.id}/{n}" for run in site.plans.values() for n, one in enumerate(run.duties)
                 if one.state in DUTY_ENDED}  # fmt: skip
        assert ended == {r.key for r in self.play.records("DutyEnded")}
        assert all(one.tries <= 4 for run in site.plans.values() for one in run.duties)
        scopes = {key.partition("/")[0] for family, key in plans.rows(site) if family != "plan-caller"}
        assert scopes == {run.mark or plans.ALL for run in plans.active(site)}
        assert not self.play.records("Anomaly")
        fresh = Site()
        for run in plans.active(site):
            fresh, _ = calls.step(fresh, plans.stands(run, us(self.now)))
        assert plans.rows(fresh) == plans.rows(site) and plans.seats(fresh) == plans.seats(site)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
