"""The figures of a quarter (or a month), from the ledger's facts in one pass: what the quarterly meeting looks at.

Knows: which facts tell what; calls count by arrival, transfers by their start, overflows by when they happened; a
drill's are left out. Must not know: where facts come from, how figures are shown. Memory grows with quarter hours and
transfers, not with facts.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cti.core import disputes as disputing
from cti.core.answer_rate import AnswerRate, EndedCall, Tally, ended_call
from cti.core.disputes import Dispute, Period
from cti.core.facts import Fact, published
from cti.core.zone import SHANGHAI

BUCKET_US = 900_000_000
ENOUGH_HOUR, ENOUGH_BUCKET = 20, 8
"""fewer asked in an hour or a quarter of one: one lost call would make it the worst"""
WORST = 10
LOST = "channel-gone"
"""`why` of a transfer whose caller's channel was gone without his hanging up"""
TOPICS = ("item", "topic")
"""fields of a fact that hold the code of a matter"""
RULES: Mapping[str, tuple[str, str]] = {
    "level": ("15秒接通率 = 15秒内人工接通数 ÷ 要求人工的来电数（国标 GB/T 33358-2016 的 15 秒）",
              "15 s level = answered by a person within 15 s / calls that asked for a person"),
    "loss": ("群众丢失 = 转接中通道消失（channel-gone）或结局不明（unknown）的次数，应为 0；群众自己挂机计为放弃",
             "caller loss = transfers whose caller's channel vanished or whose end is unknown, must be 0; a caller who "
             "hung up himself is abandoned"),
    "key": ("按键至应答 = 从按键到对方有人接听；中位数与 95 分位为最近秩法，只计接听者",
            "key to answer: from the key until a person at the target answered; median and p95 by nearest rank, of "
            "those answered"),
    "worst": (f"最低时段：接通率从低到高；一小时要求人工不足 {ENOUGH_HOUR} 通、一刻钟不足 {ENOUGH_BUCKET} 通的不列",
              f"worst times: lowest rate first; hours with fewer than {ENOUGH_HOUR} asked, quarters with fewer than "
              f"{ENOUGH_BUCKET}, are left out"),
}  # fmt: skip
Direction = tuple[str, str]


@dataclass(frozen=True, slots=True)
class HotlineFigures:
    """One hotline's calls. ``outcomes``: all of them, also those the rate does not count."""

    rate: AnswerRate
    outcomes: Mapping[str, int]
    talk_ms: int
    """sum, of those answered"""


