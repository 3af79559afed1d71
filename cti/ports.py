"""What the runtime needs from the outside, as Protocols; the shells implement them, `cti.app` wires them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cti.core import events as e
from cti.core.commands import Command
from cti.core.facts import Fact


class Ledger(Protocol):
    """Where facts become durable. Never raises because a store is away: it spools."""

    async def append(self, facts: Sequence[Fact]) -> object:
        """Return once every fact is durable."""


class Switch(Protocol):
    """Asterisk, as far as the core's commands need it."""

    async def carry_out(self, command: Command) -> e.Event | None:
        """Do one command. Raises nothing for a refusal (it is counted); the dialplan's next step tells what
        happened. Where there can be no such step because nothing was sent, the event that says so."""


class Meter(Protocol):
    """Counts what the ledger was told."""

    def saw(self, fact: Fact) -> None:
        """One fact, in ledger order, once."""
