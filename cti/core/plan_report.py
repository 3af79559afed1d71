"""What came of one run of an emergency plan, from the ledger's facts: of a drill its own calls alone, of a real one the
calls that count, arrived while it ran.

Knows: which facts tell it. Must not know: where they are stored, the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cti.core import events as e
from cti.core import plans
from cti.core.answer_rate import RULE, answer_rate, ended_call
from cti.core.facts import Fact, published
from cti.core.model import Site
from cti.core.plan_model import PlanRun

KINDS = frozenset({"CallArrived", "CallEnded", "FrontTold", "CallerQueued", "TransferEnded", "LeaseMoved",
                   "CallbackDue"})  # fmt: skip
"""facts of calls and leases it is read from"""
LATE_US = 3_600_000_000
"""a call that arrived in time may end so long after the stop and is counted"""
_STEPS = {kind.__name__ for kind in e.PLAN_EVENTS}


def run_of(facts: Iterable[Fact], run_id: str) -> PlanRun | None:
    """The run as its own steps tell it; None: it was not started in these."""
    site = Site()
    for fact in facts:
        if fact.kind in _STEPS and fact.data.get("run") == run_id:
            try:
                event = e.make(fact.kind, "", fact.at, fact.data)
            except e.BadEvent:
                continue  # one entry that does not read must not hide the rest
            assert isinstance(event, e.PlanEvent)
            site, _ = plans.step(site, event)
    return site.plans.get(run_id)


def report(run: PlanRun, facts: Sequence[Fact], now: int) -> dict[str, Any]:
    """Flat figures, with their rule. Times in µs, lengths in ms; ``None``: not yet."""
    until = run.stopped_at or now + 1
    ours = [fact for fact in facts if fact.kind in KINDS and _belongs(run, fact)]
    refs = {f.ref for f in ours if f.kind == "CallArrived" and run.started_at <= f.at < until}
    ours = [f for f in ours if f.kind == "LeaseMoved" or f.ref in refs]
    ended = [f for f in ours if f.kind == "CallEnded"]
    rate = answer_rate((ended_call(f.data) for f in ended), 0, until)
    heard = {f.ref for f in ours if f.kind == "FrontTold"}
    queued = {f.ref for f in ours if f.kind == "CallerQueued"}
    over = {f.ref for f in ended}
    transfers = Counter((str(f.data["to"]), str(f.data["outcome"])) for f in ours if f.kind == "TransferEnded")
    active = [f for f in ours if f.kind == "LeaseMoved" and f.data.get("state") == "active"
              and f.data.get("side") == "borrower"]  # fmt: skip
    return {
        "plan": run.plan, "run": run.id, "title": run.spec.title, "drill": run.drill, "by": run.by,
        "started_at": run.started_at, "stopped_at": run.stopped_at or None, "stopped_by": run.stopped_by,
        "ms": (until - run.started_at) // 1000,
        "calls": len(ended), "offered": rate.offered, "answered": rate.answered, "answer_rate": rate.text, "rule": RULE,
        "live": len(refs - over),
        "outcomes": dict(sorted(Counter(str(f.data["outcome"]) for f in ended).items())),
        "front": {"heard": len(heard), "left_in_it": len((heard & over) - queued)},
        "transfers": [{"to": to, "outcome": outcome, "count": count}
                      for (to, outcome), count in sorted(transfers.items())],
        "callbacks_due": sum(f.kind == "CallbackDue" for f in ours),
        "duties": [
            {"name": phone.name, "state": str(one.state), "tries": one.tries, "told": one.told, "last": one.last,
             "ms": (one.ended_at - run.started_at) // 1000 if one.ended_at else None}
            for phone, one in zip(run.spec.duty, run.duties, strict=True)
        ],
        "seats": [
            {"from": lent.site, "wanted": lent.count, "lent": len({str(f.data["lease"]) for f in mine}),
             "first_ms": (min(f.at for f in mine) - run.started_at) // 1000 if mine else None}
            for lent in run.spec.seats
            for mine in ([f for f in active if f.data.get("owner") == lent.site],)
        ],
        "notified": {to: run.received.get(to) for to in run.spec.notify},
    }  # fmt: skip


def _belongs(run: PlanRun, fact: Fact) -> bool:
    if fact.kind == "LeaseMoved":
        return fact.data.get("run") == run.id
    return fact.data.get("drill") == run.id if run.drill else published(fact)
