"""The official answer rate of a span as plain figures with their rule: raw and adjusted, both views, in groups, in
quarters of an hour, over every rolling 24 h.

Knows: what a report holds. Must not know: where calls come from (they are given day by day), words on a screen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from cti.core.answer_rate import (
    RULE,
    TARGET_PERCENT,
    VIEW_RULE,
    VIEWS,
    AnswerRate,
    By,
    Counting,
    EndedCall,
    Tally,
    View,
    as_queues,
    percent,
    rolling,
)  # fmt: skip
from cti.core.disputes import Period
from cti.core.spans import DAY_US, QUARTER_US
from cti.core.zone import SHANGHAI

QUARTERS_A_DAY = DAY_US // QUARTER_US
ROLLING_RULE = {"zh": "每 15 分钟一点：此前 24 小时到达的来电",
                "en": "a point every 15 min: calls that arrived in the 24 h before it"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted: a span, groups, quarters (with them every rolling 24 h that ends in the span, which then begins
    with a quarter: `cti.core.spans.whole_quarters`), how it is counted."""

    over: Period
    by: By | None = None
    buckets: bool = False
    counting: Counting = field(default_factory=Counting)

    @property
    def start(self) -> int:
        """Calls from here on are needed (µs): for rolling windows a day before the span."""
        return self.over.start - DAY_US if self.buckets else self.over.start


class Report:
    """Takes the calls in any portions, then `figures`. One pass; what is kept does not grow with the calls."""

    def __init__(self, asked: Asked) -> None:
        over = asked.over
        self.asked = asked
        self._tallies: dict[View, Tally] = {
            view: Tally(over.start, over.end, by=asked.by, counting=asked.counting) for view in VIEWS}
        self._quarters = Tally(asked.start, over.end, step=QUARTER_US, counting=asked.counting)

    def add(self, calls: Sequence[EndedCall]) -> None:
        """Count these too; each call once."""
        self._tallies["caller"].add(calls)
        self._tallies["queue"].add(as_queues(calls))
        if self.asked.buckets:
            self._quarters.add(calls)

    def figures(self) -> dict[str, Any]:
        """The report. Times ISO 8601, Asia/Shanghai; waits in ms; every percentage beside its counts."""
        over = self.asked.over
        made: dict[str, Any] = {
            "span": over.name, "from": _iso(over.start), "to": _iso(over.end), "target_percent": TARGET_PERCENT,
            "rule": rule(self.asked.counting),
            "views": {view: {"rule": VIEW_RULE[view], **self._view(tally)} for view, tally in self._tallies.items()},
        }  # fmt: skip
        if self.asked.buckets:
            made |= self._series()
        return made

    def _view(self, tally: Tally) -> dict[str, Any]:
        total = tally.total
        told = {**figures(total), "by": self.asked.by}
        if self.asked.by is not None:
            told["groups"] = [
                {"name": name, **_group(self.asked.by, rate, total)} for name, rate in tally.groups.items()]
        return told

    def _series(self) -> dict[str, Any]:
        """Quarters of the span, and the rate of the 24 h before each quarter's end."""
        start, end = self.asked.start, self.asked.over.end
        buckets = self._quarters.buckets
        windows = rolling(buckets, QUARTERS_A_DAY)[1:]
        quarters = [
            {"from": _iso(start + n * QUARTER_US), **self._short(buckets[n])}
            for n in range(QUARTERS_A_DAY, len(buckets))
        ]
        told = [
            {"until": _iso(min(end, start + (QUARTERS_A_DAY + n) * QUARTER_US)), **self._short(rate)}
            for n, rate in enumerate(windows, 1)
        ]
        some = [rate for rate in windows if rate.offered]
        worst = min(some, key=lambda rate: Fraction(rate.answered, rate.offered), default=AnswerRate())
        return {
            "step": "15min", "buckets": quarters, "rolling_24h": told, "rolling_24h_worst": figures(worst),
            "rolling_24h_rule": ROLLING_RULE,
        }  # fmt: skip

    def _short(self, rate: AnswerRate) -> dict[str, Any]:
        told = {"offered": rate.offered, "answered": rate.answered, "answer_rate": rate.text,
                "meets_target": rate.meets_target}  # fmt: skip
        return {**told, "adjusted_rate": rate.adjusted.text} if self.asked.counting.short_ms else told


def rule(counting: Counting) -> dict[str, str]:
    """The rule in words, thresholds included."""
    level, short = counting.level_ms / 1000, counting.short_ms / 1000
    zh = (f"；短时放弃剔除阈值 {short:g} 秒" + ("（0：不剔除）" if not short else "")
          + f"；{level:g} 秒服务水平 = {level:g} 秒内接通 ÷ 请求人工")
    en = (f"; abandons shorter than {short:g} s are left out of the adjusted figure"
          + (" (0: none)" if not short else "")
          + f"; service level = answered within {level:g} s / offered")  # fmt: skip
    return {"zh": RULE["zh"] + zh, "en": RULE["en"] + en}


def figures(rate: AnswerRate) -> dict[str, Any]:
    """One rate, raw and adjusted."""
    adjusted = rate.adjusted
    return {
        "offered": rate.offered, "answered": rate.answered, "abandoned": rate.abandoned, "timed_out": rate.timed_out,
        "refused": rate.refused, "callback": rate.callback, "answer_rate": rate.text,
        "meets_target": rate.meets_target,
        "short_abandons": rate.short,
        "adjusted": {"offered": adjusted.offered, "answer_rate": adjusted.text, "meets_target": adjusted.meets_target},
        "answered_in_level": rate.in_level, "service_level": rate.level_text, "asa_ms": rate.asa_ms,
    }  # fmt: skip


def _group(by: By, rate: AnswerRate, total: AnswerRate) -> dict[str, Any]:
    """By seat kind a rate says nothing, for a call nobody answered has no seat: the share of all offered does."""
    told = figures(rate)
    if by == "seat-kind":
        told |= {"answer_rate": "—", "meets_target": None, "service_level": "—",
                 "share_of_offered": percent(rate.offered, total.offered)}  # fmt: skip
        told["adjusted"] = {"offered": rate.adjusted.offered, "answer_rate": "—", "meets_target": None}
    return told


def _iso(at: int) -> str:
    return dt.datetime.fromtimestamp(at // 1_000_000, SHANGHAI).isoformat(timespec="seconds")
