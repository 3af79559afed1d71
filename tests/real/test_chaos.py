"""A short stretch of what `make chaos` does for long: parts are killed while keys are pressed; two acts at once."""

from __future__ import annotations

import random
import time

import pytest

from cti.dialtest.chaos import HARMS, Chaos
from cti.dialtest.play import play
from cti.dialtest.scenarios.races import RACES
from cti.dialtest.scenarios.roomraces import RACES as ROOM_RACES
from cti.stack.instance import Instance

pytestmark = pytest.mark.real


async def test_keys_while_everything_but_asterisk_is_killed(instance: Instance) -> None:
    report = await play(instance, "onekey", 10, seed=3, beside=2, chaos=True)
    assert report.passed, [(run.story, run.faults, run.blows) for run in report.runs if run.faults] or report.leftovers
    assert sum(report.blows.values()) >= 3


async def test_three_together_while_everything_but_asterisk_is_killed(instance: Instance) -> None:
    report = await play(instance, "conference", 6, seed=5, beside=2, chaos=True)
    assert report.passed, [(run.story, run.faults, run.blows) for run in report.runs if run.faults] or report.leftovers
    assert sum(report.blows.values()) >= 2


@pytest.mark.timeout(120)
async def test_each_race_around_a_room_has_one_outcome(instance: Instance) -> None:
    report = await play(instance, "conference-races", len(ROOM_RACES), seed=6, beside=2)
    assert report.passed, [(run.story, run.faults) for run in report.runs if run.faults] or report.leftovers


async def test_each_race_has_one_outcome(instance: Instance) -> None:
    report = await play(instance, "races", 2 * len(RACES), seed=4, beside=2)
    assert report.passed, [(run.story, run.faults) for run in report.runs if run.faults] or report.leftovers
    assert {run.story for run in report.runs} == set(RACES)


@pytest.mark.parametrize("name", sorted(HARMS))
async def test_every_harm_really_harms_and_is_over_when_it_returns(instance: Instance, name: str) -> None:
    """The chaos would prove nothing if a blow missed: the service's links say that it did not."""
    chaos, before = Chaos(instance, seed=1), (instance.state / "cti.log").read_text()
    began = time.monotonic()
    await HARMS[name](instance, random.Random(2))
    assert not chaos.blows and all(child.alive for child in instance.children.values())
    log = (instance.state / "cti.log").read_text()[len(before):]
    told = {"kill -9": "service_started", "AMI cut": "ami_link_down", "Redis": "", "SIGSTOP": ""}[name]
    assert told in log and time.monotonic() - began > 0.05
