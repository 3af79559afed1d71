"""CELGenUserEvent: each step speaks once, under the name of the core's event, with its fields. Knows:
cti.core.events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields

from cti.ami.translate import LENT_STEPS
from cti.core import events as e
from cti.dialplan.finding import Finding
from cti.dialplan.model import Step
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, parse, split
from cti.problem import did_you_mean

UNHEARD = frozenset({"ref", "at"})
BY_READER = {"CallArrived": {"caller"}}
"""fields the reader of Asterisk's record fills in from the channel (cti.ami.translate)"""

OF_CALLS = frozenset({"LentSeatTried", "LentSeatAway"})
"""steps of a lent seat that belong to a call of ours"""


def spoken(subject: Subject) -> Iterator[Finding]:
    """A name the core does not have, JSON that is none, a field too few or unknown."""
    for step in subject.steps:
        for call in step.calls:
            if call.app == "CELGenUserEvent":
                parts = split(call.args, most=1, quotes=False)
                if parts[0].strip():
                    yield from _one(subject, step, parts[0].strip(), parts[1] if len(parts) > 1 else "")


def _one(subject: Subject, step: Step, name: str, text: str) -> Iterator[Finding]:
    known = {**e.BY_NAME, **dict.fromkeys(LENT_STEPS, e.Event)}
    kinds = []
    for shape in subject.values.shapes(name, step):
        if shape.text in known:
            kinds.append(known[shape.text])
        elif "*" not in shape.text:
            near = did_you_mean(shape.text, sorted(known))
            yield subject.finding(
                shape.line or step.line,
                "event-unknown",
                f"核心没有这个事件 / the core has no event {shape.text}",
                f"是否为 / did you mean: {near}" if near else "cti/core/events/",
            )
    try:
        found = json.loads("".join(n if isinstance(n, str) else "V" for n in parse(text)))
    except BadText:
        return
    except ValueError as why:
        yield subject.finding(step, "event-json", f"不是 JSON / no JSON: {why}", '{"ref":"${CALLREF}",…}')
        return
    if not isinstance(found, dict) or not all(isinstance(v, str) and not set(v) & set("{}$") for v in found.values()):
        yield subject.finding(
            step, "event-json", "须为字符串的 JSON 对象 / must be an object of strings", '{"ref":"${CALLREF}",…}'
        )
        return
    for kind in dict.fromkeys(kinds):
        if kind is not e.Event:
            yield from _fields(subject, step, kind, set(found))
            continue
        for field in ("seat", *(("ref",) if name in OF_CALLS else ())):  # a lent seat's step: kept as it is
            if field not in found:
                yield subject.finding(
                    step, "event-field", f"{name} 缺字段 / lacks the field {field}", f'"{field}":"${{…}}"'
                )


def _fields(subject: Subject, step: Step, kind: type[e.Event], given: set[str]) -> Iterator[Finding]:
    own = not issubclass(kind, (e.SeatEvent, e.PlanEvent))
    names = {f.name for f in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING} - UNHEARD
    needed = (needed | ({"ref"} if own else set())) - BY_READER.get(kind.__name__, set())
    for name in sorted(needed - given):
        yield subject.finding(
            step, "event-field", f"{kind.__name__} 缺字段 / lacks the field {name}", f'"{name}":"${{…}}"'
        )
    for name in sorted(given - names):
        near = did_you_mean(name, sorted(names - given))
        if near:
            yield subject.finding(
                step, "event-field", f"{kind.__name__} 没有字段 / has no field {name}", f"是否为 / did you mean: {near}"
            )


RULES = (spoken,)
