"""Thirty one-key transfers at the same instant while 150 calls with RTP stand: does any fail, how far do they spread.

Knows: SIPp for calls that only stand, test phones for those that are judged. Must not know: how a transfer works.

Every caller's stream is judged by tone, after the fact: while the burst runs nothing is computed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import rig
from cti.core.facts import Fact
from cti.dialtest import rtp, tones
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.directory.seats import Seat
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.netports import free_udp_port, free_udp_range, release
from cti.stack.supervise import Child

CALLER_HZ = 3850  # none of TONES: those are the seats'
FIRST_SEAT, TARGET_SEAT = 2001, 7001
ANSWER_S, RING_S, TALK_S = 0.2, 0.3, 1.0
KEY, HELD_BACK_S, GAP_BAR_MS = "*110", 0.25, 60.0
DEADLINE_S = 15.0
CALLER_XML = Path(__file__).resolve().parents[1] / "cti" / "demo" / "caller.xml"


@dataclass(slots=True)
class Moved:
    """One caller of a burst; milliseconds."""

    round: int
    caller: str
    key_to_invite_ms: float | None = None
    gap_ms: float | None = None
    own_late_ms: float = 0.0
    fault: str = ""


def staffed(seats: int, trunk_port: int, directory: Directory) -> Directory:
    """So many first seats at 12345, so many dedicated ones at 110, no others; the trunk leads to `trunk_port`."""
    made = [Seat(number=str(FIRST_SEAT + n), platform="12345", kind="general", name=f"{n}") for n in range(seats)]
    made += [Seat(number=str(TARGET_SEAT + n), platform="110", kind="dedicated", name=f"{n}") for n in range(seats)]
    routes = tuple(route for route in directory.routes if route.division == "*")
    trunks = tuple(t.model_copy(update={"port": trunk_port, "qualify": 0, "max_calls": 1000}) for t in directory.trunks)
    return Directory(hotlines=directory.hotlines, seats=tuple(made), routes=routes, trunks=trunks)


@contextlib.asynccontextmanager
async def standing(instance: Instance, calls: int, echo_port: int) -> AsyncIterator[None]:
    """`calls` calls from SIPp through the switch to SIPp, voice both ways, until the block is left. TimeoutError."""
    if not calls:
        yield
        return
    media, echo_media = free_udp_range(4 * calls + 8), free_udp_range(8)
    ports = [*media, *echo_media, free_udp_port()]
    folder = instance.state / "standing"
    folder.mkdir()
    voice = folder / "voice.alaw"
    voice.write_bytes(rtp.alaw(tones.samples(CALLER_HZ + 50)) * 50)
    table = folder / "callers.csv"
    table.write_text("SEQUENTIAL\n" + "".join(f"136{n:08d};standing;{voice};3600000\n" for n in range(calls)))
    common = ("-i", TRUNK_HOST, "-mi", TRUNK_HOST, "-nostdin", "-skip_rlimit")
    argvs = {
        "echo": ("-sf", str(rig.DATA / "echo.xml"), "-p", str(echo_port), "-rtp_echo", "-mp", str(echo_media.start)),
        "callers": (f"127.0.0.1:{instance.ports.sip}", "-sf", str(CALLER_XML), "-s", "90150", "-inf", str(table),
                    "-p", str(ports[-1]), "-min_rtp_port", str(media.start), "-max_rtp_port", str(media.stop - 1),
                    "-r", "15", "-m", str(calls), "-l", str(calls)),
    }  # fmt: skip
    children: list[Child] = []
    try:
        for name, argv in argvs.items():
            child = Child(name=name, argv=instance.root.argv("sipp", *argv, *common), cwd=folder,
                          log_path=folder / f"{name}.log", ready=_at_once, grace=2.0)  # fmt: skip
            children.append(child)
            await instance.supervisor.start(child)
        yield
    finally:
        for child in reversed(children):
            await instance.supervisor.stop(child)
        release(*ports)


async def _at_once() -> bool:
    await asyncio.sleep(0)
    return True


async def bridged(on: Stage) -> int:
    """Calls with two legs the switch has now."""
    rows = await on.rows("bridge show all")
    return sum(row.split()[2] == "2" for row in rows[1:])


async def burst(on: Stage, number: int, caller: Phone, seats: int) -> list[Moved]:
    """As many callers as seats, each with his seat; all press in one instant; what became of each."""
    firsts = [phone for name, phone in on.seats.items() if int(name) < TARGET_SEAT]
    targets = [phone for name, phone in on.seats.items() if int(name) >= TARGET_SEAT]
    for phone in on.seats.values():
        phone.on_invite = Answer(RING_S if phone in targets else ANSWER_S)
    moved = [Moved(number, f"135{number:04d}{n:04d}") for n in range(seats)]
    calls: list[Call] = []
    for one in moved:  # some 20 a second: it is the burst of keys that is measured, not one of calls
        calls.append(await caller.dial("12345", caller_id=one.caller))
        await asyncio.sleep(0.05)
    try:
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            found = [group.create_task(whose(firsts, one.caller, DEADLINE_S - 1)) for one in moved]
        await asyncio.sleep(TALK_S)
        pairs = await asyncio.gather(*(_press(task.result()) for task in found))
        for _ in range(int(DEADLINE_S * 20)):  # until every first seat is let go; who is not, `_judge` says
            if all(pair is None or pair[0].t_ended for pair in pairs):
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(TALK_S)
        for one, call, pair in zip(moved, calls, pairs, strict=True):
            if pair is None:
                one.fault = "no seat answered, or it could not press"
            else:
                _judge(one, call, *pair, targets)
    finally:
        for call in calls:
            call.hangup()
    return moved


async def _press(leg: Call | None) -> tuple[Call, float] | None:
    """The seat's leg and the end of its last digit; None: it never came so far."""
    if leg is None or leg.t_answered is None:
        return None
    try:
        return leg, await leg.dtmf(KEY)
    except TimeoutError:
        return None


