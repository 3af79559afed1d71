"""A seat's status on the real stack: by phone, by API, after a call, after rings in vain, through kills."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cti.dialtest.scenarios import seats
from cti.dialtest.stack import Stage, stage
from cti.directory import load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real


@pytest_asyncio.fixture(loop_scope="function")
async def on(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[Stage]:
    """An instance of the scenario's own site."""
    config = seats.prepare(folder("config"), tmp_path / "config")
    directory = load_directory(config, dt.date.today())
    async with (
        Instance(runtime_root, tmp_path / "s", directory, config, folder("dialplan")) as instance,
        stage(instance, seats=seats.SEATS, callers=2) as made,
    ):
        yield made
        for phone in (*made.callers, *made.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await made.leftovers(8) == []


@pytest.mark.parametrize("story", [name for name in seats.STORIES if name != "dedicated"])
async def test_story(on: Stage, story: str) -> None:
    await seats.STORIES[story](on)
