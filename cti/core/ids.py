"""Names of things. Knows: the shape of our ids. Must not know: clocks, random numbers, Asterisk.

A correlation id (`CallRef`) is ``<site>-<uniqueid>``, e.g. ``530100-1732406400.12``: chosen in the dialplan when the
caller arrives, carried by every leg, transfer and record. A `TransferId` is the call's ref and a suffix, so that a second
transfer of the same call never overwrites the first (DOMAIN.md, transfer rule 8).
"""

from __future__ import annotations

import re
from typing import NewType

CallRef = NewType("CallRef", str)
TransferId = NewType("TransferId", str)
SeatNumber = NewType("SeatNumber", str)
Platform = NewType("Platform", str)

REF = re.compile(r"(?P<site>\d{6})-(?P<uniqueid>\d{1,12}\.\d{1,12})\Z")


def is_ref(text: str) -> bool:
    """True for a correlation id as the dialplan makes it; anything else is not ours."""
    return REF.match(text) is not None


def uniqueid_of(ref: str) -> str:
    """The caller's Asterisk channel id within a correlation id ("" when it is none of ours)."""
    found = REF.match(ref)
    return found["uniqueid"] if found else ""
