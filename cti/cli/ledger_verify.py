"""`cti ledger verify`, `cti ledger rebuild`: is the ledger whole; make again what is projected from it.

Knows: where a site's Redis is, how to show. Must not know: what must be true (cti.core.audit).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cti.cli.run import CONFIG
from cti.cli.where import STATE, Place, end, where
from cti.core.audit import Audit, anchors_of
from cti.core.facts import FactId, decode
from cti.ledger.ledger import ANCHORS
from cti.ledger.projected import differing
from cti.ledger.projected import rebuild as make_again
from cti.ledger.projections import ALL
from cti.ledger.stream import LedgerStream, StreamAway

WORDS = {
    "chain": "与上一条不相接：被改动、取走或插入 / does not follow the one before: changed, taken out or slipped in",
    "start": "账首缺失：此前的条目不在了 / the entries before the first one are not there",
    "anchor": "与本机留存的锚点不符 / not as it was noted on this machine",
    "corrupt": "不是事实，无法读取 / is no fact",
    "twice": "同一事实记了两次 / one fact twice",
    "unclosed": "通话久无动静而未结案 / a call long quiet and not closed",
    "reopened": "同一通话两次结案 / a second end of one call",
    "unarrived": "结案的通话没有来电记录 / a call that ended and never arrived",
    "transfer": "转接的终局记录不是恰好一条 / a transfer without exactly one terminal record",
    "conference": "三方通话的终局记录不是恰好一条 / a three-party call without exactly one terminal record",
    "projection": "投影与账本不符，运行 cti ledger rebuild / a projection differs: run cti ledger rebuild",
}  # fmt: skip
PAGE = 2000
JSON = click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")


@click.command()
@STATE
@CONFIG
@click.option("--anchors", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=None,
              help="锚点文件，默认取本机的 / file of anchors; default: this machine's own, if it is there")  # fmt: skip
@click.option("--quiet-minutes", type=click.FloatRange(0), default=60.0, show_default=True,
              help="静默多久的通话须已结案 / calls quiet for so long must be closed")  # fmt: skip
@click.option("--projections", is_flag=True, help="并核对投影 / hold the projections against the stream as well")
@JSON
def verify(state: Path | None, config: Path | None, anchors: Path | None, quiet_minutes: float, projections: bool,
           as_json: bool) -> None:  # fmt: skip
    """账本是否完整：哈希链、每通话结案、每次转接恰好一条终局 / is the ledger whole. Exit 1 if not.

    \b
    cti ledger verify
    cti ledger verify --projections
    cti ledger verify --config /etc/hotline-cti --anchors /backup/ledger-anchors.txt --json
    """
    place = where(state, config)
    spool = place.state / "spool.sqlite3" if place.state else place.settings.paths.spool
    file = anchors or (own if (own := spool.with_name(ANCHORS)).exists() else None)
    try:
        noted = anchors_of(iter(file.read_text(encoding="ascii").splitlines())) if file else {}
    except (ValueError, OSError) as why:
        end(f"{file}: {why}", 2)
    told = _run(_verify(place, noted, quiet_minutes, projections))
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=1))
    else:
        _show(told)
    sys.exit(0 if told["whole"] else 1)


async def _verify(place: Place, noted: Mapping[str, str], quiet_minutes: float, projections: bool) -> dict[str, Any]:
    stream = LedgerStream(place.site, place.redis, timeout=10.0)
    differ = 0
    try:
        audit = Audit(place.site, await stream.start_of_chain(), noted)
        with click.progressbar(length=await stream.count(), label="账本 / ledger", file=sys.stderr) as bar:
            first: FactId | None = None
            while page := await stream.read(first, PAGE):
                for fact_id, fields in page:
                    audit.saw(fact_id, fields, decode(fields))
                if projections:
                    differ += await differing(stream, page)
                bar.update(len(page))
                first = page[-1][0].after()
    finally:
        await stream.close()
    findings = audit.finish(int((time.time() - quiet_minutes * 60) * 1e6))
    found = dict(audit.found) | ({"projection": differ} if differ else {})
    last, digest = audit.end
    return {
        "whole": not found, "site": place.site, "entries": audit.entries, "unchained": audit.unchained,
        "calls": audit.calls, "transfers": audit.transfers, "last": last, "hash": digest, "anchors": len(noted),
        "sources": dict(audit.sources), "kinds": dict(audit.kinds.most_common()), "found": found,
        "findings": [{"what": f.what, "at": f.at, "ref": f.ref, "detail": f.detail} for f in findings],
        "projections": len(ALL) if projections else None,
    }  # fmt: skip


def _show(told: Mapping[str, Any]) -> None:
    click.echo(f"{told['entries']:,} 条 / entries，{told['calls']:,} 通 / calls，"
               f"{told['transfers']:,} 次转接 / transfers，{told['anchors']} 个锚点 / anchors")
    click.echo(f"末条 / last: {told['last']} {told['hash']}")
    if told["unchained"]:
        click.echo(f"最早 {told['unchained']:,} 条早于哈希链 / the oldest entries are older than the chain")
    for what, count in sorted(told["found"].items()):
        click.echo(f"✗ {count:,} × {WORDS[what]}")
    for one in told["findings"][:20]:
        click.echo(f"    {one['at']}  {one['ref']}  {one['what']}  {one['detail']}".rstrip())
    if len(told["findings"]) > 20:
        click.echo("    …  --json 列出更多 / lists more")
    if told["whole"]:
        click.echo("✓ 完整 / whole")


@click.command()
@STATE
@CONFIG
def rebuild(state: Path | None, config: Path | None) -> None:
    """由账本重建投影 / make the projections again from the stream. Safe while the service runs.

    \b
    cti ledger rebuild
    """
    place = where(state, config)
    began = time.monotonic()
    entries = _run(_rebuild(place))
    click.echo(f"✓ {entries:,} 条 / entries，{time.monotonic() - began:.1f} s")


async def _rebuild(place: Place) -> int:
    stream = LedgerStream(place.site, place.redis, timeout=30.0)
    try:
        with click.progressbar(length=await stream.count(), label="重建 / rebuild", file=sys.stderr) as bar:
            return await make_again(stream, progress=lambda walked: bar.update(walked - bar.pos))
    finally:
        await stream.close()


def _run(work: Any) -> Any:
    try:
        return asyncio.run(work)
    except StreamAway as why:
        end(f"账本没有应答 / the ledger does not answer: {why}")


COMMANDS: tuple[click.Command, ...] = (verify, rebuild)
