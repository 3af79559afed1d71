"""The ledger while everything fails: what an append answered with an id is in the stream once, in order, on one chain."""

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

    async def start(self) -> None:
        self.ledger = Ledger(SITE, "redis://127.0.0.1:1/0", self.path, **self.more)
        self.ledger._stream._redis = self.redis
        self.running = asyncio.ensure_future(self.ledger.run())

    async def stop(self, *, kill: bool = False) -> None:
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running
        if kill:
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


SEEDS = range(int(os.environ.get("LEDGER_STORMS", "2")))
"""more by hand: LEDGER_STORMS=200"""


def whole(world: World, answered: set[int]) -> None:
    told = Counter(world.told)
    assert not answered - told.keys(), "answered with an id and not there"
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
    disk.fault = lambda: ""
    await calm(world)
    whole(world, answered)
    await world.stop()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_file_is_found_damaged_while_redis_is_in_doubt(tmp_path: Path, seed: int, disk: Disk) -> None:
    chance = random.Random(seed)
    world = World(tmp_path)
    world.redis.fault = moody(chance, 0.02)
    answered = await storm(world, chance, 60, kill=False, cancel=True, lose=False, damage=disk.damage)
    await calm(world)
    missing = answered - set(world.told)
    assert len(missing) <= 0.02 * len(answered), "what was neither in memory nor in the new file"
    whole(world, answered - missing)
    await world.stop()
