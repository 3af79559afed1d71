"""The log-in script: a seat's phone asks whether an agent's PIN is right.

Knows: the names of the question's and the answer's fields. Must not know: agents, how a PIN is kept. The PIN is read
from a channel variable (ASKPIN), not from the request, which a log may hold; nothing here repeats it.

``AGI(agi://…/login?ref=…&seat=…&agent=…)`` is answered by LOGIN_SAID (``ok``, or a code of
`cti.core.seat_desk.SEAT_CODES`) and, last of all, LOGIN_TOKEN = ref: only with it is the answer believed.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import greenback

from ivr.agi import Agi, AgiFailure, AgiFault
from ivr.server import AgiRequest, Script

_REF = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_DIGITS = re.compile(r"[0-9]{1,8}\Z")

Check = Callable[[str, str, str], Awaitable[str]]
"""seat, agent, PIN → ``ok`` or why not"""


def make_login(check: Check) -> Script:
    """The script over ``check``. Raises AgiFailure(REFUSED) for a question without a usable ref or seat."""

    def login(agi: Agi, request: AgiRequest) -> None:
        ref, seat = request.query.get("ref", ""), request.query.get("seat", "")
        agent = request.query.get("agent", "")
        if not _REF.match(ref) or not _DIGITS.match(seat):
            raise AgiFailure("ref or seat is missing", AgiFault.REFUSED)
        pin = agi.get_variable("ASKPIN") or ""
        said = greenback.await_(check(seat, agent if _DIGITS.match(agent) else "", pin))
        agi.set_variable("LOGIN_SAID", said)
        agi.set_variable("LOGIN_TOKEN", ref)

    return login
