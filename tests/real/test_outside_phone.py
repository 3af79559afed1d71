"""A duty phone over a trunk: only a person who presses 1 counts; the trunk's own failures are told apart."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone, Reject, Ring
from cti.dialtest.stack import Stage, stage
from cti.dialtest.tones import TONES
from cti.directory import Directory, load_directory
from cti.share import folder
from cti.stack import netports
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.root import RuntimeRoot
from tests.real.story import CLI, ended, outcomes, talking

pytestmark = pytest.mark.real

DUTY = "087165100110"


@asynccontextmanager
async def outdoors(
    runtime_root: RuntimeRoot, directory: Directory, config: Path, tmp_path: Path
) -> AsyncIterator[tuple[Stage, Phone]]:
    """A stage whose trunk leads to a telephone outside, with three lines, one of them kept for danger."""
    port = netports.free_udp_port()
    trunks = tuple(t.model_copy(update={"port": port, "max_calls": 3, "reserved": 1}) for t in directory.trunks)
    changed = directory.model_copy(update={"trunks": trunks})
    async with (
        Instance(runtime_root, tmp_path / "state", changed, config, folder("dialplan")) as instance,
        stage(instance, seats=["1001", "1002", "8001"], callers=2) as on,
    ):
        duty = Phone("duty", TONES[-1], on.server, DUTY, None, local_host=TRUNK_HOST, local_port=port)
        await duty.start()
        await reached(on)
        try:
            yield on, duty
            for phone in (*on.callers, *on.seats.values(), duty):
                for call in phone.calls:
                    call.hangup()
            assert await on.leftovers() == []
        finally:
            await duty.stop()


@pytest_asyncio.fixture(loop_scope="function")
async def outside(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> AsyncIterator[tuple[Stage, Phone]]:
    """As `outdoors`, with the routes shipped."""
    async with outdoors(runtime_root, directory, folder("config"), tmp_path) as made:
        yield made


DUTY_FIRST = f"""routes:
  - to: "110"
    division: "*"
    targets:
      - {{kind: phone, number: "{DUTY}", trunk: pstn, timeout: 8}}
      - {{kind: dedicated, timeout: 15}}
  - to: "12345"
    division: "*"
    targets: [{{kind: general, timeout: 15}}]
"""


@pytest_asyncio.fixture(loop_scope="function")
async def duty_first(runtime_root: RuntimeRoot, tmp_path: Path) -> AsyncIterator[tuple[Stage, Phone]]:
    """As `outdoors`, with routes that lead to the duty phone first."""
    config = shutil.copytree(folder("config"), tmp_path / "config")
    (config / "routes.yaml").write_text(DUTY_FIRST, encoding="utf-8")
    async with outdoors(runtime_root, load_directory(config, dt.date.today()), config, tmp_path) as made:
        yield made


async def reached(on: Stage) -> None:
    """Until Asterisk has found the telephone outside there, for good: it asks every 2 s, and a question put before it
    was there comes to nothing 3 s later, over an answer it has meanwhile."""
    since = time.monotonic()
    for _ in range(150):
        if not any(" Avail" in row for row in await on.rows("pjsip show contacts") if "pstn/" in row):
            since = time.monotonic()
        elif time.monotonic() - since > 1.5:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the trunk is not reachable")


async def route_outside(on: Stage, after: str = "", cli: str = CLI) -> None:
    """The call's own route to 110, also with danger: the duty phone, then ``after``; over the one the service laid."""
    (ref,) = [f.ref for f in await on.facts() if f.kind == "CallArrived" and f.data["caller"] == cli]
    assert await on.wait_fact("SeatAnswered", ref) is not None
    await asyncio.sleep(0.3)
    (caller,) = [row.split("!")[0] for row in await on.rows("core show channels concise")
                 if "PJSIP/pstn" in row and cli in row]  # fmt: skip
    route = f"phone~PJSIP/{DUTY}@pstn~8~pstn~1{after}"
    for name in ("ROUTE_110", "ROUTE_DANGER_110"):
        await on.rows(f"dialplan set chanvar {caller} SHARED({name}) {route}")


async def rung(duty: Phone, seconds: float = 5) -> Call:
    for _ in range(int(seconds * 50)):
        if duty.calls and duty.calls[-1].t_ended is None:
            return duty.calls[-1]
        await asyncio.sleep(0.02)
    raise AssertionError("the duty phone did not ring")


async def test_a_person_presses_one_and_has_the_caller(outside: tuple[Stage, Phone]) -> None:
    on, duty = outside
    call, seat = await talking(on)
    await route_outside(on)
    duty.on_invite = Answer(0.2)
    await seat.dtmf("*110")
    there = await rung(duty)
    await there.wait_heard("music", 3)  # the prompt: no party's tone
    assert not any(name.startswith("X-Hotline") for name, _ in there.invite.headers), "data left the house"
    await asyncio.sleep(1.0)
    assert not call.heard().ever("duty"), "not before 1 is pressed"
    await there.dtmf("1")
    await call.wait_heard("duty", 3)
    await there.wait_heard(on.callers[0].name, 3)
    await asyncio.sleep(0.3)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("answered", "")]
    assert [f.data["target"] for f in facts if f.kind == "TransferEnded"] == [DUTY]


