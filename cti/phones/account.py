"""What any vendor's file is filled with, and how a name is made harmless. Pure.

Knows: which characters a line of a file, or XML 1.0, cannot hold. Must not know: any format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from cti.phones.keys import Key

_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
"""what would end a line or is no character of XML 1.0 (2.2)"""


@dataclass(frozen=True, slots=True)
class Account:
    """A seat as its phone knows it. ``base``: the device's own folder on the server, its secret in it, or empty."""

    number: str
    name: str
    host: str
    port: int
    keys: tuple[Key, ...]
    password: str = field(repr=False)
    base: str = field(default="", repr=False)
    mac: str = ""
    verify: bool = True
    """it checks the server's certificate"""


def harmless(text: str) -> str:
    """A name in one line: breaks and characters no file may hold become a blank; blanks at the ends go."""
    return _BREAKS.sub(" ", text).strip()


def code(text: str) -> str:
    """A number or key code; ValueError for anything but digits, `*` and `#` (it is dialled as it stands)."""
    if not re.fullmatch(r"[0-9*#]{0,32}", text):
        raise ValueError(f"{text[:20]!r} 不是号码或按键 / is no number and no key code")
    return text


def secret(text: str) -> str:
    """A password; ValueError where a file could not carry it as it is."""
    if not text or text != harmless(text) or len(text) > 64:
        raise ValueError("口令含不能写入的字符 / the password holds what no file can carry")
    return text
