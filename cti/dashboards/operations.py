"""The board of the shift: the answer rate against 95 %, who waits, seats, transfers, overflow. Knows: our metrics."""

from __future__ import annotations

from cti.dashboards.board import Board, Row
from cti.dashboards.model import (
    AMBER,
    GREEN,
    NONE_IS_GOOD,
    RED,
    TARGET,
    Column,
    Lines,
    Panel,
    Query,
    Stat,
    Steps,
    Table,
)
from cti.dashboards.words import OUTCOMES, STATES, Text, same

SITE = '{site=~"$site"}'
ASKED = '{site=~"$site",outcome=~"answered|abandoned|callback|timeout|refused"}'
RULE = Text(
    "接通率 = 接通 ÷（接通＋放弃＋改为回电＋超时＋拒绝），通话结束时计数；正式数字以账本为准，按来电时间归属。"
    "没有来电显示“—”。",
    "answered / (answered + abandoned + chose a callback + timed out + refused), counted as calls end; the official "
    "figure is the ledger's, by arrival. Nothing offered shows —.",
)
PERCENTILE = Text(
    "分位数由分桶内插，桶界含 5、10、15、20、30 秒。",
    "Interpolated within buckets; bounds include 5, 10, 15, 20, 30 s.",
)
DIRECTION = same("{{first_platform}} → {{to}}")


def rate(window: str, by: str = "", site: str = SITE) -> str:
    """The answer rate over one of the recorded windows, of all chosen or by a label."""
    of = f" by ({by})" if by else ""
    answered, asked = (f"site_hotline:cti_calls_{what}:increase{window}{site}" for what in ("answered", "asked"))
    return f"sum{of} ({answered}) / (sum{of} ({asked}) > 0)"


def _rates() -> tuple[Panel, ...]:
    windows = (("15m", Text("此刻（15 分钟）", "now (15 min)")), ("24h", Text("近 24 小时", "last 24 h")),
               ("30d", Text("近 30 天", "last 30 days")))  # fmt: skip
    return tuple(
        Stat(key=f"rate-{window}", title=Text(f"接通率 {text.zh}", f"Answer rate, {text.en}"), note=RULE,
             queries=(Query(rate(window), at=True),), unit="percentunit", decimals=2, steps=TARGET, least=0, most=1)
        for window, text in windows
    )  # fmt: skip


