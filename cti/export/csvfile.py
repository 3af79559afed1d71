"""CSV of rows: UTF-8 with a mark (without it Excel reads Chinese as another code page), RFC 4180 lines, a heading.

Knows: what a spreadsheet does with a cell. Must not know: which table. A text cell that a spreadsheet would take for a
formula, or that begins with our own mark, gets an apostrophe before it (OWASP, "CSV injection"); `undo` takes it away,
so nothing is lost. Numbers are bare: no row of ours has a negative one.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from cti.core.zone import SHANGHAI
from cti.export.tables import Cell, Column, Row

RISKY = frozenset("=+-@\t\r\n＝＋－＠")
"""full-width too: a Chinese or Japanese spreadsheet takes those for the narrow ones"""
MARK = "'"
BOM = "\ufeff"


def heading(columns: Sequence[Column]) -> bytes:
    """The file's first bytes: the mark and the columns' names."""
    return (BOM + _lines([[column.name for column in columns]])).encode()


def lines(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """Rows as lines."""
    return _lines([_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows).encode()


def neutral(text: str) -> str:
    """Text no spreadsheet runs."""
    return MARK + text if text and (text[0] in RISKY or text[0] == MARK) else text


def undo(text: str) -> str:
    """What was before `neutral`."""
    return text[1:] if text.startswith(MARK) else text


def read(file: IO[str], columns: Sequence[Column]) -> Iterator[Row]:
    """The rows of such a file again (opened with ``newline=""``, ``utf-8-sig``). Raises ValueError, naming the line."""
    reader = csv.reader(file)
    names = next(reader, [])
    if names != [column.name for column in columns]:
        raise ValueError(f"第1行应为 / line 1 must be {','.join(c.name for c in columns)}")
    for row in reader:
        try:
            yield tuple(_value(column, cell) for column, cell in zip(columns, row, strict=True))
        except ValueError as why:
            raise ValueError(f"第{reader.line_num}行 / line {reader.line_num}: {why}") from None


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _cell(column: Column, cell: Cell) -> Cell:
    if cell is None:
        return ""
    if column.kind == "time" and isinstance(cell, int):
        return dt.datetime.fromtimestamp(cell // 1_000_000, SHANGHAI).strftime("%Y-%m-%d %H:%M:%S") + (
            f".{cell % 1_000_000:06d}+08:00")  # fmt: skip
    return neutral(cell) if isinstance(cell, str) else cell


def _value(column: Column, text: str) -> Cell:
    if column.kind == "text":
        return undo(text)
    if not text:
        return None
    if column.kind == "int":
        return int(text)
    at = dt.datetime.fromisoformat(text)
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond
