"""A dialplan with all that can be asked of it, as the rules are given it. Knows: how to put the parts together. Must
not know: any
rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cti.dialplan import flow, known
from cti.dialplan.configs import Section, Site, sections
from cti.dialplan.finding import Finding
from cti.dialplan.model import Call, Context, Extension, Line, Step
from cti.dialplan.parse import nested, read
from cti.dialplan.refs import Lead, leads
from cti.dialplan.source import Sources
from cti.dialplan.values import Shape, Values

FEATURE = re.compile(r"[^,]*,[^,]*,\s*([A-Za-z]+)\((.*)\)\s*\Z")
CONTEXT = re.compile(r"^ *(?:subscribe_)?context *= *([\w-]+)", re.MULTILINE)
GOES = re.compile(r"\b(?:Goto|Gosub)\(([\w-]+),([\w-]+),")
HERE = re.compile(r"\$\{PRIORITY\}|\$\[\$\{PRIORITY\} *([+-] *\d+)\]")
STARTUP = re.compile(r"Local/([\w-]+)@([\w-]+)")


@dataclass(frozen=True, slots=True)
class Comes:
    """What a lead leads to: steps, and each name on the way that is not there (code, name, where it stands, known
    ones)."""

    steps: tuple[Step, ...]
    extensions: tuple[Extension, ...]
    missing: tuple[tuple[str, str, Line, tuple[str, ...]], ...]
    exact: bool
    """the context is known by name, not one of several"""


class Subject:
    """The plan, its files, its site, and what was worked out once for all rules."""

    def __init__(self, sources: Sources, prompts: frozenset[str], sounds: str) -> None:
        lines, faults = sources.plan()
        self.sources, self.prompts, self.sounds = sources, prompts, sounds
        self.plan, unread = read(lines)
        self.unreadable: list[Finding] = [*sources.faults, *faults, *unread]
        self.applications, self.functions = known.names()
        self.site = Site(
            *(sections(sources.lines.get(f"{n}.conf", ())) for n in ("pjsip", "queues", "features", "musiconhold"))
        )
        self.keys = list(_feature_steps(self.site.features))
        self.values = Values.collect(self.plan, {"UNKNOWN": "*"}, self.keys)
        constants = {n: t for n, (t, _) in self.plan.globals.items() if "$" not in t}
        self.constants = Values(self.plan, constants | {"UNKNOWN": "*"})
        self.steps = self.plan.steps()
        self.leads = [lead for step in (*self.steps, *self.keys) for lead in leads(step)]
        self._comes = {lead: self._follow(lead) for lead in self.leads}
        self.flow = flow.build(self.plan, self.leads, lambda lead: list(self._comes[lead].steps))
        self.entered = self._entered()
        self.elsewhere = known.KEYS | {pair for text in sources.templates.values() for pair in GOES.findall(text)}
        """(context, extension) some site's templates lead to, though perhaps not this one's"""

    def comes(self, lead: Lead) -> Comes:
        """Where it leads."""
        return self._comes[lead]

    def finding(self, at: Step | Line, code: str, message: str, hint: str = "") -> Finding:
        """A fault at a step or line."""
        line = at.line if isinstance(at, Step) else at
        return Finding(line.file, line.number, code, message, hint)

    def contexts_like(self, shape: str) -> list[Context]:
        """The contexts a name, perhaps with unknown parts, can be."""
        if "*" not in shape:
            return [self.plan.contexts[shape]] if shape in self.plan.contexts else []
        if shape in known.HOPS:
            return [self.plan.contexts[n] for n in known.HOPS[shape] if n in self.plan.contexts]
        pattern = re.compile(re.escape(shape).replace(r"\*", ".+"))
        return [c for n, c in self.plan.contexts.items() if pattern.fullmatch(n)]

    def _shapes(self, text: str, step: Step) -> list[Shape]:
        return [s for s in self.values.shapes(text, step) if s.text and s.text != "*"] if text else []

    def _follow(self, lead: Lead) -> Comes:
        here = lead.step
        missing: list[tuple[str, str, Line, tuple[str, ...]]] = []
        contexts: list[Context] = []
        exact = True
        for shape in self._shapes(lead.context, here):
            found = self.contexts_like(shape.text)
            contexts += found
            exact &= "*" not in shape.text
            absent = [n for n in known.HOPS.get(shape.text, ()) if n not in self.plan.contexts]
            missing += [("context-unknown", n, here.line, tuple(self.plan.contexts)) for n in absent if found]
            if not found:
                missing.append(("context-unknown", shape.text, shape.line or here.line, tuple(self.plan.contexts)))
        if not lead.context and here.context in self.plan.contexts:
            contexts = [self.plan.contexts[here.context]]
        extensions: list[Extension] = []
        for context in dict.fromkeys(c.name for c in contexts):
            extensions += self._extensions(context, lead, missing if exact else [])
        steps: list[Step] = []
        if match := HERE.fullmatch(lead.priority):  # counted from this step
            wanted = str(here.priority + int((match[1] or "0").replace(" ", "")))
            steps = [s for e in extensions if (s := e.at(wanted))]
            if not steps:
                missing.append(("priority-unknown", wanted, here.line, ()))
            return Comes(tuple(steps), tuple(extensions), tuple(missing), exact)
        for shape in self._shapes(lead.priority, here) if extensions else ():
            found_ = [s for e in extensions if "*" not in shape.text and (s := e.at(shape.text))]
            steps += found_
            if not found_ and "*" not in shape.text:
                code = "priority-unknown" if shape.text.isdecimal() else "label-unknown"
                labels = tuple(s.label for e in extensions for s in e.steps if s.label)
                missing.append((code, shape.text, shape.line or here.line, labels))
        return Comes(tuple(steps), tuple(extensions), tuple(missing), exact)

    def _extensions(
        self, context: str, lead: Lead, missing: list[tuple[str, str, Line, tuple[str, ...]]]
    ) -> list[Extension]:
        here = lead.step
        if not lead.exten:
            found = self.plan.contexts[context].extensions.get(here.exten)
            return [found] if found else []
        out: list[Extension] = []
        shapes = self.values.shapes(lead.exten, here)
        for shape in shapes:
            if not shape.text:
                continue
            fits = self.plan.find(context, shape.text)
            out += fits
            if not fits:
                reach = tuple(e for c in self.plan.reach(context) for e in c.extensions)
                missing.append(("exten-unknown", f"{shape.text} @ {context}", shape.line or here.line, reach))
        return list({id(e): e for e in out}.values())

    def _entered(self) -> dict[str, str]:
        """Contexts that are entered from outside the dialplan, and by whom."""
        out = {name: "service" for name in known.SERVICE_ENTERS}
        for section in self.site.pjsip:
            for key in ("context", "subscribe_context", "message_context"):
                if value := section.get(key):
                    out[value] = "pjsip.conf"
        for section in self.site.queues:
            if value := section.get("context"):
                out[value] = "queues.conf"
        for name, text in self.sources.templates.items():
            out |= dict.fromkeys(CONTEXT.findall(text), name)
        for line in self.sources.lines.get("cli.conf", ()):
            for match in STARTUP.finditer(line.text):
                out[match[2]] = "cli.conf"
        return out


def _feature_steps(parts: list[Section]) -> Iterator[Step]:
    """What each key of features.conf does, as a step of no context."""
    for section in parts:
        for _, value, line in section.settings if section.name == "applicationmap" else ():
            if match := FEATURE.match(value):
                step = Step("", "", 0, "", match[1], match[2], line)
                step.calls = nested(Call(match[1], match[2]))
                yield step


Rule = Callable[[Subject], Iterator[Finding]]
