"""The province's board: its sites beside each other. Counts are summed across sites, percentages never averaged."""

from __future__ import annotations

from cti.dashboards.board import Board, Row
from cti.dashboards.model import (
    AMBER,
    GREEN,
    ONE_IS_GOOD,
    RED,
    TARGET,
    Column,
    Lines,
    Query,
    Stat,
    Steps,
    Table,
)
from cti.dashboards.operations import RULE, SITE, rate
from cti.dashboards.words import Text, same

SITES = {
    "530100": "昆明市 Kunming", "530300": "曲靖市 Qujing", "530400": "玉溪市 Yuxi", "530500": "保山市 Baoshan",
    "530600": "昭通市 Zhaotong", "530700": "丽江市 Lijiang", "530800": "普洱市 Pu'er", "530900": "临沧市 Lincang",
    "532300": "楚雄州 Chuxiong", "532500": "红河州 Honghe", "532600": "文山州 Wenshan",
    "532800": "西双版纳州 Xishuangbanna", "532900": "大理州 Dali", "533100": "德宏州 Dehong",
    "533300": "怒江州 Nujiang", "533400": "迪庆州 Diqing",
}  # fmt: skip
"""Yunnan's prefectures (GB/T 2260); another province's codes show as they are"""
NAMES = {code: Text(*both.split(" ", 1)) for code, both in SITES.items()}


def _now(expr: str) -> Query:
    return Query(expr, at=True)


PROVINCE = Board(
    key="province",
    title=Text("省级总览", "Province"),
    note=Text(
        "各站点并列；次数相加，百分数从不平均。",
        "The sites beside each other; counts are summed, percentages never averaged.",
    ),
    span="now-24h",
    items=(
        Row(Text("全省", "All sites")),
        Stat(
            key="rate-24h",
            title=Text("接通率，近 24 小时", "Answer rate, last 24 h"),
            note=RULE,
            unit="percentunit",
            decimals=2,
            queries=(_now(rate("24h")),),
            steps=TARGET,
            w=6,
        ),
        Stat(
            key="rate-30d",
            title=Text("接通率，近 30 天", "Answer rate, last 30 days"),
            note=RULE,
            unit="percentunit",
            decimals=2,
            queries=(_now(rate("30d")),),
            steps=TARGET,
            w=6,
        ),
        Stat(
            key="asked",
            title=Text("求助人工，近 24 小时", "Asked for a person, last 24 h"),
            note=RULE,
            decimals=0,
            w=6,
            queries=(_now(f"round(sum (site_hotline:cti_calls_asked:increase24h{SITE}))"),),
        ),
        Stat(
            key="sites",
            title=Text("在线站点", "Sites up"),
            note=Text("服务应答的站点。", "Sites whose service answers."),
            w=6,
            queries=(_now('sum (up{job="cti",site=~"$site"})'),),
            steps=ONE_IS_GOOD,
        ),
        Row(Text("各站点", "Site by site")),
        Table(
            key="table",
            title=Text("各站点", "Sites"),
            note=RULE,
            w=24,
            h=9,
            names=NAMES,
            queries=(
                _now(rate("15m", "site")),
                _now(rate("24h", "site")),
                _now(rate("30d", "site")),
                _now(f"round(sum by (site) (site_hotline:cti_calls_asked:increase24h{SITE}))"),
                _now(f"sum by (site) (cti_waiting_callers{SITE})"),
                _now(f"max by (site) (cti_waiting_longest_seconds{SITE})"),
                _now(f"sum by (site) (cti_seats_serving{SITE})"),
                _now(f"sum by (site) (cti_seats_free{SITE})"),
                _now(f"min by (site) (cti_ami_up{SITE})"),
            ),
            columns=(
                Column("site", Text("站点", "site")),
                Column("Value #A", Text("接通率 15 分钟", "rate 15 min"), "percentunit", 2, TARGET),
                Column("Value #B", Text("24 小时", "24 h"), "percentunit", 2, TARGET),
                Column("Value #C", Text("30 天", "30 d"), "percentunit", 2, TARGET),
                Column("Value #D", Text("求助人工 24 小时", "asked 24 h"), "short", 0),
                Column("Value #E", Text("正在等待", "waiting"), "short", 0),
                Column("Value #F", Text("最长等待", "longest wait"), "s", 0, Steps(GREEN, ((15, AMBER), (60, RED)))),
                Column("Value #G", Text("在接席位", "serving"), "short", 0),
                Column("Value #H", Text("空闲席位", "free"), "short", 0),
                Column("Value #I", Text("交换机", "switch"), "short", 0, ONE_IS_GOOD),
            ),
        ),
        Lines(
            key="rate-by-site",
            title=Text("接通率（1 小时）", "Answer rate (1 h)"),
            note=RULE,
            unit="percentunit",
            queries=(Query(rate("1h", "site"), same("{{site}}")),),
            steps=TARGET,
            line=True,
            least=0,
            most=1,
            w=12,
            names=NAMES,
        ),
        Lines(
            key="asked-by-site",
            title=Text("求助人工（每小时）", "Asked for a person (per hour)"),
            note=RULE,
            least=0,
            w=12,
            queries=(Query(f"sum by (site) (site_hotline:cti_calls_asked:increase1h{SITE})", same("{{site}}")),),
            names=NAMES,
        ),
        Lines(
            key="transfers-by-site",
            title=Text("接通的转接（每小时）", "Answered transfers (per hour)"),
            least=0,
            w=12,
            note=Text("按站点，两个方向合计。", "By site, both directions."),
            names=NAMES,
            queries=(
                Query(
                    'sum by (site) (increase(cti_transfers_total{site=~"$site",outcome="answered"}[1h]))',
                    same("{{site}}"),
                ),
            ),
        ),
        Lines(
            key="borrowed",
            title=Text("借入的席位", "Borrowed seats"),
            least=0,
            w=12,
            names=NAMES,
            note=Text("向其他站点借来、尚未归还的席位。", "Seats of other sites, not yet given back."),
            queries=(
                Query(
                    f'sum by (site) (cti_leases{{site=~"$site",side="borrower"}} or cti_ami_up{SITE} * 0)',
                    same("{{site}}"),
                ),
            ),
        ),
    ),
)
