"""Which step follows which, within one context and across. Knows: what each application does with the order. Must not
know: whether that is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cti.dialplan.model import Extension, Plan, Step
from cti.dialplan.parse import branches
from cti.dialplan.refs import Lead

ENDS = frozenset({"Hangup", "Return", "Goto"})
"""after these nothing follows"""
WAITS = frozenset(
    [
        "Wait",
        "WaitExten",
        "WaitForCondition",
        "WaitForSilence",
        "WaitUntil",
        "WaitMusicOnHold",
        "WaitDigit",
        "Read",
        "ReadExten",
        "Playback",
        "Background",
        "Queue",
        "Dial",
        "Bridge",
        "BridgeAdd",
        "BridgeWait",
        "ConfBridge",
        "Echo",
        "MusicOnHold",
        "ChanSpy",
        "Record",
        "Park",
        "Milliwatt",
        "AGI",
        "SayDigits",
        "SayNumber",
        "SayUnixTime",
        "ControlPlayback",
        "Page",
        "Congestion",
        "Busy",
    ]
)
"""these take time by themselves"""


@dataclass(slots=True)
class Flow:
    """``after``: the steps a step can be followed by, jumps of the same channel as well; ``falls``: steps after
    which there is
    none, though one is needed."""

    after: dict[Step, list[Step]] = field(default_factory=dict)
    falls: list[Step] = field(default_factory=list)


def goes_on(step: Step) -> bool:
    """Can the next priority follow?"""
    if step.app in ENDS:
        return False
    if step.app == "GotoIf":
        found = branches(step.args)
        return found is None or not (found[1].strip() and found[2].strip())
    if step.app in ("Congestion", "Busy"):
        return bool(step.args.strip())
    return True


def build(plan: Plan, leads: Iterable[Lead], targets: Callable[[Lead], list[Step]]) -> Flow:
    """The order of the whole plan. ``targets``: the steps a lead comes to."""
    flow = Flow()
    for context in plan.contexts.values():
        for extension in context.extensions.values():
            _within(extension, flow)
    for lead in leads:
        if lead.kind == "goto":
            flow.after.setdefault(lead.step, []).extend(targets(lead))
    return flow


def _within(extension: Extension, flow: Flow) -> None:
    for step in extension.steps:
        flow.after.setdefault(step, [])
        if goes_on(step):
            following = extension.at(str(step.priority + 1))
            if following is not None:
                flow.after[step].append(following)
            else:
                flow.falls.append(step)


def reachable(starts: Iterable[Step], flow: Flow) -> set[Step]:
    """Every step that can follow one of these, and these themselves."""
    seen: set[Step] = set()
    todo = list(starts)
    while todo:
        step = todo.pop()
        if step not in seen:
            seen.add(step)
            todo += flow.after.get(step, [])
    return seen


def cycles(steps: Iterable[Step], flow: Flow, without: set[Step]) -> list[list[Step]]:
    """Strongly connected sets of more than one step, or of one that follows itself, once ``without`` is taken out
    (Tarjan, with
    its own stack)."""
    wanted = set(steps) - without
    index: dict[Step, int] = {}
    low: dict[Step, int] = {}
    stack: list[Step] = []
    held: set[Step] = set()
    out: list[list[Step]] = []
    for root in [s for s in steps if s in wanted]:
        if root in index:
            continue
        work: list[tuple[Step, list[Step]]] = []

        def enter(step: Step, work: list[tuple[Step, list[Step]]] = work) -> None:
            index[step] = low[step] = len(index)
            stack.append(step)
            held.add(step)
            work.append((step, [s for s in flow.after.get(step, []) if s in wanted]))

        enter(root)
        while work:
            step, rest = work[-1]
            if rest:
                following = rest.pop()
                if following not in index:
                    enter(following)
                elif following in held:
                    low[step] = min(low[step], index[following])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[step])
            if low[step] == index[step]:
                part: list[Step] = []
                while True:
                    part.append(stack.pop())
                    held.discard(part[-1])
                    if part[-1] is step:
                        break
                if len(part) > 1 or step in flow.after.get(step, []):
                    out.append(part)
    return out
