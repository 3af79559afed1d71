"""When a site borrows seats of others, and when they go back: the automatic rule, for all sites of a province at once.

Theory of operation
-------------------
Looked at every few seconds, from what each site says of itself: traffic forecast for the next half hour, callers in
line, free seats. `answered_soon` of these is the one measure, and every threshold is one of it; they stand in this
order, and the distances between them are the hysteresis:

    target ≤ short ≤ alarm < spare, aim < calm

Below ``short`` a site borrows what it needs to reach ``aim``. A site lends only free seats, and only so many that it
stays at ``spare`` or above; it recalls when it falls below ``alarm``, which is above its own target, so that they come
back before it is short itself. A borrower gives back what it would not miss at ``calm``. Since ``aim`` and ``spare``
lie between ``alarm`` and ``calm``, what was just decided is not undone by the same figures. Times bound the rest,
whatever the figures do: see `Policy`.

Nobody lends what it borrowed, and no site begins to lend while it borrows, or to borrow while it lends. Nearest first:
same prefecture, then same province by distance; another province never by itself (the plan: the level above arranges
it).

Must not know: leases (`leasebook`), who asks it, what time it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cti.core.staffing import Traffic, answered_soon


@dataclass(frozen=True, slots=True)
class Policy:
    """Shares of calls answered, 0 to 1, and times in µs. All are proposals but ``target``. Raises ValueError when the
    thresholds are not in the order that makes the rule steady."""

    target: float = 0.95
    short: float = 0.955
    alarm: float = 0.957
    spare: float = 0.98
    aim: float = 0.975
    calm: float = 0.99
    line_share: float = 0.15
    """so many callers in line for each seat are a shortage, whatever is forecast"""
    least_line: int = 4
    lend_share: float = 0.5
    """of its own seats a site lends at most"""
    pause_us: int = 30_000_000
    """between two borrowings of one site: the first must show its effect"""
    hold_us: int = 600_000_000
    """from the last borrowing to the first giving back"""
    calm_us: int = 180_000_000
    """so long there must be seats it would not miss, before each giving back"""
    rest_us: int = 900_000_000
    """a site that had to recall lends nothing for so long"""

    def __post_init__(self) -> None:
        low, high = min(self.spare, self.aim), max(self.spare, self.aim)
        if not 0 < self.target <= self.short <= self.alarm < low <= high < self.calm < 1:
            raise ValueError(
                "阈值须依次升高 / thresholds must rise, target ≤ short ≤ alarm < spare, aim < calm: "
                f"{self.target}, {self.short}, {self.alarm}, {self.spare}, {self.aim}, {self.calm}"
            )
        if min(self.pause_us, self.hold_us, self.calm_us, self.rest_us) <= 0:
            raise ValueError("各时长须 > 0 微秒 / every time must be above 0 µs")


@dataclass(frozen=True, slots=True)
class SiteView:
    """What a site says of itself. ``seats``: its own that are staffed, lent ones among them. ``lent``, ``borrowed``:
    seats by the other site, those asked for among them, those on their way back not; ``coming``: borrowed ones not in
    the line yet. ``place``: latitude, longitude in degrees. A site out of touch is as if it were not there."""

    code: str
    traffic: Traffic
    seats: int
    free: int = 0
    waiting: int = 0
    lent: Mapping[str, int] = field(default_factory=dict)
    borrowed: Mapping[str, int] = field(default_factory=dict)
    coming: int = 0
    place: tuple[float, float] = (0.0, 0.0)
    reachable: bool = True

    @property
    def serving(self) -> int:
        """Seats that take its callers now."""
        return max(0, self.seats - sum(self.lent.values()) + sum(self.borrowed.values()) - self.coming)


@dataclass(frozen=True, slots=True)
class Decision:
    """``count`` seats of ``lender`` and callers of ``borrower``; ``why``: a code."""

    borrower: str
    lender: str
    count: int
    why: str


class Borrow(Decision):
    """Ask for them. ``why``: ``rate`` | ``line``."""


class GiveBack(Decision):
    """The borrower does without them. ``why``: ``calm``."""


class Recall(Decision):
    """The lender needs them itself. ``why``: ``own-target``."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """Of one site, µs: when it last borrowed, since when it could give back, when it last recalled."""

    borrowed_at: int = -(10**18)
    calm_since: int | None = None
    recalled_at: int = -(10**18)


Memory = Mapping[str, Remembered]


def predicted(view: SiteView, seats: int | None = None) -> float:
    """Share answered in the next half hour, with as many seats as now or with ``seats``."""
    return _answered(view.traffic, view.serving if seats is None else max(0, seats), view.waiting)


def decide(now: int, views: Sequence[SiteView], memory: Memory, policy: Policy) -> tuple[Memory, list[Decision]]:
    """What to change now (µs). Pure; ``memory`` of the time before, {} at first."""
    sites = {view.code: view for view in views if view.reachable}
    known = {code: memory.get(code, Remembered()) for code in {*memory, *sites}}
    decisions: list[Decision] = []
    for code, view in sites.items():
        for one in _recalls(view, sites, policy):
            decisions.append(one)
            known[code] = replace(known[code], recalled_at=now)
    for code, view in sites.items():
        known[code], back = _give_back(now, view, sites, known[code], policy)
        decisions += back
    decisions += _borrow(now, sites, known, policy)
    return known, decisions


def level(one: str, other: str) -> int:
    """How far up somebody is above both (GB/T 2260): 0 the prefecture, 1 the province, 2 the state."""
    return 0 if one[:4] == other[:4] else 1 if one[:2] == other[:2] else 2


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great circle between two places in degrees."""
    a, b, c, d = map(math.radians, (*one, *other))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 12_742 * math.asin(math.sqrt(min(1.0, half)))


