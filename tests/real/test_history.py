"""Thirty days in a real Prometheus: the windows a fresh one cannot have, against sums counted here."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cti.share import folder
from cti.stack import netports
from cti.stack.prometheus import prometheus_child, write_configuration
from cti.stack.root import RuntimeRoot
from cti.stack.supervise import Supervisor
from tests.real.promtool import Promtool

pytestmark = pytest.mark.real

STEP = 300
DAY = 86_400
LABELS = 'site="530100",hotline="12345"'
ASKED, ANSWERED = (f"site_hotline:cti_calls_{what}:increase5m" for what in ("asked", "answered"))


def month(end: int, rng: random.Random) -> list[tuple[int, int, int]]:
    """(time, asked, answered) each 5 minutes for 31 days up to ``end``; the first day, outside the 30, was dreadful."""
    made = []
    for at in range(end - 31 * DAY, end + 1, STEP):
        asked = rng.randrange(0, 12)
        made.append((at, asked, 0 if at <= end - 30 * DAY else asked - (rng.random() < 0.3 and asked > 0)))
    return made


def openmetrics(rows: list[tuple[int, int, int]], now: int, rng: random.Random) -> Iterator[str]:
    """As promtool reads it. The counters run for the last day a sample a minute, with a restart in the middle."""
    for name, column in ((ASKED, 1), (ANSWERED, 2)):
        yield f"# TYPE {name} gauge"
        yield from (f"{name}{{{LABELS}}} {row[column]} {row[0]}" for row in rows)
    yield "# TYPE cti_calls counter"
    for outcome, each in (("answered", 19), ("abandoned", 1), ("unasked", 7)):
        for n, at in enumerate(range(now - DAY - 600, now + 1, 60)):
            yield f'cti_calls_total{{{LABELS},outcome="{outcome}"}} {each * (n if n < 700 else n - 700)} {at}'
    yield "# EOF"


async def test_a_day_and_a_month_are_the_sums_of_their_calls(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    if time.time() % STEP > STEP - 20:  # not across a step of the subquery
        await asyncio.sleep(21)
    now, rng = int(time.time()), random.Random(6)
    rows = month(now - now % STEP, rng)
    (tmp_path / "in.txt").write_text("\n".join(openmetrics(rows, now, rng)) + "\n")
    promtool = Promtool(runtime_root)
    data = tmp_path / "prometheus"
    assert promtool.run("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=768h", tmp_path / "in.txt",
                        data), promtool.said  # fmt: skip
    source = folder("config") / "prometheus"
    port = netports.free_tcp_port()

    def ask(query: str) -> list[dict[str, Any]]:
        words = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{words}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    async def value(query: str, seconds: float = 15) -> float:
        """The query's one value, as soon as the rules it reads have been computed."""
        for _ in range(int(seconds * 5)):
            if found := await asyncio.to_thread(ask, query):
                return float(found[0]["value"][1])
            await asyncio.sleep(0.2)
        raise AssertionError(f"nothing comes of {query}")

    try:
        async with Supervisor() as supervisor:
            told = write_configuration(source, tmp_path / "etc", {}, 1.0)
            await supervisor.start(prometheus_child(runtime_root, tmp_path, port, told))
            inside = [row for row in rows if row[0] > now - 30 * DAY]
            for what, column in (("asked", 1), ("answered", 2)):
                found = await value(f"site_hotline:cti_calls_{what}:increase30d")
                assert found == sum(row[column] for row in inside)
            day = DAY // 60
            assert await value("site_hotline:cti_calls_asked:increase24h") == pytest.approx(20 * day, rel=0.002)
            assert await value("site_hotline:cti_calls_answered:increase24h") == pytest.approx(19 * day, rel=0.002)
            assert await value("site:cti_calls_answered:ratio24h") == pytest.approx(0.95, abs=1e-9)
    finally:
        netports.release(port)
