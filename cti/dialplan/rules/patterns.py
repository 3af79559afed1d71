"""Patterns that take what was meant for another. Knows: which of two Asterisk looks at first (cti.dialplan.model)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cti.dialplan.finding import Finding
from cti.dialplan.model import SPECIAL, Extension, covers, pieces, regex, sort_key
from cti.dialplan.subject import Subject


def bad_pattern(subject: Subject) -> Iterator[Finding]:
    """A pattern that cannot be read, or one that takes everything, hang-up and time-out included."""
    for context in subject.plan.contexts.values():
        for name, e in context.extensions.items():
            if not name.startswith("_"):
                continue
            if pieces(name) in ((".",), ("!",)):
                yield subject.finding(
                    e.line, "pattern-all", f"{name} 连 i、t、h 也收走 / takes i, t and h as well", "_X."
                )
            try:
                regex(name)
            except re.error:
                yield subject.finding(
                    e.line, "brackets", f"号码样式读不通 / a pattern that does not read: {name}", "_[1-9]X"
                )


def shadowed(subject: Subject) -> Iterator[Finding]:
    """An extension no number can reach: another takes all of its numbers first. Or one that is written below a wider
    one, where
    it reads as if it came too late."""
    for context in subject.plan.contexts.values():
        extensions = [e for e in context.extensions.values() if _plain(e)]
        for e in extensions:
            for other in extensions:
                if other is e or not _covers(other.name, e.name):
                    continue
                first = sort_key(other.name) < sort_key(e.name) or (
                    _covers(e.name, other.name) and other.line.at < e.line.at
                )
                if e.name.startswith("_") and first:
                    yield _told(subject, e, other)
                elif (
                    other.line.made == e.line.made
                    and other.line.at < e.line.at
                    and _open(other.name)
                    and not _covers(e.name, other.name)
                ):
                    yield subject.finding(
                        other.line,
                        "pattern-order",
                        f"{other.name} 写在更具体的 {e.name} 之前 / is written above the "
                        f"narrower {e.name} ({e.line.file}:{e.line.number})",
                        "写到它之后：Asterisk 先看更具体的 / write it below: the narrower is looked at first",
                    )
                    break
        for included in subject.plan.reach(context.name)[1:]:
            for e in (e for e in included.extensions.values() if _plain(e)):
                for own in extensions:
                    if _covers(own.name, e.name):
                        yield _told(subject, e, own)


def _told(subject: Subject, e: Extension, by: Extension) -> Finding:
    return subject.finding(
        e.line,
        "shadowed",
        f"{e.name} 永远轮不到：被 {by.name} 遮住 / is never reached: {by.name} takes its numbers "
        f"({by.line.file}:{by.line.number})",
        "删去，或收窄另一个 / remove it, or narrow the other",
    )


def _covers(wide: str, narrow: str) -> bool:
    try:
        return covers(wide, narrow)
    except re.error:
        return False


def _open(name: str) -> bool:
    return name.startswith("_") and pieces(name)[-1:] in ((".",), ("!",))


def _plain(e: Extension) -> bool:
    return e.name not in SPECIAL and not e.hint and bool(e.steps)


RULES = (bad_pattern, shadowed)
