"""`cti leases`: seats lent between sites. Knows: the API's words. Must not know: rules."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cti.cli.api import call
from cti.cli.look import JSON, STATE
from cti.core.zone import SHANGHAI


@click.group(invoke_without_command=True)
@STATE
@JSON
@click.pass_context
def leases(context: click.Context, state: Path, as_json: bool) -> None:
    """席位互借：列出、借、召回 / seats lent between sites: list, ask, recall.

    \b
    cti leases --state .runtime/state/530100
    cti leases --state .runtime/state/530100 ask 5329001001 530100 --minutes 30 --why 暴雨
    cti leases --state .runtime/state/530100 recall 530100-1795567981000
    """
    context.obj = state
    if context.invoked_subcommand is None:
        told = call(state, "GET", "/leases", "read-only")
        if as_json:
            click.echo(json.dumps(told, ensure_ascii=False, indent=1))
        else:
            _show(told)


@leases.command()
@click.argument("seat")
@click.argument("to")
@click.option("--minutes", type=click.IntRange(1, 480), default=15, show_default=True, help="借多久 / for how long")
@click.option("--why", default="", help="缘由 / the reason, on record")
@click.pass_obj
def ask(state: Path, seat: str, to: str, minutes: int, why: str) -> None:
    """借席位 SEAT（站点＋席位号，或本站席位号）给站点 TO / lend a seat to a site."""
    told = call(state, "POST", "/leases", "coordinator", {"seat": seat, "to": to, "minutes": minutes, "why": why})
    click.echo(told["lease"])


@leases.command()
@click.argument("lease")
@click.pass_obj
def recall(state: Path, lease: str) -> None:
    """召回（出借方）或归还（借用方） / take back, or give back, by whose site this is."""
    told = call(state, "POST", f"/leases/{lease}/recall", "coordinator", {})
    click.echo(f"{told['lease']} {told['state']} → recalled")


def _show(told: dict[str, Any]) -> None:
    table = Table(title=f"站点 {told['site']} 席位互借 / seats lent", title_justify="left")
    for column in ("借用 lease", "席位 seat", "出借 owner", "借用方 borrower", "状态 state", "到期 until", "缘由 why"):
        table.add_column(column, no_wrap=column.startswith(("借用 ", "席位", "状态")))
    for row in told["leases"]:
        at = dt.datetime.fromtimestamp(row["expires"] / 1e6, SHANGHAI)
        until = f"{at:%H:%M:%S}" if row["expires"] else "—"
        table.add_row(row["lease"], row["seat"], row["owner"], row["borrower"], row["state"], until, row["why"])
    Console().print(table)
