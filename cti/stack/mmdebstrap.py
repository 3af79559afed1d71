"""Unpack Debian packages into a folder with mmdebstrap(1), as root or as a plain user.

Knows mmdebstrap's options, modes and words; must not know which programs are wanted or what becomes of them.

A plain user needs no privilege: mode `chrootless` only uses apt and tar. Mode `unshare` is left out: its
files belong to a foreign uid that the user cannot delete, and it cannot write below a private home.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TOOLS = ("mmdebstrap", "debian-archive-keyring")
HOOK = 'mkdir -p "$1/var/cache/apt" && ln -sfn "$HOTLINE_DEBS" "$1/var/cache/apt/archives"'


class RootFailed(Exception):
    """The programs could not be unpacked, or do not run. The text says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` runs from 0.0 to 1.0 over the whole job; `stage` is a short line, `detail` a package."""

    stage: str
    done: float
    detail: str = ""


def unpack(
    suite: str,
    packages: Sequence[str],
    partial: Path,
    debs: Path,
    lock: int,
    tell: Callable[[Progress], None],
) -> str:
    """Unpack into `partial` by the first mode that works; its name. RootFailed lists all that were tried.

    mmdebstrap inherits the file descriptor `lock`: were we killed, it goes on for a while, and the next run
    must wait until the last of its processes has let go of `partial`.
    """
    modes = ("root", "chrootless") if os.geteuid() == 0 else ("chrootless", "fakechroot")
    failures = []
    for mode in modes:
        remove(partial)
        (debs / "partial").mkdir(parents=True, exist_ok=True)
        returncode, last = _run(mode, suite, packages, partial, debs, lock, tell)
        if returncode == 0:
            return mode
        words = "\n".join(f"    | {line}" for line in last)
        failures.append(f"  --mode={mode} ended with {returncode}:\n{words}")
    remove(partial)
    raise RootFailed(
        "无法解包运行环境 / the programs could not be unpacked:\n" + "\n".join(failures) + "\n"
        "多为网络或磁盘问题；修好后重跑同一命令即可续传。\n"
        "Most often the network (can apt reach its mirror? is a proxy needed?) or the disk (1 GB free).\n"
        "Run the same command again: finished downloads are kept."
    )


def _run(
    mode: str,
    suite: str,
    packages: Sequence[str],
    target: Path,
    debs: Path,
    lock: int,
    tell: Callable[[Progress], None],
) -> tuple[int, list[str]]:
    """One run of mmdebstrap: its return code and last lines. It is stopped with all it started if we are."""
    command = [
        *("mmdebstrap", "--verbose", "--variant=extract", f"--mode={mode}"),
        # The downloads lie outside the new root, behind a link: it must neither refuse nor remove them.
        *(f"--setup-hook={HOOK}", "--skip=download/empty,cleanup/apt/cache"),
        # A mirror frozen at some date is no error. apt bounds each wait (30 s, Acquire::http::Timeout).
        *('--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=Acquire::Retries "3"'),
        # As root this mode is refused for what maintainer scripts may do; `extract` runs none.
        *(["--skip=check/chrootless"] if mode == "chrootless" else []),
        *(f"--include={','.join(packages)}", suite, str(target)),
    ]
    env = {**os.environ, "HOTLINE_DEBS": str(debs), "LC_ALL": "C.UTF-8"}
    last: deque[str] = deque(maxlen=12)
    process = None
    try:
        with _signals_wait():
            process = subprocess.Popen(
                command, env=env, text=True, errors="replace", start_new_session=True, pass_fds=(lock,),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        assert process.stderr is not None
        for stage in _stages(process.stderr, last):
            tell(stage)
        return process.wait(), list(last)
    finally:
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """SIGINT and SIGTERM come when the block is left: between a program's start and our knowing of it they would leave
    it running. (Masked they would be masked in the program too.)"""
    if threading.current_thread() is not threading.main_thread():
        yield  # they reach the main thread alone
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for heard in dict.fromkeys(came):
            signal.raise_signal(heard)


def _stages(lines: IO[str], last: deque[str]) -> Iterator[Progress]:
    """Progress read from apt's and mmdebstrap's own words; `last` keeps the lines for a failure's message."""
    total, fetched = 1, 0
    yield Progress("读取软件目录 / reading the package lists", 0.02)
    for line in lines:
        line = line.rstrip()
        if line and not line.startswith("/usr/bin/dpkg "):  # Kilobytes long, and never the reason.
            last.append(line[:300])
        if match := re.match(r"(\d+) upgraded, (\d+) newly installed", line):
            total, fetched = max(1, int(match[2])), 0
        elif match := re.match(r"Need to get (.+) of archives", line):
            yield Progress(f"下载 {match[1]} / downloading", 0.1)
        elif line.startswith("Get:") and "[" in line:
            fetched += 1
            name = line.split()[4] if len(line.split()) > 4 else ""
            yield Progress("下载 / downloading", 0.1 + 0.5 * min(1.0, fetched / total), name)
        elif line.startswith("I: extracting archives"):
            yield Progress("解包 / unpacking", 0.62)
        elif line.startswith("I: cleaning"):
            yield Progress("清理 / tidying", 0.94)


def ensure_installed(tell: Callable[[Progress], None]) -> None:
    """Install mmdebstrap by apt where we may. RootFailed says exactly what to install where we may not."""
    if shutil.which("mmdebstrap"):
        return
    install = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(TOOLS)}"
    if not shutil.which("apt-get"):
        raise RootFailed(
            "本机没有 apt，无法解包；请用 docker/ 里的镜像 / this machine has no apt: "
            "use the container image in docker/, or a Debian or Ubuntu machine."
        )
    if os.geteuid() == 0:
        prefix: list[str] = []
    elif shutil.which("sudo") and _succeeds(["sudo", "-n", "true"]):
        prefix = ["sudo", "-n"]
    else:
        raise RootFailed(
            f"缺少 mmdebstrap，请先执行 / mmdebstrap is missing, run this once:\n  sudo sh -c '{install}'"
        )
    tell(Progress("安装 mmdebstrap / installing mmdebstrap", 0.01))
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    run = subprocess.run(
        [*prefix, *env, "sh", "-c", install], capture_output=True, text=True, timeout=900, check=False
    )
    if run.returncode != 0:
        said = "\n".join((run.stdout + run.stderr).splitlines()[-8:])
        raise RootFailed(f"安装失败 / this failed: {install}\n{said}")


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def remove(path: Path) -> None:
    """Remove a folder; folders that a package ships without write permission are made writable first."""
    if not path.exists():
        return
    for folder, _, _ in os.walk(path):
        if not os.access(folder, os.W_OK | os.X_OK):
            os.chmod(folder, 0o700)
    shutil.rmtree(path)
