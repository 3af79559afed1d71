"""extensions.conf as Asterisk's pbx_config reads it. Knows: its lines. Must not know: what an application does.

Faults of the writing itself (a line that is none, a priority twice, `same` with nothing before it) are found here, for
nothing else can be said of such a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cti.dialplan.finding import Finding
from cti.dialplan.model import Call, Context, Extension, Line, Plan, Step
from cti.dialplan.text import BadText, balanced, exprs, parse, refs, split

SECTION = re.compile(r"\[([^\]]*)\](?:\(([^)]*)\))?\s*\Z")
SETTING = re.compile(r"([^=]*?)\s*=>?\s*(.*)\Z", re.DOTALL)
STEP = re.compile(r"\s*([A-Za-z0-9]+)((?:\+\d+)?)(?:\(([^)]*)\))?\s*\Z")
CALL = re.compile(r"\s*([^\s(,]+)\s*\((.*)\)\s*\Z", re.DOTALL)
WRAPPERS = {"ExecIf", "TryExec", "Exec", "ExecIfTime"}
GENERAL = ("general",)
RESERVED = ("general", "globals")


def read(lines: Iterable[Line]) -> tuple[Plan, list[Finding]]:
    """The plan and what could not be read of it."""
    return (reader := _Reader()).read(lines), reader.found


def bare(text: str) -> str:
    """A line without its comment (`;`, unless escaped) and outer blanks."""
    i = 0
    while i < len(text):
        if text[i] == ";" and (i == 0 or text[i - 1] != "\\"):
            text = text[:i]
            break
        i += 1
    return text.strip()


class _Reader:
    def __init__(self) -> None:
        self.plan, self.found = Plan(), list[Finding]()
        self.context: Context | None = None
        self.section = ""
        self.exten: Extension | None = None
        self.priority = 0

    def fault(self, line: Line, code: str, message: str, hint: str = "") -> None:
        self.found.append(Finding(line.file, line.number, code, message, hint))

    def read(self, lines: Iterable[Line]) -> Plan:
        inside = False
        for line in lines:
            text = line.text.strip()
            if inside or (text.startswith(";--") and not text.startswith(";---")):
                inside = "--;" not in text
                continue
            if text := bare(line.text):
                self._line(line, text)
        return self.plan

    def _line(self, line: Line, text: str) -> None:
        if text.startswith("["):
            self._section(line, text)
            return
        match = SETTING.match(text)
        if match is None or not match[1]:
            self.fault(
                line,
                "syntax",
                f"不是一行拨号方案 / no line of a dialplan: {text[:40]}",
                "exten => …, same => …, include => …, [context]",
            )
            return
        key, value = match[1].strip(), match[2]
        if self.section == "globals":
            self.plan.globals[key] = (value.strip(), line)
        elif self.section == "general":
            return
        elif self.context is None:
            self.fault(line, "syntax", "不在任何 context 之内 / outside of any context", "[name]")
        elif key == "exten":
            self._exten(line, value)
        elif key == "same":
            self._same(line, value)
        elif key == "include":
            self.context.includes.append((split(value)[0].strip(), line))
        elif key not in ("switch", "eswitch", "ignorepat", "autohints"):
            self.fault(line, "syntax", f"不认识 / unknown: {key} =>", "exten | same | include | switch | ignorepat")

    def _section(self, line: Line, text: str) -> None:
        match = SECTION.match(text)
        if match is None or not match[1]:
            self.fault(line, "syntax", f"节名没有闭合 / a section's name that is not closed: {text[:40]}", "[name]")
            return
        name, how = match[1], match[2] or ""
        self.section, self.exten, self.priority = name, None, 0
        if name in RESERVED:
            self.context = None
            return
        known = self.plan.contexts.get(name)
        if known and "+" not in how:
            self.fault(
                line,
                "context-twice",
                f"[{name}] 已写在 {known.line.file}:{known.line.number} / is written there already",
                f"[{name}](+)，或另取一名 / or another name",
            )
        if known is None and "+" in how:
            self.fault(
                line, "context-unknown", f"[{name}](+) 之前没有 [{name}] / adds to a context that is not there yet"
            )
        self.context = known or self.plan.contexts.setdefault(name, Context(name, line))
        self.context.sections.append(line)

    def _exten(self, line: Line, value: str) -> None:
        parts = split(value, most=2, quotes=False)
        if len(parts) < 3:
            self.fault(
                line,
                "syntax",
                "exten 须有号码、优先级、应用 / wants a number, a priority, an application",
                "exten => s,1,Answer()",
            )
            self.exten = None
            return
        assert self.context is not None
        name = parts[0].strip()
        if name.startswith("_") and name.count("[") != name.count("]"):
            self.fault(line, "brackets", f"号码样式的方括号不成对 / a pattern whose brackets do not match: {name}")
        if parts[1].strip() == "hint":
            self.context.extensions.setdefault(name, Extension(name, line, hint=True, device=parts[2].strip()))
            return
        if self.exten is None or self.exten.name != name or self.context.extensions.get(name) is not self.exten:
            found = self.context.extensions.get(name)
            if found is None or found.hint:
                found = self.context.extensions[name] = Extension(name, line)
                self.priority = 0
            elif parts[1].strip().startswith("n"):
                self.priority = max((s.priority for s in found.steps), default=0)
            self.exten = found
        self._step(line, parts[1], parts[2])

    def _same(self, line: Line, value: str) -> None:
        if self.exten is None:
            self.fault(line, "syntax", "same 之前没有 exten / nothing before it to be the same as", "exten => s,1,…")
            return
        parts = split(value, most=1, quotes=False)
        if len(parts) < 2:
            self.fault(
                line, "syntax", "same 须有优先级与应用 / wants a priority and an application", "same => n,Hangup()"
            )
            return
        self._step(line, parts[0], parts[1])

    def _step(self, line: Line, where: str, what: str) -> None:
        assert self.context is not None and self.exten is not None
        match = STEP.match(where)
        if match is None or not (match[1].isdecimal() or match[1] in ("n", "s")):
            self.fault(line, "priority", f"不是优先级 / no priority: {where.strip()}", "1, n, n(label)")
            return
        ahead = int(match[2] or 0)
        if match[1].isdecimal():
            self.priority = int(match[1])
        elif match[1] == "n":
            if not self.exten.steps:
                self.fault(
                    line,
                    "priority",
                    "第一步须写 1 / the first step must be 1, not n",
                    f"exten => {self.exten.name},1,…",
                )
            self.priority += 1
        self.priority += ahead
        if (twin := self.exten.at(str(self.priority))) is not None:
            self.fault(
                line,
                "priority-twice",
                f"{self.exten.name},{self.priority} 已写在 {_place(twin.line)} / is written there already",
                "用 n；Asterisk 不要后写的一步 / use n: Asterisk drops the later one",
            )
            self.fault(
                twin.line,
                "priority-twice",
                f"{self.exten.name},{self.priority} 又写在 {_place(line)} / is written once more there",
                "用 n；Asterisk 不要后写的一步 / use n: Asterisk drops the later one",
            )
        label = match[3] or ""
        if label and (twin := self.exten.at(label)) is not None:
            self.fault(
                line,
                "label-twice",
                f"标号 {label} 已写在 {_place(twin.line)} / a label written there already",
                "另取一名 / another name",
            )
            self.fault(
                twin.line,
                "label-twice",
                f"标号 {label} 又写在 {_place(line)} / is written once more there",
                "另取一名 / another name",
            )
        elif self.priority > 1 and self.exten.at(str(self.priority - 1)) is None and match[1] != "n":
            self.fault(
                line,
                "priority",
                f"{self.exten.name},{self.priority - 1} 没有写，走不到这一步 / is missing: this step is never come to",
                "n",
            )
        call = self._call(line, what)
        step = Step(self.context.name, self.exten.name, self.priority, label, call.app, call.args, line)
        step.calls = nested(call)
        self.exten.steps.append(step)

    def _call(self, line: Line, what: str) -> Call:
        """The application and its arguments; a fault leaves what can be read."""
        try:
            nodes = parse(what)
            for _ in (*refs(nodes), *exprs(nodes)):  # what is nested in arguments as well
                pass
        except BadText as why:
            self.fault(line, "brackets", str(why))
        else:
            if not balanced(what):
                self.fault(line, "brackets", f"圆括号不成对 / round brackets that do not match: {what.strip()[-40:]}")
        match = CALL.match(what)
        if match is None:
            name = re.match(r"\s*([A-Za-z0-9_]*)", what)
            if ("(" in what and balanced(what)) or "(" not in what:
                self.fault(
                    line, "syntax", f"应用须写成 Name(…) / an application is written Name(…): {what.strip()[:40]}"
                )
            return Call(name[1] if name else "", what.partition("(")[2].strip().removesuffix(")"))
        return Call(match[1], match[2])


def nested(call: Call) -> tuple[Call, ...]:
    """The call, and those it carries out (ExecIf, TryExec), outermost first."""
    out = [call]
    if call.app in WRAPPERS:
        body = call.args
        if call.app.startswith("ExecIf"):
            _, _, body = _question(call.args)
        for text in split(body, ":", quotes=False) if call.app.startswith("ExecIf") else [body]:
            if match := CALL.match(text):
                out += [Call(c.app, c.args, False) for c in nested(Call(match[1], match[2], False))]
    return tuple(out)


def _question(text: str) -> tuple[str, str, str]:
    parts = split(text, "?", most=1, quotes=False)
    return parts[0], "?" if len(parts) > 1 else "", parts[1] if len(parts) > 1 else ""


def branches(args: str) -> tuple[str, str, str] | None:
    """`condition?if true:if false` of GotoIf and its like; None without a `?`."""
    condition, mark, rest = _question(args)
    if not mark:
        return None
    yes, no = (*split(rest, ":", most=1, quotes=False), "")[:2]
    return condition, yes, no


def _place(line: Line) -> str:
    return f"{line.file}:{line.number}"
