"""Asterisk's CEL file, cut, torn, rotated, damaged: every whole row once, in order; no row stops the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.ledger.cel import BadRow, CelFile, CelOffset, CelRow, Row


def row(*, user: str = "", extra: str = "", appdata: str = "", second: int = 0) -> bytes:
    """One row as `cel_custom` writes it with `${CSV_QUOTE()}` on all fourteen columns."""
    fields = ["HANGUP", f"2026-11-24 00:28:{second:02}.522777", "13800001111", "a", "s"]
    fields += ["Local/s@a-00000000;2", "Dial", appdata, "530100-1795480138.1", "530100-1795480138.0"]
    fields += ["", user, extra, ""]
    return (",".join('"' + f.replace('"', '""') + '"' for f in fields) + "\n").encode()


# Written by Asterisk 22.10.1: one user event with JSON, one with text, one with nothing, one of its own.
REAL = (
    b'"XF_START","2026-11-24 00:28:58.522777","13800001111","a","s","Local/s@a-00000000;2","CELGenUserEvent",'
    b'"XF_START,{""ref"":""c1"",""mode"":""110""}","1795480138.1","1795480138.0","","XF_START",'
    rb'"{""extra"":""{\""ref\"":\""c1\"",\""mode\"":\""110\""}""}",""'
    b"\n"
    b'"XF_TEXT","2026-11-24 00:28:58.522796","13800001111","a","s","Local/s@a-00000000;2","CELGenUserEvent",'
    b'"XF_TEXT,plain text ""q"", comma","1795480138.1","1795480138.0","","XF_TEXT",'
    rb'"{""extra"":""plain text \""q\"", comma""}",""'
    b"\n"
    b'"XF_NONE","2026-11-24 00:28:58.522811","13800001111","a","s","Local/s@a-00000000;2","CELGenUserEvent",'
    b'"XF_NONE","1795480138.1","1795480138.0","","XF_NONE","{""extra"":""""}",""'
    b"\n"
    b'"HANGUP","2026-11-24 00:28:59.025066","13800001111","b","s","Local/s@b-00000001;2","","",'
    b'"1795480138.3","1795480138.0","","","{""hangupcause"":16,""hangupsource"":""dialplan/builtin"",""dialstatus"":""""}",""'
    b"\n"
)
# Every way a sound row can look: commas, doubled quotes, line breaks inside a field, UTF-8, a look-alike.
SOUND = (
    row(second=1)
    + row(second=2, appdata='say "hi",\nagain\r\n\n"')
    + row(second=3, appdata='\n"HANGUP","2026-11-24 00:28:03.522777"')
    + row(second=4, appdata="报警人张三", extra='{"extra":"{\\"ref\\":\\"é\\"}"}', user="XF_END")
    + row(second=5, appdata='"')
)


START = CelOffset(0, None)


def read_all(file: CelFile, place: CelOffset = START) -> tuple[list[Row], CelOffset]:
    rows: list[Row] = []
    for _ in range(1000):
        more, after = file.read_from(*place)
        rows += more
        if after == place:
            return rows, place
        place = after
    raise AssertionError("reading never came to an end")


