"""`cti callbacks`: who is to be called back. Knows: where the service answers. Must not know: rules."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cti.cli.look import JSON, STATE, instance, port
from cti.core.zone import SHANGHAI


@click.command()
@STATE
@JSON
@click.option("--url", default=None, help="服务地址 / the service's address, e.g. http://127.0.0.1:8080")
@click.option("--all", "everything", is_flag=True, help="含一小时内已办结的 / the last hour's ended ones too")
@click.option(
    "--token", default=None, help="令牌，或环境变量 CTI_TOKEN / a token, or CTI_TOKEN"
)
def callbacks(state: Path, as_json: bool, url: str | None, everything: bool, token: str | None) -> None:
    """回电任务：谁、为何、几次、结果 / callback tasks: who, why, attempts, result.

    \b
    CTI_TOKEN=$(cti token --role supervisor) cti callbacks
    cti callbacks --json
    """
    base = url or f"http://127.0.0.1:{port(instance(state), 'http')}"
    token = token or os.environ.get("CTI_TOKEN", "")
    ask = urllib.request.Request(f"{base}/api/v1/callbacks{'' if everything else '?state=open'}",
                                 headers={"Authorization": f"Bearer {token}"})  # fmt: skip
    try:
        with urllib.request.urlopen(ask, timeout=3) as answer:
            shown = json.load(answer)["callbacks"]
    except urllib.error.HTTPError as why:
        said = "缺少令牌或令牌无效，见 cti token / no valid token: see cti token" if why.code == 401 else str(why)
        click.echo(said, err=True)
        sys.exit(1)
    except (urllib.error.URLError, TimeoutError, ValueError, KeyError) as why:
        click.echo(f"{base} 没有应答 / does not answer: {why}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
        return
    if not shown:
        click.echo("没有回电任务 / no callback tasks")
        return
    table = Table("编号/task", "热线/hotline", "来电/caller", "原因/why", "优先/priority", "状态/state", "座席/seat",
                  "次数/attempts", "时间/since")  # fmt: skip
    for row in shown:
        stands = row["result"] or row["state"]
        opened = dt.datetime.fromtimestamp(row["opened_at"] / 1e6, SHANGHAI)
        table.add_row(row["callback"], row["hotline"], row["caller"], row["why"], row["priority"],
                      stands, row["seat"], str(row["attempts"]), f"{opened:%m-%d %H:%M}")  # fmt: skip
    Console().print(table)
