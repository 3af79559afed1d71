"""Events by name and loose values, as the dialplan's JSON and the ledger's entries have them. See `cti.core.events`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

from cti.core.events.call import CALL_EVENTS
from cti.core.events.callback import CALLBACK_EVENTS
from cti.core.events.conference import ROOM_EVENTS
from cti.core.events.dialplan import DIALPLAN_EVENTS
from cti.core.events.event import Event
from cti.core.events.nuisance import NOTICE_EVENTS, NUISANCE_EVENTS
from cti.core.events.plan import PLAN_EVENTS
from cti.core.events.recording import RECORDING_EVENTS
from cti.core.events.seat import SEAT_EVENTS
from cti.core.events.transfer import TRANSFER_EVENTS

BY_NAME: Mapping[str, type[Event]] = {
    kind.__name__: kind
    for kind in (*CALL_EVENTS, *TRANSFER_EVENTS, *ROOM_EVENTS, *CALLBACK_EVENTS, *RECORDING_EVENTS, *SEAT_EVENTS,
                 *NOTICE_EVENTS, *NUISANCE_EVENTS, *PLAN_EVENTS, *DIALPLAN_EVENTS)
}  # fmt: skip


class BadEvent(ValueError):
    """A named step came with fields that do not fit; the message names the step and the field."""


def make(name: str, ref: str, at: int, values: Mapping[str, object]) -> Event:
    """The event of this name from loose values (JSON of the dialplan, or a ledger entry). Unknown values are left
    out, whole numbers are read from text. Raises `BadEvent` when the name is unknown or a field is missing or not a
    number."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise BadEvent(f"unknown step {name!r}")
    given: dict[str, object] = {}
    for field in fields(kind):
        if field.name in ("ref", "at") or field.name not in values:
            continue
        value = values[field.name]
        if field.type == "int":
            try:
                value = int(str(value) or 0)
            except ValueError:
                raise BadEvent(f"{name}.{field.name}: {value!r} is not a whole number") from None
        else:
            value = str(value)
        given[field.name] = value
    try:
        return kind(ref, at, **given)
    except TypeError as why:
        raise BadEvent(f"{name}: {why}") from None


def values_of(event: Event) -> dict[str, str | int]:
    """The event's own fields (without ``ref`` and ``at``), as a ledger entry keeps them."""
    return {name: value for name, value in asdict(event).items() if name not in ("ref", "at")}
