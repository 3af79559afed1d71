"""Facts: what happened to a call, as plain values, and how one becomes an entry of the ledger.

Knows: the shape of a fact, its id in the stream, and the entry's fields (format 1, below).
Must not know: Redis, files, the clock (the caller passes `now_ms`), Asterisk's protocols.

An entry is one flat map of byte strings, the same in the Redis stream and in the local spool:

    v=1  kind=TransferEnded  at=1700000000000000  ref=k-17  source=live  key=cel/…  data={"result":"joined"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import msgspec

Scalar: TypeAlias = str | int | bool | None
Source: TypeAlias = Literal["live", "cel", "service", "operator"]

_FORMAT = b"1"
_FIELDS = (b"kind", b"at", b"ref", b"source", b"key", b"data")
_SOURCES: frozenset[str] = frozenset(get_args(Source))
# Texts may hold whatever a phone sent: lone surrogates must neither stop a write nor change on the way.
_TEXT = ("utf-8", "surrogatepass")
_FLAT = frozenset({str, int, bool, type(None)})
_read = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened, told in the past tense.

    `kind`: name of the event or record, e.g. "CallArrived".  `at`: when it happened, microseconds since the
    epoch, UTC (not when it was written: that is the id).  `ref`: correlation id of the call, "" for facts of
    the site.  `data`: flat and JSON-able.  `key`: the same key is the same fact, however often it is told.
    """

    kind: str
    at: int
    ref: str
    data: Mapping[str, Scalar]
    source: Source
    key: str


def published(fact: Fact) -> bool:
    """Whether it counts in figures that are published. What belongs to a drill carries ``drill``, and is reported by
    itself (`cti.core.plan_report`)."""
    return not fact.data.get("drill")


@dataclass(frozen=True, slots=True)
class CorruptFact:
    """An entry that is no fact. A value, so that one bad entry never stops a reader."""

    reason: str
    fields: Mapping[bytes, bytes]


@dataclass(frozen=True, order=True, slots=True)
class FactId:
    """Place of a fact in the ledger: milliseconds and a sequence number, ordered as Redis stream ids are."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str | bytes) -> FactId:
        """Read "ms-seq" (a bare "ms" means seq 0). Raises ValueError on anything else."""
        if isinstance(text, bytes):
            text = text.decode("ascii")
        ms, _, seq = text.partition("-")
        if not (ms.isdecimal() and ms.isascii() and (seq == "" or (seq.isdecimal() and seq.isascii()))):
            raise ValueError(f"not a fact id: {text!r}")
        return cls(int(ms), int(seq or 0))

    def after(self) -> FactId:
        """The smallest id above this one."""
        return FactId(self.ms, self.seq + 1)


class IdMaker:
    """Gives rising ids, even when the clock steps back (NTP, a restored machine)."""

    __slots__ = ("_last",)

    def __init__(self, last: FactId = FactId(0, 0)) -> None:
        self._last = last

    @property
    def last(self) -> FactId:
        return self._last

    def next(self, now_ms: int) -> FactId:
        """Return an id above every earlier one, at `now_ms` (milliseconds since the epoch) where possible."""
        self._last = FactId(now_ms, 0) if now_ms > self._last.ms else self._last.after()
        return self._last

    def raise_to(self, floor: FactId) -> None:
        """Never again give an id at or below `floor`, e.g. the top entry found in the stream."""
        self._last = max(self._last, floor)


def cel_key(at_us: int, uniqueid: str, name: str, n: int = 0) -> str:
    """Key of a fact that Asterisk told by CEL: the same whether it came live by AMI or later from the file.

    `at_us`: the CEL event's time in microseconds; `n` counts equal (time, channel, name) triples from 0.
    """
    return f"cel/{at_us}/{uniqueid}/{name}/{n}"


def encode(fact: Fact) -> dict[bytes, bytes]:
    """Return the entry's fields. Raises TypeError when `data` is not flat: that is a bug of the caller."""
    flat: Mapping[Any, Any] = fact.data  # a type checker stops most mistakes, this stops the others
    for name, value in flat.items():
        if not isinstance(name, str) or not (value is None or isinstance(value, (str, int))):
            kind = type(value).__name__
            raise TypeError(f"{fact.kind}.data[{name!r}] is {kind}, not a str, int, bool or None")
    data = json.dumps(dict(fact.data), ensure_ascii=False, separators=(",", ":"))
    return {
        b"v": _FORMAT,
        b"kind": fact.kind.encode(*_TEXT),
        b"at": b"%d" % fact.at,
        b"ref": fact.ref.encode(*_TEXT),
        b"source": fact.source.encode(),
        b"key": fact.key.encode(*_TEXT),
        b"data": data.encode(*_TEXT),
    }


def decode(fields: Mapping[bytes, bytes]) -> Fact | CorruptFact:
    """Return the fact of an entry, or a `CorruptFact` that says why there is none. Never raises."""
    if fields.get(b"v") != _FORMAT:
        return CorruptFact(f"format {fields.get(b'v')!r} is not {_FORMAT!r}", fields)
    try:
        kind, at, ref, source, key, raw = [fields[name] for name in _FIELDS]
        when = int(at)
        texts = [value.decode(*_TEXT) for value in (kind, ref, source, key)]
        data = data_of(raw)
    except KeyError as missing:
        return CorruptFact(f"field {missing} is missing", fields)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return CorruptFact(str(error), fields)
    if texts[2] not in _SOURCES:
        return CorruptFact(f"unknown source {texts[2]!r}", fields)
    if data is None:
        return CorruptFact("data is not a flat object", fields)
    return Fact(texts[0], when, texts[1], data, texts[2], texts[3])  # type: ignore[arg-type]


def data_of(raw: bytes) -> dict[str, Scalar] | None:
    """The ``data`` of an entry, None when it is no flat object. Raises ValueError or RecursionError for what is no
    JSON at all. For whoever needs nothing else of an entry (projections)."""
    try:
        data: Any = _read(raw)
    except (ValueError, RecursionError):  # strict, so a lone surrogate is one; the slow way takes those
        data = json.loads(raw.decode(*_TEXT))
    flat = isinstance(data, dict) and _FLAT.issuperset(map(type, data.values()))
    return data if flat else None
