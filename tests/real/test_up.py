"""`cti up`: a signal at any moment of its start stops everything; simulated callers that die come again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 40.0
HANGING = """#!/bin/sh
echo $$ > "$PIDS.part" && mv "$PIDS.part" "$PIDS"
exec /bin/sleep 120
"""


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class Up:
    """A running command: its process, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self.pid, self._log = process, process.pid, log

    @property
    def said(self) -> str:
        return self._log.read_text()

    async def until(self, seen: Callable[[], object]) -> None:
        """Until it is seen; a failure with what was said when the command ends first or nothing comes of it."""
        deadline = time.monotonic() + PATIENCE
        while not seen():
            assert self.process.returncode is None and time.monotonic() < deadline, self.said
            await asyncio.sleep(0.01)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@contextlib.asynccontextmanager
async def command(log: Path, *words: str, **environment: str) -> AsyncIterator[Up]:
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, cwd=REPOSITORY, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
            env={**os.environ, "COLUMNS": "200", **environment},
        )  # fmt: skip
    try:
        yield Up(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def up(tmp_path: Path, root: RuntimeRoot, *more: str) -> tuple[str, ...]:
    return ("cti", "up", "--state", str(tmp_path / "state"), "--runtime", str(root.path.parent), *more)


@pytest.mark.parametrize(("started", "sig"), [(0, signal.SIGTERM), (1, signal.SIGTERM), (2, signal.SIGTERM),
                                              (2, signal.SIGINT), (3, signal.SIGTERM)])  # fmt: skip
async def test_a_signal_while_it_starts_stops_everything(
    runtime_root: RuntimeRoot, tmp_path: Path, started: int, sig: signal.Signals
) -> None:
    lock = tmp_path / "state" / ".lock"
    async with command(tmp_path / "out", *up(tmp_path, runtime_root)) as it:
        await it.until(lambda: lock.exists() and lock.read_text() and len(children(it.pid)) >= started)
        pids = children(it.pid)
        it.process.send_signal(sig)
        it.process.send_signal(sig)  # A second one does not disturb the orderly stop.
        assert await it.ended() == 0, it.said
        assert "已全部停止 / all stopped" in it.said and "Traceback" not in it.said
    assert not any(map(lives, pids))
    left = [p for p in (tmp_path / "state").rglob("*") if p.is_socket() or p.suffix == ".pid"]
    assert left == [] and not (tmp_path / "state" / "instance.json").exists() and lock.read_text() == ""


@pytest.mark.parametrize(("words", "code"), [(("cti", "up", "--runtime"), 0), (("cti.stack.root", "--dest"), 130)])
async def test_a_signal_while_it_unpacks_stops_the_unpacking(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mmdebstrap").write_text(HANGING)
    (tmp_path / "bin/mmdebstrap").chmod(0o755)
    pids = tmp_path / "pids"
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    async with command(tmp_path / "out", *words, str(tmp_path / "runtime"), PATH=path, PIDS=str(pids)) as it:
        await it.until(pids.exists)
        unpacker = int(pids.read_text())
        try:
            it.process.send_signal(signal.SIGTERM)
            assert await it.ended() == code, it.said
            assert not lives(unpacker)
        finally:
            if lives(unpacker):
                os.kill(unpacker, signal.SIGKILL)
    assert "Traceback" not in it.said


async def test_a_second_up_on_the_folder_says_who_has_it(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    async with command(tmp_path / "one", *up(tmp_path, runtime_root)) as first:
        await first.until(lambda: "/status" in first.said)
        async with command(tmp_path / "two", *up(tmp_path, runtime_root)) as second:
            assert await second.ended() == 1
        assert f"pid {first.pid}" in second.said and str(tmp_path / "state") in second.said
        assert "Traceback" not in second.said
        first.process.send_signal(signal.SIGTERM)
        assert await first.ended() == 0


async def test_callers_that_die_come_again(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    def callers(pid: int) -> list[int]:
        table = f"{tmp_path}/state/callers/12345/callers.csv".encode()
        found = []
        for child in children(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if table in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
        return found

    async with command(tmp_path / "out", *up(tmp_path, runtime_root, "--demo")) as it:
        await it.until(lambda: callers(it.pid))
        (before,) = callers(it.pid)
        os.kill(before, signal.SIGKILL)
        await it.until(lambda: [pid for pid in callers(it.pid) if pid != before])
        assert "callers-12345" in it.said and "重启" in it.said
        assert len(children(it.pid)) == 6
        it.process.send_signal(signal.SIGTERM)
        assert await it.ended() == 0, it.said
