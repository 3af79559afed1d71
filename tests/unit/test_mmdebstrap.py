"""What unpacks is stopped with us, whenever the signal comes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cti.stack import mmdebstrap


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_as_the_program_starts_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """In the instant between its start and our knowing of it."""
    (tmp_path / "mmdebstrap").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    started: list[subprocess.Popen[str]] = []
    start = subprocess.Popen

    def interrupted(*args: Any, **options: Any) -> subprocess.Popen[str]:
        started.append(start(*args, **options))
        signal.raise_signal(number)
        return started[0]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with open(os.devnull) as lock, pytest.raises(KeyboardInterrupt):
            mmdebstrap._run("root", "sid", ["x"], tmp_path / "new", tmp_path, lock.fileno(), lambda _: None)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [process.poll() for process in started] == [-signal.SIGTERM]
