"""Who asks: signed tokens (itsdangerous, HMAC), each with a role, an agent's also with his seat.

Knows: tokens and roles. Must not know: calls. A token is made by `cti token`; it cannot be read or changed without the
site's key, and ends by itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from itsdangerous import BadData, URLSafeTimedSerializer

from cti.web.problems import Refused

Role = Literal["agent", "supervisor", "coordinator", "read-only"]
ROLES: tuple[Role, ...] = get_args(Role)
DEFAULT_HOURS = 12
MAX_HOURS = 24 * 90


@dataclass(frozen=True, slots=True)
class Who:
    """The holder of a token. ``seat``: an agent's own; empty for the others. ``hours``: how long from its making.
    ``name``: the person, where an act must have one."""

    role: Role
    seat: str = ""
    hours: int = DEFAULT_HOURS
    name: str = ""


class Tokens:
    """Makes and reads tokens of one site. ``key``: secret of at least 16 bytes; None: no token is ever valid."""

    def __init__(self, key: str | None) -> None:
        self._sign = URLSafeTimedSerializer(key, salt="hotline-cti/api/v1") if key else None

    def make(self, who: Who) -> str:
        """A token for the header ``Authorization: Bearer …``. Raises ValueError without a key or for an odd holder."""
        if self._sign is None:
            raise ValueError("http.secret is not set")
        if (who.role == "agent") != bool(who.seat) or not 1 <= who.hours <= MAX_HOURS:
            raise ValueError(f"an agent needs a seat, others have none; 1 to {MAX_HOURS} hours")
        return str(self._sign.dumps(asdict(who)))

    def read(self, header: str) -> Who:
        """The holder, from the Authorization header. Raises `Refused` not-signed-in."""
        scheme, _, token = header.partition(" ")
        if self._sign is None or scheme.lower() != "bearer" or not token or len(token) > 1024:
            raise Refused("not-signed-in")
        try:
            data, made = self._sign.loads(token, return_timestamp=True)
            who = Who(**data)
            age = datetime.now(UTC) - made
        except (BadData, TypeError):
            raise Refused("not-signed-in") from None
        if who.role not in ROLES or not timedelta(0) <= age <= timedelta(hours=who.hours):
            raise Refused("not-signed-in")
        return who


def coordinating(who: Who) -> None:
    """Raises `Refused` wrong-role for all but the coordinator, who moves seats between sites and no caller."""
    if who.role != "coordinator":
        raise Refused("wrong-role")


def acting_seat(who: Who) -> str:
    """The seat this holder acts for; empty: any (a supervisor). Raises `Refused` wrong-role."""
    if who.role == "agent":
        return who.seat
    if who.role == "supervisor":
        return ""
    raise Refused("wrong-role")
