"""The drawn machine is the one that runs."""

from __future__ import annotations

from pathlib import Path

from cti.core.diagram import diagram


def test_the_committed_diagram_is_current() -> None:
    committed = Path(__file__).resolve().parents[2] / "docs" / "transfer-machine.md"
    cure = "run: python -m cti.core.diagram > docs/transfer-machine.md"
    assert committed.read_text(encoding="utf-8") == diagram(), cure
