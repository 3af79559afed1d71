"""Steps of an emergency plan (``ref`` is empty). ``plan``: its name; ``run``: this start of it. See `cti.core.events`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class PlanEvent(Event):
    """Base of all: which run."""

    run: str


@dataclass(frozen=True, slots=True)
class PlanStarted(PlanEvent):
    """A person started it. ``spec``: what it does (`cti.core.plan_model.Spec.text`), so that the run needs no file;
    ``drill``: the run's id in a drill; ``request``: of the Idempotency-Key."""

    plan: str
    spec: str
    drill: str = ""
    by: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class PlanStopped(PlanEvent):
    """A person stopped it."""

    by: str = ""


@dataclass(frozen=True, slots=True)
class PlanStands(PlanEvent):
    """Where it stands, told again every some hours, so that the last day of the ledger is enough to know it.
    ``duties``, ``received``: JSON (`cti.core.plans.stands`)."""

    plan: str
    spec: str
    started_at: int
    drill: str = ""
    by: str = ""
    request: str = ""
    duties: str = "[]"
    received: str = "{}"


@dataclass(frozen=True, slots=True)
class NoticeReceived(PlanEvent):
    """The other platform said that it knows of the plan."""

    platform: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class DutyEvent(PlanEvent):
    """Base of the steps of a duty phone: the ``duty``-th of the plan, and the call's own id."""

    duty: int
    attempt: str


@dataclass(frozen=True, slots=True)
class DutyCalled(DutyEvent):
    """The intent, written before Asterisk hears of it: the ``contact``-th number is being called."""

    contact: int = 0
    number: str = ""


@dataclass(frozen=True, slots=True)
class DutyRings(DutyEvent):
    """The call is on its way to the phone."""


@dataclass(frozen=True, slots=True)
class DutyTold(DutyEvent):
    """Somebody, or something, picked up; the message is being played."""


@dataclass(frozen=True, slots=True)
class DutyAcknowledged(DutyEvent):
    """A person pressed 1."""


@dataclass(frozen=True, slots=True)
class DutyOver(DutyEvent):
    """The call ended. ``why``: acknowledged, busy, noanswer, unconfirmed…"""

    why: str = ""


DUTY_EVENTS: tuple[type[DutyEvent], ...] = (DutyCalled, DutyRings, DutyTold, DutyAcknowledged, DutyOver)
PLAN_EVENTS: tuple[type[PlanEvent], ...] = (PlanStarted, PlanStopped, PlanStands, NoticeReceived, *DUTY_EVENTS)
