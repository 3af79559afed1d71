"""`cti export`: calls, transfers or facts in bulk. Knows: files, a span of time. Must not know: columns, formats.

Masked rows are read from Redis here, and cost the service nothing. With ``--unmasked`` they come through the service,
which has it on record, with a name, before the first row.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.client
import sys
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import click

from cti.cli.run import CONFIG
from cti.cli.where import BY, STATE, Place, ask, bar, end, where, who, whole_file
from cti.clock import now_us
from cti.core.facts import decode
from cti.core.zone import SHANGHAI
from cti.export import archive
from cti.export.archive import BadArchive
from cti.export.parquet import NoParquet, arrow
from cti.export.stream import FORMATS, Format, Tally, Told, pieces
from cti.export.tables import LATE_MS, LEAD_MS, TABLES, Maker, Table
from cti.ledger.stream import LedgerStream, StreamAway
from cti.ledger.walk import facts


def moment(text: str) -> int:
    """A day or a time of Asia/Shanghai, as µs UTC."""
    try:
        at = dt.datetime.fromisoformat(text)
        return int((at if at.tzinfo else at.replace(tzinfo=SHANGHAI)).timestamp() * 1e6)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r}: 如 2026-10-01 或 2026-10-01T08:00 / e.g. 2026-10-01, "
                                 "2026-10-01T08:00") from None  # fmt: skip


@click.command()
@click.argument("table", type=click.Choice(TABLES))
@click.option("--from", "start", type=moment, metavar="TIME", required=True, help="自（含） / from, included")
@click.option("--to", "until", type=moment, metavar="TIME", default=None, 
              help="至（不含），默认现在 / until, not included; default now")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="文件，- 为标准输出，默认 <表>-<自>-<至>.<格式> / file; - standard output; "
              "default TABLE-FROM-TO.FORMAT")  # fmt: skip
@click.option("--unmasked", is_flag=True,
              help="号码不遮蔽，由服务记账，须 --by / numbers in clear: on record, needs --by")  # fmt: skip
@click.option("--archive", "from_archive", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None,
              help="读归档目录，不读 Redis / read this folder of archives, not Redis")  # fmt: skip
@BY
@STATE
@CONFIG
def export(table: Table, start: int, until: int | None, form: Format, out: Path | None, unmasked: bool,
           from_archive: Path | None, by: str, state: Path | None, config: Path | None) -> None:  # fmt: skip
    """批量导出 / calls, transfers or facts in bulk, row by row, however many.

    CSV 带 UTF-8 标记，Excel 直接打开中文不乱码，也不会执行单元格内容；号码默认遮蔽（138****00）。
    CSV opens in Excel, Chinese and all, and runs nothing there; numbers are masked unless asked for.

    \b
    cti export calls --from 2026-10-01 --to 2026-11-01
    cti export transfers --from 2026-10-01 --format parquet --out october.parquet
    cti export facts --from 2026-11-25T08:00 --to 2026-11-25T09:00 --out - | head
    cti export calls --from 2026-08-01 --to 2026-09-01 --archive /srv/archive
    cti export calls --from 2026-11-01 --unmasked --by 李班长
    """
    until = now_us() if until is None else until
    if start >= until:
        raise click.UsageError("--to: 应晚于 --from / must be after --from")
    if unmasked and from_archive is not None:
        raise click.UsageError("--unmasked 与 --archive 不能同用：归档无服务记账 / not together: nobody keeps "
                               "the record of an archive's reading")  # fmt: skip
    if form == "parquet":
        try:
            arrow()
        except NoParquet as why:
            end(str(why))
    target = out or Path(f"{table}-{_day(start)}-{_day(until)}.{form}")
    if target.exists() and out is None:
        end(f"{target}: 已存在，请用 --out 指定 / is there already: name a file with --out")
    with contextlib.ExitStack() as undo:
        if str(target) == "-":
            file: IO[bytes] = sys.stdout.buffer
        else:
            file = undo.enter_context(whole_file(target))
        tally = Tally()
        try:
            if unmasked:
                _through_service(where(state, config), table, start, until, form, who(by), file)
            else:
                asyncio.run(_direct(state, config, from_archive, Maker(table, start, until), form, (start, until), file,
                                    tally))  # fmt: skip
        except StreamAway as why:
            end(f"账本没有应答 / the ledger does not answer: {why}")
        except BadArchive as why:
            end(str(why))
    said = f"{tally.rows:,} 行 / rows" if not unmasked else "号码未遮蔽，已入账 / numbers in clear, on record"
    click.echo(f"{target}: {said}" + (f"；{tally.corrupt} 条读不出 / unreadable" if tally.corrupt else ""), err=True)


async def _direct(state: Path | None, config: Path | None, from_archive: Path | None, maker: Maker, form: Format,
                  span: tuple[int, int], file: IO[bytes], tally: Tally) -> None:  # fmt: skip
    start_ms, end_ms = max(0, span[0] // 1000 - LEAD_MS), -(-span[1] // 1000) + LATE_MS
    place = where(state, config)
    stream = LedgerStream(place.site, place.redis, timeout=30.0)
    try:
        told = _archived(from_archive, place.site, start_ms, end_ms) if from_archive else (
            facts(stream, start_ms, end_ms))  # fmt: skip
        with bar("导出 / export", start_ms, min(end_ms, now_us() // 1000)) as done:
            async for piece in pieces(maker, told, form, tally):
                file.write(piece)
                done(tally.at_ms)
    finally:
        await stream.close()


async def _archived(folder: Path, site: str, start_ms: int, end_ms: int) -> AsyncIterator[Told]:
    for fact_id, fields in archive.entries(folder, site, start_ms, end_ms):
        yield fact_id, decode(fields)


def _through_service(place: Place, table: Table, start: int, until: int, form: Format, by: str,
                     file: IO[bytes]) -> None:  # fmt: skip
    query = urllib.parse.urlencode({"from": start, "until": until, "format": form, "unmasked": 1})
    with ask(place, f"/api/v1/export/{table}?{query}", by, timeout=60) as told:
        try:
            while piece := told.read(1 << 16):
                file.write(piece)
        except (OSError, http.client.HTTPException) as why:
            end(f"{place.http}: 中途断开 / broke off half-way: {why}")


def _day(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1e6, SHANGHAI).strftime("%Y%m%dT%H%M").removesuffix("T0000")
