"""The acceptance scenarios on the real stack, a few of each; `cti dialtest … --n 100` is the long run."""

from __future__ import annotations

import pytest

from cti.dialtest.play import play
from cti.stack.instance import Instance

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("scenario", "n"), [("queue", 3), ("onekey-12345-110", 5), ("onekey-110-12345", 5),
                                             ("callback", 2)])  # fmt: skip
async def test_scenario(instance: Instance, scenario: str, n: int) -> None:
    report = await play(instance, scenario, n, seed=20261124)
    wrong = [(run.ref, run.faults, run.own_late_ms) for run in report.runs if run.faults]
    assert report.passed, wrong or report.leftovers
