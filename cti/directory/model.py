"""The linkage directory (联动目录) of one site: hotlines, seats, routes, trunks, nuisance list.

Knows: frozen values and how to look things up in them. Must not know: files, YAML, Asterisk, the clock.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cti.directory import divisions
from cti.directory.fields import (
    Code,
    Count,
    Division,
    Host,
    HotlineNumber,
    Hours,
    KeyCode,
    Network,
    Note,
    PhoneNumber,
    PinHash,
    Platform,
    Port,
    RouteDivision,
    SeatKind,
    SeatNumber,
    Secret,
    Text,
    Timeout,
    TrunkName,
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Name(_Frozen):
    """A name in both languages."""

    zh: Text
    en: Text


class Announce(_Frozen):
    """When a waiting caller hears his place and the expected wait; seconds, 0: never."""

    first: Annotated[int, Field(strict=True, ge=0, le=600)] = 10
    every: Annotated[int, Field(strict=True, ge=10, le=600)] = 30


class Overflow(_Frozen):
    """To another hotline's line: after so many seconds, and at once when this one is full or closed."""

    after: Annotated[int, Field(strict=True, ge=3, le=3600)]
    to: HotlineNumber


class CallbackRules(_Frozen):
    """Calling back; seconds."""

    trunk: TrunkName | None = None
    """callers are called over it; the first of trunks.yaml when absent"""
    ring: Timeout = 30
    keep: Annotated[int, Field(strict=True, ge=10, le=14_400)] = 3600
    """how long his place in the line is kept; then it is a task in the list alone"""


class QueueRules(_Frozen):
    """How a hotline's waiting line behaves; times in seconds."""

    wait: Annotated[int, Field(strict=True, ge=3, le=3600)] = 120
    """longest wait before the line's exit (overflow, callback)"""
    ring: Timeout = 12
    """how long one seat is rung before the next"""
    max_waiting: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 100
    wrapup: Annotated[int, Field(strict=True, ge=0, le=600)] | None = None
    """wrap-up after each call, ended by itself or by `*14`; absent: the site's (seats.yaml, rules)"""

    overflow: Overflow | None = None
    announce: Announce = Announce()
    callback: Annotated[bool, Field(strict=True)] = False
    """who waits may press 1: he is called back when his turn comes"""


class Opening(_Frozen):
    """When a hotline has people; local time (UTC+8). Outside it callers are told, or go to `QueueRules.overflow`."""

    hours: Hours
    days: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=7)], ...], Field(min_length=1)] = (
        1, 2, 3, 4, 5, 6, 7)  # fmt: skip
    """of the week, ISO 8601: 1 is Monday"""
    holidays: tuple[dt.date, ...] = ()
    """closed all day"""
    workdays: tuple[dt.date, ...] = ()
    """open, though not one of ``days``: make-up days (调休)"""


class Hotline(_Frozen):
    """A public number and its waiting line."""

    number: HotlineNumber
    platform: Platform
    name: Name
    division: Division
    queue: QueueRules = QueueRules()
    recall: Timeout = 10
    """seconds the agent who pressed the key is rung when a transfer comes back, before the queue's front"""
    priority: Annotated[int, Field(strict=True, ge=0, le=100)] = 0
    """higher is served first where hotlines share seats"""
    shares: HotlineNumber | None = None
    """its callers wait in that hotline's line, for the same seats; number, greeting and figures stay its own (双号)"""
    greeting: Note | None = None
    """spoken to who waits, over the music"""
    opening: Opening | None = None
    """always open when absent; 110 always is"""
    keys: Mapping[KeyCode, Platform] = Field(default_factory=dict)
    """code pressed on the seat's phone → platform reached"""
    danger_keys: Mapping[KeyCode, Platform] = Field(default_factory=dict)
    """the same for danger to life: ahead of routine in every queue, and over a trunk's reserved lines"""

    record: Annotated[bool, Field(strict=True)] = True
    """its calls are recorded, where the site records (`recording.enabled`)"""
    skills: tuple[Code, ...] = Field(default=(), max_length=16)
    """only seats with all of these serve it"""
    conference_keys: Mapping[KeyCode, Platform] = Field(default_factory=dict)
    """code → platform brought in beside the caller and his seat: the three-party call"""

    @property
    def line(self) -> str:
        """The waiting line of its callers."""
        return self.shares or self.number

    @property
    def every_key(self) -> Mapping[KeyCode, Platform]:
        """Routine and danger keys alike."""
        return {**self.keys, **self.danger_keys}


