"""A real Valkey for a test, with the options of production: start it, kill it, freeze it, start it again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cti.stack.netports import LOOPBACK
from cti.stack.root import RuntimeRoot
from cti.stack.valkey import answers_ping, valkey_child

ROOT = Path(os.environ.get("HOTLINE_RUNTIME_ROOT") or Path(__file__).parents[2] / ".runtime/root").absolute()


def runtime_root() -> RuntimeRoot:
    """The unpacked programs. Raises FileNotFoundError with the cure where they are missing."""
    if not (ROOT / "usr/bin/valkey-server").exists():
        raise FileNotFoundError(f"no valkey-server in {ROOT}: run `make runtime` or set HOTLINE_RUNTIME_ROOT")
    return RuntimeRoot(ROOT, {}, "given")


class ValkeyServer:
    """One Valkey on 127.0.0.1:`port`, data below `state`. Ends only the process it started.

    `more`: further options.  `sentinel`: the file of one that watches others instead.
    """

    def __init__(self, state: Path, port: int, more: Sequence[str] = (), sentinel: Path | None = None) -> None:
        self.port = port
        self.url = f"redis://{LOOPBACK}:{port}/0"
        child, root = valkey_child(runtime_root(), state, port), runtime_root()
        if sentinel is not None:
            more = ("--sentinel", "--port", str(port), "--bind", LOOPBACK)
            child = replace(child, argv=root.argv("valkey-server", str(sentinel), *more))
        elif more:
            child = replace(child, argv=(*child.argv, *more))
        self._child = child
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Return when it answers; TimeoutError after 20 s."""
        self._child.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._child.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (it outlives this call)
                self._child.argv, cwd=self._child.cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(20):
            while not await self._answers():
                if self._process.poll() is not None:
                    raise RuntimeError(f"valkey ended at once, see {self._child.log_path}")
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            return await answers_ping(self.port)
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=10)

    def freeze(self) -> None:
        """It holds its sockets and answers nothing, like a machine that swaps."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
