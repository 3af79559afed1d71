"""Months of the ledger put away and pruned, on a real Valkey, by the real commands; read again from the archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cti.clock import now_us
from cti.core.facts import Fact, FactId
from cti.core.months import Month
from cti.core.past import Wanted
from cti.ledger.prune import NotArchived, compare
from cti.ledger.stream import LedgerStream
from cti.ledger.transfers import PastTransfers
from cti.stack.netports import LOOPBACK
from tests.real.query_store import NEW, OLD, Store, cti, service, stream_of

pytestmark = pytest.mark.real


async def test_a_month_is_archived_pruned_on_record_and_read_again(store: Store, tmp_path: Path) -> None:
    folder, keep_one = tmp_path / "archive", {"CTI_RETENTION__MONTHS": "2"}
    place = ("--out", str(folder), "--state", str(store.state))
    query = ("export", "facts", "--from", f"{OLD}-02", "--to", f"{OLD}-20", "--state", str(store.state))
    async with service(store, tmp_path) as ledger, stream_of(store) as stream:
        assert (await cti("ledger", "archive", "--month", str(Month.of(now_us() // 1000)), "--by", "x",
                          *place)).exit_code == 2, "not over"  # fmt: skip
        assert "永久保留" in (await cti("ledger", "prune", *place)).output
        refused = await cti("ledger", "prune", *place, env=keep_one)
        assert refused.exit_code == 1 and "没有归档" in refused.output
        before = await ledger.top()
        done = await cti("ledger", "archive", "--month", str(OLD), "--by", "李班长", *place)
        assert done.exit_code == 0, done.output
        await cti(*query, "--out", str(tmp_path / "before.csv"))
        assert "✓" in (await cti("ledger", "archives", "--out", str(folder))).output
        looked = await cti("ledger", "prune", *place, env=keep_one)
        old = [i for i, _ in await _all(stream) if i.ms < OLD.end_ms]
        assert looked.exit_code == 0 and f"{len(old):,} 条" in looked.output and str(old[-1]) in looked.output
        async with Redis(host=LOOPBACK, port=store.server.port) as raw:
            gone = (await stream.at([old[9]]))[0]
            assert gone is not None
            await raw.xdel("cti:{530100}:ledger", str(old[9]))
            refused = await cti("ledger", "prune", "--yes", "--by", "x", *place, env=keep_one)
            assert refused.exit_code == 1 and len(await _all(stream)) > len(old), "the ledger is not what was archived"
            # What was cut off in the middle of a prune goes on: only the archive's end is left.
            await raw.xtrim("cti:{530100}:ledger", minid=str(old[10]), approximate=False)
        done = await cti("ledger", "prune", "--yes", "--by", "李班长", *place, env=keep_one)
        assert done.exit_code == 0, done.output
        left = await _all(stream)
        assert left[0][0].ms >= OLD.end_ms and f"{len(old) - 10:,} 条" in done.output
        whole = await cti("ledger", "verify", "--projections", "--state", str(store.state))
        assert whole.exit_code == 0, "the chain goes on from where it was cut: " + whole.output
        rows = (await PastTransfers(stream).page(Wanted(), 500)).rows
        assert rows and all(row.last_ms >= OLD.end_ms for row in rows)
        assert (await PastTransfers(stream).page(Wanted(end=OLD.start_ms * 1000), 500)).rows == []
        recorded = [f async for _, f in ledger.since(before.after()) if isinstance(f, Fact)]
        manifest = json.loads((folder / f"530100-{OLD}.json").read_text())
        assert [(f.kind, f.data["by"], f.data["month"], f.data["entries"]) for f in recorded] == [
            (kind, "李班长", str(OLD), manifest["entries"]) for kind in ("LedgerArchived", "LedgerPruned")]  # fmt: skip
        assert recorded[0].data["manifest"] == recorded[1].data["manifest"]
        done = await cti(*query, "--archive", str(folder), "--out", str(tmp_path / "after.csv"))
        assert done.exit_code == 0, done.output
        assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()
        again = await cti("ledger", "prune", "--yes", "--by", "李班长", *place, env=keep_one)
        assert again.exit_code == 0 and "没有超过" in again.output
    done = await cti("report", "quarter", str(OLD), "--archive", str(folder), "--out", str(tmp_path), "--state",
                     str(store.state))  # fmt: skip
    assert done.exit_code == 0 and (tmp_path / f"530100-{OLD}.html").stat().st_size > 20_000, done.output
    refused = await cti("ledger", "archive", "--month", str(NEW), "--by", "x", *place)
    assert refused.exit_code == 1 and "没有应答" in refused.output and len(list(folder.iterdir())) == 2


async def test_nothing_goes_that_the_archive_has_not_entry_for_entry(store: Store) -> None:
    async with stream_of(store) as stream:
        there = [entry for entry in await _all(stream) if NEW.start_ms <= entry[0].ms < NEW.end_ms]
        left = await compare(stream, NEW, there)
        assert (left.entries, left.first_id, left.last_id) == (len(there), str(there[0][0]), str(there[-1][0]))
        assert (await compare(stream, NEW, [(FactId(NEW.start_ms, 0), {}), *there])).entries == len(there)
        changed = [*there[:5], (there[5][0], {**there[5][1], b"at": b"7"}), *there[6:]]
        more = [*there, (there[-1][0].after(), {b"kind": b"x"})]
        for wrong in (changed, more, there[:-1], there[:5] + there[6:], there[1:], []):
            with pytest.raises(NotArchived):
                await compare(stream, NEW, wrong)


async def _all(stream: LedgerStream) -> list[tuple[FactId, Any]]:
    found: list[tuple[FactId, Any]] = []
    first: FactId | None = None
    while page := await stream.read(first, 500):
        found += page
        first = page[-1][0].after()
    return found
