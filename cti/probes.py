"""What dial tests found, kept as one small file a scenario, and told as metrics (the service's ``<state>/probes``).

Knows: the file's form and its metrics. Must not know: how a dial test judges, nor who serves the metrics. A dial test
runs beside the service, often for seconds a day; its last word stays until the next one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

FOLDER = "probes"
NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
MOST = 64
"""files looked at: a scenario each, and a stray folder must not fill /metrics"""
MOST_BYTES = 4096
METRICS = {
    "calls": ("cti_dialtest_calls", "test calls of the scenario's last run"),
    "failed": ("cti_dialtest_failed_calls", "of these, calls with a fault"),
    "dead_air": ("cti_dialtest_dead_air_calls", "of these, calls whose caller heard nothing for a second or longer"),
    "silent_ms": ("cti_dialtest_silence_max_seconds", "longest time a caller of the last run heard nothing"),
    "ended_at": ("cti_dialtest_ended_timestamp_seconds", "when the scenario's last run ended"),
}


@dataclass(frozen=True, slots=True)
class Probe:
    """One run of a scenario. ``ended_at``: s since the epoch."""

    scenario: str
    calls: int
    failed: int
    dead_air: int
    silent_ms: float
    ended_at: float


def keep(folder: Path, probe: Probe) -> Path:
    """Write the probe over its scenario's last one, whole; the file's path. OSError."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    path = folder / f"{probe.scenario}.json"
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(asdict(probe)), encoding="utf-8")
    part.replace(path)
    return path


def read(folder: Path) -> tuple[list[Probe], int]:
    """The probes there by scenario, and how many files do not read."""
    found, bad = [], 0
    for path in sorted(folder.glob("*.json"))[:MOST]:
        try:
            with path.open("rb") as file:
                made = Probe(**json.loads(file.read(MOST_BYTES)))
            numbers = (made.calls, made.failed, made.dead_air, made.silent_ms, made.ended_at)
            if made.scenario != path.stem or not NAME.fullmatch(path.stem) or not all(
                    type(n) in (int, float) and 0 <= n < 1e12 for n in numbers):
                raise ValueError(path.name)
            found.append(made)
        except (OSError, ValueError, TypeError):
            bad += 1
    return found, bad


class Probes(Collector):
    """The folder as metrics, read anew at each look."""

    def __init__(self, folder: Path, registry: CollectorRegistry) -> None:
        self._folder = folder
        registry.register(self)

    def describe(self) -> list[GaugeMetricFamily]:
        """Their names, without a look at the folder."""
        return [*(GaugeMetricFamily(*names, labels=["scenario"]) for names in METRICS.values()),
                GaugeMetricFamily("cti_dialtest_unreadable_files", "files of the folder that do not read")]  # fmt: skip

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A sample a scenario and figure."""
        found, bad = read(self._folder)
        *families, unreadable = self.describe()
        for field, family in zip(METRICS, families, strict=True):
            for probe in found:
                value = float(getattr(probe, field))
                family.add_metric([probe.scenario], value / 1000 if field == "silent_ms" else value)
            yield family
        unreadable.add_metric([], bad)
        yield unreadable
