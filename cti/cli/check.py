"""`cti check`: reads a site's configuration as the service would, and says what is wrong with it.

Knows: how to print problems and a summary. Must not know: any rule of the directory.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from cti.directory import Checked, Directory, check_directory
from cti.directory.divisions import name as division_name
from cti.phones.book import read_book
from cti.problem import Problem
from cti.prompts.catalogue import read_catalogue
from cti.settings import Settings, check_settings

ZONE: Final = ZoneInfo("Asia/Shanghai")

_EPILOG: Final = """\b
例 / Examples:
  cti check                          检查 ./config
  cti check --config /etc/cti        检查另一处 / another folder
  cti check --json | jq .problems    给程序读 / for programs

\b
退出码 / Exit status:
  0  可以使用（可有警告） / usable, perhaps with warnings
  1  有错误 / errors
  2  用法不对 / wrong usage
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "folder",
    default="config",
    show_default=True,
    envvar="CTI_CONFIG",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="配置目录 / folder with site.yaml, hotlines.yaml, seats.yaml, …",
)
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def check(folder: Path, as_json: bool) -> None:
    """检查配置，逐条指出文件、行、列。

    Check the configuration; each fault is named by file, line and column.
    """
    settings, found = check_settings(folder / "site.yaml")
    checked = check_directory(folder, dt.datetime.now(ZONE).date())
    catalogue, spoken = read_catalogue(folder)
    book, handsets = read_book(folder, checked.directory)
    problems = [*found, *checked.problems, *spoken, *handsets]
    usable = None not in (settings, checked.directory, catalogue, book)
    if as_json:
        click.echo(json.dumps(_report(usable, checked, problems), ensure_ascii=False, indent=2))
    else:
        for problem in problems:
            click.echo(_coloured(problem), err=True)
        if usable and settings is not None and checked.directory is not None:
            click.echo(summary(settings, checked.directory))
        errors, warnings = _count(problems)
        if problems:
            click.echo(f"{errors} 个错误，{warnings} 个警告 / {errors} errors, {warnings} warnings", err=True)
    raise SystemExit(0 if usable else 1)


def summary(settings: Settings, directory: Directory) -> str:
    """What was loaded, for people's eyes; several lines."""
    counts = _counts(directory)
    lines = [f"配置可用 / configuration is sound: {settings.site.name.zh} ({settings.site.code})"]
    for hotline in directory.hotlines:
        general = len(directory.seats_of(hotline.platform, "general"))
        dedicated = len(directory.seats_of(hotline.platform, "dedicated"))
        keys = "  ".join(f"{code} → {platform}" for code, platform in hotline.keys.items()) or "无按键 no key"
        lines.append(
            f"  热线 {hotline.number:<6} {hotline.name.zh}  普通席 {general}  专席 {dedicated}  {keys}"
        )
    for route in directory.routes:
        place = (
            route.division if route.division == "*" else f"{route.division} {division_name(route.division)}"
        )
        walk = " → ".join(getattr(t, "number", t.kind) + f" {t.timeout}s" for t in route.targets)
        danger = " 危险/danger" if route.danger else ""
        lines.append(f"  路由 →{route.to:<6} {place}{danger}: {walk}")
    for trunk in directory.trunks:
        lines.append(f"  中继 {trunk.name}  {trunk.host}:{trunk.port}  ≤ {trunk.max_calls}")
    for one in directory.linkage:
        lines.append(f"  联动 {one.number}  {one.name.zh}  三方通话中按/in a three-party call {one.code}")
    lines.append(
        "  "
        + "，".join(f"{n} {zh}" for zh, _, n in counts)
        + " / "
        + ", ".join(f"{n} {en}" for _, en, n in counts)
    )
    return "\n".join(lines)


def _counts(directory: Directory) -> tuple[tuple[str, str, int], ...]:
    return (
        ("条热线", "hotlines", len(directory.hotlines)),
        ("个座席", "seats", len(directory.seats)),
        ("条路由", "routes", len(directory.routes)),
        ("条中继", "trunks", len(directory.trunks)),
        ("个站点", "sites", len(directory.sites)),
        ("个骚扰号码", "nuisance", len(directory.nuisance)),
    )


def _count(problems: list[Problem]) -> tuple[int, int]:
    errors = sum(p.level == "error" for p in problems)
    return errors, len(problems) - errors


def _report(usable: bool, checked: Checked, problems: list[Problem]) -> dict[str, Any]:
    errors, warnings = _count(problems)
    return {
        "ok": usable,
        "errors": errors,
        "warnings": warnings,
        "problems": [p.as_dict() for p in problems],
        "loaded": {en: n for _, en, n in _counts(checked.directory)} if checked.directory else None,
    }


def _coloured(problem: Problem) -> str:
    """The problem as it prints itself, its first word in colour (click drops it off a terminal)."""
    colour = "red" if problem.level == "error" else "yellow"
    place, mark, rest = str(problem).partition(": ")
    word, blank, text = rest.partition(" ")
    return click.style(place, bold=True) + mark + click.style(word, fg=colour, bold=True) + blank + text
