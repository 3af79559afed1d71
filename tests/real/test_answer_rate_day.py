"""Official and live figures agree over a day with kills, outages and clock edges: the real runtime, metrics and ledger
on a real Valkey, by a simulated clock.

The ledger attributes a call by its arrival, a counter by its end, so a part of the day may differ by the calls that are
in progress at its edge; the whole is the same to the call. Samples are summed up as Prometheus' increase() does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cti.core import events as e
from cti.core.answer_rate import AnswerRate, EndedCall, Tally, answer_rate
from cti.core.commands import Command
from cti.core.rate_report import Asked
from cti.core.spans import day, month
from cti.counting import KeptCounts
from cti.history import History
from cti.ledger.days import Days
from cti.ledger.ledger import Ledger
from cti.metrics import Metrics
from cti.runtime import Runtime
from cti.stack.netports import free_tcp_port, release
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real

SITE = "530100"
S = 1_000_000
MIDNIGHT = day("2026-12-01").start
START = MIDNIGHT - 4 * 3600 * S
END = MIDNIGHT + 20 * 3600 * S
SCRAPE = 15 * S
CALLS = 220
NAMES = {"answered": "answered", "abandoned": "abandoned", "timeout": "timed_out", "refused": "refused",
         "callback": "callback"}  # fmt: skip


def story(n: int, at: int, rng: random.Random) -> tuple[str, str, list[e.Event]]:
    """One call: hotline, outcome, steps. Long ones hang over whatever edge comes."""
    hotline = rng.choice(("12345", "12345", "12329", "110"))
    platform = "110" if hotline == "110" else "12345"
    ref = f"{SITE}-{at // S}.{n}"
    outcome = rng.choices(("answered", "abandoned", "timeout", "refused", "callback", "unasked"),
                          (80, 6, 4, 3, 3, 4))[0]  # fmt: skip
    wait, talk = rng.randrange(1, 40) * S, rng.choice((30, 200, 900, 5000)) * S
    steps: list[e.Event] = [e.CallArrived(ref, at, hotline, "13800001111", platform=platform)]
    if outcome not in ("unasked", "refused"):
        steps.append(e.CallerQueued(ref, at + S, hotline))
    over = at + S + wait
    if outcome == "answered":
        steps.append(e.SeatAnswered(ref, over, "1001", platform, "queue", "general"))
        if rng.random() < 0.3:
            one, key = f"{ref}-17", over + talk // 3
            steps += [e.TransferStarted(ref, key, one, "110", "1001"), e.TargetTried(ref, key + 1, one, 1, "110")]
            if rng.random() < 0.7:
                steps += [e.TargetAnswered(ref, key + 4 * S, one, "8001", "110", "dedicated"),
                          e.CallerJoined(ref, key + 4 * S + 20_000)]  # fmt: skip
            else:
                steps.append(e.TransferFailed(ref, key + 8 * S, one, "timeout"))
        over += talk
    elif outcome == "callback":
        steps.append(e.CallbackAsked(ref, over, "13800001111"))
    elif outcome in ("timeout", "refused"):
        steps.append(e.CallerNotServed(ref, over, "TIMEOUT" if outcome == "timeout" else "CLOSED"))
    return hotline, outcome, [*steps, e.CallerLeft(ref, over + S)]


@dataclass
class Switch:
    """No Asterisk: commands go nowhere."""

    async def carry_out(self, command: Command) -> e.Event | None:
        return None


@dataclass
class Prometheus:
    """Scrapes, and what increase() makes of them. A sample a series a scrape, at multiples of 15 s while we are up."""

    last: Counter[tuple[str, str]] = field(default_factory=Counter)
    total: Counter[tuple[str, str]] = field(default_factory=Counter)
    resets: int = 0

    def scrape(self, metrics: Metrics) -> None:
        now = metrics.calls_counted()
        for series in {*now, *self.last}:
            grown = now[series] - self.last[series]
            self.resets += grown < 0
            self.total[series] += now[series] if grown < 0 else grown
        self.last = now


class Day:
    """The site through a day: services that come and go, and what Asterisk's record would tell the next one."""

    def __init__(self, server: ValkeyServer, folder: Path) -> None:
        self.server, self.folder, self.now = server, folder, START
        self.prometheus = Prometheus()
        self.redis_up = True
        self.resume = True

    @contextlib.asynccontextmanager
    async def service(self) -> AsyncIterator[tuple[Runtime, Metrics, KeptCounts, Ledger]]:
        """One life, as `cti.app` wires it; leaving it is a kill: no last scrape, nothing written down."""
        metrics = Metrics()
        ledger = Ledger(SITE, self.server.url, self.folder / "spool.db", now_ms=lambda: self.now // 1000,
                        append_timeout=0.5)  # fmt: skip
        counts = KeptCounts(ledger, metrics)
        runtime = Runtime(counts, Switch(), metrics, lambda: self.now, lambda: self.now)
        tasks: list[asyncio.Future[object]] = [asyncio.ensure_future(ledger.run())]
        try:
            if self.redis_up:
                await until(lambda: ledger.link_up)
                assert await History(ledger, runtime, lambda: self.now).adopt()
                if self.resume:
                    await counts.resume()
            else:
                await counts.begin_anew()
            tasks.append(asyncio.ensure_future(runtime.run()))
            yield runtime, metrics, counts, ledger
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await ledger.aclose()

    def tell(self, runtime: Runtime, steps: list[e.Event], source: str) -> None:
        for step in steps:
            runtime.hear(step, source, f"k/{step.ref}/{type(step).__name__}/{step.at}")  # type: ignore[arg-type]

    async def live(self, steps: list[e.Event], last: int, *, away: range = range(0), kept: bool = True) -> None:
        """A life that ends `last`, among its steps: its first rows are caught up, then it hears live. `away`: steps
        during which Redis is dead. The values are written down every 5 steps or so."""
        caught_up = [s for s in steps if s.at <= self.now]
        async with self.service() as (runtime, metrics, counts, ledger):
            self.tell(runtime, caught_up, "cel")
            await until(lambda: runtime.backlog == 0)
            for n, step in enumerate([s for s in steps if self.now < s.at <= last]):
                if away and n == away.start:
                    self.server.kill()
                if away and n == away.stop:
                    await self.server.start()
                    await until(lambda: ledger.backlog == 0 and ledger.link_up)
                if step.at // SCRAPE > self.now // SCRAPE:
                    self.prometheus.scrape(metrics)
                self.now = step.at
                self.tell(runtime, [step], "live")
                if n % 7 != 3:  # else the next comes with it
                    await until(lambda: runtime.backlog == 0)
                if n % 5 == 0 and kept:
                    await counts.write()
            self.now = last
            # here it is killed: what it counted since the last scrape, Prometheus never saw


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Day]:
    server = ValkeyServer(tmp_path / "valkey", free_tcp_port())
    await server.start()
    yield Day(server, tmp_path)
    server.kill()
    release(server.port)


