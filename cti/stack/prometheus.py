"""The embedded Prometheus: scrapes the sites' services, computes our rules and alerts, answers on loopback.

Knows Prometheus' flags, its readiness page and the form of its files; must not know our metrics. What it is told is
`config/prometheus/`, with shorter times: on one machine one wants to see something at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cti.stack.netports import LOOPBACK
from cti.stack.root import RuntimeRoot
from cti.stack.supervise import Child

FEATURES = ("exemplar-storage", "created-timestamp-zero-ingestion")
"""the latter: a series that begins at 1 counts that 1; without it `increase` needs two scrapes to see a rise"""
RULES = ("rules.yml", "alerts.yml")


def write_configuration(source: Path, folder: Path, sites: Mapping[str, int], every: float) -> Path:
    """`source` (config/prometheus) into `folder`, for sites (code → HTTP port on this machine) scraped ``every`` s; the
    file to start with. Raises OSError, and KeyError for a source that is not ours."""
    seconds = f"{round(every * 1000)}ms"
    told = _read(source / "prometheus.yml")
    told["global"] |= {"scrape_interval": seconds, "scrape_timeout": seconds, "evaluation_interval": seconds}
    (job,) = told["scrape_configs"]
    del job["file_sd_configs"]
    job["static_configs"] = [{"targets": [f"{LOOPBACK}:{port}"], "labels": {"site": site}}
                             for site, port in sites.items()]  # fmt: skip
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in RULES:
        rules = _read(source / name)
        for group in rules["groups"]:
            group.pop("interval", None)
        _write(folder / name, rules)
    return _write(folder / "prometheus.yml", told)


def prometheus_child(root: RuntimeRoot, state: Path, port: int, config: Path) -> Child:
    """Prometheus on 127.0.0.1:`port`, scraping as `config` says; data in `state`/prometheus for 40 days."""
    data = state / "prometheus"
    data.mkdir(parents=True, exist_ok=True)
    return Child(
        name="prometheus",
        argv=root.argv(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=40d",  # the rate of 30 days reads 30 days
            f"--web.listen-address={LOOPBACK}:{port}",
            f"--enable-feature={','.join(FEATURES)}",
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


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False, width=1000), encoding="utf-8")
    return path
