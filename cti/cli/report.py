"""`cti report quarter`: the quarterly report, HTML and Excel. Knows: where the ledger is, which files. Must not know:
figures, layouts."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import click

from cti.cli.run import CONFIG, load
from cti.cli.where import STATE, Place, bar, end, where, whole_file
from cti.clock import local, now_us
from cti.core.disputes import BadPeriod, Period, period
from cti.core.facts import Fact, decode
from cti.core.quarter import Quarter
from cti.core.zone import SHANGHAI
from cti.export import archive
from cti.export.archive import BadArchive
from cti.export.parquet import NoParquet
from cti.export.tables import LATE_MS
from cti.ledger.stream import LedgerStream, StreamAway
from cti.ledger.walk import facts
from cti.report.document import quarterly
from cti.report.page import page
from cti.report.workbook import workbook

DAY_MS = 86_400_000


@click.group()
def report() -> None:
    """报告 / reports.

    \b
    cti report quarter 2026Q4
    """


@report.command()
@click.argument("when", metavar="QUARTER|MONTH")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), show_default="当前目录 / here",
              help="目录 / folder")  # fmt: skip
@click.option("--archive", "from_archive", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None,
              help="读归档目录，不读 Redis / read this folder of archives, not Redis")  # fmt: skip
@STATE
@CONFIG
def quarter(when: str, out: Path, from_archive: Path | None, state: Path | None, config: Path | None) -> None:
    """季度报告：接通率、转接、争议、溢出、最低时段 / the quarterly report: one HTML and one Excel file.

    HTML 自成一体，不取外部文件；每个数字旁印口径。
    The HTML file stands alone; beside each figure stands its rule.

    \b
    cti report quarter 2026Q4
    cti report quarter 2026-11 --out /srv/reports
    cti report quarter 2026Q1 --archive /srv/archive
    """
    try:
        over = period(when)
    except BadPeriod as why:
        end(str(why), 2)
    if over.start > now_us():
        end(f"{over.name} 还没有开始 / has not begun", 2)
    place = where(state, config)
    _, _, directory = load(config)
    try:
        made = asyncio.run(_read(place, over, from_archive))
    except StreamAway as why:
        end(f"账本没有应答 / the ledger does not answer: {why}")
    except (BadArchive, NoParquet) as why:
        end(str(why))
    names = {hotline.number: hotline.name.zh for hotline in directory.hotlines}
    document = quarterly(made.figures(now_us()), place.settings.site.name.zh, names, f"{local():%Y-%m-%d %H:%M}")
    out.mkdir(parents=True, exist_ok=True)
    for path, data in ((out / f"{place.site}-{over.name}.html", page(document).encode()),
                       (out / f"{place.site}-{over.name}.xlsx", workbook(document))):  # fmt: skip
        with whole_file(path) as file:
            file.write(data)
        click.echo(str(path))
    if over.end > now_us():
        last = dt.datetime.fromtimestamp(now_us() / 1e6, SHANGHAI)
        click.echo(f"{over.name} 未结束，数据截至 / is not over, figures until {last:%Y-%m-%d %H:%M}", err=True)


async def _read(place: Place, over: Period, from_archive: Path | None) -> Quarter:
    start_ms, end_ms = over.start // 1000 - DAY_MS, over.end // 1000 + LATE_MS
    made = Quarter(over)
    with bar(f"读账本 {over.name} / reading", start_ms, min(end_ms, now_us() // 1000)) as done:
        if from_archive is not None:
            for fact_id, fields in archive.entries(from_archive, place.site, start_ms, end_ms):
                fact = decode(fields)
                if isinstance(fact, Fact):
                    made.saw(fact)
                done(fact_id.ms)
            return made
        stream = LedgerStream(place.site, place.redis, timeout=30.0)
        try:
            n = 0
            async for fact_id, told in facts(stream, start_ms, end_ms):
                if isinstance(told, Fact):
                    made.saw(told)
                n += 1
                if n % 1000 == 0:
                    done(fact_id.ms)
        finally:
            await stream.close()
    return made
