"""The day of a call is that of its arrival; a projection is idempotent, cut anyhow, and no entry stops it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cti.core.answer_rate import EndedCall
from cti.core.facts import Fact, FactId, encode
from cti.core.spans import day
from cti.ledger.keys import Keys
from cti.ledger.projections import ALL
from cti.ledger.projections.days import days, unpack
from cti.ledger.projections.shape import Command, Entry

KEYS = Keys("530100")
MIDNIGHT = day("2026-12-01").start


def ended(ref: str, at: int, **more: str | int) -> Entry:
    data = {"outcome": "answered", "hotline": "12345", "arrived_at": at, "wait_ms": 7, **more}
    return FactId(at // 1000, 0), encode(Fact("CallEnded", at + 9_000_000, ref, data, "live", f"call/{ref}"))


def kept(commands: Sequence[Command]) -> dict[str, dict[bytes, EndedCall]]:
    found: dict[str, dict[bytes, EndedCall]] = {}
    for name, key, *members in commands:
        assert name == "HSET" and isinstance(key, str)
        for ref, packed in zip(members[::2], members[1::2], strict=True):
            assert isinstance(ref, bytes) and isinstance(packed, bytes)
            found.setdefault(key, {})[ref] = unpack(packed)
    return found


def test_a_call_over_midnight_belongs_to_the_day_it_arrived() -> None:
    made = kept(list(days(KEYS, [ended("a", MIDNIGHT - 1, division="530102"), ended("b", MIDNIGHT)])))
    assert made == {
        "cti:{530100}:day:20261130": {b"a": EndedCall(MIDNIGHT - 1, "12345", "answered", "", "530102", "", 7)},
        "cti:{530100}:day:20261201": {b"b": EndedCall(MIDNIGHT, "12345", "answered", wait_ms=7)},
    }
    assert days in ALL


def test_a_drills_call_and_what_does_not_read_are_left_out() -> None:
    torn = dict(ended("x", MIDNIGHT)[1]) | {b"data": b'{"a":'}
    deep = dict(ended("x", MIDNIGHT)[1]) | {b"data": b"[" * 100_000}
    entries: list[Entry] = [
        ended("drill", MIDNIGHT, drill="flood-1"), (FactId(1, 0), torn), (FactId(2, 0), deep), (FactId(3, 0), {}),
        (FactId(4, 0), {b"kind": b"CallEnded", b"ref": b"r"}), ended("", MIDNIGHT),
        ended("far", 1 << 62), ended("odd", MIDNIGHT, hotline="\ud800"), ended("soon", MIDNIGHT, wait_ms="soon"),
        ended("good", MIDNIGHT),
    ]  # fmt: skip
    assert list(kept(list(days(KEYS, entries)))["cti:{530100}:day:20261201"]) == [b"good"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-3, 3)), max_size=20), st.integers(0, 20))
def test_any_cut_of_the_entries_comes_to_the_same(calls: list[tuple[str, int]], cut: int) -> None:
    entries = [ended(ref, MIDNIGHT + ord(ref) * 86_400_000_000) for ref, _ in calls]
    whole, parts = kept(list(days(KEYS, entries))), kept([*days(KEYS, entries[:cut]), *days(KEYS, entries[cut:])])
    assert whole == parts == kept([*days(KEYS, entries), *days(KEYS, entries)])
