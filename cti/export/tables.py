"""Three tables, row by row, from the ledger's facts in order: calls and transfers (one row each, when ended), facts.

Knows: which fact makes which row, what is masked. Must not know: files. Memory does not grow with what is read: of the
past only who called is kept, of the latest `KEEP_CALLS` calls.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from cti.core.facts import Fact, FactId
from cti.log import NUMBERS, mask_number, mask_text

Table = Literal["transfers", "calls", "facts"]
TABLES: tuple[Table, ...] = get_args(Table)
Kind = Literal["text", "int", "time"]
Cell: TypeAlias = str | int | None
Row: TypeAlias = tuple[Cell, ...]
"""a cell a column; a time is µs UTC"""

KEEP_CALLS = 50_000
"""calls whose caller is remembered until their records come: more than a site has in hours"""
LEAD_MS = 4 * 3_600_000
"""a call may have begun so long before the span in which it is recorded"""
LATE_MS = 24 * 3_600_000
"""a fact may be written so long after it happened (a long call, a service that was away)"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the same in every format."""

    name: str
    kind: Kind


def _columns(text: str) -> tuple[Column, ...]:
    kinds: dict[str, Kind] = {"i": "int", "t": "time", "": "text"}
    return tuple(Column(name, kinds[kind]) for name, _, kind in (one.partition(":") for one in text.split()))


COLUMNS: Mapping[Table, tuple[Column, ...]] = {
    "transfers": _columns(
        "transfer call started:t ended:t hotline to outcome why seat target mode key hops:i released:i danger:i "
        "answer_ms:i join_ms:i caller drill source"),
    "calls": _columns(
        "call arrived:t ended:t hotline division outcome why wait_ms:i talk_ms:i seats transfers:i caller drill "
        "source"),
    "facts": _columns("id written_ms:i at:t kind call source data"),
}  # fmt: skip

_REF = re.compile(r"\d{6}-\d{1,12}\.\d{1,12}(?:-[A-Za-z0-9.]{1,40})?")
"""a correlation id and what is made of one: its digits are no telephone number"""
_DIGIT = re.compile(r"\d")


class Maker:
    """Makes the rows of one table in ``[start, end)`` (µs: when a call arrived, a transfer started, a fact happened).
    Tell it every fact from `LEAD_MS` before to `LATE_MS` after."""

    def __init__(self, table: Table, start: int, end: int, *, unmasked: bool = False) -> None:
        self.columns = COLUMNS[table]
        self._start, self._end, self._unmasked = start, end, unmasked
        self._callers: OrderedDict[str, str] = OrderedDict()
        makers: dict[Table, Callable[[FactId, Fact], Row | None]] = {
            "transfers": self._transfer, "calls": self._call, "facts": self._fact}  # fmt: skip
        self._make = makers[table]

    def rows(self, fact_id: FactId, fact: Fact) -> Iterator[Row]:
        """The row of this fact, if it makes one that is wanted."""
        if fact.kind == "CallArrived":
            self._callers[fact.ref] = str(fact.data.get("caller") or "")
            if len(self._callers) > KEEP_CALLS:
                self._callers.popitem(last=False)
        row = self._make(fact_id, fact)
        if row is not None:
            yield tuple(_clean(cell) for cell in row)

    def _wanted(self, at: int) -> bool:
        return self._start <= at < self._end

    def _caller(self, ref: str) -> str:
        number = self._callers.get(ref, "")
        return number if self._unmasked else mask_number(number)

    def _transfer(self, _: FactId, fact: Fact) -> Row | None:
        data = fact.data
        started = _int(data.get("started_at"))
        if fact.kind != "TransferEnded" or started is None or not self._wanted(started):
            return None
        return (_text(data, "transfer"), fact.ref, started, fact.at, _text(data, "first_platform"), _text(data, "to"),
                _text(data, "outcome"), _text(data, "why"), _text(data, "seat"), _text(data, "target"),
                _text(data, "mode"), _text(data, "key_"), _int(data.get("hops")), _int(data.get("released")),
                _int(data.get("danger")), _int(data.get("answer_ms")), _int(data.get("join_ms")),
                self._caller(fact.ref), _text(data, "drill"), fact.source)  # fmt: skip

    def _call(self, _: FactId, fact: Fact) -> Row | None:
        data = fact.data
        arrived = _int(data.get("arrived_at"))
        if fact.kind != "CallEnded" or arrived is None or not self._wanted(arrived):
            return None
        return (fact.ref, arrived, fact.at, _text(data, "hotline"), _text(data, "division"), _text(data, "outcome"),
                _text(data, "why"), _int(data.get("wait_ms")), _int(data.get("talk_ms")), _text(data, "seats"),
                _int(data.get("transfers")), self._caller(fact.ref), _text(data, "drill"), fact.source)  # fmt: skip

    def _fact(self, fact_id: FactId, fact: Fact) -> Row | None:
        if not self._wanted(fact.at):
            return None
        data = fact.data if self._unmasked else {name: _masked(name, value) for name, value in fact.data.items()}
        # ASCII alone: a lone surrogate a phone sent survives as an escape, where no file could hold it as a letter
        return (str(fact_id), fact_id.ms, fact.at, fact.kind, fact.ref, fact.source,
                json.dumps(dict(data), ensure_ascii=any(_odd(v) for v in data.values()), separators=(",", ":")),
                )  # fmt: skip


def _masked(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name in NUMBERS:
        return mask_number(str(value))
    if isinstance(value, str):
        if len(_DIGIT.findall(value)) < 7:  # no number is so short
            return value
        kept = _REF.findall(value)
        parts = [mask_text(part) for part in _REF.split(value)]
        return "".join(part + (kept[n] if n < len(kept) else "") for n, part in enumerate(parts))
    return mask_number(str(value)) if re.fullmatch(r"(86)?1[3-9]\d{9}", str(value)) else value


def _odd(value: object) -> bool:
    """Text with a lone surrogate in it, which no UTF-8 has."""
    if not isinstance(value, str) or value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return "" if value is None else str(value)


def _int(value: object) -> int | None:
    """A whole number that is one; -1 in a record means "not"."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value >= 0 else None


def _clean(cell: Cell) -> Cell:
    """Text every format can hold: a lone surrogate is no letter, a NUL none that a CSV may have."""
    if isinstance(cell, str) and (_odd(cell) or "\0" in cell):
        return "".join("�" if "\ud800" <= c <= "\udfff" or c == "\0" else c for c in cell)
    return cell
