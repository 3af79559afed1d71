"""The ledger's stream in Redis, and what is projected from it.

Knows: XADD with ids we chose, what a refusal means, that projections go into the fact's own MULTI/EXEC. Must not know:
facts' meaning, the spool, what is projected (projections/).

Why repeats are harmless: the id belongs to the fact, not to the attempt. Redis refuses an id that is not
above the top, so a second XADD of an entry that arrived (its answer was lost, or late) changes nothing; the
refusal is read back and, with the same key standing there, counts as written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.exceptions import RedisError, ResponseError

from cti.core.chain import FIELD, genesis, link
from cti.core.disputes import KINDS
from cti.core.facts import Fact, FactId, decode
from cti.ledger.connect import connect
from cti.ledger.keys import Keys
from cti.ledger.projections import Command, project

Fields: TypeAlias = Mapping[bytes, bytes]
Entry: TypeAlias = tuple[FactId, Fields]

MOST = 500  # entries looked at in one round trip
_REFUSED = "equal or smaller"  # XADD's error for an id that is not above the top; the text since Redis 5.0


class StreamAway(ConnectionError):
    """Redis did not do it in time: not reachable, too slow, loading, read-only, out of memory.

    What was asked may still have happened; repeat it with the same ids.
    """


@dataclass(frozen=True, slots=True)
class LedgerConflict:
    """`id` was refused and the fact is not there: somebody else writes this ledger."""

    id: FactId
    key: bytes
    found: bytes | None  # key of the entry that stands at `id`, if any


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch: all is written except the conflicts, `repeats` of it by an earlier attempt."""

    repeats: int = 0
    conflicts: tuple[LedgerConflict, ...] = ()


