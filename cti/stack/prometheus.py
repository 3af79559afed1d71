"""The embedded Prometheus: scrapes what the given configuration names, answers on loopback.

Knows Prometheus' flags and its readiness page; must not know our metrics.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cti.stack.netports import LOOPBACK
from cti.stack.root import RuntimeRoot
from cti.stack.supervise import Child


def prometheus_child(root: RuntimeRoot, state: Path, port: int, config: Path) -> Child:
    """Prometheus on 127.0.0.1:`port`, scraping as `config` says; data in `state`/prometheus for a week."""
    data = state / "prometheus"
    data.mkdir(parents=True, exist_ok=True)
    return Child(
        name="prometheus",
        argv=root.argv(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=7d",
            f"--web.listen-address={LOOPBACK}:{port}",
        ),
        cwd=data,
        log_path=state / "log" / "prometheus.log",
        ready=lambda: answers_ready(port),
        grace=10.0,  # It writes its head block when asked to stop.
    )


async def answers_ready(port: int) -> bool:
    """Whether `/-/ready` answers 200 (Prometheus, management API). OSError while nothing listens."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(b"GET /-/ready HTTP/1.0\r\n\r\n")
        await writer.drain()
        return b" 200 " in await reader.readline()
    finally:
        writer.close()
