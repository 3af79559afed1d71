"""Hotlines, their waiting lines, callbacks and three-party calls, as hotlines.yaml has them.

Knows: frozen values. Must not know: files, Asterisk, the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from cti.directory.base import Frozen, Name
from cti.directory.fields import Code, Division, HotlineNumber, Hours, KeyCode, Note, Platform, Timeout, TrunkName


class Announce(Frozen):
    """When a waiting caller hears his place and the expected wait; seconds, 0: never."""

    first: Annotated[int, Field(strict=True, ge=0, le=600)] = 10
    every: Annotated[int, Field(strict=True, ge=10, le=600)] = 30


class Overflow(Frozen):
    """To another hotline's line: after so many seconds, and at once when this one is full or closed."""

    after: Annotated[int, Field(strict=True, ge=3, le=3600)]
    to: HotlineNumber


class CallbackRules(Frozen):
    """Calling back; seconds."""

    trunk: TrunkName | None = None
    """callers are called over it; the first of trunks.yaml when absent"""
    ring: Timeout = 30
    keep: Annotated[int, Field(strict=True, ge=10, le=14_400)] = 3600
    """how long his place in the line is kept; then it is a task in the list alone"""


class QueueRules(Frozen):
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


class Opening(Frozen):
    """When a hotline has people; local time (UTC+8). Outside it callers are told, or go to `QueueRules.overflow`."""

    hours: Hours
    days: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=7)], ...], Field(min_length=1)] = (
        1, 2, 3, 4, 5, 6, 7)  # fmt: skip
    """of the week, ISO 8601: 1 is Monday"""
    holidays: tuple[dt.date, ...] = ()
    """closed all day"""
    workdays: tuple[dt.date, ...] = ()
    """open, though not one of ``days``: make-up days (调休)"""


class Hotline(Frozen):
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


class ConferenceRules(Frozen):
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
