"""The answer rate (人工接通率): a pure function over ended calls. Knows: the rule. Must not know: where facts come
from, the clock, days (rate_report.py).

Rule (DOMAIN.md, KPI definitions; GB/T 33358-2016 呼叫接通率): calls answered by a person ÷ calls that asked for a
person; asked = answered + abandoned while waiting + timed out of the queue + refused because the queue was full or
closed + left the line to be called back. Callers who left before asking are not in it. Who chose a callback was not
answered, whatever comes of it; the talk that follows (outcome ``called-back``) is in neither count. Attributed by
arrival, window half-open [start, end).

Two views, never mixed: the caller's (a call is one) and the queues' (once in each queue it came to, `as_queues`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final, Literal, get_args

import msgspec

TARGET_PERCENT: Final = 95
LEVEL_MS: Final = 15_000
"""the service level's time to answer (GB/T 33358-2016)"""

By = Literal["hotline", "platform", "division", "seat-kind"]
BYS: tuple[By, ...] = get_args(By)
View = Literal["caller", "queue"]
VIEWS: tuple[View, ...] = get_args(View)

RULE = {
    "zh": "人工接通率 = 人工接通数 ÷（接通 + 排队放弃 + 改为回电 + 排队超时 + 队满或关闭拒绝）；"
          "按来电时间归属；自助不计",
    "en": "answered by a person / (answered + abandoned in queue + chose a callback + timed out + refused full or "
          "closed); by arrival",
}
VIEW_RULE: Mapping[View, dict[str, str]] = {
    "caller": {"zh": "来电口径：一通电话计一次，不论转接几次",
               "en": "caller view: a call counts once, however often it was transferred"},
    "queue": {"zh": "队列口径：一通电话在它到过的每个队列各计一次（含溢出、转接；坐席取消或被拒的转接不计）",
              "en": "queue view: a call counts once in each queue it came to (overflow, transfer; not a transfer its "
              "seat withdrew or the door refused)"},
}  # fmt: skip


