"""sd_notify as systemd hears it: ready when ready, alive as long as the loop turns, stopping at the end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti import notify

pytestmark = pytest.mark.unit


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        at.bind(str(tmp_path / "notify"))
        at.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield at


async def heard(at: socket.socket) -> str:
    return (await asyncio.to_thread(at.recv, 100)).decode()


async def test_ready_alive_stopping(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    ready = asyncio.Event()
    task = asyncio.create_task(notify.keep_told(ready))
    await asyncio.sleep(0.05)
    systemd.setblocking(False)
    with pytest.raises(BlockingIOError):
        systemd.recv(100)  # not before it is
    systemd.settimeout(5)
    ready.set()
    assert [await heard(systemd) for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    task.cancel()
    await asyncio.wait([task])
    said = ""
    while said != "STOPPING=1":
        said = await heard(systemd)
        assert said in ("WATCHDOG=1", "STOPPING=1")


def test_without_a_supervisor_or_when_it_is_gone_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    assert not notify.tell("READY=1", {})
    assert not notify.tell("READY=1", {"NOTIFY_SOCKET": "relative"})
    assert not notify.tell("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_the_watchdog_is_half_of_what_is_asked_of_this_process() -> None:
    assert notify.watchdog_s({"WATCHDOG_USEC": "30000000"}) == 15
    assert notify.watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}) == 15
    for nobody in ({}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}):
        assert notify.watchdog_s(nobody) is None
