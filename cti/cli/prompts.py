"""`cti prompts`: what callers and seats hear. Knows: options, progress, words. Must not know: rules (cti.prompts), how
a prompt is made (cti.stack.sounds)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from conference.words import CHOICES, REFUSALS
from cti.cli.run import CONFIG, load
from cti.core.asking import CODES
from cti.core.routing import REASONS
from cti.core.seat_desk import SEAT_CODES
from cti.directory import Directory
from cti.problem import ConfigError, Problem
from cti.prompts.catalogue import Catalogue, load_catalogue
from cti.prompts.check import check_files, check_names, check_recordings
from cti.prompts.named import look as look_named
from cti.prompts.recordings import Recordings, key_of, note
from cti.prompts.recordings import look as look_recordings
from cti.prompts.wav import FORMATS, encoded, parse, put, to_line
from cti.share import folder
from cti.stack.root import open_voice
from cti.stack.sounds import NEEDED, Made, ensure_sounds, greetings, made_of, voice_version

SOUNDS = click.option("--sounds", type=click.Path(path_type=Path, file_okay=False), default=Path(".runtime/sounds"),
                      show_default=True, help="做好的提示音所在 / folder of the prompts made")  # fmt: skip
RUNTIME = click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
                       help="语音合成器所在 / where the synthesizer is unpacked")  # fmt: skip
AS_JSON = click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
KINDS = {"recorded": "录音", "made": "合成", "sign": "提示声", "hand": "手放", "": "未做"}

EPILOG = """\b
例 / Examples:
  cti prompts build                         念出全部提示音 / speak all of them
  cp 欢迎.wav config/prompts/goodbye.wav; cti prompts build    录音代替 / a recording instead
  cti prompts check                         缺失、格式、削顶、无声、音量、改动 / missing, format, clipped, silent…
  cti prompts export --format alaw out/     给别的交换机 / for another switch

\b
退出码 / Exit status:
  0  没有错误 / no errors      1  有错误 / errors      2  用法不对 / wrong usage
"""


class _Site:
    """The list, the recordings and the configuration's own texts of one folder."""

    def __init__(self, config: Path | None) -> None:
        self.config, _, self.directory = load(config)
        try:
            self.catalogue: Catalogue = load_catalogue(self.config)
        except ConfigError as why:
            click.echo(str(why), err=True)
            sys.exit(1)
        self.more = greetings(self.directory)

    @property
    def recordings(self) -> Recordings:
        return look_recordings(self.config)

    @property
    def keys(self) -> list[str]:
        english = [key_of(p.name, "en") for p in self.catalogue.prompts.values() if p.en is not None]
        return [*self.catalogue.prompts, *english, *self.more]


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A moving bar on a terminal, nothing in a log."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def prompts() -> None:
    """提示音：清单、合成、检查、导出 / prompts: the list, speech for it, checks, export."""


@prompts.command("list")
@CONFIG
@SOUNDS
@AS_JSON
def list_command(config: Path | None, sounds: Path, as_json: bool) -> None:
    """列出名称、文字、来源、哈希 / names, texts, where each comes from, hashes."""
    site = _Site(config)
    rows = _rows(site, made_of(sounds), sounds)
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table("名称/name", "来源/from", "秒/s", "文字/text", "SHA-256")
    for row in rows:
        seconds = f"{row['seconds']:.1f}" if row["seconds"] else ""
        text = row["text"] or "♪"
        table.add_row(row["name"], f"{KINDS[row['from']]} {row['from']}".strip(), seconds, text, row["sha256"][:12])
    Console().print(table)


def _rows(site: _Site, made: Mapping[str, Made], sounds: Path) -> list[dict[str, Any]]:
    texts: dict[str, str] = {}
    for prompt in site.catalogue.prompts.values():
        texts[prompt.name] = prompt.zh or ""
        if prompt.en is not None:
            texts[key_of(prompt.name, "en")] = prompt.en
    recordings, rows = site.recordings, list[dict[str, Any]]()
    for key, text in {**texts, **site.more}.items():
        one = made.get(key)
        source = one.kind if one else "hand" if (sounds / f"{key}.wav").exists() else ""
        recording = recordings.files.get(key)
        rows.append({
            "name": key, "text": text, "from": source, "file": str(recording) if recording else f"{sounds / key}.wav",
            "sha256": recordings.noted.get(key, "") if recording else one.sha256 if one else "",
            "seconds": one.seconds if one else None,
        })  # fmt: skip
    return rows


@prompts.command()
@CONFIG
@SOUNDS
@RUNTIME
@click.option("--accept", multiple=True, metavar="NAME",
              help="换过的录音，确认记下新哈希 / a recording that changed: note its new hash")  # fmt: skip
