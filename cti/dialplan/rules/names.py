"""Applications and functions Asterisk does not have, and arguments they cannot do without."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cti.dialplan import known
from cti.dialplan.finding import Finding
from cti.dialplan.model import Call
from cti.dialplan.parse import CALL, branches
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, parse, refs, split
from cti.problem import did_you_mean

LEFT = re.compile(r"_*([A-Za-z][A-Za-z0-9_]*)\(")


def application_unknown(subject: Subject) -> Iterator[Finding]:
    """A name Asterisk has no application for (case does not matter to it)."""
    lower = {a.lower() for a in subject.applications}
    for step in subject.steps:
        for call in step.calls:
            if call.app and call.app.lower() not in lower and "$" not in call.app:
                near = did_you_mean(call.app, sorted(subject.applications))
                yield subject.finding(
                    step,
                    "app-unknown",
                    f"Asterisk 没有应用 / has no application {call.app}",
                    f"是否为 / did you mean: {near}" if near else "core show applications",
                )


def function_unknown(subject: Subject) -> Iterator[Finding]:
    """A name Asterisk has no function for: it would be read as an empty variable."""
    for step in subject.steps:
        try:
            found = [r.name for r in refs(parse(step.args)) if r.args is not None and "*" not in r.name]
        except BadText:
            continue
        for call in step.calls:
            if call.app in ("Set", "MSet"):
                found += [
                    m[1]
                    for part in (split(call.args) if call.app == "MSet" else [call.args])
                    if (m := LEFT.match(part.strip()))
                ]
        for name in dict.fromkeys(found):
            if name not in subject.functions:
                near = did_you_mean(name, sorted(subject.functions))
                yield subject.finding(
                    step,
                    "function-unknown",
                    f"Asterisk 没有函数 / has no function {name}()",
                    f"是否为 / did you mean: {near}" if near else "core show functions",
                )


def argument_missing(subject: Subject) -> Iterator[Finding]:
    """An argument left out."""
    for step in subject.steps:
        for call in step.calls:
            if cure := _missing(call):
                yield subject.finding(
                    step, "argument-missing", f"{call.app} 缺参数 / lacks an argument: {call.args[:40]}", cure
                )


def if_without_branches(subject: Subject) -> Iterator[Finding]:
    """`IF()` that has no question mark: always empty."""
    for step in subject.steps:
        try:
            bad = [r for r in refs(parse(step.args)) if r.name in ("IF", "IFTIME") and branches(r.args or "") is None]
        except BadText:
            continue
        if bad:
            yield subject.finding(
                step,
                "argument-missing",
                f"IF 缺分支 / has no branches: {(bad[0].args or '')[:40]}",
                "${IF(condition?a:b)}",
            )


def _missing(call: Call) -> str:
    parts = split(call.args, quotes=False)
    need = known.NEEDS.get(call.app, 0)
    if need and (len(parts) < need or not parts[need - 1].strip()):
        return f"第 {need} 个参数 / its argument {need}"
    if call.app in ("Set", "MSet"):
        for part in split(call.args) if call.app == "MSet" else [call.args]:
            pair = split(part, "=", most=1, quotes=False)
            if len(pair) < 2 or not pair[0].strip():
                return "name=value"
    if call.app in ("GotoIf", "GosubIf", "ExecIf"):
        found = branches(call.args)
        if found is None or not found[0].strip() or not (found[1].strip() or found[2].strip()):
            return "condition?if true:if false"
        if call.app == "ExecIf" and any(b.strip() and not CALL.match(b) for b in found[1:]):
            return "condition?App(…):App(…)"
    if call.app == "Originate" and len(parts) > 1 and parts[1].strip() not in ("app", "exten"):
        return "tech/data,app|exten,…"
    return ""


RULES = (application_unknown, function_unknown, argument_missing, if_without_branches)
