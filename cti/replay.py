"""The ledger through the pure core again: the same records, or a difference. Knows: facts and core. Must not know:
storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cti.core import calls
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

    A call that is not over yet may lack records; those the replay makes only by its deadline are then not held
    against it.
    """
    events = [e.make(f.kind, f.ref, f.at, f.data) for f in facts if f.kind in e.BY_NAME]
    site, made = calls.replay(events)
    over = any(f.kind == "CallEnded" for f in facts)
    _, late = calls.tick(site, END_OF_TIME)
    records = [c for c in (*made, *(late if over else ())) if isinstance(c, Record)]
    replayed = {r.key: {"kind": r.kind, "at": r.at, **r.data} for r in records}
    stored = {f.key: {"kind": f.kind, "at": f.at, **f.data} for f in facts if f.kind not in e.BY_NAME}
    return [
        Difference(key, stored.get(key), replayed.get(key))
        for key in sorted({*stored, *replayed})
        if stored.get(key) != replayed.get(key)
    ]
