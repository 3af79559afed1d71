"""`overflow`: a seat of one site goes to another and home again, under calls, while services, Redis and the trunk die.

What is proven, from the phones: no caller is lost; the lent phone never has two calls at once, whoever they are from,
and none of its own site while both sites hold it lent; it shows whose hotline rings. From both services: one lease
state within 2 s of recovery.

Two sites of our own, their trunk through a relay that can be cut. Both number their seats alike: the hard case. 530100
borrows; one seat of its own and more callers than that, so that somebody always waits for the lent one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from cti.dialtest.call import Call
from cti.dialtest.phone import Answer
from cti.dialtest.relay import Relay
from cti.dialtest.report import Report, Run
from cti.dialtest.siteblows import BLOWS, Struck
from cti.dialtest.siteload import Load, calling
from cti.dialtest.stack import AsteriskSilent, Stage, stage
from cti.directory import Directory, SiteSip
from cti.stack import netports
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from cti.stack.sites import Sites
from cti.web.auth import Tokens, Who

SAYS: Final = (
    "异地席位借还，其间杀停服务、Redis、站点间中继（自起两个站点） / "
    "seats lent between two sites of our own while parts are killed"
)
BORROWER, OWNER, SEAT = "530100", "532900", "1001"
OWN_SEAT, OTHER_SEAT = "1002", "1003"
CALLERS: Final = 3
EQUAL_S: Final = 2.0
READY_BAR_MS: Final = 1200.0
ASK_S: Final = 8.0
QUALIFY_S: Final = 4.0
"""a cut trunk is noticed, a mended one believed, within this"""


async def play_sites(root: RuntimeRoot, state: Path, directory: Directory, config: Path, templates: Path, n: int,
                     seed: int, tell: Callable[[Run], None] | None = None) -> Report:  # fmt: skip
    """``n`` cycles. Raises as `Instance` and `stage` do."""
    rng = random.Random(seed)
    port = netports.free_udp_port()
    through = SiteSip(host="127.0.0.21", port=port)
    sites = Sites(root, state, directory, config, templates, relay=through)
    assert sites.relayed is not None
    relay = Relay((through.host, through.port), (sites.relayed.host, sites.relayed.port))
    try:
        async with relay, sites, contextlib.AsyncExitStack() as stack:
            a = await stack.enter_async_context(stage(sites[0], seats=[OWN_SEAT], callers=CALLERS))
            b = await stack.enter_async_context(stage(sites[1], seats=[SEAT, OTHER_SEAT], callers=1, first_tone=20))
            return await _play(Two(a, b, relay, rng), n, seed, tell)
    finally:
        netports.release(port)


async def _play(two: Two, n: int, seed: int, tell: Callable[[Run], None] | None) -> Report:
    runs: list[Run] = []
    for phone in (*two.a.seats.values(), *two.b.seats.values()):
        phone.on_invite = Answer(0.15)
    load = Load()
    groups = [("131", two.a.callers, [two.a.seats[OWN_SEAT], two.b.seats[SEAT]]),
              ("132", two.b.callers, list(two.b.seats.values()))]  # fmt: skip
    async with calling(groups, load, two.rng):
        for number in range(n):
            before = len(load.faults)
            run = await two.cycle(number)
            run.faults += load.faults[before:]
            runs.append(run)
            if tell is not None:
                tell(run)
    if load.faults and not any(run.faults for run in runs):
        runs[-1].faults += load.faults
    runs[-1].faults += list(two.double_rings())
    ready = list(two.ready_to_invite(load))
    late = sorted(ready)[int(len(ready) * 0.95)] if ready else None
    if late is None or late > READY_BAR_MS:
        runs[-1].faults.append(f"ready → INVITE p95 {late} ms, {READY_BAR_MS:.0f} wanted (n={len(ready)})")
    if not load.served[SEAT]:
        runs[-1].faults.append("the lent seat served nobody")
    try:
        left = [*(await two.a.leftovers() or ()), *(await two.b.leftovers() or ())]
    except AsteriskSilent as why:
        left = [str(why)]
    more = {"ready_to_invite_ms": ready, "ask_to_active_ms": two.lent_ms, "recall_to_home_ms": two.home_ms,
            "equal_after_ms": two.equal_ms, "calls": [float(sum(load.served.values()))]}  # fmt: skip
    return Report("overflow", seed, runs, left, dict(two.blows), more)


class Two:
    """Both sites, and what was measured on them."""

    def __init__(self, a: Stage, b: Stage, relay: Relay, rng: random.Random) -> None:
        self.a, self.b, self.rng = a, b, rng
        self._whom = Struck(a.instance, b.instance, relay)
        self.blows: Counter[str] = Counter()
        self.struck: list[tuple[float, float]] = []
        self.lent: list[tuple[float, float]] = []
        """when both sites held the seat lent"""
        self.lent_ms: list[float] = []
        self.home_ms: list[float] = []
        self.equal_ms: list[float] = []
        self._next: list[str] = []

    # -- one cycle -----------------------------------------------------------------------------------------------------
    async def cycle(self, number: int) -> Run:
        """Ask, lend, return; one blow at a drawn moment of it."""
        what, phase = self._blow(), self.rng.choice(("asked", "lent", "returning"))
        run = Run(number, story=f"{what}@{phase}")
        try:
            async with asyncio.timeout(90):
                await self._cycle(run, what, phase)
        except (TimeoutError, OSError) as why:
            run.faults.append(f"cycle not finished: {type(why).__name__} {why}; {await self._both()}")
        return run

    async def _cycle(self, run: Run, what: str, phase: str) -> None:
        t0 = time.monotonic()
        body = {"seat": SEAT, "to": BORROWER, "why": run.story}
        lease = (await self._call(self.b.instance, "POST", "", body))["lease"]
        if phase == "asked":
            await self._strike(run, what)
        t1 = await self._until(lease, ("active",), ASK_S)
        if t1 is None:
            if not (phase == "asked" and await self._until(lease, ("refused", "returned", "expired"), 30.0)):
                run.faults.append(f"not lent: {await self._both()}")
            return
        if phase != "asked":
            self.lent_ms.append((t1 - t0) * 1000)
        began = time.monotonic()
        await asyncio.sleep(self.rng.uniform(4.0, 8.0))
        if phase == "lent":
            await self._strike(run, what)
            await asyncio.sleep(self.rng.uniform(1.0, 2.0))
        self.lent.append((began, time.monotonic()))
        where = self.rng.choice((self.a, self.b)).instance
        t2 = time.monotonic()
        await self._call(where, "POST", f"/{lease}/recall", {})
        if phase == "returning":
            await self._strike(run, what)
        t3 = await self._until(lease, ("returned", "expired"), ASK_S)
        if t3 is None:
            run.faults.append(f"not home: {await self._both()}")
        elif phase != "returning":
            self.home_ms.append((t3 - t2) * 1000)
        await asyncio.sleep(self.rng.uniform(0.3, 1.5))

    def _blow(self) -> str:
        """Each kind in turn, in a drawn order, so that none is missed in a short run."""
        if not self._next:
            self._next = ["borrower -9", "owner -9", "redis -9", "redis STOP", "trunk", "none"]
            self.rng.shuffle(self._next)
        return self._next.pop()

    async def _strike(self, run: Run, what: str) -> None:
        await asyncio.sleep(self.rng.uniform(0.0, 0.3))
        t0 = time.monotonic()
        await BLOWS[what](self._whom, self.rng)
        self.blows[what] += 1
        self.struck.append((t0, time.monotonic() + QUALIFY_S))
        equal = await self._equal(EQUAL_S)
        run.blows.append(f"{what} {time.monotonic() - t0:.1f} s")
        if equal is None:
            run.faults.append(f"{EQUAL_S:g} s after {what} the sites differ: {await self._both()}")
        else:
            self.equal_ms.append(equal * 1000)

    # -- what the services say -----------------------------------------------------------------------------------------
    async def _both(self) -> list[dict[str, str]]:
        """Each site's newest state of every lease, "away" where it does not answer."""
        said = []
        for on in (self.a, self.b):
            try:
                rows = (await self._call(on.instance, "GET", ""))["leases"]
                said.append({row["lease"]: f"{row['state']}" for row in rows})
            except OSError as why:
                said.append({"": f"away: {why}"})
        return said

    async def _until(self, lease: str, states: tuple[str, ...], seconds: float) -> float | None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            one, other = await self._both()
            if one.get(lease) in states and (other.get(lease) in states):
                return time.monotonic()
            if "active" in states and one.get(lease) in ("refused", "expired", "returned"):
                return None
            await asyncio.sleep(0.03)
        return None

    async def _equal(self, seconds: float) -> float | None:
        """s until both say the same of the newest lease, of which the owner may know nothing yet or no more."""
        t0 = time.monotonic()
        while time.monotonic() - t0 < seconds:
            one, other = await self._both()
            newest = max((*one, *other), default="")
            if newest in one and newest in other and one[newest] == other[newest]:
                return time.monotonic() - t0
            await asyncio.sleep(0.03)
        return None

    async def _call(self, on: Instance, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Raises OSError (URLError is one)."""
        token = Tokens(on.http_secret).make(Who(role="coordinator", hours=1))
        request = urllib.request.Request(
            f"http://127.0.0.1:{on.ports.http}/api/v1/leases{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip

        def ask() -> dict[str, Any]:
            with urllib.request.urlopen(request, timeout=3) as answer:
                values: dict[str, Any] = json.load(answer)
                return values

        return await asyncio.to_thread(ask)

    # -- what the phones say -------------------------------------------------------------------------------------------
    def double_rings(self) -> Iterator[str]:
        """Two calls at one phone at once, or one of its own site while it was lent for certain."""
        for phone in (*self.a.seats.values(), *self.b.seats.values()):
            calls = sorted((c for c in phone.calls if c.direction == "in"), key=lambda c: c.t_invite or 0)
            for one, two in itertools.pairwise(calls):
                if one.t_ended is None or (two.t_invite or 0) < one.t_ended:
                    yield f"{phone} had two calls at once: {_from(one)} and {_from(two)}"
        for call in self.b.seats[SEAT].calls:
            if _from(call) == BORROWER:
                continue
            if any(t0 < (call.t_invite or 0) < t1 and not self._struck(call.t_invite or 0) for t0, t1 in self.lent):
                yield f"{SEAT} was rung by its own site while it was lent"

    def ready_to_invite(self, load: Load) -> Iterator[float]:
        """ms from the lent seat's being free, with a caller of the borrower in line, to that caller's INVITE on it. Not
        while a part was dead."""
        calls = [c for c in self.b.seats[SEAT].calls if c.direction == "in" and c.t_invite is not None]
        for before, call in itertools.pairwise(calls):
            assert call.t_invite is not None
            dialled = load.dialled.get(call.caller.user)
            if _from(call) != BORROWER or _from(before) != BORROWER or dialled is None or before.t_ended is None:
                continue
            since = max(before.t_ended, dialled)
            if any(t0 <= since and call.t_invite <= t1 for t0, t1 in self.lent) and not self._struck(call.t_invite):
                yield (call.t_invite - since) * 1000

    def _struck(self, at: float) -> bool:
        return any(t0 <= at <= t1 for t0, t1 in self.struck)


def _from(call: Call) -> str:
    """The site whose caller this is, by what the phone was shown; its own when nothing says else."""
    told = call.invite.headers.get("X-Hotline") or ""
    return next((part.partition("=")[2] for part in told.split("; ") if part.startswith("site=")), OWNER)