async def until(what: object, seconds: float = 10.0) -> None:
    assert callable(what)
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0)
            await asyncio.sleep(0.0005)


def made(seed: int) -> tuple[list[EndedCall], list[e.Event], dict[str, int]]:
    """The day's calls as they were invented: their truth, their steps in order, when each ended."""
    rng = random.Random(seed)
    arrivals = sorted(rng.randrange(START, END - 3 * 3600 * S) for _ in range(CALLS))
    # edges: to the very instant, and calls that talk across midnight (and the month's end)
    arrivals += [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1, *(MIDNIGHT - k * 60 * S for k in range(1, 12))]
    calls, steps, ends = [], list[e.Event](), {}
    for n, at in enumerate(sorted(arrivals)):
        hotline, outcome, told = story(n, at, rng)
        calls.append(EndedCall(at, hotline, outcome))
        steps += told
        ends[told[0].ref] = told[-1].at
    return calls, sorted(steps, key=lambda s: s.at), ends


def counted(total: Counter[tuple[str, str]], hotline: str) -> AnswerRate:
    return AnswerRate(**{name: total[hotline, outcome] for outcome, name in NAMES.items()})


def plain(rate: AnswerRate) -> AnswerRate:
    return AnswerRate(rate.answered, rate.abandoned, rate.timed_out, rate.refused, rate.callback)


def stops(steps: list[e.Event]) -> Iterator[int]:
    """Kills: in the evening, 3 s before midnight, at night, in the morning; each leaves something unscraped."""
    ends = [s.at for s in steps if isinstance(s, e.CallerLeft)]
    for wanted in (START + 3 * 3600 * S, MIDNIGHT - 60 * S, MIDNIGHT + 5 * 3600 * S, MIDNIGHT + 9 * 3600 * S):
        yield next(at for at in ends if at >= wanted and (at + 1) % SCRAPE) + 1


