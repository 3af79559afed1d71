"""`cti rate`: the official answer rate, from the ledger, with its rule. Knows: where an instance is, and words. Must
not know: how it is counted (`cti.core.rate_report`)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cti.cli.look import JSON, instance
from cti.cli.run import CONFIG
from cti.cli.where import STATE, Place, where
from cti.clock import now_us
from cti.core.answer_rate import BYS, TARGET_PERCENT
from cti.core.disputes import BadPeriod
from cti.core.rate_asked import BadAsk, asked
from cti.core.rate_report import Asked
from cti.ledger.days import Days
from cti.ledger.stream import StreamAway
from cti.settings import check_settings

VIEWS = {"caller": "来电 caller", "queue": "队列 queue"}
KINDS = {"general": "普通席 general", "dedicated": "专席 dedicated", "remote": "异地席 remote",
         "outside": "外线 outside", "": "无人接或未记 none"}  # fmt: skip


@click.command("rate")
@click.option("--day", default="", metavar="2026-11-25", help="某日 / a day")
@click.option("--month", default="", metavar="2026-11", help="某月 / a month")
@click.option("--hours", default=0, type=int, metavar="24", help="最近若干小时 / the last hours")
@click.option("--by", type=click.Choice(BYS), help="分组 / in groups")
@click.option("--buckets", is_flag=True, help="每 15 分钟，以及每个滚动 24 小时 / by 15 min, and every rolling 24 h")
@click.option("--short-abandon", "short", type=float, metavar="S",
              help="短时放弃阈值，秒 / threshold of short abandons, seconds  [default: site.yaml]")  # fmt: skip
@STATE
@CONFIG
@JSON
def rate(day: str, month: str, hours: int, by: str | None, buckets: bool, short: float | None,
         state: Path | None, config: Path | None, as_json: bool) -> None:  # fmt: skip
    """人工接通率（以账本为准）/ the official answer rate, counted from the ledger, with its rule.

    不写时间为今日、最近 24 小时、本月。磁盘暂存、尚未入账的不在内 /
    without a time: today, the last 24 h, this month. What still waits on local disk for Redis is not in it.

    \b
    cti rate
    cti rate --day 2026-11-25 --by division
    cti rate --month 2026-11 --short-abandon 5
    cti rate --hours 24 --buckets --json | jq '.reports[].rolling_24h_worst'
    """
    place = where(state, config)
    try:
        wanted = asked(now_us(), day=day, month=month, hours=hours, by=by or "", buckets=buckets,
                       short_s=_configured(place, config) if short is None else short)  # fmt: skip
    except (BadAsk, BadPeriod) as why:
        click.echo(str(why), err=True)
        sys.exit(2)
    try:
        reports = asyncio.run(_read(place, wanted))
    except StreamAway as why:
        click.echo(f"账本没有应答 / the ledger does not answer: {why}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps({"reports": reports}, ensure_ascii=False, indent=1))
        return
    console = Console()
    for report in reports:
        console.print(_table(report))
        if "buckets" in report:
            console.print(_quarters(report))
    for one in (reports[0]["rule"], *(view["rule"] for view in reports[0]["views"].values())):
        console.print(Text(one["zh"], style="dim"))
        console.print(Text(one["en"], style="dim"))


async def _read(place: Place, wanted: tuple[Asked, ...]) -> list[dict[str, Any]]:
    days = Days(place.site, place.redis, timeout=5.0)
    try:
        return [(await days.report(one)).figures() for one in wanted]
    finally:
        await days.close()


def _configured(place: Place, config: Path | None) -> float:
    """The site's own threshold: of the folder that was named, else of the one its instance runs with."""
    if place.state is not None and config is None:
        own, _ = check_settings(Path(str(instance(place.state).get("config", ""))) / "site.yaml")
        if own is not None:
            return own.answer_rate.short_abandon
    return place.settings.answer_rate.short_abandon


def _table(report: dict[str, Any]) -> Table:
    adjusted = any(view["short_abandons"] for view in report["views"].values())
    title = f"人工接通率 answer rate {report['span']}  {_local(report['from'])} – {_local(report['to'])}"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in ("口径\nview", *_heads(adjusted)):
        # on a narrow screen words may be cut, a percentage never
        table.add_column(head, no_wrap=True, min_width=8 if head.endswith(("adjusted", "level")) else None)
    for name, view in report["views"].items():
        table.add_row(VIEWS[name], *_cells(view, adjusted), style="bold")
        for group in view.get("groups", ()):
            known = KINDS if view["by"] == "seat-kind" else {}
            table.add_row(Text(f"  {known.get(group['name'], group['name'] or '—')}"), *_cells(group, adjusted))
    return table


def _heads(adjusted: bool) -> list[str]:
    more = ["剔除后\nadjusted"] if adjusted else []
    return [f"接通率 ≥{TARGET_PERCENT} %\nrate", *more, "请求\noffered", "接通\nanswered", "放弃\ngave up",
            "超时\ntime-out", "拒绝\nrefused", "改回电\ncallback", "15 秒\nlevel", "均等待\nASA"]  # fmt: skip


def _cells(one: dict[str, Any], adjusted: bool) -> list[str]:
    shown = one["answer_rate"] + {True: " 达标 ok", False: " 未达 NO", None: ""}[one["meets_target"]]
    if "share_of_offered" in one:
        shown = f"占 {one['share_of_offered']} of all"
    asa = "—" if one["asa_ms"] is None else f"{one['asa_ms'] / 1000:.1f} s"
    more = [one["adjusted"]["answer_rate"]] if adjusted else []
    counts = [str(one[name]) for name in ("offered", "answered", "abandoned", "timed_out", "refused", "callback")]
    return [shown, *more, *counts, one["service_level"], asa]


def _quarters(report: dict[str, Any]) -> Table:
    worst = report["rolling_24h_worst"]["answer_rate"]
    table = Table("起 from", "请求 offered", "接通 answered", "接通率 rate", "此前 24 小时 24 h before its end",
                  title=f"每 15 分钟 by 15 min；最差滚动 24 小时 worst rolling 24 h {worst}")  # fmt: skip
    for quarter, window in zip(report["buckets"], report["rolling_24h"], strict=True):
        table.add_row(_local(quarter["from"]), str(quarter["offered"]), str(quarter["answered"]),
                      quarter["answer_rate"], window["answer_rate"])  # fmt: skip
    return table


def _local(iso: str) -> str:
    return iso[5:16].replace("T", " ")
