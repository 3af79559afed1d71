"""A Redis in memory for tests of the ledger: as much of it as the ledger's stream asks, and every way an answer fails.

Knows: a stream refuses ids that are not above its top; MULTI/EXEC is all or nothing. Must not know: what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as LinkError
from redis.exceptions import ResponseError

from cti.core.facts import FactId

Fault = Callable[[str], str]
"""What becomes of a command: "" it is done, "before" it never arrives, "after" it is done and its answer is lost."""


class RedisFake:
    """One server that is its own client."""

    def __init__(self) -> None:
        self.entries: list[tuple[FactId, dict[bytes, bytes]]] = []
        self.sets: dict[bytes, set[bytes]] = {}
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}
        self.lacks, self._before = 0, ""
        self.fault: Fault = lambda command: ""
        self.slow: Callable[[str], float] = lambda command: 0
        """seconds until a command arrives"""

    def lose(self, newest: int) -> None:
        """A replica that lacks the newest entries takes this one's place before the next command, and nobody says so.

        Not between the look at the newest entry and the MULTI/EXEC behind it: nothing guards those 0.2 ms.
        """
        self.lacks = newest

    async def ask(self, name: str, work: Callable[[], Any]) -> Any:
        self._before, before = name, self._before
        if self.lacks and (before, name) != ("XREVRANGE", "EXEC"):
            del self.entries[max(0, len(self.entries) - self.lacks) :]
            self.lacks = 0
        fault = self.fault(name)
        await asyncio.sleep(self.slow(name))
        if fault == "before":
            raise LinkError("never arrived")
        answer = work()
        if fault == "after":
            raise LinkError("the answer was lost")
        await asyncio.sleep(0)
        return answer

    # ---- the commands, by name

    def do(self, command: str, key: Any, *rest: Any) -> Any:
        key = key if isinstance(key, bytes) else key.encode()
        if command == "XADD":
            fact_id = FactId.parse(rest[0])
            if fact_id <= (self.entries[-1][0] if self.entries else FactId(0, 0)):
                return ResponseError("The ID specified in XADD is equal or smaller than the target stream top item")
            self.entries.append((fact_id, dict(rest[1])))
        elif command == "XRANGE":
            low, high = _bound(rest[0]), _bound(rest[1])
            found = [_told(i, f) for i, f in self.entries if low <= i <= high]
            return found[: rest[2]] if rest[2] else found
        elif command == "XREVRANGE":
            top = [e for e in reversed(self.entries) if e[0] < _bound(rest[0][1:])] if rest[0][0] == "(" else [
                e for e in reversed(self.entries) if e[0] <= _bound(rest[0])]  # fmt: skip
            return [_told(i, f) for i, f in top[: rest[2]]]
        elif command == "ZADD":
            self.sets.setdefault(key, set()).update(str(one).encode() for one in rest[1::2])
        elif command == "ZRANGE":
            return list(self.sets.get(key, ()))
        return None

    # ---- as redis.asyncio has them

    def set_response_callback(self, command: str, callback: Any) -> None: ...

    async def xrevrange(self, key: str, high: str, low: str, count: int) -> Any:
        return await self.ask("XREVRANGE", lambda: self.do("XREVRANGE", key, high, low, count))

    async def xrange(self, key: str, low: str, high: str, count: int) -> Any:
        return await self.ask("XRANGE", lambda: self.do("XRANGE", key, low, high, count))

    async def zrange(self, key: bytes, first: int, last: int) -> Any:
        return await self.ask("ZRANGE", lambda: self.do("ZRANGE", key))

    async def get(self, key: str) -> None:
        return await self.ask("GET", lambda: None)  # type: ignore[no-any-return]

    async def ping(self) -> None:
        await self.ask("PING", lambda: None)

    async def hset(self, key: str, mapping: dict[str, str]) -> None:
        pairs = {name.encode(): value.encode() for name, value in mapping.items()}
        await self.ask("HSET", lambda: self.hashes.setdefault(key.encode(), {}).update(pairs))

    async def hgetall(self, key: str) -> Any:
        return await self.ask("HGETALL", lambda: dict(self.hashes.get(key.encode(), {})))

    async def aclose(self) -> None: ...

    def pipeline(self, transaction: bool) -> _Pipe:
        return _Pipe(self)


class _Pipe:
    def __init__(self, server: RedisFake) -> None:
        self._server = server
        self._commands: list[tuple[Any, ...]] = []

    def xadd(self, key: str, fields: Any, id: str) -> None:
        self._commands.append(("XADD", key, id, fields))

    def xrange(self, key: str, low: str, high: str, count: int) -> None:
        self._commands.append(("XRANGE", key, low, high, count))

    def zrange(self, key: bytes, first: int, last: int) -> None:
        self._commands.append(("ZRANGE", key))

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    async def execute(self, raise_on_error: bool = True) -> Any:
        return await self._server.ask("EXEC", lambda: [self._server.do(*command) for command in self._commands])


def _told(fact_id: FactId, fields: dict[bytes, bytes]) -> list[Any]:
    """As it comes over the wire: the fields flat."""
    return [str(fact_id).encode(), [part for pair in fields.items() for part in pair]]


def _bound(text: str) -> FactId:
    return {"-": FactId(0, 0), "+": FactId(1 << 62, 0)}.get(text) or FactId.parse(text)
