"""What may die under `cti up` is started again: at once the first time, later each time it dies young."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from cti.demo.keep import Keeper
from cti.stack.supervise import Child, Supervisor

pytestmark = pytest.mark.unit

PATIENCE = 10.0
SLEEPER = "import signal; signal.pause()"


def program(place: Path, name: str, code: str) -> Child:
    async def ready() -> bool:
        await asyncio.sleep(0)
        return True

    return Child(name, [sys.executable, "-c", code], place, place / f"{name}.log", ready)


async def another(child: Child, before: int) -> int:
    """The pid of the next run of the program."""
    async with asyncio.timeout(PATIENCE):
        while child.pid == before or not child.alive:  # noqa: ASYNC110 (the other side is a process)
            await asyncio.sleep(0.01)
    return child.pid


async def test_a_kept_child_is_started_again_and_the_loss_of_another_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    kept, vital = program(tmp_path, "kept", SLEEPER), program(tmp_path, "vital", SLEEPER)
    async with Supervisor() as supervisor:
        for child in (kept, vital):
            await supervisor.start(child)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(Keeper(supervisor, [kept], said.append).run())
            before = kept.pid
            os.kill(before, signal.SIGKILL)
            await another(kept, before)
            assert len(said) == 1 and "kept" in said[0] and "-9" in said[0] and "重启" in said[0]
            os.kill(vital.pid, signal.SIGKILL)
            lost = await asyncio.wait_for(keeping, PATIENCE)
    assert (lost.name, lost.returncode) == ("vital", -signal.SIGKILL)


async def test_one_that_dies_at_once_again_and_again_is_given_longer_pauses(tmp_path: Path) -> None:
    said: list[str] = []
    slept: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 6:
            enough.set()
            await asyncio.Event().wait()

    broken = program(tmp_path, "broken", "print('no trunk'); raise SystemExit(3)")
    async with Supervisor() as supervisor:
        await supervisor.start(broken)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(
                Keeper(supervisor, [broken], said.append, pauses=(0, 1, 2, 4), sleep=sleep).run())  # fmt: skip
            await asyncio.wait_for(enough.wait(), PATIENCE)
            keeping.cancel()
    assert slept == [0, 1, 2, 4, 4, 4]
    assert "no trunk" in said[1] and "4 秒" in said[-1] and "in 4 s" in said[-1]


async def test_one_that_lived_long_is_started_again_at_once(tmp_path: Path) -> None:
    now = 1000.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    child = program(tmp_path, "kept", SLEEPER)
    async with Supervisor() as supervisor:
        await supervisor.start(child)
        keeper = Keeper(supervisor, [child], lambda _: None, young=10.0, sleep=sleep, clock=lambda: now)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(keeper.run())
            for lived in (1.0, 1.0, 60.0, 1.0):
                before = child.pid
                now += lived
                os.kill(before, signal.SIGKILL)
                await another(child, before)
            keeping.cancel()
    assert slept == [0, 1, 0, 1]


async def test_while_one_waits_for_its_turn_another_is_seen_to_die(tmp_path: Path) -> None:
    waits = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.set()
        await asyncio.Event().wait()

    kept, vital = program(tmp_path, "kept", "pass"), program(tmp_path, "vital", SLEEPER)
    async with Supervisor() as supervisor:
        await supervisor.start(vital)
        await supervisor.start(kept)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(Keeper(supervisor, [kept], lambda _: None, sleep=sleep).run())
            await asyncio.wait_for(waits.wait(), PATIENCE)
            os.kill(vital.pid, signal.SIGKILL)
            assert (await asyncio.wait_for(keeping, PATIENCE)).name == "vital"
