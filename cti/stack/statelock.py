"""One owner for a state folder, for as long as it lives. Knows: flock(2). Must not know: what the folder holds.

The kernel drops the lock with the process that took it, so a lock file left by a killed owner locks nobody out. The
file stays: to remove a locked file is a race between the next two owners.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

NAME = ".lock"


class StateTaken(Exception):
    """Another instance runs in the folder. `pid`: its process, None in the instant before it has written its name."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.folder, self.pid = folder, pid
        who = pid or "?"
        super().__init__(
            f"状态目录 {folder} 正被另一实例使用（pid {who}）。先停掉它（kill {who}，或在其终端按 Ctrl-C），"
            f"或用 --state 另选一个目录。\n"
            f"The state folder {folder} is in use by another instance (pid {who}). Stop that one (kill {who}, or "
            f"Ctrl-C in its terminal), or choose another folder with --state."
        )


class StateLock:
    """`with StateLock(folder):` the folder is ours. Raises `StateTaken` at once when it is another's; the folder must
    exist. Not for use again after the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd: int | None = None

    def __enter__(self) -> Self:
        # Not inheritable: a child that outlives us must not keep the folder locked.
        fd = os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            said = os.pread(fd, 20, 0).strip()
            os.close(fd)
            raise StateTaken(self._folder, int(said) if said.isdigit() else None) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        if self._fd is not None:
            os.ftruncate(self._fd, 0)  # Nobody's name while nobody holds it.
            os.close(self._fd)
            self._fd = None
