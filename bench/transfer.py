"""One key beside Asterisk's own transfers on one instance, round by round in turn: how soon the target's phone gets
its INVITE, what the caller hears meanwhile, what a transfer costs in CPU.

Knows: phones, tones, the API's one request, Asterisk's feature codes. Must not know: how either transfer works inside.

All times count from the last thing the seat does: the end of the last digit it types (for Asterisk's features the
digits of the number follow the code), or the moment REFER or POST is sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import rig
from bench.transfer_report import Run, summary, text
from cti.dialtest.call import Call
from cti.dialtest.hearing import MUSIC
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.stack.instance import Instance
from cti.web.auth import Tokens, Who

FIRSTS, TARGETS = ("1001", "1002"), ("8001", "8002", "8003")
TALK_S = 0.4
CONSULT_S = 0.1
"""an attended transfer: the seat hears the target that long, then hangs up"""
HELD_BACK_S = 0.25
"""A digit mutes the seat while it is typed and held back; a seat that goes on talking is heard again that long after.
The figures `silence_ms` and `alone_ms` have the typing in them."""

Press = Callable[["Bench", Call, int], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to hand a caller over. `press` returns the moment its times count from."""

    says: str
    press: Press
    number: str = "12345"
    held_back: bool = False
    """typed, and the seat goes on talking to the caller"""
    consults: bool = False
    """the seat talks to the target first, and hangs up itself"""
    bar: bool = False
    """make before break: the bars are for it"""


