"""Whether a ledger is whole: a pure reader of its entries, from the first to the last.

Knows: what must be true of a ledger (the chain, each key once, every call closed, every transfer one terminal record).
Must not know: where the entries come from. Its memory grows with the calls of two days, not with the ledger.

    chain       the entry does not follow the one before it: changed, taken out or slipped in there
    start       the first entry follows one that is not there
    anchor      an entry that was noted elsewhere is not there, or is another
    corrupt     an entry that is no fact
    twice       a fact told twice
    unclosed    a call that has been quiet for long and has no end
    reopened    a second end of one call
    unarrived   a call that ended and never arrived
    transfer    a transfer without its terminal record though its call is over, or with more than one
    conference  a three-party call without decision or end though its call is over, or with more than one
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cti.core.chain import FIELD, genesis, link
from cti.core.facts import CorruptFact, Fact, FactId

WINDOW_MS = 2 * 86_400_000
"""Two facts with one key are found as such within so long, and a second end of a call."""
MOST_SHOWN = 1000
OPENS = {"TransferRequested": "transfer", "TransferStarted": "transfer", "TransferRefused": "transfer",
         "ConferenceOpened": "conference"}  # fmt: skip
CLOSES = {"TransferEnded": "transfer", "ConferenceEnded": "conference"}
_AROUND = {"CallArrived", "CallEnded", *OPENS, *CLOSES}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it must be. ``at``: the entry's id; ``what``: a code of the table above."""

    what: str
    at: str
    ref: str = ""
    detail: str = ""


@dataclass(slots=True)
class _Call:
    arrived: bool = False
    ended: int = 0
    last_at: int = 0
    """µs, of its latest fact"""
    last_id: str = ""
    open: set[tuple[str, str]] = field(default_factory=set)
    closed: Counter[tuple[str, str]] = field(default_factory=Counter)