class LedgerStream:
    """The stream of one `site`. Every method raises StreamAway after `timeout` seconds at the latest."""

    def __init__(self, site: str, url: str, *, timeout: float) -> None:
        self.keys = Keys(site)
        self._timeout = timeout
        self._redis: Any = connect(url)
        for name in ("XRANGE", "XREVRANGE"):
            self._redis.set_response_callback(name, _AS_TOLD)
        self._alone = asyncio.Lock()  # two batches at once would both follow the same entry
        self.end: tuple[FactId, bytes] | None = None
        """id and hash of the newest entry that was there for certain"""

    # ---- writing

    async def append(self, entries: Sequence[Entry], limit: float | None = None) -> Appended:
        """Write `entries` (ids rising) as one MULTI/EXEC: after a crash of Redis all or none are there.

        Each gets its hash (cti.core.chain) from what it follows, which is read from the stream every time: a connection
        is made anew without a word, and then this may be another Redis. Raises StreamAway if it lacks what was written
        before. `limit`: seconds, where they are fewer than the stream's time-out.
        """
        async with self._within(limit), self._alone:
            top, before = await self._newest()
            chained = []
            for fact_id, fields in entries:
                digest = link(before, str(fact_id), fields)
                chained.append((fact_id, {**fields, FIELD: digest}))
                if fact_id > top:  # any other is refused, and nothing follows it
                    top, before = fact_id, digest
            pipe = self._redis.pipeline(transaction=True)
            for fact_id, fields in chained:
                pipe.xadd(self.keys.ledger, fields, id=str(fact_id))
            self._project(pipe, chained)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            refused = []
            for entry, answer in zip(entries, answers, strict=False):
                if isinstance(answer, ResponseError) and _REFUSED in str(answer):
                    refused.append(entry)
                elif isinstance(answer, Exception):
                    raise answer
            if refused:
                return await self._judge(refused)
            if entries:
                self.end = entries[-1][0], before
            return Appended()

    async def _newest(self) -> tuple[FactId, bytes]:
        """Id and hash of the newest entry, else what a ledger begins with: it is empty, or older than the chain."""
        newest = _entries(await self._redis.xrevrange(self.keys.ledger, "+", "-", 1))
        top = newest[0][0] if newest else FactId(0, 0)
        if self.end is not None and top < self.end[0]:
            raise StreamAway(f"it ends at {top} and had {self.end[0]}: another master, or started anew")
        if newest:
            return top, newest[0][1].get(FIELD) or genesis(self.keys.site)
        return top, await self._redis.get(self.keys.chain_start) or genesis(self.keys.site)

    async def meet(self) -> FactId:
        """Take the stream as it is now, for what it lacks is given to it again. Return its top."""
        async with self._within():
            self.end = None
            self.end = await self._newest()
            return self.end[0]

    async def reindex(self, entries: Sequence[Entry]) -> None:
        """Write what is projected from entries of the stream again."""
        async with self._within():
            pipe = self._redis.pipeline(transaction=False)
            self._project(pipe, entries)
            await pipe.execute()

    async def trim(self, last: FactId, link: bytes | None) -> int:
        """Take out everything up to ``last``, which carries ``link``: what follows begins the chain. As one MULTI/EXEC;
        returns how many went."""
        async with self._within():
            pipe = self._redis.pipeline(transaction=True)
            pipe.execute_command("XTRIM", self.keys.ledger, "MINID", str(last.after()))
            if link is not None:
                pipe.set(self.keys.chain_start, link)
            return int((await pipe.execute())[0])

    async def start_of_chain(self) -> bytes | None:
        """The hash that the first entry follows, where older ones were archived and taken out; None: nothing was."""
        async with self._within():
            found: bytes | None = await self._redis.get(self.keys.chain_start)
            return found

    def _project(self, pipe: Any, entries: Sequence[Entry]) -> None:
        for command in project(self.keys, entries):
            pipe.execute_command(*command)

    async def _judge(self, refused: Sequence[Entry]) -> Appended:
        """Tell repeats from conflicts. A conflict's line in the index is harmless: readers check the ref."""
        there = await self._at([fact_id for fact_id, _ in refused])
        conflicts = tuple(
            LedgerConflict(fact_id, fields[b"key"], None if found is None else found.get(b"key"))
            for (fact_id, fields), found in zip(refused, there, strict=True)
            if found is None or found.get(b"key") != fields[b"key"]
        )
        return Appended(len(refused) - len(conflicts), conflicts)

    # ---- reading

    async def ping(self) -> None:
        """Raises StreamAway also if what was written for certain is not there any more."""
        async with self._within():
            await self._newest()

    async def top(self) -> FactId:
        """Id of the last entry; 0-0 for an empty stream."""
        entries = await self.tail(1)
        return entries[0][0] if entries else FactId(0, 0)

    async def read(self, first: FactId | None, count: int, last: FactId | None = None) -> list[Entry]:
        """Up to `count` entries, `first` (None: the oldest) and `last` (None: the newest) included."""
        async with self._within():
            low, high = "-" if first is None else str(first), "+" if last is None else str(last)
            return _entries(await self._redis.xrange(self.keys.ledger, low, high, count))

    async def tail(self, count: int, below: FactId | None = None) -> list[Entry]:
        """Up to `count` entries, the newest first, beginning under `below` (None: with the top)."""
        async with self._within():
            high = "+" if below is None else f"({below}"
            return _entries(await self._redis.xrevrange(self.keys.ledger, high, "-", count))

    async def count(self) -> int:
        """How many entries there are."""
        async with self._within():
            return int(await self._redis.xlen(self.keys.ledger))

    async def at(self, ids: Sequence[FactId]) -> list[Fields | None]:
        """The entries that stand at `ids`, None where there is none."""
        async with self._within():
            return await self._at(ids)

    async def ids_of(self, ref: str) -> list[FactId]:
        """Ids the index holds for a call, rising; empty when it is unknown or its TTL has run out."""
        async with self._within():
            key = self.keys.call(ref.encode("utf-8", "surrogatepass"))
            members: Any = await self._redis.zrange(key, 0, -1)
            return sorted(FactId.parse(member) for member in members)

    async def decisions(self, since_ms: int) -> list[Fact]:
        """Decisions of three-party calls and their disputes, written at `since_ms` or later; a day before that too,
        for a word may contradict an older decision."""
        async with self._within():
            members: Any = await self._redis.zrangebyscore(self.keys.decisions, since_ms - 86_400_000, "+inf")
        ids = sorted(FactId.parse(member) for member in members)
        found: list[Fact] = []
        for start in range(0, len(ids), MOST):
            rows = [decode(fields) for fields in await self.at(ids[start : start + MOST]) if fields]
            found += [fact for fact in rows if isinstance(fact, Fact) and fact.kind in KINDS]
        return found

    async def day(self, name: str, cursor: int, count: int) -> tuple[int, Mapping[bytes, bytes]]:
        """About `count` calls of a day (projections/days.py) and the cursor of the next ones, 0 after the last. Begin
        with 0. A call may come in two portions while the hash grows."""
        async with self._within():
            told: Any = await self._redis.hscan(self.keys.day(name), cursor, count=count)
            return int(told[0]), told[1]

    async def keys_of(self, refs: Sequence[bytes]) -> dict[bytes, frozenset[bytes]]:
        """Keys of the facts the stream has of each call, by its index."""
        async with self._within():
            pipe = self._redis.pipeline(transaction=False)
            for ref in refs:
                pipe.zrange(self.keys.call(ref), 0, -1)
            ids: list[Any] = [[FactId.parse(one) for one in members] for members in await pipe.execute()]
        flat = [fact_id for of_call in ids for fact_id in of_call]
        keys: dict[FactId, bytes] = {}
        for start in range(0, len(flat), MOST):
            page = flat[start : start + MOST]
            found = await self.at(page)
            keys.update({i: fields.get(b"key", b"") for i, fields in zip(page, found, strict=True) if fields})
        return {ref: frozenset(keys[i] for i in of if i in keys) for ref, of in zip(refs, ids, strict=True)}

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of reading commands, in one round trip."""
        async with self._within():
            pipe = self._redis.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute())

    async def _at(self, ids: Sequence[FactId]) -> list[Fields | None]:
        pipe = self._redis.pipeline(transaction=False)
        for fact_id in ids:
            pipe.xrange(self.keys.ledger, str(fact_id), str(fact_id), 1)
        found = [_entries(answer) for answer in await pipe.execute()]
        return [entries[0][1] if entries else None for entries in found]

    # ---- checkpoints

    async def set_checkpoints(self, values: Mapping[str, str]) -> None:
        async with self._within():
            await self._redis.hset(self.keys.checkpoint, mapping=dict[Any, Any](values))

    async def checkpoints(self) -> dict[str, str]:
        async with self._within():
            pairs: Any = await self._redis.hgetall(self.keys.checkpoint)
            return {_text(name): _text(value) for name, value in pairs.items()}

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # a connection that is dead already is closed enough
            await self._redis.aclose()

    @contextlib.asynccontextmanager
    async def _within(self, limit: float | None = None) -> AsyncIterator[None]:
        limit = self._timeout if limit is None else limit
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError as error:
            raise StreamAway(f"no answer within {limit * 1000:.0f} ms") from error
        except (RedisError, OSError) as error:
            # redis-py puts the whole command before what Redis said; it holds a caller's data, which no log may.
            said = str(error).rpartition(" caused error: ")[2][:200]
            raise StreamAway(f"{type(error).__name__}: {said}") from error


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _as_told(answer: Any, **_options: Any) -> Any:
    return answer


_AS_TOLD: Any = _as_told


def _entries(answer: Any) -> list[Entry]:
    """Entries as Redis tells them: [id, [name, value, name, value…]]. redis-py's own reading of them, and
    `FactId.parse`, which trusts nobody, would be half of what a rebuild costs."""
    found: list[Entry] = []
    for fact_id, flat in answer or ():
        if flat is not None:  # an entry deleted by hand while it was read comes without fields
            ms, _, seq = fact_id.partition(b"-")
            parts = iter(flat)
            found.append((FactId(int(ms), int(seq)), dict(zip(parts, parts, strict=True))))
    return found
