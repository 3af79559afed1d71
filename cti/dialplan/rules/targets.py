"""Where steps lead: contexts, extensions, priorities, labels, and what subroutines are given. Knows: names that are
not there, and
those nobody names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from cti.dialplan.finding import Finding
from cti.dialplan.model import SPECIAL, Step
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, parse, refs
from cti.dialplan.values import assignments
from cti.problem import did_you_mean

WORDS = {
    "context-unknown": "没有这个 context / there is no context",
    "exten-unknown": "没有这个号码 / there is no extension",
    "priority-unknown": "没有这个优先级 / there is no priority",
    "label-unknown": "没有这个标号 / there is no label",
}
ARG = re.compile(r"ARG([1-9])\Z")


def led_nowhere(subject: Subject) -> Iterator[Finding]:
    """A Goto, Gosub, option or handler that names what is not there."""
    for lead in subject.leads:
        for code, name, line, there in subject.comes(lead).missing:
            near = did_you_mean(name.partition(" @")[0], list(there))
            hint = f"是否为 / did you mean: {near}" if near else "写上它，或改这里 / write it, or change this"
            yield subject.finding(line, code, f"{WORDS[code]}: {name}", hint)


def context_unused(subject: Subject) -> Iterator[Finding]:
    """A context nobody leads to: not the dialplan, a phone, a key, the service."""
    used = (
        set(subject.entered)
        | {context for context, _ in subject.elsewhere}
        | {i for c in subject.plan.contexts.values() for i, _ in c.includes}
    )
    for lead in subject.leads:
        for e in subject.comes(lead).extensions:
            used |= {s.context for s in e.steps if s.context != lead.step.context}
    for name, context in subject.plan.contexts.items():
        if name not in used and not context.line.file.startswith("local.d/"):
            yield subject.finding(
                context.line,
                "context-unused",
                f"无处通向 [{name}] / nothing leads to [{name}]",
                "删去，或改正通向它的名字 / remove it, or mend the name that should lead here",
            )


def include_unknown(subject: Subject) -> Iterator[Finding]:
    """`include =>` of a context that is not there."""
    for context in subject.plan.contexts.values():
        for name, line in context.includes:
            if name not in subject.plan.contexts:
                yield subject.finding(line, "context-unknown", f"{WORDS['context-unknown']}: {name}")


def exten_unused(subject: Subject) -> Iterator[Finding]:
    """An extension nobody leads to, in a context nothing enters with a number of its own."""
    used = {id(e) for lead in subject.leads for e in subject.comes(lead).extensions if lead.exten}
    dialled = {n for n, who in subject.entered.items() if who != "service"}
    asks = {s.context for s in subject.steps for c in s.calls if c.app in ("WaitExten", "Background")}
    for name, context in subject.plan.contexts.items():
        if name in dialled or name in asks or context.line.file.startswith("local.d/"):
            continue
        if all(id(e) not in used for e in context.extensions.values()) and name not in subject.entered:
            continue
        for e in context.extensions.values():
            by_service = name in subject.entered and (e.name.startswith("_X") or e.name == "s")
            if id(e) not in used and not by_service and not e.hint and (name, e.name) not in subject.elsewhere:
                yield subject.finding(
                    e.line,
                    "exten-unused",
                    f"无处通向 {e.name} @ {name} / nothing leads to it",
                    "删去，或改正号码 / remove it, or mend the number",
                )


def label_unused(subject: Subject) -> Iterator[Finding]:
    """A label nobody jumps to."""
    used: set[Step] = {s for lead in subject.leads for s in subject.comes(lead).steps if not lead.priority.isdecimal()}
    for step in subject.steps:
        if step.label and step not in used and not step.line.file.startswith("local.d/"):
            yield subject.finding(
                step,
                "label-unused",
                f"无处跳到标号 {step.label} / nothing jumps to label {step.label}",
                "删去，或改正跳到它的名字 / remove it, or mend the name that should jump here",
            )


def _takes(subject: Subject) -> dict[str, dict[int, list[Step]]]:
    """ARGn each context reads, with those of contexts it goes on to with the same arguments."""
    out: dict[str, dict[int, list[Step]]] = defaultdict(lambda: defaultdict(list))
    for step in subject.steps:
        try:
            found = [
                m for r in refs(parse(step.args)) for n in (r.name, (r.args or "").split(",")[0]) if (m := ARG.match(n))
            ]
        except BadText:
            continue
        for match in found:
            out[step.context][int(match[1])].append(step)
    for _ in range(4):
        for lead in subject.leads:
            for e in subject.comes(lead).extensions if lead.kind == "goto" else ():
                for context in {s.context for s in e.steps} - {lead.step.context}:
                    for n, steps in list(out[context].items()):
                        known = out[lead.step.context][n]
                        known += [s for s in steps if s not in known]
    return out


def args_extra(subject: Subject) -> Iterator[Finding]:
    """A subroutine is given more than it reads, or reads what nobody gives it."""
    takes, given = _takes(subject), defaultdict[str, int](int)
    for lead in subject.leads:
        if lead.kind != "gosub" or lead.args is None:
            continue
        for context in {s.context for s in subject.comes(lead).steps}:
            count = len(lead.args)
            given[context] = max(given[context], count)
            most = max(takes[context], default=0)
            last = lead.args[-1].strip() if lead.args else ""
            if count > most and last and subject.comes(lead).exact:
                yield subject.finding(
                    lead.step,
                    "args-extra",
                    f"[{context}] 只读 {most} 个参数，这里给了 {count} 个 / reads {most} arguments, is given {count}",
                    "删去多的，或改正名字 / drop them, or mend the name",
                )
    for context, reads in takes.items():
        for n, steps in reads.items():
            entered = any(
                lead.kind == "gosub" and context in {s.context for s in subject.comes(lead).steps}
                for lead in subject.leads
            )
            own = [s for s in steps if s.context == context]
            if entered and n > given[context] and own:
                yield subject.finding(
                    own[0],
                    "args-never",
                    f"没有人给 [{context}] 第 {n} 个参数 / nobody gives [{context}] an ARG{n}",
                    "改正编号，或在 Gosub 处给出 / mend the number, or give it where it is called",
                )


def args_missing(subject: Subject) -> Iterator[Finding]:
    """A call leaves out what the routine takes for granted: it never asks whether it is empty."""
    takes = _takes(subject)
    for lead in subject.leads:
        if lead.kind != "gosub" or lead.args is None or not subject.comes(lead).exact:
            continue
        for step in subject.comes(lead).steps:
            names = {s.exten for s in subject.steps if s.context == step.context}
            for n, steps in takes[step.context].items():
                own = [s for s in steps if s.context != step.context or len(names) == 1 or s.exten == step.exten]
                if n > len(lead.args) and own and not any(_asks(s, n) for s in steps):
                    yield subject.finding(
                        lead.step,
                        "args-missing",
                        f"[{step.context}] 要第 {n} 个参数，没有给 / needs ARG{n}, is not given it",
                        f"见 / see {own[0].line.file}:{own[0].line.number}",
                    )


def _asks(step: Step, n: int) -> bool:
    """Empty is as good: compared as a text, or kept as it is."""
    name = f"ARG{n}"
    if any(value == f"${{{name}}}" for _, value in assignments(step)):
        return True
    try:
        return any(r.name == name and r.quoted for r in refs(parse(step.args)))
    except BadText:
        return False


RULES = (led_nowhere, context_unused, include_unknown, exten_unused, label_unused, args_extra, args_missing)
__all__ = ["RULES", "SPECIAL"]
