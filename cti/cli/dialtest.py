"""`cti dialtest` (拨测): real calls by test phones, against a stack of its own, a running instance of this machine, or
any stack a file describes. Knows: words, exit codes, signals. Must not know: what a scenario expects."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console

from cti import probes
from cti.cli.run import CONFIG, load
from cti.dialtest import overflow
from cti.dialtest.phone import RegistrationRefused
from cti.dialtest.play import SCENARIOS, play
from cti.dialtest.report import Report, Run
from cti.dialtest.stack import AsteriskSilent, SeatUnknown, StreamAway
from cti.dialtest.target import Target, load_target
from cti.directory import Directory
from cti.log import configure_logging
from cti.problem import ConfigError
from cti.share import folder
from cti.stack.instance import Instance, PortsTaken
from cti.stack.root import RootFailed, RuntimeRoot, ensure_root_with_bar
from cti.stack.statelock import StateTaken
from cti.stack.stopping import SIGNALS
from cti.stack.supervise import ChildFailed

T = TypeVar("T")

CANNOT_START = (StateTaken, PortsTaken, ChildFailed, RootFailed, RegistrationRefused, SeatUnknown, StreamAway,
                AsteriskSilent, ConfigError, OSError)  # fmt: skip

_FILE = click.Path(path_type=Path)


def _list(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        width = max(map(len, SCENARIOS))
        for name, scenario in SCENARIOS.items():
            click.echo(f"{name:<{width}}  {scenario.says}")
        click.echo(f"{'overflow':<{width}}  {overflow.SAYS}")
        context.exit()


@click.command()
@click.argument("scenario", type=click.Choice(sorted([*SCENARIOS, "overflow"])))
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list,
              help="列出场景 / list the scenarios")  # fmt: skip
@click.option("--n", "count", type=click.IntRange(1, 100_000), default=None,
              help="次数 / how many  [default: 5; --chaos: 300]")  # fmt: skip
@click.option("--chaos", is_flag=True,
              help="同时随机杀停服务、链路与 Redis / meanwhile kill and stop service, links, Redis")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="随机种子 / repeat a run exactly")
@click.option("--beside", type=click.IntRange(1, 20), default=1, show_default=True, help="同时几路 / callers at once")
@click.option("--ladder", "ladders", is_flag=True,
              help="每次都画出经过，不只失败的 / draw every run, not failed ones only")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
@click.option("--state", type=_FILE, default=None,
              help="对运行中的实例拨测 / call the instance that runs in this folder (cti up)")  # fmt: skip
@click.option("--target", "target_file", type=_FILE, default=None,
              help="对文件所述的系统拨测 / call the stack this YAML file describes (staging)")  # fmt: skip
@click.option("--keep", type=_FILE, default=None, help="保留状态目录 / keep the state here")
@click.option("--probe", type=_FILE, default=None,
              help="结果写到服务的 probes/，供告警 / the outcome, for the service's alerts: its <state>/probes")
@click.option("--runtime", type=_FILE, default=Path(".runtime"), show_default=True,
              help="Asterisk 等程序所在 / where Asterisk and the others are unpacked")  # fmt: skip
@CONFIG
def dialtest(scenario: str, count: int | None, chaos: bool, seed: int, beside: int, ladders: bool, as_json: bool,
             state: Path | None, target_file: Path | None, keep: Path | None, probe: Path | None, runtime: Path,
             config: Path | None) -> None:
    """拨测：真实呼叫，逐包判断谁听见谁 / real calls, judged packet by packet.

    \b
    cti dialtest --list                              有哪些场景 / the scenarios
    cti dialtest onekey-12345-110 --n 100            自起一套 / a stack of its own
    cti dialtest onekey-110-12345 --n 20 --seed 7 --json
    cti dialtest onekey --chaos --seed 7             边杀边拨 / while parts are killed
    cti dialtest queue --beside 3 --state .runtime/state
                                                     对 cti up 的实例 / on what `cti up` runs
    cti dialtest queue --n 3 --target here.yaml --probe /var/lib/hotline-cti/probes
                                                     定时拨测，发现静音即告警 / by a timer: dead air becomes an alert
    cti dialtest queue --target staging.yaml         对别的系统 / on any other stack

    \b
    退出码 / exit status:
      0  通过 / passed
      1  有差错，或无法启动 / a fault, or it could not start
      2  用法不对 / wrong usage
      130, 143  被 Ctrl-C、SIGTERM 停止 / stopped by Ctrl-C, SIGTERM

    \b
    --target 文件 / file:
      site: "530100"
      sip: {host: 10.20.0.5, port: 5060}
      local: {seats: 10.20.0.9, callers: 10.20.0.10}
                       本机地址；callers 须是对方认的中继 / addresses of this machine; callers: a trunk there
      redis: {url: "redis://10.20.0.5:6379/0"}
      seats: [{number: "1001", password_file: 1001.secret}, …]
      asterisk: [asterisk, -rx, "{command}"]
                       可省，则不查残留 / may be absent: leftovers are then not checked
    """
    if sum(one is not None for one in (state, target_file, keep)) > 1:
        raise click.UsageError("--state、--target、--keep 只能写一个 / give one of --state, --target, --keep")
    if chaos and (state is not None or target_file is not None):
        raise click.UsageError("--chaos 只用于自起的一套 / --chaos is for a stack of its own")
    own_site = SCENARIOS[scenario].site if scenario in SCENARIOS else None
    if own_site is not None and (state is not None or target_file is not None):
        raise click.UsageError(f"{scenario} 只用于自起的一套 / {scenario} is for a stack of its own")
    if scenario == "overflow" and (chaos or state is not None or target_file is not None):
        raise click.UsageError("overflow 自起两个站点 / overflow runs two sites of its own")
    number = count if count is not None else 300 if chaos else 5
    configure_logging("warning", sys.stderr, json=False)
    console, beginning = Console(stderr=as_json), time.monotonic()
    show = _Show(console, quiet=as_json)

    async def on(where: Instance | Target) -> Report:
        return await play(where, scenario, number, seed, beside, show.run, ladders=ladders, chaos=chaos)

    heard: list[int] = []
    try:
        with _sigterm_interrupts(heard), contextlib.ExitStack() as made:
            if target_file is not None:
                work = on(load_target(target_file))
            else:
                folder_of_config, settings, directory = load(config)
                if own_site is not None:
                    there = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="hotline-cti-")))
                    folder_of_config, settings, directory = load(own_site(folder_of_config, there / "config"))
                root = ensure_root_with_bar(runtime, console)  # blocks, so not within the loop
                if scenario == "overflow":
                    work = _two_sites(root, directory, folder_of_config, number, seed, keep, show.run)
                elif state is not None:
                    work = on(_running(root, state, directory))
                else:
                    make = partial(Instance, root, directory=directory, config=folder_of_config,
                                   templates=folder("dialplan"), site=settings.site.code)  # fmt: skip
                    work = _on_own(make, keep, on)
            report = asyncio.run(_noting_signals(work, heard))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("已停止 / stopped", err=True)
        sys.exit(128 + (heard[0] if heard else signal.SIGINT))
    except CANNOT_START as why:
        click.echo(f"无法启动 / cannot start: {_words(why)}", err=True)
        sys.exit(1)
    seconds = time.monotonic() - beginning
    if probe is None and state is not None:
        probe = state / "cti" / probes.FOLDER
    if probe is not None:
        try:
            probes.keep(probe, report.probe(time.time()))
        except OSError as why:
            click.echo(f"结果未能写入 / the outcome was not written: {probe}: {why}", err=True)
            sys.exit(1)
    if as_json:
        click.echo(json.dumps({**report.as_dict(), "seconds": round(seconds, 1)}, ensure_ascii=False, indent=1))
    else:
        show.verdict(report, seconds)
    sys.exit(0 if report.passed else 1)


def _running(root: RuntimeRoot, state: Path, directory: Directory) -> Instance:
    try:
        return Instance.attached(root, state, directory, folder("dialplan"))
    except FileNotFoundError:
        raise click.UsageError(f"{state} 没有在运行的实例 / no instance runs there; start one: cti up") from None


async def _two_sites(root: RuntimeRoot, directory: Directory, config: Path, number: int, seed: int, keep: Path | None,
                     tell: Callable[[Run], None]) -> Report:  # fmt: skip
    with contextlib.ExitStack() as stack:
        state = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-cti-")))
        return await overflow.play_sites(root, state, directory, config, folder("dialplan"), number, seed, tell)


async def _on_own(make: Callable[..., Instance], keep: Path | None, on: Callable[[Instance], Awaitable[T]]) -> T:
    """On a stack of our own. Afterwards it is gone, with the folder of its secrets unless that is to be kept."""
    with contextlib.ExitStack() as stack:
        state = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotline-cti-")))
        async with make(state=state) as instance:
            return await on(instance)


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[Coroutine[Any, Any, T]], Coroutine[Any, Any, T]]]:
    """For a command that runs one task: Ctrl-C and SIGTERM end it in order, then the command with 130 or 143. Gives
    what the task is wrapped in."""
    heard: list[int] = []
    try:
        with _sigterm_interrupts(heard):
            yield lambda work: _noting_signals(work, heard)
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("已停止 / stopped", err=True)
        sys.exit(128 + (heard[0] if heard else signal.SIGINT))


@contextlib.contextmanager
def _sigterm_interrupts(heard: list[int]) -> Iterator[None]:
    """Within, SIGTERM interrupts what blocks, as Ctrl-C does, and is noted."""

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        heard.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _noting_signals(work: Coroutine[Any, Any, T], heard: list[int]) -> T:
    """The work; the first signal cancels it, all are noted, and further ones do not disturb its orderly end. For the
    outermost task: the handlers stay until the loop is closed, so that no signal cuts the end short."""
    me = asyncio.current_task()
    assert me is not None
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        heard.append(number)
        if len(heard) == 1:
            me.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, ask, number)
    return await work


def _words(why: BaseException) -> str:
    """Why it could not begin, and what to do."""
    match why:
        case RegistrationRefused():
            return f"注册未成（{why.status}） / {why}\n    → 核对口令、地址和端口 / check password, address and port"
        case StreamAway():
            return f"账本没有应答 / the ledger does not answer: {why}\n    → 核对 redis 地址 / check the redis address"
        case AsteriskSilent():
            return f"{why}\n    → 核对 asterisk 命令，或删去它 / check the command asterisk:, or leave it out"
        case OSError() if why.errno == errno.EADDRNOTAVAIL:
            return f"{why}\n    → 须是本机的地址 / it must be an address of this machine"
        case ConfigError():
            return f"\n{why}"
        case _:
            return str(why)


class _Show:
    """A run a line, failed ones with what the caller heard, his gaps and his ladder; at the end figures and verdict."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet

    def _plain(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def run(self, run: Run) -> None:
        if self._quiet:
            return
        verdict = "[red]✗[/]" if run.faults else "[green]✓[/]"
        figures = "  ".join(
            f"{name} {value:.0f} ms"
            for name, value in (("键→振铃 key→INVITE", run.key_to_invite_ms), ("切换间隙 gap", run.swap_gap_ms),
                                ("候接 wait", run.wait_ms), ("变更 change", run.change_ms),
                                ("到位 settled", run.settle_ms)) if value is not None
        )  # fmt: skip
        what = f"{run.story}  " if run.story else ""
        struck = f"[yellow]{'  ⚡' * len(run.blows)}[/]" if run.blows else ""
        line = f"{verdict} {run.number + 1:>4}  {what}{figures}  [dim]{run.ref}[/]{struck}"
        self._console.print(line, highlight=False)
        for fault in run.faults:
            self._console.print(fault, style="red", markup=False, highlight=False, soft_wrap=True)
        if not run.ladder:
            return
        self._plain(run.ladder)
        self._plain(f"听见 heard: {run.heard or '—'}")
        for gap in run.gaps or ["无 / none"]:
            self._plain(f"间隙 gap: {gap}")
        for blow in run.blows:
            self._plain(f"⚡ {blow}")

    def verdict(self, report: Report, seconds: float) -> None:
        for name, spread in report.figures().items():
            self._console.print(f"{name}: " + "  ".join(f"{k} {v}" for k, v in spread.items()), highlight=False)
        if report.leftovers is None:
            said = "残留未查：没有 asterisk 命令 / leftovers not checked: no command to ask Asterisk with"
            self._console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
        for line in report.leftovers or ():
            self._console.print(f"残留 left over: {line}", style="red", markup=False, highlight=False)
        if report.blows:
            self._plain("⚡ " + "  ".join(f"{what} x{times}" for what, times in report.blows.items()))
        failed = sum(bool(run.faults) for run in report.runs)
        verdict = "[green]通过 passed[/]" if report.passed else f"[red]未通过 failed ({failed})[/]"
        self._console.print(
            f"{verdict}  {report.scenario} n={len(report.runs)} seed={report.seed}  {seconds:.0f} s")  # fmt: skip
