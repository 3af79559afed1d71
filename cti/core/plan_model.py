"""An emergency plan at work (应急联动方案), as plain values: what was started, and how each duty phone stands.

Knows: shapes, and the text in which a started plan lies in the ledger. Must not know: rules (`plans`), the directory: a
run goes on as it was started, whatever is edited or removed in plans/ meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class DutyState(StrEnum):
    """Where one duty phone stands."""

    DUE = "due"
    """the next contact is to be called at `DutyNow.due`"""
    CALLING = "calling"
    RINGING = "ringing"
    TOLD = "told"
    """somebody, or something, picked up and is being told"""
    ACKNOWLEDGED = "acknowledged"
    UNREACHED = "unreached"
    STOPPED = "stopped"
    """the plan ended first"""


DUTY_ENDED = frozenset({DutyState.ACKNOWLEDGED, DutyState.UNREACHED, DutyState.STOPPED})


@dataclass(frozen=True, slots=True)
class Contact:
    """A telephone outside (``trunk``), or a seat of ours (``trunk`` empty), rung ``seconds``."""

    number: str
    seconds: int
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class DutyPhone:
    """Who is to be told."""

    name: str
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class Lent:
    """So many seats of another site, each lease so many minutes."""

    site: str
    count: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Spec:
    """What a plan does. ``front``: hotlines → the prompt their callers hear first; ``say``: the prompt of the duty
    calls; ``callers``: numbers whose calls are a drill's; ``pause_s``: between two rounds."""

    title: str
    front: Mapping[str, str] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    seats: tuple[Lent, ...] = ()
    duty: tuple[DutyPhone, ...] = ()
    say: str = ""
    rounds: int = 1
    pause_s: int = 0
    notify: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As the ledger keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Spec:
        """Inverse of `text`. Raises ValueError."""
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(
                str(values["title"]), dict(values["front"]), tuple(values["open"]), tuple(values["callers"]),
                tuple(Lent(**one) for one in values["seats"]),
                tuple(DutyPhone(d["name"], tuple(Contact(**c) for c in d["contacts"])) for d in values["duty"]),
                str(values["say"]), int(values["rounds"]), int(values["pause_s"]), tuple(values["notify"]))  # fmt: skip
        except (KeyError, TypeError) as why:
            raise ValueError(f"no plan: {why!r}") from None


@dataclass(frozen=True, slots=True)
class DutyNow:
    """One duty phone in a run. Times µs, 0 = not yet. ``tries``: contacts called so far, in order, round after
    round."""

    state: DutyState = DutyState.DUE
    due: int = 0
    tries: int = 0
    attempt: str = ""
    """id of the latest call"""
    called_at: int = 0
    last: str = ""
    """why the latest call did not end with an acknowledgement"""
    told: int = 0
    """calls in which the message was heard by whoever picked up"""
    by: str = ""
    """the number that acknowledged"""
    ended_at: int = 0


@dataclass(frozen=True, slots=True)
class PlanRun:
    """One start of a plan, till it is stopped. ``id``: `<plan>-<ms>`."""

    id: str
    plan: str
    spec: Spec
    drill: bool
    by: str
    started_at: int
    request: str = ""
    """of the Idempotency-Key that started it"""
    duties: tuple[DutyNow, ...] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    """platform → when it said that it knows"""
    stopped_at: int = 0
    stopped_by: str = ""

    @property
    def active(self) -> bool:
        return not self.stopped_at

    @property
    def mark(self) -> str:
        """What its facts carry as ``drill``; "" for a real one."""
        return self.id if self.drill else ""
