"""No telephone number can be read in any line of the log, whoever wrote it; ids and counts stay readable."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cti.log import configure_logging, mask_fields, mask_number, mask_text

SECRET = "13812345678"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = configure_logging("debug", stream)
    yield stream
    logging.getLogger().removeHandler(handler)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def last(stream: io.StringIO) -> dict[str, Any]:
    line = stream.getvalue().splitlines()[-1]
    value = json.loads(line)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        (SECRET, "138****78"),
        ("+86 138-1234-5678", "861****78"),
        ("087165100110", "087****10"),
        ("１３８１２３４５６７８", "１３８****７８"),
        ("651001100", "651****00"),
        ("65100110", "****"),
        ("12345", "****"),
        ("110", "****"),
        ("anonymous", "****"),
        ("张三", "****"),
        ("", ""),
    ],
)
def test_a_number_shows_three_and_two_digits_or_none(number: str, masked: str) -> None:
    assert mask_number(number) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"caller {SECRET} rang", "caller 138****78 rang"),
        (f"sip:{SECRET}@10.0.0.1:5060", "sip:138****78@10.0.0.1:5060"),
        ("138 1234 5678", "138****78"),
        ("138-1234-5678!", "138****78!"),
        ("+86-138-1234-5678", "861****78"),
        ("(0871)65100110", "(087****10"),
        ("0871-65100110", "087****10"),
        ("010-6510 0110", "010****10"),
        ("1234567", "****"),
        ("电话１３８１２３４５６７８。", "电话１３８****７８。"),
        ("x13812345678y", "x138****78y"),
        (f"{SECRET}{SECRET}", "138****78"),
        (f"{SECRET},{SECRET}", "138****78,138****78"),
        ("Local/13812345678@xf110-0000001a;2", "Local/138****78@xf110-0000001a;2"),
        ("PJSIP/13812345678-0000001a", "PJSIP/138****78-0000001a"),
    ],
)
def test_a_run_of_digits_in_a_text_is_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "PJSIP/1001-0000001a answered",
        "Local/s@xf110-00000012;1",
        "192.168.100.200:5038",
        "2026-01-01 12:00:00.123456",
        "seat 1001 key *12345 to 110",
        "took 123456 us",
        "Asterisk 22.10.1",
        "",
    ],
)
def test_what_is_no_number_stays_readable(text: str) -> None:
    assert mask_text(text) == text


@given(st.text(alphabet="0123456789 -+()./@aZ张;", max_size=80))
def test_no_run_of_seven_digits_survives_but_a_channels_serial(text: str) -> None:
    masked = mask_text(text)
    without = re.sub(r"[A-Z]\w*/\S*?-00[0-9a-f]{6}(?![0-9A-Za-z@/-])", "", masked)
    assert not re.search(r"\d{7,}", without)
    assert mask_text(masked) == masked


def test_masking_long_hostile_text_is_quick() -> None:
    for text in ("Ab/" * 20_000, "A/-" * 20_000, "0" * 200_000, "1 " * 100_000, "0871-" * 40_000):
        mask_text(text)  # pytest's time-out is the judge of a regular expression that explodes


@pytest.mark.parametrize("field", ["caller", "number", "digits"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        int(SECRET),
        SECRET.encode(),
        [SECRET],
        {"x": SECRET},
        {SECRET: 1},
        (SECRET, None),
        Decimal(SECRET),
    ],
)
def test_a_number_field_is_masked_whatever_it_holds(field: str, value: object) -> None:
    text = repr(mask_fields(None, "info", {"event": "x", field: value}))
    assert "2345" not in text
    assert "****" in text


def test_short_numbers_are_hidden_in_their_field_only() -> None:
    event = mask_fields(None, "info", {"event": "to 110", "number": "110", "seat": "1001", "digits": "*110"})
    assert event == {"event": "to 110", "number": "****", "seat": "1001", "digits": "****"}


def test_ids_and_counts_are_left_alone() -> None:
    event = {
        "event": "x", "ref": "20260101120000123", "transfer": "0123456789", "uniqueid": "1767225600.17",
        "id": "1234567-0", "linkedid": "1767225600.17", "at": "1767225600123", "port": 5038, "pid": 1234567,
        "offset": 123456789,
        "count": 12345678, "ok": True, "none": None, "seconds": 0.123456789,
    }  # fmt: skip
    assert mask_fields(None, "info", dict(event)) == event


class Told(Exception):
    def __repr__(self) -> str:
        return f"Told({SECRET})"


@pytest.mark.parametrize(
    "value",
    [
        SECRET, f"a {SECRET}", int(SECRET), int("86" + SECRET), SECRET.encode(), bytearray(SECRET.encode()),
        [SECRET], {"deep": [{"deeper": (SECRET,)}]}, {SECRET: "key"}, {int(SECRET): 1}, {("k", SECRET): 1},
        {SECRET}, Told(SECRET), Decimal(SECRET), {"caller": "110", "number": SECRET}, {"id": [SECRET]},
        range(int(SECRET), int(SECRET) + 1),
    ],
    ids=repr,
)  # fmt: skip
def test_any_other_field_loses_its_numbers(value: object) -> None:
    assert "1234567" not in repr(mask_fields(None, "info", {"event": "x", "note": value}))


def test_the_callers_event_is_not_changed() -> None:
    inner = {"number": SECRET}
    mask_fields(None, "info", {"event": "x", "inner": inner})
    assert inner == {"number": SECRET}


def test_a_value_that_holds_itself_ends() -> None:
    loop: list[object] = [SECRET]
    loop.append(loop)
    knot: dict[str, object] = {}
    knot["caller"] = knot
    text = repr(mask_fields(None, "info", {"event": "x", "loop": loop, "caller": loop, "knot": knot}))
    assert "1234567" not in text


def test_a_line_is_json_with_level_logger_and_time(lines: io.StringIO) -> None:
    structlog.get_logger("cti.x").info("席位 answered", seat="1001", caller=SECRET)
    line = last(lines)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "席位 answered",
        "seat": "1001",
        "caller": "138****78",
        "level": "info",
        "logger": "cti.x",
    }


def test_an_exceptions_report_is_masked(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"no route for {SECRET}")
    except ValueError:
        structlog.get_logger("cti.x").exception("failed")
    line = last(lines)
    assert "no route for 138****78" in line["exception"]
    assert SECRET not in lines.getvalue()


def test_other_libraries_are_masked_too(lines: io.StringIO) -> None:
    other = logging.getLogger("panoramisk")
    other.warning("sent %s to %s", {"CallerIDNum": SECRET}, SECRET)
    assert last(lines)["event"] == "sent {'CallerIDNum': '138****78'} to 138****78"
    try:
        raise ValueError(SECRET)
    except ValueError:
        other.exception("lost")
    assert last(lines)["level"] == "error"
    assert SECRET not in lines.getvalue()


def test_context_variables_are_masked(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(caller=SECRET, ref="20260101120000123"):
        structlog.get_logger("x").info("bound")
    assert (last(lines)["caller"], last(lines)["ref"]) == ("138****78", "20260101120000123")


def test_the_level_holds_for_both_kinds_of_logger() -> None:
    stream = io.StringIO()
    handler = configure_logging("warning", stream)
    structlog.get_logger("x").info("quiet")
    logging.getLogger("y").info("quiet")
    assert stream.getvalue() == ""
    logging.getLogger("y").warning("loud")
    assert last(stream)["event"] == "loud"
    logging.getLogger().removeHandler(handler)


def test_the_last_call_wins_and_no_line_is_doubled(lines: io.StringIO) -> None:
    logger = structlog.get_logger("x")
    logger.info("one")
    second = io.StringIO()
    handler = configure_logging("info", second)
    logger.info("two")
    logging.getLogger("y").info("three")
    assert [json.loads(text)["event"] for text in lines.getvalue().splitlines()] == ["one"]
    assert [json.loads(text)["event"] for text in second.getvalue().splitlines()] == ["two", "three"]
    logging.getLogger().removeHandler(handler)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure_logging("loud")


def test_a_line_that_cannot_be_written_is_counted_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    handler = configure_logging("info", stream)
    broken = logging.LogRecord("y", logging.INFO, __file__, 1, "%d", (SECRET,), None)
    handler.handle(broken)  # the standard handler would print its arguments
    stream.close()
    structlog.get_logger("x").info(f"caller {SECRET}", caller=SECRET)
    assert handler.lost == 2
    told = capsys.readouterr().err
    assert "2 so far" in told
    assert SECRET not in told
    logging.getLogger().removeHandler(handler)


def test_an_ascii_stream_and_a_lone_surrogate_cost_no_line() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    handler = configure_logging("info", stream)
    structlog.get_logger("x").info("席位 \ud800")
    stream.flush()
    assert handler.lost == 0
    assert b"\\u5e2d" in raw.getvalue()
    logging.getLogger().removeHandler(handler)


def test_text_for_people_is_masked_and_keeps_to_its_line() -> None:
    stream = io.StringIO()
    handler = configure_logging("info", stream, json=False)
    structlog.get_logger("x").info(f"name\n2026 [info] forged \x1b[31m {SECRET}", caller=SECRET)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert SECRET not in text
    logging.getLogger().removeHandler(handler)
