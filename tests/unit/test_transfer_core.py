"""The transfer machine and the call around it: playbooks, and a walk over the whole table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.core import calls, rules
from cti.core import events as e
from cti.core import transfer as machine
from cti.core.commands import LayRoute, Record
from cti.core.model import Outcome, Site, Transfer, TransferState

from .playbook import REF, T1, Play, joined, started, talking, us


def ended(play: Play) -> list[tuple[str, str]]:
    return [(str(r.data["outcome"]), str(r.data["why"])) for r in play.records("TransferEnded")]


def test_a_call_answered_lays_its_routes_before_any_key() -> None:
    play = Play()
    assert LayRoute(REF, "530100") in play(*talking())


def test_one_key_makes_one_terminal_record_once_the_target_stayed() -> None:
    play = Play()
    play(*talking(), *started(10), *joined(14))
    assert play.call.seat == "8001" and ended(play) == []
    play(e.SeatLeft(REF, us(14.05), "1001"), e.ClockTicked("", us(19.0)))
    assert ended(play) == []
    play(e.ClockTicked("", us(19.1)))
    assert ended(play) == [("answered", "")]
    record = play.records("TransferEnded")[0]
    assert record.at == us(19.02) and record.data["answer_ms"] == 4000 and record.data["join_ms"] == 20
    play(e.CallerLeft(REF, us(60)), e.ClockTicked("", us(120)))
    assert len(ended(play)) == 1 and not play.site.calls
    call = play.records("CallEnded")[0]
    assert call.data["outcome"] == "answered" and call.data["wait_ms"] == 2000 and call.data["seats"] == "1001,8001"


def test_no_clock_is_needed_the_next_event_settles_what_was_due() -> None:
    live, caught_up = Play(), Play()
    first = [*talking(), *started(10), *joined(14)]
    live(*first, e.ClockTicked("", us(19.5)), e.CallerLeft(REF, us(60)))
    caught_up(*first, e.CallerLeft(REF, us(60)))
    one, other = ([r for r in play.commands if isinstance(r, Record)] for play in (live, caught_up))
    assert one == other


def test_all_targets_fail_the_seat_keeps_the_caller() -> None:
    play = Play()
    play(*talking(), *started(10), e.TargetFailed(REF, us(25), T1, 1, "110-dedicated", "noanswer"),
         e.TargetTried(REF, us(25), T1, 2, "PJSIP/8003"), e.TransferFailed(REF, us(26), T1, "busy"))
    assert ended(play) == [("returned", "busy")]
    assert play.records("TransferEnded")[0].data["hops"] == 2


def test_a_target_that_vanishes_at_once_is_returned_not_answered() -> None:
    play = Play()
    play(*talking(), *started(10), *joined(14), e.CallerRecalled(REF, us(16), "1001"),
         e.SeatAnswered(REF, us(18), "1001", "12345", "recall"))
    assert ended(play) == [("returned", "vanished")]
    assert play.call.takers == ("1001",) and play.call.platforms == ("12345",) and play.call.seat == "1001"


def test_a_key_told_after_the_callers_end_is_abandoned_at_once() -> None:
    play = Play()
    play(*talking(), e.CallerLeft(REF, us(10)), *started(10.001))
    assert ended(play) == [("abandoned", "caller-left")]
    play(e.ClockTicked("", us(400)))
    assert len(ended(play)) == 1


def test_a_target_that_refers_him_on_had_him() -> None:
    play = Play()
    play(*talking(), *started(10), *joined(14), e.CallerReferred(REF, us(15), "8001", "9999"),
         e.CallerRecalled(REF, us(15.1), "8001"), e.SeatAnswered(REF, us(16), "8001", "110", "recall"))
    assert ended(play) == [("answered", "")]


def test_a_lost_seat_changes_no_transfer_and_the_caller_waits_again() -> None:
    play = Play()
    play(*talking(), *started(10), *joined(14), e.SeatLost(REF, us(60), "8001", "44"))
    assert ended(play) == [("answered", "")] and play.call.phase == "waiting"


def test_danger_is_the_transfers_and_the_calls() -> None:
    play = Play()
    play(*talking(), e.TransferStarted(REF, us(10), T1, "110", "1001", "swap", "dtmf", 1),
         e.CallerLeft(REF, us(12)))
    assert play.records("TransferEnded")[0].data["danger"] == 1
    assert [r.data["priority"] for r in play.records("CallbackDue")] == ["high"]


def test_a_caller_who_leaves_while_it_rings_is_abandoned_and_called_back() -> None:
    play = Play()
    play(*talking(), *started(10), e.CallerLeft(REF, us(12)))
    assert ended(play) == [("abandoned", "caller-left")]
    assert [r.data["why"] for r in play.records("CallbackDue")] == ["transfer"]


def test_the_second_press_lets_the_caller_wait_and_the_answer_takes_him() -> None:
    play = Play()
    play(*talking(), *started(10), e.CallerReleased(REF, us(12), T1, "1001"), e.CallerWaits(REF, us(12.01), T1))
    assert play.call.transfer is not None and play.call.transfer.state is TransferState.WAITING
    play(*joined(15), e.ClockTicked("", us(21)))
    assert ended(play) == [("answered", "")]
    assert play.records("TransferEnded")[0].data["released"] == 1


def test_a_second_transfer_never_overwrites_the_first() -> None:
    play = Play()
    second = f"{REF}-30"
    play(*talking(), *started(10), *joined(14), *started(16, second, "8001", "12345"),
         *joined(18, second, "1901", "12345"), e.CallerLeft(REF, us(30)))
    assert [(r.data["transfer"], r.data["outcome"]) for r in play.records("TransferEnded")] == [
        (T1, "answered"), (second, "answered")]
    assert play.call.takers == ("1001", "8001", "1901")


def test_a_refused_press_is_one_record_and_leaves_the_open_one_alone() -> None:
    play = Play()
    play(*talking(), *started(10), e.TransferRefused(REF, us(11), f"{REF}-18", "8001", "transfer-running"))
    assert ended(play) == [("refused", "transfer-running")]
    assert play.call.transfer is not None and play.call.transfer.id == T1
    play(*joined(14), e.CallerLeft(REF, us(30)))
    assert ended(play) == [("refused", "transfer-running"), ("answered", "")]


def test_a_key_that_overtakes_a_request_leaves_it_to_the_door() -> None:
    """Clicked and typed at once: the typed one was let in, the clicked one is refused by name."""
    play, click = Play(), f"{REF}-a1"
    play(*talking(), e.TransferRequested(REF, us(9.99), click, "110", "1001"), *started(10),
         e.TransferRefused(REF, us(10.01), click, "1001", "transfer-running"), *joined(12), e.CallerLeft(REF, us(30)))
    assert [(r.data["transfer"], r.data["outcome"]) for r in play.records("TransferEnded")] == [
        (click, "refused"), (T1, "answered")]
    assert not play.records("Anomaly")


def test_a_request_the_door_never_heard_of_ends_by_itself_beside_a_running_one() -> None:
    play, click = Play(), f"{REF}-a1"
    play(*talking(), e.TransferRequested(REF, us(9.99), click, "110", "1001"), *started(10),
         e.ClockTicked("", us(16)))
    assert ended(play) == [("unknown", "door-silent")]
    assert play.call.transfer is not None and play.call.transfer.id == T1


def test_steps_that_stop_coming_end_as_unknown_not_as_nothing() -> None:
    play = Play()
    play(*talking(), *started(10), e.ClockTicked("", us(200)))
    assert ended(play) == [("unknown", "steps-lost")]


@pytest.mark.parametrize(("tail", "outcome"), [
    ((), "abandoned"),
    ((e.CallerNotServed(REF, us(120), "TIMEOUT"),), "timeout"),
    ((e.CallerNotServed(REF, us(1), "FULL"),), "refused"),
])  # fmt: skip
def test_callers_nobody_answered_count_against_the_rate(tail: tuple[e.Event, ...], outcome: str) -> None:
    play = Play()
    play(e.CallArrived(REF, 0, "12345", ""), e.CallerQueued(REF, us(0.2), "12345"), *tail, e.CallerLeft(REF, us(121)))
    assert [r.data["outcome"] for r in play.records("CallEnded")] == [outcome]
    assert len(play.records("CallbackDue")) == 1


def test_a_caller_who_left_before_asking_is_not_in_the_rate() -> None:
    play = Play()
    play(e.CallArrived(REF, 0, "12345", ""), e.CallerLeft(REF, us(1)))
    assert [r.data["outcome"] for r in play.records("CallEnded")] == ["unasked"]


# -- the table ---------------------------------------------------------------------------------------------------------
def test_every_pair_is_decided() -> None:
    heard = set(machine.NONE)
    assert {*e.TRANSFER_EVENTS, e.GuestLeft, e.SeatAnswered, e.SeatLeft, e.SeatLost, e.CallerReferred, e.CallerRecalled,
            e.CallerNotServed, e.CallerLeft, e.CallerGone} == heard
    assert set(machine.TABLE) == set(TransferState)
    for state in TransferState:
        assert set(machine.TABLE[state]) == heard, state


def sample(kind: type[e.Event], at: int) -> e.Event:
    values = {"transfer": T1, "to": "110", "seat": "1001", "code": "no-route", "hop": "1", "target": "x", "why": "busy",
              "platform": "110", "division": "530100", "queue": "12345", "hotline": "12345"}  # fmt: skip
    return e.make(kind.__name__, REF, at, values)


@pytest.mark.parametrize("state", list(TransferState))
@pytest.mark.parametrize("kind", list(machine.NONE))
def test_the_whole_product(state: TransferState, kind: type[e.Event]) -> None:
    outcome = Outcome.ANSWERED if state is TransferState.ENDED else Outcome.NONE
    before = Transfer(T1, "110", "1001", "dtmf", "swap", state, us(1), outcome)
    after, rule = machine.step(before, sample(kind, us(2)))
    assert after is not None
    if isinstance(rule, rules.To):
        assert after.state is rule.state
        assert (after.outcome is not Outcome.NONE) == (after.state is TransferState.ENDED)
    else:
        assert after is before and (rule.reason if isinstance(rule, rules.Ignore) else rule.code)
    if state is TransferState.ENDED:
        assert after is before


EVENTS = st.builds(
    lambda kind, transfer, at: (
        e.make(kind.__name__, REF, at * 100_000, {
            "transfer": transfer, "to": "110", "seat": "1001", "code": "no-route", "hop": 1, "target": "x",
            "why": "TIMEOUT", "platform": "110", "division": "530100", "queue": "12345", "hotline": "12345"})
    ),
    st.sampled_from([*e.CALL_EVENTS, *e.TRANSFER_EVENTS]), st.sampled_from([T1, f"{REF}-18", f"{REF}-19"]),
    st.integers(0, 3000),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_any_order_of_steps_never_raises_and_never_doubles_a_record(events: list[e.Event]) -> None:
    site, commands = calls.replay([e.CallArrived(REF, 0, "12345"), *sorted(events, key=lambda x: x.at)])
    site, more = calls.tick(site, us(4000))
    keys = [c.key for c in (*commands, *more) if isinstance(c, Record) and c.kind in ("TransferEnded", "CallEnded")]
    assert len(keys) == len(set(keys))
    for call in site.calls.values():
        assert call.transfer is None, "every transfer ends by its deadline at the latest"
        opened = {t.id for t in call.transfers}
        assert {f"transfer/{t}" for t in opened} <= set(keys)


def test_replay_is_the_same_every_time() -> None:
    events = [*talking(), *started(10), *joined(14), e.CallerLeft(REF, us(30))]
    assert calls.replay(events) == calls.replay(events)
    assert Site() == Site()


def test_the_ladder_has_words_for_every_step() -> None:
    from cti.ladder import WORDS

    no_calls = {kind.__name__ for kind in (*e.SEAT_EVENTS, *e.PLAN_EVENTS, *e.NUISANCE_EVENTS)}  # so on no ladder
    assert set(e.BY_NAME) - no_calls <= set(WORDS)
