"""Emergency plans at work: what the active runs ask for together is made so, and kept so.

Knows: the runtime's runs, AstDB's rows for them, which duty phones are due, seats of other sites. Must not know: rules
(`cti.core.plans`), AMI's actions (`cti.ami.plans`), leases (`cti.lending`; here a `Desk`).

Nothing is remembered here that matters: after a kill in the middle of anything, the runs of the ledger say what should
stand, Asterisk and the book of leases say what does, and the difference is carried out. A duty call is on record
before it is made; one that was written and not sent is sent again, once Asterisk's own record is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from cti.ami.actions import AmiError
from cti.ami.plans import DutyCall, PlanSwitch
from cti.core import events as e
from cti.core import plans
from cti.core.plan_model import Contact, DutyPhone, DutyState, Lent, PlanRun, Spec
from cti.directory import Directory, Plan
from cti.directory.plans import prompt_of
from cti.directory.targets import PhoneTarget, SeatTarget
from cti.runtime import Runtime

log = structlog.get_logger(__name__)

LOOK_S = 0.1
SEATS_S = 2.0
"""between two looks at the seats of other sites"""
AGAIN_US = 10_000_000
"""a site is not asked for more seats sooner"""
REST_US = 600_000_000
"""nor for the seats it took back itself"""
STANDS_US = 6 * 3600 * 1_000_000
"""between two snapshots of a run: the state is rebuilt from the ledger's last day"""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease of a run, as the borrower's book has it. ``taken_back``: by its owner, before its time."""

    lease: str
    owner: str
    seat: str
    run: str
    open: bool
    active: bool
    ended_at: int
    taken_back: bool


class Desk(Protocol):
    """Leases, as far as plans need them. `cti.app` makes one of `cti.lending`'s desk and letters."""

    def held(self) -> Sequence[Held]:
        """Every lease a plan asked for, as this site's book has it."""

    async def free(self, owner: str) -> Sequence[str]:
        """The other site's seats that could be lent now, as it says itself; empty when it says nothing."""

    async def ask(self, owner: str, seat: str, minutes: int, run: str, drill: bool) -> None:
        """Ask for one."""

    def give_back(self, lease: str) -> None:
        """It goes home."""


def spec_of(plan: Plan, directory: Directory) -> Spec:
    """What starting this plan of the configuration does."""

    def contacts(targets: Sequence[SeatTarget | PhoneTarget]) -> tuple[Contact, ...]:
        return tuple(Contact(t.number, t.timeout, t.trunk if isinstance(t, PhoneTarget) else "") for t in targets)

    phones = []
    for one in plan.duty.phones if plan.duty else ():
        linked = directory.linked(one.linkage) if one.linkage else None
        name = linked.name.zh if linked else one.name.zh if one.name else ""
        phones.append(DutyPhone(name, contacts(linked.targets if linked else one.contacts)))
    return Spec(
        plan.name.zh,
        {hotline: prompt_of(plan.front.say) for hotline in plan.front.hotlines} if plan.front else {},
        plan.open, plan.drill.callers, tuple(Lent(s.site, s.count, s.minutes) for s in plan.seats), tuple(phones),
        prompt_of(plan.duty.say) if plan.duty else "", plan.duty.rounds if plan.duty else 1,
        plan.duty.pause if plan.duty else 0, tuple(plan.notify))  # fmt: skip


