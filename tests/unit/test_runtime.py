"""The seam: deadlines never overtake steps that are still unread, and a restart loses and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest

from cti.core import calls
from cti.core import events as e
from cti.core.commands import Command, Record
from cti.core.facts import CorruptFact, Fact
from cti.core.model import Site
from cti.memory import KEEP_DAY, KEEP_KEYS, TICK_EVERY, Memory
from cti.runtime import GRACE_US, Runtime

from .playbook import REF, T1, joined, started, talking, us

DAY = us(86_400)


class Outside:
    """Ledger, switch, meter and clock in one: what the runtime told each of them."""

    def __init__(self, now: float = 0.0) -> None:
        self.facts: list[Fact] = []
        self.appended: list[int] = []
        self.acted: list[Command] = []
        self.seen: list[Fact] = []
        self.now = us(now)
        self.heard: int | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, facts: Sequence[Fact]) -> object:
        await self.gate.wait()
        self.appended.append(len(facts))
        self.facts += facts
        return None

    async def carry_out(self, command: Command) -> None:
        self.acted.append(command)

    def saw(self, fact: Fact) -> None:
        self.seen.append(fact)

    def outcomes(self) -> list[tuple[object, object]]:
        return [(f.data["outcome"], f.data.get("why", "")) for f in self.facts if f.kind == "TransferEnded"]

    def kinds(self, kind: str) -> list[Fact]:
        return [f for f in self.facts if f.kind == kind]


def runtime_on(outside: Outside) -> Runtime:
    return Runtime(outside, outside, outside, lambda: outside.now, lambda: outside.heard)


@contextlib.asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[None]:
    task = asyncio.ensure_future(runtime.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(what: object, seconds: float = 3.0) -> None:
    assert callable(what)
    for _ in range(int(seconds * 100)):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come to pass")


def tell(runtime: Runtime, events: Iterable[e.Event], source: str = "cel") -> None:
    for event in events:
        runtime.hear(event, source, f"k/{event.ref}/{type(event).__name__}/{event.at}")  # type: ignore[arg-type]


async def told(facts: Iterable[Fact | CorruptFact]) -> AsyncIterator[Fact | CorruptFact]:
    for fact in facts:
        yield fact


def as_facts(events: Iterable[e.Event]) -> list[Fact]:
    return [Fact(type(x).__name__, x.at, x.ref, e.values_of(x), "live", f"k/{x.ref}/{type(x).__name__}/{x.at}")
            for x in events]  # fmt: skip


VANISHED = [*talking(), *started(10), *joined(14), e.CallerRecalled(REF, us(16), "1001"),
            e.SeatAnswered(REF, us(18), "1001", "12345", "recall"), e.CallerLeft(REF, us(40))]  # fmt: skip


# -- deadlines ---------------------------------------------------------------------------------------------------------
async def test_rows_still_to_be_read_are_never_overtaken_by_the_clock() -> None:
    """Three minutes after a kill -9 the file is read in pieces: what it says stands, not what the clock says."""
    outside = Outside(now=400)
    runtime = runtime_on(outside)
    cut = len(VANISHED) - 3
    async with running(runtime):
        tell(runtime, VANISHED[:cut])
        await until(lambda: len(outside.facts) >= cut)
        await asyncio.sleep(0.15)  # turns without news
        tell(runtime, VANISHED[cut:])
        await until(lambda: outside.kinds("CallEnded"))
    assert outside.outcomes() == [("returned", "vanished")]
    assert not outside.kinds("Anomaly")


async def test_a_call_that_is_over_is_kept_while_its_rows_are_read() -> None:
    """The seat's own end may be a row of the next piece."""
    outside = Outside(now=400)
    runtime = runtime_on(outside)
    async with running(runtime):
        tell(runtime, [*talking(), e.CallerLeft(REF, us(30))])
        await until(lambda: outside.kinds("CallEnded"))
        await asyncio.sleep(0.15)
        tell(runtime, [e.SeatLeft(REF, us(30.01), "1001")])
        await until(lambda: outside.kinds("SeatLeft"))
        await asyncio.sleep(0.05)
    assert not outside.kinds("Anomaly")


async def test_the_rows_of_other_calls_move_the_time_on() -> None:
    """Rows come in order, so a later one settles what was due a second before it."""
    outside = Outside(now=4000)
    runtime = runtime_on(outside)
    other = REF.replace(".12", ".99")
    async with running(runtime):
        tell(runtime, [*talking(), *started(10), *joined(14), e.CallArrived(other, us(20.1), "12345")])
        await until(lambda: outside.outcomes())
    assert outside.outcomes() == [("answered", "")]


