"""GB/T 2260 division codes: which are in force today, what they are called, what each lies in.

Knows: the table python-stdnum carries. Must not know: anything else of this project.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from stdnum import numdb

ANY: Final = "*"
"""Matches every division."""

_ENTRY: Final = re.compile(r"(?:\[(?P<since>\d*)-(?P<until>\d*)\])?(?P<name>[^,\[]+)")


@lru_cache(maxsize=4096)
def history(code: str) -> tuple[tuple[str, int | None], ...]:
    """Every (name, year abolished or `None`) a six-digit code has had; empty for one never given out."""
    if not re.fullmatch(r"[0-9]{6}", code):
        return ()
    parts = numdb.get("cn/loc").info(code)
    text = parts[-1][1].get("county", "") if "".join(p for p, _ in parts) == code else ""
    return tuple((m["name"], int(m["until"]) if m["until"] else None) for m in _ENTRY.finditer(text))


def name(code: str) -> str | None:
    """The name in force, e.g. 五华区 for 530102; `None` when the code is not in force.

    An entry with an end year is over: the table records what has happened, not what is planned.
    """
    return next((label for label, until in history(code) if until is None), None)


def lineage(code: str | None) -> tuple[str, ...]:
    """From most to least specific: county, its prefecture, any. `530102` → `("530102", "530100", "*")`."""
    if code is None or not re.fullmatch(r"[0-9]{6}", code):
        return (ANY,)
    return tuple(dict.fromkeys((code, code[:4] + "00", ANY)))