def _judge(one: Moved, call: Call, first: Call, pressed: float, targets: Sequence[Phone]) -> None:
    legs = [leg for phone in targets for leg in phone.calls if leg.caller.user == one.caller]
    reached = next((leg for leg in legs if leg.t_answered), None)
    if reached is None or reached.t_invite is None or reached.t_answered is None:
        one.fault = f"no target answered ({len(legs)} rang)"
        return
    one.key_to_invite_ms = (min(leg.t_invite for leg in legs if leg.t_invite) - pressed) * 1000
    heard = call.heard(pressed + HELD_BACK_S)
    joined = heard.first(reached.phone.name, reached.t_answered)
    if call.t_ended is not None:
        one.fault = "the caller was dropped"
    elif first.t_ended is None:
        one.fault = "the first seat was not let go"
    elif joined is None:
        one.fault = f"the caller never heard the target: {heard}"
    elif reached.heard(reached.t_answered).first(call.phone.name) is None:
        one.fault = "the target never heard the caller"
    else:
        one.gap_ms = heard.longest_without({first.phone.name, reached.phone.name}, None, joined + TALK_S / 2)
        one.own_late_ms = max(call.phone.media.lateness(pressed, joined + TALK_S / 2), 0.0)


async def measure(rounds: int, seats: int, calls: int) -> dict[str, object]:
    """The bursts' callers, CPU of the switch and the service with the calls standing and while pressed, faults."""
    port = free_udp_port()
    dialplan = (rig.DATA / "standing.conf").read_text(encoding="utf-8")
    numbers = [str(base + n) for base in (FIRST_SEAT, TARGET_SEAT) for n in range(seats)]
    wrong: list[str] = []
    moved: list[Moved] = []
    stood: list[int] = []
    try:
        async with (
            rig.instance(dialplan, lambda directory: staffed(seats, port, directory)) as made,
            standing(made, calls, port),
            stage(made, seats=numbers, callers=0) as on,
        ):
            for _ in range(60):
                if await bridged(on) >= calls:
                    break
                await asyncio.sleep(1)
            on.before = frozenset()
            await on.look_before()  # the standing calls are not ours to miss
            pids = {name: made.children[name].pid for name in ("asterisk", "cti")}
            quiet = await _cores(pids, asyncio.sleep(5))
            caller = Phone("C", CALLER_HZ, on.server, "13500000000", None, local_host=TRUNK_HOST)
            await caller.start()
            try:
                stood.append(await bridged(on))

                async def all_bursts() -> None:
                    for number in range(rounds):
                        moved.extend(await burst(on, number, caller, seats))
                        stood.append(await bridged(on))
                        await asyncio.sleep(2)  # all hung up, no seat in a call

                busy = await _cores(pids, all_bursts())
            finally:
                await caller.stop()
            wrong += [f"left over: {row}" for row in await on.leftovers(10) or []]
            wrong += await _on_record(on, len(moved))
            if min(stood) < calls:
                wrong.append(f"of {calls} standing calls {min(stood)} stood")
    finally:
        release(port)
    return {"standing": min(stood, default=0), "cores_standing": quiet, "cores_bursts": busy, "moved": moved,
            "wrong": wrong}  # fmt: skip