class ConferenceRules(_Frozen):
    """The three-party call; seconds."""

    rule: Literal["decider", "both"] = "decider"
    """whose word decides: the first one said, or both platforms', which must be the same"""

    decide: Annotated[int, Field(strict=True, ge=60, le=3600)] = 180
    """nobody has said who accepts by then: the platform that received the call first does (首接)"""
    remind: Annotated[int, Field(strict=True, ge=5, le=45)] = 30
    """both seats are reminded so long before; always less than the shortest time to decide"""
    aside: Annotated[int, Field(strict=True, ge=3, le=600)] = 60
    """the longest private conferring: then the caller is back by himself"""
    words: Annotated[int, Field(strict=True, ge=1, le=600)] = 30
    """the caller has hung up: so long the two seats may finish their words"""


class Seat(_Frozen):
    """A position: one SIP endpoint. `dedicated` takes only calls handed over by the other platform (专席)."""

    number: SeatNumber
    platform: Platform
    kind: SeatKind
    name: Text
    secret: Secret | None = Field(default=None, repr=False)
    login: Annotated[bool, Field(strict=True)] = False
    """calls only while an agent is logged in; otherwise the seat is open: logged in by configuration"""
    skills: tuple[Code, ...] = Field(default=(), max_length=16)
    lines: tuple[HotlineNumber, ...] | None = Field(default=None, max_length=500)
    """hotlines it serves; absent: all of its platform whose skills it has"""
    spill: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None
    """a general seat that takes handed-over calls when no dedicated seat is free; lower is rung sooner"""

    def password(self, instance_key: bytes) -> str:
        """The SIP secret: the one given, else derived from the instance's key (HMAC-SHA256, RFC 2104)."""
        if self.secret is not None:
            return self.secret
        digest = hmac.new(instance_key, b"seat/" + self.number.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest)[:26].decode().lower()  # 130 bits


class Agent(_Frozen):
    """A person who logs in. ``pin``: a hash (`cti seats pin`)."""

    number: SeatNumber
    name: Text
    pin: PinHash = Field(repr=False)
    skills: tuple[Code, ...] | None = Field(default=None, max_length=16)
    """absent: serves every line of the seat; else only lines whose skills are all among these"""


class Reason(_Frozen):
    """Why a seat pauses. ``key``: the digit after `*13` on the phone."""

    code: Code
    zh: Text
    en: Text
    key: Annotated[str, Field(strict=True, pattern=r"^[1-9]$")] | None = None


REASONS = (
    Reason(code="rest", zh="小休", en="break", key="1"), Reason(code="meal", zh="用餐", en="meal", key="2"),
    Reason(code="meeting", zh="会议", en="meeting", key="3"),
    Reason(code="paperwork", zh="填单", en="paperwork", key="4"),
)  # fmt: skip


class SeatRules(_Frozen):
    """What holds for every seat of the site."""

    misses: Annotated[int, Field(strict=True, ge=0, le=20)] = 3
    """rings in vain, in a row, after which Asterisk pauses the seat; 0: never"""
    wrapup: Annotated[int, Field(strict=True, ge=0, le=600)] = 0
    """seconds after a call; a hotline's own goes before"""
    reasons: tuple[Reason, ...] = Field(default=REASONS, min_length=1, max_length=32)

    @property
    def codes(self) -> frozenset[str]:
        """The reasons' codes."""
        return frozenset(r.code for r in self.reasons)


