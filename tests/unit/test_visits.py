"""What `CallEnded` tells of the queues a caller came to: once a queue, whatever his way was."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cti.core import events as e
from cti.core.facts import Fact
from cti.replay import replay_call

from .playbook import REF, T1, T2, Play, joined, started, us

ARRIVED = e.CallArrived(REF, us(0), "12345", "13800001111", platform="12345")
QUEUED = e.CallerQueued(REF, us(1), "12345")
TAKEN = e.SeatAnswered(REF, us(4), "1001", "12345", "queue", "general")
LEFT = e.CallerLeft(REF, us(60))


def over(to: str, why: str, at: float = 11) -> e.Event:
    return e.CallerOverflowed(REF, us(at), to, "12345", why)


WAYS: dict[str, tuple[Iterable[e.Event], str]] = {
    "answered": ([QUEUED, TAKEN], "12345,1000,answered,3000,general"),
    "abandoned": ([QUEUED], "12345,1000,abandoned,59000,"),
    "left before he asked": ([], ""),
    "waited too long": ([QUEUED, e.CallerNotServed(REF, us(31), "TIMEOUT")], "12345,1000,timeout,30000,"),
    "closed at this hour": ([e.CallerNotServed(REF, us(1), "CLOSED")], "12345,1000,refused,0,"),
    "chose a callback": ([QUEUED, e.CallbackAsked(REF, us(9), "13800001111")], "12345,1000,callback,59000,"),
    "overflowed, answered there": (
        [QUEUED, over("12329", "TIMEOUT"), e.CallerQueued(REF, us(11), "12329"),
         e.SeatAnswered(REF, us(14), "5711010001", "12345", "queue", "remote")],
        "12345,1000,timeout,10000,;12329,11000,answered,3000,remote"),
    "full, overflowed without waiting": (
        [over("12329", "FULL", 1), e.CallerQueued(REF, us(1), "12329")],
        "12345,1000,refused,0,;12329,1000,abandoned,59000,"),
    "transferred": (
        [QUEUED, TAKEN, *started(20), e.TargetAnswered(REF, us(23), T1, "8001", "110", "dedicated"),
         e.CallerJoined(REF, us(23.1))],
        "12345,1000,answered,3000,general;110,20000,answered,3000,dedicated"),
    "nobody at the other platform": (
        [QUEUED, TAKEN, *started(20), e.TransferFailed(REF, us(50), T1, "timeout")],
        "12345,1000,answered,3000,general;110,20000,timeout,30000,"),
    "left while the other platform rang": (
        [QUEUED, TAKEN, *started(50)], "12345,1000,answered,3000,general;110,50000,abandoned,10000,"),
    "the second try is answered": (
        [QUEUED, TAKEN, *started(10), e.TransferFailed(REF, us(20), T1, "timeout"), *started(22, T2),
         *joined(24, T2)],
        "12345,1000,answered,3000,general;110,10000,answered,2000,"),
    "the seat withdrew its key": (
        [QUEUED, TAKEN, *started(10), e.TransferCancelled(REF, us(12), T1, "1001")],
        "12345,1000,answered,3000,general"),
    "refused at the door": (
        [QUEUED, TAKEN, e.TransferRefused(REF, us(12), T1, "1001", "bounce", "12345")],
        "12345,1000,answered,3000,general"),
    "his seat was lost, nobody after it": (
        [QUEUED, TAKEN, e.SeatLost(REF, us(30), "1001"), e.CallerQueued(REF, us(30), "12345"),
         e.CallerNotServed(REF, us(50), "TIMEOUT")], "12345,1000,answered,3000,general"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_call_counts_once_for_each_queue_it_came_to(way: str) -> None:
    events, wanted = WAYS[way]
    play = Play()
    play(ARRIVED, *events, LEFT)
    (ended,) = play.records("CallEnded")
    assert ended.data["queues"] == wanted


def test_a_call_tells_who_it_was_for_and_who_answered() -> None:
    play = Play()
    play(ARRIVED, e.EntryTold(REF, us(0.5), "532900"), QUEUED, TAKEN, LEFT)
    data = play.records("CallEnded")[0].data
    assert (data["platform"], data["division"], data["seat_kind"], data["asked_at"], data["wait_ms"]) == (
        "12345", "532900", "general", us(1), 3000)  # fmt: skip


def test_a_called_back_callers_talk_is_no_queues() -> None:
    play = Play()
    back = e.CallArrived(REF, us(0), "12345", "13800001111", callback="530100-1.1")
    play(back, e.SeatAnswered(REF, us(1), "1001", "12345", "callback"), LEFT)
    (ended,) = play.records("CallEnded")
    assert (ended.data["outcome"], ended.data["queues"]) == ("called-back", "")


def test_an_entry_from_before_still_replays_without_a_difference() -> None:
    play = Play()
    steps = [ARRIVED, QUEUED, TAKEN, LEFT]
    play(*steps)
    facts = [Fact(type(s).__name__, s.at, s.ref, e.values_of(s), "live", f"k{n}") for n, s in enumerate(steps)]
    (made,) = play.records("CallEnded")
    old = {name: v for name, v in made.data.items() if name not in ("platform", "seat_kind", "asked_at", "queues")}
    assert replay_call([*facts, Fact("CallEnded", made.at, REF, old, "live", made.key)]) == []
    changed = {**old, "outcome": "abandoned"}
    assert len(replay_call([*facts, Fact("CallEnded", made.at, REF, changed, "live", made.key)])) == 1
