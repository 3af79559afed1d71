"""What sites say to one another, over Redis streams.

    cti:{532900}:letters       stream, what others tell this site; the newest thousand
    cti:{532900}:fences        hash, seat → the last fencing number given out (HINCRBY); never deleted
    cti:{532900}:lease:1001    hash, the owner's record of the seat's newest lease; lives as long as the lease and a day
    cti:{532900}:view          what the site says of itself for the automatic rule; lives 15 s

Knows: these keys and a letter's form. Must not know: rules. A letter may be lost, late or told twice (`leasebook`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from redis.exceptions import RedisError

from cti.core import lease_model as e
from cti.core.lease_model import Lease, LeaseEvent
from cti.ledger.connect import connect

KINDS: Final[Mapping[str, type[LeaseEvent]]] = {
    kind.__name__: kind
    for kind in (e.SeatAsked, e.SeatTaken, e.SeatGivenBack, e.SeatGranted, e.SeatDenied, e.SeatRecalled)
}
MOST: Final = 1000
WAIT_MS: Final = 1000
DAY_S: Final = 86_400
VIEW_S: Final = 15


class LettersAway(OSError):
    """Redis did not do it in time."""


@dataclass(frozen=True, slots=True)
class Letter:
    """``event``: its ``at`` is the teller's; the hearer stamps his own. ``minutes``: how long, of an ask. ``phone``,
    ``platform``: the lent seat's device state and platform, of a grant. ``open_it``: asks the hearer to be the
    borrower (a coordinator's word)."""

    sender: str
    event: LeaseEvent
    minutes: int = 0
    phone: str = ""
    platform: str = ""
    why: str = ""
    open_it: bool = False

    def stamped(self, now: int) -> LeaseEvent:
        """The event by the hearer's clock."""
        return replace(self.event, at=now)


def encode(letter: Letter) -> dict[str, str]:
    """A letter's fields."""
    values = asdict(letter)
    return {"kind": type(letter.event).__name__, "values": json.dumps(values, separators=(",", ":"))}


def decode(fields: Mapping[bytes, bytes]) -> Letter:
    """Raises ValueError for what is no letter."""
    try:
        kind = KINDS[fields[b"kind"].decode()]
        values: dict[str, Any] = json.loads(fields[b"values"])
        return Letter(**{**values, "event": kind(**values["event"])})
    except (KeyError, TypeError, UnicodeDecodeError) as why:
        raise ValueError(f"no letter: {why!r}") from None


class Letters:
    """The mail of one ``site``. Every method raises LettersAway after ``timeout`` s at the latest (`read`: and 1 s)."""

    def __init__(self, site: str, url: str, *, timeout: float) -> None:
        self._site, self._timeout = site, timeout
        # As in ledger/stream.py: no retries inside, and the time is bounded here, not by redis-py.
        self._redis: Any = connect(url)
        self._last = b"$"

    async def send(self, to: str, letter: Letter) -> None:
        """Tell a site."""
        async with self._within():
            await self._redis.xadd(f"cti:{{{to}}}:letters", encode(letter), maxlen=MOST, approximate=True)

    async def read(self) -> list[Letter | ValueError]:
        """What came since, after 1 s at the latest."""
        stream = f"cti:{{{self._site}}}:letters"
        async with self._within(self._timeout + WAIT_MS / 1000):
            if self._last == b"$":  # said once: a "$" again after a pause would miss what came in the pause
                top: Any = await self._redis.xrevrange(stream, count=1)
                self._last = top[0][0] if top else b"0-0"
            pages: Any = await self._redis.xread({stream: self._last}, count=100, block=WAIT_MS)
        letters: list[Letter | ValueError] = []
        for entry, fields in pages[0][1] if pages else ():
            self._last = entry
            try:
                letters.append(decode(fields))
            except ValueError as why:
                letters.append(why)
        return letters

    async def next_fence(self, seat: str) -> int:
        """A number no earlier lease of the seat had."""
        async with self._within():
            return int(await self._redis.hincrby(f"cti:{{{self._site}}}:fences", seat, 1))

    async def show(self, lease: Lease) -> None:
        """The owner's record, for whoever looks: other sites' consoles, a person with redis-cli."""
        key = f"cti:{{{self._site}}}:lease:{lease.seat}"
        values: dict[Any, Any] = {
            "id": lease.id, "owner": lease.owner, "borrower": lease.borrower, "state": str(lease.state),
            "fence": lease.fence, "expires": lease.expires, "why": lease.why}  # fmt: skip
        async with self._within():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(key, mapping=values)
            pipe.expire(key, DAY_S)
            await pipe.execute()

    async def say_view(self, view: str) -> None:
        """What this site says of itself (JSON)."""
        async with self._within():
            await self._redis.set(f"cti:{{{self._site}}}:view", view, ex=VIEW_S)

    async def views(self, sites: list[str]) -> dict[str, str]:
        """What these sites last said of themselves; who has not for 15 s is out of touch."""
        async with self._within():
            found: list[Any] = [await self._redis.get(f"cti:{{{site}}}:view") for site in sites]
        return {site: text.decode() for site, text in zip(sites, found, strict=True) if text}

    async def close(self) -> None:
        """Close the link."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    @contextlib.asynccontextmanager
    async def _within(self, seconds: float | None = None) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds or self._timeout):
                yield
        except (RedisError, OSError) as why:  # TimeoutError is an OSError
            raise LettersAway(str(why) or type(why).__name__) from None
