"""A word to the supervisor that started us (systemd, `Type=notify`): ready, still alive, stopping.

Knows: the datagram of sd_notify(3) and two variables of the environment. Must not know: what being ready means. Without
NOTIFY_SOCKET (no systemd, a container) every word goes nowhere.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping


def tell(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send `state` ("READY=1"); whether anybody was there to hear it. A supervisor that is gone is no error of ours."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        try:
            to.connect("\0" + address[1:] if address.startswith("@") else address)
            to.sendall(state.encode())
        except OSError:
            return False
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two signs of life, half of what is asked for; None when nobody asks it of us."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    asked = environment.get("WATCHDOG_USEC", "")
    return int(asked) / 2e6 if asked.isascii() and asked.isdecimal() and int(asked) > 0 else None


async def keep_told(ready: asyncio.Event) -> None:
    """READY when it is, then signs of life from the event loop itself, so that one that hangs is started anew; STOPPING
    when cancelled."""
    try:
        await ready.wait()
        tell("READY=1")
        every = watchdog_s()
        while every is not None:
            tell("WATCHDOG=1")
            await asyncio.sleep(every)
        await asyncio.Event().wait()
    finally:
        tell("STOPPING=1")
