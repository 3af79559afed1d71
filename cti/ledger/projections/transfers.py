"""Transfers to be asked for by time, seat, outcome, call and caller. Knows: which facts tell of one. Must not know: who
asks, how a page is cut (cti/ledger/transfers.py).

A transfer's row is a hash with a field per fact (its kind and id), each written by that fact alone: whatever order
they come in, and however often, the row is the same. Indexes are few, for each is a write on the way of every fact:
by time, because every page is a span of it; by seat and by outcome, because these narrow a month to some rows; by
name and by caller, because those are looked for one by one. Hotline, direction and key only halve what is read, and
are compared row by row.

``ZADD … LT``: the door's fact and the record tell when the transfer started, a refusal only when it was refused; the
earliest stands, in whatever order they are read.

A caller is here as `138****00~<hash>`: enough to ask for "the same caller", never his number, for names of keys and
members come into slow logs and monitors. The hash is keyed by the site's name. It keeps no secret from who can read
this Redis: the stream beside it has the numbers themselves (ARCHITECTURE.md, security surface).
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from cti.core.entry import normalise_caller
from cti.core.zone import SHANGHAI
from cti.ledger.keys import Keys
from cti.ledger.projections.shape import Command, Entry
from cti.log import mask_number

ROW_KINDS = frozenset({b"TransferRequested", b"TransferStarted", b"TransferRefused", b"TargetAnswered",
                       b"TransferEnded"})  # fmt: skip
"""facts a row is made of; what else happened to a transfer is read from the call's facts"""
_TIMED = frozenset({b"TransferStarted", b"TransferRefused", b"TransferEnded"})
_TEXT = ("utf-8", "surrogatepass")


def transfers(keys: Keys, entries: Sequence[Entry]) -> Iterator[Command]:
    """Rows and indexes, a command a key."""
    indexes: dict[str, dict[str, int]] = {}
    arrivals: dict[str, list[str | bytes]] = {}
    for fact_id, fields in entries:
        kind = fields.get(b"kind", b"")
        if kind == b"CallArrived":
            _arrival(keys, fields, arrivals)
        elif kind in ROW_KINDS:
            data = _data(fields.get(b"data", b""))
            name = str(data.get("transfer", ""))
            if not name:
                continue
            said = b"{}" if kind == b"TransferRequested" else fields[b"data"]  # its summary is free text: left out
            field = b"%b %b" % (kind, str(fact_id).encode())
            yield ("HSET", keys.transfer(name), field, b"%b %b" % (fields[b"at"], said))
            if kind in _TIMED:
                _index(keys, indexes, name, data, int(fields[b"at"]))
    for key, members in indexes.items():
        if key == keys.transfer_ids:
            yield ("ZADD", key, *_flat(members))
        else:
            yield ("ZADD", key, "LT", *_flat(members))
    for key, values in arrivals.items():
        yield ("HSET" if ":arrivals:" in key else "ZADD", key, *values)


def _index(keys: Keys, indexes: dict[str, dict[str, int]], name: str, data: dict[str, Any], at: int) -> None:
    started = data.get("started_at")
    score = started if isinstance(started, int) else at
    told = [("seat", data.get("seat")), ("seat", data.get("target")), ("outcome", data.get("outcome"))]
    wanted = [keys.transfers, *(keys.transfers_of(what, str(value)) for what, value in told if value)]
    for key in wanted:
        members = indexes.setdefault(key, {})
        members[name] = min(members.get(name, score), score)
    indexes.setdefault(keys.transfer_ids, {})[name] = 0


def _flat(members: dict[str, int]) -> list[str | int]:
    return [part for name, score in members.items() for part in (score, name)]


def _arrival(keys: Keys, fields: Any, arrivals: dict[str, list[str | bytes]]) -> None:
    data = _data(fields.get(b"data", b""))
    ref = fields.get(b"ref", b"").decode(*_TEXT)
    if not ref or not data:
        return
    who, month = caller_id(keys.prefix, str(data.get("caller") or "")), month_of(ref)
    arrivals.setdefault(keys.arrivals(month), []).extend((ref.encode(*_TEXT), f"{data.get('hotline', '')} {who}"))
    if who:
        arrivals.setdefault(keys.callers(month), []).extend(("0", f"{who}|{ref}".encode(*_TEXT)))


def caller_id(site: str, number: str) -> str:
    """`138****00~0123456789abcdef` of a number; empty for a withheld one."""
    plain = normalise_caller(number).number
    if not plain:
        return ""
    digest = hashlib.blake2s(plain.encode(*_TEXT), key=site.encode()[:32], digest_size=8).hexdigest()
    return f"{mask_number(plain)}~{digest}"


def month_of(ref: str) -> str:
    """The month (Asia/Shanghai) in which the caller's channel began, as his correlation id says: known from the ref
    alone to whoever writes and whoever reads. `1970-01` for a ref that says nothing."""
    seconds = ref.partition("-")[2].partition(".")[0]
    return _month(int(seconds) // 3600 if seconds.isascii() and seconds.isdecimal() and len(seconds) <= 10 else 0)


@functools.lru_cache(maxsize=64)
def _month(hour: int) -> str:
    return dt.datetime.fromtimestamp(hour * 3600, SHANGHAI).strftime("%Y-%m")


def _data(raw: bytes) -> dict[str, Any]:
    """An entry's data; empty for what cannot be read: readers of the stream count it, no projection stops for it."""
    try:
        found: Any = json.loads(raw.decode(*_TEXT))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
