"""The way a call takes: really dialled on a throwaway installation, told from Asterisk's own log.

Knows: steps of the log, what in them matters to a reader. Must not know: the command line.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cti.dialplan.stories.load import Placed
from cti.dialplan.stories.model import Act, Given, Step, Story
from cti.dialplan.stories.playing import Troupe
from cti.dialplan.stories.tracing import Playing
from cti.dialplan.stories.tracing import Step as Taken
from cti.directory import Directory
from cti.stack.root import RuntimeRoot

TELLING: Final = frozenset({
    "AGI", "Answer", "Background", "Bridge", "BridgeAdd", "BridgeWait", "ChannelRedirect", "ChanSpy", "Dial", "Hangup",
    "MixMonitor", "Originate", "Playback", "Queue", "Read", "Wait", "WaitExten", "CELGenUserEvent", "Goto",
})  # fmt: skip
"""applications that say where a call is; the others set and compare"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A channel went through a context: when (s after the call), which priorities, what it did there."""

    at: float
    channel: str
    context: str
    exten: str
    first: int
    last: int
    does: tuple[str, ...]


async def walk(root: RuntimeRoot, directory: Directory, config: Path, dialplan: Path, site: str, number: str, *,
               at: str | None, caller: str, seats: Mapping[str, str], keys: Sequence[str], seconds: float,
               service: bool) -> list[Stretch]:  # fmt: skip
    """Dial it, press ``keys`` one after another, look for so long. Raises as `Instance` does; CannotPlay."""
    given = Given(at=at, caller=caller, seats=dict(seats), service="running" if service else "stopped")
    acts = [Act(dial=number), *(Act(press=key, after=1.0) for key in keys), Act(wait=seconds)]
    story = Story(story=f"trace {number}", given=given, steps=[Step(when=acts)])
    with tempfile.TemporaryDirectory(prefix="hotline-cti-") as state:
        async with Troupe(root, Path(state), directory, config, dialplan, site, 0) as troupe:
            mark = troupe.trace.mark()
            result = await troupe.play(Placed(story, Path("trace"), 0, (0,)))
            await asyncio.sleep(0.2)
            if result.missed and result.step:
                raise ValueError(result.missed[0].got)
            return stretches(troupe.trace.since(mark))


def stretches(entries: Sequence[Taken | Playing]) -> list[Stretch]:
    """Neighbouring steps of a channel in one extension, as one."""
    made: list[Stretch] = []
    open_: dict[str, int] = {}
    begin: dt.datetime | None = None
    for entry in entries:
        if isinstance(entry, Playing):
            n = open_.get(entry.channel)
            if n is not None:
                made[n] = _more(made[n], f"♪ {entry.prompt}")
            continue
        when = dt.datetime.strptime(entry.at, "%Y-%m-%d %H:%M:%S.%f")
        begin = begin or when
        n = open_.get(entry.channel)
        does = f"{entry.app}({entry.data[:70]})" if entry.app in TELLING else ""
        if n is not None and (made[n].context, made[n].exten) == (entry.context, entry.exten):
            made[n] = _more(made[n], does, entry.priority)
        else:
            open_[entry.channel] = len(made)
            made.append(Stretch((when - begin).total_seconds(), entry.channel, entry.context, entry.exten,
                                entry.priority, entry.priority, (does,) if does else ()))  # fmt: skip
    return made


def _more(one: Stretch, does: str, priority: int | None = None) -> Stretch:
    return Stretch(one.at, one.channel, one.context, one.exten, one.first, max(one.last, priority or 0),
                   (*one.does, does) if does else one.does)  # fmt: skip


def ladder(found: Sequence[Stretch], caller_channel: str = "PJSIP/pstn-") -> list[str]:
    """Lines for people: the caller at the left, other channels further in, each with what it did."""
    lines = []
    for one in found:
        mine = one.channel.startswith(caller_channel)
        where = f"[{one.context}] {one.exten},{one.first}" + (f"–{one.last}" if one.last > one.first else "")
        indent = "" if mine else "    · "
        who = "" if mine else f"  {one.channel}"
        lines.append(f"{one.at:8.3f}  {indent}{where}{who}")
        lines += [f"{'':8}  {indent}    {does}" for does in one.does]
    return lines
