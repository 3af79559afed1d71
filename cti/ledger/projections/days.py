"""The ended calls of a day, for the official answer rate. Knows: the day of a call is that of its arrival,
Asia/Shanghai; how an `EndedCall` is packed. Must not know: how they are counted.

Packed is the JSON array of `EndedCall`, readable as it is: `redis-cli hgetall 'cti:{530100}:day:20261125'`. A call of a
drill is left out (`cti.core.facts.published`), and so is an entry that does not read: the rate of a day must not fail
because of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from cti.core.answer_rate import EndedCall, ended_call
from cti.core.facts import data_of
from cti.core.spans import day_name, day_number
from cti.ledger.keys import Keys
from cti.ledger.projections.shape import Command, Entry

_pack = msgspec.json.Encoder().encode
unpack = msgspec.json.Decoder(EndedCall).decode
"""The call of a packed one. Raises ValueError for what is none."""


def days(keys: Keys, entries: Sequence[Entry]) -> Iterator[Command]:
    """A hash a day, field the call's ref."""
    found: dict[int, list[bytes | str | int]] = {}
    for _, fields in entries:
        if fields.get(b"kind") == b"CallEnded" and (ref := fields.get(b"ref")):
            try:
                data = data_of(fields[b"data"]) or {}
                if data.get("drill"):
                    continue
                call = ended_call(data)
                packed, day = _pack(call), day_number(call.arrived_at)
                day_name(day)
            except (KeyError, ValueError, RecursionError):  # UnicodeEncodeError is one: no hotline of ours is so named
                continue
            found.setdefault(day, []).extend((ref, packed))
    for day, members in found.items():
        yield ("HSET", keys.day(day_name(day)), *members)
