"""The metrics page: what begins at 0, exemplars that name a call and never a number, waiting callers, dial tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cti.core.facts import Fact
from cti.dialtest.report import Report, Run, silent
from cti.metrics import Metrics, exemplar
from cti.probes import Probe, Probes, keep
from cti.web.server import WebServer
from tests.unit.test_tones import Samples, hears, voice

REF = "530100-1795484553.20"
CALLER = "13888123456"


def ended(ref: str, outcome: str = "answered") -> Fact:
    return Fact("CallEnded", 1, ref, {"hotline": "12345", "outcome": outcome, "wait_ms": 15_000}, "live", "k")


def exemplars(metrics: Metrics) -> dict[str, str]:
    text = generate_latest(metrics.registry).decode()  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {sample.name + str(sample.labels.get("le", "")): sample.exemplar.labels["ref"]
            for family in families for sample in family.samples if sample.exemplar}  # fmt: skip


def test_an_exemplar_names_the_call_in_its_very_bucket() -> None:
    metrics = Metrics()
    metrics.saw(ended(REF))
    assert exemplars(metrics) == {"cti_calls_total": REF, "cti_answer_wait_seconds_bucket15.0": REF}
    assert metrics.registry.get_sample_value("cti_answer_wait_seconds_bucket", {"hotline": "12345", "le": "15.0"}) == 1
    assert metrics.registry.get_sample_value("cti_answer_wait_seconds_bucket", {"hotline": "12345", "le": "10.0"}) == 0


@pytest.mark.parametrize("ref", [CALLER, "", f"530100-{CALLER}", "530100-1.2\n", "x" * 200, f"{CALLER}@trunk"])
def test_what_is_no_correlation_id_is_no_exemplar(ref: str) -> None:
    metrics = Metrics()
    metrics.saw(ended(ref))
    assert exemplar(ended(ref)) is None and exemplars(metrics) == {}
    assert metrics.registry.get_sample_value("cti_calls_total", {"hotline": "12345", "outcome": "answered"}) == 1


def test_what_can_be_counted_begins_at_nought() -> None:
    metrics = Metrics()
    metrics.prepare(["12345", "110"], ["12345", "110"])
    value = metrics.registry.get_sample_value
    for hotline in ("12345", "110"):
        assert value("cti_calls_total", {"hotline": hotline, "outcome": "abandoned"}) == 0
        assert value("cti_answer_wait_seconds_count", {"hotline": hotline}) == 0
    way = {"first_platform": "12345", "to": "110", "why": ""}
    assert value("cti_transfers_total", {**way, "outcome": "returned"}) == 0
    assert value("cti_ledger_events_total", {"what": "lost"}) == 0


async def test_only_who_asks_for_openmetrics_is_told_exemplars() -> None:
    metrics = Metrics()
    metrics.saw(ended(REF))
    server = WebServer("127.0.0.1", 0, metrics.registry, dict, dict)
    app = Application()
    app.router.add_get("/metrics", server._metrics)
    async with TestClient(TestServer(app)) as client:
        plain = await client.get("/metrics")
        assert plain.content_type == "text/plain" and REF not in await plain.text()
        accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.1"
        asked = await client.get("/metrics", headers={"Accept": accept})
        assert asked.content_type == "application/openmetrics-text"
        text = await asked.text()
        assert f'# {{ref="{REF}"}}' in text and text.rstrip().endswith("# EOF")


def test_a_dial_tests_last_word_is_a_metric(tmp_path: Path) -> None:
    runs = [Run(0, silent_ms=120.0), Run(1, silent_ms=1000.0, faults=["silence"]), Run(2, silent_ms=999.0)]
    keep(tmp_path, Report("queue", 1, runs).probe(1_800_000_000.0))
    keep(tmp_path, Probe("onekey", 3, 0, 0, 21.0, 1_800_000_001.0))
    keep(tmp_path, Probe("onekey", 4, 0, 0, 22.0, 1_800_000_002.0))
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text(json.dumps({"scenario": "queue", "calls": 1, "failed": 0, "dead_air": 0,
                                                     "silent_ms": 0, "ended_at": 0}))  # fmt: skip
    registry = CollectorRegistry()
    Probes(tmp_path, registry)
    value = registry.get_sample_value
    assert value("cti_dialtest_dead_air_calls", {"scenario": "queue"}) == 1
    assert value("cti_dialtest_failed_calls", {"scenario": "queue"}) == 1
    assert value("cti_dialtest_silence_max_seconds", {"scenario": "queue"}) == 1.0
    assert value("cti_dialtest_calls", {"scenario": "onekey"}) == 4
    assert value("cti_dialtest_ended_timestamp_seconds", {"scenario": "onekey"}) == 1_800_000_002.0
    assert value("cti_dialtest_unreadable_files") == 2


def test_a_probe_that_could_lie_is_not_read(tmp_path: Path) -> None:
    for n, (field, wrong) in enumerate([("calls", True), ("failed", -1), ("dead_air", "0"), ("silent_ms", 1e300)]):
        good = {"scenario": f"s{n}", "calls": 1, "failed": 0, "dead_air": 0, "silent_ms": 0, "ended_at": 0}
        (tmp_path / f"s{n}.json").write_text(json.dumps(good | {field: wrong}))
    registry = CollectorRegistry()
    Probes(tmp_path, registry)
    assert registry.get_sample_value("cti_dialtest_unreadable_files") == 4


def test_silence_is_no_packet_or_packets_of_silence_in_a_row() -> None:
    quiet: list[Samples | bytes | None] = [np.zeros(160, np.int16)] * 30
    heard = hears(*voice(400, 20), *quiet, *[None] * 30, *voice(400, 20))
    assert silent(heard) == pytest.approx(1200, abs=60)
    assert silent(hears(*voice(400, 100))) <= 40
