"""The room's table: every (state, event) pair is decided, and nothing impure is in it."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import conference
from conference import room as machine
from conference.words import CHOICES, ENDS
from cti.core import events as e
from cti.core import rules
from cti.core.model import Conference, Party, Policy, RoomState

from .playbook import (
    REF,
    T1,
    said,
    us,
)


def sample(kind: type[e.Event], seat: str, choice: str = "110") -> e.Event:
    values = {"transfer": T1, "to": "110", "seat": seat, "code": "alone", "platform": "110", "choice": choice,
              "queue": "12345", "member": f"{REF}-3m1", "on": 1}  # fmt: skip
    return e.make(kind.__name__, REF, us(3), values)


def standing(state: RoomState, word: str, fourth: bool = False) -> Conference:
    """A conference in this state: undecided, decided by 12345, or disputed; with a fourth member or without."""
    opened = machine.opened(T1, Party("1001", "12345"), Party("8001", "110"), "12345", Policy(), us(1))
    for event in ((said(1.1, "1001", "12345"),) if word else ()) + ((said(1.2, "8001", "110"),) if word == "2" else ()):
        opened = _stepped(opened, event)
    if fourth:
        opened = _stepped(opened, sample(e.MemberJoined, "1901"))
    ways = {RoomState.TOGETHER: [], RoomState.ASIDE: [sample(e.CallerSetAside, "1001")],
            RoomState.ALONE: [sample(e.GuestLeft, "1001")], RoomState.LAST: [sample(e.WordsLast, "")],
            RoomState.OVER: [sample(e.RoomOver, "")]}  # fmt: skip
    for event in ways[state]:
        opened = _stepped(opened, event)
    assert opened.state is state
    return opened


def _stepped(before: Conference, event: e.Event) -> Conference:
    after, rule = machine.step(before, event)
    assert after is not None and isinstance(rule, rules.To)
    return after


def test_every_pair_is_decided() -> None:
    heard = {*e.ROOM_EVENTS, *machine.FROM_CALL, e.TransferStarted}
    assert set(machine.NONE) == heard and set(machine.TABLE) == set(RoomState)
    for state in RoomState:
        assert set(machine.TABLE[state]) == heard, state


@pytest.mark.parametrize("state", list(RoomState))
@pytest.mark.parametrize("kind", list(machine.NONE))
def test_the_whole_product(state: RoomState, kind: type[e.Event]) -> None:
    seats = ("1001", "8001", "1002", "")
    for word, seat, choice, fourth in product(("", "1", "2"), seats, (*CHOICES, "119"), (False, True)):
        before = standing(state, word, fourth)
        after, rule = machine.step(before, sample(kind, seat, choice))
        assert after is not None
        if isinstance(rule, rules.To):
            assert after.state is rule.state
            assert (after.state is RoomState.OVER) == (after.ended_at > 0) == bool(after.how)
            assert after.state is not RoomState.OVER or (after.decision is not None and after.how in ENDS)
            assert before.decision is None or after.decision == before.decision, "a decision stands"
        else:
            assert after is before and (rule.reason if isinstance(rule, rules.Ignore) else rule.code)
        assert state is not RoomState.OVER or replace(after, disputed=before.disputed) == before


@pytest.mark.parametrize("kind", list(machine.NONE))
def test_no_step_opens_a_conference(kind: type[e.Event]) -> None:
    after, rule = machine.step(None, sample(kind, "1001"))
    assert after is None and isinstance(rule, rules.Ignore | rules.Anomaly)


def test_the_room_is_pure() -> None:
    """No I/O, no clock, no chance: it may import these and nothing else."""
    allowed = {"__future__", "collections", "dataclasses", "conference", "cti"}
    for path in Path(conference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [])  # fmt: skip
            assert {name.split(".")[0] for name in names} <= allowed, path
