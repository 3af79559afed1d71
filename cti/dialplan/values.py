"""What a text can come to, as far as the dialplan itself tells.

Knows: constants, `IF()`, globals, what is assigned to a variable, what a subroutine is given. A part nobody can know
is `*`.
Must not know: any rule.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cti.dialplan.model import Line, Plan, Step
from cti.dialplan.parse import branches
from cti.dialplan.refs import Lead, leads, options_of, settings
from cti.dialplan.text import BadText, Expr, Ref, parse, split

DEPTH, MOST = 4, 60


@dataclass(frozen=True, slots=True)
class Shape:
    """A text a value can come to; ``line``: where its words stand, when that is another line."""

    text: str
    line: Line | None = None


@dataclass(slots=True)
class Values:
    """What is known of each variable. ``of``: by bare name; ``args``: what a subroutine is given, by (context,
    ARGn)."""

    plan: Plan
    given: Mapping[str, str]
    of: dict[str, list[tuple[str, Step | None, Line]]] = field(default_factory=lambda: defaultdict(list))
    args: dict[tuple[str, str], list[tuple[str, Step]]] = field(default_factory=lambda: defaultdict(list))

    _known: dict[tuple[str, str, int, int], list[Shape]] = field(default_factory=dict)

    @classmethod
    def collect(cls, plan: Plan, given: Mapping[str, str], more: Sequence[Step] = ()) -> Values:
        """Read every assignment and every Gosub of the plan, and of ``more`` (features.conf). ``given``: values
        known."""
        made = cls(plan, given)
        for name, (text, line) in plan.globals.items():
            made.of[name].append((text, None, line))
        for step in (*plan.steps(), *more):
            for name, value in assignments(step):
                made.of[name].append((value, step, step.line))
            for lead in leads(step):
                made._args(lead)
        made._hand_on()
        return made

    def _hand_on(self) -> None:
        """A Goto keeps what the subroutine was given: the context it leads to has it as well."""
        gotos = [(s, lead) for s in self.plan.steps() for lead in leads(s) if lead.kind == "goto" and lead.context]
        for _ in range(DEPTH):
            for step, lead in gotos:
                names = [a for c, a in self.args if c == step.context] if lead.context != step.context else []
                for name in names:
                    entry = (f"${{{name}}}", step)
                    if entry not in self.args[lead.context, name]:
                        self.args[lead.context, name].append(entry)

    def _args(self, lead: Lead) -> None:
        if lead.kind != "gosub" or lead.args is None:
            return
        context = lead.context or lead.step.context
        for n, text in enumerate(lead.args, 1):
            self.args[context, f"ARG{n}"].append((text, lead.step))

    def shapes(self, text: str, step: Step | None, depth: int = DEPTH, line: Line | None = None) -> list[Shape]:
        """Every text it can come to, `*` for what is not known; at most `MOST`."""
        key = (text, step.context if step else "", depth, id(line))
        if (known := self._known.get(key)) is None:
            known = self._known[key] = self._shapes(text, step, depth, line)
        return known

    def _shapes(self, text: str, step: Step | None, depth: int, line: Line | None) -> list[Shape]:
        try:
            nodes = parse(text)
        except BadText:
            return [Shape("*", line)]
        out = [Shape("", line)]
        for node in nodes:
            if isinstance(node, str):
                found = [Shape(node, line)]
            elif isinstance(node, Expr):
                found = [Shape("*", line)]
            else:
                found = self._ref(node, step, depth, line)
            out = [Shape(a.text + b.text, b.line if b.line is not line else a.line) for a in out for b in found][:MOST]
        return list(dict.fromkeys(out))

    def _ref(self, ref: Ref, step: Step | None, depth: int, line: Line | None) -> list[Shape]:
        if ref.name == "IF" and ref.args is not None:
            found = branches(ref.args)
            return [s for t in (found[1:] if found else ()) for s in self.shapes(t, step, depth, line)] or [
                Shape("*", line)
            ]
        if ref.tail or depth == 0 or (ref.args is not None and ref.name not in ("GLOBAL", "LOCAL")):
            return [Shape("*", line)]
        if ref.name in self.given:
            return [Shape(self.given[ref.name], line)]
        name = ref.args or "" if ref.name in ("GLOBAL", "LOCAL") else ref.name
        if re.fullmatch(r"ARG\d", name):
            known = [(t, s, s.line) for t, s in self.args.get((step.context if step else "", name), ())]
            return [s for t, at, where in known for s in self.shapes(t, at, depth - 1, where)] or [Shape("*", line)]
        names = [name] if "*" not in name else [n for n in self.plan.globals if _fits(name, n)]
        known_ = [entry for n in names for entry in self.of.get(n, ())]
        out = [s for t, at, where in known_ for s in self.shapes(t, at, depth - 1, where)]
        return out[:MOST] if out else [Shape("*", line)]


def _fits(shape: str, name: str) -> bool:
    return re.fullmatch(re.escape(shape).replace(r"\*", "[^_]+"), name) is not None


def plain(name: str) -> str:
    """A variable's name without `_`, `__`, GLOBAL(), LOCAL(); empty for any other function."""
    name = name.strip()
    if match := re.fullmatch(r"(?:GLOBAL|LOCAL)\((.*)\)", name, re.DOTALL):
        name = match[1]
    if "(" in re.sub(r"\$\{[^{}]*\}", "", name):
        return ""
    return name.lstrip("_")


def assignments(step: Step) -> Iterator[tuple[str, str]]:
    """Plain variables this step sets: (name, value). Unknown values are `${UNKNOWN}`."""
    for call in step.calls:
        if call.app in ("Set", "MSet"):
            for name, value in settings(call):
                if "$" not in name and (bare := plain(name)):
                    yield bare, value
        elif call.app == "Originate":
            parts = split(call.args)
            for letter, inner in options_of(",".join(parts[6:])):
                for pair in split(inner, "^") if letter == "v" else ():
                    name, _, value = pair.partition("=")
                    if "$" not in name and plain(name):
                        yield plain(name), value
        elif call.app == "Read":
            yield split(call.args)[0].strip(), "${UNKNOWN}"
