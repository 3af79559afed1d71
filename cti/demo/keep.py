"""What may die without a caller being lost is started again. Knows: when, and what to say. Must not know: what the
programs are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from cti.stack.supervise import Child, ChildExit, ChildFailed, Supervisor

PAUSES = (0, 1, 2, 5, 10, 30)
"""s before each further start of one that died young; the last one for ever"""
YOUNG_S = 10.0
"""an end sooner than this after the start is no accident but a fault that will come again"""


class Keeper:
    """Starts those of `kept` again that end; `say` gets a line for people each time.

    `pauses`: seconds before the first, second, … start in a row. `young`: seconds; who lived longer begins anew at
    the first pause. The first start is `Supervisor.start`'s and is the caller's to make.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        kept: Iterable[Child],
        say: Callable[[str], None],
        *,
        pauses: Sequence[float] = PAUSES,
        young: float = YOUNG_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._supervisor, self._say = supervisor, say
        self._kept = {child.name: child for child in kept}
        self._pauses, self._young, self._sleep, self._clock = pauses, young, sleep, clock
        self._starts: dict[str, float] = {}
        self._in_a_row: dict[str, int] = {}

    async def run(self) -> ChildExit:
        """Until one ends that is not kept: its exit."""
        async with asyncio.TaskGroup() as group:
            starts = set()
            while (exit := await self._supervisor.watch()).name in self._kept:
                start = group.create_task(self._again(exit.name, f"({exit.returncode})", exit.log_tail))
                starts.add(start)
                start.add_done_callback(starts.discard)
            for start in starts:
                start.cancel()
        return exit

    async def _again(self, name: str, why: str, words: Sequence[str]) -> None:
        child = self._kept[name]
        while True:
            pause = self._pause(name)
            zh, en = (f"{pause:g} 秒后重启", f" in {pause:g} s") if pause else ("正在重启", "")
            last = f": {words[-1]}" if pause and words else ""
            self._say(f"{name} 退出 {why}，{zh} / ended, starts again{en}{last}")
            await self._sleep(pause)
            self._starts[name] = self._clock()
            try:
                await child.restart()
            except ChildFailed as failed:
                why, words = failed.reason, failed.log_tail
            else:
                return

    def _pause(self, name: str) -> float:
        lived = self._clock() - self._starts.get(name, float("-inf"))
        row = self._in_a_row.get(name, 0) + 1 if lived < self._young else 0
        self._in_a_row[name] = row
        return self._pauses[min(row, len(self._pauses) - 1)]
