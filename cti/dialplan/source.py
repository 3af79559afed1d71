"""The dialplan's files: templates filled in with the site's data, each line with where it was written.

Knows: `dialplan/`'s templates (cti.stack.render), `#include`, comments that excuse a finding. Must not know: what a
line says.

A template's lines carry their number through Jinja2 as a mark that no file can hold, so that a fault in a filled-in
line
is told at the template's own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from cti.dialplan.finding import Finding
from cti.dialplan.model import Line
from cti.directory import Directory
from cti.share import folder as shipped
from cti.stack.render import Told, fill

MARK = re.compile("\x01(\\d+)\x02")
INCLUDE = re.compile(r"\s*#(try)?include\s+[\"<]?([^\">;\s]+)[\">]?")
EXCUSE = re.compile(r";\s*check:\s*([a-z-]+(?:\s*,\s*[a-z-]+)*)\s*(.*)")


@dataclass(frozen=True, slots=True)
class Sources:
    """Every configuration file, filled in. ``lines`` by the filled-in file's name (`local.d/x.conf` too)."""

    lines: Mapping[str, tuple[Line, ...]]
    faults: tuple[Finding, ...]
    templates: Mapping[str, str]
    """the templates as they were written: what a site may have, though this one has not"""

    def written(self, made: str, number: int) -> tuple[str, int]:
        """Where line ``number`` of a filled-in file was written."""
        lines = self.lines.get(made, ())
        if 0 < number <= len(lines):
            return lines[number - 1].file, lines[number - 1].number
        return made, number

    def plan(self) -> tuple[list[Line], list[Finding]]:
        """extensions.conf with what it includes in its place, and includes that lead nowhere."""
        out: list[Line] = []
        faults: list[Finding] = []
        self._include("extensions.conf", out, faults, set())
        return out, faults

    def _include(self, name: str, out: list[Line], faults: list[Finding], seen: set[str]) -> None:
        seen.add(name)
        for line in self.lines.get(name, ()):
            if (match := INCLUDE.match(line.text)) is None:
                out.append(line)
                continue
            wanted = match[2]
            if "*" in wanted:
                found = [n for n in sorted(self.lines) if n.startswith(wanted.rpartition("/")[0] + "/")]
            else:
                found = [wanted] if wanted in self.lines else []
            if not found and not match[1]:
                faults.append(
                    Finding(
                        line.file,
                        line.number,
                        "include-missing",
                        f"没有这个文件 / there is no file {wanted}",
                        "写进 dialplan/，或 #tryinclude / put it into dialplan/, or #tryinclude",
                    )
                )
            for one in found:
                if one not in seen:
                    self._include(one, out, faults, seen)

    def excused(self) -> set[tuple[str, int, str]]:
        """(file, line, code) a comment takes the fault off: `; check: code reason` on the line, or alone above it.
        ``*``
        is no code: each is named."""
        out: set[tuple[str, int, str]] = set()
        for lines in self.lines.values():
            waiting: list[str] = []
            for line in lines:
                alone = line.text.lstrip().startswith(";")
                match = EXCUSE.search(line.text)
                codes = [c.strip() for c in match[1].split(",")] if match and match[2].strip() else []
                if alone or not line.text.strip():
                    waiting += codes
                    continue
                out |= {(line.file, line.number, code) for code in (*waiting, *codes)}
                waiting = []
        return out


def load(folder: Path, directory: Directory, told: Told, key: bytes) -> Sources:
    """The files of ``folder`` (templates, or files filled in already) and of its `local.d/`. What cannot be filled
    in is a
    fault of its template. Raises OSError, UnicodeDecodeError."""
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.conf*"))
        if path.name.endswith((".conf", ".conf.j2"))
    }
    faults: list[Finding] = []
    made: dict[str, str] = {}
    for name, text in texts.items():
        try:
            made |= fill({name: marked(text) if name.endswith(".j2") else text}, directory, told, key)
        except jinja2.TemplateError as why:
            number = getattr(why, "lineno", None) or _jinja_line(why)
            faults.append(
                Finding(
                    name,
                    number,
                    "template",
                    f"模板填不成 / the template cannot be filled in: {why}",
                    "变量见 cti/stack/render.py / its variables: cti/stack/render.py",
                )
            )
    lines = {name: tuple(_lines(name, name if name in texts else f"{name}.j2", text)) for name, text in made.items()}
    for path in sorted(folder.glob("local.d/*.conf")):
        name = f"local.d/{path.name}"
        lines[name] = tuple(_lines(name, name, path.read_text(encoding="utf-8")))
    # The shipped ones as well: a folder that is filled in already shows what its own site has, not what a site may
    # have.
    shown = {p.name: p.read_text(encoding="utf-8") for p in shipped("dialplan").glob("*.j2")}
    return Sources(lines, tuple(faults), shown | {n: t for n, t in texts.items() if n.endswith(".j2")})


def plain(texts: Mapping[str, str]) -> Sources:
    """Files that are filled in already, by name."""
    return Sources({name: tuple(_lines(name, name, text)) for name, text in texts.items()}, (), {})


def marked(text: str) -> str:
    """Every line that is not a block alone, with its number."""
    return "".join(
        line if line.lstrip().startswith(("{%", "{#")) else f"\x01{n}\x02{line}"
        for n, line in enumerate(text.splitlines(keepends=True), 1)
    )


def _lines(made: str, source: str, text: str) -> Iterator[Line]:
    number = 0
    for at, raw in enumerate(text.splitlines(), 1):
        found = MARK.search(raw)
        number = int(found[1]) if found else at if source == made else number
        yield Line(source, number, MARK.sub("", raw), made, at)


def _jinja_line(why: BaseException) -> int:
    """An undefined name has no line of its own: the template's frame has."""
    trace, line = why.__traceback__, 0
    while trace:
        if trace.tb_frame.f_code.co_filename in ("<template>",):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