@dataclass(frozen=True, slots=True)
class Transfers:
    """One direction's transfers. ``median_ms``, ``p95_ms`` None: none was answered."""

    outcomes: Mapping[str, int]
    refused: Mapping[str, int]
    """by reason"""
    lost: int
    median_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """An hour or a quarter of one. ``at``: its begin, µs UTC."""

    at: int
    rate: AnswerRate


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. Spans rise by time, `worst_…` by rate."""

    over: Period
    calls: int
    total: HotlineFigures
    hotlines: Mapping[str, HotlineFigures]
    days: tuple[Span, ...]
    week: Mapping[tuple[int, int], AnswerRate]
    """by (weekday, 0 is Monday; hour)"""
    worst_hours: tuple[Span, ...]
    worst_buckets: tuple[Span, ...]
    transfers: Mapping[Direction, Transfers]
    disputes: tuple[Dispute, ...]
    decisions: int
    overflows: Mapping[tuple[str, str, str], int]
    """(line, to, why)"""
    leases: Mapping[tuple[str, str], tuple[int, int]]
    """(side, other site): leases, seat-seconds"""
    topics: Mapping[str, int]
    facts: int


class Quarter:
    """Tell it every fact from a day before the period to what is known of calls that began in it; then `figures`."""

    def __init__(self, over: Period) -> None:
        self._over = over
        self._calls: dict[str, Counter[str]] = defaultdict(Counter)
        self._talk: Counter[str] = Counter()
        self._ended: list[EndedCall] = []
        self._rates = Tally(over.start, over.end, by="hotline")
        self._buckets = Tally(over.start, over.end, step=BUCKET_US)
        self._ways: dict[Direction, Counter[str]] = defaultdict(Counter)
        self._refused: dict[Direction, Counter[str]] = defaultdict(Counter)
        self._lost: Counter[Direction] = Counter()
        self._answers: dict[Direction, array[int]] = defaultdict(lambda: array("q"))
        self._decisions: list[Fact] = []
        self._overflows: Counter[tuple[str, str, str]] = Counter()
        self._active: dict[str, tuple[tuple[str, str], int]] = {}
        self._leases: Counter[tuple[str, str]] = Counter()
        self._lent_us: Counter[tuple[str, str]] = Counter()
        self._topics: Counter[str] = Counter()
        self._facts = 0

    def saw(self, fact: Fact) -> None:
        """One fact. One that does not read counts for nothing: `cti ledger verify` names it."""
        if not published(fact):
            return
        self._facts += 1
        try:
            self._count(fact)
        except (KeyError, ValueError):
            return
        if self._over.holds(fact.at):
            for name in TOPICS:
                if code := fact.data.get(name):
                    self._topics[str(code)] += 1
                    break

    def _count(self, fact: Fact) -> None:
        data = fact.data
        if fact.kind == "CallEnded":
            call, talk_ms = ended_call(data), int(str(data["talk_ms"]))
            if not self._over.holds(call.arrived_at):
                return
            self._calls[call.hotline][call.outcome] += 1
            self._talk[call.hotline] += talk_ms if call.outcome == "answered" else 0
            self._ended.append(call)
            if len(self._ended) == 1_000:  # a portion: one by one costs three times as much
                self._tally()
        elif fact.kind == "TransferEnded":
            if not self._over.holds(int(str(data["started_at"]))):
                return
            way = (str(data["first_platform"]), str(data["to"]))
            outcome, why = str(data["outcome"]), str(data.get("why", ""))
            self._ways[way][outcome] += 1
            if outcome == "refused":
                self._refused[way][why] += 1
            self._lost[way] += why == LOST or outcome == "unknown"
            if int(str(data["answer_ms"])) >= 0:
                self._answers[way].append(int(str(data["answer_ms"])))
        elif fact.kind in disputing.KINDS:
            self._decisions.append(fact)
        elif fact.kind == "CallerOverflowed" and self._over.holds(fact.at):
            self._overflows[str(data["line"]), str(data["to"]), str(data["why"])] += 1
        elif fact.kind == "LeaseMoved":
            self._lease(fact)

    def _tally(self) -> None:
        self._rates.add(self._ended)
        self._buckets.add(self._ended)
        self._ended = []

    def _lease(self, fact: Fact) -> None:
        """From active to the next state is lent, as far as it lies in the period."""
        data = fact.data
        side = str(data["side"])
        name = f"{data['lease']}/{side}"
        way = (side, str(data["owner" if side == "borrower" else "borrower"]))
        if data["state"] == "active":
            self._active.setdefault(name, (way, fact.at))
        elif (began := self._active.pop(name, None)) is not None:
            self._lent(*began, fact.at)

    def _lent(self, way: tuple[str, str], since: int, until: int) -> None:
        inside = min(until, self._over.end) - max(since, self._over.start)
        if inside > 0:
            self._leases[way] += 1
            self._lent_us[way] += inside

    def figures(self, now: int) -> Figures:
        """All figures; what is still lent counts until ``now`` (µs)."""
        for way, since in self._active.values():
            self._lent(way, since, now)
        self._active = {}
        self._tally()
        rates, buckets = self._rates.groups, self._buckets.buckets
        hotlines = {name: HotlineFigures(rates.get(name, AnswerRate()), dict(self._calls[name]), self._talk[name])
                    for name in sorted(self._calls)}  # fmt: skip
        outcomes = sum(self._calls.values(), Counter[str]())
        found = disputing.disputes(self._decisions, self._over)
        ways = {way: self._transfers(way) for way in sorted(self._ways)}
        return Figures(
            over=self._over, calls=sum(outcomes.values()),
            total=HotlineFigures(self._rates.total if rates else AnswerRate(), outcomes, sum(self._talk.values())),
            hotlines=hotlines, days=_spans(self._over, buckets, 96), week=_week(self._over, buckets),
            worst_hours=_worst(_spans(self._over, buckets, 4), ENOUGH_HOUR),
            worst_buckets=_worst(_spans(self._over, buckets, 1), ENOUGH_BUCKET),
            transfers=ways, disputes=tuple(found),
            decisions=sum(f.kind == "ConferenceDecided" and self._over.holds(f.at) for f in self._decisions),
            overflows=dict(self._overflows.most_common()),
            leases={way: (count, self._lent_us[way] // 1_000_000) for way, count in sorted(self._leases.items())},
            topics=dict(self._topics.most_common()), facts=self._facts,
        )  # fmt: skip

    def _transfers(self, way: Direction) -> Transfers:
        answers = sorted(self._answers[way])
        return Transfers(dict(self._ways[way]), dict(self._refused[way]), self._lost[way], rank(answers, 50),
                         rank(answers, 95))  # fmt: skip


def rank(sorted_values: list[int], percent: int) -> int | None:
    """The percentile by nearest rank; None of nothing."""
    return sorted_values[max(0, -(-len(sorted_values) * percent // 100) - 1)] if sorted_values else None


def _spans(over: Period, buckets: Sequence[AnswerRate], size: int) -> tuple[Span, ...]:
    """Neighbouring buckets put together by ``size``, from the period's first instant on; those in which nobody asked
    are left out."""
    return tuple(
        Span(over.start + n * BUCKET_US, rate)
        for n in range(0, len(buckets), size)
        if (rate := sum(buckets[n : n + size], AnswerRate())).offered
    )


def _week(over: Period, buckets: Sequence[AnswerRate]) -> dict[tuple[int, int], AnswerRate]:
    first = dt.datetime.fromtimestamp(over.start / 1e6, SHANGHAI).weekday()
    joined: dict[tuple[int, int], AnswerRate] = {}
    for n, rate in enumerate(buckets):
        if rate.offered:
            when = (first + n // 96) % 7, n % 96 // 4
            joined[when] = joined.get(when, AnswerRate()) + rate
    return joined


def _worst(spans: tuple[Span, ...], enough: int) -> tuple[Span, ...]:
    """Lowest rate first, compared as fractions; of equal ones the one that lost more callers."""
    asked = [span for span in spans if span.rate.offered >= enough and span.rate.answered < span.rate.offered]
    return tuple(sorted(asked, key=lambda s: (s.rate.answered / s.rate.offered, -s.rate.offered, s.at))[:WORST])
