"""Places without a time-out: a caller must be able to get out of each by himself. Knows: which argument of which
application
is its bound (Asterisk 22's own documentation)."""

from __future__ import annotations

from collections.abc import Iterator

from cti.dialplan.finding import Finding
from cti.dialplan.model import Call, Step
from cti.dialplan.refs import options_of
from cti.dialplan.subject import Subject
from cti.dialplan.text import split

BOUND_AT = {
    "Wait": 0,
    "WaitExten": 0,
    "WaitForCondition": 2,
    "Dial": 1,
    "Queue": 4,
    "Read": 5,
    "Record": 2,
    "MusicOnHold": 1,
    "WaitMusicOnHold": 0,
    "Originate": 5,
    "Congestion": 0,
    "Busy": 0,
    "WaitForSilence": 2,
    "Park": 1,
    "ReadExten": 4,
}
"""application → which argument, from 0, is its bound"""
BOUND_BY = {"BridgeWait": (2, "S")}
"""application → (argument of its options, option that bounds it)"""
ENDLESS = frozenset({"Echo", "ConfBridge", "Milliwatt", "Page", "MeetMe"})
CLOCK = "TIMEOUT(absolute)"


def unbounded(subject: Subject) -> Iterator[Finding]:
    """A wait that has no end of its own."""
    for step in subject.steps:
        for call in step.calls:
            if (how := _missing(call)) and not (call.app in ENDLESS and _clocked(subject, step)):
                yield subject.finding(
                    step, "no-timeout", f"{call.app} 没有时限 / has no time bound: {call.args[:40]}", how
                )


def _missing(call: Call) -> str:
    parts = split(call.args)
    if call.app in ENDLESS:
        return f"之前 Set({CLOCK}=秒) / before it: Set({CLOCK}=seconds)"
    if call.app in BOUND_AT:
        at = BOUND_AT[call.app]
        given = parts[at].strip() if len(parts) > at else ""
        if not given or given in ("0", "-1"):
            return f"第 {at + 1} 个参数，秒 / its argument {at + 1}, s"
    if call.app in BOUND_BY:
        at, letter = BOUND_BY[call.app]
        options = parts[at] if len(parts) > at else ""
        if not any(found == letter and inner.strip() for found, inner in options_of(options)):
            return f"选项 {letter}(秒) / its option {letter}(seconds)"
    return ""


def _clocked(subject: Subject, step: Step) -> bool:
    return any(
        CLOCK in s.args and s.app in ("Set", "MSet")
        for s in subject.plan.contexts[step.context].extensions[step.exten].steps
        if s.priority < step.priority
    )


RULES = (unbounded,)