def seconds(rows: list[Row]) -> list[int]:
    return [r.at_us // 1_000_000 % 60 for r in rows if isinstance(r, CelRow)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cel.csv"


def test_rows_of_a_real_asterisk(path: Path) -> None:
    path.write_bytes(REAL)
    rows, place = read_all(CelFile(path))
    assert place.offset == len(REAL)
    start, text, none, hangup = rows
    assert isinstance(start, CelRow)
    assert start == CelRow(
        name="XF_START",
        at_us=1795480138522777,
        channel="Local/s@a-00000000;2",
        uniqueid="1795480138.1",
        linkedid="1795480138.0",
        context="a",
        exten="s",
        app="CELGenUserEvent",
        appdata='XF_START,{"ref":"c1","mode":"110"}',
        peer="",
        extra={"ref": "c1", "mode": "110"},
        caller="13800001111",
    )
    assert [r.extra for r in (text, none, hangup) if isinstance(r, CelRow)] == [
        {"extra": 'plain text "q", comma'},
        {"extra": ""},
        {"hangupcause": "16", "hangupsource": "dialplan/builtin", "dialstatus": ""},
    ]
    assert isinstance(hangup, CelRow)
    assert hangup.name == "HANGUP"


def test_a_file_cut_at_any_byte_gives_every_row_once(path: Path) -> None:
    path.write_bytes(SOUND)
    whole, _ = read_all(CelFile(path))
    assert seconds(whole) == [1, 2, 3, 4, 5]
    for cut in range(len(SOUND) + 1):
        path.write_bytes(SOUND[:cut])
        first, place = read_all(CelFile(path))
        assert not [r for r in first if isinstance(r, BadRow)], f"cut at {cut}: half a row was given out"
        with path.open("ab") as file:
            file.write(SOUND[cut:])
        rest, _ = read_all(CelFile(path), place)
        assert first + rest == whole, f"cut at {cut}"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 60)), st.integers(1, 400))
def test_pieces_and_chunks_of_any_size_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int], chunk: int
) -> None:
    path = tmp_path_factory.mktemp("cel") / "cel.csv"
    path.write_bytes(b"")
    longest = max(len(r) for r in (row(appdata="x" * 60), *SOUND.splitlines())) * 2
    file = CelFile(path, chunk=longest + chunk, longest_row=longest)
    rows: list[Row] = []
    place, done = CelOffset(0, None), 0
    for size in [*pieces, len(SOUND)]:
        with path.open("ab") as out:
            out.write(SOUND[done : done + size])
        done += size
        more, place = read_all(file, place)
        rows += more
    assert seconds(rows) == [1, 2, 3, 4, 5]
    assert len(rows) == 5


BAD: list[tuple[bytes, str]] = [
    (b"\n", "columns"),
    (b'"HANGUP","2026-11-24 00:28:09.000000","x"\n', "columns"),
    (row().replace(b"2026-11-24", b"2026-13-24"), "time"),
    (row().replace(b'"Dial"', b'"Dial'), "quotes"),
    (row().replace(b'"Dial"', b'"Di"al"'), "quotes"),
    (b"\x00" * 512 + b"\n", "columns"),
    (b"\xff\xfe\n", "columns"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=range(len(BAD)))
def test_one_bad_row_is_told_and_its_neighbours_are_read(path: Path, bad: bytes, reason: str) -> None:
    path.write_bytes(row(second=1) + bad + row(second=2) + row(second=3))
    rows, _ = read_all(CelFile(path))
    assert seconds(rows) == [1, 2, 3]
    assert [reason in r.reason for r in rows if isinstance(r, BadRow)] == [True]


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=80), st.booleans())
def test_no_garbage_hides_the_row_after_it(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, ended: bool
) -> None:
    path = tmp_path_factory.mktemp("cel") / "cel.csv"
    path.write_bytes(row(second=1) + garbage + (b"\n" if ended else b"") + row(second=2) + row(second=3))
    rows, _ = read_all(CelFile(path))
    assert seconds(rows) == [1, 2, 3]


@pytest.mark.parametrize("torn", range(1, len(row()) - 1))
def test_a_row_torn_by_a_killed_asterisk_costs_itself_only(path: Path, torn: int) -> None:
    path.write_bytes(row(second=1) + row(second=9)[:torn] + row(second=2) + row(second=3))
    rows, _ = read_all(CelFile(path))
    assert seconds(rows) == [1, 2, 3]
    assert len([r for r in rows if isinstance(r, BadRow)]) == 1


def test_a_row_without_end_is_given_up(path: Path) -> None:
    path.write_bytes(row(second=1) + b'"' + b"x" * 5000)
    file = CelFile(path, chunk=4096, longest_row=1024)
    rows, place = read_all(file)
    assert seconds(rows) == [1]
    assert any(isinstance(r, BadRow) and "1024" in r.reason for r in rows)
    with path.open("ab") as out:
        out.write(b"\n" + row(second=2) + row(second=3))
    assert seconds(read_all(file, place)[0]) == [2, 3]


