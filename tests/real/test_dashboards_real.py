"""Every panel of every dashboard, its queries run on a real Prometheus that watched real calls: the values are those of
the ledger of that run. Exemplars arrive there too, and the alerts of what was wrong.

One story: a transfer by key in each direction, a caller who gives up, one who finds the line full and is passed
on to 110, one who still waits while the panels are read.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cti.core.facts import Fact
from cti.dashboards import Panel, Query, boards
from cti.dialtest.phone import Answer, Ring
from cti.dialtest.play import play
from cti.dialtest.report import Report
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.directory.hotlines import Overflow
from cti.metrics import WAIT_BOUNDS
from cti.probes import FOLDER, Probe, keep
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.test_queues import lines

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

Labels = tuple[str, ...]
Vector = Mapping[Labels, float]
WINDOW_S = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True)
class Between:
    """A value that is known to lie in here."""

    low: float
    high: float


@dataclass
class Truth:
    """What happened, told by the ledger; ``page``: what the service itself says it has counted."""

    facts: Sequence[Fact]
    page: Mapping[str, list[tuple[Mapping[str, str], float]]]
    reports: Mapping[str, Report]

    def __post_init__(self) -> None:
        ended = [f.data for f in self.facts if f.kind == "CallEnded"]
        self.calls = Counter((str(d["hotline"]), str(d["outcome"])) for d in ended)
        self.waits = [int(str(d["wait_ms"])) / 1000 for d in ended if d["outcome"] == "answered"]
        moved = [f.data for f in self.facts if f.kind == "TransferEnded"]
        self.moved = Counter((str(d["first_platform"]), str(d["to"]), str(d["outcome"])) for d in moved)
        self.keys = [((str(d["first_platform"]), str(d["to"])), int(str(d["answer_ms"])) / 1000)
                     for d in moved if int(str(d["answer_ms"])) >= 0]  # fmt: skip

    def asked(self, hotline: str = "") -> int:
        return sum(n for (h, outcome), n in self.calls.items()
                   if outcome in ("answered", "abandoned", "callback", "timeout", "refused") and hotline in ("", h))

    def answered(self, hotline: str = "") -> int:
        return sum(n for (h, outcome), n in self.calls.items() if outcome == "answered" and hotline in ("", h))

    def rate(self) -> Vector:
        return {(): self.answered() / self.asked()}

    def rates(self) -> Vector:
        return {(h,): self.answered(h) / self.asked(h) for h in ("12345", "110") if self.asked(h)}

    def count(self, kind: str) -> int:
        return sum(f.kind == kind for f in self.facts)

    def told(self, name: str, *labels: str, **only: str) -> Vector:
        """The service's own counts of a name, summed by labels."""
        made: Counter[Labels] = Counter()
        for of, value in self.page[name]:
            if all(of.get(k) == v for k, v in only.items()):
                made[tuple(of[label] for label in labels)] += value  # type: ignore[assignment]
        return dict(made)


def bucket(values: Sequence[float], q: float, bounds: Sequence[float] = WAIT_BOUNDS) -> Between:
    """Where a quantile read from buckets must lie."""
    one = sorted(values)[min(len(values) - 1, max(0, int(len(values) * q + 0.999999) - 1))]
    high = next(b for b in bounds if one <= b)
    return Between(max((b for b in bounds if b < high), default=0.0), high)


def by_way(t: Truth, q: float) -> dict[Labels, float | Between]:
    ways = {way for way, _ in t.keys}
    return {way: bucket([s for w, s in t.keys if w == way], q) for way in ways}


Expected = Callable[[Truth], Mapping[Labels, float | Between]]
SITE = ("530100",)


def nothing(value: float = 0.0) -> Expected:
    return lambda t: {(): value}


def answered_within(le: float) -> Expected:
    return lambda t: {(): float(sum(wait <= le for wait in t.waits))}


def share(t: Truth) -> Mapping[Labels, float | Between]:
    return {SITE: t.answered() / t.asked()}


def silences(t: Truth) -> Mapping[Labels, float | Between]:
    own: dict[Labels, float | Between] = {
        (name,): max(run.silent_ms for run in report.runs) / 1000 for name, report in t.reports.items()
    }
    return own | {("races",): 1.5}