async def test_live_the_clock_ends_what_is_due_but_only_as_far_as_all_was_heard() -> None:
    outside = Outside(now=30)
    runtime = runtime_on(outside)
    async with running(runtime):
        tell(runtime, [*talking(), *started(10), *joined(14)], "live")
        outside.heard = us(19.02) + GRACE_US - 1
        await until(lambda: outside.kinds("CallerJoined"))
        await asyncio.sleep(0.3)
        assert outside.outcomes() == [], "heard until just before the deadline: a step may be on its way"
        outside.heard = us(19.02) + GRACE_US
        await until(lambda: outside.outcomes())
    assert outside.outcomes() == [("answered", "")]


async def test_the_clock_waits_for_steps_that_stand_in_the_inbox() -> None:
    """More than one batch was heard: what is proven heard is not yet stepped."""
    outside = Outside(now=400)
    outside.heard = us(400)
    runtime = runtime_on(outside)
    tell(runtime, VANISHED[:-3])
    tell(runtime, [e.CallArrived(f"530100-1732406400.{n}", us(15), "12345") for n in range(100, 400)])
    tell(runtime, VANISHED[-3:])
    async with running(runtime):
        await until(lambda: runtime.backlog == 0)
    assert outside.outcomes() == [("returned", "vanished")]


async def test_a_row_from_the_future_moves_no_other_call() -> None:
    outside = Outside(now=15)
    runtime = runtime_on(outside)
    other = REF.replace(".12", ".99")
    async with running(runtime):
        tell(runtime, [*talking(), *started(10), *joined(14), e.CallArrived(other, 1 << 60, "12345")])
        await until(lambda: len(outside.kinds("CallArrived")) == 2)
        await asyncio.sleep(0.15)
    assert outside.outcomes() == []


# -- what is on record -------------------------------------------------------------------------------------------------
async def test_the_backlog_is_what_is_not_durable_yet() -> None:
    outside = Outside()
    runtime = runtime_on(outside)
    outside.gate.clear()
    async with running(runtime):
        tell(runtime, talking())
        assert runtime.backlog == 4
        await asyncio.sleep(0.1)
        assert runtime.backlog == 4, "taken from the inbox, not on the disk"
        outside.gate.set()
        await until(lambda: runtime.backlog == 0)
    assert len(outside.kinds("SeatAnswered")) == 1


async def test_no_route_is_laid_for_a_call_that_is_over() -> None:
    outside = Outside(now=400)
    runtime = runtime_on(outside)
    async with running(runtime):
        tell(runtime, [*talking(), e.CallerLeft(REF, us(30))])
        await until(lambda: runtime.backlog == 0)
        await asyncio.sleep(0.05)
    assert outside.acted == []


# -- adopting ----------------------------------------------------------------------------------------------------------
async def test_records_a_crash_cut_off_are_written_at_the_next_start() -> None:
    """kill -9 between two MULTIs: the steps stand in the ledger, their records do not."""
    _, commands = calls.replay(VANISHED)
    records = {c.key for c in commands if isinstance(c, Record)}
    outside = Outside(now=500)
    runtime = runtime_on(outside)
    await runtime.adopt(told(as_facts(VANISHED)))
    assert {f.key for f in outside.facts} == records and len(outside.facts) == len(records)
    assert outside.outcomes() == [("returned", "vanished")]
    memory = Memory()
    for fact in (*as_facts(VANISHED), *outside.facts):
        memory.adopt(fact, us(500))
    assert memory.unwritten() == []
    again = Outside(now=500)
    second = runtime_on(again)
    await second.adopt(told([*as_facts(VANISHED), *outside.facts]))
    assert again.facts == [], "each once"
    assert [c.outcome for c in second.memory.ended.since(0)] == ["answered"]


async def test_calls_that_began_before_the_window_make_no_anomaly() -> None:
    outside = Outside(now=500)
    await runtime_on(outside).adopt(told(as_facts(VANISHED[5:])))
    assert outside.facts == []


async def test_counters_start_at_zero_after_a_restart() -> None:
    first = Outside(now=500)
    await runtime_on(first).adopt(told(as_facts(VANISHED)))
    outside = Outside(now=500)
    await runtime_on(outside).adopt(told([*as_facts(VANISHED), *first.facts]))
    assert outside.seen == []


