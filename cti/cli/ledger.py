"""`cti ledger`: the ledger itself. Knows: which commands there are."""

from __future__ import annotations

import click

from cti.cli.ledger_verify import COMMANDS as VERIFY


@click.group()
def ledger() -> None:
    """账本：核对、重建 / the ledger: verify, rebuild.

    \b
    cti ledger verify
    cti ledger rebuild
    """


for command in VERIFY:
    ledger.add_command(command)
