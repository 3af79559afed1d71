"""`cti ledger`: the ledger itself. Knows: which commands there are."""

from __future__ import annotations

import click

from cti.cli.ledger_archive import COMMANDS as ARCHIVE
from cti.cli.ledger_verify import COMMANDS as VERIFY


@click.group()
def ledger() -> None:
    """账本：核对、重建、归档、保留期 / the ledger: verify, rebuild, archives, retention.

    \b
    cti ledger verify
    cti ledger rebuild
    cti ledger archive --month 2026-08 --by 李班长
    cti ledger archives --out archive
    cti ledger prune
    """


for command in (*VERIFY, *ARCHIVE):
    ledger.add_command(command)
