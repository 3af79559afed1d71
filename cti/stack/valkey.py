"""The embedded Valkey: durable to the last entry, reachable from this machine only.

Knows Valkey's options and its PING; must not know what is stored in it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cti.stack.netports import LOOPBACK
from cti.stack.root import RuntimeRoot
from cti.stack.supervise import Child


def valkey_child(root: RuntimeRoot, state: Path, port: int) -> Child:
    """Valkey on 127.0.0.1:`port` with data in `state`/valkey. A write is on disk before it is answered."""
    data = state / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": str(data),
        # Appending with fsync costs 0.3 ms a fact; snapshots beside it would only fork and write twice.
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        # The ledger is the truth: better a refused write, which goes to the spool, than an evicted fact.
        "maxmemory-policy": "noeviction",
        # A backup is taken as a replica takes its first copy; nobody else is waited for (the default: 5 s).
        "repl-diskless-sync-delay": "0",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Child(
        name="valkey",
        argv=root.argv("valkey-server", *arguments),
        cwd=data,
        log_path=state / "log" / "valkey.log",
        ready=lambda: answers_ping(port),
    )


async def answers_ping(port: int) -> bool:
    """Whether Valkey serves commands (-LOADING while it reads its file). OSError while nothing listens.

    The caller bounds the time (the supervisor gives each look 2 s).
    """
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(b"PING\r\n")
        await writer.drain()
        return await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()
