"""Calling back: the rules of one task, as a table.

Theory of operation
-------------------
A task is opened by a caller who chose it (`CallbackAsked`: a stand-in in the line keeps his place, PLACED), or by a
call that was abandoned, not served, or lost in a transfer (DUE: in the list). A seat has it, by its turn or out of the
list: TAKEN. The caller's phone is called, RINGING: one attempt. He picks up: TALKING; the talk is a call of its own,
never counted as answered (DOMAIN.md, KPI definitions). An attempt that failed puts the task back in the list, until
`ATTEMPTS` are spent or his number turned out to be none. A person's word (`CallbackSaid`) ends it in any state. ENDED
is the only terminal state, reached exactly once; its result is the task's one terminal record.

Time comes with the events. A task nobody finished in `LIFE_US` is ``expired``: a count to look into, not an end to
wish for. It is shorter than the day the service reads back at its start: no open task is ever out of its sight.

Knows: one task. Must not know: the call around it (calls.py), app_queue, who may say what (asking.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cti.core import events as e
from cti.core import rules
from cti.core.model import Callback
from cti.core.model import CallbackState as S
from cti.core.rules import Anomaly, Ignore

ATTEMPTS = 3
LIFE_US = 20 * 3_600_000_000
TAKEN_US = 120_000_000
"""a seat that took it and never dialled: its phone was not picked up"""
RINGING_US = 180_000_000
"""longer than any phone rings; then the step was lost"""
TALKING_US = 4 * 3_600_000_000
RESULTS: Mapping[str, tuple[str, str]] = {
    "answered": ("已接通", "answered"),
    "busy": ("忙", "busy"),
    "no-answer": ("无人接听", "no answer"),
    "wrong-number": ("号码有误", "wrong number"),
    "withdrawn": ("已撤回", "withdrawn"),
    "unreachable": ("无法接通", "unreachable"),
    "expired": ("逾期未办", "expired"),
}
"""how a task ends; people may say all but the last two"""
SAYABLE = ("answered", "busy", "no-answer", "wrong-number", "withdrawn")
_FINAL = {"no-number": "wrong-number"}
_RESULT_OF = {"busy": "busy", "declined": "busy", "noanswer": "no-answer", "no-number": "wrong-number"}

To = rules.To[S, Callback, e.Event]
Rule = rules.Rule[S, Callback, e.Event]


def _taken(task: Callback, event: e.Event) -> Callback:
    assert isinstance(event, e.CallbackTaken)
    return replace(task, seat=event.seat, platform=event.platform)


def _dialled(task: Callback, event: e.Event) -> Callback:
    assert isinstance(event, e.CallbackDialled)
    return replace(task, seat=event.seat, attempts=task.attempts + 1, first_try_at=task.first_try_at or event.at)


def _failed(task: Callback, event: e.Event) -> Callback:
    assert isinstance(event, e.CallbackFailed)
    # The seat hung up while it rang: that was no attempt on the caller.
    spent = task.attempts - (event.why == "seat-left" and task.state is S.RINGING)
    return replace(task, last=event.why, attempts=spent, seat="", platform="")


def _answered(task: Callback, event: e.Event) -> Callback:
    assert isinstance(event, e.CallbackAnswered)
    return replace(task, call=event.call, seat=event.seat or task.seat)


def _said(task: Callback, event: e.Event) -> Callback:
    assert isinstance(event, e.CallbackSaid)
    return replace(task, result=event.result, note=event.note, seat=event.seat or task.seat, ended_at=event.at)


def _over(task: Callback, event: e.Event) -> Callback:
    return replace(task, result="answered", ended_at=event.at)


_done = Ignore("the task has ended; its record stands")
_gone = Ignore("the stand-in left because a seat has the task")
_not_now = Anomaly("callback-out-of-turn")
_once = Ignore("he chose once; the task is open")

TABLE: Mapping[S, Mapping[type[e.Event], Rule]] = {
    S.DUE: {
        e.CallbackAsked: To(S.PLACED),
        e.CallbackPlaceOver: Ignore("he is in the list already"),
        e.CallbackTaken: To(S.TAKEN, _taken),
        e.CallbackDialled: To(S.RINGING, _dialled),
        e.CallbackFailed: Ignore("the last word of an attempt that was given up"),
        e.CallbackAnswered: To(S.TALKING, _answered),
        e.CallbackOver: Ignore("the talk's last word"),
        e.CallbackSaid: To(S.ENDED, _said),
    },
    S.PLACED: {
        e.CallbackAsked: _once,
        e.CallbackPlaceOver: To(S.DUE),
        e.CallbackTaken: To(S.TAKEN, _taken),
        e.CallbackDialled: To(S.RINGING, _dialled),
        e.CallbackFailed: Ignore("the last word of an attempt that was given up"),
        e.CallbackAnswered: To(S.TALKING, _answered),
        e.CallbackOver: _not_now,
        e.CallbackSaid: To(S.ENDED, _said),
    },
    S.TAKEN: {
        e.CallbackAsked: _once,
        e.CallbackPlaceOver: _gone,
        e.CallbackTaken: To(S.TAKEN, _taken),
        e.CallbackDialled: To(S.RINGING, _dialled),
        e.CallbackFailed: To(S.DUE, _failed),
        e.CallbackAnswered: To(S.TALKING, _answered),
        e.CallbackOver: _not_now,
        e.CallbackSaid: To(S.ENDED, _said),
    },
    S.RINGING: {
        e.CallbackAsked: _once,
        e.CallbackPlaceOver: _gone,
        e.CallbackTaken: Ignore("another seat's phone was picked up for a task that rings already"),
        e.CallbackDialled: To(S.RINGING, _dialled),
        e.CallbackFailed: To(S.DUE, _failed),
        e.CallbackAnswered: To(S.TALKING, _answered),
        e.CallbackOver: _not_now,
        e.CallbackSaid: To(S.ENDED, _said),
    },
    S.TALKING: {
        e.CallbackAsked: _once,
        e.CallbackPlaceOver: _gone,
        e.CallbackTaken: _not_now,
        e.CallbackDialled: _not_now,
        e.CallbackFailed: Ignore("the last word of an attempt beside it"),
        e.CallbackAnswered: Ignore("he is talking already"),
        e.CallbackOver: To(S.ENDED, _over),
        e.CallbackSaid: To(S.ENDED, _said),
    },
    S.ENDED: dict.fromkeys(e.CALLBACK_EVENTS, _done),
}


def step(task: Callback, event: e.Event) -> tuple[Callback, Rule]:
    """The task after this event, and the rule that decided."""
    rule = TABLE[task.state][type(event)]
    if not isinstance(rule, rules.To):
        return task, rule
    changed = rule.change(task, event) if rule.change else task
    return replace(changed, state=rule.state, since=event.at), rule


def _spent(task: Callback) -> str:
    """The result of a task whose attempts are spent; empty: it is not."""
    if task.last in _FINAL or task.attempts >= ATTEMPTS:
        return _RESULT_OF.get(task.last, "unreachable")
    return ""


def deadline(task: Callback) -> int | None:
    """When the task moves by itself (µs), or None once it has ended."""
    match task.state:
        case S.ENDED:
            return None
        case S.TALKING:
            return task.since + TALKING_US
        case S.TAKEN:
            return task.since + TAKEN_US
        case S.RINGING:
            return task.since + RINGING_US
        case S.DUE if _spent(task):
            return task.since
        case _:
            return task.opened_at + LIFE_US


def expire(task: Callback, now: int) -> Callback:
    """The task after its deadlines up to ``now``, each *at* its own time."""
    while (due := deadline(task)) is not None and now >= due:
        match task.state:
            case S.TALKING:
                task = replace(task, state=S.ENDED, result="answered", since=due, ended_at=due)
            case S.TAKEN | S.RINGING:
                task = replace(task, state=S.DUE, since=due, seat="", platform="", last=task.last or "steps-lost")
            case _:
                task = replace(task, state=S.ENDED, result=_spent(task) or "expired", since=due, ended_at=due)
    return task
