"""`cti dialplan check`: what is wrong with a dialplan, and what Asterisk says of it. Knows: options, exit codes, how
it is printed. Must not
know: any rule."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from cti.cli.run import CONFIG, load
from cti.dialplan.check import Checked, check
from cti.dialplan.finding import Finding
from cti.dialplan.load import CODE, Loaded
from cti.dialplan.load import load as try_out
from cti.log import configure_logging
from cti.problem import ConfigError
from cti.settings import Settings
from cti.share import folder
from cti.stack.instance import PortsTaken
from cti.stack.root import RootFailed, ensure_root_with_bar

EPILOG = """\b
例 / Examples:
  cti dialplan check                          检查自带的拨号方案 / the dialplan of the product
  cti dialplan check --dialplan DIR           检查副本（可含 local.d/） / a copy of yours, local.d/ with it
  cti dialplan check --dialplan /srv/etc      也可检查 cti render 的结果 / or what cti render wrote
  cti dialplan check --no-load                只读，不起 Asterisk / read it alone, start no Asterisk
  cti dialplan check --json | jq '.findings[] | "\\(.file):\\(.line) \\(.code)"'

\b
某处有意为之，就地写明 / Meant so: say it in place, on the line or above it:
  ; check: no-timeout 原因 / the reason

\b
退出码 / Exit status:
  0  没有问题 / nothing found
  1  有问题，或配置有误 / faults, or a configuration that cannot be used
  2  用法不对 / wrong usage
"""


@click.command("check", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dialplan",
    "where",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="拨号方案目录 / folder of the dialplan (default: the product's own)",
)
@CONFIG
@click.option(
    "--sounds",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="提示音目录，默认按新装一套核对 / folder of prompts; default: those a fresh install has",
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    default=Path(".runtime"),
    show_default=True,
    help="Asterisk 所在 / where Asterisk is unpacked",
)
@click.option("--no-load", is_flag=True, help="不起 Asterisk / start no Asterisk")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def check_command(
    where: Path | None, config: Path | None, sounds: Path | None, runtime: Path, no_load: bool, as_json: bool
) -> None:
    """检查拨号方案，逐条指出文件与行，再由一个用完即弃的 Asterisk 载入。

    Check the dialplan: each fault by file and line, with a hint; then a throwaway Asterisk loads it, and what it
    refuses is told.
    """
    began = time.monotonic()
    place, settings, directory = load(config)
    here = where or folder("dialplan")
    if not (here / "extensions.conf.j2").exists() and not (here / "extensions.conf").exists():
        raise click.BadParameter(f"{here}: 没有 extensions.conf / has no extensions.conf", param_hint="--dialplan")
    console = Console(stderr=True)
    try:
        with console.status("读拨号方案 / reading the dialplan"):
            checked = check(here, directory, settings.site.code, sounds, place)
    except (OSError, UnicodeDecodeError, ConfigError) as why:
        click.echo(f"读不了 / cannot be read: {why}", err=True)
        sys.exit(1)
    loaded: Loaded | None = None
    if not no_load and not any(f.code == "template" for f in checked.findings):
        loaded = _loaded(here, place, settings, checked, runtime, console)
    found = [*checked.findings, *_news(checked, loaded)]
    seconds = time.monotonic() - began
    if as_json:
        click.echo(json.dumps(_report(checked, loaded, found, seconds), ensure_ascii=False, indent=2))
    else:
        for finding in found:
            click.echo(str(finding))
        click.echo(_summary(checked, loaded, len(found), seconds, no_load), err=bool(found))
    sys.exit(1 if found else 0)


def _loaded(here: Path, place: Path, settings: Settings, checked: Checked, runtime: Path, console: Console) -> Loaded:
    """Ends the command where no Asterisk can be started."""
    from cti.cli.run import load as configured

    _, _, directory = configured(place)
    configure_logging("warning", sys.stderr, json=False)
    try:
        root = ensure_root_with_bar(runtime, console)
        with (
            console.status("Asterisk 载入 / Asterisk loads it"),
            tempfile.TemporaryDirectory(prefix="cti-check-") as work,
        ):
            return asyncio.run(try_out(root, here, directory, place, checked.sources, Path(work), settings.site.code))
    except (PortsTaken, RootFailed, OSError) as why:
        click.echo(
            f"起不了 Asterisk（可用 --no-load）/ no Asterisk can be started (--no-load does without): {why}", err=True
        )
        sys.exit(1)


def _news(checked: Checked, loaded: Loaded | None) -> list[Finding]:
    """What Asterisk says that was not said of that line already."""
    told = {(f.file, f.line) for f in checked.findings}
    excused = {(f.file, f.line) for f in checked.excused} | {
        (f, n) for f, n, c in checked.sources.excused() if c == CODE
    }
    return [f for f in loaded.findings if (f.file, f.line) not in told | excused] if loaded else []


def _summary(checked: Checked, loaded: Loaded | None, count: int, seconds: float, no_load: bool) -> str:
    read = f"{checked.contexts} 个 context，{checked.steps} 步 / {checked.contexts} contexts, {checked.steps} steps"
    if loaded:
        tried = (
            f"；Asterisk {loaded.version} 已载入：{loaded.endpoints} 部话机与中继、{loaded.queues} 条队列 / loaded: "
            f"{loaded.endpoints} phones and trunks, {loaded.queues} queues"
        )
    else:
        tried = "；未载入 / not loaded" if no_load else "；填不成，未载入 / not loaded, it cannot be filled in"
    what = f"{count} 处问题 / {count} faults" if count else "没有问题 / nothing found"
    excused = f"，{len(checked.excused)} 处已注明 / excused" if checked.excused else ""
    return f"{what}{excused}：{read}{tried}（{seconds:.1f} s）"


def _report(checked: Checked, loaded: Loaded | None, found: list[Finding], seconds: float) -> dict[str, object]:
    return {
        "ok": not found,
        "findings": [f.as_dict() for f in found],
        "excused": [f.as_dict() for f in checked.excused],
        "contexts": checked.contexts,
        "steps": checked.steps,
        "seconds": round(seconds, 2),
        "asterisk": None
        if loaded is None
        else {
            "version": loaded.version,
            "contexts": loaded.contexts,
            "endpoints": loaded.endpoints,
            "queues": loaded.queues,
        },
    }
