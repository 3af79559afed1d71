"""Asterisk's steps in one order: those of the file first, then what was heard live meanwhile, then live.

Knows: when steps must wait, and up to which time all have been heard. Must not know: what a step means, what AMI is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from cti.ami.translate import BadStep, Step, translate
from cti.catchup import CatchUp
from cti.core import events as e

log = structlog.get_logger(__name__)

HELD_MAX = 10_000
"""live steps waiting for the file to be read; beyond, all are dropped and read from the file as well"""
RETRY_S = 5.0
"""between two tries at a file that is there and cannot be read"""
WRITTEN_S = 0.2
"""after this a step that was heard live is in the file too"""


class Intake:
    """Tells ``hear`` every step once the file's are told. ``heard_until`` is what `Runtime` asks for."""

    def __init__(self, catchup: CatchUp, hear: Callable[[e.Event, str], None], bad: Callable[[BadStep], None],
                 now_us: Callable[[], int]) -> None:  # fmt: skip
        self._catchup, self._hear, self._bad, self._now = catchup, hear, bad, now_us
        self.since: int | None = None
        """set when the state could not be had from the ledger: the first reading then begins there (µs)"""
        self._held: list[Step] | None = []
        self._dropped = False
        self._linked = False
        self._missed = False
        self._reading = asyncio.Lock()
        self.heard_until: int | None = None

    @property
    def complete(self) -> bool:
        """Whether steps are heard as they happen and none is missing."""
        return self._linked and self._held is None and not self._missed

    def step(self, step: Step | BadStep) -> None:
        """A live one."""
        if isinstance(step, BadStep):
            self._bad(step)
        elif self._held is None:
            self._tell(step)
        elif len(self._held) < HELD_MAX:
            self._held.append(step)
        else:
            self._held, self._dropped = [step], True
            log.warning("live_steps_dropped", steps=HELD_MAX, cure="none needed: they are read from the CEL file")

    def link_down(self) -> None:
        """From now on steps are held: at the next login the file is read first."""
        self._linked, self.heard_until = False, None
        self._held = self._held if self._held is not None else []

    async def link_up(self) -> None:
        """Read what was missed, then go live. A file that cannot be read is tried again by `run`."""
        async with self._reading:
            self._linked = True
            await self._catch_up()

    async def run(self) -> None:
        """Until cancelled: make good what `link_up` could not read."""
        while True:
            await asyncio.sleep(RETRY_S)
            if self._missed and self._linked:
                async with self._reading:
                    await self._catch_up()

    def proven(self, at: int) -> None:
        """Asterisk answered a question asked at ``at`` (µs): what happened before has been heard."""
        if self.heard_until is not None:
            self.heard_until = max(self.heard_until, at)

    async def _catch_up(self) -> None:
        began = self._now()
        self.heard_until = None
        self._held = self._held if self._held is not None else []
        rows, first = 0, not self._missed
        try:
            rows = await self._catchup.run_once(self.since)
            while self._dropped:
                self._dropped = False
                await asyncio.sleep(WRITTEN_S)
                rows += await self._catchup.go_on()
            self._missed, self.since = False, None
        except OSError as why:
            self._missed = True
            if first:
                log.error("cel_file_unreadable", why=str(why), cure="may the service read cel.path? retried")
        if not self._linked:
            return  # lost meanwhile; the next login reads again
        held, self._held = self._held, None
        for step in held:
            self._tell(step)
        if not self._missed:
            self.heard_until = began
            log.info("asterisk_caught_up", rows=rows, held=len(held))

    def _tell(self, step: Step) -> None:
        event = translate(step)
        if isinstance(event, BadStep):
            self._bad(event)
        elif event is not None:
            self._hear(event, step.key)