class EndedCall(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the rate needs of a call, `CallEnded` in short; of a queue, where `as_queues` made it.

    ``outcome``: answered | abandoned | timeout | refused | unasked | callback | called-back.  ``arrived_at``: µs.
    ``kind``: of the seat that answered.  ``wait_ms``: from asking to the answer or the end; -1 unknown.  ``queues``:
    see `cti.core.visits`. What an older entry does not tell is "".
    """

    arrived_at: int
    hotline: str
    outcome: str
    platform: str = ""
    division: str = ""
    kind: str = ""
    wait_ms: int = -1
    queues: str = ""


def ended_call(data: Mapping[str, Any]) -> EndedCall:
    """Of a `CallEnded`'s data. Raises KeyError or ValueError for one that does not read."""
    return EndedCall(
        int(str(data["arrived_at"])), str(data["hotline"]), str(data["outcome"]), str(data.get("platform", "")),
        str(data.get("division", "")), str(data.get("seat_kind", "")), int(str(data.get("wait_ms", -1))),
        str(data.get("queues", "")),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counting:
    """How it is counted. ``short_ms``: an abandon after less than that is left out of the adjusted figure; 0:
    none is."""

    short_ms: int = 0
    level_ms: int = LEVEL_MS


@dataclass(frozen=True, slots=True)
class AnswerRate:
    """Whole numbers, to be added up; percentages are for eyes only. Raw: nothing is left out; see `adjusted`."""

    answered: int = 0
    abandoned: int = 0
    timed_out: int = 0
    refused: int = 0
    callback: int = 0
    """left the line to be called back"""
    short: int = 0
    """of those abandoned, how many within the short abandons' threshold"""
    in_level: int = 0
    """of those answered, how many within the service level's time"""
    waited: int = 0
    """of those answered, how many of known wait"""
    wait_ms: int = 0
    """their waits, together"""

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
        return percent(self.answered, self.offered)

    @property
    def level_text(self) -> str:
        """Service level: answered in time ÷ offered, in percent; "—" with nothing offered. One of four formulas in use
        (DOMAIN.md): no caller who gave up makes it better."""
        return percent(self.in_level, self.offered)

    @property
    def asa_ms(self) -> int | None:
        """Mean wait of those answered (average speed of answer), or None."""
        return self.wait_ms // self.waited if self.waited else None

    @property
    def adjusted(self) -> AnswerRate:
        """Without the short abandons."""
        return replace(self, abandoned=self.abandoned - self.short, short=0)

    def __add__(self, other: AnswerRate) -> AnswerRate:
        return AnswerRate(*(a + b for a, b in zip(_counts(self), _counts(other), strict=True)))

    def __sub__(self, other: AnswerRate) -> AnswerRate:
        return AnswerRate(*(a - b for a, b in zip(_counts(self), _counts(other), strict=True)))


_counts = attrgetter(*AnswerRate.__slots__)
_PLACE: Final = {"answered": 0, "abandoned": 1, "timeout": 2, "refused": 3, "callback": 4}
_SHORT, _IN_LEVEL, _WAITED, _WAIT = 5, 6, 7, 8
_FIELD: Mapping[By, str] = {"hotline": "hotline", "platform": "platform", "division": "division", "seat-kind": "kind"}


def percent(part: int, whole: int) -> str:
    """Hundredths, rounded down; "—" of nothing."""
    if not whole:
        return "—"
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def answer_rate(calls: Iterable[EndedCall], start: int, end: int, hotline: str | None = None,
                counting: Counting | None = None) -> AnswerRate:
    """The rate over calls that arrived in [start, end) (µs), of one hotline or all."""
    if hotline is not None:
        calls = (call for call in calls if call.hotline == hotline)
    return Tally(start, end, counting=counting).add(calls).total


class Tally:
    """Counts ended calls of [start, end) (µs, by arrival), in as many portions as they come; one pass, linear.

    ``by``: in groups as well; ``step``: in buckets of that many µs as well, from ``start`` on.
    """

    def __init__(self, start: int, end: int, *, by: By | None = None, step: int | None = None,
                 counting: Counting | None = None) -> None:
        self.start, self.end, self.by, self.step = start, end, by, step
        self.counting = counting or Counting()
        self._rows: dict[tuple[str, int], list[int]] = {}

    def add(self, calls: Iterable[EndedCall]) -> Tally:
        """Count these too. A call twice counts twice: who gives them gives each once."""
        start, end, step, rows = self.start, self.end, self.step, self._rows
        short, level = self.counting.short_ms, self.counting.level_ms
        group = attrgetter(_FIELD[self.by]) if self.by else None
        name, bucket, key, row = "", 0, ("", -1), [0] * 9
        place = _PLACE.get
        for call in calls:
            at = call.arrived_at
            if not start <= at < end:
                continue
            which = place(call.outcome)
            if which is None:
                continue
            if group is not None:
                name = group(call)
            if step is not None:
                bucket = (at - start) // step
            if key[1] != bucket or key[0] != name:
                key = (name, bucket)
                row = rows.get(key) or rows.setdefault(key, [0] * 9)
            row[which] += 1
            if which == 0:
                wait = call.wait_ms
                if wait >= 0:
                    row[_WAITED] += 1
                    row[_WAIT] += wait
                    if wait <= level:
                        row[_IN_LEVEL] += 1
            elif which == 1 and 0 <= call.wait_ms < short:
                row[_SHORT] += 1
        return self

    @property
    def total(self) -> AnswerRate:
        """All of them."""
        return self._sum(self._rows.values())

    @property
    def groups(self) -> dict[str, AnswerRate]:
        """By `by`, in the order of the names; "" is what no entry told, or a call nobody answered (seat-kind)."""
        found: dict[str, list[list[int]]] = {}
        for (name, _), row in self._rows.items():
            found.setdefault(name, []).append(row)
        return {name: self._sum(found[name]) for name in sorted(found)}

    @property
    def buckets(self) -> list[AnswerRate]:
        """One a step of [start, end), empty ones too."""
        assert self.step is not None, "counted without buckets"
        found: list[list[list[int]]] = [[] for _ in range(-(-(self.end - self.start) // self.step))]
        for (_, bucket), row in self._rows.items():
            found[bucket].append(row)
        return [self._sum(rows) for rows in found]

    @staticmethod
    def _sum(rows: Iterable[list[int]]) -> AnswerRate:
        return AnswerRate(*map(sum, zip(*rows, strict=True)))


def rolling(buckets: list[AnswerRate], width: int) -> list[AnswerRate]:
    """The sum of each ``width`` neighbouring buckets: as many as fit, the first is of buckets 0 to width-1."""
    made: list[AnswerRate] = []
    now = sum(buckets[:width], AnswerRate())
    for last in range(width, len(buckets) + 1):
        made.append(now)
        if last < len(buckets):
            now = now + buckets[last] - buckets[last - width]
    return made


def as_queues(calls: Iterable[EndedCall]) -> Iterator[EndedCall]:
    """The queues' view: each call once for each queue it came to, ``hotline`` being the queue's name. Attributed by the
    call's own arrival, so that both views of a day are of the same calls. Of an entry that does not tell its queues
    (before they were told), the hotline's line is the one. What does not read is left out."""
    for call in calls:
        if not call.queues:
            yield call
            continue
        for one in call.queues.split(";"):
            parts = one.split(",")
            if len(parts) == 5 and parts[3].lstrip("-").isdecimal():
                queue, _, how, wait, kind = parts
                platform = queue if queue in ("110", "12345") else call.platform
                yield EndedCall(call.arrived_at, queue, how, platform, call.division, kind, int(wait))