async def test_official_and_live_figures_agree_over_a_day(site: Day) -> None:
    calls, steps, ends = made(6)
    outage = 40 * 60 * S
    for n, stop in enumerate(stops(steps)):
        await site.live(steps, stop, away=range(5, 25) if n == 2 else range(0))
        if n != 1:
            site.now += outage  # nobody is there; the rows wait in Asterisk's record
    before = [s for s in steps if s.at < END]
    await site.live(before, END)
    async with site.service() as (runtime, metrics, _, _):
        site.tell(runtime, before, "cel")  # all of the record once more: every key was heard before
        await until(lambda: runtime.backlog == 0)
        site.prometheus.scrape(metrics)
    assert site.prometheus.resets == 0

    days = Days(SITE, site.server.url, timeout=5)
    try:
        official = await days.report(Asked(day("2026-11-30"), "hotline")), await days.report(
            Asked(day("2026-12-01"), "hotline"))
        months = [(await days.report(Asked(month(m)))).figures()["views"]["caller"] for m in ("2026-11", "2026-12")]
        kept = [call async for portion in days.ended(START, END) for call in portion]
    finally:
        await days.close()
    # the ledger says what was invented, to the call, by arrival: of each day, month, hotline
    for report, over in zip(official, (day("2026-11-30"), day("2026-12-01")), strict=True):
        groups = {g["name"]: (g["offered"], g["answered"], g["answer_rate"])
                  for g in report.figures()["views"]["caller"]["groups"]}  # fmt: skip
        for hotline in ("12345", "12329", "110"):
            truth = answer_rate(calls, over.start, over.end, hotline)
            assert groups[hotline] == (truth.offered, truth.answered, truth.text)
    assert sum(view["offered"] for view in months) == answer_rate(calls, START, END).offered
    # and the counters the same over the whole
    tally = Tally(START, END, by="hotline").add(kept)
    for hotline in ("12345", "12329", "110"):
        assert counted(site.prometheus.total, hotline) == plain(tally.groups[hotline]), hotline
    assert len(kept) == len(calls) and len({*ends}) == len(calls)


async def test_a_part_of_the_day_differs_by_the_calls_across_its_edge(site: Day) -> None:
    calls, steps, ends = made(7)
    await site.live([s for s in steps if s.at < MIDNIGHT], MIDNIGHT - 1)
    async with site.service() as (_, metrics, _, _):
        site.prometheus.scrape(metrics)
    evening = sum(counted(site.prometheus.total, h).offered for h in ("12345", "12329", "110"))
    truth = answer_rate(calls, START, MIDNIGHT).offered
    asked = {call.arrived_at for call in calls if call.outcome != "unasked"}
    across = sum(int(ref.partition("-")[2].partition(".")[0]) * S <= MIDNIGHT - 1 < end
                 for (ref, end), call in zip(ends.items(), calls, strict=True)
                 if call.arrived_at in asked and call.arrived_at < MIDNIGHT)  # fmt: skip
    assert across > 0 and evening == truth - across  # by end: they are tomorrow's; by arrival: today's


async def test_without_what_was_kept_a_kill_costs_what_was_not_scraped(site: Day) -> None:
    """Why the counters go on where they were: begun at 0, they lack what was counted after the last scrape."""
    _, steps, _ = made(8)
    stop = next(stops(steps))
    site.resume = False
    await site.live(steps, stop, kept=False)
    seen = site.prometheus.total.total()
    async with site.service() as (runtime, metrics, _, ledger):
        site.prometheus.scrape(metrics)
        written = [fact async for _, fact in ledger.since(None) if getattr(fact, "kind", "") == "CallEnded"]
        assert runtime.backlog == 0
    assert site.prometheus.total.total() == seen < len(written)


async def test_a_start_without_redis_does_not_count_the_day_again(site: Day) -> None:
    _, steps, _ = made(9)
    stop = next(stops(steps))
    await site.live(steps, stop)
    seen = site.prometheus.total.total()
    site.server.kill()
    site.redis_up = False
    async with site.service() as (runtime, metrics, counts, _):
        assert isinstance(counts, KeptCounts)
        site.tell(runtime, [s for s in steps if s.at <= stop], "cel")  # the whole record, for the ledger is not there
        await until(lambda: runtime.backlog == 0)
        again = metrics.calls_counted().total()
    assert seen > 20 and again <= 3
    await site.server.start()
