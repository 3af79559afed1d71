"""The spool: what it took is there after kill -9, once, in order; full, damaged and shared files are told."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cti.core.facts import Fact, FactId, decode, encode
from cti.ledger.rows import Checkpoint
from cti.ledger.spool import Spool, SpoolError

Entry = tuple[FactId, dict[bytes, bytes]]


def entry(n: int, text: str = "") -> Entry:
    return FactId(1000 + n, 0), encode(Fact("Told", n, "k", {"n": n, "text": text}, "live", f"key-{n}"))


@contextlib.asynccontextmanager
async def opened(path: Path, max_bytes: int = 1 << 20) -> AsyncIterator[Spool]:
    spool = Spool(path, max_bytes=max_bytes)
    try:
        await spool.open()
        yield spool
    finally:
        await spool.close()


async def numbers(spool: Spool) -> list[int]:
    """The `n` of every fact in the spool, in order."""
    found = []
    for row in await spool.head(100_000):
        fact = decode(row.fields)
        assert isinstance(fact, Fact)
        found.append(fact.at)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


async def test_first_in_first_out_over_a_restart(path: Path) -> None:
    async with opened(path) as spool:
        assert (await spool.add([entry(3), entry(1)])).kept == 2
        assert (await spool.add([entry(2)])).kept == 1
    async with opened(path) as spool:
        assert (spool.rows, await numbers(spool)) == (3, [3, 1, 2])
        first, second, third = await spool.head(10)
        assert (first.id, first.key) == (FactId(1003, 0), b"key-3")
        assert [r.pos for r in await spool.head(1, after=first.pos)] == [second.pos]
        await spool.remove([(first.pos, first.id), (second.pos, second.id), (999, first.id), (third.pos, first.id)])
        assert (spool.rows, await numbers(spool)) == (1, [2])
        await spool.remove([(r.pos, r.id) for r in await spool.head(10)])
        assert (spool.rows, spool.bytes) == (0, 0)


async def test_the_same_fact_twice_is_one_row(path: Path) -> None:
    async with opened(path) as spool:
        assert (await spool.add([entry(1), entry(1)])).kept == 2
        size = spool.bytes
        assert (await spool.add([entry(1)])).kept == 1
        assert (spool.rows, spool.bytes) == (1, size)


async def test_the_file_is_for_its_owner_only(path: Path) -> None:
    async with opened(path) as spool:
        await spool.add([entry(1)])
        assert {f.stat().st_mode & 0o077 for f in path.parent.iterdir()} == {0}


async def test_a_full_spool_refuses_what_does_not_fit_and_drops_nothing(path: Path) -> None:
    async with opened(path, max_bytes=2000) as spool:
        taken = (await spool.add([entry(n, "x" * 100) for n in range(20)])).kept
        assert 0 < taken < 20
        assert (await spool.add([entry(99)])).kept in (0, 1)
        kept = await numbers(spool)
        assert kept[:taken] == list(range(taken))
        assert spool.bytes <= 2000
        await spool.remove([(r.pos, r.id) for r in await spool.head(1)])
        assert (await spool.add([entry(50)])).kept == 1
    async with opened(path, max_bytes=2000) as spool:
        assert (await spool.add([entry(60, "x" * 2000)])).kept == 0, "the bound holds over a restart"


CHILD = """
import asyncio, sys
from pathlib import Path
from tests.unit.test_spool import entry
from cti.ledger.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]))
    for n in range(100_000):
        await spool.add([entry(2 * n), entry(2 * n + 1)])
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 60])
async def test_kill_9_in_the_middle_loses_nothing_acknowledged(path: Path, acknowledged: int) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.Popen(  # noqa: ASYNC220 (a test: nothing else runs on this loop)
        [sys.executable, "-c", CHILD, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        told = [int(child.stdout.readline()) for _ in range(acknowledged)]
    finally:
        os.kill(child.pid, signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().splitlines() if line]
    assert child.wait(timeout=10) == -signal.SIGKILL
    child.stdout.close()
    async with opened(path) as spool:
        kept = await numbers(spool)
        assert kept == list(range(len(kept))), "in order, without a hole, none twice"
        assert len(kept) % 2 == 0, "a batch is there whole or not at all"
        assert told[-1] + 1 <= len(kept) // 2 <= told[-1] + 2, "what was acknowledged and at most one more"
        await spool.add([entry(n) for n in range(len(kept) + 2)])  # whoever was not answered says it again
        assert await numbers(spool) == list(range(len(kept) + 2))


def scribble(path: Path, start: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(size))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_bytes(b"not a database, and long enough to look at " * 40),
    "header": lambda path: scribble(path, 0, 4096),
    "pages": lambda path: scribble(path, 3 * 4096, 20_000),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_file_is_moved_aside_and_counted(path: Path, damage: str) -> None:
    async with opened(path) as spool:
        await spool.add([entry(n, "x" * 500) for n in range(200)])
    DAMAGE[damage](path)
    async with opened(path) as spool:
        assert (spool.corrupt_files, spool.rows) == (1, 0)
        assert (await spool.add([entry(1)])).kept == 1
    assert (path.parent / "spool.db.corrupt-1").exists()
    DAMAGE["text"](path)
    async with opened(path) as spool:
        assert spool.corrupt_files == 1
    assert (path.parent / "spool.db.corrupt-2").exists()


async def test_a_row_with_a_wrong_checksum_is_set_aside_and_the_others_go_on(path: Path) -> None:
    async with opened(path) as spool:
        await spool.add([entry(n) for n in range(5)])
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE fact SET fields = zeroblob(20) WHERE pos = 3")
        db.execute("UPDATE fact SET id = '7-7' WHERE pos = 1")
    async with opened(path) as spool:
        assert [r.id.ms for r in await spool.head(2)] == [1001, 1003]
        assert await numbers(spool) == [1, 3, 4]
        assert (spool.rows, spool.corrupt_rows) == (3, 2)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT pos FROM bad ORDER BY pos").fetchall() == [(1,), (3,)]


async def test_two_services_cannot_share_a_spool(path: Path) -> None:
    async with opened(path) as spool:
        await spool.add([entry(1)])
        with pytest.raises(SpoolError, match="locked"):
            async with opened(path):
                pytest.fail("a second process got in")
        assert (await spool.add([entry(2)])).kept == 1


async def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="file/spool"):
        async with opened(tmp_path / "file" / "spool.db"):
            pytest.fail("opened below a plain file")


async def test_renumbering_keeps_the_order_and_stops_where_ids_rise_already(path: Path) -> None:
    async with opened(path) as spool:
        await spool.add([(FactId(ms, 0), entry(n)[1]) for n, ms in enumerate([1, 5, 6, 50, 51])])
        changed = await spool.renumber((await spool.head(9))[1:], FactId(9, 3))
        assert [r.id for r in changed] == [FactId(9, 4), FactId(9, 5)]
        assert [str(r.id) for r in await spool.head(9)] == ["1-0", "9-4", "9-5", "50-0", "51-0"]
        changed = await spool.renumber(await spool.head(9), FactId(50, 0))
        assert [str(r.id) for r in changed] == ["50-1", "50-2", "50-3", "50-4"], "the last one rises already"
    async with opened(path) as spool:
        assert [str(r.id) for r in await spool.head(9)] == ["50-1", "50-2", "50-3", "50-4", "51-0"]


async def test_a_checkpoint_never_goes_back(path: Path) -> None:
    async with opened(path) as spool:
        assert await spool.checkpoints() == {}
        await spool.set_checkpoint("cel", Checkpoint(10, "100@7"))
        await spool.set_checkpoint("cel", Checkpoint(9, "50@7"))
        await spool.set_checkpoint("export", Checkpoint(1, "x"))
    async with opened(path) as spool:
        assert await spool.checkpoints() == {"cel": Checkpoint(10, "100@7"), "export": Checkpoint(1, "x")}
