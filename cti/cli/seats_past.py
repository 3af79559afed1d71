"""What `cti seats plan` plans from: counts in a file, or an instance's ledger. Knows: where both are. Must not know:
forecasts."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from cti.cli.look import instance
from cti.cli.seats_csv import read_counts
from cti.core.demand import KINDS, asked, mean_handle_s, mean_patience_s
from cti.core.facts import Fact, FactId, decode
from cti.core.forecast import History, history_of
from cti.core.zone import SHANGHAI
from cti.ledger.stream import LedgerStream, StreamAway

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of one line. Means are None with too few calls to tell."""

    history: History
    handle_s: float | None = None
    patience_s: float | None = None


def from_csv(file: Path) -> dict[str, Past]:
    """Counts alone. Raises `CsvError`."""
    return {name: Past(history) for name, history in read_counts(file).items()}


def from_ledger(state: Path, weeks: int, day: dt.datetime | None) -> dict[str, Past]:
    """Of the instance in this folder. No instance, or a ledger that does not answer: said on stderr, and exit 1."""
    facts = instance(state)
    now = round(time.time() * 1e6)
    until = min(now, round(day.replace(tzinfo=SHANGHAI).timestamp() * 1e6)) if day else now
    since = until - (weeks + 2) * 7 * 86_400_000_000  # errors are those of two weeks, each from weeks before it
    url = f"redis://127.0.0.1:{facts['redis']}/0"
    try:
        told = asyncio.run(_read(str(facts["site"]), url, since))
    except StreamAway as why:
        click.echo(f"账本没有应答 / the ledger does not answer: {why}", err=True)
        sys.exit(1)
    found = asked(told)
    start = max(since, min((fact.at for fact in told), default=now))
    pasts = {}
    for name in sorted({one.line for one in found}):
        ours = [one for one in found if one.line == name]
        history = history_of((one.at for one in ours), start, now)
        pasts[name] = Past(history, mean_handle_s(ours), mean_patience_s(ours))
    return pasts


async def _read(site: str, url: str, since_us: int) -> list[Fact]:
    """What tells demand, reading only: no spool is opened, nothing is written."""
    stream = LedgerStream(site, url, timeout=3.0)
    found: list[Fact] = []
    first: FactId | None = FactId(max(0, since_us // 1000), 0)
    try:
        while page := await stream.read(first, _PAGE):
            told = (decode(fields) for _, fields in page)
            found += [one for one in told if isinstance(one, Fact) and one.kind in KINDS]
            first = page[-1][0].after()
    finally:
        await stream.close()
    return found