TRUTH: dict[tuple[str, str], Sequence[Expected]] = {
    ("operations", "rate-15m"): [lambda t: t.rate()],
    ("operations", "rate-24h"): [lambda t: t.rate()],
    ("operations", "rate-30d"): [lambda t: t.rate()],
    ("operations", "waiting"): [nothing(1)],
    ("operations", "longest"): [lambda t: {(): Between(0.5, 60)}],
    ("operations", "free"): [lambda t: {(): t.told("cti_seats_free")[()]}],
    ("operations", "rate-by-hotline"): [lambda t: t.rates()],
    ("operations", "outcomes"): [lambda t: {(o,): float(sum(n for (_, x), n in t.calls.items() if x == o))
                                            for o in ("answered", "abandoned")}],
    ("operations", "waiting-by-hotline"): [lambda t: {("12345",): 1}],
    ("operations", "wait"): [lambda t: {(): bucket(t.waits, 0.5)}, lambda t: {(): bucket(t.waits, 0.95)}],
    ("operations", "in-15s"): [lambda t: t.rates()],  # whoever was answered was so within 15 s
    ("operations", "seats-by-state"): [lambda t: t.told("cti_seats", "state")],
    ("operations", "seats-by-status"): [lambda t: {("ready",): 11}],
    ("operations", "transfers"): [lambda t: {way: float(n) for way, n in t.moved.items()}],
    ("operations", "key-to-answer"): [lambda t: by_way(t, 0.5), lambda t: by_way(t, 0.95)],
    ("operations", "transfer-failed"): [lambda t: {way: 0.0 for way, _ in t.keys}],
    ("operations", "overflow"): [lambda t: {(): float(t.count("CallerOverflowed"))}, nothing(0)],
    ("operations", "leases"): [nothing(0), nothing(0)],
    ("operations", "callbacks"): [lambda t: {("normal",): float(t.count("CallbackDue"))}],
    ("site", "hotlines"): [
        lambda t: t.rates(), lambda t: t.rates(), lambda t: t.rates(),
        lambda t: {(h,): float(t.asked(h)) for h in ("12345", "110")},
        lambda t: {("12345",): 1}, lambda t: {("12345",): Between(0.5, 60)}],
    ("site", "wait-buckets"): [
        answered_within(le) for le in (5, 10, 15, 20, 30, 60, 1e9)],
    ("site", "serving"): [lambda t: t.told("cti_seats_serving", "platform", "kind")],
    ("site", "free"): [lambda t: t.told("cti_seats_free", "platform", "kind")],
    ("site", "misses"): [lambda t: {(): float(t.count("RingMissed"))}],
    ("site", "handed-over"): [lambda t: {(to, "dedicated"): float(sum(n for (_, x, o), n in t.moved.items()
                                                                      if x == to and o == "answered"))
                                         for to in ("12345", "110")}],
    ("site", "conferences"): [lambda t: {("12345",): 0.0}],
    ("site", "disputes"): [nothing(0)],
    ("site", "trunks"): [lambda t: {("pstn",): 1}],
    ("site", "disk"): [lambda t: {(): Between(0.98 * t.told("cti_recordings_free_bytes")[()],
                                              1.02 * t.told("cti_recordings_free_bytes")[()])}],
    ("site", "recordings"): [lambda t: t.told("cti_recordings_total", "what")],
    ("province", "rate-24h"): [lambda t: t.rate()],
    ("province", "rate-30d"): [lambda t: t.rate()],
    ("province", "asked"): [lambda t: {(): float(t.asked())}],
    ("province", "sites"): [nothing(1)],
    ("province", "table"): [
        share, share, share, lambda t: {SITE: float(t.asked())}, lambda t: {SITE: 1},
        lambda t: {SITE: Between(0.5, 60)}, lambda t: {SITE: t.told("cti_seats_serving")[()]},
        lambda t: {SITE: t.told("cti_seats_free")[()]}, lambda t: {SITE: 1}],
    ("province", "rate-by-site"): [share],
    ("province", "asked-by-site"): [lambda t: {SITE: float(t.asked())}],
    ("province", "transfers-by-site"): [lambda t: {SITE: float(sum(n for (_, _, o), n in t.moved.items()
                                                                   if o == "answered"))}],
    ("province", "borrowed"): [lambda t: {SITE: 0.0}],
    ("health", "up"): [lambda t: {SITE: 1}],
    ("health", "ami"): [lambda t: {SITE: 1}],
    ("health", "ledger"): [lambda t: {SITE: 1}],
    ("health", "spool"): [lambda t: {SITE: 0.0}],
    ("health", "lost"): [lambda t: {SITE: 0.0}],
    ("health", "anomalies"): [lambda t: {SITE: float(t.count("Anomaly"))}],
    ("health", "alerts"): [lambda t: {("DeadAirFound", "firing"): 1, ("DialTestFailed", "firing"): 1}],
    ("health", "dialtest"): [silences],
    ("health", "facts"): [lambda t: {(s,): Between(0.9 * n / 300, 1.15 * n / 300)
                                     for s, n in Counter(f.source for f in t.facts).items()}],
    ("health", "append"): [lambda t: {where: Between(0.0001, 5)
                                      for where in t.told("cti_ledger_append_seconds_count", "where")}],
    ("health", "ledger-events"): [lambda t: t.told("cti_ledger_events_total", "what")],
    ("health", "agi"): [lambda t: {("entry",): Between(0.0005, 1.0)}],
    ("health", "commands"): [lambda t: t.told("cti_commands_total", "result")],
    ("health", "live"): [lambda t: {("queued",): 1, ("talking",): 1}],
    ("health", "memory"): [lambda t: {SITE: Between(0.8 * t.told("process_resident_memory_bytes")[()],
                                                    1.2 * t.told("process_resident_memory_bytes")[()])}],
    ("health", "cpu"): [lambda t: {SITE: Between(0.0001, 2)}],
    ("health", "fds"): [lambda t: {SITE: Between(t.told("process_open_fds")[()] - 5,
                                                 t.told("process_open_fds")[()] + 5)}],
}  # fmt: skip
NAMES = {("health", "alerts"): ("alertname", "alertstate")}
"""of the labels of an answer those that are compared; else all but the site"""


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._at = f"http://127.0.0.1:{port}/api/v1/"

    async def ask(self, what: str, **words: str | float) -> Any:
        def fetch() -> Any:
            with urllib.request.urlopen(f"{self._at}{what}?{urllib.parse.urlencode(words)}", timeout=5) as answer:
                return json.load(answer)["data"]

        return await asyncio.to_thread(fetch)

    async def vector(self, expr: str) -> list[tuple[dict[str, str], float]]:
        found = await self.ask("query", query=expr.replace('"$site"', '"530100"').replace("$site", "530100"))
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]


