"""`cti up`: unpack if need be, start one instance, and (demo) people it and show it. Ctrl-C stops all, leaving
nothing.

Knows: the order of things a newcomer sees. Must not know: how any of it works.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from cti.demo.callers import calling
from cti.demo.flood import PLANS, flood, site_of, with_free_trunk
from cti.demo.keep import Keeper
from cti.demo.seats import DemoSeats
from cti.demo.view import view
from cti.directory import Directory
from cti.log import configure_logging
from cti.settings import Settings
from cti.share import folder
from cti.stack.instance import Instance, PortsTaken
from cti.stack.root import RootFailed, ensure_root_with_bar
from cti.stack.sites import Sites
from cti.stack.statelock import StateTaken
from cti.stack.stopping import sigterm_as_interrupt, until_stopped
from cti.stack.supervise import ChildExit, ChildFailed

SOFTPHONE = "1004"
"""the seat left to a human's softphone"""


def show(config: Path, settings: Settings, directory: Directory, state: Path, runtime: Path, demo: bool,
         seconds: float | None, sites: int = 1, scenario: str = "", watch: float = 0.0) -> int:  # fmt: skip
    """Exit code: 0 stopped by request (a signal at any moment, or after ``seconds``), 1 could not start or lost a part.
    ``scenario``: a story of `cti.demo.flood.PLANS` to be told, with ``demo``. For the main thread."""
    console = Console()
    configure_logging("warning", sys.stderr, json=False)
    try:
        with sigterm_as_interrupt():
            root = ensure_root_with_bar(runtime, console)
            if scenario:
                directory = with_free_trunk(directory)
            elif demo:  # its simulated callers answer no check, and a trunk that is down is an alert
                unchecked = tuple(trunk.model_copy(update={"qualify": 0}) for trunk in directory.trunks)
                directory = directory.model_copy(update={"trunks": unchecked})
            made: Instance | Sites
            if sites > 1:
                made = Sites(root, state, directory, config, folder("dialplan"), count=sites, voice=True,
                             watch=watch)  # fmt: skip
            else:
                made = Instance(root, state, directory, config, folder("dialplan"), site=settings.site.code,
                                recording=settings.recording, voice=True, watch=watch)
            lost = asyncio.run(until_stopped(_run(console, made, demo, seconds, scenario)))
    except KeyboardInterrupt:
        lost = None
    except (StateTaken, PortsTaken, ChildFailed, RootFailed) as why:
        console.print("[red]无法启动 / cannot start:[/]", end=" ")
        console.print(str(why), markup=False, highlight=False, soft_wrap=True)
        return 1
    if lost is not None:
        console.print(f"[red]{lost.name} 意外退出 / ended by itself ({lost.returncode})[/]")
        console.print("\n".join(lost.log_tail), markup=False)
        return 1
    console.print("已全部停止 / all stopped")
    return 0


async def _run(console: Console, made: Instance | Sites, demo: bool, seconds: float | None,
               scenario: str) -> ChildExit | None:  # fmt: skip
    """The exit of a part nothing goes on without, or None when the time was up."""
    async with made:
        instances = made.all if isinstance(made, Sites) else [made]
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await _people(console, instances, demo, scenario)
        except TimeoutError:
            if not limit.expired():
                raise
    return None


async def _people(console: Console, instances: Sequence[Instance], demo: bool, scenario: str) -> ChildExit:
    """Show until a part is lost that all depends on: Asterisk or the ledger. A service, Prometheus or callers
    that died are started again."""

    def say(line: str) -> None:
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def tell(line: str) -> None:
        console.print(line, style="bold cyan", markup=False, highlight=False, soft_wrap=True)

    async with contextlib.AsyncExitStack() as stack:
        keepers, seats = [], []
        for n, instance in enumerate(instances):
            kept = [instance.children[name] for name in ("cti", "prometheus") if name in instance.children]
            if demo:
                kept.append(await stack.enter_async_context(calling(instance, "12345", 7.0, seed=1 + n, tone=500)))
                kept.append(await stack.enter_async_context(calling(instance, "110", 13.0, seed=2 + n, tone=600)))
                tone = 10 + n * len(instance.directory.seats)
                seats.append(await stack.enter_async_context(DemoSeats(instance, SOFTPHONE, first_tone=tone)))
            keepers.append(Keeper(instance.supervisor, kept, say))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        view_of = _live if console.is_terminal and demo else _plain
        foot = [line for instance in instances for line in _foot(instance)]
        if len(instances) > 1:
            foot.append(f"席位互借 lend a seat   cti leases --state {instances[0].state} "
                        f"ask {instances[1].site}1001 {instances[0].site}")  # fmt: skip
        shown = site_of(instances, PLANS[scenario]) if scenario else instances[0]
        stack.callback(group.create_task(view_of(console, shown, foot, demo)).cancel)
        if scenario:
            stack.callback(group.create_task(flood(instances, seats, tell)).cancel)
        runs = [group.create_task(keeper.run()) for keeper in keepers]
        for run in runs:
            stack.callback(run.cancel)
        done, _ = await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()


def _foot(instance: Instance) -> list[str]:
    seat = instance.directory.seat(SOFTPHONE)
    lines = [
        f"服务 service http://127.0.0.1:{instance.ports.http}/status  /metrics  /readyz",
        f"状态目录 state {instance.state}",
        "转接键 keys  *110  *12345   取消 cancel *9    cti status · cti trace REF",
    ]
    if instance.ports.prometheus:
        lines.insert(1, f"监控 Prometheus http://127.0.0.1:{instance.ports.prometheus}/alerts  /graph")
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


async def _live(console: Console, instance: Instance, foot: list[str], demo: bool) -> None:
    with Live(view(None, foot), console=console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(view(await _status(instance), foot), refresh=True)
            await asyncio.sleep(0.5)


async def _plain(console: Console, instance: Instance, foot: list[str], demo: bool) -> None:
    for line in foot:
        console.print(line, highlight=False, soft_wrap=True)
    first = True
    while True:
        await asyncio.sleep(1.0 if first else 5.0)
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
