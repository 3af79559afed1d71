"""The machines drawn from their own tables:

    python -m cti.core.diagram > docs/transfer-machine.md
    python -m cti.core.diagram conference > docs/conference-machine.md
    python -m cti.core.diagram callback > docs/callback-machine.md
    python -m cti.core.diagram lease > docs/lease-machine.md
    python -m cti.core.diagram nuisance > docs/nuisance-machine.md
    python -m cti.core.diagram seat > docs/seat-machine.md
    python -m cti.core.diagram duty > docs/duty-machine.md

Knows: the tables. Nothing is drawn by hand, so no picture can differ from what runs; a test holds the files to it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any, TypeVar

from conference import room
from cti.core import callbacks, duty, seats
from cti.core import events as e
from cti.core import lease as leases
from cti.core import lease_model as words
from cti.core import nuisance as entries
from cti.core import rules as cells
from cti.core import transfer as machine
from cti.core.listing import ListingState
from cti.core.model import CallbackState, RoomState, SeatStatus, TransferState
from cti.core.plan_model import DutyState

HEAD = """# The {name} machine

Drawn from `{source}` by `python -m cti.core.diagram{argument}`; do not edit by hand.

```mermaid
stateDiagram-v2
"""
FOOT = "\n· ignored, for the reason the table states; ! an anomaly, counted and recorded\n"

K = TypeVar("K")
Moves = dict[tuple[str, str], list[str]]


def diagram() -> str:
    """The transfer machine: a state diagram of what moves, then a table of every (state, event) pair."""
    moves: Moves = {}
    for kind, rule in machine.NONE.items():
        if isinstance(rule, cells.To):
            moves.setdefault(("[*]", str(rule.state)), []).append(kind.__name__)
    for state, rows in machine.TABLE.items():
        for kind, rule in rows.items():
            if isinstance(rule, cells.To):
                moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
    lines = _arrows(moves)
    for state, (_, outcome, why) in machine._DEADLINES.items():
        lines.append(f"    {state} --> ended: deadline ({' '.join(filter(None, (str(outcome), why)))})")
    lines.append("    ended --> [*]")
    head = HEAD.format(name="transfer", source="cti/core/transfer.py", argument="")
    table = {kind: [_cell(machine.TABLE[s][kind]) for s in TransferState] for kind in machine.NONE}
    return head + "\n".join(lines) + _table([str(s) for s in TransferState], table) + FOOT


def conference() -> str:
    """The room of a three-party call, the same way. A cell with several rules names what tells them apart."""
    moves: Moves = {
        ("[*]", str(RoomState.TOGETHER)): ["a transfer of mode add joins"],
        ("[*]", str(RoomState.ALONE)): ["it joins, its first seat has left"],
    }
    notes: dict[str, None] = {}
    table: dict[type[e.Event], list[str]] = {}
    for kind in room.NONE:
        table[kind] = []
        for state in RoomState:
            cell = room.TABLE[state][kind]
            for rule in cells.leaves(cell):
                if isinstance(rule, cells.To) and kind.__name__ not in moves.get((str(state), str(rule.state)), ()):
                    moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
            table[kind].append(_when(cell, notes))
    lines = _arrows(moves)
    lines.append("    last --> over: deadline (caller-left, steps-lost)")
    lines.append("    over --> [*]")
    head = HEAD.format(name="three-party call's", source="conference/room.py", argument=" conference")
    asked = "".join(f"\n- {letter}: {note}" for letter, note in zip(ascii_lowercase, notes, strict=False))
    more = f"\nThe decision's deadline moves no state, so it is not drawn. Where a cell has several rules:\n{asked}\n"
    return head + "\n".join(lines) + _table([str(s) for s in RoomState], table) + FOOT + more


def callback() -> str:
    """A callback task, the same way."""
    moves: Moves = {("[*]", "due"): ["CallbackDue"], ("[*]", "placed"): ["CallbackAsked"]}
    for state, rows in callbacks.TABLE.items():
        for kind, rule in rows.items():
            if isinstance(rule, cells.To):
                moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
    lines = _arrows(moves)
    lines += [
        f"    due --> ended: {callbacks.ATTEMPTS} attempts spent, or the number is none",
        "    due --> ended: deadline (expired)",
        "    placed --> ended: deadline (expired)",
        "    taken --> due: deadline",
        "    ringing --> due: deadline",
        "    talking --> ended: deadline (answered)",
        "    ended --> [*]",
    ]
    head = HEAD.format(name="callback", source="cti/core/callbacks.py", argument=" callback")
    table = {kind: [_cell(callbacks.TABLE[s][kind]) for s in CallbackState] for kind in e.CALLBACK_EVENTS}
    return head + "\n".join(lines) + _table([str(s) for s in CallbackState], table) + FOOT


def nuisance() -> str:
    """An entry of the nuisance list, the same way."""
    moves: Moves = {("[*]", "proposed"): ["NuisanceProposed"]}
    for state, rows in entries.TABLE.items():
        for kind, rule in rows.items():
            if isinstance(rule, cells.To) and rule.state is not state:
                moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
    lines = _arrows(moves)
    lines += [
        f"    proposed --> ended: deadline ({entries.LAPSE_US // entries.DAY_US} days, lapsed)",
        "    listed --> ended: deadline (expired)",
        "    ended --> [*]",
    ]
    head = HEAD.format(name="nuisance list's", source="cti/core/nuisance.py", argument=" nuisance")
    table = {kind: [_cell(entries.TABLE[s][kind]) for s in ListingState] for kind in e.NUISANCE_EVENTS}
    return head + "\n".join(lines) + _table([str(s) for s in ListingState], table) + FOOT


LEASE_DEADLINES = {
    words.Side.OWNER: (
        ("asked", "refused", "not-free"), ("granted", "expired", "clock"), ("active", "expired", "clock"),
        ("recalled", "expired", "clock"),
    ),
    words.Side.BORROWER: (
        ("asked", "expired", "no-answer"), ("granted", "recalled", "runs-out"), ("active", "recalled", "runs-out"),
        ("recalled", "expired", "clock"),
    ),
}  # fmt: skip
"""As `cti.core.lease._due` has them; a test walks both."""


def lease() -> str:
    """The lease of a seat, one picture and one table a side."""
    text = HEAD.format(name="seat lease's", source="cti/core/lease.py", argument=" lease").partition("```")[0]
    for side in words.Side:
        moves: Moves = {("[*]", "asked"): ["SeatAsked"]}
        for state, rows in leases.TABLE[side].items():
            for kind, rule in rows.items():
                if isinstance(rule, cells.To):
                    moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
        lines = _arrows(moves)
        lines += [f"    {source} --> {target}: deadline ({why})" for source, target, why in LEASE_DEADLINES[side]]
        lines += [f"    {state} --> [*]" for state in ("returned", "expired", "refused")]
        ours = [kind for kind, rule in leases.NONE[side].items() if not isinstance(rule, cells.Anomaly)]
        table = {kind: [_cell(leases.TABLE[side][s][kind]) for s in words.LeaseState] for kind in ours}
        text += f"## {str(side).capitalize()}\n\n```mermaid\nstateDiagram-v2\n" + "\n".join(lines)
        text += _table([str(s) for s in words.LeaseState], table) + "\n"
    note = "An event of the other side is an anomaly in every state, a wrong fencing number in every open one.\n"
    return text + note + FOOT


