"""The site at a glance: what `cti status` shows, and the gauges Prometheus reads. Every figure comes with its rule.

Knows: where each figure is. Must not know: how any of it came about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from cti.clock import local
from cti.core import plans
from cti.core.answer_rate import RULE, TARGET_PERCENT, answer_rate
from cti.core.model import CallbackState, Phase, SeatStatus
from cti.directory import Directory
from cti.ledger.ledger import Ledger
from cti.lending.desk import LeaseDesk
from cti.metrics import Metrics
from cti.runtime import DAY_US, Runtime
from cti.seating import Seating
from cti.settings import SiteSettings

STATES = ("not_inuse", "ringing", "inuse", "talking", "onhold", "busy", "unavailable")
"""of a seat as it is observed; one that nobody is in shows as 0, any other appears when it is seen"""
STATUSES = tuple(str(status) for status in SeatStatus)
TAKE_CALLS = (SeatStatus.READY, SeatStatus.WRAPUP)
UNREACHABLE = ("unavailable", "unknown", "invalid")


class Overview:
    """``links``: which outsides answer; ``devices``: seat or trunk → Asterisk's device state, as last heard."""

    def __init__(self, site: SiteSettings, directory: Directory, runtime: Runtime, ledger: Ledger, seating: Seating,
                 leases: LeaseDesk, links: Callable[[], Mapping[str, bool]], devices: Callable[[], Mapping[str, str]],
                 now_us: Callable[[], int]) -> None:  # fmt: skip
        self._site, self._directory, self._runtime, self._ledger = site, directory, runtime, ledger
        self._seating, self._leases, self._links, self._devices = seating, leases, links, devices
        self._now = now_us

    def seats(self, only: str = "") -> list[dict[str, Any]]:
        """A row a seat: what was declared and what is observed; ``only`` one of them."""
        talking = {c.seat for c in self._runtime.site.calls.values() if c.phase == "talking"}
        return self._seating.rows(self._devices(), talking, only)

    def callbacks(self) -> dict[str, int]:
        """Open callback tasks by priority, without a drill's."""
        tasks = self._runtime.site.callbacks.values()
        open_ones = (t for t in tasks if t.state is not CallbackState.ENDED and not t.drill)
        return dict(Counter(task.priority for task in open_ones))

    def status(self) -> Mapping[str, object]:
        """What `cti status` shows; every figure with its rule. Times are ISO, Asia/Shanghai."""
        now = self._now()
        memory, since = self._runtime.memory, now - DAY_US
        ended = memory.ended.since(since)
        rate = answer_rate(ended, since, now + 1)
        return {
            "site": self._site.code,
            "name": self._site.name.zh,
            "now": local().isoformat(timespec="seconds"),
            "links": dict(self._links()),
            "spool": self._ledger.backlog,
            "window": "24h",
            "offered": rate.offered,
            "answered": rate.answered,
            "abandoned": rate.abandoned,
            "timed_out": rate.timed_out,
            "refused": rate.refused,
            "callback": rate.callback,
            "callbacks_open": self.callbacks(),
            "answer_rate": rate.text,
            "target_percent": TARGET_PERCENT,
            "meets_target": rate.meets_target,
            "rule": RULE,
            "hotlines": {
                h.number: {
                    "name": h.name.zh,
                    "answer_rate": (r := answer_rate(ended, since, now + 1, h.number)).text,
                    "offered": r.offered,
                    "answered": r.answered,
                }
                for h in self._directory.hotlines
            },
            "transfers": [
                {"from": a, "to": b, "outcome": outcome, "count": count}
                for (a, b, outcome), count in sorted(memory.transfers_since(since).items())
            ],
            "live": dict(Counter(str(c.phase) for c in self._runtime.site.calls.values()
                                 if c.phase != "ended" and not c.drill)),
            "calls": [
                {
                    "ref": c.ref, "hotline": c.hotline, "phase": str(c.phase), "seat": c.seat, "seconds":
                    (now - c.arrived_at) // 1_000_000, "transfer": str(c.transfer.state) if c.transfer else "",
                    "to": c.transfer.to if c.transfer else "", "division": c.division, "drill": c.drill,
                }
                for c in self._runtime.site.calls.values() if c.phase != "ended"
            ],
            "seats": self.seats(),
            "dedicated": self._seating.handled(since),
            "plans": [{"plan": run.plan, "run": run.id, "drill": run.drill, "started_at": run.started_at}
                      for run in plans.active(self._runtime.site)],
            "anomalies": len(memory.anomalies.since(since)),
        }  # fmt: skip

    def gauge(self, metrics: Metrics) -> None:
        """Set what is counted now, not added up."""
        metrics.ami_up.set(self._links()["asterisk"])
        phases = Counter(c.phase for c in self._runtime.site.calls.values() if not c.drill)
        running = Counter(run.drill for run in plans.active(self._runtime.site))
        for drill in (False, True):
            metrics.plans.labels("yes" if drill else "no").set(running[drill])
        for phase in Phase:
            if phase is not Phase.ENDED:
                metrics.live_calls.labels(str(phase)).set(phases[phase])
        self._gauge_lines(metrics)
        self._gauge_seats(metrics)
        waiting = self.callbacks()
        for priority in ("high", "normal"):
            metrics.callbacks_open.labels(priority).set(waiting.get(priority, 0))
        metrics.leases.clear()
        for lease in self._leases.leases():
            if lease.open:
                metrics.leases.labels(str(lease.side), str(lease.state)).inc()

    def _gauge_lines(self, metrics: Metrics) -> None:
        now = self._now()
        waiting: dict[str, list[int]] = {h.number: [] for h in self._directory.hotlines}
        for call in self._runtime.site.calls.values():
            if call.phase is Phase.QUEUED and not call.drill and call.hotline in waiting:
                waiting[call.hotline].append(now - call.queued_at)
        for hotline in self._directory.hotlines:
            label, times = (hotline.platform, hotline.number), waiting[hotline.number]
            metrics.waiting.labels(*label).set(len(times))
            metrics.longest.labels(*label).set(max(0, *times, 0) / 1_000_000)
        devices = self._devices()
        for trunk in self._directory.trunks:
            if devices:  # nobody can be asked without the link, whose loss is an alert of its own
                metrics.trunks.labels(trunk.name).set(devices.get(trunk.name, "UNAVAILABLE") != "UNAVAILABLE")

    def _gauge_seats(self, metrics: Metrics) -> None:
        rows = self.seats()
        kinds = sorted({(r["platform"], r["kind"]) for r in rows})
        free = Counter((r["platform"], r["kind"]) for r in rows
                       if r["status"] == SeatStatus.READY and r["state"] == "not_inuse")  # fmt: skip
        serving = Counter((r["platform"], r["kind"]) for r in rows
                          if r["status"] in TAKE_CALLS and r["state"] not in UNREACHABLE)  # fmt: skip
        for kind in kinds:
            metrics.seats_free.labels(*kind).set(free[kind])
            metrics.seats_serving.labels(*kind).set(serving[kind])
        for gauge, part, known in ((metrics.seats, "state", STATES), (metrics.seat_status, "status", STATUSES)):
            counts = Counter((r["platform"], r["kind"], r[part]) for r in rows)
            gauge.clear()
            for labels in sorted({(*kind, value) for kind in kinds for value in known} | set(counts)):
                gauge.labels(*labels).set(counts[labels])
