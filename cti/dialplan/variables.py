"""Who sets and who reads which variable. Knows: where a step does either. Must not know: whether that is right
(rules/variables.py).

Four kinds: ``plain`` (a channel's, or global), ``shared`` (SHARED()), ``family`` (AstDB), ``group`` (GROUP()). A
part of a name only known at
run time is `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cti.dialplan.model import Step
from cti.dialplan.parse import WRAPPERS
from cti.dialplan.refs import settings
from cti.dialplan.text import BadText, Ref, parse, refs, split
from cti.dialplan.values import Values, assignments, plain

BY_NAME = {
    "CUT",
    "FIELDQTY",
    "FIELDNUM",
    "SHIFT",
    "POP",
    "PUSH",
    "UNSHIFT",
    "FILTERPIPE",
    "REPLACE",
    "LISTFILTER",
    "EXISTS_VAR",
}
"""functions whose first argument is a variable's name, not its value"""


@dataclass(frozen=True, slots=True)
class Use:
    """One reading or setting."""

    kind: str
    name: str
    step: Step


@lru_cache(maxsize=1 << 20)
def overlaps(a: str, b: str) -> bool:
    """Can two names, each perhaps with unknown parts, be the same?"""
    return _fits(a, b.replace("*", "x")) or _fits(b, a.replace("*", "x"))


def _fits(shape: str, name: str) -> bool:
    """An unknown part is a word or a lower-case name: `LINE_*` is none of `LINE_OF_12345`."""
    return re.fullmatch(re.escape(shape).replace(r"\*", "(?:[^_]*|[a-z0-9_-]*)"), name) is not None


def reads(step: Step) -> Iterator[Use]:
    """What this step reads. Raises nothing: what does not read as a text is another rule's."""
    try:
        found = list(refs(parse(step.args)))
    except BadText:
        return
    for ref in found:
        for kind, name in _read(ref):
            yield Use(kind, name, step)


def _shape(text: str) -> str:
    try:
        return "".join(part if isinstance(part, str) else "*" for part in parse(text)).strip()
    except BadText:
        return "*"


def _read(ref: Ref) -> Iterator[tuple[str, str]]:
    if ref.args is None:
        yield "plain", ref.name
        return
    args = split(ref.args)
    if ref.name == "SHARED":
        yield "shared", _shape(args[0])
    elif ref.name in ("GLOBAL", "LOCAL"):
        yield "plain", _shape(args[0])
    elif ref.name == "IMPORT" and len(args) > 1:
        yield from _named(args[1])
    elif ref.name in BY_NAME:
        yield from _named(args[0])
    elif ref.name in ("DB", "DB_EXISTS", "DB_KEYS", "DB_DELETE"):
        yield "family", _shape(args[0]).split("/")[0]
    elif ref.name == "GROUP_COUNT" and "@" in ref.args:
        yield "group", _shape(ref.args.rpartition("@")[2])


def _named(text: str) -> Iterator[tuple[str, str]]:
    try:
        nodes = parse("${" + text.strip() + "}")
        for ref in refs(nodes):
            yield from _read(ref)
    except BadText:
        return


def writes(step: Step, values: Values) -> Iterator[Use]:
    """What this step sets."""
    for name, _ in assignments(step):
        yield Use("plain", name, step)
    for call in step.calls:
        if call.app not in ("Set", "MSet"):
            continue
        for left, _ in settings(call):
            for shape in values.shapes(left, step) if left.startswith("${") else ():
                if bare := plain(shape.text):
                    yield Use("plain", bare, step)
            yield from _written(left, step)


def _written(left: str, step: Step) -> Iterator[Use]:
    match = re.match(r"([A-Z_]+)\((.*)\)\Z", left, re.DOTALL)
    if match is None:
        if "$" in left and not left.startswith("${"):
            yield Use("plain", _shape(left).lstrip("_"), step)
        return
    args = split(match[2])
    if match[1] == "SHARED":
        yield Use("shared", _shape(args[0]), step)
    elif match[1] in ("GLOBAL", "LOCAL"):
        yield Use("plain", _shape(args[0]).lstrip("_"), step)
    elif match[1] == "EXPORT" and len(args) > 1 and "(" not in args[1]:
        yield Use("plain", _shape(args[1]), step)
    elif match[1] == "DB":
        yield Use("family", _shape(args[0]).split("/")[0], step)
    elif match[1] == "GROUP":
        yield Use("group", _shape(args[0]), step)


__all__ = ["WRAPPERS", "Use", "overlaps", "reads", "writes"]
