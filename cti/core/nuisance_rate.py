"""Repeated short calls: when a number is *proposed* for the nuisance list. It blocks nobody; a person decides.

Knows: ended calls of a number, and the site's rule. Must not know: the list, the clock (times are given), storage.
What counts is what the caller did, never what we failed to do: answered and over at once, or left at once. Not counted:
110's calls, danger, transfers, callers turned away or called back, withheld numbers.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from cti.core.entry import normalise_caller
from cti.core.model import Call

KEEP_CALLS = 100
KEEP_NUMBERS = 50_000
COUNTED = frozenset({"answered", "abandoned", "unasked"})


@dataclass(frozen=True, slots=True)
class ShortCalls:
    """``calls`` calls shorter than ``seconds`` within ``minutes``."""

    calls: int
    seconds: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that counts: its end and length, µs."""

    ref: str
    at: int
    length: int


class Rates:
    """The latest calls of each number, bounded."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, deque[Ended]] = OrderedDict()
        self.fresh: set[str] = set()
        """numbers with a call since somebody last looked"""

    def saw(self, call: Call, outcome: str, at: int) -> None:
        """Note an ended call, if it counts."""
        number = normalise_caller(call.caller).number
        told = outcome in COUNTED and not call.danger and not call.transfers and "110" not in call.platforms
        if not told or call.hotline == "110" or len(number) < 3 or not number.lstrip("+").isdecimal():
            return
        length = at - (call.answered_at or call.arrived_at)
        kept = self._calls.setdefault(number, deque(maxlen=KEEP_CALLS))
        if all(one.ref != call.ref for one in kept):
            kept.append(Ended(call.ref, at, length))
        self._calls.move_to_end(number)
        if len(self._calls) > KEEP_NUMBERS:
            self.fresh.discard(self._calls.popitem(last=False)[0])
        self.fresh.add(number)

    def due(self, number: str, rule: ShortCalls, now: int) -> tuple[str, ...]:
        """The calls that fulfil the rule, or none."""
        since = now - rule.minutes * 60_000_000
        short = [c.ref for c in self._calls.get(number, ()) if c.at > since and c.length < rule.seconds * 1_000_000]
        return tuple(short) if len(short) >= rule.calls else ()
