"""Disputed matters for the quarterly meeting: who said what, and who had accepted (DOMAIN.md, clause of the plan).

Two kinds: ``disagreement``, where both platforms had to agree and did not (`ConferenceDecided`), and ``contrary``, a
word against a decision that stands (`DecisionDisputed`). Knows: facts. Must not know: where they are stored, the clock.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cti.core.facts import Fact, published
from cti.core.zone import SHANGHAI

KINDS = frozenset({"ConferenceDecided", "DecisionDisputed"})
"""facts the list is made of"""


class BadPeriod(ValueError):
    """No month or quarter; the text names the right form."""


@dataclass(frozen=True, slots=True)
class Period:
    """``[start, end)`` in µs UTC, a month or a quarter of Asia/Shanghai."""

    name: str
    start: int
    end: int

    def holds(self, at: int) -> bool:
        """Whether this instant is in it."""
        return self.start <= at < self.end


def period(text: str) -> Period:
    """``2026-11`` or ``2026Q4``. Raises `BadPeriod`."""
    month = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text)
    quarter = re.fullmatch(r"(20\d\d)[Qq]([1-4])", text)
    if month:
        return _months(text, int(month[1]), int(month[2]), 1)
    if quarter:
        return _months(text.upper(), int(quarter[1]), int(quarter[2]) * 3 - 2, 3)
    raise BadPeriod(f"{text[:20]!r} 不是月份或季度 / neither a month nor a quarter; e.g. 2026-11, 2026Q4")


def quarter_of(at: int) -> Period:
    """The quarter an instant (µs UTC) lies in."""
    day = dt.datetime.fromtimestamp(at / 1e6, SHANGHAI)
    return period(f"{day.year}Q{(day.month + 2) // 3}")


def _months(name: str, year: int, month: int, count: int) -> Period:
    last = month + count
    ends = (year + (last > 12), last - 12 if last > 12 else last)
    start, end = (dt.datetime(y, m, 1, tzinfo=SHANGHAI) for y, m in ((year, month), ends))
    return Period(name, int(start.timestamp()) * 1_000_000, int(end.timestamp()) * 1_000_000)


@dataclass(frozen=True, slots=True)
class Dispute:
    """One disputed decision. ``said``: each platform's word in a disagreement, or the contrary one."""

    at: int
    ref: str
    conference: str
    kind: str
    first_platform: str
    accepts: str
    basis: str
    said: str
    seat: str
    reason: str
    text: str
    danger: bool


def disputes(facts: Iterable[Fact], over: Period) -> list[Dispute]:
    """Every dispute of the period, oldest first, none of a drill. A decision may lie before it: give the facts before,
    too."""
    decided: dict[str, Fact] = {}
    found: dict[str, Dispute] = {}
    for fact in sorted(filter(published, facts), key=lambda fact: (fact.at, fact.kind)):
        named = str(fact.data.get("transfer", ""))
        if fact.kind == "ConferenceDecided":
            decided.setdefault(named, fact)
        if over.holds(fact.at) and (
            fact.kind == "DecisionDisputed" or (fact.kind == "ConferenceDecided" and fact.data.get("disputed") == 1)
        ):
            found.setdefault(fact.key, _dispute(fact, decided.get(named)))
    return sorted(found.values(), key=lambda one: one.at)


def _dispute(fact: Fact, decision: Fact | None) -> Dispute:
    of = decision.data if decision is not None else {}
    contrary = fact.kind == "DecisionDisputed"
    text = {name: str(fact.data.get(name) or "") for name in ("seat", "by", "reason", "text", "platform", "choice")}
    return Dispute(
        fact.at, fact.ref, str(fact.data.get("transfer", "")), "contrary" if contrary else "disagreement",
        str(of.get("first_platform", "")), str(fact.data.get("accepts", "")), str(of.get("basis", "")),
        f"{text['platform']}={text['choice']}" if contrary else str(fact.data.get("words", "")),
        text["seat"] if contrary else text["by"], text["reason"], text["text"], bool(of.get("danger", 0)),
    )  # fmt: skip
