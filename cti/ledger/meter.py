"""What the ledger counts, as a Protocol: the metrics page implements it. Must not know Prometheus."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Where: TypeAlias = Literal["redis", "spool"]
Trouble: TypeAlias = Literal["duplicate", "lost", "conflict", "corrupt"]


class LedgerMeter(Protocol):
    """Called on the way of every fact: be quick, do not raise."""

    def appended(self, where: Where, facts: int, seconds: float) -> None:
        """`facts` became durable there, `seconds` after the attempt began."""

    def counted(self, what: Trouble, facts: int) -> None:
        """Told before: skipped · neither in Redis nor spooled · displaced by another writer · unreadable."""

    def backlog(self, facts: int, size: int) -> None:
        """Facts in the spool now, and their bytes."""

    def link(self, up: bool) -> None:
        """Redis was reached, or lost."""


class NoMeter:
    """Counts nothing."""

    def appended(self, where: Where, facts: int, seconds: float) -> None: ...
    def counted(self, what: Trouble, facts: int) -> None: ...
    def backlog(self, facts: int, size: int) -> None: ...
    def link(self, up: bool) -> None: ...
