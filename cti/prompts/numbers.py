"""How a text with digits is said. Knows: telephone numbers are read digit by digit, 1 as 幺. Must not know: voices."""

from __future__ import annotations

import re
from typing import Final

_READ: Final = dict(zip("0123456789", "零幺二三四五六七八九", strict=True))
_NUMBER: Final = re.compile(r"(?<![0-9.])[0-9]{3,}(?![0-9]*\.[0-9])")
"""three digits or more, no decimal: 110, 12345, a telephone number; `30` minutes stay a quantity"""


def spoken(text: str) -> str:
    """The text as Mandarin is to read it: 110 as 幺幺零, 12345 as 幺二三四五 (the way Chinese telephone numbers are
    said; espeak-ng reads 110 as a quantity)."""
    return _NUMBER.sub(lambda found: "".join(_READ[digit] for digit in found[0]), text)