async def _cores(pids: dict[str, int], work: Awaitable[object]) -> dict[str, float]:
    """Cores used, by process, while `work` is done."""
    before, began = {name: rig.cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    await work
    took = time.monotonic() - began
    return {name: round((rig.cpu_seconds(pid) - before[name]) / took, 3) for name, pid in pids.items()}


async def _on_record(on: Stage, wanted: int) -> list[str]:
    """What the ledger lacks: each transfer is there once, as answered; nothing odd is."""
    facts: list[Fact] = []
    over: list[Fact] = []
    for _ in range(150):
        facts = await on.facts()
        over = [fact for fact in facts if fact.kind == "TransferEnded"]
        if len(over) >= wanted:
            break
        await asyncio.sleep(0.1)
    said = [f"{f.data['outcome']} ({f.data['why']})" for f in over if f.data["outcome"] != "answered"]
    odd = [f"Anomaly on record: {dict(fact.data)}" for fact in facts if fact.kind == "Anomaly"]
    short = [] if len(over) == wanted else [f"{len(over)} transfers on record, {wanted} wanted"]
    return [f"on record as {one}" for one in said] + odd + short


def main() -> int:
    """0: no transfer failed; 1: some did."""
    parser = argparse.ArgumentParser("python -m bench.load", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="bursts one after another (%(default)s)")
    parser.add_argument("--seats", type=int, default=30, choices=range(1, 31), metavar="1-30",
                        help="transfers at once (%(default)s)")  # fmt: skip
    parser.add_argument("--standing", type=int, default=150, help="calls with RTP that stand meanwhile (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    args = parser.parse_args()
    found = asyncio.run(measure(args.rounds, args.seats, args.standing))
    moved, wrong = found.pop("moved"), found.pop("wrong")
    assert isinstance(moved, list) and isinstance(wrong, list)
    failed = [f"round {one.round} {one.caller}: {one.fault}" for one in moved if one.fault]
    figures = {key: rig.spread([v for one in moved if (v := getattr(one, key)) is not None] or [0.0])
               for key in ("key_to_invite_ms", "gap_ms", "own_late_ms")}  # fmt: skip
    # how late our own phones were is taken off before a gap is judged, as dialtest does; the figures have it in them
    over = sum(one.gap_ms is not None and one.gap_ms - one.own_late_ms > GAP_BAR_MS for one in moved)
    result = {"transfers": len(moved), "failed": len(failed), "gaps_over_60_ms": over, **found, **figures,
              "faults": failed + wrong, "load_average": os.getloadavg()}  # fmt: skip
    if args.json:
        print(json.dumps({**result, "runs": [asdict(one) for one in moved]}))
    else:
        print(*(f"{key:18} {value}" for key, value in result.items()), sep="\n")
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