def test_bytes_of_another_encoding_are_replaced_and_counted(path: Path) -> None:
    path.write_bytes(row(appdata="X").replace(b'"X"', b'"' + "报警人".encode("gbk") + b'"') + row(appdata="\ufffd"))
    file = CelFile(path)
    rows, _ = read_all(file)
    assert len([r for r in rows if isinstance(r, CelRow) and "\ufffd" in r.appdata]) == 2
    assert file.replaced == 1  # the other row really said U+FFFD


@pytest.mark.parametrize(
    ("text", "extra", "damaged"),
    [
        ("", {}, False),
        ("{", {}, True),
        ("[1]", {}, True),
        ("[" * 100_000, {}, True),
        ('{"a":null,"b":true,"c":[1]}', {"a": "", "b": "true", "c": "[1]"}, False),
        ('{"extra":"{\\"ref\\":"}', {"extra": '{"ref":'}, True),
        ('{"extra":"{\\"extra\\":\\"x\\"}","n":1}', {"extra": "x", "n": "1"}, False),
    ],
)
def test_eventextra_is_read_with_patience(path: Path, text: str, extra: dict[str, str], damaged: bool) -> None:
    path.write_bytes(row(extra=text))
    file = CelFile(path, chunk=1 << 18, longest_row=1 << 17)
    [only], _ = file.read_from(0)
    assert isinstance(only, CelRow)
    assert (dict(only.extra), only.extra_damaged) == (extra, damaged)


def test_a_rotated_file_is_read_to_its_end_first(path: Path) -> None:
    path.write_bytes(row(second=1))
    file = CelFile(path)
    _, place = read_all(file)
    with path.open("ab") as out:
        out.write(row(second=2) + row(second=3))
    path.rename(path.with_name("cel.csv.1"))
    rows, place = read_all(file, place)
    assert seconds(rows) == [2, 3], "the elder is read while there is no new file yet"
    path.write_bytes(row(second=4))
    rows, place = read_all(file, place)
    assert seconds(rows) == [4]
    assert place == CelOffset(len(row()), path.stat().st_ino)


def test_two_rotations_while_nobody_read(path: Path) -> None:
    path.write_bytes(row(second=1) + row(second=2))
    file = CelFile(path)
    place = CelOffset(len(row()), path.stat().st_ino)
    path.rename(path.with_name("cel.csv.2"))
    path.with_name("cel.csv.1").write_bytes(row(second=3) + row(second=4)[:30])
    path.write_bytes(row(second=5))
    rows, _ = file.read_from(*place)
    assert seconds(rows) == [2, 3, 5]
    assert [r.reason for r in rows if isinstance(r, BadRow)] == ["torn row at the end of a rotated file"]


def test_copied_and_truncated(path: Path) -> None:
    path.write_bytes(row(second=1) + row(second=2))
    file = CelFile(path)
    place = CelOffset(len(row()), path.stat().st_ino)
    path.with_name("cel.csv.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    rows, place = read_all(file, place)
    with path.open("ab") as out:
        out.write(row(second=3))
    assert seconds(rows + read_all(file, place)[0]) == [2, 3]


def test_a_file_that_is_gone_is_told_once_and_the_new_one_is_read(path: Path) -> None:
    path.write_bytes(row(second=7))
    rows, place = CelFile(path).read_from(4000, 1)
    assert [type(r) for r in rows] == [BadRow, CelRow]
    assert CelFile(path).read_from(*place) == ([], place)


def test_no_file_yet_is_no_news(path: Path) -> None:
    assert CelFile(path).read_from(12, 34) == ([], CelOffset(12, 34))


def test_a_place_survives_as_text() -> None:
    for place in (CelOffset(0, None), CelOffset(17, 4242)):
        assert CelOffset.parse(str(place)) == place
    with pytest.raises(ValueError, match="invalid literal"):
        CelOffset.parse("here")
