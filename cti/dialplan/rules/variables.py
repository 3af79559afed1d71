"""Variables read that nothing sets, or set that nothing reads: mostly a name written two ways. Knows:
cti.dialplan.variables, and what
Asterisk and the service do by themselves (cti.dialplan.known)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cti.dialplan import known
from cti.dialplan.finding import Finding
from cti.dialplan.model import Line
from cti.dialplan.subject import Subject
from cti.dialplan.variables import Use, overlaps, reads, writes
from cti.problem import did_you_mean

WORDS = {
    "plain": ("变量", "variable"),
    "shared": ("共享变量 SHARED()", "shared variable"),
    "family": ("AstDB 族", "AstDB family"),
    "group": ("GROUP 类", "group"),
}
ARG = re.compile(r"ARG\d\Z")
TABLE = re.compile(r"^([A-Z_]+_)\{\{", re.MULTILINE)
"""a table of globals, one a seat, hotline, trunk…: a site may have none"""
TEMPLATE = re.compile(r"[(,]_*([A-Z][A-Z0-9_]+)=\{\{")


def _beforehand(subject: Subject) -> dict[str, set[str]]:
    phones = {v.partition("=")[0].lstrip("_") for s in subject.site.pjsip for k, v, _ in s.settings if k == "set_var"}
    # what a template sets for some site, though not for this one
    phones |= {name for text in subject.sources.templates.values() for name in TEMPLATE.findall(text)}
    return {
        "plain": {*known.OWN_VARIABLES, *known.SERVICE_SETS, *subject.plan.globals, *phones},
        "shared": set(known.SERVICE_SHARES),
        "family": set(known.SERVICE_FAMILIES),
        "group": set(),
    }


def _has(name: str, names: Iterable[str]) -> bool:
    return any(overlaps(name, n) for n in names)


def never_set(subject: Subject) -> Iterator[Finding]:
    """Read, and never set by anybody: always empty."""
    read, written = _uses(subject)
    there = _beforehand(subject)
    for use in written:
        there[use.kind].add(use.name)
    tables = {f"{name}*" for text in subject.sources.templates.values() for name in TABLE.findall(text)} | {"ROUTE_*"}
    told: set[tuple[object, str]] = set()
    for use in read:
        if ARG.match(use.name) or _has(use.name, there[use.kind]) or (use.step, use.name) in told or use.name == "*":
            continue
        if "*" in use.name and use.kind == "plain" and _has(use.name, tables):
            continue
        told.add((use.step, use.name))
        zh, en = WORDS[use.kind]
        near = did_you_mean(use.name, sorted(there[use.kind]))
        yield subject.finding(
            use.step,
            "never-set",
            f"{zh} {use.name} 从未赋值 / {en} {use.name} is never set",
            f"是否为 / did you mean: {near}" if near else "Set(…)，或改名 / set it, or mend the name",
        )


def never_read(subject: Subject) -> Iterator[Finding]:
    """Set, and never read by anybody: most likely another name was meant."""
    read, written = _uses(subject)
    wanted = {
        "plain": known.OWN_SETTINGS | known.SERVICE_READS,
        "shared": frozenset[str](),
        "family": known.SERVICE_FAMILIES,
        "group": frozenset[str](),
    }
    names: dict[str, set[str]] = {kind: set(found) for kind, found in wanted.items()}
    for use in read:
        names[use.kind].add(use.name)
    features = {n for s in subject.site.features if s.name == "applicationmap" for n, _, _ in s.settings}
    for use in written:
        if (
            use.name in ("*", "")
            or ARG.match(use.name)
            or _has(use.name, names[use.kind] - {"*"})
            or use.name in features
        ):
            continue
        zh, en = WORDS[use.kind]
        near = did_you_mean(use.name, sorted(names[use.kind]))
        yield subject.finding(
            use.step,
            "never-read",
            f"{zh} {use.name} 无人读取 / {en} {use.name} is never read",
            f"是否为 / did you mean: {near}" if near else "删去，或改名 / remove it, or mend the name",
        )
    for name, (_, line) in subject.plan.globals.items():
        wanted_ = names["plain"] - {"*"}
        if not (_has(name, wanted_) if _in_table(subject, line) else name in wanted_):
            yield subject.finding(
                line, "never-read", f"全局变量 {name} 无人读取 / global {name} is never read", "删去 / remove it"
            )


def _in_table(subject: Subject, line: Line) -> bool:
    """Is this global one of a table, read by a name that is put together?"""
    text = subject.sources.templates.get(line.file, "").splitlines()
    return not text or "{{" in text[line.number - 1].partition("=")[0]


def _uses(subject: Subject) -> tuple[list[Use], list[Use]]:
    read = [u for s in (*subject.steps, *subject.keys) for u in reads(s)]
    return read, [u for s in subject.steps for u in writes(s, subject.values)]


RULES = (never_set, never_read)
