"""Plans at work: what should stand is held against what does, and only the difference is carried out."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cti.ami.actions import AmiTimeout
from cti.ami.plans import DutyCall, PlanSwitch
from cti.core import events as e
from cti.core import plan_desk
from cti.directory import load_directory
from cti.planning import AGAIN_US, REST_US, Held, Planning
from cti.runtime import Runtime

from .playbook import us
from .test_plans import FLOOD, QUAKE
from .test_runtime import Outside, running, runtime_on, until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cti.planning.SEATS_S", 0.1)


DIRECTORY = load_directory(Path(__file__).parents[2] / "config", dt.date(2026, 11, 25))


class Switch(PlanSwitch):
    """Asterisk as these rows and channels."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.channels: dict[str, list[str]] = {}
        self.acts: list[str] = []
        self.deaf = 0

    async def rows(self, families: Collection[str]) -> dict[tuple[str, str], str]:
        return {key: value for key, value in self.held.items() if key[0] in families}

    async def put(self, key: tuple[str, str], value: str) -> None:
        if self.deaf:
            self.deaf -= 1
            raise AmiTimeout("DBPut", 1)
        self.acts.append(f"put {key[1]}")
        self.held[key] = value

    async def drop(self, key: tuple[str, str]) -> None:
        self.acts.append(f"drop {key[1]}")
        self.held.pop(key, None)

    async def call(self, call: DutyCall) -> None:
        self.acts.append(f"call {call.number}")

    async def calls(self) -> dict[str, list[str]]:
        return self.channels

    async def hang_up(self, channel: str) -> None:
        self.acts.append(f"hang up {channel}")


class Desk:
    """The book of leases as a list."""

    def __init__(self) -> None:
        self.book: list[Held] = []
        self.there = ["1001", "1002", "1003"]
        self.asked: list[str] = []
        self.back: list[str] = []

    def held(self) -> Sequence[Held]:
        return self.book

    async def free(self, owner: str) -> Sequence[str]:
        return self.there

    async def ask(self, owner: str, seat: str, minutes: int, run: str, drill: bool) -> None:
        self.asked.append(seat)
        self.book.append(Held(f"l{len(self.book)}", owner, seat, run, True, False, 0, False))

    def give_back(self, lease: str) -> None:
        self.back.append(lease)


@contextlib.asynccontextmanager
async def at_work(switch: Switch, desk: Desk, outside: Outside,
                  known: bool = True) -> AsyncIterator[tuple[Runtime, Planning]]:  # fmt: skip
    runtime = runtime_on(outside)
    planning = Planning(runtime, switch, desk, DIRECTORY, lambda: outside.now)
    planning.known = known
    async with running(runtime):
        task = asyncio.ensure_future(planning.keep(lambda: True))
        try:
            yield runtime, planning
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def begin(runtime: Runtime, plan: str = "flood", at: float = 100) -> str:
    spec = FLOOD if plan == "flood" else QUAKE
    said = await runtime.ask(lambda site: plan_desk.start(site, plan, spec, False, "", us(at)))
    assert isinstance(said, e.PlanStarted)
    return said.run


async def end(runtime: Runtime, plan: str = "flood", at: float = 200) -> None:
    assert isinstance(await runtime.ask(lambda site: plan_desk.stop(site, plan, "", us(at))), e.PlanStopped)


async def test_only_what_differs_is_laid_and_a_refusal_is_tried_again() -> None:
    switch, outside = Switch(), Outside(now=100)
    switch.held = {("plan-open", "all/119"): "1", ("plan-open", "all/7"): "1", ("route", "110/*"): "x"}
    switch.deaf = 2
    async with at_work(switch, Desk(), outside) as (runtime, planning):
        await begin(runtime)
        await until(lambda: planning.laid)
        laid = [act for act in switch.acts if not act.startswith("call")]
        assert laid == ["drop all/7", "put all/12345", "put all/120"], "what was right is left alone"
        await begin(runtime, "quake", 101)
        await until(lambda: switch.held["plan-front", "all/12345"] == "said-a~said-b")
        await end(runtime)
        await until(lambda: ("plan-open", "all/120") not in switch.held and planning.laid)
        assert switch.held["plan-open", "all/119"] == "1" and switch.held["plan-front", "all/12345"] == "said-b"
        await end(runtime, "quake", 201)
        await until(lambda: switch.held == {("route", "110/*"): "x"})


async def test_nothing_is_touched_while_the_ledger_is_not_known() -> None:
    switch, outside = Switch(), Outside(now=100)
    switch.held = {("plan-open", "all/119"): "1"}
    async with at_work(switch, Desk(), outside, known=False) as (_, planning):
        await asyncio.sleep(0.4)
        assert switch.held and not switch.acts and not planning.laid


async def test_a_call_written_and_not_sent_is_sent_after_a_restart_and_no_other() -> None:
    switch, outside = Switch(), Outside(now=100)
    async with at_work(switch, Desk(), outside) as (runtime, planning):
        run = await begin(runtime)
        await until(lambda: "call 111" in switch.acts)
        attempt = runtime.site.plans[run].duties[0].attempt
        switch.channels = {"9d0t0": ["Local/9d0t0@duty-1;1"]}
        planning.link_up()
        await until(lambda: switch.acts.count("call 111") == 2)
        assert switch.acts.count("hang up Local/9d0t0@duty-1;1") == 1, "a call nobody wants ends"
        switch.channels = {attempt: [f"Local/{attempt}@duty-1;1"]}
        planning.link_up()
        await until(lambda: planning.laid)
        await asyncio.sleep(0.3)
        switch.channels = {}
        runtime.hear(e.DutyRings("", us(101), run, 0, attempt), "live", "rings")
        await until(lambda: runtime.site.plans[run].duties[0].state == "ringing")
        planning.link_up()
        await asyncio.sleep(0.4)
        assert switch.acts.count("call 111") == 2, "on its way, or known to ring: not sent again"
        assert not [act for act in switch.acts if act.startswith("hang up") and attempt in act]


async def test_seats_come_as_many_as_wanted_and_go_home_with_the_run() -> None:
    switch, desk, outside = Switch(), Desk(), Outside(now=100)
    async with at_work(switch, desk, outside) as (runtime, planning):
        run = await begin(runtime)
        await until(lambda: desk.asked == ["1001", "1002"])
        desk.book = [replace(one, active=True) for one in desk.book]
        now = runtime.site.plans[run]
        assert planning.lent(now) == {"530100": (2, 2)} and not planning.home(now)
        outside.now += AGAIN_US + 1
        desk.book[0] = replace(desk.book[0], open=False, active=False, ended_at=outside.now, taken_back=True)
        await asyncio.sleep(0.5)
        assert desk.asked == ["1001", "1002"], "what its owner took back is not asked for again at once"
        outside.now += REST_US
        await until(lambda: len(desk.asked) == 3)
        assert desk.asked[2] == "1001"
        await end(runtime, at=outside.now / 1e6)
        await until(lambda: set(desk.back) == {"l1", "l2"})
