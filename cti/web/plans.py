"""`/api/v1/plans`: emergency plans (应急联动方案): which there are, what runs, starting, stopping, the report of a run.

Knows: JSON and tokens, which numbers a role may see. Must not know: the rules (`cti.core.plan_desk`, `cti.core.plans`),
how what a plan asks for is carried out (`cti.planning`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core import events as e
from cti.core import plan_desk, plan_report
from cti.core.asking import No
from cti.core.facts import Fact
from cti.core.plan_model import DUTY_ENDED, DutyNow, DutyPhone, PlanRun, Spec
from cti.directory import Directory, Plan
from cti.web.auth import Tokens, Who
from cti.web.problems import Refused
from cti.web.transfers import Desk, answer, checked, read_json

DAY_US = 86_400_000_000
Between = Callable[[int, int], Awaitable[Sequence[Fact]]]


class StartBody(BaseModel):
    """``drill``: everything real, marked; only calls of the plan's drill callers are the drill's."""

    model_config = ConfigDict(extra="forbid")

    drill: Annotated[bool, Field(strict=True)] = False


class ReceivedBody(BaseModel):
    """``platform``: whose word it is that it knows."""

    model_config = ConfigDict(extra="forbid")

    platform: Literal["12345", "110"]


class Keeper(Protocol):
    """`cti.planning.Planning`, as far as it is needed here."""

    @property
    def laid(self) -> bool:
        """Asterisk has what the active runs ask for."""

    def spec(self, plan: Plan) -> Spec:
        """What starting it does."""

    def lent(self, run: PlanRun) -> Mapping[str, tuple[int, int]]:
        """Site → (seats here now, wanted)."""

    def home(self, run: PlanRun) -> bool:
        """Every seat it borrowed has gone home."""


class PlansApi:
    """Routes of `/api/v1/plans`. ``between``: the ledger's facts of a stretch of time (µs); ConnectionError without
    Redis. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, directory: Directory, keeper: Keeper, site: str, between: Between,
                 now_us: Callable[[], int]) -> None:  # fmt: skip
        self._desk, self._tokens, self._directory, self._keeper = desk, tokens, directory, keeper
        self._site, self._between, self._now = site, between, now_us

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/plans", self._list)
        app.router.add_get("/api/v1/plans/{name}", self._get)
        app.router.add_post("/api/v1/plans/{name}/start", self._start)
        app.router.add_post("/api/v1/plans/{name}/stop", self._stop)
        app.router.add_post("/api/v1/plans/{name}/received", self._received)
        app.router.add_get("/api/v1/plans/{name}/report", self._report)

    def _who(self, request: web.Request) -> Who:
        return self._tokens.read(request.headers.get("Authorization", ""))

    def _acting(self, request: web.Request) -> Who:
        who = self._who(request)
        if who.role not in ("supervisor", "coordinator"):
            raise Refused("wrong-role")
        return who

    async def _list(self, request: web.Request) -> web.Response:
        who = self._who(request)
        names = dict.fromkeys([*(p.id for p in self._directory.plans), *(r.plan for r in self._runs())])
        return answer({"site": self._site, "laid": self._keeper.laid,
                       "plans": [self._show(name, who) for name in names]}, 200)  # fmt: skip

    async def _get(self, request: web.Request) -> web.Response:
        who, name = self._who(request), request.match_info["name"]
        if self._directory.plan(name) is None and plan_desk.latest(self._desk.site, name) is None:
            raise Refused("unknown-plan")
        return answer({"site": self._site, "laid": self._keeper.laid, **self._show(name, who)}, 200)

    async def _start(self, request: web.Request) -> web.Response:
        who, name = self._acting(request), request.match_info["name"]
        body = checked(StartBody, await read_json(request)) if request.can_read_body else StartBody()
        plan = self._directory.plan(name)
        if plan is None:
            raise Refused("unknown-plan")
        if self._site not in plan.sites:
            raise Refused("plan-elsewhere", f"sites: {', '.join(plan.sites)}")
        spec, key = self._keeper.spec(plan), _key(request, who)
        said = await self._desk.ask(
            lambda site: plan_desk.start(site, name, spec, body.drill, who.role, self._now(), key))  # fmt: skip
        if isinstance(said, No):
            raise Refused(said.code)
        return answer(self._show(name, who), 201 if isinstance(said, e.PlanStarted) else 200)

    async def _stop(self, request: web.Request) -> web.Response:
        who, name = self._acting(request), request.match_info["name"]
        if self._directory.plan(name) is None and plan_desk.latest(self._desk.site, name) is None:
            raise Refused("unknown-plan")
        said = await self._desk.ask(lambda site: plan_desk.stop(site, name, who.role, self._now()))
        if isinstance(said, No):
            raise Refused(said.code)
        return answer(self._show(name, who), 200)

    async def _received(self, request: web.Request) -> web.Response:
        who, name = self._who(request), request.match_info["name"]
        body = checked(ReceivedBody, await read_json(request))
        if who.role == "read-only" or (who.role == "agent" and self._platform(who.seat) != body.platform):
            raise Refused("wrong-role", "platform")
        by = who.seat or who.role
        said = await self._desk.ask(lambda site: plan_desk.receive(site, name, body.platform, by, self._now()))
        if isinstance(said, No):
            raise Refused(said.code)
        return answer(self._show(name, who), 200)

    async def _report(self, request: web.Request) -> web.Response:
        self._who(request)
        name, wanted, now = request.match_info["name"], request.query.get("run", ""), self._now()
        run = self._desk.site.plans.get(wanted) if wanted else plan_desk.latest(self._desk.site, name)
        start = run.started_at if run else _started(wanted, name)
        if start is None:
            raise Refused("no-run")
        until = min(now, (run.stopped_at + plan_report.LATE_US if run and run.stopped_at else start + 8 * DAY_US))
        try:
            facts = await self._between(start, until)
        except ConnectionError:
            raise Refused("ledger-away") from None
        run = run or plan_report.run_of(facts, wanted)
        if run is None:
            raise Refused("no-run")
        return answer(plan_report.report(run, facts, now), 200)

    # -- as JSON -------------------------------------------------------------------------------------------------------
    def _runs(self) -> list[PlanRun]:
        return sorted(self._desk.site.plans.values(), key=lambda run: run.started_at)

    def _platform(self, seat: str) -> str:
        found = self._directory.seat(seat)
        return found.platform if found else ""

    def _show(self, name: str, who: Who) -> dict[str, Any]:
        """A plan and its latest run. Times in µs since the epoch, 0: not yet. Telephone numbers whole for a supervisor
        and the coordinator; their last two digits for the others."""
        plan, run = self._directory.plan(name), plan_desk.latest(self._desk.site, name)
        shown: dict[str, Any] = {"plan": name, "running": bool(run and run.active)}
        if plan is not None:
            shown |= {"name": plan.name.model_dump(), "sites": list(plan.sites), "divisions": list(plan.divisions),
                      "here": self._site in plan.sites}  # fmt: skip
        if run is not None:
            shown["run"] = self._show_run(run, who.role in ("supervisor", "coordinator"))
        return shown

    def _show_run(self, run: PlanRun, whole: bool) -> dict[str, Any]:
        spec = run.spec
        return {
            "id": run.id, "drill": run.drill, "by": run.by, "started_at": run.started_at, "stopped_at": run.stopped_at,
            "stopped_by": run.stopped_by, "front": sorted(spec.front), "open": list(spec.open),
            "seats": [{"from": site, "here": here, "wanted": wanted}
                      for site, (here, wanted) in self._keeper.lent(run).items()],
            "home": self._keeper.home(run),
            "notified": {to: run.received.get(to, 0) for to in spec.notify},
            "duties": [_duty(phone, now, whole) for phone, now in zip(spec.duty, run.duties, strict=True)],
            "duties_open": sum(now.state not in DUTY_ENDED for now in run.duties),
        }  # fmt: skip


def _duty(phone: DutyPhone, now: DutyNow, whole: bool) -> dict[str, Any]:
    contact = phone.contacts[(max(now.tries, 1) - 1) % len(phone.contacts)].number if now.tries else ""
    number = now.by or contact
    return {"name": phone.name, "state": str(now.state), "tries": now.tries, "told": now.told, "last": now.last,
            "number": number if whole or not number else f"…{number[-2:]}", "ended_at": now.ended_at}  # fmt: skip


def _started(run_id: str, plan: str) -> int | None:
    """When a run began (µs), by its id; None: it is none of this plan's."""
    name, _, ms = run_id.rpartition("-")
    return int(ms) * 1000 if name == plan and ms.isdecimal() and len(ms) < 16 else None


def _key(request: web.Request, who: Who) -> str:
    """Of the Idempotency-Key and who asks; "" without one."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 200:
        raise Refused("invalid-field", "Idempotency-Key: 至多 200 个字符 / at most 200 characters")
    return hashlib.blake2s(f"{who.role}\0{key}".encode(), digest_size=8).hexdigest() if key else ""
