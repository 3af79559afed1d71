"""Past transfers: the projection (any order, any cut, no number), rows, the story of one, the query's words."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.core import events as e
from cti.core.commands import Record
from cti.core.disputes import period
from cti.core.facts import Fact, FactId, encode
from cti.core.past import OPEN, Past, Told, Wanted, past, timeline
from cti.ledger.keys import Keys
from cti.ledger.projections.shape import Command, Entry
from cti.ledger.projections.transfers import caller_id, month_of, transfers
from cti.web.auth import Who
from cti.web.problems import Refused
from cti.web.transfers_past import read_cursor, read_query, write_cursor
from tests.quarter import quarter

from .playbook import REF, T1, Play, talking, us

KEYS = Keys("530100")
BOSS = Who("supervisor")


class Shelf:
    """So much of Redis as the projection's commands need."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[Any, Any]] = {}

    def __call__(self, commands: Iterable[Command]) -> Shelf:
        for name, key, *rest in commands:
            there = self.kept.setdefault(str(key), {})
            if name == "HSET":
                there.update(zip(rest[::2], rest[1::2], strict=True))
            else:
                assert name == "ZADD"
                lowest = rest[0] == "LT"
                for score, member in zip(rest[lowest::2], rest[lowest + 1 :: 2], strict=True):
                    value = int(score)
                    there[member] = min(there.get(member, value), value) if lowest else value
        return self


