"""Bytes of AMI: the result never depends on where TCP cuts them, and nothing we send can say more than we meant.

| fault of panoramisk 1.4 (framing)                          | test |
|---|---|
| text decoded per segment, errors ignored: 报警人张三 → 报警人三 | every_single_cut, chinese_name_cut_in_every_byte |
| empty last header lost                                      | empty_headers_are_kept |
| `Name:value` without a space dropped                        | a_header_is_cut_at_its_first_colon |
| `Event:` inside a UserEvent makes `event` a list: link dies | first_line_says_what_it_is |
| no bound on what is buffered                                | a_frame_too_long_is_thrown_away |
| every message decoded and built, wanted or not              | unwanted_events_are_not_decoded |
| CR/LF in a value starts a second action                     | what_would_smuggle_is_refused |
"""

from __future__ import annotations

import lzma
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ami.wire import (
    MAX_HEADERS,
    MAX_LINE,
    AmiBadValue,
    BadFrame,
    Banner,
    Frame,
    FrameReader,
    FrameTooLong,
    Item,
    encode_action,
)

RECORDED = Path(__file__).parents[2] / "bench" / "data" / "ami_stream.raw.xz"

STREAM = (
    "Asterisk Call Manager/11.0.0\r\n"
    "Response: Success\r\nActionID: a-1\r\nMessage: Authentication accepted\r\n\r\n"
    "Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 24\r\nStatus: Fully Booted\r\n\r\n"
    "Event: VarSet\r\nChannel: PJSIP/1001-00000001\r\nVariable: X\r\nValue: a: b\r\n\r\n"
    "Event: CEL\r\nEventName: USER_DEFINED\r\nCallerIDname: 报警人张三\r\nExtra: \r\n\r\n"
    "\r\nEvent: OriginateResponse\r\nActionID: a-2\r\nResponse: Failure\r\nUniqueid: <null>\r\n\r\n"
    "Event: UserEvent\r\nUserEvent: Key\r\nEvent: CEL\r\nNote: 𠮷\r\nNote: 二\r\nNote: \r\n\r\n"
    "neither\r\n\r\n"
    "Event: DeviceStateChange\r\nActionID: a-3\r\nDevice: PJSIP/1001\r\nState: IN:USE\r\n\r\n"
    "Event: CEL\r\nEventName: LINKEDID_END\r\n"
).encode() + b"CallerIDname: \xe6\x8a\r\nExtra:\r\n\r\n"
WANTED = frozenset({b"CEL", b"FullyBooted", b"OriginateResponse"})


def read(data: bytes, *cuts: int, wanted: frozenset[bytes] | None = None, max_frame: int = 4096) -> list[Item]:
    reader = FrameReader(wanted, max_frame=max_frame)
    reader.expect("a-3")
    bounds = [0, *sorted(cuts), len(data)]
    return [item for start, end in pairwise(bounds) for item in reader.feed(data[start:end])]


def values(frame: Item) -> dict[str, object]:
    assert isinstance(frame, Frame), frame
    return {name: value for name, value in frame.headers.values()}


def one(text: str | bytes) -> Item:
    (item,) = FrameReader().feed((text.encode() if isinstance(text, str) else text) + b"\r\n\r\n")
    return item


# -- cuts --------------------------------------------------------------------------------------------------------------
def test_the_whole_stream_reads_as_written() -> None:
    items = read(STREAM)
    assert items[0] == Banner("11.0.0")
    assert [item.event if isinstance(item, Frame) else type(item).__name__ for item in items[1:]] == [
        "", "FullyBooted", "VarSet", "CEL", "OriginateResponse", "UserEvent", "BadFrame", "DeviceStateChange", "CEL",
    ]  # fmt: skip
    assert values(items[4]) == {
        "Event": "CEL", "EventName": "USER_DEFINED", "CallerIDname": "报警人张三", "Extra": "",
    }  # fmt: skip
    assert values(items[9])["CallerIDname"] == "\ufffd"


@pytest.mark.parametrize("wanted", [None, WANTED, frozenset()])
def test_every_single_cut_reads_the_same(wanted: frozenset[bytes] | None) -> None:
    whole = read(STREAM, wanted=wanted)
    for cut in range(len(STREAM) + 1):
        assert read(STREAM, cut, wanted=wanted) == whole, f"cut at {cut}"


@pytest.mark.parametrize("limit", [20, 40, 60])
def test_every_single_cut_reads_the_same_when_frames_are_too_long(limit: int) -> None:
    whole = read(STREAM, max_frame=limit, wanted=WANTED)
    assert FrameTooLong(limit) in whole
    for cut in range(len(STREAM) + 1):
        assert read(STREAM, cut, max_frame=limit, wanted=WANTED) == whole, f"cut at {cut}"


