"""The quarterly report as plain values: sections of tables, notes and plots. Knows: words, order. Must not know: HTML,
Excel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cti.core.answer_rate import RULE, TARGET_PERCENT, AnswerRate
from cti.core.quarter import RULES, Figures, HotlineFigures, Span, Transfers
from cti.core.zone import SHANGHAI
from cti.report import plots

Kind = Literal["text", "int", "percent", "seconds", "hours"]
"""percent: hundredths of a percent, cut, never rounded (94.996 % must not show as 95.00 %); seconds, hours: from ms"""
SCALES: Mapping[str, int] = {"percent": 10_000, "seconds": 1_000, "hours": 3_600_000}
"""what a cell is divided by to be shown"""
Cell: TypeAlias = str | int | None

OUTCOMES: Mapping[str, str] = {
    "answered": "接通 answered", "abandoned": "排队放弃 abandoned", "callback": "改为回电 chose a callback",
    "timeout": "排队超时 timed out", "refused": "队满或关闭 refused", "unasked": "未要求人工 did not ask",
    "called-back": "回电通话 called back",
}  # fmt: skip
ENDS: Mapping[str, str] = {
    "answered": "接听 answered", "returned": "退回 returned", "abandoned": "群众挂机 abandoned",
    "cancelled": "取消 cancelled", "refused": "拒绝 refused", "unknown": "不明 unknown",
}  # fmt: skip
WHYS: Mapping[str, str] = {"TIMEOUT": "等待超时 waited too long", "FULL": "队满 full", "CLOSED": "非服务时间 closed"}
SIDES: Mapping[str, str] = {"borrower": "借入 borrowed from", "owner": "借出 lent to"}
DISPUTES: Mapping[str, str] = {"disagreement": "双方意见不一 disagreed", "contrary": "事后异议 contrary word"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and what its cells are."""

    zh: str
    en: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """``bad``: rows that fail the target. ``title`` where a section has several."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    bad: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Section:
    """``sheet``: its name in Excel, at most 31 characters. Notes stand under the heading."""

    zh: str
    en: str
    sheet: str
    notes: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report. ``lead``: the figures everybody asks for first: (label, value, below it, good)."""

    title: str
    subtitle: str
    lead: Sequence[tuple[str, str, str, bool | None]]
    sections: Sequence[Section]


def quarterly(figures: Figures, site: str, names: Mapping[str, str], made: str) -> Document:
    """The report. ``names``: hotlines' names; ``made``: when."""
    over = figures.over
    span = f"{_day(over.start)} – {_day(over.end - 1)}"
    total = figures.total
    ways = figures.transfers.values()
    lost = sum(one.lost for one in ways)
    sent = sum(sum(one.outcomes.values()) for one in ways)
    taken = sum(one.outcomes.get("answered", 0) for one in ways)
    lead = (
        ("人工接通率 answer rate", total.rate.text,
         f"{total.rate.answered:,} / {total.rate.offered:,}（≥ {TARGET_PERCENT} %）", total.rate.meets_target),
        ("15 秒接通率 15 s level", total.rate.level_text,
         f"{total.rate.in_level:,} / {total.rate.offered:,}", None),
        ("转接 transfers", f"{sent:,}", f"接听 answered {taken:,}", None),
        ("群众丢失 caller loss", f"{lost:,}", "应为 must be 0", lost == 0),
        ("争议 disputes", f"{len(figures.disputes):,}", f"三方决定 decisions {figures.decisions:,}", None),
    )  # fmt: skip
    sections = (_hotlines(figures, names), _days(figures), _worst(figures), _transfers(figures), _disputes(figures),
                _overflow(figures), _topics(figures))  # fmt: skip
    return Document(f"{site} 季度报告 {over.name} / quarterly report",
                    f"{span}（北京时间 Asia/Shanghai）　来电 calls {figures.calls:,}　账本事实 facts "
                    f"{figures.facts:,}　生成 made {made}", lead, sections)  # fmt: skip


def percent_text(hundredths: int | None) -> str:
    """`94.99 %`; "—" of nothing."""
    return "—" if hundredths is None else f"{hundredths // 100}.{hundredths % 100:02d} %"


def _part(some: int, of: int) -> int | None:
    return some * 10_000 // of if of else None


def _rate(rate: AnswerRate) -> int | None:
    return _part(rate.answered, rate.offered)


def _day(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1e6, SHANGHAI).strftime("%Y-%m-%d")