def wrong(found: list[tuple[dict[str, str], float]], names: Sequence[str],
          expected: Mapping[Labels, float | Between]) -> str:  # fmt: skip
    """What is not as it should be; increments are extrapolated by Prometheus and may be off by a tenth."""
    if not found:
        return "empty"
    seen = {tuple(labels.get(name, "") for name in names): value for labels, value in found}
    for key, want in expected.items():
        if key not in seen:
            return f"no {key}"
        low, high = (want.low, want.high) if isinstance(want, Between) else (want * 0.999 - 1e-9, want * 1.12 + 1e-9)
        if isinstance(want, float) and 0 < want < 1:
            low, high = want - 1e-3, want + 1e-3
        if not low <= seen[key] <= high:
            return f"{key}: {seen[key]}, not {want}"
    more = {key: value for key, value in seen.items() if value and key not in expected}
    return f"unexpected {more}" if more else ""


def names_of(board: str, panel: Panel, found: list[tuple[dict[str, str], float]],
             wanted: Mapping[Labels, Any]) -> Sequence[str]:  # fmt: skip
    if (board, panel.key) in NAMES:
        return NAMES[board, panel.key]
    labels = sorted({name for one, _ in found for name in one} - {"__name__"})
    if next(iter(wanted), ()) == SITE:
        return ["site"]
    order = ["first_platform", "to", "outcome", "by", "platform", "kind"]
    return sorted((name for name in labels if name != "site"), key=lambda n: order.index(n) if n in order else 99)


def page(port: int) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=3) as answer:
        text = answer.read().decode()
    made: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            made.setdefault(sample.name, []).append((sample.labels, sample.value))
    return made


async def settled(on: Stage, kind: str, number: int, seconds: float = 12) -> None:
    for _ in range(int(seconds * 10)):
        if sum(f.kind == kind for f in await on.facts()) >= number:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"never {number} {kind}")


