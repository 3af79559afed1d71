"""The records of a call and its transfers, each with the key that makes a repeat recognisable. Knows: their fields.
Must not know: when one is due (calls.py)."""

from __future__ import annotations

from cti.core import events as e
from cti.core.commands import Record
from cti.core.model import Call, Callback, Transfer

CALL_ENDED_SINCE = frozenset({"platform", "seat_kind", "asked_at", "queues"})
"""fields of `CallEnded` that entries written before they were told do not have"""


def call_ended(call: Call, outcome: str, why: str, queues: str) -> Record:
    """`CallEnded`: once a call, all that the answer rate needs. ``platform``: of the hotline; ``seat_kind``: of who
    answered first; ``queues``: see `cti.core.visits`."""
    asked_at = call.queued_at or call.arrived_at
    return record(
        call.ref,
        "CallEnded",
        call.ended_at,
        f"call/{call.ref}",
        outcome=outcome,
        hotline=call.hotline,
        platform=call.of,
        division=call.division,
        seat_kind=call.kind,
        arrived_at=call.arrived_at,
        asked_at=asked_at,
        wait_ms=((call.answered_at or call.ended_at) - asked_at) // 1000,
        talk_ms=(call.ended_at - call.answered_at) // 1000 if call.answered_at else 0,
        seats=",".join(call.takers),
        transfers=len(call.transfers),
        queues=queues,
        **({"notice": call.notice} if call.notice else {}),
        **({"why": why} if why else {}),
    )


def transfer_ended(call: Call, t: Transfer) -> Record:
    """`TransferEnded`: once a transfer."""
    return record(
        call.ref,
        "TransferEnded",
        t.ended_at,
        f"transfer/{t.id}",
        transfer=t.id,
        outcome=str(t.outcome),
        why=t.why,
        first_platform=call.hotline,
        to=t.to,
        seat=t.seat,
        target=t.target_seat,
        key_=t.key,
        mode=t.mode,
        hops=t.hops,
        released=int(t.released),
        danger=int(t.danger),
        started_at=t.started_at,
        answer_ms=(t.answered_at - t.started_at) // 1000 if t.answered_at else -1,
        join_ms=(t.joined_at - t.answered_at) // 1000 if t.joined_at else -1,
    )


def callback(call: Call, at: int, why: str, to: str = "") -> Record:
    """Somebody must ring this caller back; 110's and danger first (DOMAIN.md, transfer rule 7)."""
    priority = "high" if call.danger or "110" in (call.hotline, call.platform, to) else "normal"
    return record(call.ref, "CallbackDue", at, f"callback/{call.ref}", why=why, to=to, priority=priority)


def callback_ended(task: Callback) -> Record:
    """`CallbackEnded`: once a task. It says nothing of the answer rate, which a callback never mends."""
    return record(
        task.id, "CallbackEnded", task.ended_at, f"callback-ended/{task.id}", result=task.result, note=task.note,
        hotline=task.hotline, why=task.why, priority=task.priority, attempts=task.attempts, last=task.last,
        seat=task.seat, call=task.call, opened_at=task.opened_at,
        first_try_ms=(task.first_try_at - task.opened_at) // 1000 if task.first_try_at else -1,
    )  # fmt: skip


def anomaly(event: e.Event, code: str) -> Record:
    """A step that does not fit where it came."""
    name = type(event).__name__
    return record(event.ref, "Anomaly", event.at, f"anomaly/{event.ref}/{name}/{event.at}", code=code, event=name)


def record(ref: str, kind: str, at: int, key: str, **data: str | int) -> Record:
    """One record for the ledger."""
    return Record(ref, kind, at, key, data)