async def test_a_voicemail_never_swallows_the_caller(outside: tuple[Stage, Phone]) -> None:
    on, duty = outside
    call, seat = await talking(on)
    await route_outside(on, after="|dial~PJSIP/8001~10")
    duty.on_invite = Answer(0.1)  # answers, and presses nothing
    on.seats["8001"].on_invite = Answer(0.2)
    await seat.dtmf("*110")
    there = await rung(duty)
    await call.wait_heard("8001", 30)
    assert there.t_ended is not None and not call.heard().ever("duty")
    call.hangup()
    facts = await ended(on)
    assert [f.data["why"] for f in facts if f.kind == "TargetFailed"] == ["unconfirmed"]
    assert outcomes(facts) == [("answered", "")]


async def test_the_duty_phone_stops_at_once_when_the_caller_leaves_while_it_is_asked(
    outside: tuple[Stage, Phone]
) -> None:
    on, duty = outside
    call, seat = await talking(on)
    await route_outside(on)
    duty.on_invite = Answer(0.1)
    await seat.dtmf("*110")
    there = await rung(duty)
    await there.wait_heard("music", 3)
    left = time.monotonic()
    call.hangup()
    stopped = await there.wait_ended(3)
    assert stopped - left < 1.0
    assert outcomes(await ended(on)) == [("abandoned", "caller-left")]


@pytest.mark.parametrize(("status", "why"), [(486, "busy"), (503, "congested"), (404, "no-number"), (603, "declined"),
                                             (502, "trunk-down")])  # fmt: skip
async def test_what_the_network_says_is_told_apart(outside: tuple[Stage, Phone], status: int, why: str) -> None:
    on, duty = outside
    call, seat = await talking(on)
    await route_outside(on)
    duty.on_invite = Reject(status)
    pressed = await seat.dtmf("*110")
    await seat.wait_heard("music", 6, after=pressed)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("returned", why)], [f.data for f in facts if f.kind in ("TargetRings", "TargetFailed")]


async def test_a_dead_trunk_costs_no_ringing_time(outside: tuple[Stage, Phone]) -> None:
    on, duty = outside
    await duty.stop()
    for _ in range(100):
        if any("Unavail" in row for row in await on.rows("pjsip show contacts")):
            break
        await asyncio.sleep(0.2)
    call, seat = await talking(on)
    await route_outside(on)
    pressed = await seat.dtmf("*110")
    heard = await seat.wait_heard("music", 5, after=pressed)
    assert heard - pressed < 3
    call.hangup()
    assert outcomes(await ended(on)) == [("returned", "trunk-down")]


async def test_the_last_line_is_kept_for_danger(outside: tuple[Stage, Phone]) -> None:
    """Three lines, one reserved; two outside callers hold two of them: routine finds it full, danger goes through."""
    on, duty = outside
    call, seat = await talking(on)
    await talking(on, cli="13900005678", caller=1)
    await route_outside(on)
    duty.on_invite = Ring()
    pressed = await seat.dtmf("*110")
    await seat.wait_heard("music", 5, after=pressed)
    assert not duty.calls
    await asyncio.sleep(1.5)
    await seat.dtmf("**110")
    await rung(duty)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("returned", "trunk-full"), ("abandoned", "caller-left")]


async def laid(on: Stage, text: str, seconds: float = 15) -> float:
    """How many seconds until AstDB's route to 110 is this one."""
    began = time.monotonic()
    row: list[str] = []
    while time.monotonic() - began < seconds:
        row = await on.rows("database get route 110/*")
        if row == [f"Value: {text}"]:
            return time.monotonic() - began
        await asyncio.sleep(0.1)
    raise AssertionError(f"AstDB holds {row}, not {text}")


async def steady(on: Stage) -> None:
    """The peer answers, and no OPTIONS sent before it did can time out any more (3 s)."""
    since: float | None = None
    for _ in range(150):
        if not any("pstn/" in row and " Avail " in row for row in await on.rows("pjsip show contacts")):
            since = None
        elif time.monotonic() - (since := since or time.monotonic()) > 3.5:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the trunk's peer does not answer")


async def test_a_dead_trunk_is_laid_last_and_first_again_when_it_is_back(duty_first: tuple[Stage, Phone]) -> None:
    on, duty = duty_first
    outside, line = f"phone~PJSIP/{DUTY}@pstn~8~pstn~1", "queue~110-dedicated~15"
    await steady(on)
    await laid(on, f"{outside}|{line}")
    await duty.stop()
    noticed = await laid(on, f"{line}|{outside}~1")
    call, seat = await talking(on)
    await seat.dtmf("*110")
    await on.seats["8001"].wait_incoming(3)
    call.hangup()
    facts = await ended(on)
    assert [f.data["target"] for f in facts if f.kind == "TargetTried"] == ["110-dedicated"], "the call's own route"
    await duty.start()
    back = await laid(on, f"{outside}|{line}")
    print(f"a dead trunk is last after {noticed:.1f} s, first again after {back:.1f} s")


async def test_the_order_of_health_stands_while_the_service_is_dead(duty_first: tuple[Stage, Phone]) -> None:
    """And a stale report costs nobody his target: a phone that is back is reached, as the last."""
    on, duty = duty_first
    outside, line = f"phone~PJSIP/{DUTY}@pstn~8~pstn~1", "queue~110-dedicated~15"
    await duty.stop()
    await laid(on, f"{line}|{outside}~1")
    service = on.instance.children["cti"]
    service.kill()
    await service.wait()
    await duty.start()
    await steady(on)
    call, seat = await talking(on)
    on.seats["8001"].on_invite = Reject(486)
    duty.on_invite = Ring()
    await seat.dtmf("*110")
    await rung(duty)
    call.hangup()
    await service.restart()
    facts = await ended(on)
    assert [f.data["target"] for f in facts if f.kind == "TargetTried"] == ["110-dedicated", f"PJSIP/{DUTY}@pstn"]