class _Target(_Frozen):
    hours: Hours | None = None
    """rung in these hours only; always when absent"""

    def serves(self, at: dt.time) -> bool:
        """Whether it is rung at this local time."""
        if self.hours is None:
            return True
        first, last = (dt.time.fromisoformat(text) for text in self.hours.split("-"))
        return first <= at < last if first < last else at >= first or at < last


class GroupTarget(_Target):
    """Any free seat of the reached platform, of one kind."""

    kind: Literal["dedicated", "general"]
    timeout: Timeout


class SeatTarget(_Target):
    """One seat of the reached platform."""

    kind: Literal["seat"]
    number: SeatNumber
    timeout: Timeout


class PhoneTarget(_Target):
    """A telephone outside, reached over a trunk: a duty phone (值班电话), another region."""

    kind: Literal["phone"]
    number: PhoneNumber
    trunk: TrunkName
    timeout: Timeout
    label: Text | None = None
    confirm: Annotated[bool, Field(strict=True)] = True
    """whoever answers must press 1: a voicemail or a menu is not a person"""


Target = Annotated[GroupTarget | SeatTarget | PhoneTarget, Field(discriminator="kind")]


class Route(_Frozen):
    """Who is reached on a platform from a division, in order; each target with its own time-out."""

    to: Platform
    division: RouteDivision
    danger: Annotated[bool, Field(strict=True)] = False
    """used instead of the ordinary ones when there is danger to life"""
    targets: tuple[Target, ...] = Field(min_length=1, max_length=16)


class Linked(_Frozen):
    """Somebody of the linkage directory (联动单位) who can be brought into a three-party call as its fourth member:
    119, 120, 122, a utility's duty desk, a supervisor. ``number``: the short number people dial and press."""

    number: SeatNumber
    name: Name
    key: KeyCode | None = None
    """pressed on a seat's phone in a three-party call; absent: * and the number"""
    contact: Note | None = None
    """whom to ask about this entry; for people alone"""
    targets: tuple[Annotated[SeatTarget | PhoneTarget, Field(discriminator="kind")], ...] = Field(
        min_length=1, max_length=8)

    @property
    def code(self) -> str:
        """The key."""
        return self.key or f"*{self.number}"


class Trunk(_Frozen):
    """A SIP peer calls come from and go to. `accepts` are the addresses its calls may come from."""

    name: TrunkName
    host: Host
    port: Port = 5060
    accepts: tuple[Network, ...] = Field(min_length=1, max_length=64)
    max_calls: Count = 30
    reserved: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    """of these, kept for calls with danger to life"""
    qualify: Annotated[int, Field(strict=True, ge=0, le=3600)] = 2
    """seconds between checks that the peer answers (SIP OPTIONS); 0: never. A dead peer is noticed only by this"""


class Nuisance(_Frozen):
    """A number listed for harassment until a day (inclusive), by somebody's approval."""

    number: PhoneNumber = Field(repr=False)
    until: dt.date
    reason: Note
    approved_by: Text


class SiteSip(_Frozen):
    """Where a site is reached by SIP, from other sites."""

    host: Host
    port: Port = 5060


class SiteEntry(_Frozen):
    """One installation of the province. All sites share one file; each finds itself by its code."""

    code: Division
    name: Name
    above: Division
    """the level above, whose coordinator moves seats between its sites"""
    sip: SiteSip
    accepts: tuple[Network, ...] = Field(min_length=1, max_length=64)
    """addresses its calls may come from"""
    penalty: Annotated[int, Field(strict=True, ge=1, le=100)] = 5
    """its seats stand so far behind our own in a line"""
    qualify: Annotated[int, Field(strict=True, ge=1, le=60)] = 2
    """seconds between two looks whether it answers"""
    place: tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=-180, le=180)]] | None = None
    """latitude, longitude: the nearest is asked first"""

    @property
    def endpoint(self) -> str:
        """Its name in pjsip.conf."""
        return f"site-{self.code}"


