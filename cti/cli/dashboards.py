"""`cti dashboards`: Grafana's dashboards and provisioning, written as files. Knows: options. Must not know: what they
show."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cti.dashboards import files
from cti.dashboards.files import BOARDS_AT, PROMETHEUS
from cti.dashboards.words import LANGS, Lang

EPILOG = """\b
例 / Examples:
  cti dashboards --out docker/grafana                     中英两套 / both sets
  cti dashboards --out /etc/grafana --lang zh --prometheus http://127.0.0.1:9090 --boards-at /etc/grafana/dashboards

\b
退出码 / Exit status:
  0  已写好 / written
  1  写不进去，或 --check 发现不同 / cannot write, or --check found a difference
  2  用法不对 / wrong usage
"""


@click.command(epilog=EPILOG)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="写到哪个目录：dashboards/、provisioning/ / into which folder")  # fmt: skip
@click.option("--lang", type=click.Choice([*LANGS, "both"]), default="both", show_default=True,
              help="哪种语言 / in which language")  # fmt: skip
@click.option("--prometheus", metavar="URL", default=PROMETHEUS, show_default=True,
              help="Grafana 从哪里读数据 / where Grafana reads")  # fmt: skip
@click.option("--boards-at", metavar="DIR", default=BOARDS_AT, show_default=True,
              help="Grafana 在哪里找看板 / where Grafana finds the boards")  # fmt: skip
@click.option("--check", is_flag=True, help="只比较，不写 / compare, write nothing")
def dashboards(out: Path, lang: Lang | str, prometheus: str, boards_at: str, check: bool) -> None:
    """生成 Grafana 看板与装配文件 / write Grafana's dashboards and provisioning files.

    One source, two sets of titles. The same input gives the same bytes, so they can be kept in version control.
    """
    wanted = LANGS if lang == "both" else tuple(one for one in LANGS if one == lang)
    made = files(wanted, prometheus, boards_at)
    try:
        differ = [name for name, text in made.items() if _now(out / name) != text]
        for name in () if check else differ:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(made[name], encoding="utf-8")
    except OSError as why:
        click.echo(f"无法写入 / cannot write: {why}", err=True)
        sys.exit(1)
    for name in differ:
        click.echo(f"{'≠' if check else '+'} {name}")
    if not differ:
        click.echo("没有变化 / nothing changed")
    sys.exit(1 if check and differ else 0)


def _now(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
