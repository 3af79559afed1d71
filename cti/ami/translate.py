"""From Asterisk's words to the core's: the only place that knows Asterisk's event names.

Knows: how a CEL event looks on AMI and that the CEL file's row holds the same; which of them are steps of ours. Must
not know: what a step means (core), or how it reached us (client, file reader).

Both roads lead through `translate`, so live and caught-up records are one vocabulary by construction. What does not
read as one of our steps is a `BadStep` value: counted by the caller, never an exception that stops a reader. Source:
Asterisk 22, AMI event `CEL` (cel_manager), cel_custom.conf; dialplan/*.conf for the names of the steps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cti.core import events as e
from cti.core.ids import is_ref

WANTED: frozenset[str] = frozenset({"CEL", "FullyBooted", "Shutdown", "Reload"})
"""AMI events the service reads; manager.conf's filter keeps the rest from being sent at all."""

LENT_STEPS: frozenset[str] = frozenset({"LentSeatTried", "LentSeatAway", "LentSeatRings", "LentSeatRefused"})
"""steps of lent.conf: kept as they are; a lent seat's call belongs to the borrower's core, not to the owner's"""

_DOOR = re.compile(r"Local/(?P<ref>\d{6}-\d+\.\d+)-[0-9a-z]+@door-[0-9a-f]+;1")


@dataclass(frozen=True, slots=True)
class Step:
    """One CEL event, whichever way it came. ``at``: µs since the epoch, UTC."""

    name: str
    at: int
    uniqueid: str
    channel: str
    peer: str
    caller: str
    extra: Mapping[str, str]

    @property
    def key(self) -> str:
        """Idempotency key: the same step, live or from the file, has the same one. To the second, because that is all
        AMI's EventTime has; what the step carries tells two of one second apart."""
        carried = hashlib.blake2s(repr(sorted(self.extra.items())).encode(), digest_size=6).hexdigest()
        return f"cel/{self.at // 1_000_000}/{self.uniqueid}/{self.name}/{carried}"


@dataclass(frozen=True, slots=True)
class BadStep:
    """A step of ours that does not read; ``why`` names the field and never holds a caller's number."""

    name: str
    why: str


def micros(text: str) -> int:
    """``2026-11-24 01:02:03.000004`` (UTC, as cel.conf's dateformat writes it) as µs. Raises ValueError."""
    when = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(when.timestamp()) * 1_000_000 + when.microsecond


def step_of_message(message: Mapping[str, object]) -> Step | BadStep | None:
    """The CEL event of an AMI message; None for any other event."""
    if message.get("Event") != "CEL":
        return None
    name = str(message.get("EventName") or "")
    try:
        at = _precise(micros(str(message.get("EventTime") or "")), str(message.get("Timestamp") or ""))
    except ValueError:
        return BadStep(name, "EventTime is not a time")
    return Step(
        name=name,
        at=at,
        uniqueid=str(message.get("UniqueID") or ""),
        channel=str(message.get("Channel") or ""),
        peer=str(message.get("Peer") or ""),
        caller=str(message.get("CallerIDnum") or ""),
        extra=_extra(str(message.get("Extra") or "")),
    )


def _precise(second: int, stamp: str) -> int:
    """EventTime is whole seconds on AMI; the message's own Timestamp (µs, taken well under a millisecond later) fills
    them in, as long as it falls into that very second: the key depends on it."""
    try:
        whole, _, fraction = stamp.partition(".")
        at = int(whole) * 1_000_000 + int(fraction.ljust(6, "0")[:6] or 0)
    except ValueError:
        return second
    if at // 1_000_000 == second // 1_000_000:
        return at
    return second + 999_999 if at > second else second


def translate(step: Step) -> e.Event | BadStep | None:
    """The core's event of a CEL step; None when it is not for the core."""
    if step.name == "BRIDGE_ENTER":
        return _joined(step)
    if step.name not in e.BY_NAME:
        return None
    ref = step.extra.get("ref", "")
    of_seat = issubclass(e.BY_NAME[step.name], e.SeatEvent)
    of_plan = issubclass(e.BY_NAME[step.name], e.PlanEvent)
    if of_seat or of_plan:
        ref = ""
    elif not is_ref(ref):
        return BadStep(step.name, "ref is missing or none of ours")
    values: dict[str, object] = dict(step.extra)
    if of_seat and not str(values.get("seat", "")).isdecimal():
        return BadStep(step.name, "seat is missing or no number")
    if of_plan and not str(values.get("duty", "")).isdecimal():
        return BadStep(step.name, "duty is missing or no number")
    if step.name == "CallArrived":
        values["caller"] = step.caller
    try:
        return e.make(step.name, ref, step.at, values)
    except e.BadEvent as why:
        return BadStep(step.name, str(why))


def _joined(step: Step) -> e.Event | None:
    """Caller and target in one bridge: the second to enter sees the other as its peer. The door's near leg
    (`Local/<transfer>@door-…;1`) stands for the target. The room's silent keeper and the silent one who
    records (record.conf) join nobody to anybody."""
    if "@keeper-" in step.channel or "@private-" in step.channel:
        return None
    found = _DOOR.search(f"{step.channel},{step.peer}")
    if found is None or not step.peer:
        return None
    return e.CallerJoined(found["ref"], step.at)


def _extra(text: str) -> Mapping[str, str]:
    """What CELGenUserEvent carried: AMI wraps it as {"extra": "<our json>"}; the file reader unwraps it the same way.
    """
    for _ in range(2):
        try:
            value = json.loads(text)
        except ValueError:
            return {}
        if not isinstance(value, dict):
            return {}
        inner = value.get("extra")
        if set(value) == {"extra"} and isinstance(inner, str):
            text = inner
            continue
        return {str(k): str(v) for k, v in value.items()}
    return {}
