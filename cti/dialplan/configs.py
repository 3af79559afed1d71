"""The other files a dialplan leans on: pjsip.conf, queues.conf, features.conf, musiconhold.conf. Knows: their
sections. Must
not know: any rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cti.dialplan.model import Line
from cti.dialplan.parse import bare

SECTION = re.compile(r"\[([^\]]+)\](?:\(([^)]*)\))?")


@dataclass(slots=True)
class Section:
    """One `[name]` with its settings in order; ``kind``: pjsip's `type`, templates' as well."""

    name: str
    line: Line
    base: tuple[str, ...] = ()
    template: bool = False
    settings: list[tuple[str, str, Line]] = field(default_factory=list)
    kind: str = ""

    def get(self, key: str) -> str | None:
        return next((v for k, v, _ in self.settings if k == key), None)


def sections(lines: Iterable[Line]) -> list[Section]:
    """Every section of a file, its templates' settings not repeated."""
    out: list[Section] = []
    for line in lines:
        text = bare(line.text)
        if match := SECTION.match(text):
            marks = [m.strip() for m in (match[2] or "").split(",") if m.strip()]
            out.append(Section(match[1], line, tuple(m for m in marks if m not in ("!", "+")), "!" in marks))
        elif "=" in text and out:
            key, _, value = text.partition("=")
            out[-1].settings.append((key.strip(), value.lstrip(">").strip(), line))
    templates = {s.name: s for s in out if s.template}
    for section in out:
        kinds = [section.get("type"), *(templates[b].get("type") for b in section.base if b in templates)]
        section.kind = next((k for k in kinds if k), "")
    return out


@dataclass(slots=True)
class Site:
    """What the site has, by name."""

    pjsip: list[Section]
    queues: list[Section]
    features: list[Section]
    music: list[Section]

    @property
    def endpoints(self) -> set[str]:
        return {s.name for s in self.pjsip if s.kind == "endpoint" and not s.template}

    @property
    def lines(self) -> set[str]:
        return {s.name for s in self.queues if not s.template and s.name != "general"}

    @property
    def classes(self) -> set[str]:
        return {s.name for s in self.music if s.name != "general"}
