"""The order of steps: ends that are none, steps never come to, loops without rest. Knows: cti.dialplan.flow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cti.dialplan import flow
from cti.dialplan.finding import Finding
from cti.dialplan.model import Step
from cti.dialplan.parse import branches
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, parse, refs, split
from cti.dialplan.values import assignments

CLOCK = frozenset({"EPOCH", "STRFTIME"})


def falls_off(subject: Subject) -> Iterator[Finding]:
    """An extension whose last step lets go of the call without a word."""
    live = _live(subject)
    for step in subject.flow.falls:
        if step in live:
            yield subject.finding(
                step,
                "no-exit",
                f"{step.exten} @ {step.context} 到此没有下文：通话无声地断 / ends here: the call is dropped in silence",
                "Hangup()、Return() 或 Goto(…) / one of these as the last step",
            )


def _live(subject: Subject) -> set[Step]:
    starts = [e.steps[0] for c in subject.plan.contexts.values() for e in c.extensions.values() if e.steps]
    starts += [s for lead in subject.leads for s in subject.comes(lead).steps]
    return flow.reachable(starts, subject.flow)


def unreachable(subject: Subject) -> Iterator[Finding]:
    """A step behind a Goto, Hangup or Return that nothing jumps to."""
    live = _live(subject)
    for context in subject.plan.contexts.values():
        for e in context.extensions.values():
            before: Step | None = None
            for step in e.steps:
                if step not in live and (before is None or before in live):
                    yield subject.finding(
                        step,
                        "unreachable",
                        f"走不到这一步 / never come to: {step.text[:50]}",
                        "加标号并跳到它，或删去 / a label and a jump, or remove it",
                    )
                before = step


def no_first(subject: Subject) -> Iterator[Finding]:
    """An extension without priority 1."""
    for context in subject.plan.contexts.values():
        for e in context.extensions.values():
            if e.steps and e.at("1") is None:
                yield subject.finding(
                    e.line, "priority", f"{e.name} 没有优先级 1 / has no priority 1", "exten => …,1,…"
                )


def loops(subject: Subject) -> Iterator[Finding]:
    """Steps that can follow one another for ever with no wait in between, nor a count that ends them."""
    rests = {s for s in subject.steps if _rests(subject, s)}
    for part in flow.cycles(subject.steps, subject.flow, rests):
        inside = set(part)
        moved = _progress(part)
        moved |= {n for s in _latches(part) for n, v in assignments(s) if _tests(part, n, v)}
        ends = [
            s
            for s in part
            if _asks(s, moved) and (any(n not in inside for n in subject.flow.after[s]) or "Ex" in s.app)
        ]
        counts = {s for s in part if any(n in moved for n, _ in assignments(s))} | _latches(part)
        if ends and not flow.cycles(part, subject.flow, rests | counts):
            continue
        if ends and any(_names(s.args) & CLOCK for s in ends):
            continue
        last = max(part, key=lambda s: (_back(subject, s, inside), s.line.at))
        first = min(part, key=lambda s: s.line.at)
        yield subject.finding(
            last,
            "loop",
            f"从 {first.line.file}:{first.line.number} 起可无休止地循环 / can go round from there for "
            "ever without a rest",
            "Wait()，或计数并据此退出 / a Wait(), or a count that leads out",
        )


def _back(subject: Subject, step: Step, inside: set[Step]) -> bool:
    return any(n in inside and n.line.at <= step.line.at for n in subject.flow.after[step])


def _rests(subject: Subject, step: Step, deep: bool = True) -> bool:
    if any(c.app in flow.WAITS for c in step.calls):
        return True
    if not deep or step.app != "Gosub":
        return False
    inner = {s.context for lead in subject.leads if lead.step is step for s in subject.comes(lead).steps}
    return any(_rests(subject, s, False) for s in subject.steps if s.context in inner)


def _names(text: str) -> set[str]:
    try:
        out = set()
        for ref in refs(parse(text)):
            out.add(ref.name)
            if ref.args:
                out.add(split(ref.args)[0])
        return out
    except BadText:
        return set()


def _progress(part: list[Step]) -> set[str]:
    """Variables that come nearer to an end with each round, and what is worked out from them."""
    moved: set[str] = set()
    for step in part:
        for name, value in assignments(step):
            if name in _names(value):
                moved.add(name)
            moved |= {m for m in re.findall(r"\$\{(?:SHIFT|POP)\((\w+)", value)}
    for _ in range(3):
        for step in part:
            for name, value in assignments(step):
                if _names(value) & moved:
                    moved.add(name)
    return moved


def _latches(part: list[Step]) -> set[Step]:
    """Steps that set what a condition of the loop compares with that very value: once through is enough."""
    return {s for s in part if any("$" not in v and _tests(part, n, v) for n, v in assignments(s))}


def _tests(part: list[Step], name: str, value: str) -> bool:
    return any(f'"${{{name}}}"="{value}"' in s.args for s in part if s.app in ("GotoIf", "ExecIf"))


def _asks(step: Step, moved: set[str]) -> bool:
    if step.app not in ("GotoIf", "ExecIf"):
        return False
    found = branches(step.args)
    return found is not None and bool(_names(found[0]) & (moved | CLOCK))


RULES = (falls_off, unreachable, no_first, loops)
