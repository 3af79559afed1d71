"""The ledger while everything fails: what an append answered with an id is in the stream once, in order, chained."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cti.core.audit import Audit
from cti.core.facts import Fact, FactId, decode
from cti.ledger import ledger as door
from cti.ledger.ledger import Ledger
from cti.ledger.spool import Spool, SpoolError
from tests.unit.redis_fake import RedisFake

SITE = "530100"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FIRST_RETRY": 0.001, "LAST_RETRY": 0.005, "LOOK_EVERY": 0.02, "LINGER": 0.0}.items():
        monkeypatch.setattr(door, name, value)


def fact(n: int, ref: str = "k-1") -> Fact:
    return Fact("Told", n, ref, {"n": n}, "live", f"key-{n}")


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class World:
    """A disk, a Redis, and one service after the other on them."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.redis = RedisFake()
        self.path = folder / "spool.db"
        self.more = {"now_ms": wall_ms, **more}
        self.ledger: Ledger
        self.only_in_memory = set[int]()
        """of a service that ended: neither disk nor Redis took them"""

    async def start(self) -> None:
        self.ledger = Ledger(SITE, "redis://127.0.0.1:1/0", self.path, **self.more)
        self.ledger._stream._redis = self.redis
        self.running = asyncio.ensure_future(self.ledger.run())

    async def stop(self, *, kill: bool = False) -> None:
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running
        if kill:
            self.only_in_memory |= {int(slip.fields[b"at"]) for slip in self.ledger._writer._held}
            await self.ledger._spool.close()
        else:
            await self.ledger.aclose()

    async def linked(self) -> None:
        await until(lambda: self.ledger.link_up)

    async def drained(self) -> None:
        await until(lambda: self.ledger.link_up and self.ledger.backlog == 0)

    @property
    def told(self) -> list[int]:
        return [int(fields[b"at"]) for _, fields in self.redis.entries]

    def broken(self) -> dict[str, int]:
        audit = Audit(SITE)
        for fact_id, fields in self.redis.entries:
            audit.saw(fact_id, fields, decode(fields))
        return {what: n for what, n in audit.found.items() if what in ("chain", "start", "twice", "corrupt")}


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (the ledger is a task of its own)
            await asyncio.sleep(0.001)