def duty_phone() -> str:
    """A duty phone of an emergency plan, the same way."""
    moves: Moves = {("[*]", "due"): ["PlanStarted"]}
    for state, rows in duty.TABLE.items():
        for kind, rule in rows.items():
            if isinstance(rule, cells.To):
                moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
    lines = _arrows(moves)
    lines += [f"    {state} --> due: deadline" for state in ("calling", "ringing", "told")]
    lines += ["    due --> unreached: every contact was called in every round"]
    lines += [f"    {state} --> stopped: PlanStopped" for state in ("due", "calling", "ringing", "told")]
    lines += [f"    {state} --> [*]" for state in ("acknowledged", "unreached", "stopped")]
    head = HEAD.format(name="duty phone's", source="cti/core/duty.py", argument=" duty")
    table = {kind: [_cell(duty.TABLE[s][kind]) for s in DutyState] for kind in e.DUTY_EVENTS}
    return head + "\n".join(lines) + _table([str(s) for s in DutyState], table) + FOOT


def seat() -> str:
    """A seat's status, the same way."""
    moves: Moves = {("[*]", "ready"): ["open seat"], ("[*]", "out"): ["a seat with log-in"]}
    table: dict[type[e.Event], list[str]] = {}
    for kind, row in seats.RULES.items():
        table[kind] = []
        for status in SeatStatus:
            match row[status]:
                case cells.To(after) | seats.IfOpen(after) as rule:
                    only = " (open seat)" if isinstance(rule, seats.IfOpen) else ""
                    if after is not status:
                        moves.setdefault((_dash(status), _dash(after)), []).append(kind.__name__ + only)
                    table[kind].append(f"→ {after}{only}")
                case seats.Note():
                    table[kind].append("∘")
                case seats.Restore():
                    table[kind].append("as told")
                case cells.Ignore():
                    table[kind].append("·")
    lines = [*_arrows(moves), f"    wrap_up --> ready: deadline ({seats.LATE_US // 1_000_000} s after its end)"]
    head = HEAD.format(name="seat's", source="cti/core/seats.py", argument=" seat")
    foot = "\n· ignored, for the reason the table states; ∘ counted and recorded, nothing moves\n"
    return head + "\n".join(lines) + _table([str(s) for s in SeatStatus], table) + foot


def _dash(status: SeatStatus) -> str:
    return str(status).replace("-", "_")


def _arrows(moves: Moves) -> list[str]:
    return [f"    {source} --> {target}: {', '.join(names)}" for (source, target), names in moves.items()]


def _table(states: list[str], rows: Mapping[type[K], list[str]]) -> str:
    text = "\n```\n\nEvery pair:\n\n"
    text += "| event | " + " | ".join(states) + " |\n" + "|---" * (len(states) + 1) + "|\n"
    return text + "".join(f"| {kind.__name__} | " + " | ".join(made) + " |\n" for kind, made in rows.items())


def _when(cell: cells.Cell[Any, Any, Any], notes: dict[str, None]) -> str:
    """The rules of a cell, each with the question that leads to it; ``notes`` gathers the questions."""
    if not isinstance(cell, cells.When):
        return _cell(cell)
    asked = (cell.test.__doc__ or "").strip()
    notes.setdefault(asked)
    letter = ascii_lowercase[list(notes).index(asked)]
    if isinstance(cell.then, cells.When):
        return f"{_when(cell.otherwise, notes)} unless {letter}; {_when(cell.then, notes)}"
    return f"{_when(cell.then, notes)} if {letter}; {_when(cell.otherwise, notes)}"


def _cell(rule: cells.Rule[Any, Any, Any]) -> str:
    match rule:
        case cells.To():
            return f"→ {rule.state}"
        case cells.Ignore():
            return "·"
        case cells.Anomaly():
            return f"! {rule.code}"


if __name__ == "__main__":
    drawn = {"conference": conference, "callback": callback, "lease": lease, "nuisance": nuisance, "seat": seat,
             "duty": duty_phone}  # fmt: skip
    print(drawn.get("".join(sys.argv[1:]), diagram)(), end="")
