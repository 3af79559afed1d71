"""What a cell of a machine's table may be: one vocabulary for the transfer, the room of a three-party call, a callback
task, a seat, a lease. Must not know: any of them.

``S`` is the machine's state, ``V`` the value it moves, ``E`` the events it hears.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

S = TypeVar("S")
V = TypeVar("V")
E = TypeVar("E")


@dataclass(frozen=True)  # no slots: To[S, V, E](…) could not be made of it (CPython 3.11)
class To(Generic[S, V, E]):
    """The event moves the value to ``state``; ``change`` fills in what it tells."""

    state: S
    change: Callable[[V, E], V] | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """The event is expected here and changes nothing, because of ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The event cannot happen here. Counted, recorded, changes nothing."""

    code: str


Rule: TypeAlias = To[S, V, E] | Ignore | Anomaly


@dataclass(frozen=True)
class When(Generic[S, V, E]):
    """One of two cells, by what the event names."""

    test: Callable[[V, E], bool]
    then: Cell[S, V, E]
    otherwise: Cell[S, V, E]


Cell: TypeAlias = To[S, V, E] | Ignore | Anomaly | When[S, V, E]


def resolve(cell: Cell[S, V, E], value: V, event: E) -> Rule[S, V, E]:
    """The rule this event meets."""
    while isinstance(cell, When):
        cell = cell.then if cell.test(value, event) else cell.otherwise
    return cell


def leaves(cell: Cell[S, V, E]) -> tuple[Rule[S, V, E], ...]:
    """Every rule a cell may come to, the likeliest first."""
    return (*leaves(cell.then), *leaves(cell.otherwise)) if isinstance(cell, When) else (cell,)
