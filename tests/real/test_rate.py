"""`cti rate`, the interface and a rebuild on a real ledger: the same figures by each, and by the stream alone."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner
from redis.asyncio import Redis

from cti.__main__ import main
from cti.core.answer_rate import as_queues, ended_call
from cti.core.facts import Fact, FactId, encode
from cti.core.rate_report import Asked
from cti.core.spans import day
from cti.core.zone import SHANGHAI
from cti.ledger import days as reading
from cti.ledger.days import Days
from cti.ledger.ledger import Ledger
from cti.ledger.stream import LedgerStream, StreamAway
from cti.stack.netports import free_tcp_port, release
from cti.web.answer_rate import AnswerRateApi
from cti.web.auth import Role, Tokens, Who
from cti.web.problems import Refused, response
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real

S = 1_000_000
DAY = day("2026-03-31")
DAYS = "cti:{530100}:day:*"


def ended(n: int, at: int, outcome: str, **more: str | int) -> tuple[FactId, dict[bytes, bytes]]:
    data = {"outcome": outcome, "hotline": "12345", "platform": "12345", "division": "530102", "arrived_at": at,
            "seat_kind": "general" if outcome == "answered" else "", "wait_ms": 3_000, **more}  # fmt: skip
    ref = f"530100-{at // S}.{n}"
    return FactId(n + 1, 0), encode(Fact("CallEnded", at + 60 * S, ref, data, "live", f"call/{ref}"))


def facts() -> list[tuple[FactId, dict[bytes, bytes]]]:
    """2026-03-31: 190 answered, 6 of them transferred to 110 (2 in vain), 10 gave up (5 of them within 5 s). One call
    over midnight, one of the next day, one of a drill, and other facts between."""
    rows: list[tuple[int, str, dict[str, str | int]]] = []
    for n in range(190):
        kind = {"seat_kind": "dedicated"} if n < 20 else {}
        to = {"queues": f"12345,9,answered,3000,general;110,20000,{'timeout' if n < 2 else 'answered'},9,"}
        rows.append((DAY.start + n * 400 * S, "answered", {**kind, **(to if n < 6 else {})}))
    rows += [(DAY.start + n * 3600 * S, "abandoned", {"wait_ms": 2_000 if n < 4 else 30_000}) for n in range(9)]
    rows += [(DAY.end - 1, "abandoned", {"division": "530103"}), (DAY.end, "answered", {}),
             (DAY.start, "abandoned", {"drill": "flood-1"}), (DAY.start, "unasked", {})]  # fmt: skip
    made = []
    for n, (at, outcome, more) in enumerate(rows):
        made.append(ended(2 * n, at, outcome, **more))
        made.append((FactId(2 * n + 2, 0), encode(Fact("SeatLeft", at, "530100-1.1", {"seat": "1"}, "live", f"s{n}"))))
    return made


@dataclass
class Site:
    server: ValkeyServer
    state: Path

    def cli(self, *args: str) -> tuple[int, str]:
        told = CliRunner().invoke(main, ["rate", "--state", str(self.state), *args])
        return told.exit_code, told.output

    def json(self, *args: str) -> list[dict[str, Any]]:
        code, out = self.cli("--json", *args)
        assert code == 0, out
        found: list[dict[str, Any]] = json.loads(out)["reports"]
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    state = tmp_path_factory.mktemp("rate")
    server = ValkeyServer(state / "valkey", free_tcp_port())

    async def fill() -> None:
        await server.start()
        stream = LedgerStream("530100", server.url, timeout=10)
        await stream.append(facts())
        await stream.close()

    asyncio.run(fill())
    config = state / "config"
    config.mkdir()
    (config / "site.yaml").write_text("answer_rate: {short_abandon: 5}\n", encoding="utf-8")
    facts_of_it = {"site": "530100", "redis": server.port, "config": str(config), "ports": {"http": 1}}
    (state / "instance.json").write_text(json.dumps(facts_of_it), encoding="utf-8")
    yield Site(server, state)
    server.kill()
    release(server.port)


def test_a_days_figures_with_their_rule(site: Site) -> None:
    (told,) = site.json("--day", "2026-03-31")
    caller, queue = told["views"]["caller"], told["views"]["queue"]
    assert (caller["offered"], caller["answered"], caller["abandoned"]) == (200, 190, 10)
    assert (caller["answer_rate"], caller["meets_target"]) == ("95.00 %", True)
    # the threshold of site.yaml, printed with the figure
    assert caller["adjusted"] == {"offered": 195, "answer_rate": "97.43 %", "meets_target": True}
    assert "5 秒" in told["rule"]["zh"] and told["rule"]["en"].startswith("answered by a person")
    assert (queue["offered"], queue["answered"], queue["timed_out"]) == (206, 194, 2)
    assert queue["rule"] != caller["rule"]
    (raw,) = site.json("--day", "2026-03-31", "--short-abandon", "0")
    assert raw["views"]["caller"]["adjusted"]["offered"] == 200  # changed, it is counted anew


def test_what_the_days_say_is_what_the_stream_says(site: Site) -> None:
    calls = [ended_call(json.loads(fields[b"data"])) for _, fields in facts()
             if fields[b"kind"] == b"CallEnded" and b"drill" not in fields[b"data"]]  # fmt: skip
    (told,) = site.json("--month", "2026-03", "--by", "division")
    march = [call for call in calls if call.arrived_at < DAY.end]
    groups = {g["name"]: g["offered"] for g in told["views"]["caller"]["groups"]}
    assert groups == {"530102": 199, "530103": 1} and sum(groups.values()) == sum(c.outcome != "unasked" for c in march)
    (kinds,) = site.json("--day", "2026-03-31", "--by", "seat-kind")
    shares = {g["name"]: g["share_of_offered"] for g in kinds["views"]["caller"]["groups"]}
    assert shares == {"": "5.00 %", "dedicated": "10.00 %", "general": "85.00 %"}
    assert sum(1 for _ in as_queues(march)) == 207


def test_quarters_and_every_rolling_day(site: Site) -> None:
    (told,) = site.json("--day", "2026-03-31", "--buckets")
    assert len(told["buckets"]) == 96 and sum(q["offered"] for q in told["buckets"]) == 200
    assert told["rolling_24h"][-1]["answer_rate"] == "95.00 %" and told["rolling_24h_worst"]["answer_rate"] < "95"
    code, out = site.cli("--day", "2026-03-31", "--buckets", "--by", "hotline")
    assert code == 0 and "人工接通率" in out and "03-31 23:45" in out and "queue view" in out


def test_bad_input_names_the_cure(site: Site, tmp_path: Path) -> None:
    for args, said in ((("--day", "31.3."), "2026-11-25"), (("--month", "2026Q1"), "2026-11"),
                       (("--day", "2026-03-31", "--hours", "3"), "one of day"), (("--hours", "9999"), "744"),
                       (("--short-abandon", "-1"), "60 s")):  # fmt: skip
        code, out = site.cli(*args)
        assert code == 2 and said in out, out
    told = CliRunner().invoke(main, ["rate", "--state", str(tmp_path)])
    assert told.exit_code == 1 and "cti up" in told.output


def test_without_a_time_it_is_today_the_last_day_and_the_month(site: Site) -> None:
    now = dt.datetime.now(SHANGHAI)
    told = site.json()
    assert [one["span"] for one in told] == [f"{now:%Y-%m-%d}", "24h", f"{now:%Y-%m}"]
    assert told[0]["views"]["caller"]["answer_rate"] == "—"


async def test_a_rebuild_makes_the_same_days_from_the_stream(site: Site, tmp_path: Path) -> None:
    async def kept(raw: Redis) -> dict[bytes, dict[bytes, bytes]]:
        return {key: await raw.hgetall(key) async for key in raw.scan_iter(match=DAYS)}  # type: ignore[misc]

    ledger = Ledger("530100", site.server.url, tmp_path / "spool.db", now_ms=lambda: 1)
    async with Redis(port=site.server.port) as raw:
        before = await kept(raw)
        assert len(before) == 2 and sum(map(len, before.values())) == len(facts()) // 2 - 1
        for key in before:
            await raw.delete(key)
        steps: list[int] = []
        walked = await ledger._query.rebuild(progress=steps.append)
        assert walked == len(facts()) == steps[-1]
        assert await kept(raw) == before
        await ledger._query.rebuild()
        assert await kept(raw) == before
    await ledger.aclose()


async def test_a_day_is_told_in_portions_each_call_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 10)
    async with Redis(port=site.server.port) as raw:
        await raw.config_set("hash-max-listpack-entries", 16)
        await raw.hset("cti:{530100}:day:20260401", mapping={f"r{n}": b"[1,\"1\",\"answered\"]" for n in range(500)})
    days = Days("530100", site.server.url, timeout=5)
    portions = [p async for p in days.ended(day("2026-04-01").start, day("2026-04-01").end)]
    assert len(portions) > 5 and sum(map(len, portions)) == 501
    async with Redis(port=site.server.port) as raw:
        await raw.hdel("cti:{530100}:day:20260401", *(f"r{n}" for n in range(500)))
        await raw.hset("cti:{530100}:day:20260401", "torn", b"[1")
    assert sum([len(p) async for p in days.ended(day("2026-04-01").start, day("2026-04-01").end)]) == 1
    async with Redis(port=site.server.port) as raw:
        await raw.hdel("cti:{530100}:day:20260401", "torn")
    await days.close()


async def test_the_interface_tells_the_same_to_who_may_know(site: Site) -> None:
    tokens = Tokens("k" * 32)
    days = Days("530100", site.server.url, timeout=5)
    away = False

    async def figures(asked: Asked) -> dict[str, Any]:
        if away:
            raise ConnectionError
        return (await days.report(asked)).figures()

    @web.middleware
    async def problems(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except Refused as why:
            return response(why.code, why.detail)

    app = web.Application(middlewares=[problems])
    AnswerRateApi(tokens, figures, 5.0, lambda: 3, lambda: DAY.end + 1).add_to(app)

    async with TestClient(TestServer(app)) as client:

        async def get(query: str, role: Role = "read-only", seat: str = "") -> tuple[int, dict[str, Any]]:
            signed = {"Authorization": f"Bearer {tokens.make(Who(role, seat))}"}
            async with client.get(f"/api/v1/answer-rate{query}", headers=signed) as told:
                return told.status, await told.json()

        status, told = await get("?day=2026-03-31&by=hotline")
        assert status == 200 and told["spool"] == 3
        assert told["reports"] == await asyncio.to_thread(site.json, "--day", "2026-03-31", "--by", "hotline")
        status, told = await get("")
        assert [one["span"] for one in told["reports"]] == ["2026-04-01", "24h", "2026-04"]
        assert (await get("?day=2026-03-31", "agent", "1001"))[0] == 403
        assert (await client.get("/api/v1/answer-rate")).status == 401
        for query in ("?day=x", "?hours=x", "?hours=1.5", "?hours=nan", "?by=moon", "?colour=red",
                      "?short_abandon=inf"):  # fmt: skip
            status, told = await get(query)
            assert (status, told["code"]) == (422, "invalid-field"), query
        away = True
        assert (await get("?hours=24"))[1]["code"] == "ledger-away"
    await days.close()


async def test_a_ledger_that_does_not_answer_is_said_and_not_a_day_without_calls() -> None:
    days = Days("530100", f"redis://127.0.0.1:{free_tcp_port()}/0", timeout=1)
    with pytest.raises(StreamAway):
        await days.report(Asked(DAY))
    await days.close()
