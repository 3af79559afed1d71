"""One fault of a dialplan, as a compiler would say it. Knows: how it is said. Must not know: who found it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """``line`` counts from 1; 0: the whole file. ``message`` and ``hint`` are Chinese first, English beside it."""

    file: str
    line: int
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """`walk.conf:12: 错误/error goto-label: …`, the hint on an indented second line."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: 错误/error {self.code}: {self.message}" + (f"\n    → {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, str | int]:
        """Plain values, for JSON."""
        return asdict(self)
