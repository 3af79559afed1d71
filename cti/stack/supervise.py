"""Start programs in order, wait until each is ready, stop all of them in reverse, leave nothing behind.

Knows processes, signals and log files. Must not know what the programs are.

Three promises, each with a test: a program that dies before it is ready is reported with its last words;
leaving the `async with` block, by whatever road, ends every process group that was started; and a parent
killed by SIGKILL takes its children with it (PR_SET_PDEATHSIG, see exec.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger(__name__)

POLL = 0.02  # s between two looks at a program that is not ready yet
PROBE = 2.0  # s allowed to one look
KILL_WAIT = 5.0  # s for the kernel to report a process that was sent SIGKILL
TAIL_LINES = 20
TAIL_BYTES = 16_384
WRAPPER = str(Path(__file__).with_name("exec.py"))


class ChildFailed(Exception):
    """A program did not become ready. `log_tail` holds its last lines; the text names the log file."""

    def __init__(self, name: str, reason: str, log_path: Path) -> None:
        self.name, self.reason, self.log_path = name, reason, log_path
        self.log_tail = tail(log_path)
        shown = "\n".join(f"  | {line}" for line in self.log_tail) or "  | (it wrote nothing)"
        super().__init__(f"{name} {reason}; end of {log_path}:\n{shown}")


@dataclass(frozen=True, slots=True)
class ChildExit:
    """A program ended without being asked to. `returncode` is negative for a signal, as in subprocess."""

    name: str
    returncode: int
    log_tail: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Child:
    """One program under supervision.

    `argv[0]` is a path, not looked up in PATH. `ready` is asked every 20 ms; OSError and TimeoutError
    from it mean "not yet", anything else is a bug and is raised. `env` None inherits ours. Standard
    output and error are appended to `log_path`. `ready_timeout` and `grace` in seconds.
    """

    name: str
    argv: Sequence[str]
    cwd: Path
    log_path: Path
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] | None = None
    ready_timeout: float = 20.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 5.0
    _supervisor: Supervisor | None = field(default=None, init=False, repr=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False, repr=False)
    _exited: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _reaper: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _ready: bool = field(default=False, init=False, repr=False)
    _expected: bool = field(default=False, init=False, repr=False)

    @property
    def pid(self) -> int:
        """Process id, also the id of its process group. RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._exited.is_set()

    def kill(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send `sig` to the whole group on purpose: an exit that follows is expected, `watch` stays quiet."""
        if sig not in (signal.SIGSTOP, signal.SIGCONT):  # These two end nothing.
            self._expected = True
        self._signal(sig)

    async def wait(self) -> int:
        """Until this run of the program has ended; its return code. Bound it with a time-out."""
        await self._exited.wait()
        assert self._process is not None and self._process.returncode is not None
        return self._process.returncode

    async def restart(self) -> None:
        """Stop it if it lives, start it again, wait until ready. Raises as `Supervisor.start`."""
        if self._supervisor is None:
            raise RuntimeError(f"{self.name} was never started")
        await self._supervisor.stop(self)
        await self._supervisor.start(self)

    def _signal(self, sig: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, sig)


class Supervisor:
    """Owns the children and the tasks that wait for their exits.

    `async with Supervisor() as s: await s.start(child); await s.watch()`
    """

    def __init__(self) -> None:
        self._children: list[Child] = []  # in the order of their (last) start
        self._tasks = asyncio.TaskGroup()
        self._exits: asyncio.Queue[ChildExit] | None = None

    @property
    def children(self) -> tuple[Child, ...]:
        return tuple(self._children)

    async def __aenter__(self) -> Self:
        self._exits = asyncio.Queue()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for child in reversed(self.children):
                await self.stop(child)
        finally:  # A second cancellation in the middle of an orderly stop must not leave the rest alive.
            for child in self._children:
                child.kill(signal.SIGKILL)
            # The group is given no exception: the block's own one passes on as it is, not wrapped in a group.
            await self._tasks.__aexit__(None, None, None)

    async def start(self, child: Child) -> None:
        """Start `child` and wait until it is ready. ChildFailed if it dies first or is not ready in time."""
        if self._exits is None:
            raise RuntimeError("the supervisor is not running: use `async with`")
        if threading.current_thread() is not threading.main_thread():
            # The death signal follows the *thread* that forked (prctl(2)); others may end before the process.
            raise RuntimeError("children are started from the main thread only")
        if child.alive:
            raise RuntimeError(f"{child.name} is already running")
        child.log_path.parent.mkdir(parents=True, exist_ok=True)
        with child.log_path.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", WRAPPER, str(os.getpid()), str(int(signal.SIGKILL))),
                *child.argv,
                cwd=child.cwd,
                env=None if child.env is None else dict(child.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        child._supervisor, child._process, child._exited = self, process, asyncio.Event()
        child._ready = child._expected = False
        if child in self._children:
            self._children.remove(child)
        self._children.append(child)
        child._reaper = self._tasks.create_task(
            self._reap(child, process, child._exited), name=f"reap {child.name}"
        )
        await self._until_ready(child)
        child._ready = True
        log.info("child.ready", child=child.name, pid=child.pid)

    async def watch(self) -> ChildExit:
        """Until a child ends that nobody asked to end; each exit is told once, also one before the call."""
        if self._exits is None:
            raise RuntimeError("the supervisor is not running: use `async with`")
        return await self._exits.get()

    async def stop(self, child: Child) -> None:
        """Stop signal, `grace` seconds, then SIGKILL to the group. Does nothing when not running."""
        child._expected = True
        for sig, patience in ((child.stop_signal, child.grace), (signal.SIGKILL, KILL_WAIT)):
            if not child.alive:
                return
            child._signal(sig)
            if sig != signal.SIGKILL:
                child._signal(signal.SIGCONT)  # A frozen process (SIGSTOP in a chaos run) hears nothing else.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child._exited.wait(), patience)
        if child.alive:
            log.error("child.unkillable", child=child.name, pid=child.pid)
            if child._reaper is not None:  # Stuck in the kernel: we do not wait for ever for it.
                child._reaper.cancel()

    async def _until_ready(self, child: Child) -> None:
        try:
            async with asyncio.timeout(child.ready_timeout):
                while not await self._probe(child):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(child._exited.wait(), POLL)
        except TimeoutError:
            await self.stop(child)
            reason = f"not ready after {child.ready_timeout:g} s"
            raise ChildFailed(child.name, reason, child.log_path) from None

    @staticmethod
    async def _probe(child: Child) -> bool:
        if not child.alive:
            reason = f"ended with {await child.wait()} before it was ready"
            raise ChildFailed(child.name, reason, child.log_path)
        try:
            async with asyncio.timeout(PROBE):
                return await child.ready() and child.alive
        except (OSError, TimeoutError):
            return False

    async def _reap(self, child: Child, process: asyncio.subprocess.Process, exited: asyncio.Event) -> None:
        returncode = await process.wait()
        # What it left behind in its group: at once, before the id can be used again.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        exited.set()
        assert self._exits is not None
        # An exit before readiness is told by `start`; one that was asked for is no news.
        if child._ready and not child._expected:
            log.warning("child.exited", child=child.name, returncode=returncode)
            self._exits.put_nowait(ChildExit(child.name, returncode, tail(child.log_path)))


def tail(path: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """The last `lines` lines of a log, read from its end; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            return tuple(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ()
