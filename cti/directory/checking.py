"""What a rule of the directory is given, and what it yields. Knows: where values stand. Must not know: any rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from cti.directory.model import Directory
from cti.problem import Problem, Way
from cti.yamlfile import Document


@dataclass(frozen=True, slots=True)
class Site:
    """A directory whose files are sound one by one, where its values stand, and the day it is judged on."""

    directory: Directory
    documents: dict[str, Document]
    today: dt.date

    def error(self, way: Way, message: str, cure: str = "", *, key: bool = False) -> Problem:
        """A fault at `way`; its first step names the file."""
        return self.documents[str(way[0])].problem(way, message, cure, key=key)

    def warning(self, way: Way, message: str, cure: str = "") -> Problem:
        """A fault the site can run with."""
        return self.documents[str(way[0])].problem(way, message, cure, level="warning")


Faults = Iterator[Problem]


def repeated(site: Site, part: str, name: str, values: list[str], *, say: bool = True) -> Faults:
    """Values of a field that must differ in all entries of a part; ``say`` false: the value is not shown."""
    seen: dict[str, int] = {}
    for i, value in enumerate(values):
        if value in seen:
            line = site.documents[part].mark((part, seen[value], name)).line
            shown = f"{value} " if say else ""
            yield site.error(
                (part, i, name),
                f"{shown}重复，第 {line} 行已有 / {shown}duplicate, first on line {line}",
                "删去其一 / remove one of them",
            )
        seen.setdefault(value, i)