@given(st.lists(st.integers(0, len(STREAM)), max_size=40), st.sampled_from([None, WANTED]), st.integers(10, 200))
def test_many_cuts_read_the_same(cuts: list[int], wanted: frozenset[bytes] | None, limit: int) -> None:
    assert read(STREAM, *cuts, wanted=wanted, max_frame=limit) == read(STREAM, wanted=wanted, max_frame=limit)


def test_byte_by_byte_reads_the_same() -> None:
    assert read(STREAM, *range(len(STREAM))) == read(STREAM)


def test_a_chinese_name_cut_in_every_byte_is_whole() -> None:
    data = "Event: CEL\r\nCallerIDname: 报警人张三\r\n\r\n".encode()
    start = data.index("报".encode())
    for cut in range(start, start + 15):
        reader = FrameReader()
        (frame,) = [*reader.feed(data[:cut]), *reader.feed(data[cut:])]
        assert values(frame)["CallerIDname"] == "报警人张三"
        assert reader.bad_text == 0


# -- one frame ---------------------------------------------------------------------------------------------------------
def test_half_a_character_is_replaced_and_counted_and_costs_nothing_else() -> None:
    reader = FrameReader()
    (frame,) = reader.feed(b"Event: CEL\r\nCallerIDname: \xe6\x8a\xa5\xe8\xad\r\nExten: 110\r\n\r\n")
    assert values(frame) == {"Event": "CEL", "CallerIDname": "报\ufffd", "Exten": "110"}
    assert (reader.bad_text, reader.bad) == (1, 0)


@pytest.mark.parametrize(
    ("line", "value"),
    [("X: a: b", "a: b"), ("X: sip:1@h", "sip:1@h"), ("X:1", "1"), ("X::", ":"), ("X:a: b", "a: b"), ("X:  a", " a")],
)
def test_a_header_is_cut_at_its_first_colon_and_loses_one_space(line: str, value: str) -> None:
    assert values(one(f"Event: E\r\n{line}\r\nY: z"))["X"] == value


@pytest.mark.parametrize("line", ["X: ", "X:"])
def test_empty_headers_are_kept_in_the_middle_and_at_the_end(line: str) -> None:
    assert values(one(f"Event: E\r\n{line}\r\nY: 1\r\nZ: ")) == {"Event": "E", "X": "", "Y": "1", "Z": ""}


def test_a_header_that_comes_again_is_a_list_in_order_whatever_its_case() -> None:
    frame = one("Response: Success\r\nOutput: b\r\nOther: 1\r\noutput: \r\nOutput: b")
    assert values(frame) == {"Response": "Success", "Output": ["b", "", "b"], "Other": "1"}


def test_lone_line_feeds_stay_inside_their_value() -> None:
    assert values(one("Event: E\r\nAppData: a\nEvent: CEL\rb"))["AppData"] == "a\nEvent: CEL\rb"


def test_the_first_line_says_what_it_is() -> None:
    failed = one("Event: OriginateResponse\r\nActionID: 1\r\nResponse: Failure")
    assert isinstance(failed, Frame) and failed.event == "OriginateResponse"
    nested = one("Event: UserEvent\r\nUserEvent: x\r\nEvent: CEL")
    assert isinstance(nested, Frame) and nested.event == "UserEvent" and values(nested)["Event"] == "UserEvent"
    answer = one("Response: Success\r\nEvent: CEL")
    assert isinstance(answer, Frame) and answer.event == ""


@pytest.mark.parametrize(
    "bad", ["no colon", "Event: CEL\r\nno colon", "Event: CEL\r\n: x", "Foo: bar", "X: y\r\nEvent: CEL"]
)
def test_what_cannot_be_read_is_a_value_and_the_next_frame_is_read(bad: str) -> None:
    reader = FrameReader()
    first, second = reader.feed(f"{bad}\r\n\r\nEvent: CEL\r\nX: 1\r\n\r\n".encode())
    assert isinstance(first, BadFrame) and first.why
    assert values(second) == {"Event": "CEL", "X": "1"}
    assert (reader.bad, reader.events) == (1, 1)


def test_lines_remembered_from_before_read_the_same_also_beyond_the_memory() -> None:
    reader = FrameReader()
    for number in [*range(6000), *range(6000)]:
        (frame,) = reader.feed(f"Event: E\r\nX: {number}\r\nX: {number}\r\n\r\n".encode())
        assert values(frame) == {"Event": "E", "X": [str(number)] * 2}
    assert len(reader._known) <= 4096


# -- bounds and filter -------------------------------------------------------------------------------------------------
def test_a_frame_too_long_is_thrown_away_up_to_the_next_empty_line() -> None:
    reader = FrameReader(max_frame=100)
    items: list[Item] = []
    for _ in range(1000):
        items += reader.feed(b"Event: CEL\r\nX: " + b"x" * 50)
        assert reader.held < 200
    assert items == [FrameTooLong(100)]
    assert reader.feed(b"\r\n\r") == []
    (frame,) = reader.feed(b"\nEvent: CEL\r\nY: 1\r\n\r\n")
    assert values(frame) == {"Event": "CEL", "Y": "1"}
    assert reader.bad == 1


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
def test_the_bound_is_exact(size: int, fits: bool) -> None:
    data = b"Event: E\r\nX: ".ljust(size, b"x") + b"\r\n\r\n"
    for cut in range(len(data)):
        (item,) = read(data, cut, max_frame=100)
        assert isinstance(item, Frame) is fits, f"cut at {cut}"


