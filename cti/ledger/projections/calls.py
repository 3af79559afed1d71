"""All facts of one call, by id. Knows: the index and its TTL. Must not know: what the facts mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cti.ledger.keys import Keys
from cti.ledger.projections.shape import Command, Entry

TTL = 90 * 86_400
"""seconds the index of a call outlives its last fact"""


def by_call(keys: Keys, entries: Sequence[Entry]) -> Iterator[Command]:
    """One sorted set a call, scored by the id's milliseconds."""
    calls: dict[bytes, list[bytes | str | int]] = {}
    for fact_id, fields in entries:
        if ref := fields.get(b"ref"):
            calls.setdefault(ref, []).extend((fact_id.ms, str(fact_id)))
    for ref, members in calls.items():
        key = keys.call(ref)
        yield ("ZADD", key, *members)
        yield ("EXPIRE", key, TTL)
