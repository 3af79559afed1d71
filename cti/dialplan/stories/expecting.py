"""What is expected of a step, looked for while it lasts, and said in words when it does not come.

Knows: expectations, what phones hear, what Asterisk and the ledger tell. Must not know: acts, files.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cti.core.facts import Fact
from cti.dialplan.stories.cast import Cast
from cti.dialplan.stories.model import Expect, some
from cti.dialplan.stories.tracing import Playing, Trace, passed
from cti.dialtest.call import Call
from cti.dialtest.hearing import MUSIC

POLL_S: Final = 0.05
STEADY_MS: Final = 60
"""so long one must be heard to be heard"""
LAST_S: Final = 0.6
QUIET_S: Final = 0.4
"""so long a step goes on for what must not come"""


@dataclass(frozen=True, slots=True)
class Missed:
    """An expectation that did not come about: in words, and what was there instead."""

    wanted: str
    got: str


@dataclass(slots=True)
class Scene:
    """What a step is judged by. ``since``: monotonic, when it began; ``mark``: the same place in the trace."""

    cast: Cast
    trace: Trace
    since: float
    mark: int
    rung: dict[str, int]
    """calls each phone had before the step"""


async def watch(scene: Scene, expects: Sequence[Expect]) -> list[Missed]:
    """All at once, each till it comes or its time is over; what did not."""
    pending = [(expect, wanted, there) for expect in expects for wanted, there in _each(scene, expect)]
    missed: list[Missed] = []
    last = [one for one in pending if one[0].verb in ("not_rings", "goes_on")]
    open_ = [one for one in pending if one not in last]
    while open_:
        still = []
        for expect, wanted, there in open_:
            got = await there()
            if got is None:
                continue
            if time.monotonic() > scene.since + expect.within:
                missed.append(Missed(wanted, got))
                continue
            still.append((expect, wanted, there))
        open_ = still
        if open_:
            await asyncio.sleep(POLL_S)
    if last:
        await asyncio.sleep(max(0.0, QUIET_S - (time.monotonic() - scene.since)))
    for _, wanted, there in last:
        if (got := await there()) is not None:
            missed.append(Missed(wanted, got))
    return missed


Look = Callable[[], Awaitable[str | None]]
"""None: it is so; else what is there instead"""


def _each(scene: Scene, expect: Expect) -> Iterator[tuple[str, Look]]:
    """Every single thing expected, in words, and how to look for it."""
    within = f" （{expect.within:g} s 内 within）"
    match expect.verb:
        case "hears":
            for who, names in (expect.hears or {}).items():
                wanted = frozenset(scene.cast.sound(name) for name in some(names))
                yield f"{who} 听见 hears {' + '.join(some(names))}{within}", _hears(scene, who, wanted)
        case "reaches":
            for who in some(expect.reaches):
                yield (f"caller 与 {who} 通话 caller and {who} talk{within}", _talk(scene, "caller", who))
        case "rings":
            for who in some(expect.rings):
                yield f"{who} 振铃 rings{within}", _rings(scene, who)
        case "not_rings":
            for who in some(expect.not_rings):
                yield f"{who} 不振铃 does not ring", _not_rings(scene, who)
        case "told":
            for who, names in (expect.told or {}).items():
                for prompt in some(names):
                    yield f"{who} 听到提示音 is told {prompt}{within}", _told(scene, who, prompt)
        case "ended":
            ended = expect.ended
            causes = ended if isinstance(ended, dict) else dict.fromkeys(some(ended))
            for who, cause in causes.items():
                how = "" if cause is None else f" {cause}"
                yield f"{who} 通话结束 call over{how}{within}", _ended(scene, who, cause)
        case "goes_on":
            for who in some(expect.goes_on):
                yield f"{who} 通话继续 call goes on", _goes_on(scene, who)
        case "ledger":
            facts = expect.ledger if isinstance(expect.ledger, dict) else {kind: {} for kind in some(expect.ledger)}
            for kind, values in facts.items():
                shown = " ".join(f"{name}={value}" for name, value in values.items())
                yield f"账本 ledger {kind} {shown}{within}", _ledger(scene, kind, values)
        case _:
            for context in some(expect.passes):
                yield f"经过 passes [{context}]{within}", _passes(scene, context)


def heard(scene: Scene, who: str) -> str:
    """What a party heard since the step began, in words of the story."""
    call = scene.cast.call(who)
    if call is None:
        return f"{who}：无通话 no call"
    text = str(call.heard(scene.since, time.monotonic()))
    for name in ("caller", "caller2", "caller3", "caller4"):
        text = text.replace(f"C{name[6:] or 1}", name)
    return f"{who} 听到 heard: {text[:400]}"


def _hears(scene: Scene, who: str, wanted: frozenset[str]) -> Look:
    async def look() -> str | None:
        call, now = scene.cast.call(who), time.monotonic()
        if call is None:
            return f"{who} 无通话 has no call"
        found = call.heard(max(scene.since, min(now, call.t_ended or now) - LAST_S), now)
        if any(part.what == wanted and part.ms >= STEADY_MS for part in found.intervals):
            return None
        return heard(scene, who)

    return look


def _talk(scene: Scene, one: str, two: str) -> Look:
    first = _hears(scene, one, frozenset({scene.cast.sound(two)}))
    second = _hears(scene, two, frozenset({scene.cast.sound(one)}))

    async def look() -> str | None:
        return await first() or await second()

    return look


def _new_calls(scene: Scene, who: str) -> list[Call]:
    return [call for call in scene.cast.calls(who)[scene.rung.get(who, 0) :] if call.direction == "in"]


def _rings(scene: Scene, who: str) -> Look:
    async def look() -> str | None:
        return None if _new_calls(scene, who) else f"{who} 没有来电 was not rung"

    return look


def _not_rings(scene: Scene, who: str) -> Look:
    async def look() -> str | None:
        new = _new_calls(scene, who)
        return f"{who} 振铃了 {len(new)} 次 was rung {len(new)} times" if new else None

    return look


def _told(scene: Scene, who: str, prompt: str) -> Look:
    """Asterisk began to play it, to his own channel or through a helper; and what is no party's voice is in his ear."""
    mine = scene.cast.endpoint(who)

    async def look() -> str | None:
        played = [e for e in scene.trace.since(scene.mark) if isinstance(e, Playing)]
        on = [e for e in played if e.prompt == prompt and e.channel.startswith((mine, "Local/"))]
        call = scene.cast.call(who)
        if on and call is not None and call.heard(scene.since, time.monotonic()).ever(MUSIC):
            return None
        said = "、".join(dict.fromkeys(e.prompt for e in played)) or "无 none"
        return f"播放过 played: {said}；{heard(scene, who)}"

    return look


