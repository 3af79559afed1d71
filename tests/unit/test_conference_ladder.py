"""A three-party call as a ladder, and replayed."""

from __future__ import annotations

import pytest

from conference.words import BASES, CHOICES, ENDS, REFUSALS, WHYS
from cti.core import events as e
from cti.core.commands import Record
from cti.core.facts import Fact
from cti.ladder import WORDS, ladder
from cti.replay import replay_call

from .playbook import (
    REF,
    T1,
    Play,
    room,
    said,
    us,
)


def facts(play_events: list[e.Event]) -> list[Fact]:
    """Events and their records, as the ledger holds them."""
    play, made = Play(), list[Fact]()
    for n, event in enumerate(play_events):
        records = [c for c in play(event) if isinstance(c, Record)]
        if not isinstance(event, e.ClockTicked):
            made.append(Fact(type(event).__name__, event.at, REF, e.values_of(event), "live", f"cel/{n}"))
        made += [Fact(r.kind, r.at, REF, r.data, "live", r.key) for r in records]
    return made


STORY: list[e.Event] = [
    *room(danger=1), e.CallerSetAside(REF, us(24), T1, "8001"), e.CallerBroughtBack(REF, us(50), T1, ""),
    e.ReminderTold(REF, us(60), T1), said(61, "8001", "110", "crime"), said(62, "1001", "12345"),
    e.RoomRefused(REF, us(63), T1, "1001", "decided"), e.GuestLeft(REF, us(70), T1, "1001", "16"),
    e.CallerLeft(REF, us(80)), e.RoomOver(REF, us(80), T1),
]  # fmt: skip


def test_the_ladder_tells_a_three_party_call_with_its_decision() -> None:
    text = ladder(facts(STORY))
    lines = {line[11:].split("  ")[-1].strip(): line for line in text.splitlines()}
    assert "■ 涉险：110 先行出警 / danger: 110 dispatches first" in lines
    assert "■ 110 受理：协商决定 / 110 accepts: as agreed" in lines
    assert "■ 异议：1001（12345）12345 受理，决定不变 / disputed: 12345 accepts" in lines
    assert "1001 按键无效：已有决定 / refused: it is decided already" in lines
    guest, first = (next(x for x in text.splitlines() if words in x) for words in ("8001（110）", "1001（12345）：1"))
    assert "|<--------|" in guest and "|-------->|" in first, "drawn from the seat that spoke"
    by_default = ladder(facts([*room(), e.RoomOver(REF, us(60), T1)]))
    assert "■ 12345 受理：首接负责，通话已结束 / 12345 accepts: it received the call first, the call" in by_default
    assert "■ 均不受理，引导告知" in ladder(facts([*room(), said(30, "8001", "guidance")]))


def test_every_record_and_code_has_its_words() -> None:
    assert {"DispatchFirst", "ConferenceDecided", "DecisionDisputed", "ConferenceEnded"} <= set(WORDS)
    for table in (REFUSALS, CHOICES, BASES, WHYS, ENDS):
        assert all(zh and en for zh, en in table.values())
    assert {"no-room", "not-in-room", "alone", "decided"} <= set(REFUSALS)


@pytest.mark.parametrize("cut", range(len(STORY) + 1))
def test_replay_finds_every_record_again_at_any_moment(cut: int) -> None:
    assert replay_call(facts([*STORY[:cut]])) == []
    assert replay_call(facts([*STORY[:cut], e.ClockTicked("", us(1000))])) == []


def test_replay_while_the_seats_still_talk_and_after_a_deadline_of_the_clock() -> None:
    talks = [*room(), e.CallerLeft(REF, us(60)), e.WordsLast(REF, us(60), T1)]
    assert replay_call(facts(talks)) == []
    assert replay_call(facts([*room(), e.ClockTicked("", us(300))])) == [], "the call goes on"
    lacks = [f for f in facts([*talks, e.RoomOver(REF, us(70), T1)]) if f.kind != "ConferenceDecided"]
    assert [d.key for d in replay_call(lacks)] == [f"decision/{T1}"]
