"""The audit of a ledger: whatever is done to one of its entries is found, at its place; a whole one has no finding."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from cti.core.audit import Audit, Finding, anchors_of
from cti.core.chain import FIELD, genesis, link
from cti.core.facts import Fact, FactId, decode, encode

SITE = "530100"
Rows = list[tuple[FactId, dict[bytes, bytes]]]


def call(n: int, transfers: int = 1) -> list[Fact]:
    ref, at = f"530100-1732406400.{n}", n * 1_000_000

    def made(kind: str, offset: int, **data: str) -> Fact:
        return Fact(kind, at + offset, ref, data, "live", f"{kind}/{ref}/{offset}")

    facts = [made("CallArrived", 0), made("CallQueued", 1)]
    for t in range(transfers):
        name = f"{ref}-{t}"
        facts += [made("TransferStarted", 10 * t + 2, transfer=name), made("TransferEnded", 10 * t + 3, transfer=name)]
    return [*facts, made("CallEnded", 900)]


def chained(facts: Sequence[Fact], before: bytes = genesis(SITE)) -> Rows:
    rows: Rows = []
    for n, fact in enumerate(facts):
        fields = encode(fact)
        before = link(before, f"{1000 + n}-0", fields)
        rows.append((FactId(1000 + n, 0), {**fields, FIELD: before}))
    return rows


def day(calls: int = 30, seed: int = 1) -> list[Fact]:
    """Calls that run beside each other."""
    rng, waiting, told = random.Random(seed), [call(n, n % 3) for n in range(calls)], list[Fact]()
    while waiting:
        told.append((one := rng.choice(waiting[:5])).pop(0))
        waiting = [w for w in waiting if w]
        del one
    return told


def audit(rows: Rows, quiet_before: int = 10**18, **more: object) -> list[Finding]:
    checked = Audit(SITE, **more)  # type: ignore[arg-type]
    for fact_id, fields in rows:
        checked.saw(fact_id, fields, decode(fields))
    return checked.finish(quiet_before)


def test_a_whole_ledger_has_no_finding() -> None:
    assert audit(chained(day())) == []


def change(rows: Rows, n: int) -> None:
    rows[n][1][b"at"] += b"0"


def take_out(rows: Rows, n: int) -> None:
    del rows[n]


def slip_in(rows: Rows, n: int) -> None:
    rows.insert(n, (FactId(rows[n][0].ms - 1, 5), encode(Fact("CallQueued", 1, "x", {}, "live", "slipped"))))


def swap(rows: Rows, n: int) -> None:
    rows[n], rows[n + 1] = (rows[n][0], rows[n + 1][1]), (rows[n + 1][0], rows[n][1])


@pytest.mark.parametrize("harm", [change, take_out, slip_in, swap])
@pytest.mark.parametrize("seed", range(8))
def test_a_tampered_entry_breaks_the_chain_at_its_place(harm: Callable[[Rows, int], None], seed: int) -> None:
    rows = chained(day(seed=seed))
    n = random.Random(seed).randrange(1, len(rows) - 1)
    at = {rows[n][0].ms, rows[n + 1][0].ms, rows[n][0].ms - 1}
    harm(rows, n)
    broken = [f for f in audit(rows) if f.what == "chain"]
    assert broken and FactId.parse(broken[0].at).ms in at


def test_the_first_entries_cannot_be_taken_out_unseen_nor_the_last_ones() -> None:
    rows = chained(day())
    assert next(f.what for f in audit(rows[5:])) == "start"
    anchor = {str(rows[-1][0]): rows[-1][1][FIELD].decode()}
    assert audit(rows, anchors=anchor) == []
    assert "anchor" in [f.what for f in audit(rows[:-1], anchors=anchor)]
    forged = chained(day(seed=2))  # all hashes made anew
    assert "anchor" in [f.what for f in audit(forged, anchors=anchor)]


def test_older_months_may_be_taken_out_when_it_is_told_what_came_before() -> None:
    rows = chained(day(60))
    found = audit(rows[40:], start=rows[39][1][FIELD])
    assert found == [], "calls that began before the cut are none of its business"
    assert [f.what for f in audit(rows[40:], start=b"0" * 32)] == ["start"]


def test_entries_older_than_the_chain_are_counted_and_later_ones_without_a_hash_are_found() -> None:
    old, rows = [(FactId(n, 0), encode(f)) for n, f in enumerate(call(900))], chained(day())
    checked = Audit(SITE)
    for fact_id, fields in [*old, *rows]:
        checked.saw(fact_id, fields, decode(fields))
    assert (checked.finish(10**18), checked.unchained) == ([], len(old))
    del rows[7][1][FIELD]
    assert "chain" in [f.what for f in audit(rows)]


def without(kind: str) -> list[Fact]:
    facts = [*call(1, 2), *call(2, 1)]
    return [f for n, f in enumerate(facts) if f.kind != kind or n > 6]


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        (without("CallEnded"), ["unclosed"]),
        (without("CallArrived"), ["unarrived"]),
        (without("TransferEnded"), ["transfer", "transfer"]),
        ([*call(1), Fact("CallEnded", 5, call(1)[0].ref, {}, "cel", "another")], ["reopened"]),
        ([*call(1), Fact("TransferEnded", 5, call(1)[0].ref, {"transfer": "t"}, "cel", "another")], ["transfer"]),
        ([*call(1)[:4], Fact("TransferEnded", 5, call(1)[0].ref, {"transfer": call(1)[2].data["transfer"]}, "cel", "2"),
          call(1)[4]], ["transfer"]),
        ([*call(1)[:3], *call(1)[2:]], ["twice"]),
        ([*call(1)[:1], Fact("ConferenceOpened", 5, call(1)[0].ref, {"transfer": "c"}, "live", "c"), *call(1)[1:]],
         ["conference"]),
    ],
)  # fmt: skip
def test_what_a_call_lacks_or_has_twice_is_found(facts: list[Fact], wanted: list[str]) -> None:
    assert [f.what for f in audit(chained(facts))] == wanted


def test_a_call_in_progress_is_no_finding() -> None:
    facts = [*call(1), *call(2)[:-1]]
    assert audit(chained(facts), quiet_before=0) == []
    assert [f.what for f in audit(chained(facts))] == ["unclosed"]


def test_an_entry_that_is_no_fact_is_found() -> None:
    rows = chained(day())
    fields = {b"left": b"behind"}
    rows.append((FactId(9000, 0), {**fields, FIELD: link(rows[-1][1][FIELD], "9000-0", fields)}))
    assert [f.what for f in audit(rows)] == ["corrupt"]


def test_anchors_are_read_line_by_line() -> None:
    line = f"2026-11-24T01:02:03Z 1000-0 {'a' * 32}"
    assert anchors_of(iter([line, ""])) == {"1000-0": "a" * 32}
    with pytest.raises(ValueError, match="line 2"):
        anchors_of(iter([line, "soon"]))
