"""`cti dialtest` as people run it: on a stack of its own, on one that runs already, on one it knows only from a file;
and stopped by a signal at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cti.dialtest.play import play
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real

PATIENCE = 60.0


@contextlib.asynccontextmanager
async def dialtest(tmp_path: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process, its temporary files below ``tmp_path/tmp``; it is never left running."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cti", "dialtest", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code, stdout, stderr once it has ended."""
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def ran(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    async with dialtest(tmp_path, *words) as process:
        return await said(process)


def children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# -- signals and starts that fail ------------------------------------------------------------
@pytest.mark.parametrize(("when", "sig", "code"), [
    (0, signal.SIGTERM, 143), (2, signal.SIGTERM, 143), (2, signal.SIGINT, 130), ("playing", signal.SIGTERM, 143),
    ("playing", signal.SIGINT, 130)])  # fmt: skip
async def test_a_signal_stops_all_and_leaves_no_secret(
    runtime_root: RuntimeRoot, tmp_path: Path, when: int | str, sig: signal.Signals, code: int
) -> None:
    words = ("queue", "--n", "1000", "--runtime", str(runtime_root.path.parent))
    async with dialtest(tmp_path, *words) as process, asyncio.timeout(PATIENCE):
        pids: list[int] = []
        if when == "playing":
            assert process.stdout is not None
            assert "✓" in (await process.stdout.readline()).decode()
        else:
            states = tmp_path / "tmp"
            while not (any(states.glob("hotline-cti-*/instance.key")) and len(pids) >= int(when)):
                pids = children(process.pid)
                await asyncio.sleep(0.01)
        pids = children(process.pid)
        process.send_signal(sig)
        process.send_signal(sig)  # A second one does not disturb the orderly stop.
        got, out, err = await said(process)
    assert (got, "Traceback" in out + err) == (code, False), out + err
    assert "已停止" in err
    left = [p for p in (tmp_path / "tmp").iterdir() if not p.name.startswith("hotline-cti-ports.")]  # shared claims
    assert left == [] and not any(map(lives, pids))


async def test_a_start_that_fails_is_said_in_words(
    runtime_root: RuntimeRoot, instance: Instance, tmp_path: Path
) -> None:
    words = ("queue", "--n", "1", "--runtime", str(runtime_root.path.parent), "--keep", str(instance.state))
    code, out, err = await ran(tmp_path, *words)
    assert code == 1 and out == "" and "Traceback" not in err
    assert "无法启动 / cannot start" in err and f"pid {os.getpid()}" in err


async def test_the_same_seed_may_be_played_again_on_a_stack_that_keeps_its_record(instance: Instance) -> None:
    for _ in range(2):
        report = await play(instance, "queue", 1, seed=3)
        assert report.passed, report.runs
