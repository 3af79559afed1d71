"""Rows and live steps in one order; a checkpoint that never passes what is not on record; nothing a bad disk stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cti import intake as module
from cti.ami.translate import BadStep, Step
from cti.catchup import LEAST_LAG_S, CatchUp, began_at, lag_of
from cti.core import events as e
from cti.intake import HELD_MAX, Intake
from cti.ledger.spool import SpoolError

from .playbook import us

EPOCH = 1732406400  # 2024-11-24 00:00:00 UTC


def ref_of(n: int, began: int = EPOCH) -> str:
    return f"530100-{began}.{n}"


def row(n: int, name: str = "CallArrived", ref: str = "", extra: str = '""hotline"":""12345""') -> str:
    """One line of the CEL file, `n` seconds after the epoch of these tests."""
    ref = ref or ref_of(n)
    time = f"2024-11-24 {n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}.000001"
    inner = f'{{""ref"":""{ref}"",{extra}}}'.replace('""', '\\""')
    said = f'{{""extra"":""{inner}""}}'
    cells = ["USER_DEFINED", time, "13800001111", "c", "s", "PJSIP/x-1", "CELGenUserEvent", "", ref, ref, "", name]
    return ",".join(f'"{cell}"' for cell in cells) + f',"{said}",""\n'


def live(n: int) -> Step:
    """The same step as `row(n)`, heard live."""
    at = (EPOCH + n) * 1_000_000 + 1
    return Step("CallArrived", at, ref_of(n), "PJSIP/x-1", "", "13800001111", {"ref": ref_of(n), "hotline": "12345"})


class Rig:
    """A file, a checkpoint, and everything that was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self.bad: list[str] = []
        self.kept: str | None = None
        self.saves: list[str] = []
        self.is_live = True
        self.waiting = 0
        self.fault: Exception | None = None
        self.catchup = CatchUp(path, self.tell, self.bad.append, self.load, self.save, lambda: self.is_live,
                               lambda: self.waiting, lag_s=0.05)  # fmt: skip
        self.intake = Intake(self.catchup, self.tell, self.refuse, lambda: us(7))

    def write(self, *rows: str) -> None:
        with self.path.open("a") as file:
            file.writelines(rows)

    def tell(self, event: e.Event, key: str) -> None:
        if key not in self.told:
            self.told.append(key)

    def refuse(self, step: BadStep) -> None:
        self.bad.append(step.why)

    async def load(self) -> str | None:
        return self.kept

    async def save(self, text: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.saves.append(text)

    def state(self) -> tuple[int | None, bool]:
        return self.intake.heard_until, self.intake.complete

    @property
    def refs(self) -> list[int]:
        """The calls told, by number."""
        return [int(key.split("/")[2].rpartition(".")[2]) for key in self.told]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "Master.csv")


@contextlib.asynccontextmanager
async def keeping(rig: Rig) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(rig.catchup.keep_checkpoint())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(what: Callable[[], object]) -> None:
    for _ in range(300):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come to pass")


# -- the checkpoint ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", [SpoolError("database or disk is full"), PermissionError("no rights")])
async def test_a_disk_that_fails_stops_nothing_and_is_told_once(rig: Rig, fault: Exception) -> None:
    rig.write(row(1))
    rig.fault = fault
    with capture_logs() as logs:
        async with keeping(rig) as task:
            await until(lambda: len(rig.bad) >= 3)
            assert not task.done()
            rig.fault = None
            await until(lambda: rig.saves)
    assert set(rig.bad) == {"checkpoint"}
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["checkpoint_not_kept"]
    assert "paths.state" in logs[0]["cure"]


async def test_a_new_link_does_not_read_from_the_start_because_the_disk_is_sick(rig: Rig) -> None:
    rig.write(row(1))
    rig.fault = SpoolError("database or disk is full")
    async with keeping(rig):
        await until(lambda: rig.bad)
    rig.write(row(2))
    assert await rig.catchup.run_once() == 1 and rig.refs == [2]


async def test_the_checkpoint_waits_until_all_that_was_heard_is_on_record(rig: Rig) -> None:
    rig.write(row(1))
    rig.waiting = 1
    async with keeping(rig):
        await asyncio.sleep(0.3)
        assert rig.saves == []
        rig.waiting = 0
        await until(lambda: rig.saves)


async def test_the_checkpoint_stands_while_steps_are_not_heard(rig: Rig) -> None:
    rig.write(row(1))
    rig.is_live = False
    async with keeping(rig):
        await asyncio.sleep(0.3)
    assert rig.saves == []


def test_the_lag_covers_a_half_open_link() -> None:
    assert lag_of(5, 5) == LEAST_LAG_S == 15
    assert lag_of(30, 20) == 80


