"""What was asked of each line, from the ledger's facts: arrivals, how long they were handled, when they gave up.

A line is named as the dialplan's queue is: a hotline's number for its general seats, `<platform>-dedicated` for the
seats that take only what the other platform hands over. A call that asked for a person counts once at its hotline
(DOMAIN.md, KPI definitions), and once more at each line a transfer of it tried: that is what seats must be there for,
and not the caller's answer rate, which counts him once. A try that found nobody free is asked for too.

A drill's calls are left out.

Knows: which facts tell it. Must not know: where facts come from, how many seats there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cti.core.facts import Fact, published

KINDS = frozenset({"CallEnded", "TransferEnded", "TargetTried", "TargetFailed", "TargetAnswered"})
"""facts it is read from"""
ENOUGH = 30
"""So many observations before a mean of ours is taken for the proposal's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call, or one try of a transfer, at one line. ``at``: arrival, µs UTC; ``wait_s`` till answered or given up;
    ``handled_s``: how long a seat of the line had it, 0 when not answered; ``gave_up``: by himself, not by a timer."""

    line: str
    at: int
    answered: bool
    wait_s: float
    handled_s: float = 0.0
    gave_up: bool = False


def asked(facts: Iterable[Fact]) -> list[Asked]:
    """Everything asked of any line in calls that have ended; ``facts`` in the ledger's order. A fact that does not read
    is left out: a plan must not fail because of one call."""
    calls: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.ref and fact.kind in KINDS and published(fact):
            calls.setdefault(fact.ref, []).append(fact)
    found: list[Asked] = []
    for told in calls.values():
        ended = next((f for f in told if f.kind == "CallEnded"), None)
        if ended is None:
            continue
        try:
            found += _of_call(told, ended)
        except (KeyError, ValueError):
            continue
    return sorted(found, key=lambda one: one.at)


def mean_handle_s(of: Iterable[Asked]) -> float | None:
    """Seconds a seat has a call, or None with too few."""
    times = [one.handled_s for one in of if one.answered]
    return sum(times) / len(times) if len(times) >= ENOUGH else None


def mean_patience_s(of: Iterable[Asked]) -> float | None:
    """Seconds till a caller gives up by himself, or None with too few who did. Who was answered had at least his wait:
    all waiting ÷ those who gave up is the likeliest mean of an exponential patience (censored observations)."""
    waits, gave_up = 0.0, 0
    for one in of:
        waits += one.wait_s
        gave_up += one.gave_up
    return waits / gave_up if gave_up >= ENOUGH and waits > 0 else None


# -- one call ----------------------------------------------------------------------------------------------------------
def _of_call(told: list[Fact], ended: Fact) -> Iterator[Asked]:
    data = ended.data
    joins = sorted(at for fact in told if (at := _joined_at(fact)) is not None)
    outcome = str(data["outcome"])
    if outcome != "unasked":
        answered = outcome == "answered"
        answered_at = ended.at - int(str(data["talk_ms"])) * 1000
        had = (_next(joins, answered_at, ended.at) - answered_at) / 1e6 if answered else 0.0
        wait = int(str(data["wait_ms"])) / 1000
        yield Asked(str(data["hotline"]), int(str(data["arrived_at"])), answered, wait, had, outcome == "abandoned")
    transfers: dict[str, list[Fact]] = {}
    for fact in told:
        if fact.kind != "CallEnded":
            transfers.setdefault(str(fact.data["transfer"]), []).append(fact)
    for steps in transfers.values():
        yield from _of_transfer(steps, joins, ended.at)


def _of_transfer(steps: list[Fact], joins: list[int], ended_at: int) -> Iterator[Asked]:
    """Each line it tried: answered, failed, or given up with the whole attempt."""
    trying: Fact | None = None
    for fact in sorted(steps, key=lambda f: f.at):
        if fact.kind == "TargetTried":
            trying = fact
            continue
        if trying is None:
            continue
        line = str(trying.data["target"])
        if "/" not in line:  # a line; else one phone
            wait = max(0.0, (fact.at - trying.at) / 1e6)
            if fact.kind == "TargetAnswered":
                join = _next(joins, fact.at, ended_at)  # his own
                had = (_next(joins, join, ended_at) - fact.at) / 1e6
                yield Asked(line, trying.at, True, wait, had)
            else:
                gave_up = fact.kind == "TransferEnded" and fact.data["outcome"] in ("abandoned", "cancelled")
                yield Asked(line, trying.at, False, wait, 0.0, gave_up)
        trying = None


def _joined_at(fact: Fact) -> int | None:
    """When a transfer's target had the caller instead of the seat before, or None."""
    data: Mapping[str, object] = fact.data
    if fact.kind != "TransferEnded" or data["outcome"] != "answered" or data.get("mode", "swap") != "swap":
        return None
    return int(str(data["started_at"])) + (int(str(data["answer_ms"])) + int(str(data["join_ms"]))) * 1000


def _next(joins: list[int], after: int, otherwise: int) -> int:
    """The first join after this time, or the call's end."""
    return next((at for at in joins if at > after), max(after, otherwise))
