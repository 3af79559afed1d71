"""Projections: what is kept in Redis beside the stream so that it can be asked quickly, and can be thrown away.

Knows: which there are, how one is written. Must not know: when (stream.py writes them in the fact's own MULTI/EXEC,
`cti ledger rebuild` writes them again from the stream).

A projection is a pure function of entries to Redis commands, by three rules:

- idempotent: the same entry a second time changes nothing (HSET, ZADD, SADD, EXPIRE; never INCR or APPEND);
- a function of the entry alone: it reads nothing, so a batch of any size, in any cut, comes to the same;
- quick: it is on the way of every fact. It looks at ``kind`` first, and decodes only what concerns it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cti.ledger.keys import Keys
from cti.ledger.projections.calls import by_call
from cti.ledger.projections.days import days
from cti.ledger.projections.decisions import decisions
from cti.ledger.projections.shape import Command, Entry, Projection
from cti.ledger.projections.transfers import transfers

__all__ = ["ALL", "Command", "Entry", "Projection", "project"]

ALL: tuple[Projection, ...] = (by_call, days, decisions, transfers)


def project(keys: Keys, entries: Sequence[Entry]) -> list[Command]:
    """Every command that these entries come to, in the order of `ALL`."""
    return [command for projection in ALL for command in projection(keys, entries)]
