"""The dialplan was put into service, or taken back. Of no call (``ref`` is empty). See `cti.core.events`."""

from __future__ import annotations

from dataclasses import dataclass

from cti.core.events.event import Event


@dataclass(frozen=True, slots=True)
class DialplanDeployed(Event):
    """It is in force. ``before``, ``after``: SHA-256 of all its files; ``files``: those that changed; ``stories``: how
    many passed ahead of it."""

    before: str
    after: str
    files: str = ""
    stories: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class DialplanRolledBack(Event):
    """``after`` was tried and failed after its reload; ``before`` is in force again. ``why``: in words."""

    before: str
    after: str
    files: str = ""
    why: str = ""
    by: str = ""


DIALPLAN_EVENTS: tuple[type[Event], ...] = (DialplanDeployed, DialplanRolledBack)
