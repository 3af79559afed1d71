"""The two files `cti seats plan` may be given. Knows: their columns, how a fault is named. Must not know: forecasts."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

from cti.core.forecast import Calendar, History, first_quarter

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


class CsvError(ValueError):
    """A file that cannot be used: file, line, what is wrong, what to write instead."""

    def __init__(self, file: Path, line: int, what: str) -> None:
        super().__init__(f"{file}:{line}: {what}" if line else f"{file}: {what}")


def read_counts(file: Path) -> dict[str, History]:
    """Calls by line and quarter. All lines are known for the same span, from the file's first day to its last quarter;
    a quarter that is not written had no calls."""
    counts: dict[str, dict[int, int]] = {}
    for number, row in _rows(file, ("line", "start", "calls")):
        name, calls = row["line"], row["calls"]
        if not _NAME.match(name):
            raise CsvError(file, number, f"line {name!r}: 应为队列名，如 12345 / must be a line's name, e.g. 12345")
        if not (calls.isascii() and calls.isdecimal()):
            raise CsvError(file, number, f"calls {calls!r}: 应为整数通数 / must be a whole number of calls")
        of_line = counts.setdefault(name, {})
        quarter = _quarter(file, number, row["start"])
        if quarter in of_line:
            raise CsvError(file, number, f"{name} {row['start']}: 此一刻钟写了两次 / this quarter is there twice")
        of_line[quarter] = int(calls)
    if not counts:
        raise CsvError(file, 0, "没有数据行 / holds no rows")
    first = min(min(one) for one in counts.values()) // 96 * 96
    end = max(max(one) for one in counts.values()) + 1
    return {name: History(first, end, one) for name, one in counts.items()}


def read_calendar(file: Path) -> Calendar:
    """Holidays (off) and make-up workdays (work), as the State Council's yearly notice has them."""
    days: dict[str, set[dt.date]] = {"off": set(), "work": set()}
    for number, row in _rows(file, ("date", "kind")):
        if row["kind"] not in days:
            what = f"kind {row['kind']!r}: 应为 off（放假）或 work（调休上班）/ must be off or work"
            raise CsvError(file, number, what)
        try:
            days[row["kind"]].add(dt.date.fromisoformat(row["date"]))
        except ValueError:
            what = f"date {row['date']!r}: 应形如 2026-10-01 / must look like 2026-10-01"
            raise CsvError(file, number, what) from None
    return Calendar(frozenset(days["off"]), frozenset(days["work"]))


def _quarter(file: Path, number: int, text: str) -> int:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None or at.minute % 15 or at.second or at.microsecond:
        raise CsvError(file, number, f"start {text!r}: 应为北京时间的整刻，如 2026-11-02T08:15 / "
                                     "must be a quarter of an hour, Beijing time, without zone")  # fmt: skip
    return first_quarter(at.date()) + at.hour * 4 + at.minute // 15


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            if tuple(reader.fieldnames or ()) != columns:
                raise CsvError(file, 1, f"第一行应为 {','.join(columns)} / the first line must be {','.join(columns)}")
            for row in reader:
                if None in row or None in row.values():
                    raise CsvError(file, reader.line_num, f"应有 {len(columns)} 列 / must have {len(columns)} columns")
                yield reader.line_num, {key: value.strip() for key, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as why:
        raise CsvError(file, 0, f"读不了 / cannot be read: {why}") from None