class Planning:
    """`keep` while the service runs. ``known`` is False while the ledger could not be read: nothing is touched then.
    Duty phones are shown the site's first hotline."""

    def __init__(self, runtime: Runtime, switch: PlanSwitch, desk: Desk, directory: Directory,
                 now_us: Callable[[], int]) -> None:  # fmt: skip
        self._runtime, self._switch, self._desk, self._now = runtime, switch, desk, now_us
        self._directory, self._hotline = directory, directory.hotlines[0].number
        self.known = False
        self._laid: dict[tuple[str, str], str] | None = None
        self._asked: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def link_up(self) -> None:
        """Asterisk is there (again): what it holds is looked at anew."""
        self._laid = None

    def spec(self, plan: Plan) -> Spec:
        """What starting this plan does."""
        return spec_of(plan, self._directory)

    @property
    def laid(self) -> bool:
        """Whether AstDB holds what the active runs ask for, as far as is known."""
        return self._laid is not None and self._laid == dict(plans.rows(self._runtime.site))

    async def keep(self, linked: Callable[[], bool]) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        due = 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            if not (self.known and linked()):
                continue
            await self._tried(self._once())
            if clock() >= due and self.known:
                due = clock() + SEATS_S
                await self._tried(self._seats())
                self._stand(self._now())

    async def _tried(self, action: Awaitable[None]) -> None:
        try:
            await action
        except (AmiError, OSError) as why:  # LettersAway is an OSError; looked at again
            log.info("plans_not_kept", why=str(why))

    async def _once(self) -> None:
        if self._laid is None:
            await self._runtime.ask(lambda _: None)  # what was heard is on record
            self._laid = await self._switch.rows(plans.FAMILIES)
            await self._resume()
        await self._lay(self._laid)
        for run, index in list(plans.due(self._runtime.site, self._now())):
            await self._call(run, index)

    async def _lay(self, laid: dict[tuple[str, str], str]) -> None:
        wanted = plans.rows(self._runtime.site)
        for key in [key for key in laid if key not in wanted]:
            await self._switch.drop(key)
            del laid[key]
        for key, value in wanted.items():
            if laid.get(key) != value:
                await self._switch.put(key, value)
                laid[key] = value

    async def _call(self, run_id: str, index: int) -> None:
        said = await self._runtime.ask(lambda site: plans.call(site, run_id, index, self._now()))
        if isinstance(said, e.DutyCalled):
            await self._send(self._runtime.site.plans[run_id], index)

    async def _send(self, run: PlanRun, index: int) -> None:
        duty, phone = run.duties[index], run.spec.duty[index]
        contact = phone.contacts[plans.contact_of(duty.attempt, len(phone.contacts))]
        log.info("duty_called", run=run.id, duty=phone.name, attempt=duty.attempt)
        await self._switch.call(DutyCall(run.id, index, duty.attempt, contact.number, contact.seconds, contact.trunk,
                                         run.spec.say, self._hotline, run.mark))  # fmt: skip

    async def _resume(self) -> None:
        """After an absence: calls written down and never sent are sent; calls nobody wants any more end."""
        site, there = self._runtime.site, await self._switch.calls()
        wanted = {run.duties[index].attempt: (run, index) for run, index in plans.calling(site)}
        for attempt, channels in there.items():
            if attempt not in wanted:
                for channel in channels:
                    await self._switch.hang_up(channel)
        for attempt, (run, index) in wanted.items():
            if attempt not in there and run.duties[index].state is DutyState.CALLING:
                await self._send(run, index)

    # -- seats of other sites ------------------------------------------------------------------------------------------
    async def _seats(self) -> None:
        """So many of each site as the active runs want together, no lease of a run that is over."""
        site, now = self._runtime.site, self._now()
        wanted = plans.seats(site)
        runs = {run.id for run, _ in wanted}
        held = self._desk.held()
        for one in held:
            if one.open and one.run not in runs:
                self._desk.give_back(one.lease)
        for run, lent in wanted:
            mine = [one for one in held if one.run == run.id and one.owner == lent.site]
            have = sum(one.open for one in mine)
            have += sum(one.taken_back and not one.open and now - one.ended_at < REST_US for one in mine)
            asked = f"{run.id}/{lent.site}"
            if have >= lent.count or now - self._asked.get(asked, 0) < AGAIN_US:
                continue
            taken = {one.seat for one in held if one.open and one.owner == lent.site}
            free = [seat for seat in await self._desk.free(lent.site) if seat not in taken]
            for seat in free[: lent.count - have]:
                self._asked[asked] = now
                await self._desk.ask(lent.site, seat, lent.minutes, run.id, run.drill)

    def lent(self, run: PlanRun) -> Mapping[str, tuple[int, int]]:
        """Site → (seats here now, seats wanted)."""
        held = self._desk.held()
        return {want.site: (sum(one.active for one in held if one.run == run.id and one.owner == want.site), want.count)
                for want in run.spec.seats}  # fmt: skip

    def home(self, run: PlanRun) -> bool:
        """Whether every seat the run borrowed has gone home."""
        return not any(one.open for one in self._desk.held() if one.run == run.id)

    def _stand(self, now: int) -> None:
        for run in plans.active(self._runtime.site):
            if now - max(self._told.get(run.id, 0), run.started_at) >= STANDS_US:
                self._told[run.id] = now
                self._runtime.hear(plans.stands(run, now), "service", f"plan-stands/{run.id}/{now // STANDS_US}")
