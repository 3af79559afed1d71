"""Plays stories: some throwaway installations beside each other, on each one story after another, reset in between.

Knows: the order of a story, what is kept of it. Must not know: how it is shown, YAML.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cti.core.facts import Fact
from cti.dialplan.stories import acting
from cti.dialplan.stories.acting import CannotPlay
from cti.dialplan.stories.cast import TONES_EACH, Cast, Sites, cast
from cti.dialplan.stories.expecting import Missed, Scene, heard, watch
from cti.dialplan.stories.load import Placed
from cti.dialplan.stories.tracing import Step, Trace, Traced, passed
from cti.dialtest.stack import AsteriskSilent, StreamAway, stage
from cti.directory import Directory, SiteSip
from cti.ladder import ladder
from cti.stack import netports
from cti.stack.root import RuntimeRoot
from cti.stack.sites import FIRST, HOST

STORY_S = 90.0
"""the longest a story may last"""


@dataclass(slots=True)
class Result:
    """How a story went."""

    placed: Placed
    seconds: float = 0.0
    step: int = 0
    """the one it failed in, from 1"""
    missed: list[Missed] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    ladder: str = ""
    contexts: list[str] = field(default_factory=list)
    """passed, as Asterisk's own log has it"""

    @property
    def passed(self) -> bool:
        return not self.missed

    @property
    def line(self) -> int:
        """Where in the file it failed, else where it begins."""
        return self.placed.lines[self.step - 1] if self.step else self.placed.line


@dataclass(slots=True)
class Played:
    """A run of stories. ``boot_s``: till the first could begin; ``entered``: every context of the run."""

    results: list[Result]
    boot_s: float
    entered: set[str]

    @property
    def passed(self) -> bool:
        return bool(self.results) and all(result.passed for result in self.results)


async def play(root: RuntimeRoot, state: Path, directory: Directory, config: Path, dialplan: Path, site: str,
               stories: Sequence[Placed], *, beside: int = 3, stop_at_first: bool = False,
               tell: Callable[[Result], None] = lambda _: None) -> Played:  # fmt: skip
    """Play them all, ``beside`` installations at once; ``tell`` each as it is over. Raises as `Instance` does."""
    began = time.monotonic()
    beside = max(1, min(beside, len(stories)))
    waiting = deque(sorted(stories, key=_turn))
    run = Played([], 0.0, set())
    stop = asyncio.Event()

    async def worker(n: int) -> None:
        async with Troupe(root, state / f"stage-{n}", directory, config, dialplan, site, n) as troupe:
            run.boot_s = run.boot_s or time.monotonic() - began
            while waiting and not stop.is_set():
                result = await troupe.play(waiting.popleft())
                run.results.append(result)
                tell(result)
                if not result.passed and stop_at_first:
                    stop.set()
            run.entered |= troupe.entered()

    async with asyncio.TaskGroup() as group:
        for n in range(beside):
            group.create_task(worker(n))
    order = {placed.id: n for n, placed in enumerate(stories)}
    run.results.sort(key=lambda result: order[result.placed.id])
    return run


def _turn(placed: Placed) -> tuple[bool, str]:
    """Stories that take the service away come last: to start it again takes longer than a story. Before, those with the
    same phones follow one another: the service need not lay other routes in between."""
    given = placed.story.given
    return given.service != "running", " ".join(sorted(n for n, does in given.seats.items() if does != "off"))


