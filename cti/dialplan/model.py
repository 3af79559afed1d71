"""A dialplan as values. Knows: contexts, extensions, steps, and how an extension's pattern matches. Must not know:
files,
rules."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from functools import lru_cache

SPECIAL = frozenset({"s", "i", "t", "h", "a", "e", "o", "T"})
CLASS = {"X": "0-9", "Z": "1-9", "N": "2-9"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line after its template was filled in; ``file`` and ``number`` say where it was written."""

    file: str
    number: int
    text: str
    made: str
    """the file it stands in, filled in"""
    at: int
    """its line there"""


@dataclass(frozen=True, slots=True)
class Call:
    """An application and its arguments. ``always`` false: only if a condition held (ExecIf)."""

    app: str
    args: str
    always: bool = True


@dataclass(eq=False, slots=True)
class Step:
    """One priority."""

    context: str
    exten: str
    priority: int
    label: str
    app: str
    args: str
    line: Line
    calls: tuple[Call, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.app}({self.args})"


@dataclass(slots=True)
class Extension:
    """One number or pattern of a context."""

    name: str
    line: Line
    steps: list[Step] = field(default_factory=list)
    hint: bool = False
    device: str = ""
    """what a hint watches"""

    def at(self, where: str) -> Step | None:
        """The step of this priority or label."""
        return next((s for s in self.steps if where in (str(s.priority), s.label)), None)


@dataclass(slots=True)
class Context:
    name: str
    line: Line
    """where it is written first"""
    sections: list[Line] = field(default_factory=list)
    extensions: dict[str, Extension] = field(default_factory=dict)
    includes: list[tuple[str, Line]] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """All of extensions.conf and what it includes."""

    contexts: dict[str, Context] = field(default_factory=dict)
    globals: dict[str, tuple[str, Line]] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        return [s for c in self.contexts.values() for e in c.extensions.values() for s in e.steps]

    def reach(self, context: str) -> list[Context]:
        """The context and what it includes, in the order they are searched."""
        out: list[Context] = []
        todo = [context]
        while todo:
            name = todo.pop(0)
            found = self.contexts.get(name)
            if found and found not in out:
                out.append(found)
                todo[:0] = [i for i, _ in found.includes]
        return out

    def find(self, context: str, exten: str) -> list[Extension]:
        """The extensions a number (``*`` in it: whatever) can lead to; the best match alone for one without ``*``."""
        out: list[Extension] = []
        for one in self.reach(context):
            if "*" not in exten:
                if exten in one.extensions and not one.extensions[exten].hint:
                    return [one.extensions[exten]]
                fits = [e for e in one.extensions.values() if not e.hint and matches(e.name, exten)]
                if fits:
                    return [min(fits, key=lambda e: sort_key(e.name))]
            else:
                out += [e for e in one.extensions.values() if not e.hint and could_match(e.name, exten)]
        return out


@lru_cache(maxsize=4096)
def pieces(pattern: str) -> tuple[str, ...]:
    """A pattern without its `_`, character by character: each a regex class, or `.` or `!`."""
    out, i, body = [], 0, pattern[1:]
    while i < len(body):
        if body[i] == "[" and "]" in body[i:]:
            end = body.index("]", i)
            out.append(body[i + 1 : end].replace("\\", "\\\\").replace("^", "\\^"))
            i = end
        elif body[i] in CLASS:
            out.append(CLASS[body[i]])
        elif body[i] in ".!":
            out.append(body[i])
            break
        elif body[i] not in "- ":
            out.append(re.escape(body[i]))
        i += 1
    return tuple(out)


@lru_cache(maxsize=4096)
def regex(pattern: str) -> re.Pattern[str]:
    """What a pattern matches. Raises re.error for a class that is none."""
    text = "".join({".": ".+", "!": ".*"}.get(p, f"[{p}]" if not p.startswith("\\") else p) for p in pieces(pattern))
    return re.compile(text, re.DOTALL)


def matches(name: str, number: str) -> bool:
    """Is the number this extension, or within its pattern?"""
    if not name.startswith("_"):
        return name == number
    try:
        return regex(name).fullmatch(number) is not None
    except re.error:
        return False


def could_match(name: str, shape: str) -> bool:
    """As `matches`, for a number with unknown parts (`*`)."""
    return name.startswith("_") or fnmatch.fnmatchcase(name, shape)


def width(piece: str) -> int:
    """How many characters a piece of a pattern stands for."""
    if piece in (".", "!"):
        return 1000 + (piece == "!")
    return sum(
        re.fullmatch(f"[{piece}]" if not piece.startswith("\\") else piece, chr(c)) is not None for c in range(32, 127)
    )


def sort_key(name: str) -> tuple[int, ...]:
    """Asterisk looks at the narrower pattern first, character by character; a number goes before any pattern."""
    return tuple(map(width, pieces(name))) if name.startswith("_") else ()


def covers(wide: str, narrow: str) -> bool:
    """Does ``wide`` match all that ``narrow`` does? Decided piece by piece."""
    if not wide.startswith("_"):
        return wide == narrow
    if not narrow.startswith("_"):
        return matches(wide, narrow)
    w, n = list(pieces(wide)), list(pieces(narrow))
    while w and n:
        if w[0] == "!" or (w[0] == "." and n[0] != "!"):
            return True
        if n[0] in (".", "!") or w[0] == ".":
            return False
        if any(_in(n[0], c) and not _in(w[0], c) for c in range(32, 127)):
            return False
        w.pop(0), n.pop(0)
    return (not w and not n) or w == ["!"]


def _in(piece: str, code: int) -> bool:
    return re.fullmatch(f"[{piece}]" if not piece.startswith("\\") else piece, chr(code)) is not None