class Disk:
    """Makes the spool's work fail, before or after it is done; or its file be found damaged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: Callable[[], str] = lambda: ""
        whole = Spool._guarded
        self.damaged = False

        def guarded(spool: Spool, work: Callable[[sqlite3.Connection], Any]) -> Any:
            fault = self.fault()
            if fault == "before":
                raise SpoolError("disk full")
            done = whole(spool, self._struck(work))
            if fault == "after":
                raise SpoolError("was it written?")
            return done

        monkeypatch.setattr(Spool, "_guarded", guarded)

    def damage(self) -> None:
        self.damaged = True

    def _struck(self, work: Callable[[sqlite3.Connection], Any]) -> Callable[[sqlite3.Connection], Any]:
        def struck(db: sqlite3.Connection) -> Any:
            if self.damaged:
                self.damaged = False
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            return work(db)

        return struck


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def storm(world: World, chance: random.Random, steps: int, *, kill: bool, cancel: bool, lose: bool,
                damage: Callable[[], None] | None = None) -> set[int]:  # fmt: skip
    """Tell facts while it storms. Return those answered with an id."""
    answered, n = set[int](), 0
    await world.start()
    for _ in range(steps):
        what = chance.random()
        several = []
        for _ in range(chance.choice((1, 1, 1, 3))):
            some = [fact(n + i, f"k-{(n + i) % 3}" if (n + i) % 5 else "") for i in range(chance.choice((1, 1, 2, 7)))]
            n += len(some)
            if chance.random() < 0.1 and n > 20:
                some.append(fact(chance.randrange(n - 20, n), "k-1"))
            several.append((some, asyncio.ensure_future(world.ledger.append(some))))
        for _ in range(chance.choice((0, 0, 1, 2, 5))):
            await asyncio.sleep(0)
        if cancel and what < 0.1:
            several[0][1].cancel()
        for some, task in several:
            try:
                ids = await task
            except asyncio.CancelledError:
                continue
            if len(ids) == len(some):
                answered |= {one.at for one in some}
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice((0, 0.001, 0.004)))
        if kill and chance.random() < 0.03:
            await world.stop(kill=chance.random() < 0.7)
            await world.start()
        if lose and chance.random() < 0.04:
            world.redis.lose(chance.choice((1, 3, 20)))
        if damage and chance.random() < 0.02:
            damage()
    return answered


def moody(chance: random.Random, bad: float) -> Callable[[str], str]:
    return lambda command: chance.choice(("before", "after")) if chance.random() < bad else ""


SEEDS = range(int(os.environ.get("LEDGER_STORMS", "1")))
"""more by hand: LEDGER_STORMS=200"""


def whole(world: World, answered: set[int]) -> None:
    told = Counter(world.told)
    assert not answered - told.keys() - world.only_in_memory, "answered with an id and not there"
    assert {n for n, times in told.items() if times > 1} == set(), "twice"
    assert world.broken() == {}, "the chain"


async def calm(world: World) -> None:
    world.redis.fault = lambda command: ""
    world.redis.slow = lambda command: 0
    for _ in range(3):
        await world.drained()
        await asyncio.sleep(0.03)


@pytest.mark.parametrize("seed", SEEDS)
async def test_redis_fails_at_every_turn(tmp_path: Path, seed: int) -> None:
    """Answers lost, masters that lack the newest entries, kill -9 of the service, appends that are cancelled."""
    chance = random.Random(seed)
    world = World(tmp_path)
    world.redis.fault = moody(chance, 0.04)
    answered = await storm(world, chance, 60, kill=True, cancel=True, lose=True)
    await calm(world)
    whole(world, answered)
    assert world.ledger.conflicts == 0
    await world.stop()


@pytest.mark.parametrize("seed", SEEDS)
async def test_order_is_kept_when_nobody_is_cancelled(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = World(tmp_path)
    world.redis.fault = moody(chance, 0.04)
    answered = await storm(world, chance, 60, kill=True, cancel=False, lose=True)
    await calm(world)
    whole(world, answered)
    assert world.told == sorted(world.told)
    await world.stop()


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_disk_and_redis_fail(tmp_path: Path, seed: int, disk: Disk) -> None:
    chance = random.Random(seed)
    world = World(tmp_path, append_timeout=0.01)
    world.redis.fault = moody(chance, 0.03)
    world.redis.slow = lambda command: chance.choice((0, 0, 0, 0, 0, 0.002, 0.012))
    disk.fault = lambda: moody(chance, 0.15)("")
    answered = await storm(world, chance, 60, kill=True, cancel=True, lose=False)
    assert len(world.only_in_memory) < len(answered) / 2
    disk.fault = lambda: ""
    await calm(world)
    whole(world, answered)
    await world.stop()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_file_is_found_damaged_again_and_again(tmp_path: Path, seed: int, disk: Disk) -> None:
    chance = random.Random(seed)
    world = World(tmp_path)
    world.redis.fault = moody(chance, 0.02)
    answered = await storm(world, chance, 60, kill=False, cancel=True, lose=False, damage=disk.damage)
    await calm(world)
    missing = answered - set(world.told)  # in the file that was moved aside, and in memory no more
    assert len(missing) < len(answered) / 2
    whole(world, answered - missing)
    await world.stop()


async def told_through(world: World, facts: range, step: int = 1) -> None:
    for n in range(facts.start, facts.stop, step):
        assert len(await world.ledger.append([fact(n + i) for i in range(min(step, facts.stop - n))])) > 0


async def test_a_file_damaged_while_redis_is_away_costs_nothing_that_memory_has(tmp_path: Path, disk: Disk) -> None:
    world = World(tmp_path)
    await world.start()
    await told_through(world, range(3))
    await world.drained()
    await until(lambda: world.ledger._journal._whole)
    world.redis.fault = lambda command: "before"
    await told_through(world, range(3, 30))
    await asyncio.sleep(0.05)  # it has tried Redis, and more than once
    disk.damage()
    await told_through(world, range(30, 35))
    await world.stop(kill=True)
    await world.start()
    await calm(world)
    assert world.ledger._spool.corrupt_files == 0
    assert world.told == list(range(35)), "written to the new file, before what came after"
    whole(world, set(range(35)))
    await world.stop()


async def test_a_file_begun_anew_is_drained_from_its_first_row(tmp_path: Path, disk: Disk) -> None:
    """Its places are low again: not below where we had come in the old one."""
    world = World(tmp_path)
    await world.start()
    await told_through(world, range(600), 100)
    await world.drained()
    world.ledger._journal.distrust()
    await told_through(world, range(600, 601))
    await world.drained()
    disk.damage()
    world.ledger._journal.distrust()  # as a cancelled append does
    await told_through(world, range(601, 602))
    await world.drained()
    await asyncio.sleep(0.05)
    assert world.told == list(range(602))
    await world.stop()


async def test_a_restart_unnoticed_between_two_looks_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py connects anew without a word: no error tells that this is another Redis."""
    monkeypatch.setattr(door, "LOOK_EVERY", 60)
    world = World(tmp_path)
    await world.start()
    await told_through(world, range(20))
    await world.drained()
    world.redis.lose(5)
    await told_through(world, range(20, 22))
    await until(lambda: len(world.redis.entries) == 22)
    assert world.told == list(range(22))
    whole(world, set(range(22)))
    await world.stop()


