"""`cti dialtest` before a phone rings: its words, its options, and what it says of a target file that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from cti.cli.dialtest import dialtest
from cti.dialtest.hearing import Hearing, Label
from cti.dialtest.play import SCENARIOS
from cti.dialtest.report import Report, Run, gaps
from cti.dialtest.target import load_target
from cti.problem import ConfigError

pytestmark = pytest.mark.unit

GOOD = """\
site: "530100"
sip: {host: 10.20.0.5}
local: {seats: 10.20.0.9, callers: 10.20.0.10}
redis: {url: "redis://:hidden@10.20.0.5:6379/0"}
seats:
  - {number: "1001", password: "s3 cret"}
  - {number: "1002", password_file: two}
asterisk: [ssh, box, "asterisk -rx '{command}'"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "two").write_text("another\n")
    (tmp_path / "target.yaml").write_text(GOOD)
    return tmp_path / "target.yaml"


def test_a_good_target_file(file: Path) -> None:
    target = load_target(file)
    assert target.server == ("10.20.0.5", 5060) and target.site == "530100"
    assert (target.seat_host, target.caller_host) == ("10.20.0.9", "10.20.0.10")
    assert [target.seat_password(n) for n in ("1001", "1002", "1003")] == ["s3 cret", "another", None]
    assert target.command is not None
    assert target.command("bridge show all") == ["ssh", "box", "asterisk -rx 'bridge show all'"]
    assert "s3" not in repr(target) and "hidden" not in repr(target)


@pytest.mark.parametrize(("old", "new", "place", "message"), [
    ('"530100"', '"999999"', "1:7", "999999"),
    ("host: 10.20.0.5", "host: pbx", "2:13", "IPv4"),
    ("{host: 10.20.0.5}", "{host: 10.20.0.5, prot: 5060}", "2:24", "did you mean 'port'"),
    (", callers: 10.20.0.10", "", "3:8", "required and missing"),
    ("redis://:hidden@", "http://:hidden@", "4:14", "Redis"),
    ('password: "s3 cret"', "password: 12345678", "6:32", "text"),
    ('password: "s3 cret"', 'password: ""', "6:32", "1–128"),
    (', password: "s3 cret"', "", "6:5", "just one"),
    ("password_file: two", "password_file: two, password: also", "7:5", "just one"),
    ("password_file: two", "password_file: three", "7:37", "No such file"),
    ('"1002"', '"1001"', "7:14", "already"),
    ("{command}", "core", "8:11", "{command}"),
    ("\nseats:", "\nseats: []\nmore:", "5:8", "1"),
    ("- {number", "- {number: {", "6:", "YAML"),
])  # fmt: skip
def test_a_bad_target_file_is_named_by_line_with_no_secret_in_the_words(
    file: Path, old: str, new: str, place: str, message: str
) -> None:
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as told:
        load_target(file)
    said = str(told.value)
    assert f"{file}:{place}" in said and message in said
    assert not re.search("s3 cret|hidden|another|also|12345678", said)
    result = CliRunner().invoke(dialtest, ["queue", "--target", str(file)])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert f"{file}:{place}" in result.stderr and result.stdout == ""


@pytest.mark.parametrize("held", [b"", b"two\nlines\n", b"x" * 200, b"\xff\xfe"])
def test_a_password_file_that_holds_none(file: Path, held: bytes) -> None:
    (file.parent / "two").write_bytes(held)
    with pytest.raises(ConfigError, match=r"target\.yaml:7:37: .*holds no password") as told:
        load_target(file)
    assert "lines" not in str(told.value)


def test_a_target_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(dialtest, ["queue", "--target", str(tmp_path / "none.yaml")])
    assert result.exit_code == 1 and "file not found" in result.stderr and "Traceback" not in result.stderr


def test_list_says_each_scenario_in_a_line_chinese_first() -> None:
    result = CliRunner().invoke(dialtest, ["--list"])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and [line.split()[0] for line in lines] == [*SCENARIOS, "overflow"]
    for line in lines:
        chinese, _, english = line.partition(" ")[2].partition(" / ")
        assert re.search("[\u4e00-\u9fff]", chinese) and english and not re.search("[\u4e00-\u9fff]", english)


def test_the_examples_of_the_help_are_accepted() -> None:
    examples = re.findall(r"^ +cti dialtest (.*?)(?:  .*)?$", dialtest.get_help(click.Context(dialtest)), re.M)
    assert len(examples) >= 5
    for example in examples:
        try:
            dialtest.make_context("cti dialtest", example.split())
        except click.exceptions.Exit as done:
            assert "--list" in example and done.exit_code == 0


def test_the_target_of_the_help_is_a_good_file(tmp_path: Path) -> None:
    words = dialtest.get_help(click.Context(dialtest)).partition("--target 文件 / file:\n")[2]
    keys = r"(site|sip|local|redis|seats|asterisk):"
    lines = [line.strip() for line in words.splitlines() if re.match(rf" +{keys}", line)]
    (tmp_path / "t.yaml").write_text("\n".join(lines).replace(", …", ""))
    (tmp_path / "1001.secret").write_text("one")
    assert load_target(tmp_path / "t.yaml").seat_password("1001") == "one"


@pytest.mark.parametrize("two", [("--state", "--target"), ("--keep", "--target"), ("--state", "--keep")])
def test_only_one_stack_is_called(two: tuple[str, str]) -> None:
    result = CliRunner().invoke(dialtest, ["queue", two[0], "a", two[1], "b"])
    assert result.exit_code == 2 and "give one of" in result.stderr


# -- reports -----------------------------------------------------------------------------------------------------------
def test_what_was_not_checked_is_null_and_judged_without() -> None:
    report = Report("queue", 1, [Run(0)], None)
    assert report.passed and report.as_dict()["leftovers"] is None
    assert not Report("queue", 1, [Run(0)], ["a channel"]).passed


def test_a_run_has_a_ladder_in_json_only_where_it_was_drawn() -> None:
    assert "ladder" not in Run(0).as_dict() and "gaps" not in Run(0).as_dict()
    drawn = Run(0, ladder="…", gaps=["one"]).as_dict()
    assert (drawn["ladder"], drawn["gaps"]) == ("…", ["one"])


def test_gaps_say_when_how_long_and_between_whom() -> None:
    names = [Label({"1001"}), Label({"8001"}), Label({"silence"})]
    which = [0] * 50 + [1] * 50 + [2] * 10 + [1] * 5
    times = [100 + n * 0.02 for n in range(50)] + [101.06 + n * 0.02 for n in range(65)]
    hearing = Hearing(100.0, 102.36, np.array(times), tuple(names), np.array(which))
    assert gaps(hearing, 98.0) == [
        "    3.000     60 ms  gap  (1001 → 8001)",
        "    4.060    200 ms  silence  (8001 → 8001)",
    ]


@pytest.mark.parametrize("scenario", ["overflow", "seats"])
def test_what_brings_a_stack_of_its_own_takes_no_other(scenario: str, file: Path) -> None:
    said = CliRunner().invoke(dialtest, [scenario, "--target", str(file)])
    assert said.exit_code == 2 and "of its own" in said.output
