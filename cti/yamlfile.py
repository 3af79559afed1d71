"""YAML files that remember where every key and value stands, and say what is wrong with them in words.

Knows: YAML bytes, their positions, and how to turn a parser's error into a `Problem`.
Must not know: what the files mean.

Stricter than YAML on purpose: no duplicate keys (YAML 1.2 §3.2.1.3 forbids them, parsers let the last one
win), no aliases and no merge keys (a telephone directory needs neither, and an alias can unfold to any size),
one document.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from cti.problem import Problem, Way, dotted

MAX_BYTES: Final = 4 << 20
MAX_DEPTH: Final = 32

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ~10x faster, same events and marks


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column from 1, columns in characters."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """A file's plain value (`None` if unreadable), the mark of every key and value, and its problems."""

    file: str
    value: Any = None
    keys: dict[Way, Mark] = field(default_factory=dict)
    values: dict[Way, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def mark(self, path: Way, *, key: bool = False) -> Mark:
        """The mark of a value (or of its key), or of the nearest thing above it that exists."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Mark(1, 1))

    def problem(
        self,
        path: Way,
        message: str,
        cure: str = "",
        *,
        key: bool = False,
        level: Literal["error", "warning"] = "error",
    ) -> Problem:
        """A `Problem` at `path` in this file."""
        mark = self.mark(path, key=key)
        return Problem(self.file, mark.line, dotted(path), message, cure, mark.column, level)


def load(path: Path) -> Document:
    """Read one YAML file. Never raises for what it holds or for its absence: see `problems`."""
    document = Document(str(path))
    try:
        parse(_read(path), document)
    except _Refused as refused:
        document.problems.append(refused.problem)
    return document


def parse(text: str, document: Document) -> None:
    """Parse `text` into `document`: its value, marks and problems."""
    builder = _Builder(document)
    try:
        builder.build(iter(yaml.parse(text, Loader=_PARSER)))
    except _Refused as refused:
        document.problems.append(refused.problem)
    except yaml.YAMLError as error:
        document.problems.append(_syntax(text, error, document.file))
    if document.problems:
        document.value = None


def _read(path: Path) -> str:
    def refused(message: str, cure: str, line: int = 0) -> _Refused:
        return _Refused(Problem(str(path), line, "", message, cure, 1 if line else 0))

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise refused("不是普通文件 / not a regular file", "换成 YAML 文件 / put a YAML file here")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refused(
            "文件不存在 / file not found", "从样例 config/ 复制 / copy it from the shipped config/"
        ) from None
    except OSError as error:
        raise refused(
            f"无法读取 / cannot read: {error.strerror}", "检查权限 / check the permissions"
        ) from None
    if len(data) > MAX_BYTES:
        raise refused("文件过大 / file too large", f"上限 {MAX_BYTES} 字节 / the limit is {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        guess = _legacy_encoding(data)
        raise refused(
            f"不是 UTF-8 编码（疑为 {guess}） / not UTF-8 (looks like {guess})",
            f"iconv -f {guess} -t UTF-8 {path.name} > new.yaml",
            line,
        ) from None


def _legacy_encoding(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return "LATIN1"
    return "GB18030"


class _Refused(Exception):
    """Parsing stops here: the rest could not be trusted."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Builder:
    """Composes plain values from parser events; yaml's composer keeps no key marks and unfolds aliases."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.scalars: Any = yaml.SafeLoader(
            ""
        )  # YAML 1.1 implicit types, as everybody's SafeLoader reads them

    def build(self, events: Iterator[Any]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(
                        event,
                        (),
                        "一个文件只许一个 YAML 文档 / only one YAML document in a file",
                        "删去第二个 --- / remove the second ---",
                    )
            elif isinstance(event, yaml.NodeEvent):
                self.document.value = self._node(event, events, ())
        if self.document.value is None and not self.document.problems:
            self.document.problems.append(
                Problem(
                    self.document.file,
                    0,
                    "",
                    "文件是空的 / the file is empty",
                    "没有条目也要写出列表，如 trunks: [] / write an empty list, e.g. trunks: []",
                )
            )

    def _node(self, event: Any, events: Iterator[Any], path: Way) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise self._refuse(
                event,
                path,
                f"不支持别名 *{event.anchor} / aliases are not supported: *{event.anchor}",
                f'按键代码请加引号 / a key code needs quotes: "*{event.anchor}"',
            )
        if len(path) > MAX_DEPTH:
            raise self._refuse(
                event, path[:3], f"嵌套超过 {MAX_DEPTH} 层 / nested deeper than {MAX_DEPTH} levels", ""
            )
        self.document.values[path] = _mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _sequence(self, events: Iterator[Any], path: Way) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: Way) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if isinstance(event, yaml.AliasEvent):
                self._node(event, events, path)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refuse(
                    event,
                    path,
                    "键必须是文字 / a key must be a word",
                    "检查冒号和引号 / check colons and quotes",
                )
            key = self._scalar(event, path)
            if not isinstance(key, str):
                raise self._refuse(
                    event,
                    path,
                    f"键 {event.value} 不是文字 / key {event.value} is not a string",
                    f'加引号 / put it in quotes: "{event.value}"',
                )
            here = (*path, key)
            if key in result:
                first = self.document.keys[here].line
                said = f"重复的键 {key}，第 {first} 行已有 / duplicate key '{key}', first on line {first}"
                self.document.problems.append(
                    self._refuse(event, here, said, "删去其一 / remove one of them").problem
                )
            self.document.keys[here] = _mark(event.start_mark)
            result[key] = self._node(next(events), events, here)
        return result

    def _scalar(self, event: Any, path: Way) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self.scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == "tag:yaml.org,2002:merge":
            raise self._refuse(event, path, "不支持合并键 << / merge keys are not supported", "")
        try:
            return self.scalars.construct_object(yaml.ScalarNode(tag, event.value))
        except (yaml.YAMLError, ValueError, OverflowError):
            raise self._refuse(
                event,
                path,
                f"无法读作 {tag.rpartition(':')[2]} / not a valid {tag.rpartition(':')[2]}",
                "文字请加引号 / put text in quotes",
            ) from None

    def _refuse(self, event: Any, path: Way, message: str, cure: str) -> _Refused:
        mark = _mark(event.start_mark)
        return _Refused(Problem(self.document.file, mark.line, dotted(path), message, cure, mark.column))


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _syntax(text: str, error: yaml.YAMLError, file: str) -> Problem:
    mark: Any = getattr(error, "problem_mark", None)
    if "end of stream" in str(
        getattr(error, "problem", "")
    ):  # an open quote: show where it opens, not the last line
        mark = getattr(error, "context_mark", None) or mark
    if mark is None:  # a reader error (control character) carries an offset only
        position = min(int(getattr(error, "position", 0)), len(text))
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
        return Problem(
            file, line, "", "含有控制字符 / a control character stands here", "删去它 / remove it", column
        )
    lines = text.split("\n")
    for number in range(min(mark.line, len(lines) - 1), max(mark.line - 2, -1), -1):
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip(" \t"))]
        if "\t" in indent:
            return Problem(
                file,
                number + 1,
                "",
                "缩进里有制表符 / a tab in the indentation",
                "改用空格 / use spaces",
                indent.index("\t") + 1,
            )
    reason = " ".join(
        str(part) for part in (getattr(error, "context", ""), getattr(error, "problem", "")) if part
    )
    return Problem(
        file,
        mark.line + 1,
        "",
        f"YAML 语法错误 / YAML syntax: {reason}",
        "检查此行及上一行的冒号、引号和缩进 / check colons, quotes and indentation here and one line above",
        mark.column + 1,
    )