RATE = (Column("接通", "answered", "int"), Column("要求人工", "asked", "int"), Column("接通率", "rate", "percent"))


def _count(words: str) -> Column:
    zh, _, en = words.partition(" ")
    return Column(zh, en, "int")


def _hotlines(figures: Figures, names: Mapping[str, str]) -> Section:
    known = [name for name in OUTCOMES if any(one.outcomes.get(name) for one in figures.hotlines.values())]
    columns = [Column("热线", "hotline"), *RATE, Column("15秒内", "in 15 s", "int"),
               Column("15秒接通率", "15 s level", "percent"), Column("平均等待", "mean wait, s", "seconds"),
               Column("平均通话", "mean talk, s", "seconds")]  # fmt: skip
    listed = [*figures.hotlines.items(), ("合计 total", figures.total)]
    rows = [_hotline_row(f"{name} {names.get(name, '')}".strip(), one) for name, one in listed]
    by_outcome = Table(
        [Column("热线", "hotline"), *(_count(OUTCOMES[name]) for name in known)],
        [[name, *(one.outcomes.get(outcome, 0) for outcome in known)] for name, one in listed],
        "来电结果 outcomes",
    )
    bad = frozenset(n for n, (_, one) in enumerate(listed) if one.rate.meets_target is False)
    bars = plots.stacked([(name, [one.outcomes.get(outcome, 0) for outcome in known])
                          for name, one in figures.hotlines.items()], [OUTCOMES[name] for name in known])  # fmt: skip
    return Section("接通率与来电", "answer rate and calls", "接通率 answer rate",
                   [(RULE["zh"], RULE["en"]), RULES["level"]],
                   [Table(columns, rows, "", bad), by_outcome], [bars] if figures.calls else [])  # fmt: skip


def _hotline_row(name: str, one: HotlineFigures) -> list[Cell]:
    rate = one.rate
    talk = one.talk_ms // rate.answered if rate.answered else None
    return [name, rate.answered, rate.offered, _rate(rate), rate.in_level, _part(rate.in_level, rate.offered),
            rate.asa_ms, talk]  # fmt: skip


def _days(figures: Figures) -> Section:
    rows: list[list[Cell]] = [[_day(span.at), span.rate.answered, span.rate.offered, _rate(span.rate)]
                              for span in figures.days]  # fmt: skip
    bad = frozenset(n for n, span in enumerate(figures.days) if span.rate.meets_target is False)
    failed = f"{len(bad)} / {sum(1 for s in figures.days if s.rate.offered)}"
    line = plots.days([(_day(s.at)[5:], _rate(s.rate), s.rate.answered, s.rate.offered) for s in figures.days],
                      TARGET_PERCENT * 100)  # fmt: skip
    heat = plots.week({when: (_rate(rate), rate.answered, rate.offered) for when, rate in figures.week.items()})
    return Section("每日与每时", "by day and hour of the week", "每日 by day",
                   [(f"低于 {TARGET_PERCENT} % 的天数：{failed}", f"days under {TARGET_PERCENT} %: {failed}")],
                   [Table([Column("日期", "day"), *RATE], rows, "", bad)],
                   [line, heat] if figures.days else [])  # fmt: skip


def _worst(figures: Figures) -> Section:
    def table(spans: Sequence[Span], minutes: int, title: str) -> Table:
        rows: list[list[Cell]] = []
        for span in spans:
            at = dt.datetime.fromtimestamp(span.at / 1e6, SHANGHAI)
            until = at + dt.timedelta(minutes=minutes)
            week = "一二三四五六日"[at.weekday()]
            rate = span.rate
            rows.append([f"{at:%Y-%m-%d} 周{week}", f"{at:%H:%M}–{until:%H:%M}", rate.answered, rate.offered,
                         _rate(rate), rate.offered - rate.answered])  # fmt: skip
        columns = [Column("日期", "day"), Column("时段", "time"), *RATE, Column("未接通", "not answered", "int")]
        return Table(columns, rows, title)

    return Section("接通率最低的时段", "worst hours", "最低时段 worst hours", [RULES["worst"]],
                   [table(figures.worst_hours, 60, "小时 hours"),
                    table(figures.worst_buckets, 15, "一刻钟 quarters of an hour")])  # fmt: skip


