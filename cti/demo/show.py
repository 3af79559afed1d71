"""`cti up`: unpack if need be, start one instance, and (demo) people it and show it. Ctrl-C stops all, leaving
nothing.

Knows: the order of things a newcomer sees. Must not know: how any of it works.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from cti.demo.callers import caller_child
from cti.demo.seats import DemoSeats
from cti.demo.view import view
from cti.directory import Directory
from cti.log import configure_logging
from cti.settings import Settings
from cti.share import folder
from cti.stack.instance import Instance, PortsTaken
from cti.stack.root import RootFailed, ensure_root_with_bar
from cti.stack.supervise import ChildFailed

SOFTPHONE = "1004"
"""the seat left to a human's softphone"""


async def show(config: Path, settings: Settings, directory: Directory, state: Path, runtime: Path, demo: bool,
               seconds: float | None) -> int:
    """Exit code: 0 stopped by request, 1 could not start or lost a part."""
    console = Console()
    configure_logging("warning", sys.stderr, json=False)
    try:
        root = await asyncio.to_thread(ensure_root_with_bar, runtime, console)
        async with Instance(root, state, directory, config, folder("dialplan"), site=settings.site.code) as instance:
            return await _until_stopped(console, instance, demo, seconds)
    except (PortsTaken, ChildFailed, RootFailed) as why:
        console.print(f"[red]无法启动 / cannot start:[/] {why}")
        return 1


async def _until_stopped(console: Console, instance: Instance, demo: bool, seconds: float | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    foot = _foot(instance)
    async with contextlib.AsyncExitStack() as stack:
        if demo:
            await stack.enter_async_context(DemoSeats(instance, leave=SOFTPHONE))
            await instance.supervisor.start(caller_child(instance, "12345", 7.0, seed=1, tone=500))
            await instance.supervisor.start(caller_child(instance, "110", 13.0, seed=2, tone=600))
        return await _watch(console, instance, foot, stop, demo)


async def _watch(console: Console, instance: Instance, foot: list[str], stop: asyncio.Event, demo: bool) -> int:
    """Show until stopped. A service that died is started again: no caller depends on it. Without Asterisk or the
    ledger there is nothing left to show."""
    while True:
        watching = asyncio.ensure_future(instance.supervisor.watch())
        try:
            if console.is_terminal and demo:
                await _live(console, instance, foot, stop, watching)
            else:
                await _plain(console, instance, foot, stop, watching, demo)
            lost = watching.result() if watching.done() else None
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if stop.is_set() or lost is None:
            console.print("已全部停止 / all stopped")
            return 0
        if lost.name != "cti":
            console.print(f"[red]{lost.name} 意外退出 / ended by itself ({lost.returncode})[/]")
            console.print("\n".join(lost.log_tail), markup=False)
            return 1
        console.print(f"[yellow]服务退出 ({lost.returncode})，正在重启，通话不受影响[/]")
        console.print("[yellow]the service died and starts again; calls go on[/]")
        await instance.children["cti"].restart()


def _foot(instance: Instance) -> list[str]:
    seat = instance.directory.seat(SOFTPHONE)
    lines = [
        f"服务 service http://127.0.0.1:{instance.ports.http}/status  /metrics  /readyz",
        f"状态目录 state {instance.state}",
        "转接键 keys  *110  *12345   取消 cancel *9    cti status · cti trace REF",
    ]
    if seat is not None:
        lines.insert(1, f"软电话 softphone  sip:{seat.number}@127.0.0.1:{instance.ports.sip} (UDP)  "
                        f"密码 password {seat.password(instance.key)}")  # fmt: skip
    return lines


async def _status(instance: Instance) -> Mapping[str, Any] | None:
    def fetch() -> Mapping[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{instance.ports.http}/status", timeout=1) as answer:
                got: Mapping[str, Any] = json.load(answer)
                return got
        except (OSError, ValueError):
            return None

    return await asyncio.to_thread(fetch)


async def _pause(stop: asyncio.Event, watching: asyncio.Future[Any], seconds: float) -> bool:
    waiter = asyncio.ensure_future(stop.wait())
    await asyncio.wait({waiter, watching}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    return not stop.is_set() and not watching.done()


async def _live(console: Console, instance: Instance, foot: list[str], stop: asyncio.Event,
                watching: asyncio.Future[Any]) -> None:
    with Live(view(None, foot), console=console, auto_refresh=False, screen=False) as live:
        while await _pause(stop, watching, 0.5):
            live.update(view(await _status(instance), foot), refresh=True)


async def _plain(console: Console, instance: Instance, foot: list[str], stop: asyncio.Event,
                 watching: asyncio.Future[Any], demo: bool) -> None:
    for line in foot:
        console.print(line, highlight=False, soft_wrap=True)
    first = True
    while await _pause(stop, watching, 1.0 if first else 5.0):
        status = await _status(instance)
        done = sum(row["count"] for row in status["transfers"] if row["outcome"] == "answered") if status else 0
        if status and demo:
            counts = f"({status['answered']}/{status['offered']})"
            console.print(
                f"{status['now'][11:19]} 接通率 answer rate {status['answer_rate']} {counts}"
                f"  通话中 live {len(status['calls'])}  转接成功 moved {done}",
                highlight=False,
            )
        first = done == 0
