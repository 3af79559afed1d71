"""One entry of the nuisance list as a plain frozen value. Knows: shapes. Must not know: rules (nuisance.py)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ListingState(StrEnum):
    """Where an entry stands. ENDED is the only terminal state; ``how`` says how."""

    PROPOSED = "proposed"
    """a person has to decide; nobody is told anything"""
    LISTED = "listed"
    """its callers hear the notice till ``until``"""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry. Times µs since the epoch, 0 = not (yet)."""

    id: str
    number: str
    """in the one form callers are compared in (`cti.core.entry.normalise_caller`)"""
    reason: str
    proposed_by: str
    proposed_at: int
    evidence: tuple[str, ...] = ()
    """refs of calls: their times are in them, their recordings found by them"""
    days: int = 0
    rule: str = ""
    state: ListingState = ListingState.PROPOSED
    approved_by: str = ""
    approved_at: int = 0
    until: int = 0
    note: str = ""
    appeal: str = ""
    appealed_by: str = ""
    appealed_at: int = 0
    """an appeal is open"""
    appeal_said: str = ""
    """what became of the last one: ``granted`` or ``refused``, by whom, why"""
    ended_by: str = ""
    ended_at: int = 0
    how: str = ""
    """expired | lapsed (nobody decided) | rejected | removed | appeal"""
    told_at: int = 0
    """when the ledger last had it whole"""