# -- rows --------------------------------------------------------------------------------------------------------------
async def test_one_damaged_row_never_stops_the_reader(rig: Rig) -> None:
    rig.write(row(1), '"USER_DEFINED","not a time"\n', row(2, extra='""hot'), row(3, name="TargetTried"),
              row(4, ref="nonsense"), '"HANG', row(5), row(6), "\x00\x00", row(7))  # fmt: skip
    await rig.catchup.run_once()
    assert [n for n in rig.refs if n != 2] == [1, 5, 6, 7]
    assert {"row", "step"} <= set(rig.bad)


async def test_a_whole_day_is_read_and_calls_that_began_before_are_left_alone(rig: Rig) -> None:
    rig.kept = "99999999@1"  # too late for a state that begins empty
    old = ref_of(1, EPOCH - 100)
    rig.write(row(1, ref=old), row(2), row(3, "CallerLeft", ref=old, extra='""cause"":""16""'), row(4))
    assert await rig.catchup.run_once((EPOCH - 50) * 1_000_000) == 2
    assert rig.refs == [2, 4]
    assert began_at(old) == (EPOCH - 100) * 1_000_000


async def test_a_whole_day_includes_the_file_that_was_rotated_in_it(rig: Rig) -> None:
    for age, n in ((2, 1), (1, 2)):
        elder = rig.path.with_name(f"{rig.path.name}.{age}")
        elder.write_text(row(n))
        os.utime(elder, (EPOCH - 1_000 * age, EPOCH - 1_000 * age))
    rig.write(row(3))
    await rig.catchup.run_once((EPOCH - 1_500) * 1_000_000)
    assert rig.refs == [2, 3]


async def test_the_reader_waits_for_the_ledger(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cti.catchup.FULL", 10)
    rig.waiting = 11
    rig.write(*(row(n) for n in range(5)))
    task = asyncio.ensure_future(rig.catchup.run_once())
    await asyncio.sleep(0.2)
    assert not task.done()
    rig.waiting = 0
    assert await task == 5


# -- rows, then live ---------------------------------------------------------------------------------------------------
async def test_live_steps_wait_for_the_rows_before_them(rig: Rig) -> None:
    rig.write(row(1), row(2))
    for n in (2, 3):
        rig.intake.step(live(n))
    assert rig.told == [] and rig.state() == (None, False)
    await rig.intake.link_up()
    rig.intake.step(live(4))
    assert rig.refs == [1, 2, 3, 4]
    assert rig.state() == (us(7), True)
    rig.intake.proven(us(9))
    assert rig.state() == (us(9), True)
    rig.intake.link_down()
    rig.intake.proven(us(20))
    assert rig.state() == (None, False)
    rig.intake.step(live(5))
    assert rig.refs == [1, 2, 3, 4]


async def test_what_waits_is_bounded_and_what_was_dropped_is_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_MAX", 10)
    assert HELD_MAX >= 1_000
    rig.write(row(0))
    reading = rig.catchup.run_once

    async def busy(since: int | None = None) -> int:
        told = await reading(since)
        for n in range(1, 36):  # spoken while we read, and written to the file as well
            rig.write(row(n))
            rig.intake.step(live(n))
            assert len(rig.intake._held or []) <= 10
        return told

    monkeypatch.setattr(CatchUp, "run_once", lambda self, since=None: busy(since))
    await rig.intake.link_up()
    assert rig.refs == list(range(36))


async def test_a_file_that_cannot_be_read_is_told_once_and_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    real = CatchUp.run_once
    tries = 0

    async def failing(self: CatchUp, since: int | None = None) -> int:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise PermissionError(13, "Permission denied")
        return await real(self, since)

    monkeypatch.setattr(CatchUp, "run_once", failing)
    rig.write(row(1))
    with capture_logs() as logs:
        await rig.intake.link_up()
        rig.intake.step(live(2))
        assert rig.refs == [2], "live goes on"
        assert rig.state() == (None, False), "yet no checkpoint and no deadline passes"
        task = asyncio.ensure_future(rig.intake.run())
        await until(lambda: rig.intake.complete)
        task.cancel()
    assert sorted(rig.refs) == [1, 2] and rig.state() == (us(7), True)
    assert [entry["event"] for entry in logs].count("cel_file_unreadable") == 1


async def test_a_link_lost_while_the_file_is_read_again_is_not_taken_for_live(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    begun, go_on = asyncio.Event(), asyncio.Event()
    real = CatchUp.run_once

    async def slow(self: CatchUp, since: int | None = None) -> int:
        if not begun.is_set():
            begun.set()
            raise PermissionError(13, "Permission denied")
        await go_on.wait()
        return await real(self, since)

    monkeypatch.setattr(CatchUp, "run_once", slow)
    rig.write(row(1))
    await rig.intake.link_up()
    task = asyncio.ensure_future(rig.intake.run())
    await asyncio.sleep(0.1)
    rig.intake.link_down()
    go_on.set()
    await asyncio.sleep(0.1)
    task.cancel()
    assert rig.state() == (None, False)