OPERATIONS = Board(
    key="operations",
    title=Text("热线运行总览", "Hotline operations"),
    note=Text(
        "当班看这一页：接通率、等待、席位、转接、溢出。",
        "The shift's page: answer rate, who waits, seats, transfers, overflow.",
    ),
    items=(
        Row(Text("此刻", "Now")),
        *_rates(),
        Stat(
            key="waiting",
            title=Text("正在等待", "Callers waiting"),
            note=Text("排队等人接听的来电人。", "Callers in line for a person."),
            queries=(Query(f"sum (cti_waiting_callers{SITE})", at=True),),
            steps=Steps(GREEN, ((1, AMBER), (5, RED))),
        ),
        Stat(
            key="longest",
            title=Text("最长等待", "Longest wait"),
            note=Text(
                "此刻等得最久的人等了多久；目标 15 秒内接听。",
                "How long the one who came first has been waiting; 15 s to answer is the target.",
            ),
            queries=(Query(f"max (cti_waiting_longest_seconds{SITE})", at=True),),
            unit="s",
            decimals=0,
            steps=Steps(GREEN, ((15, AMBER), (60, RED))),
        ),
        Stat(
            key="free",
            title=Text("空闲席位", "Seats free"),
            note=Text("就绪且空闲，下一通可以振铃。", "Ready and idle: the next call can ring there."),
            queries=(Query(f"sum (cti_seats_free{SITE})", at=True),),
            steps=Steps(RED, ((1, AMBER), (2, GREEN))),
        ),
        Row(Text("接通率与等待", "Answer rate and waiting")),
        Lines(
            key="rate-by-hotline",
            title=Text("各热线接通率（1 小时）", "Answer rate by hotline (1 h)"),
            note=RULE,
            queries=(Query(rate("1h", "hotline"), same("{{hotline}}")),),
            unit="percentunit",
            steps=TARGET,
            line=True,
            least=0,
            most=1,
            w=12,
        ),
        Lines(
            key="outcomes",
            title=Text("来电去向（每 5 分钟）", "Calls by outcome (per 5 min)"),
            note=Text("“未求助人工”和“已回电”不计入接通率。", "Unasked and called back are not in the answer rate."),
            queries=(
                Query(f"sum by (outcome) (increase(cti_calls_total{SITE}[5m]))", same("{{outcome}}"), exemplars=True),
            ),
            names=OUTCOMES,
            bars=True,
            stack=True,
            least=0,
            w=12,
        ),
        Lines(
            key="waiting-by-hotline",
            title=Text("等待人数", "Callers waiting"),
            note=Text("按热线。", "By hotline."),
            least=0,
            queries=(Query(f"sum by (hotline) (cti_waiting_callers{SITE})", same("{{hotline}}")),),
        ),
        Lines(
            key="wait",
            title=Text("接听等待（1 小时）", "Time to answer (1 h)"),
            note=PERCENTILE,
            unit="s",
            least=0,
            queries=tuple(
                Query(
                    f"histogram_quantile({q}, sum by (le) (rate(cti_answer_wait_seconds_bucket{SITE}[1h]))) >= 0",
                    Text(zh, en),
                    exemplars=q == "0.95",
                )
                for q, zh, en in (("0.5", "中位数", "median"), ("0.95", "95 % 分位", "95th percentile"))
            ),
        ),
        Lines(
            key="in-15s",
            title=Text("15 秒内接通 ÷ 求助人工（1 小时）", "Answered in 15 s / asked (1 h)"),
            # Both counts are read at one instant, not one of them from a rule: else it passes 100 % now and then.
            note=Text(
                "四种算法中本系统用的一种：15 秒内接通数 ÷ 全部求助人工的来电。",
                "Of the four formulas in use ours: answered within 15 s / all that asked for a person.",
            ),
            queries=(
                Query(
                    f'sum by (hotline) (increase(cti_answer_wait_seconds_bucket{{site=~"$site",le="15.0"}}[1h]))'
                    f" / (sum by (hotline) (increase(cti_calls_total{ASKED}[1h])) > 0)",
                    same("{{hotline}}"),
                ),
            ),
            unit="percentunit",
            least=0,
            most=1,
        ),
        Row(Text("席位", "Seats")),
        Lines(
            key="seats-by-state",
            title=Text("席位状态（观察到的）", "Seats by observed state"),
            note=Text("话机和通话实际的样子。", "As telephones and calls show it."),
            names=STATES,
            stack=True,
            least=0,
            queries=(Query(f"sum by (state) (cti_seats{SITE})", same("{{state}}")),),
            w=12,
        ),
        Lines(
            key="seats-by-status",
            title=Text("席位状态（登记的）", "Seats by declared status"),
            note=Text("话务员自己登记的。", "As agents declared it."),
            names=STATES,
            stack=True,
            least=0,
            queries=(Query(f"sum by (status) (cti_seat_status{SITE})", same("{{status}}")),),
            w=12,
        ),
        Row(Text("转接", "Transfers")),
        Table(
            key="transfers",
            title=Text("转接：方向与结局（24 小时）", "Transfers by direction and outcome (24 h)"),
            note=Text("次数由计数器估算，不一定是整数。", "Counts are estimated from counters and may not be whole."),
            queries=(
                Query(
                    f"round(sum by (first_platform, to, outcome) (increase(cti_transfers_total{SITE}[24h]))) > 0",
                    at=True,
                ),
            ),
            names=OUTCOMES,
            w=8,
            columns=(
                Column("first_platform", Text("首接", "first")),
                Column("to", Text("转往", "to")),
                Column("outcome", Text("结局", "outcome")),
                Column("Value #A", Text("次数", "count")),
            ),
        ),
        Lines(
            key="key-to-answer",
            title=Text("按键 → 对方接听（1 小时）", "Key to answer (1 h)"),
            note=PERCENTILE,
            unit="s",
            least=0,
            queries=tuple(
                Query(
                    f"max by (first_platform, to) (site_way:cti_transfer_answer_seconds:p{p}_1h{SITE})",
                    Text(f"{{{{first_platform}}}} → {{{{to}}}} {zh}", f"{{{{first_platform}}}} → {{{{to}}}} {en}"),
                )
                for p, zh, en in ((50, "中位数", "median"), (95, "95 %", "95 %"))
            ),
        ),
        Lines(
            key="transfer-failed",
            title=Text("转接失败比例（30 分钟）", "Share of failed transfers (30 min)"),
            note=Text(
                "归还、途中主叫挂机或结局不明；按规则拒绝的和座席取消的不算。",
                "Returned, caller gone on the way or unknown; refused keys and the agent's cancel are none.",
            ),
            queries=(
                Query(
                    f"sum by (first_platform, to) (site_way:cti_transfers_failed:increase30m{SITE}) / "
                    f"(sum by (first_platform, to) (site_way:cti_transfers_ended:increase30m{SITE}) > 0)",
                    DIRECTION,
                ),
            ),
            unit="percentunit",
            least=0,
            most=1,
            steps=Steps(GREEN, ((0.2, RED),)),
            line=True,
        ),
        Row(Text("溢出、借席与回电", "Overflow, borrowed seats, callbacks")),
        Lines(
            key="overflow",
            title=Text("溢出与未能服务（每 5 分钟）", "Overflow and not served (per 5 min)"),
            note=Text(
                "溢出：等待超时、队满或非服务时间，转到另一队列；未能服务：告知后挂断。",
                "Passed on to another line: waited too long, line full, closed. Not served: told so, then hung up.",
            ),
            bars=True,
            least=0,
            queries=(
                Query(
                    f"sum (increase(cti_overflows_total{SITE}[5m])) or vector(0)",
                    Text("溢出", "passed on"),
                    exemplars=True,
                ),
                Query(f"sum (increase(cti_not_served_total{SITE}[5m])) or vector(0)", Text("未能服务", "not served")),
            ),
        ),
        Lines(
            key="leases",
            title=Text("互借席位", "Seats lent and borrowed"),
            note=Text("尚未结束的借用。", "Leases that are open."),
            least=0,
            queries=(
                Query('sum (cti_leases{site=~"$site",side="borrower"}) or vector(0)', Text("借入", "borrowed")),
                Query('sum (cti_leases{site=~"$site",side="owner"}) or vector(0)', Text("借出", "lent")),
            ),
        ),
        Lines(
            key="callbacks",
            title=Text("未完成的回电", "Callbacks still open"),
            note=Text(
                "110 和危险的为紧急；放弃的 110 来电至少回拨一次。",
                "110 and danger are high; an abandoned 110 call gets at least one attempt.",
            ),
            queries=(Query(f"sum by (priority) (cti_callbacks_open{SITE})", same("{{priority}}")),),
            names={"high": Text("紧急", "high"), "normal": Text("一般", "normal")},
            steps=NONE_IS_GOOD,
            least=0,
        ),
    ),
)