def build(config: Path | None, sounds: Path, runtime: Path, accept: tuple[str, ...]) -> None:
    """做齐：录音转换，其余合成 / make all of them: recordings converted, the rest spoken.

    A file put into the folder by hand is left alone. Hashes of new recordings are noted in prompts/SHA256SUMS.
    """
    site = _Site(config)
    unknown = sorted(set(accept) - set(site.recordings.files) - set(site.recordings.noted))
    if unknown:
        raise click.UsageError(f"没有录音 / there is no recording: {', '.join(unknown)}")
    root = open_voice(runtime / "root")
    version = voice_version(root) if root else None
    if version is None:
        click.echo("没有 espeak-ng，以提示声代替；先运行 make runtime / "
                   "no espeak-ng: short signs stand in; run make runtime", err=True)  # fmt: skip
    elif version < NEEDED:
        click.echo(f"espeak-ng {'.'.join(map(str, version))} 过旧，普通话声调不对，须 1.52 以上 / "
                   "is too old for Mandarin: 1.52 or newer", err=True)  # fmt: skip
        sys.exit(1)
    new: list[str] = []
    try:
        new = note(site.recordings, frozenset(accept))
    except OSError as why:  # a configuration this user may only read: the prompts are made all the same
        click.echo(f"哈希未能记下，须有写权限 / hashes not noted, it may not be written there: {why}", err=True)
    try:
        with _bar("合成/speaking", len(site.keys)) as step:
            speaker = root if version else None
            made = ensure_sounds(sounds, speaker, site.catalogue, site.recordings, site.more, step=step)
    except OSError as why:
        click.echo(f"无法写入 / cannot write: {why}", err=True)
        sys.exit(1)
    for key in new:
        click.echo(f"已记录音 / recording noted: {key} {site.recordings.noted[key][:12]}")
    for key in site.keys:
        if key not in made:
            click.echo(f"未动（手放的文件） / left alone, put there by hand: {sounds / key}.wav", err=True)
    counts = {kind: sum(one.kind == kind for one in made.values()) for kind in ("recorded", "made", "sign")}
    click.echo(f"{sounds}: " + "，".join(f"{KINDS[kind]} {kind} {n}" for kind, n in counts.items()))


@prompts.command()
@CONFIG
@SOUNDS
@click.option("--dialplan", type=click.Path(path_type=Path, file_okay=False, exists=True), default=None,
              help="拨号计划 / the dialplan's folder (default: the product's own)")  # fmt: skip
@AS_JSON
def check(config: Path | None, sounds: Path, dialplan: Path | None, as_json: bool) -> None:
    """检查清单、录音与做好的文件 / the list, the recordings, and the files made."""
    site = _Site(config)
    with _bar("检查/checking", len(site.keys) + len(site.recordings.files)) as step:
        problems = faults(site.catalogue, site.directory, site.config, sounds, dialplan or folder("dialplan"), step)
    errors = sum(p.level == "error" for p in problems)
    if as_json:
        told = {"ok": not errors, "problems": [p.as_dict() for p in problems]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        click.echo(f"{len(site.keys)} 条提示音，{errors} 个错误，{len(problems) - errors} 个警告 / "
                   f"{len(site.keys)} prompts, {errors} errors, {len(problems) - errors} warnings")  # fmt: skip
    sys.exit(1 if errors else 0)


def faults(catalogue: Catalogue, directory: Directory, config: Path, sounds: Path, dialplan: Path,
           step: Callable[[str], None] = lambda _: None) -> list[Problem]:  # fmt: skip
    """Everything `cti prompts check` finds."""
    scripts = Path(__file__).parents[2] / "ivr"
    texts = look_named(dialplan, scripts if scripts.is_dir() else None, config / "ivr")
    more = greetings(directory)
    codes = {*CODES, *REFUSALS, *SEAT_CODES, *(f"said-{choice}" for choice in CHOICES)}
    found = [*check_names(catalogue, texts, REASONS, codes),
             *check_recordings(catalogue, look_recordings(config), more, step)]  # fmt: skip
    if not sounds.is_dir():
        words, cure = "还没有做好的提示音 / no prompts are made yet", "运行 / run: cti prompts build"
        found.append(Problem(str(sounds), 0, "", words, cure))
        return found
    sums = {key: one.sha256 for key, one in made_of(sounds).items()}
    return [*found, *check_files(catalogue, sounds, more, sums, step)]


@prompts.command()
@click.argument("out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@CONFIG
@SOUNDS
@click.option("--format", "form", type=click.Choice(sorted(FORMATS)), default="alaw", show_default=True,
              help="alaw、slin 无文件头 / alaw and slin have no header")  # fmt: skip
def export(out: Path, config: Path | None, sounds: Path, form: str) -> None:
    """导出为 Asterisk 的格式，8 kHz 单声道 / write them as Asterisk plays them, 8 kHz mono."""
    site = _Site(config)
    missing = [key for key in site.keys if not (sounds / f"{key}.wav").exists()]
    if missing:
        click.echo(f"缺 {len(missing)} 条，先运行 / {len(missing)} are missing, run: cti prompts build  "
                   f"({', '.join(missing[:5])})", err=True)  # fmt: skip
        sys.exit(1)
    try:
        with _bar("导出/exporting", len(site.keys)) as step:
            for key in site.keys:
                path = out / f"{key}{FORMATS[form]}"
                path.parent.mkdir(parents=True, exist_ok=True)
                put(path, encoded(to_line(parse((sounds / f"{key}.wav").read_bytes())), form))
                step(key)
    except (OSError, ValueError) as why:
        click.echo(f"{why}", err=True)
        sys.exit(1)
    click.echo(f"{out}: {len(site.keys)} {form}")
