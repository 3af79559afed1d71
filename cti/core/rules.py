"""What a cell of a machine's table may be: one vocabulary for the transfer (`cti.core.transfer`) and the room of a
three-party call (`conference.room`). Knows: events. Must not know: either machine.

``S`` is the machine's state, ``V`` the value it moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from cti.core import events as e

S = TypeVar("S")
V = TypeVar("V")


@dataclass(frozen=True)  # no slots: To[S, V](…) could not be made of it (CPython 3.11)
class To(Generic[S, V]):
    """The event moves the value to ``state``; ``change`` fills in what it tells."""

    state: S
    change: Callable[[V, e.Event], V] | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """The event is expected here and changes nothing, because of ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The event cannot happen here. Counted, recorded, changes nothing."""

    code: str


Rule: TypeAlias = To[S, V] | Ignore | Anomaly


@dataclass(frozen=True)
class When(Generic[S, V]):
    """One of two cells, by what the event names."""

    test: Callable[[V, e.Event], bool]
    then: Cell[S, V]
    otherwise: Cell[S, V]


Cell: TypeAlias = To[S, V] | Ignore | Anomaly | When[S, V]


def resolve(cell: Cell[S, V], value: V, event: e.Event) -> Rule[S, V]:
    """The rule this event meets."""
    while isinstance(cell, When):
        cell = cell.then if cell.test(value, event) else cell.otherwise
    return cell


def leaves(cell: Cell[S, V]) -> tuple[Rule[S, V], ...]:
    """Every rule a cell may come to, the likeliest first."""
    return (*leaves(cell.then), *leaves(cell.otherwise)) if isinstance(cell, When) else (cell,)