async def test_an_idle_link_notices_what_a_new_master_lacks(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    await told_through(world, range(20))
    await world.drained()
    world.redis.lose(5)
    await until(lambda: world.redis.lacks == 0)
    await until(lambda: len(world.redis.entries) == 20)
    whole(world, set(range(20)))
    await world.stop()


async def test_a_stop_while_redis_is_away_keeps_what_a_new_master_may_lack(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    await told_through(world, range(20))
    await world.drained()
    world.redis.fault = lambda command: "before"
    await until(lambda: not world.ledger.link_up)
    await world.stop()
    world.redis.lose(5)
    world.redis.fault = lambda command: ""
    await world.start()
    await until(lambda: world.redis.lacks == 0)
    await until(lambda: len(world.redis.entries) == 20)
    await world.drained()
    whole(world, set(range(20)))
    await world.stop()


async def test_a_full_disk_keeps_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the disk goes first, though who goes past it has the turn."""
    world = World(tmp_path, append_timeout=0.5)
    await world.start()
    await told_through(world, range(3))
    await world.drained()
    add, full = Spool._add, False

    def adds(self: Spool, *what: Any) -> Any:
        if full:
            raise sqlite3.OperationalError("database or disk is full")
        return add(self, *what)

    monkeypatch.setattr(Spool, "_add", adds)
    world.redis.slow = lambda command: 0.003
    for n in range(3, 30, 3):
        full = False
        await told_through(world, range(n, n + 2))
        full = True
        began = time.monotonic()
        assert await world.ledger.append([fact(n + 2)])
        assert time.monotonic() - began < 0.3
    await world.drained()
    assert world.told == list(range(30))
    assert world.ledger.conflicts == 0
    await world.stop()


async def test_a_file_full_of_what_redis_has_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, spool_bytes=20_000)
    await world.start()
    straight = 0

    async def count(*_: Any) -> None:
        nonlocal straight
        straight += 1

    monkeypatch.setattr(world.ledger._writer, "_straight", count)
    for n in range(0, 400, 10):
        await told_through(world, range(n, n + 10), 10)
        await world.drained()
    assert straight == 0
    assert world.ledger._spool.bytes <= 20_000
    assert world.told == list(range(400))
    await world.stop()


async def test_what_is_moved_is_forgotten_while_a_long_outage_is_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cti.ledger.journal.MOST", 500)
    world = World(tmp_path)
    world.redis.fault = lambda command: "before"
    await world.start()
    await told_through(world, range(4000), 500)
    most = 0

    def watch(command: str) -> str:
        nonlocal most
        most = max(most, len(world.ledger._journal._gone))
        return ""

    world.redis.fault = watch
    await world.drained()
    assert world.told == list(range(4000))
    assert most <= 500 + 2 * 256
    await world.stop()


async def test_two_services_double_nothing(tmp_path: Path) -> None:
    """Of a batch of which the other took some places the rest is there already, and keeps its own."""
    world = World(tmp_path)
    world.redis.fault = lambda command: "before"
    clock = [1000]
    world.more["now_ms"] = lambda: clock[0]
    await world.start()
    for n in range(5):
        clock[0] += 100
        await told_through(world, range(n, n + 1))
    looked = 0

    def other(command: str) -> str:
        nonlocal looked
        looked += command == "EXEC"
        if command == "EXEC" and looked == 1:
            world.redis.entries.append((FactId(1250, 0), {b"key": b"other", b"at": b"99"}))
        return ""

    world.redis.fault = other
    await world.drained()
    await asyncio.sleep(0.05)
    assert sorted(world.told) == [0, 1, 2, 3, 4, 99]
    assert world.ledger.conflicts == 2
    await world.stop()


async def test_told_twice_at_once_and_lost_it_has_no_id_at_all(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cti.ledger.writer.MOST", 1)
    world = World(tmp_path)
    world.redis.fault = lambda command: "before"
    disk.fault = lambda: "before"
    await world.start()
    assert len(await world.ledger.append([fact(1), fact(2), fact(2)])) == 1
    disk.fault = lambda: ""
    assert len(await world.ledger.append([fact(2)])) == 1
    await calm(world)
    assert world.told == [1, 2]
    await world.stop()


async def test_what_redis_may_have_got_is_not_doubled(tmp_path: Path, disk: Disk) -> None:
    world = World(tmp_path)
    await world.start()
    await world.linked()
    disk.fault = lambda: "before"
    world.redis.fault = lambda command: "after" if command == "EXEC" else ""
    await told_through(world, range(3))
    world.redis.fault = lambda command: ""
    disk.fault = lambda: ""
    await told_through(world, range(5))
    await calm(world)
    assert world.told == [0, 1, 2, 3, 4]
    whole(world, set(range(5)))
    await world.stop()


async def test_what_only_memory_has_is_counted_when_the_service_ends(tmp_path: Path, disk: Disk) -> None:
    world = World(tmp_path)
    world.redis.fault = lambda command: "before"
    disk.fault = lambda: "before"
    await world.start()
    await told_through(world, range(3))
    assert (world.ledger.backlog, world.ledger.lost) == (3, 0)
    await world.stop()
    assert world.ledger.lost == 3


async def test_a_fact_told_before_stays_so_when_the_link_comes_and_goes(tmp_path: Path) -> None:
    """It is on the disk for a minute, below Redis' top, and of no call: nothing but its key tells."""
    world = World(tmp_path)
    await world.start()
    await world.ledger.append([fact(1, "")])
    await world.drained()
    await world.stop()
    world.path = tmp_path / "another-disk.db"
    world.redis.fault = lambda command: "before"
    await world.start()
    await world.ledger.append([fact(1, ""), fact(2, "")])
    world.redis.fault = lambda command: ""
    await world.drained()
    await told_through(world, range(3, 4))
    await world.drained()
    world.redis.fault = lambda command: "before"
    await until(lambda: not world.ledger.link_up)
    world.redis.fault = lambda command: ""
    await world.drained()
    await asyncio.sleep(0.03)
    assert world.told == [1, 2, 3]
    assert world.ledger.conflicts == 0
    await world.stop()


async def test_a_checkpoint_goes_on_after_the_clock_went_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    await world.ledger.checkpoint("cel", "10@1")
    await world.stop()
    world.more["now_ms"] = lambda: 1000
    await world.start()
    assert await world.ledger.read_checkpoint("cel") == "10@1"
    await world.ledger.checkpoint("cel", "20@1")
    assert await world.ledger.read_checkpoint("cel") == "20@1"
    await world.stop()


async def test_a_damaged_file_that_cannot_be_moved_is_an_ill_disk(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    await world.start()
    await world.linked()

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    disk.damage()
    assert len(await world.ledger.append([fact(1)])) == 1, "to Redis then"
    await world.drained()
    assert world.told == [1]
    await world.stop()
