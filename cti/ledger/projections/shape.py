"""The shape of a projection; its rules are told in `__init__.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from cti.core.facts import FactId
from cti.ledger.keys import Keys

Entry: TypeAlias = tuple[FactId, Mapping[bytes, bytes]]
"""an entry of the stream: its id, its fields (`cti.core.facts.encode`)"""
Command: TypeAlias = tuple[bytes | str | int, ...]
"""a Redis command and its arguments"""
Projection: TypeAlias = Callable[[Keys, Sequence[Entry]], Iterable[Command]]
