"""A Dockerfile's lines. Knows: the syntax our file uses. Must not know: what is done for a line."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field

PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?:=(?P<version>\S+))?\Z")


@dataclass(frozen=True, slots=True)
class Step:
    """One line, continued lines joined: `kind` RUN, COPY, ENV, …; `text` as it stands."""

    kind: str
    text: str

    def words(self) -> list[str]:
        """Its arguments: a JSON list, or words as a shell splits them."""
        if self.text.startswith("["):
            told: list[str] = json.loads(self.text)
            return told
        return shlex.split(self.text)


@dataclass(slots=True)
class Stage:
    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def last(self, kind: str) -> Step:
        """The step of that kind that counts. Raises LookupError."""
        return [s for s in self.steps if s.kind == kind][-1]


def parse(text: str) -> dict[str, Stage]:
    """The stages by name. Raises ValueError for a stage without one, or a line before the first."""
    stages: dict[str, Stage] = {}
    joined = re.sub(r"\\\n(?:\s*#.*\n)*", " ", "".join(f"{t}\n" for t in text.splitlines() if not t.startswith("#")))
    current: Stage | None = None
    for line in filter(None, map(str.strip, joined.splitlines())):
        kind, _, rest = line.partition(" ")
        rest = rest.strip()
        if kind == "FROM":
            match = re.fullmatch(r"(\S+) AS (\S+)", rest)
            if match is None:
                raise ValueError(f"a stage needs a name: {line}")
            current = stages[match[2]] = Stage(match[2], match[1])
        elif current is None:
            raise ValueError(f"before the first FROM: {line}")
        else:
            current.steps.append(Step(kind, rest))
    return stages


def pins(stage: Stage) -> dict[str, str]:
    """The packages its `apt-get install` lines name, with the version asked for ("" where none is)."""
    found = {}
    for step in stage.steps:
        for command in re.split(r"&&|;", step.text) if step.kind == "RUN" else ():
            words = command.split()
            if words[:2] == ["apt-get", "install"]:
                matches = [PIN.match(w) for w in words[2:] if not w.startswith("-")]
                found.update({m["name"]: m["version"] or "" for m in matches if m})
    return found
