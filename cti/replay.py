"""The ledger through the pure core again: the same records, or a difference. Knows: facts and core. Must not know:
storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cti.core import calls, records
from cti.core import events as e
from cti.core.commands import Record
from cti.core.facts import Fact

END_OF_TIME = 1 << 62


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that the ledger and the replay do not share. ``stored`` or ``replayed`` may be None."""

    key: str
    stored: Mapping[str, object] | None
    replayed: Mapping[str, object] | None


def replay_call(facts: Sequence[Fact]) -> list[Difference]:
    """Replay one call's event facts and compare every record with the stored ones. Empty: the same.

    A call that is not over yet, or whose seats still talk in its three-party call, may lack records that the replay
    makes only by a deadline; those are then not held against it.
    """
    events = [e.make(f.kind, f.ref, f.at, f.data) for f in facts if f.kind in e.BY_NAME]
    stored = {f.key: {"kind": f.kind, "at": f.at, **f.data} for f in facts if f.kind not in e.BY_NAME}
    site, made = calls.replay(events)
    over = any(f.kind == "CallEnded" for f in facts) and not any(call.conference for call in site.calls.values())
    _, late = calls.tick(site, END_OF_TIME)
    replayed: dict[str, Mapping[str, object]] = {}
    for record in (c for c in (*made, *late) if isinstance(c, Record)):
        if (over and record.kind != "CallbackEnded") or record in made or record.key in stored:
            # the first of a key counts, as in the ledger
            replayed.setdefault(record.key, {"kind": record.kind, "at": record.at, **record.data})
    return [
        Difference(key, stored.get(key), replayed.get(key))
        for key in sorted({*stored, *replayed})
        if stored.get(key) != _as_old(stored.get(key), replayed.get(key))
    ]


def _as_old(stored: Mapping[str, object] | None, replayed: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """The replayed record without what its kind did not tell yet when the stored one was written."""
    if stored is None or replayed is None or replayed["kind"] != "CallEnded":
        return replayed
    missing = records.CALL_ENDED_SINCE.difference(stored)
    return {name: value for name, value in replayed.items() if name not in missing}