async def every_panel(prometheus: Prometheus, told: Callable[[], Any], seconds: float = 12) -> dict[str, str]:
    """Panels whose answers are not the truth, once Prometheus has had time to look and to compute."""
    deadline, faults = time.monotonic() + seconds, dict[str, str]()
    todo: list[tuple[str, Panel, int, Query]] = [
        (b.key, p, n, q) for b in boards() for p in b.panels for n, q in enumerate(p.queries)]
    while todo and time.monotonic() < deadline:
        truth: Truth = await told()
        later = []
        for board, panel, n, query in todo:
            expected = TRUTH[board, panel.key][n](truth)
            found = await prometheus.vector(query.expr)
            what = wrong(found, names_of(board, panel, found, expected), expected)
            if what:
                later.append((board, panel, n, query))
                faults[f"{board}/{panel.key}/{n}"] = what
            else:
                faults.pop(f"{board}/{panel.key}/{n}", None)
        todo = later
        await asyncio.sleep(0.5)
    return faults


async def test_every_panel_shows_what_the_ledger_holds(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    assert {(b.key, p.key) for b in boards() for p in b.panels} == set(TRUTH)
    assert all(len(TRUTH[b.key, p.key]) == len(p.queries) for b in boards() for p in b.panels)
    directory = lines(directory, "12345", max_waiting=1, overflow=Overflow(after=60, to="110"))
    directory = directory.model_copy(update={"trunks": tuple(t.model_copy(update={"qualify": 0})
                                                             for t in directory.trunks)})  # fmt: skip
    async with Instance(runtime_root, tmp_path / "state", directory, folder("config"), folder("dialplan"),
                        watch=0.5) as made:  # fmt: skip
        prometheus = Prometheus(made.ports.prometheus)
        async with stage(made, seats=[], callers=0, first_tone=50) as record:
            reports = {}
            for scenario, n in (("onekey-12345-110", 1), ("onekey-110-12345", 1)):
                reports[scenario] = report = await play(made, scenario, n, seed=7)
                assert all(run.ref for run in report.runs)  # its bars of time are not this test's claim
                keep(made.state / "cti" / FOLDER, report.probe(time.time()))
            keep(made.state / "cti" / FOLDER, Probe("races", 1, 1, 1, 1500.0, time.time()))
            async with stage(made, seats=["1001", "1002", "8101"], callers=3) as on:
                on.seats["1001"].on_invite = on.seats["1002"].on_invite = Ring()
                on.seats["8101"].on_invite = Answer(0.05)
                gone, waits, full = on.callers
                calls = [await gone.dial("12345", caller_id="13800000001")]
                assert await calls[0].wait_answered(3)
                await asyncio.sleep(0.7)
                calls[0].hangup()
                await settled(record, "CallEnded", 3)
                calls.append(await waits.dial("12345", caller_id="13800000002"))
                assert await calls[-1].wait_answered(3)
                await settled(on, "CallerQueued", 2)
                calls.append(await full.dial("12345", caller_id="13800000003"))
                assert await whose([on.seats["8101"]], "13800000003", 8) is not None
                await settled(record, "TransferEnded", 2)

                async def told() -> Truth:
                    return Truth(await record.facts(), await asyncio.to_thread(page, made.ports.http), reports)

                faults = await every_panel(prometheus, told)
                assert faults == {}, json.dumps(faults, ensure_ascii=False, indent=1)
                await the_exemplars_name_calls_of_the_ledger(prometheus, await record.facts())
                for call in calls[1:]:
                    call.hangup()


async def the_exemplars_name_calls_of_the_ledger(prometheus: Prometheus, facts: Sequence[Fact]) -> None:
    found = await prometheus.ask("query_exemplars", query="cti_answer_wait_seconds_bucket",
                                 start=time.time() - 300, end=time.time() + 5)  # fmt: skip
    refs = {one["labels"]["ref"] for series in found for one in series["exemplars"]}
    answered = {f.ref for f in facts if f.kind == "CallEnded" and f.data["outcome"] == "answered"}
    assert refs and refs <= answered
    assert all(set(one["labels"]) == {"ref"} for series in found for one in series["exemplars"])
    assert "1380000" not in json.dumps(found), "no caller's number"
    rules = await prometheus.ask("rules")
    assert all(rule["health"] == "ok" for group in rules["groups"] for rule in group["rules"])
    assert {"cti-answer-rate", "cti-parts"} <= {group["name"] for group in rules["groups"]}
