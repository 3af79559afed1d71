"""The keys told lately, so that a fact told twice is written once. Knows nothing of Redis or the spool."""

from __future__ import annotations

from collections import OrderedDict

from cti.core.facts import FactId


class Remembered:
    """The newest `most` keys with the id each was first given; the oldest are forgotten first.

    200,000 keys of 60 bytes take about 50 MB, and are about a day of a busy site.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: OrderedDict[bytes, FactId] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ids)

    def get(self, key: bytes) -> FactId | None:
        return self._ids.get(key)

    def add(self, key: bytes, fact_id: FactId) -> None:
        """`key` stands at `fact_id` now: a new fact, or one that was given another id."""
        self._ids[key] = fact_id
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)

    def add_older(self, key: bytes, fact_id: FactId) -> None:
        """Learn from the past, newest first: `key` was told at `fact_id`, before everything known so far."""
        known = self._ids.get(key)
        if known is not None:
            self._ids[key] = min(known, fact_id)
        elif len(self._ids) < self._most:
            self._ids[key] = fact_id
            self._ids.move_to_end(key, last=False)

    def forget(self, key: bytes) -> None:
        """`key` was not written after all: it may be told again."""
        self._ids.pop(key, None)
