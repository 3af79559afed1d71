"""The ledger asked, on a real Valkey: pages of past transfers against a count by hand, exports over HTTP and by
command. The service's part is its real ledger behind its real routes; no Asterisk is needed."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from redis.asyncio import Redis

from cti.clock import now_us
from cti.core.facts import Fact, FactId, Scalar, encode
from cti.core.past import Wanted, timeline
from cti.export import csvfile, parquet
from cti.export.stream import Told
from cti.export.tables import COLUMNS
from cti.ledger.projected import rebuild
from cti.ledger.stream import LedgerStream, StreamAway
from cti.ledger.transfers import PastTransfers
from cti.stack.netports import LOOPBACK
from cti.web.exports import ExportsApi
from cti.web.transfers import problems
from tests.real.query_store import NEW, OLD, Store, cti, get, service, stream_of

pytestmark = pytest.mark.real


# -- pages -------------------------------------------------------------------------------------------------------------
def by_hand(store: Store, wanted: Wanted, caller: dict[str, str]) -> list[str]:
    """The answer of a walk over all facts, newest first."""
    found = []
    for name, fact in store.ended.items():
        d, ref = fact.data, fact.ref
        if (wanted.start <= int(str(d["started_at"])) < wanted.end and wanted.hotline in ("", d["first_platform"])
                and wanted.to in ("", d["to"]) and wanted.outcome in ("", d["outcome"]) and wanted.ref in ("", ref)
                and (not wanted.seat or wanted.seat in (d["seat"], d["target"]))
                and (not wanted.own or wanted.own in (d["seat"], d["target"]))
                and (not wanted.caller or (caller[ref].startswith(wanted.caller[:3]) and caller[ref].endswith(
                    wanted.caller[7:9])))):  # fmt: skip
            found.append((int(str(d["started_at"])), name))
    return [name for _, name in sorted(found, reverse=True)]


async def test_every_filter_and_every_page_agrees_with_a_count_by_hand(store: Store) -> None:
    callers = {f.ref: str(f.data["caller"]) for f in store.facts if f.kind == "CallArrived"}
    some = next(f for f in store.ended.values() if callers[f.ref] and f.data["outcome"] == "answered")
    number = callers[some.ref]
    middle = OLD.end_ms * 1000
    wanted = [Wanted(), Wanted(start=middle), Wanted(end=middle), Wanted(hotline="12345", to="110"),
              Wanted(seat="8001"), Wanted(seat="1001", outcome="answered"),
              Wanted(own="1901", seat="8101"), Wanted(outcome="returned"),
              Wanted(outcome="refused", start=middle), Wanted(ref=some.ref),
              Wanted(caller=f"{number[:3]}****{number[-2:]}"),
              Wanted(outcome="unknown"), Wanted(seat="9999")]  # fmt: skip
    async with stream_of(store) as stream:
        rows = PastTransfers(stream)
        for one in wanted:
            for limit in (3, 500):
                found: list[str] = []
                below = None
                while True:
                    page = await rows.page(one, limit, below)
                    found += [row.id for row in page.rows]
                    if (below := page.next) is None:
                        break
                assert found == by_hand(store, one, callers), one
        assert len(by_hand(store, Wanted(), callers)) > 40
        row = await rows.one(str(some.data["transfer"]))
        assert row is not None and row.caller.startswith(f"{number[:3]}****{number[-2:]}~")
        same = await rows.page(Wanted(caller=row.caller), 10)
        assert row.id in [one.id for one in same.rows]


async def test_pages_hold_still_while_transfers_arrive(store: Store) -> None:
    """Newer ones stand above the reader's place; he sees each of those he began with once."""
    site = "530199"  # a site of its own in the same Valkey
    stream = LedgerStream(site, store.server.url, timeout=10.0)
    try:
        async def start(n: int) -> None:
            data: dict[str, Scalar] = {"transfer": f"{site}-{n}.1-p", "to": "110", "seat": "1001"}
            fact = Fact("TransferStarted", 1_000_000 + n // 3, f"{site}-{n}.1", data, "live", f"k{n}")
            await stream.append([(FactId(n + 1, 0), encode(fact))])

        for n in range(20):
            await start(n)
        rows, seen, below, more = PastTransfers(stream), list[str](), None, 20
        while True:
            page = await rows.page(Wanted(seat="1001"), 3, below)
            seen += [row.id for row in page.rows]
            for _ in range(4):
                await start(more)
                more += 1
            if (below := page.next) is None:
                break
        assert sorted(seen) == sorted(f"{site}-{n}.1-p" for n in range(20)) and len(set(seen)) == 20
    finally:
        await stream.close()


async def test_a_story_outlives_the_calls_index_and_a_rebuild_makes_all_again(store: Store) -> None:
    name, fact = next((n, f) for n, f in store.ended.items() if f.data["outcome"] == "answered")
    async with stream_of(store) as stream, Redis(host=LOOPBACK, port=store.server.port) as raw:
        rows = PastTransfers(stream)
        row = await rows.one(name)
        assert row is not None
        story = timeline(await rows.facts(row), name)
        assert [m.state for m in story][-1] == "ended" and {"TransferStarted", "TargetAnswered"} <= {
            m.fact.kind for m in story}  # fmt: skip
        await raw.delete(b"cti:{530100}:call:" + fact.ref.encode())
        assert timeline(await rows.facts(row), name) == story
        everything = (await rows.page(Wanted(), 500)).rows
        keys = [key async for key in raw.scan_iter("cti:{530100}:*") if b":ledger" not in key]
        await raw.delete(*keys)
        assert (await rows.page(Wanted(), 500)).rows == []
        await rebuild(stream)
        assert (await rows.page(Wanted(), 500)).rows == everything


async def test_over_http(store: Store, tmp_path: Path) -> None:
    async with service(store, tmp_path):
        status, first = await get(store, "/transfers?limit=5")
        assert status == 200 and len(first["transfers"]) == 5 and first["next"]
        status, second = await get(store, f"/transfers?limit=5&cursor={first['next']}")
        both = [row["transfer"] for row in (*first["transfers"], *second["transfers"])]
        assert status == 200 and both == by_hand(store, Wanted(), {})[:10]
        status, mine = await get(store, "/transfers?limit=500", role="agent", seat="8001")
        assert status == 200 and mine["transfers"]
        assert all("8001" in (row["seat"], row["target"]) for row in mine["transfers"])
        one = mine["transfers"][0]
        status, shown = await get(store, f"/transfers/{one['transfer']}", role="agent", seat="8001")
        assert status == 200 and shown["timeline"][-1]["state"] == "ended" and shown["caller"][3:7] in ("****", "")
        assert [moment["at"] for moment in shown["timeline"]] == sorted(moment["at"] for moment in shown["timeline"])
        other = next(row for row in first["transfers"] if "8002" not in (row["seat"], row["target"]))
        for path, who, wanted in (
            (f"/transfers/{other['transfer']}", {"role": "agent", "seat": "8002"}, (409, "not-your-call")),
            ("/transfers/530100-1.1-x", {}, (404, "unknown-transfer")),
            ("/transfers?caller=13800001111", {}, (422, "invalid-field")),
            (f"/transfers?seat=1001&cursor={first['next']}", {}, (422, "invalid-field")),
        ):
            status, problem = await get(store, path, **who)
            assert (status, problem["code"]) == wanted
        text = json.dumps([first, second, mine, shown])
        numbers = {str(f.data["caller"]) for f in store.facts if f.kind == "CallArrived"} - {""}
        assert not any(number in text for number in numbers)


# -- exports -----------------------------------------------------------------------------------------------------------
async def test_http_and_command_export_the_same_and_clear_numbers_are_on_record(store: Store, tmp_path: Path) -> None:
    day = [f"{month}-01" for month in (OLD, NEW)]
    async with service(store, tmp_path) as ledger:
        status, masked = await get(store, f"/export/calls?from={day[0]}&until={day[1]}", role="read-only")
        assert status == 200
        asked = ("export", "calls", "--from", day[0], "--to", day[1], "--state", str(store.state))
        done = await cti(*asked, "--out", str(tmp_path / "calls.csv"))
        assert done.exit_code == 0, done.output
        assert (tmp_path / "calls.csv").read_bytes() == masked
        rows = list(csvfile.read(io.StringIO(masked.decode("utf-8-sig"), newline=""), COLUMNS["calls"]))
        assert {row[0] for row in rows} == {f.ref for f in store.facts if f.kind == "CallEnded" and (
            OLD.start_ms <= int(str(f.data["arrived_at"])) // 1000 < OLD.end_ms)}  # fmt: skip
        status, raw = await get(store, f"/export/calls?from={day[0]}&until={day[1]}&format=parquet")
        (tmp_path / "calls.parquet").write_bytes(raw)
        assert list(parquet.read(tmp_path / "calls.parquet")) == rows
        for path, who, wanted in (
            ("/export/calls?from=2026-01-01&unmasked=1", {"role": "read-only"}, "wrong-role"),
            ("/export/calls?from=2026-01-01&unmasked=1", {}, "no-name"),
            ("/export/calls?from=2026-01-01", {"role": "agent", "seat": "1001"}, "wrong-role"),
            ("/export/calls", {}, "invalid-field"), ("/export/numbers?from=2026-01-01", {}, "not-found"),
            ("/export/calls?from=2026-01-01&format=xls", {}, "invalid-field"),
        ):
            _, problem = await get(store, path, **who)
            assert problem["code"] == wanted, path
        before = await ledger.top()
        done = await cti(*asked, "--unmasked", "--by", "李班长", "--out", str(tmp_path / "clear.csv"))
        assert done.exit_code == 0, done.output
        clear = (tmp_path / "clear.csv").read_bytes()
        numbers = {str(f.data["caller"]).encode() for f in store.facts if f.kind == "CallArrived"} - {b""}
        assert sum(number in clear for number in numbers) > 50 and not any(number in masked for number in numbers)
        recorded = [fact async for _, fact in ledger.since(before.after()) if isinstance(fact, Fact)]
        assert [(f.kind, f.data["by"], f.data["table"], f.source) for f in recorded] == [
            ("NumbersExported", "李班长", "calls", "operator")]  # fmt: skip
        assert (await cti(*asked, "--unmasked")).exit_code == 2, "nobody named"


async def test_an_export_that_breaks_off_does_not_pass_for_whole(store: Store) -> None:
    async def between(start: int, end: int) -> AsyncIterator[Told]:
        for n, fact in enumerate(store.facts[:2000]):
            yield FactId(fact.at // 1000, n), fact
        raise StreamAway("gone")

    async def record(facts: list[Fact]) -> None:
        """Nothing is recorded here."""

    app = web.Application(middlewares=[problems])
    ExportsApi(store.tokens, between, record, now_us).add_to(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, store.http).start()
        with pytest.raises(aiohttp.ClientError):
            await get(store, f"/export/facts?from={OLD}-01")
    finally:
        await runner.cleanup()
