"""`cti ledger`: the ledger itself. Knows: which commands there are."""

from __future__ import annotations

import click

from cti.cli.ledger_archive import COMMANDS


@click.group()
def ledger() -> None:
    """账本：归档、保留期 / the ledger: archives, retention.

    \b
    cti ledger archive --month 2026-08 --by 李班长
    cti ledger archives --out archive
    cti ledger prune
    """


for command in COMMANDS:
    ledger.add_command(command)
