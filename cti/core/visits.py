"""Which queues a caller came to and what became of him there: the answer rate as each queue sees it.

A transferred call counts once for the caller and once for each queue (DOMAIN.md, KPI definitions). The caller's own
count is `CallEnded`'s outcome; the queues' are its ``queues``, one entry a queue, joined by ``;``:

    12345,0,answered,4200,general;110,35120,timeout,15000,
    queue, ms after his arrival he first came, how, ms he waited (the time that counts), kind of the seat that answered

A queue is a waiting line, by its name; for a transfer, the platform or line it was for. Once a queue, however often he
was there: as it was when he was answered there, else as it ended the last time.

Knows: steps of the line, and transfers as they ended. Must not know: how this is counted (answer_rate.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from cti.core import events as e
from cti.core.model import Call, Outcome, Transfer, Visit

HOW: dict[Outcome, str] = {
    Outcome.ANSWERED: "answered",
    Outcome.RETURNED: "timeout",
    Outcome.ABANDONED: "abandoned",
    Outcome.UNKNOWN: "timeout",
}
"""How a transfer counts for the queue it asked. Withdrawn by the seat (cancelled) or turned away at the door (refused):
it asked nobody. Of one whose end nobody told it is only sure that nobody had the caller: against us."""
_ODD = re.compile(r"[,;\s]")


def hears(call: Call, event: e.Event) -> Call:
    """The call after a step of the line; all others change nothing."""
    match event:
        case e.CallerQueued():
            return _came(call, event.queue, event.at)
        case e.CallerOverflowed():
            call = call if _open(call) else _came(call, event.line or call.hotline, event.at)
            return _came(_went(call, _unserved(event.why), event.at), event.to, event.at)
        case e.SeatAnswered():
            return _went(call, "answered", event.at, event.kind)
        case e.CallerNotServed():
            call = call if _open(call) or call.answered_at else _came(call, call.hotline, event.at)
            return _went(call, _unserved(event.why), event.at)
        case e.CallerLeft() | e.CallerGone():
            return _went(call, "callback" if call.asked_back and not call.answered_at else "abandoned", event.at)
    return call


def told(call: Call, outcome: str) -> str:
    """``queues`` of a call that has ended; empty for one that is in no rate (unasked, called-back)."""
    if outcome in ("unasked", "called-back"):
        return ""
    came: dict[str, int] = {}
    counts: dict[str, Visit] = {}
    for one in (*call.visits, *_asked(call)):
        came.setdefault(one.queue, one.at)
        if one.queue not in counts or counts[one.queue].how != "answered":
            counts[one.queue] = one
    return ";".join(
        f"{_ODD.sub('', queue)},{(came[queue] - call.arrived_at) // 1000},{one.how},"
        f"{(one.ended_at - one.at) // 1000},{one.kind}"
        for queue, one in counts.items()
    )


def _asked(call: Call) -> Iterator[Visit]:
    """What its transfers asked. One that has not ended yet (told with the caller's own end) was left by him."""
    for t in call.transfers:
        if how := _how(t):
            yield Visit(t.to, t.started_at, how, t.answered_at or t.ended_at or call.ended_at, t.target_kind)


def _how(t: Transfer) -> str:
    if t.outcome is not Outcome.NONE:
        return HOW.get(t.outcome, "")
    return "answered" if t.joined_at else "abandoned"


def _unserved(why: str) -> str:
    return "timeout" if why == "TIMEOUT" else "refused"


def _open(call: Call) -> bool:
    return bool(call.visits) and not call.visits[-1].how


def _came(call: Call, queue: str, at: int) -> Call:
    if _open(call):
        if call.visits[-1].queue == queue:
            return call  # told twice: as he overflowed, and as he came
        call = _went(call, "timeout", at)  # his way out of the other line was not told
    return replace(call, visits=(*call.visits, Visit(queue, at)))


def _went(call: Call, how: str, at: int, kind: str = "") -> Call:
    if not _open(call):
        return call
    return replace(call, visits=(*call.visits[:-1], replace(call.visits[-1], how=how, ended_at=at, kind=kind)))
