"""Calls whose channel is gone without a step: after Asterisk died, or its record was lost, their records are closed.

Knows: which channels Asterisk has, and that a hang-up speaks before its channel goes. Must not know: what a closed call
means (core).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from cti.ami.actions import AmiError
from cti.ami.translate import micros
from cti.core import events as e
from cti.core.ids import channel_of
from cti.core.model import Phase, Site

log = structlog.get_logger(__name__)

SURE_S = 2.0
"""Between two looks: a channel's last step and its disappearance are milliseconds apart on the same link."""
AGAIN_S = 60.0
LOOK_S = 1.0


class Ami(Protocol):
    """What is asked of the AMI client."""

    def list_action(self, name: str) -> Awaitable[Sequence[Mapping[str, object]]]:
        """The rows of a list. Raises AmiError."""

    def action(self, name: str) -> Awaitable[Mapping[str, object]]:
        """One answer. Raises AmiError."""


class Reconcile:
    """`run` while the service runs. ``site`` and ``backlog`` are the runtime's; ``hear`` takes event and key."""

    def __init__(self, ami: Ami, site: Callable[[], Site], backlog: Callable[[], int],
                 hear: Callable[[e.Event, str], None], now_us: Callable[[], int], *,
                 sure_s: float = SURE_S) -> None:  # fmt: skip
        self._ami, self._site, self._backlog, self._hear, self._now = ami, site, backlog, hear, now_us
        self._sure_s = sure_s
        self._owed = False

    async def run(self, complete: Callable[[], bool]) -> None:
        """Until cancelled: once after each full catch-up (``complete``), and every `AGAIN_S`."""
        clock = asyncio.get_running_loop().time
        due = 0.0
        while True:
            if self._owed or not complete():
                self._owed, due = False, 0.0
            if complete() and clock() >= due and await self.run_once() is not None:
                due = clock() + AGAIN_S
            await asyncio.sleep(LOOK_S)

    def link_up(self) -> None:
        """Asterisk answers (again): it may have been restarted, between two of our looks as well."""
        self._owed = True

    async def run_once(self) -> int | None:
        """Close what has no channel; how many. None, nothing can be said: steps wait, or Asterisk does not answer."""
        try:
            lost = await self._without_channel(set(self._site().calls))
            if lost:
                await asyncio.sleep(self._sure_s)
                lost = await self._without_channel(lost)
            if lost is None:
                return None
            started = started_at(await self._ami.action("CoreStatus")) if lost else None
        except AmiError as why:
            log.info("channels_not_asked", why=str(why))
            return None
        now = self._now()
        for ref in sorted(lost):
            began = self._site().calls[ref].arrived_at
            at = started if started is not None and began < started < now else now
            log.warning("caller_gone", ref=ref)
            self._hear(e.CallerGone(ref, at), f"gone/{ref}")
        return len(lost)

    async def _without_channel(self, refs: set[str]) -> set[str] | None:
        """Those of ``refs`` that are in progress and have no channel; None while steps wait."""
        if not self._in_progress(refs):
            return set()
        if self._backlog():
            return None
        there = {str(row.get("Uniqueid") or "") for row in await self._ami.list_action("CoreShowChannels")}
        if self._backlog():
            return None
        return {ref for ref in self._in_progress(refs) if channel_of(ref) not in there}

    def _in_progress(self, refs: set[str]) -> set[str]:
        calls = self._site().calls
        return {ref for ref in refs if ref in calls and calls[ref].phase is not Phase.ENDED}


def started_at(status: Mapping[str, object]) -> int | None:
    """Asterisk's start (µs, the end of its second: no step of its earlier life is later) from its CoreStatus, which
    gives its own time: UTC, as TZ is set for it."""
    text = f"{status.get('CoreStartupDate') or ''} {status.get('CoreStartupTime') or ''}"
    try:
        datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
        return micros(text) + 999_999
    except ValueError:
        return None
