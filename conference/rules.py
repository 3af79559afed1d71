"""What a cell of the room's table may be. Knows: nothing of rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cti.core import events as e
from cti.core.model import Conference, RoomState

Change = Callable[[Conference, e.Event], Conference]
Test = Callable[[Conference, e.Event], bool]


@dataclass(frozen=True, slots=True)
class To:
    """The event moves the room to ``state``; ``change`` fills in what it tells."""

    state: RoomState
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """The event is expected here and changes nothing, because of ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """The event cannot happen here. Counted, recorded, changes nothing."""

    code: str


Rule = To | Ignore | Anomaly


@dataclass(frozen=True, slots=True)
class When:
    """One of two cells, by what the event names."""

    test: Test
    then: Cell
    otherwise: Cell


Cell = To | Ignore | Anomaly | When


def resolve(cell: Cell, conference: Conference, event: e.Event) -> Rule:
    """The rule this event meets."""
    while isinstance(cell, When):
        cell = cell.then if cell.test(conference, event) else cell.otherwise
    return cell


def leaves(cell: Cell) -> tuple[Rule, ...]:
    """Every rule a cell may come to, the likeliest first."""
    return (*leaves(cell.then), *leaves(cell.otherwise)) if isinstance(cell, When) else (cell,)
