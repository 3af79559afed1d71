"""Names of things. Knows: the shape of our ids. Must not know: clocks, random numbers, Asterisk.

A correlation id (`CallRef`) is the caller's Asterisk uniqueid, which begins with the site's division code because
that is the instance's systemname: ``530100-1732406400.12``. Taken in the dialplan when the caller arrives, carried by
every leg, transfer and record. A `TransferId` is the call's ref and a suffix, so that a second transfer of the same
call never overwrites the first (DOMAIN.md, transfer rule 8).
"""

from __future__ import annotations

import re
from typing import NewType

CallRef = NewType("CallRef", str)
TransferId = NewType("TransferId", str)
SeatNumber = NewType("SeatNumber", str)
Platform = NewType("Platform", str)

REF = re.compile(r"(?P<site>\d{6})-\d{1,12}\.\d{1,12}\Z")


def is_ref(text: str) -> bool:
    """True for a correlation id as the dialplan makes it; anything else is not ours."""
    return REF.match(text) is not None


def channel_of(ref: str) -> str:
    """What AMI calls the caller's channel: its uniqueid, which is the correlation id itself."""
    return ref
