"""`cti dialtest conference`: every story of the three-party call once, each direction in turn."""

from __future__ import annotations

import pytest

from cti.dialtest.play import play
from cti.dialtest.scenarios.conference import STORIES
from cti.stack.instance import Instance

pytestmark = pytest.mark.real


@pytest.mark.timeout(240)
async def test_every_story_is_heard_and_recorded_as_it_should_be(instance: Instance) -> None:
    report = await play(instance, "conference", len(STORIES), seed=20261124, beside=2)
    assert report.passed, [(run.story, run.faults) for run in report.runs if run.faults]