class Directory(_Frozen):
    """One site's linkage directory. `load_directory` builds it and checks its parts against each other."""

    hotlines: tuple[Hotline, ...]
    seats: tuple[Seat, ...]
    routes: tuple[Route, ...]
    trunks: tuple[Trunk, ...] = ()
    nuisance: tuple[Nuisance, ...] = ()
    conference: ConferenceRules = ConferenceRules()
    callbacks: CallbackRules = CallbackRules()
    sites: tuple[SiteEntry, ...] = ()
    linkage: tuple[Linked, ...] = ()
    agents: tuple[Agent, ...] = ()
    seat_rules: SeatRules = SeatRules()

    @cached_property
    def _agents(self) -> dict[str, Agent]:
        return {a.number: a for a in self.agents}

    def agent(self, number: str) -> Agent | None:
        """The agent with this number."""
        return self._agents.get(number)

    def serving(self, hotline: Hotline) -> tuple[Seat, ...]:
        """The general seats of a hotline's line, in the file's order: those that name it, or have its skills."""
        needed = set(hotline.skills)
        return tuple(
            s for s in self.seats_of(hotline.platform, "general")
            if (hotline.number in s.lines if s.lines is not None else needed <= set(s.skills)))  # fmt: skip

    def wrapup(self, hotline: Hotline) -> int:
        """Seconds of wrap-up after its calls."""
        return self.seat_rules.wrapup if hotline.queue.wrapup is None else hotline.queue.wrapup

    @cached_property
    def platforms(self) -> tuple[Platform, ...]:
        """Platforms with a hotline here, in the file's order."""
        return tuple(dict.fromkeys(h.platform for h in self.hotlines))

    @cached_property
    def _routes(self) -> dict[tuple[Platform, str, bool], tuple[Target, ...]]:
        return {(r.to, r.division, r.danger): r.targets for r in self.routes}

    @cached_property
    def _seats(self) -> dict[str, Seat]:
        return {s.number: s for s in self.seats}

    @cached_property
    def _nuisance(self) -> dict[str, Nuisance]:
        return {n.number: n for n in self.nuisance}

    def hotline(self, number: str) -> Hotline | None:
        """The hotline with this public number."""
        return next((h for h in self.hotlines if h.number == number), None)

    def seat(self, number: str) -> Seat | None:
        """The seat with this number."""
        return self._seats.get(number)

    def site(self, code: str) -> SiteEntry | None:
        """The site with this code."""
        return next((s for s in self.sites if s.code == code), None)

    def linked(self, number: str) -> Linked | None:
        """Who has this short number in the linkage directory."""
        return next((one for one in self.linkage if one.number == number), None)

    def trunk(self, name: str) -> Trunk | None:
        """The trunk with this name."""
        return next((t for t in self.trunks if t.name == name), None)

    def seats_of(self, platform: Platform, kind: SeatKind | None = None) -> tuple[Seat, ...]:
        """A platform's seats, of one kind or all, in the file's order."""
        return tuple(s for s in self.seats if s.platform == platform and kind in (None, s.kind))

    def route(self, to: Platform, division: str | None, *, danger: bool = False) -> tuple[Target, ...]:
        """Targets on platform `to` for a call from `division`: county, else prefecture, else any, else `()`; of the
        ordinary lists, or of those for danger alone.

        `None` or a malformed division (it may come from a caller's data) is unknown and meets only `*`.
        """
        keys = ((to, d, danger) for d in divisions.lineage(division))
        return next((self._routes[key] for key in keys if key in self._routes), ())

    def nuisance_entry(self, number: str, today: dt.date) -> Nuisance | None:
        """The entry for a number, if it still holds on `today` (site's local date)."""
        entry = self._nuisance.get(number)
        return entry if entry and today <= entry.until else None