def entries(facts: Iterable[Fact]) -> list[Entry]:
    return [(FactId(fact.at // 1000, n), encode(fact)) for n, fact in enumerate(facts)]


FACTS = entries(fact for fact in quarter(period("2026-07"), 3) if fact.ref)
WHOLE = Shelf()(transfers(KEYS, FACTS)).kept


@given(st.randoms(use_true_random=False), st.integers(1, 400))
@settings(max_examples=15, deadline=None)
def test_any_order_any_cut_and_any_repeat_come_to_the_same(rng: random.Random, cut: int) -> None:
    told = FACTS + rng.sample(FACTS, 50)
    rng.shuffle(told)
    shelf = Shelf()
    for start in range(0, len(told), cut):
        shelf(transfers(KEYS, told[start : start + cut]))
    assert shelf.kept == WHOLE


def test_every_transfer_has_a_row_and_its_places() -> None:
    ended = {str(f.data["transfer"]): f for f in quarter(period("2026-07"), 3) if f.kind == "TransferEnded"}
    assert len(ended) > 5
    assert set(WHOLE[KEYS.transfers]) == set(WHOLE[KEYS.transfer_ids]) == set(ended)
    for name, fact in ended.items():
        assert WHOLE[KEYS.transfers][name] == fact.data["started_at"]
        assert name in WHOLE[KEYS.transfers_of("seat", str(fact.data["seat"]))]
        assert name in WHOLE[KEYS.transfers_of("outcome", str(fact.data["outcome"]))]
        kinds = [field.partition(b" ")[0] for field in WHOLE[KEYS.transfer(name)]]
        assert kinds.count(b"TransferEnded") == 1


def test_the_earliest_start_and_the_first_of_two_facts_stand_in_any_order() -> None:
    ended = Fact("TransferEnded", 20, REF, {"transfer": T1, "outcome": "refused", "started_at": 5}, "service", "e")
    refused = Fact("TransferRefused", 9, REF, {"transfer": T1, "seat": "1001", "to": "110"}, "live", "r")
    again = Fact("TransferRefused", 11, REF, {"transfer": T1, "seat": "1001", "to": "119"}, "live", "r2")
    told = entries([refused, again, ended])
    for order in (told, told[::-1]):
        kept = Shelf()
        for one in order:
            kept(transfers(KEYS, [one]))
        assert kept.kept[KEYS.transfers] == {T1: 5} and len(kept.kept[KEYS.transfer(T1)]) == 3
    assert Shelf()(transfers(KEYS, told[::-1])).kept == Shelf()(transfers(KEYS, told)).kept


def test_no_number_stands_in_a_key_a_member_or_a_value() -> None:
    numbers = {str(f.data["caller"]) for f in quarter(period("2026-07"), 3) if f.kind == "CallArrived"} - {""}
    everything = repr(WHOLE)
    assert len(numbers) > 50 and not any(number in everything for number in numbers)
    assert caller_id(KEYS.prefix, "+86 138 0000 1234").startswith("138****34~")
    assert caller_id(KEYS.prefix, "13800001234") == caller_id(KEYS.prefix, "+8613800001234")
    assert caller_id(KEYS.prefix, "13800001234") != caller_id(Keys("530300").prefix, "13800001234")
    assert caller_id(KEYS.prefix, "") == ""


def test_a_summary_is_not_kept_in_the_row_and_what_does_not_read_stops_nothing() -> None:
    asked = Fact("TransferRequested", 5, REF, {"transfer": T1, "to": "110", "seat": "1001", "summary": "打13800001111"},
                 "live", "k")  # fmt: skip
    rotten = dict(encode(asked)) | {b"data": b"\xff{", b"kind": b"TransferEnded"}
    assert "13800001111" not in repr(list(transfers(KEYS, [*entries([asked]), (FactId(9, 0), rotten)])))


@pytest.mark.parametrize(("ref", "month"), [
    ("530100-1785513599.7", "2026-07"), ("530100-1785513600.7", "2026-08"), ("530100-1.1", "1970-01"), ("x", "1970-01"),
    ("530100-99999999999999.1", "1970-01"),
])  # fmt: skip
def test_the_month_of_a_call_is_in_its_id(ref: str, month: str) -> None:
    assert month_of(ref) == month


# -- rows --------------------------------------------------------------------------------------------------------------
STARTED = Told(1000, 1_000_000, {"transfer": T1, "to": "110", "seat": "1001", "mode": "swap", "key": "dtmf",
                                 "danger": 1})  # fmt: skip
ANSWERED = Told(4000, 4_000_000, {"transfer": T1, "seat": "8001", "platform": "110"})
ENDED = Told(9100, 9_100_000, {
    "transfer": T1, "outcome": "answered", "why": "", "first_platform": "12345", "to": "110", "seat": "1001",
    "target": "8001", "key_": "dtmf", "mode": "swap", "hops": 1, "released": 0, "danger": 1, "started_at": 1_000_000,
    "answer_ms": 3000, "join_ms": 40})  # fmt: skip


def row(**told: Told) -> Past:
    made = past(T1, told, "12345", "138****11~ab")
    assert made is not None
    return made


def test_a_row_grows_with_its_facts() -> None:
    began = row(TransferStarted=STARTED)
    assert (began.outcome, began.hotline, began.direction, began.danger) == ("", "12345", "12345-110", True)
    assert (began.answered_at, began.joined_at, began.ended_at) == (None, None, None)
    answered = row(TransferStarted=STARTED, TargetAnswered=ANSWERED)
    assert (answered.target, answered.answered_at, answered.outcome) == ("8001", 4_000_000, "")
    ended = row(TransferEnded=ENDED, TransferStarted=STARTED)
    assert (ended.outcome, ended.answered_at, ended.joined_at) == ("answered", 4_000_000, 4_040_000)
    assert (ended.first_ms, ended.last_ms, ended.ref) == (1000, 9100, REF)
    assert past(T1, {}) is None


@pytest.mark.parametrize(("wanted", "holds"), [
    (Wanted(), True), (Wanted(start=1_000_000, end=1_000_001), True), (Wanted(end=1_000_000), False),
    (Wanted(hotline="12345", to="110"), True), (Wanted(hotline="110"), False), (Wanted(seat="8001"), True),
    (Wanted(seat="8002"), False), (Wanted(own="1001", seat="8001"), True), (Wanted(own="1002"), False),
    (Wanted(outcome="answered"), True), (Wanted(outcome=OPEN), False), (Wanted(ref=REF), True),
    (Wanted(ref="x"), False), (Wanted(caller="138****11"), True), (Wanted(caller="138****12"), False),
])  # fmt: skip
def test_what_is_wanted(wanted: Wanted, holds: bool) -> None:
    assert wanted.holds(row(TransferEnded=ENDED)) is holds


# -- the story ---------------------------------------------------------------------------------------------------------
def test_the_story_of_a_transfer_and_the_state_after_each_fact() -> None:
    play = Play()
    events = [*talking(), e.TransferStarted(REF, us(10), T1, "110", "1001"),
              e.TargetTried(REF, us(10.1), T1, 1, "110-dedicated"), e.TargetAnswered(REF, us(12), T1, "8001", "110"),
              e.CallerJoined(REF, us(12.1)), e.SeatLeft(REF, us(12.2), "1001", "0"),
              e.CallerLeft(REF, us(40), "", "16")]  # fmt: skip
    commands = play(*events, e.ClockTicked("", us(50)))
    facts = [Fact(type(x).__name__, x.at, REF, e.values_of(x), "live", f"{n}") for n, x in enumerate(events)]
    facts += [Fact(c.kind, c.at, REF, c.data, "service", c.key) for c in commands if isinstance(c, Record)]
    story = [(one.fact.kind, one.state) for one in timeline(facts, T1)]
    assert story == [("TransferStarted", "ringing"), ("TargetTried", "ringing"), ("TargetAnswered", "answered"),
                     ("CallerJoined", "joined"), ("TransferEnded", "ended")]  # fmt: skip
    assert timeline(facts, "another") == []


# -- the query's words -------------------------------------------------------------------------------------------------
def asked(query: Mapping[str, str], who: Who = BOSS) -> Wanted:
    return read_query(query, who)[0]


def test_the_query_is_read() -> None:
    wanted = asked({"from": "2026-11-25", "until": "2026-11-25T08:00", "direction": "12345-110", "outcome": "returned",
                    "caller": "138****11~0123456789abcdef"})  # fmt: skip
    assert (wanted.start, wanted.end) == (1_795_536_000_000_000, 1_795_564_800_000_000)
    assert (wanted.hotline, wanted.to, wanted.outcome) == ("12345", "110", "returned")
    assert asked({"from": "2026-11-25T08:00 08:00"}).start == asked({"from": "2026-11-25 08:00"}).start
    assert asked({}, Who("agent", "1001")).own == "1001" and asked({}).own == ""


@pytest.mark.parametrize(("query", "field"), [
    ({"from": "yesterday"}, "from"), ({"from": "2026-11-25", "until": "2026-11-25"}, "until"),
    ({"limit": "0"}, "limit"), ({"limit": "501"}, "limit"), ({"limit": "٣"}, "limit"),
    ({"outcome": "good"}, "outcome"), ({"call": "x"}, "call"),
    ({"direction": "12345"}, "direction"), ({"direction": "12345-110", "to": "119"}, "to"), ({"seat": "a b"}, "seat"),
    ({"caller": "13800001111"}, "caller"), ({"cursor": "%%"}, "cursor"), ({"cursor": "YWJj"}, "cursor"),
    ({"phone": "1"}, "phone"), ({"hotline": "*"}, "hotline"),
])  # fmt: skip
def test_a_wrong_word_is_named_with_its_cure(query: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(query)
    assert refused.value.code == "invalid-field" and refused.value.detail.startswith(f"{field}: ")
    assert "13800001111" not in refused.value.detail


def test_a_cursor_belongs_to_its_query() -> None:
    _, _, _, filters = read_query({"seat": "1001"}, BOSS)
    cursor = write_cursor((5, T1), filters)
    assert read_query({"seat": "1001", "cursor": cursor, "limit": "7"}, BOSS)[2] == (5, T1)
    assert read_cursor(cursor, filters) == (5, T1)
    for query, who in (({"seat": "1002"}, BOSS), ({"seat": "1001"}, Who("agent", "1001"))):
        with pytest.raises(Refused):
            read_query({**query, "cursor": cursor}, who)
