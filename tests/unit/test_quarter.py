"""The quarterly report: figures against a count of their own, words that stay words, files that need nothing else."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections import Counter
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from cti.core.answer_rate import answer_rate, ended_call
from cti.core.disputes import disputes, period
from cti.core.facts import Fact, Scalar
from cti.core.quarter import Figures, Quarter, rank
from cti.report import plots
from cti.report.document import Document, percent_text, quarterly
from cti.report.page import page
from cti.report.workbook import workbook
from tests.quarter import quarter

OVER = period("2026-08")
FACTS = [*quarter(period("2026Q3"), 25)]
EVIL = '=cmd|"/c calc"!A1<script>alert(1)</script>'


def figures(facts: list[Fact], now: int = OVER.end) -> Figures:
    made = Quarter(OVER)
    for fact in facts:
        made.saw(fact)
    return made.figures(now)


MADE = figures(FACTS)


def ended() -> list[dict[str, Any]]:
    return [dict(f.data) for f in FACTS if f.kind == "CallEnded" and OVER.holds(int(str(f.data["arrived_at"])))]


def test_the_rate_is_the_answer_rates_own() -> None:
    calls = [ended_call(one) for one in ended()]
    assert MADE.total.rate == answer_rate(calls, OVER.start, OVER.end) and MADE.total.rate.offered > 500
    for name, one in MADE.hotlines.items():
        assert one.rate == answer_rate(calls, OVER.start, OVER.end, name)
    for span in MADE.days:
        assert span.rate == answer_rate(calls, span.at, span.at + 86_400_000_000)
    assert len(MADE.days) == 31 and MADE.days[0].at == OVER.start
    assert sum(span.rate.offered for span in MADE.days) == sum(r.offered for r in MADE.week.values()) == (
        MADE.total.rate.offered)  # fmt: skip
    assert MADE.total.rate.in_level == sum(one["outcome"] == "answered" and one["wait_ms"] <= 15_000 for one in ended())


def test_a_call_counts_by_its_arrival_and_in_its_own_hour() -> None:
    def over(arrived: int, outcome: str) -> Fact:
        data: dict[str, Scalar] = {"hotline": "12345", "outcome": outcome, "arrived_at": arrived, "wait_ms": 15_000,
                                   "talk_ms": 1}  # fmt: skip
        return Fact("CallEnded", arrived + 60_000_000, f"{arrived}", data, "service", f"{arrived}")

    made = figures([over(OVER.start - 1, "answered"), over(OVER.start, "answered"), over(OVER.end - 1, "abandoned"),
                    over(OVER.end, "answered")])  # fmt: skip
    assert (made.calls, made.total.rate.answered, made.total.rate.offered, made.total.rate.in_level) == (2, 1, 2, 1)
    # 2026-08-01 was a Saturday, 08-31 a Monday.
    assert {when: rate.offered for when, rate in made.week.items()} == {(5, 0): 1, (0, 23): 1}


def test_transfers_by_direction() -> None:
    told = [f for f in FACTS if f.kind == "TransferEnded" and OVER.holds(int(str(f.data["started_at"])))]
    assert sum(sum(one.outcomes.values()) for one in MADE.transfers.values()) == len(told) > 30
    for (hotline, to), one in MADE.transfers.items():
        mine = [f.data for f in told if (f.data["first_platform"], f.data["to"]) == (hotline, to)]
        assert one.outcomes == Counter(str(d["outcome"]) for d in mine) and one.lost == 0
        answers = sorted(int(str(d["answer_ms"])) for d in mine if int(str(d["answer_ms"])) >= 0)
        assert (one.median_ms, one.p95_ms) == (answers[math.ceil(len(answers) / 2) - 1],
                                               answers[math.ceil(len(answers) * 0.95) - 1])  # fmt: skip


def test_worst_times_are_the_worst_of_all() -> None:
    counts: dict[int, list[int]] = {}
    for one in ended():
        if one["outcome"] not in ("unasked", "called-back"):
            count = counts.setdefault(one["arrived_at"] // 900_000_000, [0, 0])
            count[0] += one["outcome"] == "answered"
            count[1] += 1
    rates = sorted(a / b for a, b in counts.values() if b >= 8 and a < b)[:10]
    assert [s.rate.answered / s.rate.offered for s in MADE.worst_buckets] == rates


def test_disputes_overflows_leases_and_topics() -> None:
    assert list(MADE.disputes) == disputes(FACTS, OVER) and MADE.decisions >= len(MADE.disputes) > 0
    overflowed = [f for f in FACTS if f.kind == "CallerOverflowed" and OVER.holds(f.at)]
    assert sum(MADE.overflows.values()) == len(overflowed)
    assert MADE.leases == {("borrower", "530300"): (1, 4 * 3600)}, "day 44 of the quarter alone is in August"
    assert MADE.topics == {} and "无数据" in page(document(MADE))
    items = [Fact("CaseOpened", OVER.start + n, "", {"item": f"A{n % 3}"}, "service", f"c{n}") for n in range(7)]
    assert figures(items).topics == {"A0": 3, "A1": 2, "A2": 2}


def test_a_drill_and_what_does_not_read_count_for_nothing() -> None:
    one = next(f for f in FACTS if f.kind == "CallEnded" and OVER.holds(f.at))
    drilled = Fact(one.kind, one.at, one.ref, {**one.data, "drill": "r1"}, one.source, one.key)
    torn = Fact(one.kind, one.at, one.ref, {"outcome": "answered"}, one.source, one.key)
    assert figures([drilled, torn]).calls == 0
    assert figures([]).total.rate.text == "—" and "—" in page(document(figures([])))


def test_a_lost_caller_shows() -> None:
    one = next(f for f in FACTS if f.kind == "TransferEnded" and OVER.holds(f.at))
    lost = [Fact(one.kind, one.at, one.ref, {**one.data, **how}, one.source, f"{n}")
            for n, how in enumerate(({"outcome": "abandoned", "why": "channel-gone"}, {"outcome": "unknown"},
                                     {"outcome": "abandoned", "why": "caller-left"}))]  # fmt: skip
    made = figures(lost)
    assert sum(t.lost for t in made.transfers.values()) == 2
    assert ("群众丢失 caller loss", "2", "应为 must be 0", False) in document(made).lead


@pytest.mark.parametrize(("percent", "wanted"), [(50, 3), (95, 5), (100, 5), (1, 1)])
def test_percentiles_by_nearest_rank(percent: int, wanted: int) -> None:
    assert rank([1, 2, 3, 4, 5], percent) == wanted and rank([], percent) is None


def test_a_percentage_is_cut_never_rounded_up() -> None:
    assert percent_text(94_996 * 10_000 // 100_000) == "94.99 %" and percent_text(None) == "—"


# -- the files ---------------------------------------------------------------------------------------------------------
def document(of: Figures) -> Document:
    return quarterly(of, f"昆明{EVIL}", {"12345": EVIL}, "2026-11-26 08:00")


def evil() -> Document:
    """Every text of facts that reaches the report is a formula and a script."""
    said: dict[str, Scalar] = {"transfer": "t", "platform": EVIL, "choice": EVIL, "reason": EVIL, "text": EVIL,
                               "seat": EVIL, "accepts": EVIL}  # fmt: skip
    facts = [Fact("DecisionDisputed", OVER.start + 1, EVIL, said, "live", "k"),
             Fact("CallerOverflowed", OVER.start + 1, "", {"line": EVIL, "to": EVIL, "why": EVIL}, "live", "o"),
             Fact("CallEnded", OVER.start + 9, "", {"hotline": EVIL, "outcome": "answered", "arrived_at": OVER.start,
                                                    "wait_ms": 1, "talk_ms": 1}, "service", "c"),
             Fact("CaseOpened", OVER.start, "", {"topic": EVIL}, "service", "x")]  # fmt: skip
    return document(figures(facts))


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "data", "action", "xlink:href")]


def test_the_page_stands_alone_and_runs_nothing() -> None:
    for made in (evil(), document(MADE)):
        text = page(made)
        seen = Seen()
        seen.feed(text)
        assert not seen.links and not set(seen.tags) & {"script", "link", "img", "iframe", "object", "a", "form"}
        assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
        assert "default-src 'none'" in text and "<script>" not in text
    assert page(evil()).count("=cmd|") >= 9 and page(document(MADE)).count("<svg") == 4


def test_no_cell_of_the_workbook_is_a_formula_or_a_link() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook(evil()))) as book:
        sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
        texts = "".join(book.read(name).decode() for name in sheets)
        assert len(sheets) == 8 and "<f>" not in texts and "hyperlink" not in texts
        shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        words = ["".join(node.itertext()) for node in shared]
        assert EVIL in words and not any("externalLink" in name for name in book.namelist())


def test_a_rate_just_under_the_target_shows_so_in_excel_too() -> None:
    """94.996 % as a number would be shown as 95.00 %: the cell holds 0.9499."""
    ending: list[Fact] = []
    for n in range(25_000):
        outcome = "answered" if n < 23_749 else "abandoned"
        data: dict[str, Scalar] = {"hotline": "12345", "outcome": outcome, "arrived_at": OVER.start + n, "wait_ms": 1,
                                   "talk_ms": 1}  # fmt: skip
        ending.append(Fact("CallEnded", OVER.start + n, f"{n}", data, "service", f"{n}"))
    made = document(figures(ending))
    assert made.lead[0][1] == "94.99 %" and made.lead[0][3] is False
    with zipfile.ZipFile(io.BytesIO(workbook(made))) as book:
        sheet = book.read("xl/worksheets/sheet2.xml").decode()
    assert "<v>0.9499</v>" in sheet and "<v>0.95</v>" not in sheet and "95.00 %" not in page(made)


def test_plots_bear_anything() -> None:
    for svg in (plots.days([], 9_500), plots.days([("01", None, 0, 0)], 9_500), plots.days([("01", 0, 0, 9)], 9_500),
                plots.week({}), plots.stacked([], []), plots.stacked([("<b>", [0, 0])], ["a", "b"])):  # fmt: skip
        ElementTree.fromstring(svg)
        assert "<b>" not in svg
