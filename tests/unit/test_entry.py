"""What a call is on entry: the pure decision over any text, and the script that tells Asterisk."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core.entry import (
    YUNNAN_AREAS,
    Caller,
    EntryBook,
    EntryRequest,
    Nuisance,
    decide_entry,
    normalise_caller,
)
from ivr.agi import Agi, AgiFailure, AgiFault
from ivr.entry import make_entry
from ivr.server import AgiRequest

TODAY = dt.date(2026, 5, 1)
PEST = "13812345678"
BOOK = EntryBook(
    hotlines={"12345": "530100", "110": "530100", "12315": "530300"},
    nuisances=(Nuisance("+86 138-1234-5678", TODAY, "empty calls"),),
    priority_110=10,
    priority_12345=2,
    priority_nuisance=1,
)


def ask(caller: str = "", hotline: str = "12345", language: str = "", book: EntryBook = BOOK) -> Any:
    return decide_entry(EntryRequest("r1", caller, hotline, language), book, TODAY)


@pytest.mark.parametrize(
    ("text", "caller"),
    [
        ("13812345678", Caller("mobile", "13812345678")),
        ("+86 138-1234-5678", Caller("mobile", "13812345678")),
        ("008613812345678", Caller("mobile", "13812345678")),
        ("8613812345678", Caller("mobile", "13812345678")),
        ("013812345678", Caller("mobile", "13812345678")),
        ("0871-6312 0000", Caller("fixed", "087163120000")),
        ("08706312000", Caller("fixed", "08706312000")),
        ("+8687163120000", Caller("fixed", "087163120000")),
        ("+86087163120000", Caller("fixed", "087163120000")),
        ("+861065120000", Caller("fixed", "01065120000")),
        ("01065120000", Caller("fixed", "01065120000")),
        ("63120000", Caller("unknown", "63120000")),
        ("87163120000", Caller("unknown", "87163120000")),  # no trunk 0, no country code: anybody's number
        ("86123456", Caller("unknown", "86123456")),
        ("+85221234567", Caller("unknown", "+85221234567")),
        ("1001", Caller("unknown", "1001")),
        ("anonymous", Caller("unknown", "anonymous")),
        (
            "１３８１２３４５６７８",
            Caller("unknown", "１３８１２３４５６７８"),
        ),  # full-width digits are not digits
        ("13812345678\n", Caller("unknown", "13812345678\n")),
        ("", Caller("unknown", "")),
    ],
)
def test_a_number_has_one_form(text: str, caller: Caller) -> None:
    assert normalise_caller(text) == caller


@given(st.text())
def test_normalising_is_total_and_stable(text: str) -> None:
    once = normalise_caller(text)
    assert normalise_caller(once.number) == once


@given(st.text(), st.text(), st.text(), st.text())
def test_every_call_gets_an_answer(ref: str, caller: str, hotline: str, language: str) -> None:
    answer = decide_entry(EntryRequest(ref, caller, hotline, language), BOOK, TODAY)
    assert len(answer.division) == 6 and answer.division.isdigit()
    assert answer.priority >= 0
    assert answer.language in ("zh", "en")


@pytest.mark.parametrize(("area", "division"), YUNNAN_AREAS.items())
def test_a_fixed_line_tells_its_prefecture(area: str, division: str) -> None:
    assert ask(f"{area}2123456").division == division


def test_all_sixteen_prefectures_are_there() -> None:
    assert len(YUNNAN_AREAS) == len(set(YUNNAN_AREAS.values())) == 16


def test_the_longest_prefix_wins() -> None:
    book = EntryBook(hotlines={}, areas={"0871": "530100", "08716": "530102"})
    assert ask("087163120000", book=book).division == "530102"
    assert ask("087153120000", book=book).division == "530100"


@pytest.mark.parametrize(
    ("caller", "hotline", "division", "note"),
    [
        ("08702123456", "12345", "530600", "division=area"),
        ("13900000000", "12315", "530300", "division=hotline"),
        ("02082123456", "12315", "530300", "division=hotline"),
        ("13900000000", "96128", "530000", "division=fallback"),
    ],
)
def test_the_division_comes_from_the_line_then_the_hotline_then_the_site(
    caller: str, hotline: str, division: str, note: str
) -> None:
    answer = ask(caller, hotline)
    assert (answer.division, answer.note) == (division, note)


@pytest.mark.parametrize(
    ("hotline", "priority"),
    [("110", 10), (" 110 ", 10), ("12345", 1), ("12315", 1), ("96128", 2), ("", 2)],
)
def test_a_listed_caller_is_marked_but_loses_rank_only_where_it_is_surely_not_110(hotline: str, priority: int) -> None:
    answer = ask(PEST, hotline)
    assert (answer.nuisance, answer.priority) == (True, priority)
    assert answer.note.endswith("nuisance: empty calls") and PEST not in answer.note


@given(st.text(), st.sampled_from(["110", "110 "]))
def test_nobody_is_ranked_lower_on_110(caller: str, hotline: str) -> None:
    listed = EntryBook(
        hotlines=BOOK.hotlines,
        nuisances=(Nuisance(caller or "1", dt.date.max, "x"),) if caller.strip(" -") else (),
    )
    assert ask(caller, hotline, book=listed).priority == listed.priority_110


def test_a_listing_ends_with_its_day() -> None:
    request = EntryRequest("r", PEST, "12345", "")
    assert decide_entry(request, BOOK, TODAY).nuisance
    assert not decide_entry(request, BOOK, TODAY + dt.timedelta(days=1)).nuisance


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_listings_the_later_holds(order: int) -> None:
    entries = (Nuisance(PEST, dt.date.max, "long"), Nuisance(PEST, dt.date.min, "old"))[::order]
    assert ask(PEST, book=EntryBook(hotlines={}, nuisances=entries)).nuisance


def test_a_withheld_number_is_never_listed() -> None:
    assert not ask("").nuisance


@pytest.mark.parametrize(
    ("tag", "language"), [("en", "en"), ("EN-us", "en"), ("zh-CN", "zh"), ("", "zh"), ("fr", "zh")]
)
def test_chinese_unless_english_was_asked_for(tag: str, language: str) -> None:
    assert ask(language=tag).language == language


@pytest.mark.parametrize(
    "wrong",
    [
        {"hotlines": {"12345": "5301"}},
        {"hotlines": {}, "fallback_division": "云南"},
        {"hotlines": {}, "areas": {"871": "530100"}},
        {"hotlines": {}, "nuisances": (Nuisance(" - ", TODAY, ""),)},
        {"hotlines": {}, "priority_110": 1, "priority_12345": 2},
        {"hotlines": {}, "priority_nuisance": -1},
    ],
)
def test_a_wrong_book_is_refused_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        EntryBook(**wrong)


class Told(Agi):
    """An Agi that notes what it was told instead of sending it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def set_variable(self, name: str, value: str) -> None:
        self.told.append((name, value))


