"""Facts survive the way to an entry and back; a bad entry is a value; ids only rise."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core.facts import CorruptFact, Fact, FactId, IdMaker, cel_key, decode, encode

TEXT = st.text(st.characters(), max_size=20)  # all code points, lone surrogates and NUL among them
FACTS = st.builds(
    Fact,
    kind=TEXT,
    at=st.integers(0, 2**62),
    ref=TEXT,
    data=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT, max_size=6),
    source=st.sampled_from(["live", "cel", "service", "operator"]),
    key=TEXT,
)
GOOD = encode(Fact("CallArrived", 1_700_000_000_000_000, "k-1", {"queue": "q", "n": 3}, "live", "k"))


@given(FACTS)
def test_every_fact_comes_back_as_it_was(fact: Fact) -> None:
    back = decode(encode(fact))
    assert back == fact
    assert isinstance(back, Fact)
    assert [type(v) for v in back.data.values()] == [type(v) for v in fact.data.values()]  # True is not 1


def test_chinese_text_is_stored_readable() -> None:
    fields = encode(Fact("CaseNoted", 0, "k", {"summary": "报警人张三"}, "operator", "k"))
    assert fields[b"data"] == '{"summary":"报警人张三"}'.encode()


@pytest.mark.parametrize("value", [1.5, {"deep": 1}, ["a"], b"raw"])
def test_data_that_is_not_flat_is_a_bug_and_never_reaches_the_ledger(value: object) -> None:
    with pytest.raises(TypeError, match="colour"):
        encode(Fact("X", 0, "", {"colour": value}, "live", "k"))  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({b"v": b"9"}, "format"),
        ({b"key": None}, "missing"),
        ({b"at": b"noon"}, "invalid literal"),
        ({b"at": b""}, "invalid literal"),
        ({b"kind": b"\xff\xfe"}, "decode"),
        ({b"source": b"rumour"}, "rumour"),
        ({b"data": b'{"a":'}, "Expecting"),
        ({b"data": b"[1]"}, "flat"),
        ({b"data": b'{"a":{"b":1}}'}, "flat"),
        ({b"data": b'{"a":1.5}'}, "flat"),
        ({b"data": b"[" * 100_000}, ""),
    ],
)
def test_a_bad_entry_is_a_value_that_says_why(change: dict[bytes, bytes | None], reason: str) -> None:
    fields = {k: v for k, v in (GOOD | change).items() if v is not None}
    bad = decode(fields)
    assert isinstance(bad, CorruptFact)
    assert reason in bad.reason
    assert bad.fields == fields


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.binary(max_size=30)))
def test_no_bytes_make_decode_raise(change: dict[bytes, bytes]) -> None:
    assert isinstance(decode(GOOD | change), (Fact, CorruptFact))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=80), st.integers(0, 60), st.integers(0, 5))
def test_ids_rise_whatever_the_clock_does(clock: list[int], ms: int, seq: int) -> None:
    maker = IdMaker(FactId(ms, seq))
    ids = [FactId(ms, seq)] + [maker.next(now) for now in clock]
    assert all(a < b for a, b in pairwise(ids))
    assert maker.last == ids[-1]


def test_an_id_is_the_clock_where_the_clock_allows_it() -> None:
    maker = IdMaker()
    assert [maker.next(7), maker.next(7), maker.next(3), maker.next(8)] == [
        FactId(7, 0), FactId(7, 1), FactId(7, 2), FactId(8, 0),
    ]  # fmt: skip
    maker.raise_to(FactId(9, 4))
    maker.raise_to(FactId(2, 0))
    assert maker.next(9) == FactId(9, 5)


def test_ids_are_ordered_as_numbers_not_as_text() -> None:
    assert FactId(9, 9) < FactId(9, 10) < FactId(10, 0)
    assert FactId.parse(b"12-7") == FactId(12, 7) == FactId.parse(str(FactId(12, 7)))
    assert FactId.parse("12") == FactId(12, 0)


@pytest.mark.parametrize("text", ["", "-", "-1", "a-1", "1-b", "1--1", "1-1-1", "٣-1", " 1-1"])
def test_other_text_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="not a fact id"):
        FactId.parse(text)


def test_a_cel_fact_has_one_key_live_or_caught_up() -> None:
    assert cel_key(1795480138522777, "1795480138.1", "CALL", 2) == "cel/1795480138522777/1795480138.1/CALL/2"
