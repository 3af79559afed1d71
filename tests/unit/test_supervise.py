"""The supervisor: last words, reverse order, whole groups, and no orphan when the parent is killed."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cti.stack.netports import LOOPBACK, free_tcp_port
from cti.stack.supervise import Child, ChildFailed, Supervisor

pytestmark = pytest.mark.unit

PATIENCE = 10.0
# Listens once all is set up: an accepted connection is the sign of readiness.
SERVER = """
import signal, socket, sys, pathlib
name, port, order = sys.argv[1:4]
def stop(*_):
    with open(order, "a") as file: file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if name.startswith("deaf") else stop)
listener = socket.create_server(("127.0.0.1", int(port)))
while True: listener.accept()[0].close()
"""
PARENT = """
import asyncio, sys
from pathlib import Path
from tests.unit.test_supervise import server
from cti.stack.supervise import Supervisor
async def main():
    async with Supervisor() as supervisor:
        for port in sys.argv[2:]:
            await supervisor.start(server(Path(sys.argv[1]), "deaf" + port, int(port)))
        print("PIDS", *(child.pid for child in supervisor.children), flush=True)
        await supervisor.watch()
asyncio.run(main())
"""


async def listens(port: int) -> bool:
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.close()
    return True


def server(place: Path, name: str, port: int, **more: Any) -> Child:
    return Child(
        name=name,
        argv=[sys.executable, "-c", SERVER, name, str(port), str(place / "order")],
        cwd=place,
        log_path=place / f"{name}.log",
        ready=lambda: listens(port),
        **more,
    )


def script(place: Path, code: str, **more: Any) -> Child:
    async def never() -> bool:
        return False

    more.setdefault("ready", never)
    return Child("script", [sys.executable, "-c", code], place, place / "script.log", **more)


def refuses(port: int) -> bool:
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(listens(port))
    return True


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_children_stop_in_reverse_order(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        for name in ("first", "second", "third"):
            await supervisor.start(server(tmp_path, name, free_tcp_port()))
        pids = [child.pid for child in supervisor.children]
    assert (tmp_path / "order").read_text().split() == ["third", "second", "first"]
    assert all(gone(pid) for pid in pids)


async def test_a_child_that_dies_before_it_is_ready_is_reported_with_its_last_words(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        with pytest.raises(ChildFailed, match="ended with 3 before it was ready") as caught:
            await supervisor.start(script(tmp_path, "import sys; print('no such module'); sys.exit(3)"))
    assert caught.value.log_tail == ("no such module",)
    assert "no such module" in str(caught.value)


async def test_a_program_that_does_not_exist_is_reported_with_the_reason(tmp_path: Path) -> None:
    async def ready() -> bool:
        return False

    child = Child("ghost", ["/nowhere/ghost"], tmp_path, tmp_path / "ghost.log", ready)
    async with Supervisor() as supervisor:
        with pytest.raises(ChildFailed, match="/nowhere/ghost: No such file or directory"):
            await supervisor.start(child)


async def test_a_child_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    child = script(tmp_path, "import signal; signal.pause()", ready_timeout=0.3)
    async with Supervisor() as supervisor:
        with pytest.raises(ChildFailed, match=r"not ready after 0\.3 s"):
            await supervisor.start(child)
        assert gone(child.pid)


async def test_a_bug_in_the_readiness_check_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> bool:
        raise LookupError("bug")

    child = script(tmp_path, "import signal; signal.pause()", ready=broken)
    with pytest.raises(LookupError, match="bug"):
        async with Supervisor() as supervisor:
            await supervisor.start(child)
    assert gone(child.pid)


async def test_watch_tells_of_an_exit_nobody_asked_for(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        child = server(tmp_path, "one", free_tcp_port())
        await supervisor.start(child)
        os.kill(child.pid, signal.SIGKILL)
        told = await asyncio.wait_for(supervisor.watch(), PATIENCE)
    assert (told.name, told.returncode) == ("one", -signal.SIGKILL)


async def test_a_kill_on_purpose_and_a_restart_are_no_news_but_the_next_exit_is(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        child = server(tmp_path, "one", free_tcp_port())
        await supervisor.start(child)
        before = child.pid
        child.kill(signal.SIGSTOP)
        child.kill(signal.SIGCONT)
        child.kill()
        assert await asyncio.wait_for(child.wait(), PATIENCE) == -signal.SIGKILL
        await child.restart()
        assert child.pid != before
        assert supervisor.children == (child,)
        os.kill(child.pid, signal.SIGTERM)
        assert (await asyncio.wait_for(supervisor.watch(), PATIENCE)).returncode == 0


async def test_a_deaf_and_a_frozen_child_are_ended_after_the_grace(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        deaf = server(tmp_path, "deaf", free_tcp_port(), grace=0.2)
        frozen = server(tmp_path, "frozen", free_tcp_port(), grace=PATIENCE)
        await supervisor.start(deaf)
        await supervisor.start(frozen)
        frozen.kill(signal.SIGSTOP)
    assert await deaf.wait() == -signal.SIGKILL
    assert await frozen.wait() == 0  # It was woken, so that it could stop by itself.


async def test_what_a_child_leaves_in_its_group_goes_with_it(tmp_path: Path) -> None:
    helper = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
    code = (
        "import subprocess, sys, signal, pathlib\n"
        f"p = subprocess.Popen([sys.executable, '-c', {helper!r}])\n"
        "pathlib.Path('pid.part').write_text(str(p.pid)); pathlib.Path('pid.part').rename('pid')\n"
        "signal.pause()"
    )

    async def ready() -> bool:
        return (tmp_path / "pid").exists()

    async with Supervisor() as supervisor:
        await supervisor.start(script(tmp_path, code, ready=ready))
        helper_pid = int((tmp_path / "pid").read_text())
        watched = os.pidfd_open(helper_pid)
    try:
        assert select.select([watched], [], [], PATIENCE)[0], "the helper outlived its group"
    finally:
        os.close(watched)


async def test_cancelling_the_owner_stops_everything(tmp_path: Path) -> None:
    started = asyncio.Event()
    child = server(tmp_path, "one", free_tcp_port())

    async def own() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start(child)
            started.set()
            await supervisor.watch()

    owner = asyncio.create_task(own())
    await asyncio.wait_for(started.wait(), PATIENCE)
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
    assert gone(child.pid)


async def test_children_are_started_from_the_main_thread_only(tmp_path: Path) -> None:
    async def elsewhere() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start(script(tmp_path, "pass"))

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(asyncio.run, elsewhere())


def test_a_parent_killed_by_sigkill_takes_its_children_along(tmp_path: Path) -> None:
    """Deaf children, so that only the kernel's signal can have ended them; within 2 s, ports free."""
    ports = [free_tcp_port() for _ in range(3)]
    command = [sys.executable, "-c", PARENT, str(tmp_path), *map(str, ports)]
    repository = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            told = next(line for line in parent.stdout if line.startswith("PIDS "))  # after its log lines
            pids = [int(pid) for pid in told.split()[1:]]
            assert len(pids) == 3
            watched = [os.pidfd_open(pid) for pid in pids]
        finally:
            parent.kill()
            parent.wait(PATIENCE)
    try:
        for pid_fd in watched:
            assert select.select([pid_fd], [], [], 2.0)[0], "a child outlived its parent"
    finally:
        for pid_fd in watched:
            os.close(pid_fd)
    assert all(refuses(port) for port in ports)
