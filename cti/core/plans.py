"""Emergency plans (应急联动方案) that run, and what all of them together ask of the site.

A plan asks by being active: front messages, targets open to one key, drill callers (`rows`, what AstDB must hold),
seats of other sites (`seats`), duty phones to be called (`call`). All of it is computed from the active runs, never
added and taken away: so two plans compose, stopping one leaves what the other needs, stopping the last one what was
before, and a service that was killed in between puts right what differs. A drill's front message and open targets are
for the calls of its own callers alone; duty phones are called and seats borrowed for real.

Knows: the site's runs. Must not know: files, AstDB's actions, leases (`cti.lending`), calls; who may start what
(`plan_desk`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace

from cti.core import duty as machine
from cti.core import events as e
from cti.core import records, rules
from cti.core.commands import Command, DropDuty, Record
from cti.core.model import Site
from cti.core.plan_model import DUTY_ENDED, DutyNow, DutyState, Lent, PlanRun, Spec

KEEP_US = 86_400_000_000
"""a run that was stopped stays in sight so long"""
ALL = "all"
"""the rows of real runs; a drill's have its run's id instead"""

Rows = Mapping[tuple[str, str], str]
"""(family, key) → value: what AstDB must hold of plans"""
FAMILIES = ("plan-front", "plan-open", "plan-caller")

# -- asked by the shell ------------------------------------------------------------------------------------------------
def call(site: Site, run_id: str, index: int, at: int) -> e.DutyCalled | None:
    """The next call of a duty phone, to be written before it is made; None: none is due now."""
    run = site.plans.get(run_id)
    if run is None or not run.active or index >= len(run.duties):
        return None
    duty, phone = run.duties[index], run.spec.duty[index]
    if duty.state is not DutyState.DUE or duty.due > at or machine.spent(run.spec, phone, duty):
        return None
    which = machine.contact(phone, duty.tries)
    attempt = f"{run.started_at // 1000}d{index}t{duty.tries}"
    return e.DutyCalled("", at, run_id, index, attempt, which, phone.contacts[which].number)


def due(site: Site, now: int) -> Iterator[tuple[str, int]]:
    """(run, duty phone) that `call` would have called now."""
    for run in active(site):
        for index in range(len(run.duties)):
            if call(site, run.id, index, now) is not None:
                yield run.id, index


def calling(site: Site) -> Iterator[tuple[PlanRun, int]]:
    """Duty phones with a call that has not ended, as far as is known."""
    for run in active(site):
        for index, now in enumerate(run.duties):
            if now.state not in DUTY_ENDED and now.state is not DutyState.DUE:
                yield run, index


def rows(site: Site) -> Rows:
    """What AstDB must hold for the dialplan (hotline.conf, door.conf), of all active runs, the older first."""
    made: dict[tuple[str, str], str] = {}
    for run in active(site):
        scope = run.mark or ALL
        for hotline, prompt in run.spec.front.items():
            key = ("plan-front", f"{scope}/{hotline}")
            said = made[key].split("~") if key in made else []
            made[key] = "~".join(dict.fromkeys([*said, prompt]))
        for number in run.spec.open:
            made["plan-open", f"{scope}/{number}"] = "1"
        if run.drill:
            for caller in run.spec.callers:
                made["plan-caller", f"n{caller}"] = run.id
    return made


def opened(site: Site, number: str, drill: str) -> bool:
    """Whether a linkage target is open to the one key: for everybody, or for this drill's calls."""
    return any(number in run.spec.open and run.mark in ("", drill) for run in active(site))


def seats(site: Site) -> list[tuple[PlanRun, Lent]]:
    """Seats of other sites that are to be here."""
    return [(run, lent) for run in active(site) for lent in run.spec.seats]


def mark(site: Site, run_id: str) -> str:
    """What the facts of a run carry as ``drill``."""
    run = site.plans.get(run_id)
    return run.mark if run else ""


def stands(run: PlanRun, at: int) -> e.PlanStands:
    """The snapshot of an active run."""
    duties = json.dumps([asdict(one) for one in run.duties], ensure_ascii=False, separators=(",", ":"))
    return e.PlanStands("", at, run.id, run.plan, run.spec.text, run.started_at, run.mark, run.by, run.request, duties,
                        json.dumps(dict(run.received)))  # fmt: skip


# -- the core's own ----------------------------------------------------------------------------------------------------
def step(site: Site, event: e.PlanEvent) -> tuple[Site, list[Command]]:
    """The site after this event. Its own time first ends what was due before it."""
    site, commands = tick(site, event.at)
    run = site.plans.get(event.run)
    if isinstance(event, e.PlanStarted | e.PlanStands):
        return (site, commands) if run is not None else _opened(site, event, commands)
    if run is None:
        return site, [*commands, records.anomaly(event, "step-of-unknown-plan")]
    if isinstance(event, e.DutyEvent):
        return _duty(site, run, event, commands)
    if isinstance(event, e.NoticeReceived):
        run = replace(run, received={event.platform: event.at, **run.received})
        return _with(site, run), commands
    assert isinstance(event, e.PlanStopped)
    return _stopped(site, run, event, commands) if run.active else (site, commands)


def tick(site: Site, now: int) -> tuple[Site, list[Command]]:
    """End what its deadline has passed, and forget what was stopped a day ago."""
    commands = list[Command]()
    for run in site.plans.values():
        if not run.active and now > run.stopped_at + KEEP_US:
            site = replace(site, plans={k: v for k, v in site.plans.items() if k != run.id})
            continue
        duties = tuple(
            machine.expire(run.spec, phone, one, now) if run.active else one
            for phone, one in zip(run.spec.duty, run.duties, strict=True)
        )
        if duties != run.duties:
            site, more = _changed(site, run, replace(run, duties=duties))
            commands += more
    return site, commands