def _ended(scene: Scene, who: str, cause: int | None) -> Look:
    async def look() -> str | None:
        call = scene.cast.call(who)
        if call is None:
            return f"{who} 无通话 has no call"
        if call.t_ended is None:
            return f"{who} 还在通话 is still in the call（{call.state}）"
        got = call.status if cause is not None and cause >= 300 else call.cause
        if cause is None or got == cause:
            return None
        return f"{who} 的结束原因 ended with {got}（{call.ended_by}，SIP {call.status}）"

    return look


def _goes_on(scene: Scene, who: str) -> Look:
    async def look() -> str | None:
        call = scene.cast.call(who)
        return None if call is not None and call.t_ended is None else f"{who} 已挂机 is gone"

    return look


def _ledger(scene: Scene, kind: str, values: dict[str, str | int | float | bool]) -> Look:
    async def look() -> str | None:
        facts = [f for f in await scene.cast.on.facts() if f.kind == kind]
        if any(_fits(fact, values) for fact in facts):
            return None
        if not facts:
            return f"账本没有 no {kind} on record"
        shown = {name: facts[-1].data.get(name) for name in values}
        return f"账本 {kind}: " + " ".join(f"{name}={value}" for name, value in shown.items())

    return look


def _fits(fact: Fact, values: dict[str, str | int | float | bool]) -> bool:
    return all(_plain(fact.data.get(name)) == _plain(value) for name, value in values.items())


def _plain(value: object) -> str:
    """As the dialplan writes it: 1 and 0 for yes and no, nothing for what is not there."""
    return {"true": "1", "false": "0", "none": ""}.get(str(value).lower(), str(value).lower())


def _passes(scene: Scene, context: str) -> Look:
    async def look() -> str | None:
        contexts = passed(scene.trace.since(scene.mark))
        return None if context in contexts else f"经过 passed: {' → '.join(contexts[-30:])}"

    return look