class Audit:
    """Tell it every entry with `saw`, then ask `finish`.

    ``start``: hash of the entry before the first one, of a ledger whose older months were archived and taken out; its
    calls may have begun before. ``anchors``: id → hash, as noted elsewhere.
    """

    def __init__(self, site: str, start: bytes | None = None, anchors: Mapping[str, str] | None = None) -> None:
        self._before = start or genesis(site)
        self._pruned = start is not None
        self._anchors = dict(anchors or {})
        self._keys: OrderedDict[int, int] = OrderedDict()
        self._calls: dict[str, _Call] = {}
        self._over: OrderedDict[str, int] = OrderedDict()
        self._first: FactId | None = None
        self._last = FactId(0, 0)
        self._chained = False
        self.entries = self.unchained = self.calls = self.transfers = 0
        self.kinds: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.found: Counter[str] = Counter()

    @property
    def end(self) -> tuple[str, str]:
        """Id and hash of the last entry: an anchor."""
        return str(self._last), self._before.decode() if self._chained else ""

    def saw(self, fact_id: FactId, fields: Mapping[bytes, bytes], fact: Fact | CorruptFact) -> None:
        """The next entry, in order."""
        self.entries += 1
        self._first = self._first or fact_id
        self._last = fact_id
        self._link(str(fact_id), fields)
        if isinstance(fact, CorruptFact):
            self._find("corrupt", str(fact_id), detail=fact.reason)
            return
        self.kinds[fact.kind] += 1
        self.sources[fact.source] += 1
        self._once(fact_id, fact)
        if fact.kind in _AROUND:
            self._around(fact_id, fact)
        elif fact.ref in self._calls:
            call = self._calls[fact.ref]
            call.last_at, call.last_id = max(call.last_at, fact.at), str(fact_id)

    def _link(self, at: str, fields: Mapping[bytes, bytes]) -> None:
        hashed = fields.get(FIELD)
        if hashed is None and not self._chained:
            self.unchained += 1  # older than the chain
        else:
            if hashed != link(self._before, at, fields):
                first = not self._chained and not self.unchained
                self._find("start" if first else "chain", at)
            self._chained = True
            self._before = hashed or b""
        if (noted := self._anchors.pop(at, None)) is not None and noted.encode() != hashed:
            self._find("anchor", at, detail=f"noted as {noted}")

    def _once(self, fact_id: FactId, fact: Fact) -> None:
        key = hash(fact.key)
        if key in self._keys:
            self._find("twice", str(fact_id), fact.ref, fact.kind)
        self._keys[key] = fact_id.ms
        self._forget(self._keys, fact_id.ms)

    def _around(self, fact_id: FactId, fact: Fact) -> None:
        if fact.ref in self._over:
            if fact.kind == "CallEnded":
                self._find("reopened", str(fact_id), fact.ref)
            elif fact.kind in CLOSES:
                self._find(CLOSES[fact.kind], str(fact_id), fact.ref, "once more, after its call was over")
            return
        call = self._calls.setdefault(fact.ref, _Call())
        call.last_at, call.last_id = max(call.last_at, fact.at), str(fact_id)
        if fact.kind == "CallArrived":
            call.arrived = True
        elif fact.kind == "CallEnded":
            call.ended += 1
        elif (what := OPENS.get(fact.kind)) is not None:
            call.open.add((what, _name(fact)))
        else:
            call.closed[CLOSES[fact.kind], _name(fact)] += 1
        if call.ended and call.arrived and not call.open - call.closed.keys():
            self._close(fact.ref, call, fact_id)

    def _close(self, ref: str, call: _Call, fact_id: FactId) -> None:
        self.calls += 1
        self.transfers += sum(what == "transfer" for what, _ in call.closed)
        for (what, name), times in call.closed.items():
            if times > 1:
                self._find(what, str(fact_id), ref, f"{name}: {times} terminal records")
        if call.ended > 1:
            self._find("reopened", str(fact_id), ref)
        self._calls.pop(ref, None)
        self._over[ref] = fact_id.ms
        self._forget(self._over, fact_id.ms)

    def finish(self, quiet_before: int) -> list[Finding]:
        """What was found; calls that have said nothing since ``quiet_before`` (µs) must be closed. At most `MOST_SHOWN`
        of them are kept; `found` counts all."""
        for ref, call in list(self._calls.items()):
            at = FactId.parse(call.last_id)
            if call.arrived and not call.ended:
                if call.last_at < quiet_before:
                    self._find("unclosed", call.last_id, ref)
                continue
            if not call.arrived and not self._may_have_begun_before(at):
                self._find("unarrived", call.last_id, ref)
            if call.ended and call.last_at < quiet_before:
                for what, name in sorted(call.open - call.closed.keys()):
                    self._find(what, call.last_id, ref, f"{name}: no terminal record")
            self._close(ref, call, at)
        for at_id, noted in self._anchors.items():
            if not self._pruned or self._first is None or FactId.parse(at_id) >= self._first:
                self._find("anchor", at_id, detail=f"noted as {noted}, and not there")
        return self.findings

    def _may_have_begun_before(self, at: FactId) -> bool:
        return self._pruned and self._first is not None and at.ms - self._first.ms < WINDOW_MS

    def _find(self, what: str, at: str, ref: str = "", detail: str = "") -> None:
        self.found[what] += 1
        if len(self.findings) < MOST_SHOWN:
            self.findings.append(Finding(what, at, ref, detail))

    @staticmethod
    def _forget(seen: OrderedDict[int, int] | OrderedDict[str, int], now_ms: int) -> None:
        """At most two at once: enough to keep pace."""
        for _ in range(2):
            if not seen:
                return
            oldest = next(iter(seen))
            if seen[oldest] >= now_ms - WINDOW_MS:  # type: ignore[index]
                return
            del seen[oldest]  # type: ignore[arg-type]


def _name(fact: Fact) -> str:
    return str(fact.data.get("transfer", "") or fact.data.get("conference", ""))


def anchors_of(lines: Iterator[str]) -> dict[str, str]:
    """Anchors as the service notes them: ``<time> <id> <hash>`` a line. Raises ValueError naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or len(words[2]) != 32:
            raise ValueError(f"line {number}: not <time> <id> <hash>: {line.strip()[:80]!r}")
        FactId.parse(words[1])
        found[words[1]] = words[2]
    return found
