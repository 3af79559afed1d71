"""Exports: cells no spreadsheet runs, numbers masked, CSV and Parquet the same rows, memory that does not grow."""

from __future__ import annotations

import asyncio
import csv
import io
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.core.disputes import period
from cti.core.facts import CorruptFact, Fact, FactId
from cti.export import csvfile, parquet
from cti.export.csvfile import neutral, undo
from cti.export.stream import FORMATS, Format, Tally, Told, pieces
from cti.export.tables import COLUMNS, TABLES, Maker, Row, Table
from tests.quarter import quarter

REF = "530100-1785600000.1"
JULY = period("2026-07")
FACTS = [*quarter(JULY, 4)]


async def stream(facts: Iterable[Fact]) -> AsyncIterator[Told]:
    for n, fact in enumerate(facts):
        yield FactId(fact.at // 1000, n), fact


def made(table: Table, form: Format, facts: Iterable[Fact] = FACTS, *, unmasked: bool = False) -> bytes:
    async def whole() -> bytes:
        maker = Maker(table, JULY.start, JULY.end, unmasked=unmasked)
        return b"".join([piece async for piece in pieces(maker, stream(facts), form)])

    return asyncio.run(whole())


def csv_rows(data: bytes, table: Table) -> list[Row]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csvfile.read(io.StringIO(data.decode("utf-8-sig"), newline=""), COLUMNS[table]))


# -- what a spreadsheet would run --------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x", "'=1"])
def test_no_cell_begins_as_a_formula(text: str) -> None:
    assert neutral(text) == f"'{text}" and undo(neutral(text)) == text


@given(st.text(max_size=20))
@settings(max_examples=50)
def test_any_text_comes_back(text: str) -> None:
    assert undo(neutral(text)) == text
    assert not neutral(text)[:1] or neutral(text)[0] not in "=+-@\t\r\n＝＋－＠"


def test_evil_text_in_a_fact_is_only_text_in_the_file() -> None:
    evil = '=HYPERLINK("x","点我")'
    facts = [Fact("TransferEnded", JULY.start + 9, REF, {"transfer": "=1", "started_at": JULY.start, "why": evil,
                                                         "seat": "@a", "outcome": "\t+x"}, "live", "k")]  # fmt: skip
    cells = next(iter(list(csv.reader(io.StringIO(made("transfers", "csv", facts).decode("utf-8-sig"))))[1:]))
    assert f"'{evil}" in cells and not any(cell[:1] in "=+-@\t" for cell in cells if cell)


# -- rows --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", TABLES)
def test_csv_and_parquet_hold_the_same_rows(table: Table, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(made(table, "parquet"))
    rows = list(parquet.read(file))
    assert rows == csv_rows(made(table, "csv"), table) and len(rows) > 20


def test_every_call_and_transfer_of_the_span_is_a_row_once() -> None:
    ended = {f.ref for f in FACTS if f.kind == "CallEnded" and JULY.start <= int(str(f.data["arrived_at"])) < JULY.end}
    rows = csv_rows(made("calls", "csv"), "calls")
    assert [row[0] for row in rows] == sorted({row[0] for row in rows}, key=[r[0] for r in rows].index)
    assert {row[0] for row in rows} == ended
    transfers = [str(f.data["transfer"]) for f in FACTS if f.kind == "TransferEnded"]
    assert sorted(str(row[0]) for row in csv_rows(made("transfers", "csv"), "transfers")) == sorted(transfers)


@pytest.mark.parametrize("table", TABLES)
def test_numbers_are_masked_unless_asked_for(table: Table) -> None:
    numbers = {str(f.data["caller"]).encode() for f in FACTS if f.kind == "CallArrived" and f.data["caller"]}
    masked, clear = made(table, "csv"), made(table, "csv", unmasked=True)
    assert not any(number in masked for number in numbers)
    assert sum(number in clear for number in numbers) > 5 and b"139****" in masked


def test_ids_in_data_are_kept_and_numbers_in_words_are_not() -> None:
    data: dict[str, str | int | bool | None] = {
        "transfer": f"{REF}-17p1", "text": f"回拨13800001111，见{REF}", "to": "087163120000", "n": 13800001111,
        "caller": "13800001111", "danger": True, "odd": "\ud800=\0"}  # fmt: skip
    facts = [Fact("Told", JULY.start, REF, data, "live", "k")]
    (row,) = csv_rows(made("facts", "csv", facts), "facts")
    said = str(row[-1])
    assert f"{REF}-17p1" in said and said.count(REF) == 2
    assert "13800001111" not in said and "087163120000" not in said
    assert made("facts", "parquet", facts)


def test_an_entry_that_is_no_fact_is_counted_and_stops_nothing() -> None:
    async def told() -> AsyncIterator[Told]:
        yield FactId(1, 0), CorruptFact("?", {})
        async for one in stream(FACTS[:50]):
            yield one

    async def count() -> Tally:
        tally = Tally()
        async for _ in pieces(Maker("facts", 0, 1 << 60), told(), "csv", tally):
            pass
        return tally

    tally = asyncio.run(count())
    assert (tally.corrupt, tally.facts, tally.rows) == (1, 51, 50)


def test_a_file_leaves_while_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP", 200)

    async def sizes(form: Format) -> list[int]:
        made = pieces(Maker("facts", JULY.start, JULY.end), stream(FACTS[:1000]), form)
        return [len(piece) async for piece in made]

    for form in FORMATS:
        assert len(asyncio.run(sizes(form))) >= 6


@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_rows(form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of Python held at the worst moment, after 1,000 rows and after 4,000. `bench/export.py` does it with
    200,000 and the process' own memory."""
    monkeypatch.setattr(parquet, "GROUP", 500)
    fact = Fact("CallerQueued", JULY.start, REF, {"queue": "12345", "priority": 0}, "live", "k")

    async def told(count: int) -> AsyncIterator[Told]:
        for n in range(count):
            yield FactId(JULY.start // 1000, n), fact

    async def peak(count: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        tally = Tally()
        async for _ in pieces(Maker("facts", JULY.start, JULY.end), told(count), form, tally):
            pass
        assert tally.rows == count
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start(1)
    try:
        asyncio.run(peak(600))  # what is made once
        small, large = asyncio.run(peak(1_000)), asyncio.run(peak(4_000))
    finally:
        tracemalloc.stop()
    assert large < small * 1.3 + 100_000, (small, large)
