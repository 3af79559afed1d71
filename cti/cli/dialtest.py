"""`cti dialtest` (拨测): real calls by test phones, against a stack of its own or a running instance of this
machine."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from cti.cli.run import CONFIG, load
from cti.dialtest.play import SCENARIOS, play
from cti.dialtest.report import Report, Run
from cti.log import configure_logging
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import ensure_root_with_bar


@click.command()
@click.argument("scenario", type=click.Choice(sorted(SCENARIOS)))
@click.option("--n", "count", type=click.IntRange(1, 100_000), default=5, show_default=True, help="次数 / how many")
@click.option("--seed", type=int, default=1, show_default=True, help="随机种子 / repeat a run exactly")
@click.option("--beside", type=click.IntRange(1, 20), default=1, show_default=True, help="同时几路 / callers at once")
@click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
@click.option("--state", type=click.Path(path_type=Path), default=None,
              help="对运行中的实例拨测 / call the instance that runs in this folder (cti up)")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path), default=None, help="保留状态目录 / keep the state here")
@click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True)
@CONFIG
def dialtest(scenario: str, count: int, seed: int, beside: int, as_json: bool, state: Path | None, keep: Path | None,
             runtime: Path,
             config: Path | None) -> None:
    """拨测：真实呼叫，逐包判断谁听见谁 / real calls, judged packet by packet. Exit code 0 passed, 1 failed.

    \b
    cti dialtest onekey-12345-110 --n 100
    cti dialtest onekey-110-12345 --n 20 --seed 7 --json
    cti dialtest queue --beside 3 --state .runtime/state
    """
    where, settings, directory = load(config)
    configure_logging("warning", sys.stderr, json=False)
    console = Console(stderr=as_json)
    root = ensure_root_with_bar(runtime, console)

    def tell(run: Run) -> None:
        if as_json:
            return
        verdict = "[red]✗[/]" if run.faults else "[green]✓[/]"
        figures = "  ".join(
            f"{name} {value:.0f} ms"
            for name, value in (("键→振铃 key→INVITE", run.key_to_invite_ms), ("切换间隙 gap", run.swap_gap_ms),
                                ("候接 wait", run.wait_ms)) if value is not None
        )  # fmt: skip
        console.print(f"{verdict} {run.number + 1:>4}  {figures}  [dim]{run.ref}[/]", highlight=False)
        for fault in run.faults:
            console.print(f"      [red]{fault}[/]", highlight=False)
        if run.faults:
            console.print(f"      听见 heard: {run.heard}", highlight=False)

    async def go(where_to: Path) -> Report:
        async with Instance(root, where_to, directory, where, folder("dialplan"), site=settings.site.code) as instance:
            return await play(instance, scenario, count, seed, beside, tell)

    begun = dt.datetime.now(dt.UTC)
    if state is not None:
        try:
            running = Instance.attached(root, state, directory, folder("dialplan"))
        except FileNotFoundError:
            raise click.UsageError(f"{state} 没有在运行的实例 / no instance runs there; start one: cti up") from None
        report = asyncio.run(play(running, scenario, count, seed, beside, tell))
    elif keep is not None:
        report = asyncio.run(go(keep))
    else:
        with tempfile.TemporaryDirectory(prefix="hotline-cti-") as made:
            report = asyncio.run(go(Path(made)))
    seconds = (dt.datetime.now(dt.UTC) - begun).total_seconds()
    if as_json:
        click.echo(json.dumps({**report.as_dict(), "seconds": round(seconds, 1)}, ensure_ascii=False, indent=1))
    else:
        for name, spread in report.figures().items():
            console.print(f"{name}: " + "  ".join(f"{k} {v}" for k, v in spread.items()), highlight=False)
        for line in report.leftovers:
            console.print(f"[red]残留 left over: {line}[/]", highlight=False)
        failed = sum(bool(run.faults) for run in report.runs)
        verdict = "[green]通过 passed[/]" if report.passed else f"[red]未通过 failed ({failed})[/]"
        console.print(f"{verdict}  {scenario} n={len(report.runs)} seed={seed}  {seconds:.0f} s")
    sys.exit(0 if report.passed else 1)
