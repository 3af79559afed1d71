"""One site's board: its hotlines, seats, trunks, three-party calls, recordings. Knows: our metrics."""

from __future__ import annotations

from cti.dashboards.board import Board, Row
from cti.dashboards.model import (
    AMBER,
    GREEN,
    NONE_IS_GOOD,
    ONE_IS_GOOD,
    RED,
    TARGET,
    Bars,
    Column,
    Lines,
    Query,
    Stat,
    Steps,
    Table,
)
from cti.dashboards.operations import RULE, SITE, rate
from cti.dashboards.words import STATES, Text, same

KINDS = {"dedicated": STATES["dedicated"], "general": STATES["general"], "outside": STATES["outside"]}
SEATS = {
    f"{platform} {kind}": Text(f"{platform} {STATES[kind].zh}", f"{platform} {STATES[kind].en}")
    for platform in ("12345", "110")
    for kind in ("dedicated", "general")
}


def _hotline(expr: str) -> Query:
    return Query(expr, at=True)


SITE_BOARD = Board(
    key="site",
    title=Text("站点", "Site"),
    note=Text(
        "一个站点的热线、席位、中继、三方通话与录音。",
        "One site: hotlines, seats, trunks, three-party calls, recordings.",
    ),
    one_site=True,
    items=(
        Row(Text("热线", "Hotlines")),
        Table(
            key="hotlines",
            title=Text("各热线", "Hotlines"),
            note=RULE,
            w=16,
            queries=(
                _hotline(rate("15m", "hotline")),
                _hotline(rate("24h", "hotline")),
                _hotline(rate("30d", "hotline")),
                _hotline(f"round(sum by (hotline) (site_hotline:cti_calls_asked:increase24h{SITE}))"),
                _hotline(f"sum by (hotline) (cti_waiting_callers{SITE})"),
                _hotline(f"max by (hotline) (cti_waiting_longest_seconds{SITE})"),
            ),
            columns=(
                Column("hotline", Text("热线", "hotline")),
                Column("Value #A", Text("接通率 15 分钟", "rate 15 min"), "percentunit", 2, TARGET),
                Column("Value #B", Text("24 小时", "24 h"), "percentunit", 2, TARGET),
                Column("Value #C", Text("30 天", "30 d"), "percentunit", 2, TARGET),
                Column("Value #D", Text("求助人工 24 小时", "asked 24 h"), "short", 0),
                Column("Value #E", Text("正在等待", "waiting"), "short", 0),
                Column("Value #F", Text("最长等待", "longest wait"), "s", 0, Steps(GREEN, ((15, AMBER), (60, RED)))),
            ),
        ),
        Bars(
            key="wait-buckets",
            title=Text("接听等待分布（24 小时，累计）", "Time to answer, cumulative (24 h)"),
            note=Text("在这么久之内接通的来电数。", "Calls answered within so long."),
            queries=tuple(
                Query(
                    f'sum (increase(cti_answer_wait_seconds_bucket{{site=~"$site",le="{le}"}}[24h]))',
                    Text(f"≤ {le.removesuffix('.0')} 秒", f"<= {le.removesuffix('.0')} s")
                    if le != "+Inf"
                    else Text("全部", "all"),
                    at=True,
                )
                for le in ("5.0", "10.0", "15.0", "20.0", "30.0", "60.0", "+Inf")
            ),
            decimals=0,
            least=0,
        ),
        Row(Text("席位", "Seats")),
        Bars(
            key="serving",
            names=SEATS,
            title=Text("在接电话的席位", "Seats that take calls"),
            note=Text("就绪或话后整理，且话机在线。", "Ready or in wrap-up, and their telephone is reachable."),
            queries=(
                Query(f"sum by (platform, kind) (cti_seats_serving{SITE})", same("{{platform}} {{kind}}"), at=True),
            ),
            steps=Steps(RED, ((1, GREEN),)),
            least=0,
        ),
        Lines(
            key="free",
            names=SEATS,
            title=Text("空闲席位", "Seats free"),
            note=Text("按平台与种类。", "By platform and kind."),
            least=0,
            queries=(Query(f"sum by (platform, kind) (cti_seats_free{SITE})", same("{{platform}} {{kind}}")),),
        ),
        Lines(
            key="misses",
            title=Text("漏接（每 5 分钟）", "Rings nobody answered (per 5 min)"),
            note=Text("席位的漏接，不是丢失的来电。", "A seat's miss, not a lost call."),
            bars=True,
            least=0,
            queries=(Query(f"sum (increase(cti_seat_misses_total{SITE}[5m])) or vector(0)", Text("漏接", "misses")),),
        ),
        Row(Text("专席与三方通话", "Dedicated seats and three-party calls")),
        Table(
            key="handed-over",
            title=Text("对方转来由谁接听（24 小时）", "Who took what was handed over (24 h)"),
            note=Text("专席、普通席或外线。", "Dedicated seats, general ones, or telephones outside."),
            names=KINDS,
            queries=(Query(f"round(sum by (to, by) (increase(cti_handed_over_total{SITE}[24h]))) > 0", at=True),),
            columns=(
                Column("to", Text("平台", "platform")),
                Column("by", Text("接听者", "by")),
                Column("Value #A", Text("次数", "count")),
            ),
        ),
        Lines(
            key="conferences",
            title=Text("三方通话（每小时）", "Three-party calls (per hour)"),
            note=Text("按首接平台。", "By the platform that received the call first."),
            bars=True,
            stack=True,
            least=0,
            queries=(
                Query(
                    f"sum by (first_platform) (increase(cti_conferences_total{SITE}[1h]))",
                    same("{{first_platform}}"),
                    exemplars=True,
                ),
            ),
        ),
        Lines(
            key="disputes",
            title=Text("意见不一（24 小时）", "Disagreements (24 h)"),
            note=Text(
                "双方意见不一，或决定后又有不同表态。",
                "The platforms disagreed, or a contrary word came after the decision.",
            ),
            queries=(
                Query(
                    f"sum (increase(cti_conference_disputes_total{SITE}[24h])) or vector(0)",
                    Text("意见不一", "disagreements"),
                ),
            ),
            least=0,
        ),
        Row(Text("中继与录音", "Trunks and recordings")),
        Stat(
            key="trunks",
            title=Text("中继", "Trunks"),
            note=Text("1 为通。", "1: up."),
            w=6,
            h=6,
            queries=(Query(f"min by (trunk) (cti_trunk_up{SITE})", same("{{trunk}}"), at=True),),
            steps=ONE_IS_GOOD,
        ),
        Stat(
            key="disk",
            title=Text("录音盘剩余", "Recordings' disk, free"),
            unit="bytes",
            w=6,
            h=6,
            graph=True,
            note=Text("低于 min_free_mb 即告警。", "Less than min_free_mb is an alarm."),
            queries=(Query(f"min (cti_recordings_free_bytes{SITE})"),),
        ),
        Lines(
            key="recordings",
            title=Text("录音（每小时）", "Recordings (per hour)"),
            w=12,
            h=6,
            bars=True,
            stack=True,
            least=0,
            note=Text(
                "indexed 已登记；no-file、empty、failed 为缺失。",
                "indexed: on record; no-file, empty, failed: missing.",
            ),
            queries=(Query(f"sum by (what) (increase(cti_recordings_total{SITE}[1h]))", same("{{what}}")),),
            steps=NONE_IS_GOOD,
        ),
    ),
)
