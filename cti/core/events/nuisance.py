"""Steps of the nuisance list (骚扰名单): of an entry (``ref`` is empty), and of a listed caller's call. See
`cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class NuisanceEvent(Event):
    """Base of all steps of an entry: its id."""

    entry: str


@dataclass(frozen=True, slots=True)
class NuisanceProposed(NuisanceEvent):
    """Somebody, or a rate rule, proposes a number; nobody is told anything yet. ``evidence``: refs of calls, a,b,c;
    ``days``: asked for; ``rule``: the rule that found it, empty: a person did."""

    number: str
    by: str
    reason: str
    evidence: str = ""
    days: int = 0
    rule: str = ""


@dataclass(frozen=True, slots=True)
class NuisanceApproved(NuisanceEvent):
    """A supervisor, another person than who proposed, put it on the list till ``until`` (µs)."""

    by: str
    until: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class NuisanceRejected(NuisanceEvent):
    """A supervisor refused the proposal."""

    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NuisanceRemoved(NuisanceEvent):
    """A supervisor took it off the list before its time."""

    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NuisanceAppealed(NuisanceEvent):
    """The listed person objects; ``by``: who took it down. The entry holds till it is decided."""

    by: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class AppealGranted(NuisanceEvent):
    """The appeal is right: off the list."""

    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class AppealRefused(NuisanceEvent):
    """The entry holds on; another appeal may follow."""

    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NuisanceStands(NuisanceEvent):
    """An open entry, whole, told again every some hours: the last day of the ledger is enough to know the list."""

    number: str
    state: str
    reason: str
    evidence: str
    days: int
    rule: str
    proposed_by: str
    proposed_at: int
    approved_by: str = ""
    approved_at: int = 0
    until: int = 0
    note: str = ""
    appeal: str = ""
    appealed_by: str = ""
    appealed_at: int = 0
    appeal_said: str = ""


@dataclass(frozen=True, slots=True)
class NuisanceTold(Event):
    """The caller is on the list and hears the notice. ``entry``: which one."""

    entry: str = ""


@dataclass(frozen=True, slots=True)
class NuisancePassed(Event):
    """He goes on into the line. ``how``: ``key`` (1, an emergency) or ``stayed`` to the notice's end."""

    how: str


NUISANCE_EVENTS: tuple[type[NuisanceEvent], ...] = (
    NuisanceProposed, NuisanceApproved, NuisanceRejected, NuisanceRemoved, NuisanceAppealed, AppealGranted,
    AppealRefused, NuisanceStands,
)  # fmt: skip
NOTICE_EVENTS: tuple[type[Event], ...] = (NuisanceTold, NuisancePassed)
