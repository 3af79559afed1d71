"""Which prompts the dialplan and the IVR name, and where. Pure but for reading the files.

Knows: `${SOUNDS}/name` in a dialplan, the AGI verbs that play, the keys of an IVR menu. Must not know: what is listed.
A name with a variable in it (`why-${WHY}`) is a pattern; one that is a variable alone says nothing by itself: its
values stand elsewhere as words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cti.yamlfile import load

_SOUNDS: Final = "${SOUNDS}/"
_END: Final = frozenset(",&)|]} \t")
_VERBS: Final = frozenset({"stream_file", "get_data", "get_option", "control_stream_file", "play", "say_prompt"})
_KEYS: Final = frozenset({"prompt", "prompts", "play", "hears"})
_CODE: Final = re.compile(r"\bCODE=([a-z][a-z0-9-]+)")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Named:
    """A prompt somebody plays: ``name`` may hold ``*`` for what is known only at run time."""

    file: str
    line: int
    name: str

    @property
    def literal(self) -> bool:
        return "*" not in self.name

    def fits(self, prompt: str) -> bool:
        return re.fullmatch(".+".join(map(re.escape, self.name.split("*"))), prompt) is not None


@dataclass(slots=True)
class Texts:
    """What was read: the names, every word (a prompt may be the value of a variable), the codes a seat is told."""

    named: list[Named] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    codes: list[Named] = field(default_factory=list)


def look(dialplan: Path, ivr: Path | None, menus: Path | None) -> Texts:
    """Read a folder of dialplan files, one of IVR scripts and one of IVR menus (absent: none)."""
    texts = Texts()
    for path in sorted(dialplan.glob("*.conf*")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith(";"):
                continue
            texts.words.update(_WORD.findall(line))
            texts.named += [Named(str(path), number, name) for name in dialplan_names(line)]
            texts.codes += [Named(str(path), number, found[1]) for found in _CODE.finditer(line)]
    for path in sorted(ivr.glob("*.py")) if ivr else ():
        texts.named += list(_script(path))
        texts.words.update(_WORD.findall(path.read_text(encoding="utf-8")))
    for path in sorted(menus.glob("*.yaml")) if menus and menus.is_dir() else ():
        texts.named += list(_menu(path))
    return texts


def dialplan_names(line: str) -> Iterator[str]:
    """The prompts of one line: `Playback(${SOUNDS}/why-${WHY})` names ``why-*``; an `IF` of two words names both."""
    at = line.find(_SOUNDS)
    while at >= 0:
        start = at + len(_SOUNDS)
        if found := re.match(r"\$\{IF\(.*\?([a-z0-9-]+):([a-z0-9-]+)\)\}", line[start:]):
            yield from found.groups()
        else:
            name = _token(line, start).removesuffix(".wav")
            if name.strip("*"):
                yield re.sub(r"\*+", "*", name)
        at = line.find(_SOUNDS, start)


def _token(line: str, at: int) -> str:
    made = ""
    while at < len(line) and line[at] not in _END:
        if line.startswith("${", at):
            depth = 0
            while at < len(line):
                depth += (line[at] == "{") - (line[at] == "}")
                at += 1
                if line[at - 1] == "}" and depth == 0:
                    break
            made += "*"
        else:
            made += line[at]
            at += 1
    return made


def _script(path: Path) -> Iterator[Named]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        verb = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if verb in _VERBS and isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value:
            yield Named(str(path), node.lineno, first.value.rsplit("/", 1)[-1])


def _menu(path: Path) -> Iterator[Named]:
    document = load(path)

    def walk(value: object, way: tuple[str | int, ...]) -> Iterator[Named]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, (*way, str(key)))
        elif isinstance(value, (list, tuple)):
            for index, inner in enumerate(value):
                yield from walk(inner, (*way, index))
        elif isinstance(value, str) and any(step in _KEYS for step in way) and re.fullmatch(r"[a-z][a-z0-9-]+", value):
            yield Named(str(path), document.mark(way).line, value)

    yield from walk(document.value, ())