@dataclass(slots=True)
class Bench:
    """The stage and the instance below."""

    on: Stage
    instance: Instance
    runs: list[Run] = field(default_factory=list)

    async def api(self, first: Call, number: int) -> float:
        """One POST on a link that stands, written at once: the client's own work is not in the figure."""
        token, port = Tokens(self.instance.http_secret).make(Who("agent", first.phone.user)), self.instance.ports.http
        body = b'{"to": "110"}'
        head = (f"POST /api/v1/transfers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.sleep(0.05)
            before = time.monotonic()
            writer.write(head.encode() + body)
            async with asyncio.timeout(10):
                got = await reader.read()
        finally:
            writer.close()
        status = got.split(b" ", 2)[1:2]
        if status not in ([b"200"], [b"201"], [b"202"]):
            raise ValueError(f"the API said {got[-200:].decode(errors='replace')}")
        return before

    async def refer(self, first: Call, number: int) -> float:
        before = time.monotonic()
        status = await first.refer("110")
        if status != 202:
            raise ValueError(f"REFER was answered with {status}")
        return before


def _types(digits: str) -> Press:
    async def press(bench: Bench, first: Call, number: int) -> float:
        return await first.dtmf(digits, duration_ms=100, gap_ms=60)

    return press


VARIANTS: dict[str, Variant] = {
    "dtmf": Variant("one key *110", _types("*110"), held_back=True, bar=True),
    "api": Variant("one key, POST /transfers", Bench.api, bar=True),
    "refer": Variant("phone's transfer key (REFER)", Bench.refer),
    "blindxfer": Variant("Asterisk's blindxfer to a seat, #1 110", _types("#1110"), "90001"),
    "blindxfer-line": Variant("Asterisk's blindxfer to the line our key rings, #1 119", _types("#1119"), "90001"),
    "atxfer": Variant("Asterisk's atxfer to a seat, #2 110", _types("#2110"), "90001", consults=True),
}
OURS = [name for name, variant in VARIANTS.items() if variant.number == "12345"]


async def one(bench: Bench, name: str, number: int, rng: random.Random) -> Run:
    """One caller from ring to hang-up. What went wrong is the run's `fault`."""
    variant, on, caller = VARIANTS[name], bench.on, bench.on.callers[0]
    cli = f"137{number % 10_000:04d}{list(VARIANTS).index(name)}{rng.randrange(1000):03d}"
    after = rng.uniform(0.2, 0.8)
    run = Run(name, number, round(after * 1000, 1))
    for phone in on.seats.values():
        phone.on_invite = Answer(after if phone.user in TARGETS else 0.1)
    call = await caller.dial(variant.number, caller_id=cli)
    try:
        first = await whose([on.seats[n] for n in FIRSTS], cli, 5)
        if first is None:
            raise ValueError("no seat rang")
        await call.wait_heard(first.phone.name, 5)
        await first.wait_heard(caller.name, 5)
        await asyncio.sleep(TALK_S)
        await _transfer(bench, run, variant, call, first)
        if call.t_ended is not None:
            raise ValueError("the caller was dropped")
    except (ValueError, TimeoutError, OSError) as why:
        run.fault = f"{str(why) or type(why).__name__}: the caller heard {call.heard()}"
    finally:
        call.hangup()
    try:
        for leg in [leg for phone in on.seats.values() for leg in phone.calls if leg.t_ended is None]:
            await leg.wait_ended(5)
    except TimeoutError:
        run.fault = f"{run.fault} a seat's leg stayed after the caller had left".strip()
        for phone in on.seats.values():
            for leg in phone.calls:
                leg.hangup()
        await asyncio.sleep(1)
    return run


async def _rung(phones: Sequence[Phone], seconds: float = 8) -> Call | None:
    """The call at one of these phones. Not by the caller's number: a consultation shows the seat's."""
    for _ in range(int(seconds * 100)):
        for phone in phones:
            for call in reversed(phone.calls):
                if call.direction == "in" and call.t_ended is None:
                    return call
        await asyncio.sleep(0.01)
    return None


async def _transfer(bench: Bench, run: Run, variant: Variant, call: Call, first: Call) -> None:
    pids = [bench.instance.children[name].pid for name in ("asterisk", "cti")]
    cpu, begins = [rig.cpu_seconds(pid) for pid in pids], time.monotonic()
    pressed = await variant.press(bench, first, run.number)
    target = await _rung([bench.on.seats[n] for n in TARGETS])
    if target is None or target.t_invite is None:
        raise ValueError("the target was not rung")
    if not await target.wait_answered(5) or target.t_answered is None:
        raise ValueError("the target did not answer")
    if variant.consults:
        await first.wait_heard(target.phone.name, 5)
        await asyncio.sleep(CONSULT_S)
        first.hangup()
    joined = await call.wait_heard(target.phone.name, 8, after=target.t_answered)
    await target.wait_heard(call.phone.name, 8, after=target.t_answered)
    await first.wait_ended(5)
    await asyncio.sleep(TALK_S)
    ends = time.monotonic()
    spent = [(rig.cpu_seconds(pid) - before) * 1000 for pid, before in zip(pids, cpu, strict=True)]
    run.cpu_asterisk_ms, run.cpu_service_ms, run.seconds = spent[0], spent[1], ends - begins
    run.key_to_invite_ms = (target.t_invite - pressed) * 1000
    _hear(run, call, (first.phone, target.phone), begins, pressed + (HELD_BACK_S if variant.held_back else 0), joined)


def _hear(run: Run, call: Call, people: Sequence[Phone], begins: float, pressed: float, joined: float) -> None:
    heard, names, ends = call.heard(), {phone.name for phone in people}, joined + TALK_S / 2
    if call.dtmf_heard:
        raise ValueError(f"{len(call.dtmf_heard)} digits leaked to the caller")
    run.gap_ms = heard.longest_without(names, min(pressed, joined - 0.02), ends)
    run.silence_ms = heard.longest_without({*names, MUSIC}, begins, ends)
    run.alone_ms = max(0.0, (ends - begins) * 1000 - 20 * len(heard.holding(names, begins, ends)))
    run.own_late_ms = people[0].media.lateness(begins, ends)


async def measure(n: int, seed: int, names: Sequence[str], tell: Callable[[Run], None]) -> tuple[list[Run], list[str]]:
    """`n` rounds of every variant (and one to warm up, thrown away), and what was wrong besides the runs' faults."""
    async with (
        rig.instance((rig.DATA / "native.conf").read_text(encoding="utf-8")) as made,
        stage(made, seats=[*FIRSTS, *TARGETS], callers=1) as on,
    ):
        bench = Bench(on, made)
        for number in range(n + 1):
            for name in names:
                # the same draws for every variant of a round: the target's answer takes as long for each
                run = await one(bench, name, number, random.Random(seed * 1_000_003 + number))
                if number or run.fault:
                    bench.runs.append(run)
                    tell(run)
        for phone in on.callers:
            for call in phone.calls:
                call.hangup()
        wrong = [f"left over: {row}" for row in await on.leftovers() or []]
        wanted = sum(name in OURS for name in names) * (n + 1)
        facts = []
        for _ in range(100):
            facts = [f for f in await on.facts() if f.kind == "TransferEnded"]
            if len(facts) >= wanted:
                break
            await asyncio.sleep(0.1)
        answered = sum(f.data["outcome"] == "answered" for f in facts)
        if (answered, len(facts)) != (wanted, wanted):
            wrong.append(f"{answered} of {len(facts)} transfers on record as answered, {wanted} wanted")
        return bench.runs, wrong


def main() -> int:
    """0: every run worked (whether the bars are met stands in the output); 1: some did not."""
    parser = argparse.ArgumentParser("python -m bench.transfer", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--n", type=int, default=60, help="rounds, each of every variant (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="draws how long targets ring (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--plot", type=Path, default=rig.OUT / "transfer.png", help="picture (%(default)s)")
    args = parser.parse_args()
    if args.n < 1:
        parser.error("--n: at least 1")
    began = time.monotonic()

    def tell(run: Run) -> None:
        if not args.json or run.fault:
            print(f"{run.number:4} {run.variant:10} {run.fault or f'{run.key_to_invite_ms:.1f} {run.gap_ms:.0f}'}",
                  file=sys.stderr, flush=True)  # fmt: skip

    runs, wrong = asyncio.run(measure(args.n, args.seed, args.only, tell))
    found = summary(runs, [name for name, variant in VARIANTS.items() if variant.bar])
    faults = [f"{run.variant} {run.number}: {run.fault}" for run in runs if run.fault] + wrong
    if not args.json:
        print(text(found))
        print(*faults, sep="\n")
    else:
        about = {
            "n": args.n, "seed": args.seed, "seconds": round(time.monotonic() - began, 1),
            "load_average": os.getloadavg(), "own_late_ms": rig.spread([run.own_late_ms for run in runs]),
        }  # fmt: skip
        print(json.dumps({**about, **found, "faults": faults, "runs": [asdict(run) for run in runs]}))
    from bench.plot_transfer import draw  # matplotlib takes a second to load: not while calls are measured

    draw({name: [r for r in runs if r.variant == name and not r.fault] for name in args.only}, args.plot)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