async def test_what_only_redis_knew_is_merged_when_it_is_back() -> None:
    """Redis away at the start: the service went on without; then its facts and ours are one history."""
    outside = Outside(now=500)
    runtime = runtime_on(outside)
    other = REF.replace(".12", ".99")
    before = [e.CallArrived(REF, us(1), "12345"), e.CallerLeft(REF, us(2))]
    async with running(runtime):
        tell(runtime, [e.CallArrived(other, us(100), "12345")], "live")
        await until(lambda: runtime.backlog == 0)
        mine = list(outside.facts)

        async def slowly() -> AsyncIterator[Fact | CorruptFact]:
            for fact in (*as_facts(before), *mine):
                yield fact
            tell(runtime, [e.CallerQueued(other, us(101), "12345")], "live")  # while we read
            await until(lambda: outside.kinds("CallerQueued"))

        await runtime.adopt(slowly())
        tell(runtime, [e.CallerLeft(other, us(110)), *before], "live")
        await until(lambda: len(outside.kinds("CallEnded")) == 2)
        await until(lambda: runtime.backlog == 0)
    assert {f.ref: f.data["outcome"] for f in outside.kinds("CallEnded")} == {REF: "unasked", other: "abandoned"}
    assert len(outside.kinds("CallArrived")) == 1, "what the ledger has is not told again"
    assert sorted(c.outcome for c in runtime.memory.ended.since(0)) == ["abandoned", "unasked"]


async def test_a_history_that_breaks_off_changes_nothing() -> None:
    outside = Outside(now=500)
    runtime = runtime_on(outside)

    async def broken() -> AsyncIterator[Fact | CorruptFact]:
        yield as_facts(VANISHED)[0]
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        await runtime.adopt(broken())
    assert not runtime.site.calls and not outside.facts


async def test_one_corrupt_fact_never_stops_adopting() -> None:
    def odd(kind: str, **data: str) -> Fact:
        return Fact(kind, us(1), REF, data, "live", f"odd/{kind}/{data}")

    good = as_facts(VANISHED)
    bad: list[Fact | CorruptFact] = [
        CorruptFact("torn", {}), odd("CallEnded"), odd("CallEnded", arrived_at="soon", hotline="1", outcome="answered"),
        odd("TransferEnded"), odd("TargetTried", transfer=T1, hop="x", target="y"), odd("NoSuchKind"), odd("Anomaly"),
    ]  # fmt: skip
    outside = Outside(now=500)
    runtime = runtime_on(outside)
    await runtime.adopt(told([*bad, *good]))
    assert outside.outcomes() == [("returned", "vanished")]
    assert runtime.memory.corrupt == 5


def one_call(n: int) -> list[e.Event]:
    ref, at = f"530100-1732406400.{n}", n * 10.0
    return [e.CallArrived(ref, us(at), "12345"), e.CallerQueued(ref, us(at + 0.1), "12345"),
            e.SeatAnswered(ref, us(at + 2), "1001", "12345"), e.CallerLeft(ref, us(at + 9)),
            e.SeatLeft(ref, us(at + 9.01), "1001")]  # fmt: skip


async def test_adopting_costs_the_same_for_every_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 facts of 20,000 calls: the state a step copies stays as small as what one tick's span holds."""
    largest, steps = 0, 0
    real = calls.step

    def counted(site: Site, event: e.Event) -> tuple[Site, list[Command]]:
        nonlocal largest, steps
        largest, steps = max(largest, len(site.calls)), steps + 1
        return real(site, event)

    monkeypatch.setattr("cti.memory.calls.step", counted)
    outside = Outside(now=300_000)
    runtime = runtime_on(outside)
    await runtime.adopt(told(f for n in range(20_000) for f in as_facts(one_call(n))))
    assert steps == 100_000 and len(outside.kinds("CallEnded")) == 20_000
    assert largest <= TICK_EVERY // 5 + 10


# -- the last day ------------------------------------------------------------------------------------------------------
def test_figures_are_of_the_last_day_and_old_ones_leave() -> None:
    memory = Memory()
    for n, at in enumerate((0.0, 100_000.0, 150_000.0)):
        data = {"first_platform": "12345", "to": "110", "outcome": "answered"}
        memory.tally(Fact("TransferEnded", us(at), REF, data, "live", f"t{n}"))
        memory.tally(Fact("Anomaly", us(at), REF, {"code": "x", "event": "y"}, "live", f"a{n}"))
    assert memory.transfers_since(us(160_000) - DAY) == {("12345", "110", "answered"): 2}
    assert len(memory.anomalies.since(us(160_000) - DAY)) == 2
    memory.prune(us(160_000) - DAY)
    assert len(memory.transfers) == 2 and len(memory.anomalies) == 2


def test_what_is_remembered_is_bounded() -> None:
    memory = Memory()
    for n in range(KEEP_KEYS + 10):
        assert memory.first_time(f"k{n}")
    assert len(memory.keys) == KEEP_KEYS and not memory.first_time("k10") and memory.first_time("k0")
    for n in range(KEEP_DAY + 10):
        memory.anomalies.add(f"a{n}", n, "x")
    assert len(memory.anomalies) == KEEP_DAY
