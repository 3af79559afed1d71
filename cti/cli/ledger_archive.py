"""`cti ledger archive`, `archives`, `prune`: months put away, and what leaves Redis by policy.

Knows: the policy's setting, files, who asks. Must not know: how entries are written or deleted. The service puts each
act on record: `LedgerArchived` once an archive is verified, `LedgerPruned` before the first entry goes.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from cti.cli.run import CONFIG
from cti.cli.where import BY, STATE, Place, ask, bar, end, where, who
from cti.clock import now_us
from cti.core.facts import FactId
from cti.core.months import BadMonth, Month, over_due
from cti.export import archive
from cti.export.archive import BadArchive, Manifest
from cti.export.parquet import NoParquet
from cti.ledger import prune as pruning
from cti.ledger.prune import NotArchived
from cti.ledger.stream import LedgerStream, StreamAway
from cti.ledger.walk import walk

OUT = click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("archive"),
                   show_default=True, help="归档目录 / folder of the archives")  # fmt: skip


def which(text: str) -> Month:
    """A month."""
    try:
        return Month.parse(text)
    except BadMonth as why:
        raise click.BadParameter(str(why)) from None


@click.command("archive")
@click.option("--month", type=which, metavar="MONTH", required=True, help="哪个月，如 2026-08 / which month")
@OUT
@BY
@STATE
@CONFIG
def archive_command(month: Month, folder: Path, by: str, state: Path | None, config: Path | None) -> None:
    """归档一个月的账本 / a month of the ledger into Parquet, with a manifest; read again before it counts.

    \b
    cti ledger archive --month 2026-08 --out /srv/archive --by 李班长
    """
    by, place = who(by), where(state, config)
    if month.end_ms > now_us() // 1000:
        end(f"{month} 还没有结束 / is not over", 2)
    _nothing_waits(place, by)
    try:
        made = asyncio.run(_archive(place, month, folder, by))
    except (BadArchive, NoParquet, OSError) as why:
        end(f"没有归档 / not archived: {why}")
    path = archive.manifest_path(folder, place.site, month)
    _record(place, by, "archived", made)
    click.echo(f"{path}: {made.entries:,} 条 / entries, {made.first_id} … {made.last_id}, "
               f"{sum(f.bytes for f in made.files) / 1e6:.1f} MB, sha256 {made.sha256}")  # fmt: skip


async def _archive(place: Place, month: Month, folder: Path, by: str) -> Manifest:
    stream = LedgerStream(place.site, place.redis, timeout=30.0)
    try:
        with bar(f"归档 {month} / archive", month.start_ms, month.end_ms) as done:
            return await archive.write(walk(stream, month.start_ms, month.end_ms), place.site, month, folder,
                                       now_us=now_us(), by=by, progress=lambda fact_id: done(fact_id.ms))  # fmt: skip
    finally:
        await stream.close()


@click.command("archives")
@OUT
@click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
def archives_command(folder: Path, as_json: bool) -> None:
    """列出并核对归档 / the archives of a folder, each read again whole. Exit 1 if one is not what its manifest says.

    \b
    cti ledger archives --out /srv/archive
    """
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("??????-20??-??.json")):
        try:
            manifest = archive.load(path)
            archive.verify(manifest, folder)
            rows.append({"manifest": path.name, "entries": manifest.entries, "sha256": manifest.sha256, "problem": ""})
        except BadArchive as why:
            rows.append({"manifest": path.name, "entries": 0, "sha256": "", "problem": str(why)})
        except NoParquet as why:
            end(str(why))
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for row in rows:
            click.echo(f"{row['manifest']}  " + (f"✗ {row['problem']}" if row["problem"] else
                                                f"✓ {row['entries']:,} 条 / entries  {row['sha256']}"))  # fmt: skip
        if not rows:
            click.echo(f"{folder}: 没有归档 / no archives there")
    if any(row["problem"] for row in rows):
        end("有归档与清单不符 / an archive is not what its manifest says")


@click.command("prune")
@OUT
@click.option("--yes", is_flag=True, help="真正删除；不写只看 / delete; without it only look")
@BY
@STATE
@CONFIG
def prune_command(folder: Path, yes: bool, by: str, state: Path | None, config: Path | None) -> None:
    """按保留期从 Redis 删除已归档的月份 / archived months that are older than the policy leave Redis.

    只删：过了 site.yaml 中 retention.months 的、已归档的、与归档逐条相同的月份，自最早一月起。
    Only months past retention.months of site.yaml, archived, and entry for entry what the archive holds; oldest first.

    \b
    cti ledger prune --out /srv/archive              只看 / what would go
    cti ledger prune --out /srv/archive --yes --by 李班长
    """
    place = where(state, config)
    keep = place.settings.retention.months
    if keep is None:
        click.echo("永久保留：site.yaml 未设 retention.months，不删除任何记录 / kept for ever: retention.months is "
                   "not set in site.yaml")  # fmt: skip
        return
    if yes:
        by = who(by)
        _nothing_waits(place, by)
    try:
        asyncio.run(_prune(place, folder, keep, by if yes else ""))
    except StreamAway as why:
        end(f"账本没有应答 / the ledger does not answer: {why}")
    except (BadArchive, NotArchived, NoParquet) as why:
        end(f"不删 / not deleted: {why}")


async def _prune(place: Place, folder: Path, keep: int, by: str) -> None:
    """``by`` empty: only look."""
    stream = LedgerStream(place.site, place.redis, timeout=30.0)
    try:
        oldest = await stream.read(None, 1)
        months = list(over_due(oldest[0][0].ms, now_us() // 1000, keep)) if oldest else []
        if not months:
            click.echo(f"没有超过 {keep} 个月的记录 / nothing is older than {keep} months")
        for month in months:
            if not await stream.read(FactId(month.start_ms, 0), 1, FactId(month.end_ms - 1, 1 << 62)):
                continue
            manifest = archive.load(archive.manifest_path(folder, place.site, month))
            archive.verify(manifest, folder)
            entries = archive.entries(folder, place.site, month.start_ms, month.end_ms)
            with bar(f"核对 {month} / compare", month.start_ms, month.end_ms) as done:
                left = await pruning.compare(stream, month, entries, lambda fact_id: done(fact_id.ms))
            if not by:
                click.echo(f"{month}: 将删 / would delete {left.entries:,} 条 / entries, "
                           f"{left.first_id} … {left.last_id}")  # fmt: skip
                continue
            await asyncio.to_thread(_record, place, by, "pruned", manifest)
            with bar(f"删除 {month} / prune", month.start_ms, month.end_ms) as done:
                gone = await pruning.delete(stream, month, lambda fact_id: done(fact_id.ms))
            click.echo(f"{month}: 已删 / deleted {gone:,} 条 / entries")
    finally:
        await stream.close()


def _nothing_waits(place: Place, by: str) -> None:
    """Facts of the month may still wait in the service's spool; and without the service nothing can be recorded."""
    with ask(place, "/status", by) as told:
        waiting = int(json.load(told).get("spool", 0))
    if waiting:
        end(f"服务的暂存中还有 {waiting} 条未入账本，稍后再来 / {waiting} facts wait in the service's spool: later")


def _record(place: Place, by: str, what: str, made: Manifest) -> None:
    body = {"what": what, "month": made.month, "entries": made.entries, "first_id": made.first_id,
            "last_id": made.last_id, "manifest": made.sha256, "chain": made.chain[1] if made.chain else ""}  # fmt: skip
    with ask(place, "/api/v1/ledger/done", by, body) as told:
        json.load(told)


COMMANDS = (archive_command, archives_command, prune_command)
"""to be attached to `cti ledger`"""
