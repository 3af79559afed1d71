"""`cti disputes`: disputed decisions of a month or a quarter, for the meeting. Knows: where an instance is. Must not
know: what a dispute is (`cti.core.disputes`)."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cti.cli.look import JSON, STATE, instance
from cti.clock import now_us
from cti.core.disputes import BadPeriod, Dispute, disputes, period, quarter_of
from cti.core.facts import Fact
from cti.core.zone import SHANGHAI
from cti.ledger.stream import LedgerStream, StreamAway

KINDS = {"disagreement": "双方意见不一 / disagreed", "contrary": "事后异议 / contrary word"}


@click.command("disputes")
@click.argument("when", metavar="[MONTH|QUARTER]", required=False)
@STATE
@JSON
def disputes_command(when: str | None, state: Path, as_json: bool) -> None:
    """争议清单：供季度会商 / disputed decisions of three-party calls, for the quarterly meeting.

    不写时间为本季度 / without a time: this quarter.

    \b
    cti disputes
    cti disputes 2026-11
    cti disputes 2026Q4 --json | jq -r '.disputes[].call'
    """
    try:
        over = period(when) if when else quarter_of(now_us())
    except BadPeriod as why:
        click.echo(str(why), err=True)
        sys.exit(2)
    here = instance(state)
    url = f"redis://127.0.0.1:{here['redis']}/0"
    try:
        facts = asyncio.run(_read(str(here["site"]), url, over.start // 1000))
    except StreamAway as why:
        click.echo(f"账本没有应答 / the ledger does not answer: {why}", err=True)
        sys.exit(1)
    found = disputes(facts, over)
    if as_json:
        click.echo(json.dumps({"period": over.name, "disputes": [asdict(one) for one in found]}, ensure_ascii=False,
                              indent=1))  # fmt: skip
        return
    Console().print(_table(over.name, found))


def _table(name: str, found: list[Dispute]) -> Table:
    table = Table("时间/time", "编号/call", "类别/kind", "首接/first", "受理/accepts", "意见/said", "座席/seat",
                  "事由/reason", "说明/text", title=f"争议清单 / disputes {name}: {len(found)}")  # fmt: skip
    for one in found:
        at = dt.datetime.fromtimestamp(one.at / 1e6, SHANGHAI).strftime("%m-%d %H:%M:%S")
        table.add_row(at, one.ref, KINDS[one.kind], one.first_platform, one.accepts or "—", one.said, one.seat,
                      one.reason, one.text)  # fmt: skip
    return table


async def _read(site: str, url: str, since_ms: int) -> list[Fact]:
    stream = LedgerStream(site, url, timeout=5.0)
    try:
        return await stream.decisions(since_ms)
    finally:
        await stream.close()