# -- the three questions -----------------------------------------------------------------------------------------------
def _recalls(view: SiteView, sites: Mapping[str, SiteView], policy: Policy) -> Iterator[Recall]:
    """Below its alarm a lender takes back what brings it to its spare, from those first who miss it least."""
    out = sum(view.lent.values())
    if not out or predicted(view) >= policy.alarm:
        return
    wanted = _more(view, policy.spare, out)
    there = [(predicted(sites[code]) if code in sites else 1.0, code) for code in view.lent]
    for _, borrower in sorted(there, reverse=True):
        count = min(wanted, view.lent[borrower])
        wanted -= count
        if count:
            yield Recall(borrower, view.code, count, "own-target")


def _give_back(now: int, view: SiteView, sites: Mapping[str, SiteView], known: Remembered,
               policy: Policy) -> tuple[Remembered, list[Decision]]:  # fmt: skip
    """Half of what it would not miss, each time it has not missed it for a while; the neediest lender first."""
    have = sum(view.borrowed.values())
    idle = _fewer(view, policy.calm, have) if have and not _line(view, policy) else 0
    if not idle:
        return replace(known, calm_since=None), []
    since = now if known.calm_since is None else known.calm_since
    if now - since < policy.calm_us or now - known.borrowed_at < policy.hold_us:
        return replace(known, calm_since=since), []
    left, back = math.ceil(idle / 2), list[Decision]()
    need = [(predicted(sites[code]) if code in sites else 0.0, code) for code in view.borrowed]
    for _, lender in sorted(need):
        count = min(left, view.borrowed[lender])
        left -= count
        if count:
            back.append(GiveBack(view.code, lender, count, "calm"))
    return replace(known, calm_since=now), back


def _borrow(now: int, sites: Mapping[str, SiteView], known: dict[str, Remembered], policy: Policy) -> list[Decision]:
    """The shortest site first, from the nearest first. ``known`` is brought up to date."""
    low = [view for view in sites.values() if predicted(view) < policy.short or _line(view, policy)]
    short = [view for view in low if not any(view.lent.values())]
    able = {
        code: _spare(view, policy)
        for code, view in (sites.items() if short else ())
        if view not in low and not any(view.borrowed.values()) and now - known[code].recalled_at >= policy.rest_us
    }
    decisions: list[Decision] = []
    for view in sorted(short, key=lambda v: (predicted(v), v.code)):
        if now - known[view.code].borrowed_at < policy.pause_us:
            continue
        why = "rate" if predicted(view) < policy.short else "line"
        wanted = max(_more(view, policy.aim, 10_000), math.ceil(view.waiting / 2) if why == "line" else 0) - view.coming
        near = sorted((level(view.code, code), distance_km(view.place, sites[code].place), code) for code in able)
        for rank, _, lender in near:
            count = min(wanted, able[lender])
            if rank > 1 or count <= 0:
                continue
            decisions.append(Borrow(view.code, lender, count, why))
            able[lender] -= count
            wanted -= count
            known[view.code] = replace(known[view.code], borrowed_at=now, calm_since=None)
    return decisions


def _line(view: SiteView, policy: Policy) -> bool:
    """More callers wait than chance explains."""
    return view.waiting >= max(policy.least_line, math.ceil(policy.line_share * view.serving))


def _spare(view: SiteView, policy: Policy) -> int:
    """Free seats it can lend and still stay at its spare."""
    out = sum(view.lent.values())
    most = min(view.free, math.floor(policy.lend_share * view.seats) - out, view.serving - 1)
    return _fewer(view, policy.spare, most) if most > 0 and not view.waiting else 0


def _more(view: SiteView, share: float, most: int) -> int:
    """The fewest seats beyond those now with which ``share`` is reached; ``most`` when it is not."""
    low, high = 0, 1
    if predicted(view) >= share:
        return 0
    while high < most and predicted(view, view.serving + high) < share:
        low, high = high, high * 2
    high = min(high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if predicted(view, view.serving + middle) >= share else (middle, high)
    return high


def _fewer(view: SiteView, share: float, most: int) -> int:
    """How many of the seats now, ``most`` at most, may go and ``share`` still holds."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if predicted(view, view.serving - middle) >= share else (low, middle)
    return low if predicted(view) >= share else 0


@lru_cache(maxsize=8192)
def _answered(traffic: Traffic, seats: int, waiting: int) -> float:
    return answered_soon(traffic, seats, waiting)
