"""Decisions of three-party calls and their disputes. Knows: which kinds they are. Must not know: who was right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cti.core.disputes import KINDS
from cti.ledger.keys import Keys
from cti.ledger.projections.shape import Command, Entry

_KINDS = frozenset(kind.encode() for kind in KINDS)


def decisions(keys: Keys, entries: Sequence[Entry]) -> Iterator[Command]:
    """One small sorted set of ids, scored by milliseconds."""
    for fact_id, fields in entries:
        if fields.get(b"kind") in _KINDS:
            yield ("ZADD", keys.decisions, fact_id.ms, str(fact_id))
