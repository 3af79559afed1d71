"""SIGINT and SIGTERM mean the same: stop in order. Knows: signals. Must not know: what is stopped.

Both are for the main thread. A helper that blocks is interrupted by an exception, a coroutine by its cancellation.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Within, SIGTERM raises KeyboardInterrupt as Ctrl-C does: what was begun is undone, no helper program lives on."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def until_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns, or None when a signal stopped it. The first signal cancels the work, further ones do not
    disturb its orderly end. Raises what the work raises."""
    loop = asyncio.get_running_loop()
    asked = False

    def ask() -> None:
        nonlocal asked
        if not asked:
            asked = True
            task.cancel()

    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            for number in SIGNALS:
                loop.add_signal_handler(number, ask)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None  # There is but one task: the group tells nothing more.
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return None if task.cancelled() else task.result()
