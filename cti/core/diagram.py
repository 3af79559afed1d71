"""The transfer machine drawn from its own table: `python -m cti.core.diagram > docs/transfer-machine.md`.

Knows: the table. Nothing is drawn by hand, so the picture cannot differ from what runs; a test holds the file to it.
"""

from __future__ import annotations

from cti.core import transfer as machine
from cti.core.model import TransferState

HEAD = """# The transfer machine

Drawn from `cti/core/transfer.py` by `python -m cti.core.diagram`; do not edit by hand.

```mermaid
stateDiagram-v2
"""


def diagram() -> str:
    """The whole document: a state diagram of what moves, then a table of every (state, event) pair."""
    lines = []
    moves: dict[tuple[str, str], list[str]] = {}
    for kind, rule in machine.NONE.items():
        if isinstance(rule, machine.To):
            moves.setdefault(("[*]", str(rule.state)), []).append(kind.__name__)
    for state, rows in machine.TABLE.items():
        for kind, rule in rows.items():
            if isinstance(rule, machine.To):
                moves.setdefault((str(state), str(rule.state)), []).append(kind.__name__)
    for (source, target), names in moves.items():
        lines.append(f"    {source} --> {target}: {', '.join(names)}")
    for state, (_, outcome, why) in machine._DEADLINES.items():
        lines.append(f"    {state} --> ended: deadline ({' '.join(filter(None, (str(outcome), why)))})")
    lines.append("    ended --> [*]")
    text = HEAD + "\n".join(lines) + "\n```\n\nEvery pair:\n\n"
    states = list(TransferState)
    text += "| event | " + " | ".join(str(s) for s in states) + " |\n|---" * 1 + "|---" * len(states) + "|\n"
    for kind in machine.NONE:
        text += f"| {kind.__name__} | " + " | ".join(_cell(machine.TABLE[s][kind]) for s in states) + " |\n"
    return text + "\n· ignored, for the reason the table states; ! an anomaly, counted and recorded\n"


def _cell(rule: machine.Rule) -> str:
    match rule:
        case machine.To():
            return f"→ {rule.state}"
        case machine.Ignore():
            return "·"
        case machine.Anomaly():
            return f"! {rule.code}"


if __name__ == "__main__":
    print(diagram(), end="")