def deadline(site: Site) -> int | None:
    """The earliest time (µs) at which `tick` has something to do for an active run."""
    found = (
        machine.deadline(run.spec, phone, one)
        for run in active(site) for phone, one in zip(run.spec.duty, run.duties, strict=True)
    )  # fmt: skip
    return min((at for at in found if at is not None), default=None)


def _opened(site: Site, event: e.PlanStarted | e.PlanStands, commands: list[Command]) -> tuple[Site, list[Command]]:
    started = event.at if isinstance(event, e.PlanStarted) else event.started_at
    try:
        spec = Spec.read(event.spec)
        duties = tuple(DutyNow(due=started) for _ in spec.duty)
        received: dict[str, int] = {}
        if isinstance(event, e.PlanStands):
            told = [DutyNow(**{**one, "state": DutyState(one["state"])}) for one in json.loads(event.duties)]
            duties = tuple(told) if len(told) == len(spec.duty) else duties
            received = dict(json.loads(event.received))
    except (ValueError, TypeError, KeyError):
        return site, [*commands, records.anomaly(event, "plan-unreadable")]
    run = PlanRun(event.run, event.plan, spec, bool(event.drill), event.by, started, event.request, duties, received)
    site = _with(site, run)
    if isinstance(event, e.PlanStarted):
        commands += [
            records.record("", "PlanNotified", event.at, f"plan-notified/{run.id}/{to}/started", run=run.id,
                           plan=run.plan, to=to, what="started", title=spec.title, drill=run.mark)
            for to in spec.notify
        ]  # fmt: skip
    return site, commands


def _duty(site: Site, run: PlanRun, event: e.DutyEvent, commands: list[Command]) -> tuple[Site, list[Command]]:
    if not 0 <= event.duty < len(run.duties):
        return site, [*commands, records.anomaly(event, "step-of-unknown-duty")]
    before, phone = run.duties[event.duty], run.spec.duty[event.duty]
    after, rule = machine.step(before, event)
    if isinstance(rule, rules.Anomaly):
        commands.append(records.anomaly(event, rule.code))
    after = machine.rests(run.spec, phone, before, after)
    if after.state is DutyState.ACKNOWLEDGED is not before.state and event.attempt != before.attempt:
        commands.append(DropDuty("", before.attempt))  # he was being called once more
    if after.state is DutyState.ACKNOWLEDGED is not before.state:
        after = replace(after, by=phone.contacts[contact_of(event.attempt, len(phone.contacts))].number)
    after = machine.expire(run.spec, phone, after, event.at)
    duties = tuple(after if n == event.duty else one for n, one in enumerate(run.duties))
    site, more = _changed(site, run, replace(run, duties=duties))
    return site, commands + more


def contact_of(attempt: str, contacts: int) -> int:
    """The contact an attempt's id (``<ms>d<duty>t<tries>``) was made for."""
    tries = attempt.rpartition("t")[2]
    return int(tries) % contacts if tries.isdecimal() else 0


def _stopped(site: Site, run: PlanRun, event: e.PlanStopped, commands: list[Command]) -> tuple[Site, list[Command]]:
    hung = [DropDuty("", one.attempt) for one in run.duties
            if one.state not in DUTY_ENDED and one.state is not DutyState.DUE]  # fmt: skip
    duties = tuple(one if one.state in DUTY_ENDED else replace(one, state=DutyState.STOPPED, ended_at=event.at)
                   for one in run.duties)  # fmt: skip
    stopped = replace(run, duties=duties, stopped_at=event.at, stopped_by=event.by)
    site, more = _changed(site, run, stopped)
    commands += more
    commands.append(records.record(
        "", "PlanEnded", event.at, f"plan/{run.id}", run=run.id, plan=run.plan, drill=run.mark, by=event.by,
        started_at=run.started_at, ms=(event.at - run.started_at) // 1000, **_counts(duties)))  # fmt: skip
    commands += [
        records.record("", "PlanNotified", event.at, f"plan-notified/{run.id}/{to}/stopped", run=run.id, plan=run.plan,
                       to=to, what="stopped", title=run.spec.title, drill=run.mark)
        for to in run.spec.notify
    ]  # fmt: skip
    return site, commands + list[Command](hung)


def _changed(site: Site, before: PlanRun, run: PlanRun) -> tuple[Site, list[Command]]:
    """With the one record of each duty phone that has come to its end."""
    ended = list[Command]()
    for n, (was, now) in enumerate(zip(before.duties, run.duties, strict=True)):
        if now.state in DUTY_ENDED and was.state not in DUTY_ENDED:
            ended.append(duty_ended(run, n, now))
    return _with(site, run), ended


def duty_ended(run: PlanRun, index: int, duty: DutyNow) -> Record:
    """`DutyEnded`: once a duty phone and run."""
    return records.record(
        "", "DutyEnded", duty.ended_at, f"duty/{run.id}/{index}", run=run.id, plan=run.plan, drill=run.mark, duty=index,
        name=run.spec.duty[index].name, result=str(duty.state), tries=duty.tries, told=duty.told, last=duty.last,
        by=duty.by, ms=(duty.ended_at - run.started_at) // 1000)  # fmt: skip


def _counts(duties: Iterable[DutyNow]) -> dict[str, int]:
    duties = tuple(duties)
    return {str(state): sum(one.state is state for one in duties) for state in sorted(DUTY_ENDED)}


def active(site: Site) -> Iterator[PlanRun]:
    """The runs that were not stopped, the older first."""
    return iter(sorted((run for run in site.plans.values() if run.active), key=lambda run: run.started_at))


def _with(site: Site, run: PlanRun) -> Site:
    return replace(site, plans={**site.plans, run.id: run})
