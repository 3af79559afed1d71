"""One state folder, one owner: the second is told who and what to do, a dead owner stands in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cti.stack.statelock import StateLock, StateTaken

pytestmark = pytest.mark.unit

# Holds the lock and leaves a child behind that keeps every file it was given.
HOLDER = """
import subprocess, sys
from pathlib import Path
from cti.stack.statelock import StateLock
with StateLock(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.read()
"""
REPOSITORY = Path(__file__).parents[2]


def test_the_second_is_told_the_folder_the_holder_and_the_cure(tmp_path: Path) -> None:
    with StateLock(tmp_path), pytest.raises(StateTaken) as told, StateLock(tmp_path):
        pass
    said = str(told.value)
    assert str(tmp_path) in said and f"pid {os.getpid()}" in said and "--state" in said
    assert said.startswith("状态目录") and told.value.pid == os.getpid()


def test_after_the_first_the_folder_is_free_again(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        pass
    with StateLock(tmp_path):
        assert (tmp_path / ".lock").read_text().split() == [str(os.getpid())]
    assert (tmp_path / ".lock").read_text() == ""


def test_another_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with StateLock(tmp_path / "a"), StateLock(tmp_path / "b"):
        pass


def test_a_killed_holder_blocks_nobody_though_its_child_lives_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=REPOSITORY, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(StateTaken, match=f"pid {holder.pid}"), StateLock(tmp_path):
                pass
            holder.kill()
            holder.wait(10)
            os.kill(child, 0)  # It lives, and would hold the lock had it been given the file.
            with StateLock(tmp_path):
                pass
        finally:
            holder.kill()
            os.kill(child, signal.SIGKILL)


def test_a_lock_file_that_names_nobody_is_no_hindrance_and_no_riddle(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("gibberish\n")
    with StateLock(tmp_path):
        (tmp_path / ".lock").write_text("")  # the instant between lock and name
        with pytest.raises(StateTaken) as told, StateLock(tmp_path):
            pass
        assert told.value.pid is None and "?" in str(told.value)
