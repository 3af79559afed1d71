"""The real parts for a test: an unpacked root, and instances of their own state folder and ports."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cti.dialtest.stack import Stage, stage
from cti.directory import Directory, load_directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot, open_root
from tests.real.ledger import opened, port, raw, server, stopped  # noqa: F401 (fixtures)
from tests.real.query_store import store  # noqa: F401 (a fixture)

SEATS = ["1001", "1002", "1901", "8001", "8002"]


@pytest.fixture(scope="session")
def runtime_root() -> RuntimeRoot:
    """What `make runtime` unpacked."""
    where = Path(os.environ.get("HOTLINE_RUNTIME_ROOT") or Path(__file__).parents[2] / ".runtime/root")
    root = open_root(where)
    assert root is not None, f"{where} holds no runtime: run `make runtime`"
    return root


@pytest.fixture(scope="session")
def directory() -> Directory:
    return load_directory(folder("config"), dt.date.today())


@pytest_asyncio.fixture(loop_scope="function")
async def instance(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Instance]:
    """A whole installation of this test's own; after it nothing runs."""
    async with Instance(runtime_root, tmp_path / "state", directory, folder("config"), folder("dialplan")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="function")
async def on(instance: Instance) -> AsyncIterator[Stage]:
    """Two seats of each side and two outside callers on the instance; afterwards no channel is left."""
    async with stage(instance, seats=SEATS, callers=2) as made:
        yield made
        for phone in (*made.callers, *made.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await made.leftovers() == []
