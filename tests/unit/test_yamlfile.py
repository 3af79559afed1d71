"""A YAML file is read with the place of everything in it, and its faults are said, never thrown."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from cti import yamlfile
from cti.problem import Problem, dotted
from cti.yamlfile import Document, Mark, load, parse
from cti.yamlmodel import validate


@pytest.fixture(params=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers: libyaml is not everywhere."""
    if request.param == "libyaml":
        assert hasattr(yaml, "CSafeLoader"), "PyYAML was built without libyaml here"
        monkeypatch.setattr(yamlfile, "_PARSER", yaml.CSafeLoader)
    else:
        monkeypatch.setattr(yamlfile, "_PARSER", yaml.SafeLoader)
    return str(request.param)


def read(text: str) -> Document:
    document = Document("x.yaml")
    parse(text, document)
    return document


def only(document: Document) -> Problem:
    assert len(document.problems) == 1, document.problems
    return document.problems[0]


def test_keys_and_values_remember_line_and_column_in_characters(parser: str) -> None:
    document = read('中文: {键: [一, "二"]}\nb:\n  - c: 1\n')
    assert document.value == {"中文": {"键": ["一", "二"]}, "b": [{"c": 1}]}
    assert document.keys["中文", "键"] == Mark(1, 6)
    assert document.values["中文", "键", 1] == Mark(1, 13)
    assert document.keys["b", 0, "c"] == Mark(3, 5)
    assert document.values["b", 0, "c"] == Mark(3, 8)


def test_a_missing_place_is_marked_at_the_nearest_thing_above(parser: str) -> None:
    document = read("a:\n  - b: 1\n")
    assert document.mark(("a", 0, "nothing", 3)) == Mark(2, 5)


FAULTS = [
    ("a: 1\nb:\n\t- c\n", 3, 1, "制表符"),
    ("a:\n  - b\n \t- c: d\n", 3, 2, "制表符"),
    ('a: 1\nb: "open\nc: 2\n', 2, 4, "YAML"),
    ("a: b: c\n", 1, 5, "YAML"),
    ("a: 1\nb: 2\na: 3\n", 3, 1, "重复的键 a"),
    ('k: {"*1": x, "*1": y}\n', 1, 14, "重复的键"),
    ("k: {*110: x}\n", 1, 5, "别名"),
    ("a: &n [1]\nb: *n\n", 2, 4, "别名"),
    ("<<: {a: 1}\n", 1, 1, "合并键"),
    ("110: x\n", 1, 1, "不是文字"),
    ("? [a]\n: b\n", 1, 3, "键必须是文字"),
    ("until: 2027-13-45\n", 1, 8, "timestamp"),
    ("a: !!python/name:os.system x\n", 1, 4, "无法读作"),
    ("a: 1\n---\nb: 2\n", 2, 1, "一个 YAML 文档"),
    ("a: 1\nb: x\x01y\n", 2, 5, "控制字符"),
    ("[" * 5000, 1, 34, "嵌套"),
    ("a: " + "9" * 6000, 1, 4, "无法读作"),
]


@pytest.mark.parametrize(("text", "line", "column", "word"), FAULTS, ids=[repr(f[0])[:30] for f in FAULTS])
def test_a_fault_names_its_line_and_column(parser: str, text: str, line: int, column: int, word: str) -> None:
    document = read(text)
    problem = only(document)
    assert word in problem.message
    assert problem.line == line
    assert problem.column == column or word == "YAML"  # the two parsers differ by a column on syntax errors
    assert document.value is None


@pytest.mark.parametrize("text", ["", "# only a comment\n", "null\n", "---\n"])
def test_an_empty_file_is_said_to_be_empty(parser: str, text: str) -> None:
    assert "文件是空的" in only(read(text)).message


BYTES = [
    ("名: 张三\n".encode("gb18030"), 1, "GB18030"),
    ("a: 1\nb: 张三\n".encode("gbk"), 2, "GB18030"),
    ("a: 1\n".encode("utf-16"), 1, "UTF-16"),
    (b"a: 1\nb: caf\xe9\n", 2, "UTF-8"),
]


@pytest.mark.parametrize(("data", "line", "word"), BYTES, ids=["gb18030", "gbk-line-2", "utf-16", "latin-1"])
def test_another_encoding_is_named_with_its_line(tmp_path: Path, data: bytes, line: int, word: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    problem = only(load(path))
    assert problem.line == line
    assert word in problem.message
    assert "iconv" in problem.cure


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load(path).value == {"a": 1}


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 34)  # sparse: reading it whole would not end well
    assert "过大" in only(load(path)).message


def test_a_missing_file_a_folder_and_a_pipe_are_faults(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "不存在" in only(load(tmp_path / "none.yaml")).message
    assert "普通文件" in only(load(tmp_path)).message
    assert "普通文件" in only(load(pipe)).message  # and opening it would wait for ever


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="ab:-[]{}*&!|>'\"\n\t #%?,<=0x1~@`", max_size=60)))
def test_no_text_makes_it_raise(parser: str, text: str) -> None:
    document = read(text)
    assert (document.value is None) == bool(document.problems)
    lines = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))
    assert all(0 <= p.line <= lines + 1 for p in document.problems)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = Field(default=1, ge=1, le=9, strict=True)
    secret: str | None = None


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: tuple[Inner, ...]


MODEL_FAULTS = [
    ("items:\n  - {nam: x}\n", 2, 6, "items[0].nam", "unknown key 'nam'; did you mean 'name'?"),
    ("items:\n  - {size: 3}\n", 2, 5, "items[0].name", "缺少必填项"),
    ("items:\n  - {name: x, size: 10}\n", 2, 21, "items[0].size", "不得大于 9"),
    ("items:\n  - {name: 110}\n", 2, 12, "items[0].name", "须为文字"),
    ("items:\n  - x\n", 2, 5, "items[0]", "须为键值表"),
    ("items: {a: 1}\n", 1, 8, "items", "须为列表"),
    ("- items\n", 1, 1, "", "须为键值表"),
]


@pytest.mark.parametrize(("text", "line", "column", "where", "word"), MODEL_FAULTS)
def test_a_models_fault_stands_at_its_value(text: str, line: int, column: int, where: str, word: str) -> None:
    value, problems = validate(Outer, read(text))
    assert value is None
    first = problems[0]
    assert (first.line, first.column, first.where) == (line, column, where)
    assert word in first.message


def test_an_unquoted_number_is_cured_by_quotes() -> None:
    _, problems = validate(Outer, read("items: [{name: 110}]"))
    assert problems[0].cure == '加引号 / put it in quotes: "110"'


def test_a_secret_is_never_repeated() -> None:
    _, problems = validate(Outer, read("items: [{name: x, secret: 998877}]"))
    assert len(problems) == 1
    assert "998877" not in str(problems[0])


def test_a_problem_prints_like_a_compilers() -> None:
    problem = Problem("config/seats.yaml", 12, "seats[3].number", "坏 / bad", "改 / mend", 5)
    assert str(problem) == "config/seats.yaml:12:5: 错误/error seats[3].number: 坏 / bad\n    → 改 / mend"
    assert dotted(("seats", 3, "keys", "*110")) == "seats[3].keys.*110"
