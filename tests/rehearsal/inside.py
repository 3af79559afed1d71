"""Run a command with a folder as its root. Knows: chroot(1), unshare(1), what a plain user may.

Must not know: Dockerfiles. By root: chroot, in a mount namespace of its own where that is allowed. By a plain user: in
a user namespace, where he is root of what is his own.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_INTO = 'mount --rbind /dev "$0/dev" && exec chroot "$@"'
_ROOT = os.geteuid() == 0


class CannotEnter(Exception):
    """Neither root nor user namespaces are to be had. The text has the cure."""


def command(root: Path, words: Sequence[str], env: Mapping[str, str], user: str = "") -> list[str]:
    """argv that runs `words` inside `root` with `env` alone, as `user` ("10002:10000") where we may say so.

    Raises CannotEnter.
    """
    said = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), *words]
    return _command(_way(root), root, said, user)


def _command(way: str, root: Path, words: Sequence[str], user: str) -> list[str]:
    inner = [*([f"--userspec={user}"] if user and _ROOT else []), str(root), *words]
    if way == "chroot":
        return ["chroot", *inner]
    namespaces = ["--mount"] if _ROOT else ["--user", "--map-root-user", "--mount"]
    return ["unshare", *namespaces, "sh", "-c", _INTO, str(root), *inner]


@functools.cache
def _way(root: Path) -> str:
    said = []
    for way in ("unshare", "chroot"):
        words = _command(way, root, ["true"], "")
        tried = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        if tried.returncode == 0:
            return way
        said.append(tried.stderr.strip())
    raise CannotEnter(
        "需要 root 或用户命名空间 / root or user namespaces are needed "
        f"(sysctl kernel.unprivileged_userns_clone=1): {'; '.join(said)}"
    )


def run(root: Path, words: Sequence[str], env: Mapping[str, str], *, user: str = "",
        timeout: float = 60) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run it to its end; nothing of our own environment gets in."""
    return subprocess.run(command(root, words, env, user), capture_output=True, text=True, timeout=timeout, check=False,
                          stdin=subprocess.DEVNULL)  # fmt: skip
