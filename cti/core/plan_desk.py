"""What may be asked of an emergency plan, and the answer: pure rules ahead of `plans`.

Knows: the site's runs. Must not know: HTTP, tokens, the directory's files.
"""

from __future__ import annotations

from cti.core import events as e
from cti.core.asking import No
from cti.core.model import Site
from cti.core.plan_model import PlanRun, Spec
from cti.core.plans import active

PLAN_CODES: dict[str, tuple[str, str]] = {
    "unknown-plan": ("没有这个方案", "no such plan"),
    "plan-runs": ("方案已启动", "the plan runs already"),
    "plan-not-running": ("方案没有在运行", "the plan does not run"),
    "plan-elsewhere": ("方案不适用于本站点", "the plan is not for this site"),
    "drill-callers-taken": ("演练来电号码已用于另一演练", "another drill has these callers"),
    "no-run": ("没有这次启动的记录", "no such run on record"),
    "not-notified": ("方案不通报该平台", "the plan does not notify this platform"),
}
"""refusal → what is said of it (Chinese, English)"""


def running(site: Site, plan: str) -> PlanRun | None:
    """The active run of a plan."""
    return next((run for run in site.plans.values() if run.plan == plan and run.active), None)


def latest(site: Site, plan: str) -> PlanRun | None:
    """The active run of a plan, else the last one that is still in sight."""
    runs = [run for run in site.plans.values() if run.plan == plan]
    return max(runs, key=lambda run: (run.active, run.started_at), default=None)


def start(site: Site, plan: str, spec: Spec, drill: bool, by: str, at: int,
          request: str = "") -> e.PlanStarted | PlanRun | No:  # fmt: skip
    """The start to write, the run this very request has started already, or why not."""
    run = running(site, plan)
    if run is not None:
        return run if request and run.request == request and run.drill == drill else No("plan-runs")
    taken = {caller for other in active(site) if other.drill for caller in other.spec.callers}
    if drill and taken & set(spec.callers):
        return No("drill-callers-taken")
    made = f"{plan}-{at // 1000}"
    return e.PlanStarted("", at, made, plan, spec.text, made if drill else "", by, request)


def stop(site: Site, plan: str, by: str, at: int) -> e.PlanStopped | No:
    """The stop to write, or why not."""
    run = running(site, plan)
    return e.PlanStopped("", at, run.id, by) if run else No("plan-not-running")


def receive(site: Site, plan: str, platform: str, by: str, at: int) -> e.NoticeReceived | PlanRun | No:
    """The other platform's word that it knows, the run that has it already, or why not."""
    run = running(site, plan)
    if run is None:
        return No("plan-not-running")
    if platform not in run.spec.notify:
        return No("not-notified")
    return run if platform in run.received else e.NoticeReceived("", at, run.id, platform, by)
