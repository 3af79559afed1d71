"""Emergency plans (应急联动方案), a file each in plans/: what one action starts, and what it needs of the site.

Knows: frozen values. Must not know: files, Asterisk, the clock; what starting does (`cti.core.plans`).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cti.directory.base import Frozen, Name
from cti.directory.fields import Division, HotlineNumber, Note, PhoneNumber, Platform, SeatNumber, refuse
from cti.directory.targets import PhoneTarget, SeatTarget

NAME = r"[a-z][a-z0-9-]{1,31}"
"""a plan's name, its file's: it becomes part of AstDB keys and of ids"""


def prompt_of(text: str) -> str:
    """The prompt that says this text: named after what it says, so that a changed text is never an old voice."""
    return f"said-{hashlib.blake2s(text.encode(), digest_size=6).hexdigest()}"


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise refuse("repeated", "列有重复 / something stands here twice", "每项只写一次 / name each once")
    return values


class Front(Frozen):
    """What callers of these hotlines hear before they are put into the line."""

    hotlines: Annotated[tuple[HotlineNumber, ...], Field(min_length=1, max_length=50), AfterValidator(_once)]
    say: Note


class Borrowed(Frozen):
    """Seats of another site, while the plan runs."""

    site: Division = Field(alias="from")
    count: Annotated[int, Field(strict=True, ge=1, le=200)]
    minutes: Annotated[int, Field(strict=True, ge=5, le=480)] = 60
    """one lease; asked for again while the plan runs"""


class DutyPhone(Frozen):
    """Who is called and told: contacts of its own, one after another, or somebody of the linkage directory."""

    linkage: SeatNumber | None = None
    name: Name | None = None
    contacts: tuple[Annotated[SeatTarget | PhoneTarget, Field(discriminator="kind")], ...] = Field(
        default=(), max_length=8)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.linkage is None) != bool(self.contacts) or (self.linkage is None and self.name is None):
            raise refuse("duty", "写 linkage，或写 name 和 contacts / give linkage, or name and contacts",
                         "二者取一 / one of the two")  # fmt: skip
        return self


class Duty(Frozen):
    """The duty phones of a plan. ``pause``: seconds between two rounds through one's contacts."""

    say: Note
    rounds: Annotated[int, Field(strict=True, ge=1, le=5)] = 2
    pause: Annotated[int, Field(strict=True, ge=0, le=600)] = 60
    phones: tuple[DutyPhone, ...] = Field(min_length=1, max_length=64)


class Drill(Frozen):
    """``callers``: numbers whose calls are the drill's. Nobody else's are, so a citizen who rings meanwhile counts."""

    callers: Annotated[tuple[PhoneNumber, ...], Field(max_length=100), AfterValidator(_once)] = ()


class PlanFile(Frozen):
    """What a plan's file says."""

    name: Name
    sites: Annotated[tuple[Division, ...], Field(min_length=1, max_length=64), AfterValidator(_once)]
    divisions: Annotated[tuple[Division, ...], Field(max_length=200), AfterValidator(_once)] = ()
    front: Front | None = None
    seats: tuple[Borrowed, ...] = Field(default=(), max_length=64)
    open: Annotated[tuple[SeatNumber, ...], Field(max_length=64), AfterValidator(_once)] = ()
    duty: Duty | None = None
    notify: Annotated[tuple[Platform, ...], AfterValidator(_once)] = ()
    drill: Drill = Drill()


class Plan(PlanFile):
    """One plan; ``id`` is its file's name."""

    id: str

    @property
    def texts(self) -> tuple[str, ...]:
        """What must be spoken for it."""
        return tuple(part.say for part in (self.front, self.duty) if part is not None)
