"""`cti seats plan`: its words, its files, what it says of too little history, and what it takes from a ledger."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.cli import seats_past
from cti.cli.seats_csv import CsvError, read_calendar, read_counts
from cti.cli.seats_svg import Panel, draw
from cti.core.facts import Fact
from cti.core.forecast import QUARTERS, first_quarter

pytestmark = pytest.mark.unit

MONDAY = dt.datetime(2026, 9, 7)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, ["seats", "plan", *map(str, words)])


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Six weeks of a busy line and of a dedicated one."""
    rng, rows = random.Random(3), ["line,start,calls"]
    for n in range(42 * QUARTERS):
        at = MONDAY + dt.timedelta(minutes=15 * n)
        busy = math.exp(-(((at.hour - 10) / 4) ** 2)) * (0.4 if at.weekday() > 4 else 1)
        for line, most in (("12345", 80), ("110-dedicated", 3)):
            count = sum(rng.random() < busy for _ in range(most))
            rows.append(f"{line},{at:%Y-%m-%dT%H:%M},{count}")
    file = tmp_path / "calls.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def test_a_plan_from_a_file(calls: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plan.svg"
    result = invoke("--csv", calls, "--have", "12345=30", "--svg", picture)
    assert result.exit_code == 0, result.output
    assert "12345  普通席/general  2026-10-19 周一" in result.output and "实际" not in result.output
    assert "110-dedicated  专席/dedicated" in result.output and "15 s 内/within" in result.output
    assert "偶然误差下限/chance alone" in result.output and "建议值/proposal" in result.output
    texts = ["".join(t.itertext()) for t in ET.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}text")]
    assert "12345 普通席 general 2026-10-19" in texts and any("现有席位 at hand 30" in t for t in texts)


def test_as_json_a_past_day_stands_beside_what_came(calls: Path) -> None:
    result = invoke("--csv", calls, "--day", "2026-10-12", "--days", 2, "--line", "12345", "--handle", 240, "--json")
    one, two = json.loads(result.output)
    assert (one["line"], one["day"], two["day"], one["source"]) == ("12345", "2026-10-12", "2026-10-13", "指定/given")
    assert len(one["rows"]) == QUARTERS and one["rows"][40]["start"] == "2026-10-12T10:00:00+08:00"
    busiest = max(one["rows"], key=lambda row: row["calls"])
    assert busiest["came"] > 40 and busiest["seats"] > busiest["calls"] * 240 / 900 * 0.9
    assert one["errors"]["days"] == 14 and one["errors"]["wape"] < 1.3 * one["errors"]["floor"]
    assert one["have"] == 4  # as the product's own configuration has it
    assert one["expected_share"] < 0.5


def test_a_row_each_quarter_when_asked(calls: Path) -> None:
    hours = invoke("--csv", calls, "--line", "12345").output
    quarters = invoke("--csv", calls, "--line", "12345", "--quarters").output
    assert "│ 10:00" in hours and "│ 10:15" not in hours and "│ 10:15" in quarters


def test_too_little_history_is_said_with_its_cure(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("line,start,calls\n12345,2026-11-02T08:00,37\n12345,2026-11-02T23:45,1\n")
    result = invoke("--csv", file)
    assert result.exit_code == 1
    assert "12345: 2026-11-03: 历史只有 1 个完整日" in result.output and "--csv" in result.output
    empty = tmp_path / "none"
    assert invoke("--state", empty).exit_code == 1 and "cti up" in invoke("--state", empty).output


@pytest.mark.parametrize(("words", "said"), [
    (("--line", "119"), "119 / not in the history"), (("--have", "12345:40"), "12345=40"),
    (("--target", "100"), "1<=x<=99.9"), (("--day", "tomorrow"), "%Y-%m-%d"),
])  # fmt: skip
def test_wrong_usage_is_named(calls: Path, words: tuple[str, ...], said: str) -> None:
    result = invoke("--csv", calls, *words)
    assert result.exit_code == 2 and said in result.output


@pytest.mark.parametrize(("text", "said"), [
    ("when,calls\n", "csv:1: 第一行应为 line,start,calls"), ("line,start,calls\n", "没有数据行"),
    ("line,start,calls\n12345,2026-11-02T08:07,3\n", "csv:2: start '2026-11-02T08:07'"),
    ("line,start,calls\n12345,2026-11-02T08:00+08:00,3\n", "without zone"),
    ("line,start,calls\n12345,2026-11-02T08:00,-3\n", "calls '-3'"),
    ("line,start,calls\n12345,2026-11-02T08:00\n", "csv:2: 应有 3 列"),
    ("line,start,calls\n12345,2026-11-02T08:00,3,4\n", "must have 3 columns"),
    ("line,start,calls\n12345,2026-11-02T08:00,3\n12345,2026-11-02T08:00,3\n", "csv:3: 12345"),
    ("line,start,calls\n<b>,2026-11-02T08:00,3\n", "must be a line's name"),
])  # fmt: skip
def test_faults_of_a_file_are_named_by_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(text)
    with pytest.raises(CsvError) as fault:
        read_counts(file)
    assert said in str(fault.value)
    assert invoke("--csv", file).exit_code == 2


def test_a_file_that_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    for name in ("x", "gone"):
        with pytest.raises(CsvError, match="cannot be read"):
            read_counts(tmp_path / name)


def test_all_lines_of_a_file_are_known_for_its_whole_span(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text("line,start,calls\n12345,2026-11-02T08:00,3\n110-dedicated,2026-11-04T23:45,1\n")
    found = read_counts(file)
    assert [len(found[name].whole_days()) for name in ("12345", "110-dedicated")] == [3, 3]


def test_holidays_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "2026.csv"
    file.write_text("date,kind\n2026-10-01,off\n2026-10-10,work\n")
    assert read_calendar(file).off == {dt.date(2026, 10, 1)} and read_calendar(file).work == {dt.date(2026, 10, 10)}
    for row, said in (("2026-10-1,off", "2026-10-01"), ("2026-10-01,rest", "off or work")):
        file.write_text(f"date,kind\n{row}\n")
        with pytest.raises(CsvError, match=said):
            read_calendar(file)


def test_a_ledger_becomes_a_history_of_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the reading from Redis is replaced; that is `LedgerStream`'s own, tested on the real one."""
    at = round(dt.datetime(2026, 11, 2, 9, tzinfo=dt.timezone(dt.timedelta(hours=8))).timestamp() * 1e6)
    facts = [
        Fact("CallEnded", at + n * 60_000_000, f"530100-1.{n}", {
            "outcome": "answered", "hotline": "12345", "arrived_at": at + n * 60_000_000 - 90_000_000,
            "wait_ms": 10_000, "talk_ms": 80_000,
        }, "live", f"call/{n}") for n in range(40)
    ]  # fmt: skip

    async def told(site: str, url: str, since_us: int) -> list[Fact]:
        assert (site, url) == ("530100", "redis://127.0.0.1:6399/0") and since_us < at
        return facts

    monkeypatch.setattr(seats_past, "_read", told)
    (tmp_path / "instance.json").write_text(json.dumps({"site": "530100", "ports": {"redis": 6399}, "redis": 6399}))
    past = seats_past.from_ledger(tmp_path, 8, dt.datetime(2026, 11, 20))["12345"]
    nine = first_quarter(dt.date(2026, 11, 2)) + 36
    assert sum(past.history.calls.values()) == 38 and past.history.calls[nine] == 15
    assert (past.handle_s, past.patience_s) == (80.0, None)


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    ET.fromstring(draw([Panel("x <&>", [0.0] * QUARTERS, None, [0] * QUARTERS, None)]))
