"""`cti dialplan test`: stories in YAML played on a throwaway Asterisk. Knows: options, exit codes. Must not know:
what a story says."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from cti.cli.dialtest import CANNOT_START, interruptible
from cti.cli.run import load
from cti.dialplan.stories.load import Placed, load_stories
from cti.dialplan.stories.playing import Played, play, story_config
from cti.dialplan.stories.report import Show, as_dict
from cti.log import configure_logging
from cti.problem import ConfigError
from cti.share import folder
from cti.stack.root import ensure_root_with_bar

EPILOG = """\b
例 / Examples:
  cti dialplan test                          随产品的全部故事 / every story of the product
  cti dialplan test -k 转接                  标题或文件名含此字 / whose file or title has it
  cti dialplan test --list                   只列出 / list them
  cti dialplan test -x -v                    一条一行，遇错即停 / a line each, stop at the first failure
  cti dialplan test my.yaml --config /etc/hotline-cti
                                             自己的故事，自己的配置 / stories and configuration of yours

\b
退出码 / Exit status:
  0  全部通过 / all passed
  1  有失败，或故事有错，或无法启动 / one failed, a story is wrong, or nothing could be started
  2  用法不对 / wrong usage
  5  没有选中任何故事 / no story was selected
"""


@click.command("test", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", metavar="[FILE|DIR]...", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--config", type=click.Path(path_type=Path, file_okay=False), envvar="CTI_CONFIG",
              help="配置目录 / the configuration (default: config/ of the stories, else the product's)")  # fmt: skip
@click.option("--dialplan", "plan", type=click.Path(path_type=Path, file_okay=False, exists=True), default=None,
              help="拨号方案目录 / the dialplan's folder (default: the product's)")  # fmt: skip
@click.option("-k", "word", default="", help="只跑标题或文件名含此字的 / only stories whose title or file has it")
@click.option("-x", "stop_at_first", is_flag=True, help="遇错即停 / stop at the first failure")
@click.option("-v", "verbose", is_flag=True, help="一条一行 / a line a story")
@click.option("--list", "listing", is_flag=True, help="只列出，不跑 / list them, run nothing")
@click.option("--beside", type=click.IntRange(1, 4), default=4, show_default=True,
              help="同时几套 / installations beside each other")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
@click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
              help="Asterisk 等程序所在 / where Asterisk and the others are unpacked")  # fmt: skip
def test_command(paths: tuple[Path, ...], config: Path | None, plan: Path | None, word: str, stop_at_first: bool,
                 verbose: bool, listing: bool, beside: int, as_json: bool, runtime: Path) -> None:  # fmt: skip
    """按故事测试：真实 Asterisk、测试话机、虚拟钟点 / stories on a real Asterisk with test phones and a virtual hour.

    A story is YAML: given (hour, caller, seats), when (dials, presses), then (hears, rings, reaches, is told, ledger).
    Docs: docs/dialplan-stories.md.
    """
    dialplan = plan or folder("dialplan")
    where = [path.resolve() for path in paths] or [dialplan / "stories"]
    configure_logging("error", sys.stderr, json=False)
    at, settings, directory = load(config or story_config([*where, *(path.parent for path in where)]))
    try:
        stories = load_stories(where, directory, dialplan)
    except ConfigError as why:
        for problem in why.problems:
            click.echo(str(problem), err=True)
        click.echo(f"{len(why.problems)} 处有错 / mistakes", err=True)
        sys.exit(1)
    chosen = [one for one in stories if word.lower() in one.id.lower()]
    if listing:
        _list(chosen, as_json)
    if not chosen:
        click.echo(f"没有故事含 {word!r} / no story has it; see --list", err=True)
        sys.exit(5)
    console, began = Console(stderr=as_json), time.monotonic()
    show = Show(console, verbose=verbose, quiet=as_json)

    async def run() -> Played:
        with tempfile.TemporaryDirectory(prefix="hotline-cti-") as state:
            return await play(root, Path(state), directory, at.resolve(), dialplan, settings.site.code, chosen,
                              beside=beside, stop_at_first=stop_at_first, tell=show.story)  # fmt: skip

    try:
        root = ensure_root_with_bar(runtime.resolve(), console)
        began = time.monotonic()
        with interruptible() as note:
            played = asyncio.run(note(run()))
    except* CANNOT_START as group:
        click.echo(f"无法启动 / cannot start: {'; '.join(map(str, group.exceptions))}", err=True)
        sys.exit(1)
    seconds = time.monotonic() - began
    show.end(played, seconds)
    if as_json:
        click.echo(json.dumps(as_dict(played, seconds), ensure_ascii=False, indent=1))
    sys.exit(0 if played.passed else 1)


def _list(stories: Sequence[Placed], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([{"file": str(s.file), "line": s.line, "story": s.name} for s in stories],
                              ensure_ascii=False, indent=1))  # fmt: skip
    else:
        for one in stories:
            click.echo(one.id)
    sys.exit(0 if stories else 5)


__all__ = ["test_command"]
