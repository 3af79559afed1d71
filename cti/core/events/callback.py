"""Steps of a callback; ``ref`` is the task: the call its caller did not get through with. See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class CallbackAsked(Event):
    """The waiting caller chose to be called back; a stand-in keeps his place."""

    queue: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CallbackPlaceOver(Event):
    """The stand-in left the line: a seat has the task, or (``why``: QUEUESTATUS) nobody came."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class CallbackTaken(Event):
    """A seat has the task: its turn came, or it was taken from the list."""

    seat: str
    platform: str = ""


@dataclass(frozen=True, slots=True)
class CallbackDialled(Event):
    """The caller's phone is being called for that seat: one attempt."""

    seat: str


@dataclass(frozen=True, slots=True)
class CallbackFailed(Event):
    """The attempt came to nothing. ``why``: busy, noanswer, no-number, seat-left…"""

    seat: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class CallbackAnswered(Event):
    """The caller picked up. ``call``: the ref of that talk."""

    call: str
    seat: str = ""


@dataclass(frozen=True, slots=True)
class CallbackOver(Event):
    """The talk is over."""

    call: str = ""


@dataclass(frozen=True, slots=True)
class CallbackSaid(Event):
    """A person's word on a task (API, console). ``result``: one of `cti.core.callbacks.RESULTS`."""

    seat: str
    result: str
    note: str = ""


CALLBACK_EVENTS: tuple[type[Event], ...] = (
    CallbackAsked, CallbackPlaceOver, CallbackTaken, CallbackDialled, CallbackFailed, CallbackAnswered, CallbackOver,
    CallbackSaid,
)  # fmt: skip
