"""Transfers of the past, as they are listed and told: a row of facts, what is asked of rows, the timeline of one.

Knows: facts of a transfer. Must not know: where they are kept, JSON over HTTP, the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cti.core import events as e
from cti.core import rules
from cti.core import transfer as machine
from cti.core.facts import Fact
from cti.core.model import Outcome, Transfer, TransferState

OPEN = "open"
"""asked for as an outcome: not ended yet"""
OUTCOMES = (*(str(one) for one in Outcome if one), OPEN)


@dataclass(frozen=True, slots=True)
class Past:
    """A transfer as the ledger knows it. Times µs, lengths ms; None: not (yet). ``caller``: masked, with a hash."""

    id: str
    ref: str
    hotline: str
    """the number called, where the caller came in"""
    to: str
    seat: str
    target: str
    mode: str
    key: str
    danger: bool
    outcome: str
    """empty: open"""
    why: str
    hops: int
    released: bool
    started_at: int
    answered_at: int | None
    joined_at: int | None
    ended_at: int | None
    caller: str
    drill: str
    first_ms: int
    last_ms: int
    """when its first and last facts of the row were written: between them its story stands in the ledger"""

    @property
    def direction(self) -> str:
        """`12345-110`: from where the caller came in, whereto he was sent."""
        return f"{self.hotline}-{self.to}"


Place: TypeAlias = tuple[int, str]
"""a row's place in the list: (started_at, id)"""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first. ``next``: below which the next page begins; None: no more. A page may be short, and is not
    the last, where much had to be looked at."""

    rows: Sequence[Past]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of transfers; empty: anything. Started in ``[start, end)`` µs. ``seat``: asked or was reached;
    ``own``: the same, of who may see only his own; ``caller``: how `Past.caller` begins."""

    start: int = 0
    end: int = 1 << 62
    hotline: str = ""
    to: str = ""
    seat: str = ""
    own: str = ""
    outcome: str = ""
    ref: str = ""
    caller: str = ""

    def holds(self, row: Past) -> bool:
        """Whether a row is one of them."""
        outcome = row.outcome or OPEN
        return (
            self.start <= row.started_at < self.end
            and self.hotline in ("", row.hotline)
            and self.to in ("", row.to)
            and (not self.seat or self.seat in (row.seat, row.target))
            and (not self.own or self.own in (row.seat, row.target))
            and self.outcome in ("", outcome)
            and self.ref in ("", row.ref)
            and row.caller.startswith(self.caller)
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as a row keeps it: when it was written (ms), when it happened (µs), what it says."""

    written_ms: int
    at: int
    data: Mapping[str, Any]


def past(name: str, told: Mapping[str, Told], hotline: str = "", caller: str = "") -> Past | None:
    """The row of a transfer from its facts by kind; None where none of them tells of one."""
    opened = told.get("TransferStarted") or told.get("TransferRefused")
    asked, ended, answered = told.get("TransferRequested"), told.get("TransferEnded"), told.get("TargetAnswered")
    first = ended or opened or asked
    if first is None:
        return None
    data: dict[str, Any] = {}
    for one in (asked, opened, ended):
        data |= dict(one.data) if one else {}
    started = int(data.get("started_at") or (opened or first).at)
    answer_ms, join_ms = int(data.get("answer_ms", -1)), int(data.get("join_ms", -1))
    answered_at = answered.at if answered else (started + answer_ms * 1000 if answer_ms >= 0 else None)
    written = [one.written_ms for one in told.values()]
    return Past(
        id=name, ref=name.rpartition("-")[0], hotline=str(data.get("first_platform") or hotline),
        to=str(data.get("to", "")), seat=str(data.get("seat", "")),
        target=str(data.get("target") or (answered.data.get("seat", "") if answered else "")),
        mode=str(data.get("mode", "swap")), key=str(data.get("key_") or data.get("key", "")),
        danger=bool(data.get("danger", 0)), outcome=str(ended.data.get("outcome", "")) if ended else "",
        why=str(data.get("why", "")) if ended else "", hops=int(data.get("hops", 0)),
        released=bool(data.get("released", 0)), started_at=started, answered_at=answered_at,
        joined_at=answered_at + join_ms * 1000 if answered_at and join_ms >= 0 else None,
        ended_at=ended.at if ended else None, caller=caller, drill=str(data.get("drill", "")),
        first_ms=min(written), last_ms=max(written),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """One fact of a transfer's story, and the state the transfer is in after it."""

    fact: Fact
    state: str


def timeline(facts: Iterable[Fact], name: str) -> list[Moment]:
    """The story of one transfer among its call's facts, in the order they happened: what names it, and what befell the
    call and moved it."""
    found: list[Moment] = []
    now: Transfer | None = None
    over = False
    for fact in in_order(facts):
        mine = fact.data.get("transfer") == name
        if fact.kind not in e.BY_NAME:
            if mine:
                ended = str(TransferState.ENDED) if fact.kind == "TransferEnded" else str(now.state) if now else ""
                found.append(Moment(fact, ended))
                over = over or fact.kind == "TransferEnded"
            continue
        try:
            event = e.make(fact.kind, fact.ref, fact.at, fact.data)
        except e.BadEvent:
            continue  # counted where the ledger is read; the rest of the story is worth telling
        if type(event) in machine.NONE and (mine or (now is not None and not over and not fact.data.get("transfer"))):
            now, decided = machine.step(now, event)
            mine = mine or isinstance(decided, rules.To)
        if mine:
            found.append(Moment(fact, str(now.state) if now else ""))
    return found


def in_order(facts: Iterable[Fact]) -> Sequence[Fact]:
    """As they happened; what happened in one instant stays as it was written."""
    return sorted(facts, key=lambda fact: fact.at)
