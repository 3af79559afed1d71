"""Who is reached, in which order: routes.yaml, linkage.yaml.

Knows: frozen values. Must not know: files, Asterisk, the clock.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from cti.directory.base import Frozen, Name
from cti.directory.fields import (
    Hours,
    KeyCode,
    Note,
    PhoneNumber,
    Platform,
    RouteDivision,
    SeatNumber,
    Text,
    Timeout,
    TrunkName,
)


class _Target(Frozen):
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


class Route(Frozen):
    """Who is reached on a platform from a division, in order; each target with its own time-out."""

    to: Platform
    division: RouteDivision
    danger: Annotated[bool, Field(strict=True)] = False
    """used instead of the ordinary ones when there is danger to life"""
    targets: tuple[Target, ...] = Field(min_length=1, max_length=16)


class Linked(Frozen):
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
