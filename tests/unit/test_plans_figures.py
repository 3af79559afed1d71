"""A drill's calls carry its mark through every record, are in no published figure, and are reported by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from cti.core import events as e
from cti.core import plan_desk, plan_report, plans
from cti.core.answer_rate import answer_rate
from cti.core.demand import asked
from cti.core.disputes import Period, disputes
from cti.core.facts import Fact, published
from cti.lending.auto import Past
from cti.memory import fact_of, records
from cti.metrics import Metrics
from cti.replay import replay_call
from cti.runtime import Runtime

from .playbook import REF, T1, Play, joined, said, started, us
from .test_plans import FLOOD, begin, called, end, step
from .test_runtime import Outside, running, runtime_on, until

OTHER = REF.replace("12", "99", 1).replace(".12", ".99")


def call(ref: str, drill: str = "", at: float = 10) -> list[e.Event]:
    """A caller whom a seat and then 110 had."""
    one: list[e.Event] = [
        e.CallArrived(ref, us(at), "12345", "777", drill=drill), e.FrontTold(ref, us(at + 0.1), "said-a"),
        e.CallerQueued(ref, us(at + 3), "12345"), e.SeatAnswered(ref, us(at + 5), "1001", "12345"),
        *(replace(x, ref=ref) for x in (*started(at + 10, f"{ref}-17"), *joined(at + 12, f"{ref}-17"))),
        e.CallerLeft(ref, us(at + 60)),
    ]  # fmt: skip
    return one


async def told(events: Iterable[e.Event]) -> tuple[list[Fact], Runtime]:
    """What the ledger gets of these."""
    outside = Outside(now=1000)
    runtime = runtime_on(outside)
    outside.heard = us(1000)
    async with running(runtime):
        for n, event in enumerate(events):
            runtime.hear(event, "live", f"k{n}")
        await until(lambda: runtime.backlog == 0 and any(f.kind == "CallEnded" for f in outside.facts))
        await asyncio.sleep(0.05)
    return outside.facts, runtime


async def test_every_fact_of_a_drills_call_carries_the_mark_and_no_others() -> None:
    begun = plan_desk.start(Play().site, "flood", FLOOD, True, "supervisor", us(1))
    assert isinstance(begun, e.PlanStarted)
    facts, runtime = await told([begun, *call(REF, begun.run), *call(OTHER, at=20)])
    mine = [f for f in facts if f.ref == REF]
    assert {f.data.get("drill") for f in mine} == {begun.run}, [f.kind for f in mine if not f.data.get("drill")]
    assert {f.kind for f in mine} >= {"CallArrived", "FrontTold", "TransferStarted", "TransferEnded", "CallEnded"}
    assert not any(f.data.get("drill") for f in facts if f.ref == OTHER)
    assert replay_call(mine) == [], "a replay makes the same records, mark and all"
    memory = runtime.memory
    rate = answer_rate(memory.ended.since(0), 0, us(2000))
    assert (rate.offered, rate.answered) == (1, 1) and len(memory.transfers) == 1
    assert {one.line for one in asked(facts)} == {"12345", "110-dedicated"} and len(asked(facts)) == 2
    metrics, past = Metrics(), Past("12345")
    for fact in facts:
        metrics.saw(fact)
        past.saw(fact)
    value = metrics.registry.get_sample_value
    assert value("cti_calls_total", {"hotline": "12345", "outcome": "answered"}) == 1
    assert value("cti_drill_records_total", {"kind": "CallEnded", "outcome": "answered"}) == 1
    assert len(past.calls) == 1


def test_a_drills_callback_and_dispute_are_marked_and_left_out() -> None:
    play = Play()
    run = begin(play, drill=True)
    play(e.CallArrived(REF, us(10), "12345", "777", drill=run), e.CallerQueued(REF, us(11), "12345"),
         e.CallerLeft(REF, us(30)))  # fmt: skip
    assert play.records("CallbackDue")[0].data["drill"] == run
    talk = OTHER
    play(e.CallbackTaken(REF, us(40), "1001"), e.CallbackDialled(REF, us(41), "1001"),
         e.CallArrived(talk, us(45), "12345", "777", REF), e.CallbackAnswered(REF, us(45), talk, "1001"))  # fmt: skip
    assert play.site.calls[talk].drill == run, "the talk of a drill's callback is the drill's"
    play(e.CallbackOver(REF, us(60), talk), e.CallerLeft(talk, us(60)))
    assert play.records("CallbackEnded")[0].data["drill"] == run
    marked = Fact("ConferenceDecided", us(1), REF, {"transfer": T1, "disputed": 1, "drill": run}, "service", "k")
    over = Period("", 0, us(1000))
    assert disputes([marked], over) == [] and not published(marked)
    assert len(disputes([replace(marked, data={"transfer": T1, "disputed": 1})], over)) == 1


@pytest.mark.parametrize("drill", [True, False])
def test_a_report_tells_of_its_own_calls_alone(drill: bool) -> None:
    play, facts = Play(), list[Fact]()
    run = begin(play, at=5, drill=drill)
    duty = called(play, run, 5)
    play(step(e.DutyTold, duty, 9), step(e.DutyAcknowledged, duty, 12))
    for ref, mark, at in ((REF, run if drill else "", 10), (OTHER, "" if drill else "other-1", 11)):
        seen = len(play.commands)
        for event in call(ref, mark, at):
            play(event)
            data = {**e.values_of(event), "drill": mark} if mark else e.values_of(event)
            facts.append(Fact(type(event).__name__, event.at, ref, data, "live", f"{ref}/{len(facts)}"))
        facts += [fact_of(record, "service") for record in records(play.commands[seen:])]
    for lease, state in (("a", "asked"), ("a", "active"), ("b", "active")):
        data = {"lease": lease, "state": state, "side": "borrower", "owner": "530100", "run": run}
        facts.append(Fact("LeaseMoved", us(25), "", data, "service", f"{lease}{state}"))
    end(play, "flood", 100)
    made = plan_report.report(play.site.plans[run], facts, us(120))
    assert (made["drill"], made["calls"], made["offered"], made["answered"]) == (drill, 1, 1, 1)
    assert made["front"] == {"heard": 1, "left_in_it": 0} and made["ms"] == 95_000
    assert made["transfers"] == [{"to": "110", "outcome": "answered", "count": 1}]
    assert made["seats"] == [{"from": "530100", "wanted": 2, "lent": 2, "first_ms": 20_000}]
    assert [(d["state"], d["ms"]) for d in made["duties"]] == [("acknowledged", 7000)]


def test_a_run_out_of_sight_is_rebuilt_from_its_own_steps() -> None:
    play = Play()
    run = begin(play, drill=True)
    events: list[e.PlanEvent] = []
    begun = plan_desk.start(Play().site, "flood", FLOOD, True, "supervisor", us(0))
    assert isinstance(begun, e.PlanStarted)
    events.append(begun)
    duty = called(play, run, 0)
    events += [duty, step(e.DutyAcknowledged, duty, 5), e.PlanStopped("", us(9), run, "supervisor")]
    play(*events[2:])
    facts = [Fact(type(x).__name__, x.at, "", e.values_of(x), "live", f"k{n}") for n, x in enumerate(events)]
    facts.insert(1, Fact("DutyOver", us(1), "", {"run": run, "duty": "x"}, "live", "spoilt"))
    assert plan_report.run_of(facts, run) == play.site.plans[run]
    assert plan_report.run_of(facts, "flood-7") is None


def test_what_a_decision_of_a_drill_says() -> None:
    """The record of a three-party call in a drill is marked as every other."""
    from .playbook import room

    play = Play()
    events = list(room())
    assert isinstance(events[0], e.CallArrived)
    play(replace(events[0], drill="flood-1"), *events[1:], said(20, "1001", "12345"))
    kinds = {r.kind: r.data.get("drill") for k in ("ConferenceOpened", "ConferenceDecided") for r in play.records(k)}
    assert kinds == {"ConferenceOpened": "flood-1", "ConferenceDecided": "flood-1"}
    assert plans.mark(play.site, "flood-1") == ""
