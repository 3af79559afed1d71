"""What was asked of each line, counted from facts that the pure core itself made of whole calls."""

from __future__ import annotations

import pytest

from cti.core import events as e
from cti.core.demand import ENOUGH, Asked, asked, mean_handle_s, mean_patience_s
from cti.core.facts import Fact
from cti.memory import Memory, fact_of, records

pytestmark = pytest.mark.unit

REF, XFER = "530100-1795484553.17", "530100-1795484553.17-18p1"


def us(seconds: float) -> int:
    return round(seconds * 1e6)


def ledger(*events: e.Event) -> list[Fact]:
    """As the runtime writes it: each step, then the records it led to."""
    memory, facts = Memory(), list[Fact]()
    for n, event in enumerate(events):
        facts.append(Fact(type(event).__name__, event.at, event.ref, e.values_of(event), "live", f"cel/{n}"))
        facts += [fact_of(r, "live") for r in records(memory.step(event, event.at))]
    return facts + [fact_of(r, "live") for r in records(memory.tick(events[-1].at + us(60)))]


def arrived(ref: str = REF) -> tuple[e.Event, ...]:
    return (e.CallArrived(ref, us(1), "12345", "13800000000"), e.CallerQueued(ref, us(2), "12345"))


HEAD = (*arrived(), e.SeatAnswered(REF, us(10), "1001", "12345"),
        e.TransferStarted(REF, us(60), XFER, "110", "1001"),
        e.TargetTried(REF, us(60), XFER, 1, "110-dedicated"))  # fmt: skip


def test_an_answered_call_is_handled_till_it_ends() -> None:
    found = asked(ledger(*arrived(), e.SeatAnswered(REF, us(10), "1001", "12345"), e.CallerLeft(REF, us(70))))
    assert found == [Asked("12345", us(1), True, 8.0, 60.0)]


def test_who_gives_up_and_who_is_turned_away_are_told_apart() -> None:
    assert asked(ledger(*arrived(), e.CallerLeft(REF, us(32)))) == [Asked("12345", us(1), False, 30.0, 0.0, True)]
    turned = ledger(*arrived(), e.CallerNotServed(REF, us(122), "TIMEOUT"), e.CallerLeft(REF, us(125)))
    assert asked(turned) == [Asked("12345", us(1), False, 123.0, 0.0, False)]
    assert asked(ledger(arrived()[0], e.CallerLeft(REF, us(1.5)))) == []  # asked for nobody


def test_a_transfer_ends_one_seats_work_and_begins_anothers() -> None:
    found = asked(ledger(*HEAD, e.TargetAnswered(REF, us(66), XFER, "8001", "110"), e.CallerJoined(REF, us(67)),
                         e.SeatLeft(REF, us(67.1), "1001"), e.CallerLeft(REF, us(167))))  # fmt: skip
    assert found == [Asked("12345", us(1), True, 8.0, 57.0), Asked("110-dedicated", us(60), True, 6.0, 101.0)]


def test_a_line_that_did_not_answer_was_asked_too_and_a_telephone_is_no_line() -> None:
    found = asked(ledger(*HEAD, e.TargetFailed(REF, us(60.1), XFER, 1, "110-dedicated", "busy"),
                         e.TargetTried(REF, us(60.1), XFER, 2, "PJSIP/119@gateway"),
                         e.TargetFailed(REF, us(75), XFER, 2, "PJSIP/119@gateway", "noanswer"),
                         e.TransferFailed(REF, us(75), XFER, "noanswer"), e.CallerLeft(REF, us(170))))  # fmt: skip
    assert found == [Asked("12345", us(1), True, 8.0, 160.0),
                     Asked("110-dedicated", us(60), False, 0.1)]  # fmt: skip


def test_a_transfer_taken_back_was_given_up() -> None:
    found = asked(ledger(*HEAD, e.TransferCancelled(REF, us(64), XFER, "1001"), e.CallerLeft(REF, us(170))))
    assert found[1] == Asked("110-dedicated", us(60), False, 4.0, 0.0, True)


def test_a_call_that_goes_on_and_a_damaged_one_are_left_out() -> None:
    facts = ledger(*arrived(), e.CallerLeft(REF, us(32)))
    assert asked(ledger(*HEAD)) == []
    broken = [Fact(f.kind, f.at, f.ref, {**f.data, "wait_ms": "x"}, f.source, f.key) for f in facts]
    assert asked(broken) == []


def test_means_wait_for_enough_calls_and_patience_counts_those_who_were_served() -> None:
    served = [Asked("12345", 0, True, 10.0, 200.0)] * 90
    gone = [Asked("12345", 0, False, 20.0, 0.0, True)] * ENOUGH
    assert mean_handle_s(served[: ENOUGH - 1]) is None and mean_handle_s(served + gone) == 200.0
    assert mean_patience_s(served + gone[1:]) is None
    assert mean_patience_s(served + gone) == (900 + 20 * ENOUGH) / ENOUGH
