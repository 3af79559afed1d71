"""The answer rate (人工接通率): a pure function over ended calls. Knows: the rule. Must not know: where facts come
from.

Rule (DOMAIN.md, KPI definitions; GB/T 33358-2016 呼叫接通率): calls answered by a person ÷ calls that asked for a
person; asked = answered + abandoned while waiting + timed out of the queue + refused because the queue was full or
closed + left the line to be called back. Callers who left before asking are not in it. Who chose a callback was not
answered, whatever comes of it; the talk that follows (outcome ``called-back``) is in neither count. Attributed by
arrival, window half-open [start, end).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

TARGET_PERCENT = 95
RULE = {
    "zh": "人工接通率 = 人工接通数 ÷（接通 + 排队放弃 + 改为回电 + 排队超时 + 队满或关闭拒绝）；"
          "按来电时间归属；自助不计",
    "en": "answered by a person / (answered + abandoned in queue + chose a callback + timed out + refused full or "
          "closed); by arrival",
}


@dataclass(frozen=True, slots=True)
class EndedCall:
    """What the rate needs of a call. ``outcome``: answered | abandoned | timeout | refused | unasked | callback |
    called-back."""

    arrived_at: int
    hotline: str
    outcome: str


@dataclass(frozen=True, slots=True)
class AnswerRate:
    """Whole numbers; percentages are for eyes only."""

    answered: int = 0
    abandoned: int = 0
    timed_out: int = 0
    refused: int = 0
    callback: int = 0
    """left the line to be called back"""

    @property
    def offered(self) -> int:
        """Calls that asked for a person."""
        return self.answered + self.abandoned + self.timed_out + self.refused + self.callback

    @property
    def meets_target(self) -> bool | None:
        """Compared on integers: 94.996 % fails. None with nothing offered."""
        return self.answered * 100 >= self.offered * TARGET_PERCENT if self.offered else None

    @property
    def text(self) -> str:
        """Percent to two digits, never rounded up across the target; "—" with nothing offered."""
        if not self.offered:
            return "—"
        hundredths = self.answered * 10_000 // self.offered
        return f"{hundredths // 100}.{hundredths % 100:02d} %"


def answer_rate(calls: Iterable[EndedCall], start: int, end: int, hotline: str | None = None) -> AnswerRate:
    """The rate over calls that arrived in [start, end) (µs), of one hotline or all."""
    seen = Counter(
        c.outcome for c in calls if start <= c.arrived_at < end and (hotline is None or c.hotline == hotline)
    )
    return AnswerRate(seen["answered"], seen["abandoned"], seen["timeout"], seen["refused"], seen["callback"])
