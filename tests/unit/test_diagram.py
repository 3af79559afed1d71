"""The drawn machines are the ones that run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cti.core.diagram import callback, conference, diagram, duty_phone, lease, nuisance, seat


@pytest.mark.parametrize(("name", "argument", "draw"), [
    ("transfer", "", diagram), ("conference", " conference", conference), ("callback", " callback", callback),
    ("lease", " lease", lease), ("seat", " seat", seat), ("duty", " duty", duty_phone),
    ("nuisance", " nuisance", nuisance),
])  # fmt: skip
def test_the_committed_diagram_is_current(name: str, argument: str, draw: Callable[[], str]) -> None:
    committed = Path(__file__).resolve().parents[2] / "docs" / f"{name}-machine.md"
    cure = f"run: python -m cti.core.diagram{argument} > docs/{name}-machine.md"
    assert committed.read_text(encoding="utf-8") == draw(), cure