class Troupe:
    """One installation and what is played on it."""

    def __init__(self, root: RuntimeRoot, state: Path, directory: Directory, config: Path, dialplan: Path, site: str,
                 n: int) -> None:  # fmt: skip
        self._trunk, own = netports.free_udp_port(), netports.free_udp_port()
        # The neighbours are test phones at the addresses of a machine's second site and on.
        ports = {one.code: netports.free_udp_port() for one in directory.sites if one.code != site}
        self._claimed = (self._trunk, own, *ports.values())
        self._sites = Sites((HOST.format(FIRST), own), ports)
        known = []
        for one in directory.sites:
            there = list(ports).index(one.code) + 1 if one.code in ports else 0
            sip = SiteSip(host=HOST.format(FIRST + there), port=ports.get(one.code, own))
            known.append(one.model_copy(update={"sip": sip, "accepts": (sip.host,), "qualify": 0}))
        # Nobody answers where the trunk leads till a story's telephones are there: a check would take it away.
        trunks = tuple(t.model_copy(update={"port": self._trunk, "qualify": 0}) for t in directory.trunks)
        directory = directory.model_copy(update={"trunks": trunks})
        self._instance = Traced(root, state, directory, config, dialplan, site=site, sites=tuple(known))
        self._first_tone = n * TONES_EACH
        self._undo = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Troupe:
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(netports.release, *self._claimed)
            await undo.enter_async_context(self._instance)
            self.trace = Trace(self._instance.trace_file)
            async with stage(self._instance, seats=[], callers=0) as on:
                self._before = await acting.look(on)
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    def entered(self) -> set[str]:
        """Every context that was entered since it began."""
        self.trace.read()
        return {e.context for e in self.trace.entries if isinstance(e, Step)}

    async def play(self, placed: Placed) -> Result:
        """One story, then everything as it was."""
        result, began, mark = Result(placed), time.monotonic(), self.trace.mark()
        given = placed.story.given
        try:
            async with (
                asyncio.timeout(STORY_S),
                cast(self._instance, given, self._trunk, self._sites, self._first_tone) as parties,
            ):
                try:
                    await self._steps(parties, placed, result)
                except CannotPlay as why:
                    result.missed.append(Missed("这一步能做 the step can be done", str(why)))
                if result.missed:
                    await _explain(parties, result)
                await self._end(parties, result)
        except TimeoutError:
            result.missed.append(Missed(f"{STORY_S:g} s 内结束 over in time", "没有结束 it was not"))
        except (StreamAway, AsteriskSilent, OSError) as why:
            result.missed.append(Missed("一套系统在运行 the installation runs", f"{type(why).__name__}: {why}"))
        result.contexts = passed(self.trace.since(mark))
        result.seconds = time.monotonic() - began
        return result

    async def _steps(self, parties: Cast, placed: Placed, result: Result) -> None:
        await acting.set_up(parties, placed.story, self._instance.directory)
        async with asyncio.TaskGroup() as group:
            pressing = group.create_task(parties.presses())
            try:
                for number, step in enumerate(placed.story.steps, 1):
                    result.step = number
                    facts: Sequence[Fact] = ()
                    if any(act.api for act in step.when):
                        facts = await _settled(parties)
                    scene = Scene(parties, self.trace, time.monotonic(), self.trace.mark(), _counts(parties))
                    for act in step.when:
                        await acting.act(parties, act, facts)
                    result.missed += await watch(scene, step.then)
                    if result.missed:
                        result.heard = [heard(scene, who) for who in _talkers(parties)]
                        return
                result.step = 0
            except CannotPlay as why:
                result.missed.append(Missed("这一步能做 the step can be done", str(why)))
            finally:
                pressing.cancel()

    async def _end(self, parties: Cast, result: Result) -> None:
        on = parties.on
        for phone in (*on.callers, *on.seats.values(), parties.town, *parties.neighbours.values()):
            for call in phone.calls:
                call.hangup()
        try:
            left = await acting.reset(on, self._before, parties.given)
        except CannotPlay as why:
            left = [str(why)]
        if left:
            result.missed.append(Missed("无残留 nothing left over", "; ".join(left)[:500]))


def _counts(parties: Cast) -> dict[str, int]:
    return {who: len(parties.calls(who)) for who in _all(parties)}


def _all(parties: Cast) -> list[str]:
    given = parties.given
    here = [number for number in given.seats if number in parties.on.seats]
    return ["caller", *given.callers, *here, *given.outside, *given.borrowed]


def _talkers(parties: Cast) -> list[str]:
    return [who for who in _all(parties) if parties.call(who) is not None]


async def _settled(parties: Cast) -> Sequence[Fact]:
    """The facts so far, once what phones know is on record too: an API call may name a transfer just begun."""
    await asyncio.sleep(0.3)
    return await parties.on.facts()


async def _explain(parties: Cast, result: Result) -> None:
    """The ladder of every call of the story."""
    with contextlib.suppress(StreamAway):
        facts = await parties.on.facts()
        refs = [f.ref for f in facts if f.kind == "CallArrived"]
        result.ladder = "\n".join(ladder([f for f in facts if f.ref == ref]) for ref in refs)


def story_config(folders: Sequence[Path]) -> Path | None:
    """The configuration that stories bring with them: a folder `config` beside them."""
    return next((f / "config" for f in folders if (f / "config" / "site.yaml").exists()), None)


__all__ = ["Played", "Result", "Troupe", "play", "story_config"]