def test_unwanted_events_are_not_decoded() -> None:
    reader = FrameReader(WANTED)
    items = reader.feed(b"Event: VarSet\r\nno colon \xff\r\n\r\nEvent: CELx\r\nX: 1\r\n\r\nEvent: CE\r\n\r\n")
    assert items == []
    assert (reader.skipped, reader.bad, reader.bad_text, reader.events) == (3, 0, 0, 0)
    assert len(reader.feed(b"Event: CEL\r\n\r\nResponse: Error\r\n\r\n")) == 2


def test_rows_of_an_expected_list_are_wanted_whatever_their_name() -> None:
    row = b"Event: QueueMember\r\nActionID: a-7\r\n\r\n"
    reader = FrameReader(WANTED)
    assert reader.feed(row) == []
    reader.expect("a-7")
    assert len(reader.feed(row + row.replace(b"a-7", b"a-71") + b"Event: QueueMember\r\n\r\n")) == 1
    reader.forget("a-7")
    assert reader.feed(row) == []


def test_a_stream_without_greeting_starts_with_its_first_frame() -> None:
    for data in (b"Event: CEL\r\n\r\n", b"Asterisk\r\n\r\nEvent: CEL\r\n\r\n"):
        assert Frame("CEL", {"event": ("Event", "CEL")}) in FrameReader().feed(data)


def test_the_recorded_stream_of_a_real_asterisk_has_no_bad_frame() -> None:
    reader = FrameReader()
    with lzma.open(RECORDED) as file:
        for _ in range(500):
            reader.feed(file.read(4096))
    assert reader.events > 4000
    assert (reader.bad, reader.bad_text) == (0, 0)


# -- what we send ------------------------------------------------------------------------------------------------------
def test_an_action_is_its_lines_in_order() -> None:
    data = encode_action("Originate", {"ActionID": "1", "Variable": ["A=1", "B=报警人"], "Async": "true"})
    assert data.decode() == (
        "Action: Originate\r\nActionID: 1\r\nVariable: A=1\r\nVariable: B=报警人\r\nAsync: true\r\n\r\n"
    )


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\n", "\r\n\r\nAction: Hangup"])
@pytest.mark.parametrize("where", ["action", "name", "value", "list", "start", "end"])
def test_what_would_smuggle_is_refused_and_named_without_its_value(bad: str, where: str) -> None:
    name, headers = "Setvar", {"Value": ["13871000001"]}
    if where == "action":
        name = f"Set{bad}var"
    elif where == "name":
        headers[f"Va{bad}lue"] = ["x"]
    else:
        text = {"value": f"138{bad}1", "list": f"138{bad}1", "start": f"{bad}138", "end": f"138{bad}"}[where]
        headers["Value"] = [text] if where != "list" else ["a", text]
    with pytest.raises(AmiBadValue) as caught:
        encode_action(name, headers)
    assert "138" not in str(caught.value)
    if where not in ("action", "name"):
        assert caught.value.header == "Value"


@pytest.mark.parametrize("name", ["", "A B", "A:", "Ä", "\x7f", "Action", "ACTION"])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    with pytest.raises(AmiBadValue):
        encode_action("Ping", {name: "x"})


def test_sizes_are_asterisks_own() -> None:
    assert encode_action("A", {"V": "x" * (MAX_LINE - 3)})
    assert encode_action("A", {"V": ["x"] * (MAX_HEADERS - 1)})
    with pytest.raises(AmiBadValue, match="1023 bytes"):
        encode_action("A", {"V": "x" * (MAX_LINE - 2)})
    with pytest.raises(AmiBadValue, match="1024 bytes"):
        encode_action("A", {"V": "三" * 340 + "x"})
    with pytest.raises(AmiBadValue, match="128 lines"):
        encode_action("A", {"V": ["x"] * MAX_HEADERS})
    with pytest.raises(AmiBadValue, match="UTF-8"):
        encode_action("A", {"V": "\ud800"})


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=40), max_size=6))
def test_whatever_is_accepted_arrives_as_exactly_one_action(headers: dict[str, str]) -> None:
    try:
        data = encode_action("Ping", headers)
    except AmiBadValue:
        return
    assert data.count(b"\r\n\r\n") == 1 and data.endswith(b"\r\n\r\n")
    lines = data[:-4].decode().split("\r\n")
    assert lines == ["Action: Ping", *(f"{name}: {value}" for name, value in headers.items())]