def request_of(query: dict[str, str], **env: str) -> AgiRequest:
    return AgiRequest("entry", query, (), env)


def test_the_token_is_said_last() -> None:
    agi = Told()
    query = {"ref": "pbx1-1700000000.12", "hotline": "110", "language": "en"}
    make_entry(lambda: BOOK, lambda: TODAY)(agi, request_of(query, agi_callerid="0870-2123456"))
    assert agi.told == [
        ("ENTRY_DIVISION", "530600"),
        ("ENTRY_PRIORITY", "10"),
        ("ENTRY_LANGUAGE", "en"),
        ("ENTRY_NUISANCE", "0"),
        ("ENTRY_TOKEN", "pbx1-1700000000.12"),
    ]


def test_the_book_and_the_day_are_asked_for_each_call() -> None:
    days = iter([TODAY, TODAY + dt.timedelta(days=1)])
    books = iter([BOOK, BOOK])
    script = make_entry(lambda: next(books), lambda: next(days))
    marks = []
    for _ in range(2):
        agi = Told()
        script(agi, request_of({"ref": "r"}, agi_callerid=PEST, agi_language="en"))
        marks.append(dict(agi.told)["ENTRY_NUISANCE"])
        assert dict(agi.told)["ENTRY_LANGUAGE"] == "en"  # the channel's, when the question names none
    assert marks == ["1", "0"]


@pytest.mark.parametrize("ref", ["", " ", 'a"b', "a b", "${X}", "r\n", "x" * 65, "呼叫"])
def test_a_question_without_a_usable_ref_is_told_nothing(ref: str) -> None:
    agi = Told()
    with pytest.raises(AgiFailure) as refused:
        make_entry(lambda: BOOK, lambda: TODAY)(agi, request_of({"ref": ref}))
    assert refused.value.kind is AgiFault.REFUSED
    assert agi.told == []
