"""AGI must never hold a caller (a stuck service blocks AGI() without limit, a killed one looks like success). Knows:
where it may
stand, and what must be looked at after it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cti.dialplan import known
from cti.dialplan.finding import Finding
from cti.dialplan.model import Step
from cti.dialplan.refs import LOCAL
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, parse, refs, split

APPS = frozenset({"AGI", "EAGI", "FastAGI", "DeadAGI", "AsyncAGI"})


def unanswered(subject: Subject) -> Iterator[Finding]:
    """The step after AGI() must tell an answer from none: AGISTATUS, or better a token of our own that came back."""
    for step in subject.steps:
        if not any(c.app in APPS for c in step.calls):
            continue
        after = subject.flow.after.get(step, [])
        if not after or not all(_looks(s) for s in after):
            yield subject.finding(
                step,
                "agi-fallback",
                "AGI 之后没有查看是否真有答复 / nobody looks whether the service answered",
                "下一步查 AGISTATUS 或回传的令牌 / next step: a condition on AGISTATUS, or on a returned token",
            )


def _looks(step: Step) -> bool:
    if step.app not in ("GotoIf", "ExecIf", "GosubIf", "Set", "MSet") or "?" not in step.args:
        return False
    try:
        return any(r.name in known.AGI_ANSWERS or r.name.endswith("_TOKEN") for r in refs(parse(step.args)))
    except BadText:
        return False


def on_caller(subject: Subject) -> Iterator[Finding]:
    """AGI() only on a helper: a Local channel somebody originated with a time bound, and every way in is one."""
    for step in subject.steps:
        if any(c.app in APPS for c in step.calls) and not _helped(subject, step.context):
            yield subject.finding(
                step,
                "agi-unbounded",
                "AGI 没有时限：服务卡住，来电人也卡住 / AGI without a time bound: a stuck service holds the caller",
                "Originate(Local/…@context/n,app,NoOp,,,秒)，在那里 AGI / on a helper",
            )


def _helped(subject: Subject, context: str) -> bool:
    helped = False
    for lead in subject.leads:
        if not any(s.context == context for s in subject.comes(lead).steps) or lead.step.context == context:
            continue
        calls = [
            c
            for c in lead.step.calls
            if c.app == "Originate" and context in LOCAL.findall(re.sub(r"\$\{[^}]*\}", "x", c.args))
        ]
        if lead.kind != "jump" or not (calls or any(c.app == "SoftHangup" for c in lead.step.calls)):
            return False
        for call in calls:
            parts = split(call.args)
            helped |= len(parts) > 5 and bool(parts[5].strip())
    return helped


RULES = (unanswered, on_caller)
