"""What is wrong with a configuration, in words an operator can act on.

Knows: how a problem is said. Must not know: who found it, or in what kind of file.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import Literal

Way = tuple[str | int, ...]
"""Way from a document's root to a value: mapping keys and list indexes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration, as a compiler would say it.

    `line` and `column` count from 1 (0: the whole file, or no file). `where` is the dotted way to the value
    (`seats[3].number`). `message` and `cure` are Chinese first, English beside it. Values of secrets and of
    citizens' numbers never stand in a message.
    """

    file: str
    line: int
    where: str
    message: str
    cure: str = ""
    column: int = 0
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """`config/seats.yaml:12:5: 错误 seats[3].number: message`, the cure on an indented second line."""
        place = self.file + (f":{self.line}:{max(self.column, 1)}" if self.line else "")
        word = "错误/error" if self.level == "error" else "警告/warning"
        subject = f"{self.where}: " if self.where else ""
        return f"{place}: {word} {subject}{self.message}" + (f"\n    → {self.cure}" if self.cure else "")

    def as_dict(self) -> dict[str, str | int]:
        """Plain values, for JSON."""
        return asdict(self)


class ConfigError(Exception):
    """A configuration that must not be used. `problems` holds at least one of level `error`."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


def dotted(path: Way) -> str:
    """`("seats", 3, "number")` → `seats[3].number`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def did_you_mean(word: object, known: list[str]) -> str:
    """The known word nearest to `word`, or an empty string."""
    return next(iter(difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)), "")