def _transfers(figures: Figures) -> Section:
    columns = [Column("方向", "direction"), Column("次数", "transfers", "int"),
               *(_count(words) for words in ENDS.values()),
               Column("群众丢失", "caller loss", "int"),
               Column("按键至应答 中位", "key to answer, median, s", "seconds"),
               Column("95分位", "p95, s", "seconds")]  # fmt: skip

    def row(way: tuple[str, str], one: Transfers) -> list[Cell]:
        return [f"{way[0]} → {way[1]}", sum(one.outcomes.values()), *(one.outcomes.get(name, 0) for name in ENDS),
                one.lost, one.median_ms, one.p95_ms]  # fmt: skip

    refused: list[list[Cell]] = [[f"{way[0]} → {way[1]}", why, count]
               for way, one in figures.transfers.items() for why, count in sorted(one.refused.items())]  # fmt: skip
    tables = [Table(columns, [row(way, one) for way, one in figures.transfers.items()], "",
                    frozenset(n for n, one in enumerate(figures.transfers.values()) if one.lost))]  # fmt: skip
    if refused:
        tables.append(Table([Column("方向", "direction"), Column("原因", "reason"), Column("次数", "count", "int")],
                            refused, "拒绝原因 refusals"))  # fmt: skip
    bars = plots.stacked([(f"{way[0]} → {way[1]}", [one.outcomes.get(name, 0) for name in ENDS])
                          for way, one in figures.transfers.items()], list(ENDS.values()))  # fmt: skip
    return Section("转接", "transfers by direction", "转接 transfers", [RULES["key"], RULES["loss"]],
                   tables if figures.transfers else [], [bars] if figures.transfers else [])  # fmt: skip


def _disputes(figures: Figures) -> Section:
    rows: list[list[Cell]] = [
        [dt.datetime.fromtimestamp(one.at / 1e6, SHANGHAI).strftime("%m-%d %H:%M"), one.ref, DISPUTES[one.kind],
         one.first_platform, one.accepts or "—", one.said, one.reason, one.text]
        for one in figures.disputes
    ]  # fmt: skip
    columns = [Column("时间", "time"), Column("编号", "call"), Column("类别", "kind"), Column("首接", "first"),
               Column("受理", "accepts"), Column("意见", "said"), Column("事由", "reason"),
               Column("说明", "text")]  # fmt: skip
    count = f"{len(rows)} / {figures.decisions}"
    return Section("争议事项", "disputed decisions", "争议 disputes",
                   [(f"争议 {len(rows)} 件，三方通话决定 {figures.decisions} 件", f"disputed / decided: {count}")],
                   [Table(columns, rows)] if rows else [])  # fmt: skip


def _overflow(figures: Figures) -> Section:
    lines = Table([Column("队列", "line"), Column("溢出到", "to"), Column("原因", "why"),
                   Column("次数", "callers", "int")],
                  [[line, to, WHYS.get(why, why), count] for (line, to, why), count in figures.overflows.items()],
                  "队列溢出 callers passed on to another line")  # fmt: skip
    seats = Table([Column("借入借出", "side"), Column("站点", "site"), Column("次数", "leases", "int"),
                   Column("席位小时", "seat hours", "hours")],
                  [[SIDES.get(side, side), site, count, seconds * 1000]
                   for (side, site), (count, seconds) in figures.leases.items()],
                  "异地席位 seats lent between sites")  # fmt: skip
    none = [("本期没有溢出，也没有借用席位", "no overflow, no seat lent")]
    return Section("溢出与异地席位", "overflow and remote seats", "溢出 overflow",
                   [] if figures.overflows or figures.leases else none,
                   [one for one in (lines, seats) if one.rows])  # fmt: skip


def _topics(figures: Figures) -> Section:
    if not figures.topics:
        return Section("热点事项", "hot topics", "热点 topics",
                       [("无数据：本期没有带事项编码（item、topic）的事实",
                         "no data: no fact of this period carries an item code (item, topic)")])  # fmt: skip
    total = sum(figures.topics.values())
    top = list(figures.topics.items())[:20]
    return Section("热点事项", "hot topics", "热点 topics",
                   [("按事项编码，前 20 项", "by item code, the first 20")],
                   [Table([Column("事项编码", "item"), Column("次数", "count", "int"),
                           Column("占比", "share", "percent")],
                          [[code, count, _part(count, total)] for code, count in top])],
                   [plots.stacked([(code, [count]) for code, count in top[:10]], ["次数 count"])])  # fmt: skip
