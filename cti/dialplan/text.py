"""What stands between the brackets of a dialplan line: variables, functions, expressions, arguments.

Knows: Asterisk's substitution (`${name:offset:length}`, `${FUNCTION(arguments)}`, `$[expression]`, and `#{…}` `#[…]` as
WaitForCondition writes them) and how arguments are separated. Must not know: what any of them means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

OPEN = {"{": "}", "[": "]", "(": ")"}
NAME = re.compile(r"[A-Za-z0-9_*-]*\Z")


class BadText(ValueError):
    """Brackets or quotes that do not close; the message says which, Chinese first."""


@dataclass(frozen=True, slots=True)
class Ref:
    """`${name}` or `${name(args)}`. ``name``: parts only known at run time are `*`. ``quoted``: within double quotes
    of the expression around it; ``in_expr``: some `$[…]` is the nearest thing around it."""

    name: str
    parts: tuple[Node, ...]
    args: str | None
    tail: str
    quoted: bool
    in_expr: bool


@dataclass(frozen=True, slots=True)
class Expr:
    """`$[…]`."""

    text: str
    parts: tuple[Node, ...]


Node = str | Ref | Expr


def close(text: str, start: int) -> int:
    """The index of the bracket that closes the one at ``start``, or -1."""
    opener = text[start]
    depth, i = 0, start
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        depth += (text[i] == opener) - (text[i] == OPEN[opener])
        if depth == 0:
            return i
        i += 1
    return -1


def opens(text: str, i: int) -> bool:
    """Does a variable or an expression begin here?"""
    return text[i] in "$#" and text[i + 1 : i + 2] in ("{", "[")


@lru_cache(maxsize=65536)
def parse(text: str, in_expr: bool = False) -> tuple[Node, ...]:
    """The parts of a text. Raises `BadText`."""
    out: list[Node] = []
    plain, quoted, i = "", False, 0
    while i < len(text):
        if text[i] == "\\":
            plain, i = plain + text[i : i + 2], i + 2
        elif opens(text, i):
            end = close(text, i + 1)
            if end < 0:
                raise BadText(f"{text[i : i + 2]} 没有闭合 / is never closed: {text[i : i + 40]}")
            if plain:
                out.append(plain)
            plain, inner = "", text[i + 2 : end]
            out.append(_ref(inner, quoted, in_expr) if text[i + 1] == "{" else Expr(inner, parse(inner, True)))
            i = end + 1
        else:
            quoted ^= text[i] == '"'
            plain, i = plain + text[i], i + 1
    if in_expr and quoted:
        raise BadText(f"引号没有成对 / a double quote has no partner: $[{text[:60]}]")
    if plain:
        out.append(plain)
    return tuple(out)


def _ref(inner: str, quoted: bool, in_expr: bool) -> Ref:
    i = 0
    while i < len(inner) and inner[i] not in "(:":
        i = close(inner, i + 1) + 1 if opens(inner, i) else i + 1
        if i == 0:
            raise BadText(f"${{ 没有闭合 / is never closed: {inner[:40]}")
    parts = parse(inner[:i])
    name = "".join(part if isinstance(part, str) else "*" for part in parts)
    if not NAME.match(name) or not name:
        raise BadText(
            f"不是变量名（括号或引号缺一） / no variable's name, some bracket or quote is missing: {name[:40]}"
        )
    args, tail = None, inner[i:]
    if inner[i : i + 1] == "(":
        end = close(inner, i)
        if end < 0:
            raise BadText(f"{name}( 没有闭合 / is never closed")
        args, tail = inner[i + 1 : end], inner[end + 1 :]
    if tail and not tail.startswith(":"):
        raise BadText(f"{name} 之后多出 / followed by: {tail[:20]}")
    return Ref(name, parts, args, tail, quoted, in_expr)


def refs(nodes: tuple[Node, ...]) -> Iterator[Ref]:
    """Every variable and function in it, those in names and arguments as well. Raises `BadText`."""
    for node in nodes:
        if isinstance(node, Expr):
            yield from refs(node.parts)
        elif isinstance(node, Ref):
            yield node
            yield from refs(node.parts)
            if node.args is not None:
                yield from refs(parse(node.args))


def exprs(nodes: tuple[Node, ...]) -> Iterator[Expr]:
    """Every `$[…]` in it, at any depth. Raises `BadText`."""
    for node in nodes:
        if isinstance(node, Expr):
            yield node
            yield from exprs(node.parts)
        elif isinstance(node, Ref):
            yield from exprs(node.parts)
            if node.args is not None:
                yield from exprs(parse(node.args))


def plains(nodes: tuple[Node, ...]) -> Iterator[str]:
    """Every piece of plain text in it, at any depth. Raises `BadText`."""
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, Expr):
            yield from plains(node.parts)
        else:
            yield from plains(node.parts)
            if node.args is not None:
                yield from plains(parse(node.args))


def split(text: str, separator: str = ",", most: int = -1, quotes: bool = True) -> list[str]:
    """Cut at separators that stand outside brackets, variables and quotes."""
    out: list[str] = []
    start = i = depth = 0
    quoted = False
    while i < len(text) and len(out) != most:
        if text[i] == "\\":
            i += 2
            continue
        if opens(text, i):
            i = (end := close(text, i + 1)) + 1
            if end < 0:
                break
            continue
        quoted ^= quotes and text[i] == '"'
        depth += (text[i] == "(") - (text[i] == ")")
        if text[i] == separator and depth <= 0 and not quoted:
            out.append(text[start:i])
            start = i + 1
        i += 1
    return [*out, text[start:]]


def balanced(text: str) -> bool:
    """Do the round brackets outside variables close?"""
    depth = i = 0
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        if opens(text, i):
            end = close(text, i + 1)
            if end < 0:
                return False
            i = end + 1
            continue
        depth += (text[i] == "(") - (text[i] == ")")
        if depth < 0:
            return False
        i += 1
    return depth == 0
