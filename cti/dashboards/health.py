"""The engineers' board: links, ledger, FastAGI, dial tests, the process itself. Knows: our metrics."""

from __future__ import annotations

from cti.dashboards.board import Board, Row
from cti.dashboards.model import (
    NONE_IS_GOOD,
    ONE_IS_GOOD,
    Bars,
    Column,
    Lines,
    Query,
    Stat,
    Table,
)
from cti.dashboards.operations import SITE
from cti.dashboards.words import Text, same

OF_SITE = same("{{site}}")


def _up(key: str, title: Text, expr: str, note: Text) -> Stat:
    return Stat(key=key, title=title, note=note, queries=(Query(expr, OF_SITE, at=True),), steps=ONE_IS_GOOD)


def _none(key: str, title: Text, expr: str, note: Text) -> Stat:
    return Stat(
        key=key, title=title, note=note, queries=(Query(expr, OF_SITE, at=True),), steps=NONE_IS_GOOD, decimals=0
    )


HEALTH = Board(
    key="health",
    title=Text("服务健康", "Service health"),
    note=Text(
        "工程师看这一页；告警的含义见 docs/operations.md。",
        "The engineers' page; what alerts mean: docs/operations.md.",
    ),
    span="now-3h",
    items=(
        Row(Text("连接", "Links")),
        _up(
            "up",
            Text("服务", "Service"),
            'min by (site) (up{job="cti",site=~"$site"})',
            Text("Prometheus 抓得到服务。", "Prometheus reaches the service."),
        ),
        _up(
            "ami",
            Text("交换机（AMI）", "Asterisk (AMI)"),
            f"min by (site) (cti_ami_up{SITE})",
            Text("与交换机的连接已登录。", "The link to the switch is logged in."),
        ),
        _up(
            "ledger",
            Text("账本（Redis）", "Ledger (Redis)"),
            f"min by (site) (cti_ledger_up{SITE})",
            Text("Redis 应答。", "Redis answers."),
        ),
        _none(
            "spool",
            Text("本地暂存", "Spooled facts"),
            f"max by (site) (cti_spool_facts{SITE})",
            Text("等待写入 Redis 的事实。", "Facts that wait on the local disk for Redis."),
        ),
        _none(
            "lost",
            Text("丢失的事实（24 小时）", "Facts lost (24 h)"),
            'sum by (site) (increase(cti_ledger_events_total{site=~"$site",what="lost"}[24h]))',
            Text("既没进账本也没进暂存；必须为 0。", "Reached neither ledger nor spool; must be 0."),
        ),
        _none(
            "anomalies",
            Text("意外步骤（24 小时）", "Unexpected steps (24 h)"),
            f"sum by (site) (increase(cti_bad_steps_total{SITE}[24h]))"
            f" + (sum by (site) (increase(cti_anomalies_total{SITE}[24h])) or sum by (site) (cti_ami_up{SITE}) * 0)",
            Text(
                "拨号计划说了核心没料到的话；看 cti trace。",
                "The dialplan told what the core did not expect: cti trace.",
            ),
        ),
        Row(Text("告警与拨测", "Alerts and dial tests")),
        Table(
            key="alerts",
            title=Text("正在告警", "Alerts"),
            w=16,
            note=Text("空白为没有告警；处置见 docs/operations.md。", "Empty: none. What to do: docs/operations.md."),
            queries=(Query('sort_desc(ALERTS{site=~"$site|",alertstate=~"pending|firing"})', at=True),),
            columns=(
                Column("alertname", Text("告警", "alert")),
                Column("severity", Text("级别", "severity")),
                Column("alertstate", Text("状态", "state")),
                Column("site", Text("站点", "site")),
                Column("platform", Text("平台", "platform")),
                Column("hotline", Text("热线", "hotline")),
            ),
        ),
        Bars(
            key="dialtest",
            title=Text("最近拨测：最长静音", "Last dial tests: longest silence"),
            unit="s",
            decimals=2,
            note=Text(
                "来电人连续听不到声音的最长时间；1 秒以上即告警。",
                "Longest time a caller heard nothing; a second or more is an alarm.",
            ),
            queries=(
                Query(f"max by (scenario) (cti_dialtest_silence_max_seconds{SITE})", same("{{scenario}}"), at=True),
            ),
            steps=NONE_IS_GOOD,
            least=0,
        ),
        Row(Text("账本", "Ledger")),
        Lines(
            key="facts",
            title=Text("写入的事实（每秒）", "Facts appended (per s)"),
            unit="ops",
            least=0,
            note=Text(
                "live 实时、cel 补录、service 服务自己。",
                "live, caught up from Asterisk's record, of the service itself.",
            ),
            queries=(Query(f"sum by (source) (rate(cti_ledger_facts_total{SITE}[5m]))", same("{{source}}")),),
        ),
        Lines(
            key="append",
            title=Text("写入耗时，99 % 分位", "Append time, 99th percentile"),
            unit="s",
            least=0,
            note=Text("一批事实落盘为止；redis 或 spool。", "Until a batch is durable, in Redis or in the spool."),
            queries=(
                Query(
                    f"histogram_quantile(0.99, sum by (where, le) "
                    f"(rate(cti_ledger_append_seconds_bucket{SITE}[5m]))) >= 0",
                    same("{{where}}"),
                ),
            ),
        ),
        Lines(
            key="ledger-events",
            title=Text("账本异常（每小时）", "Ledger troubles (per hour)"),
            least=0,
            bars=True,
            note=Text("duplicate 为重复告知，无害。", "duplicate: told twice, harmless."),
            queries=(Query(f"sum by (what) (increase(cti_ledger_events_total{SITE}[1h]))", same("{{what}}")),),
        ),
        Row(Text("Asterisk", "Asterisk")),
        Lines(
            key="agi",
            title=Text("FastAGI 会话，99 % 分位", "FastAGI session, 99th percentile"),
            unit="s",
            least=0,
            note=Text("来电人等它至多 1 秒。", "The caller waits for it 1 s at most."),
            queries=(
                Query(
                    f"histogram_quantile(0.99, sum by (script, le) "
                    f"(rate(cti_agi_session_seconds_bucket{SITE}[5m]))) >= 0",
                    same("{{script}}"),
                ),
            ),
        ),
        Lines(
            key="commands",
            title=Text("对 Asterisk 的命令（每 5 分钟）", "Commands to Asterisk (per 5 min)"),
            least=0,
            note=Text("按结果。", "By result."),
            bars=True,
            stack=True,
            queries=(Query(f"sum by (result) (increase(cti_commands_total{SITE}[5m]))", same("{{result}}")),),
        ),
        Lines(
            key="live",
            title=Text("在线通话", "Live calls"),
            stack=True,
            least=0,
            note=Text("按来电人所在之处。", "By where the caller is."),
            queries=(Query(f"sum by (phase) (cti_live_calls{SITE})", same("{{phase}}")),),
            names={
                "entering": Text("进入", "entering"),
                "queued": Text("排队", "queued"),
                "talking": Text("通话", "talking"),
                "waiting": Text("等待", "waiting"),
            },
        ),
        Row(Text("进程", "Process")),
        Lines(
            key="memory",
            title=Text("内存", "Memory"),
            unit="bytes",
            least=0,
            note=Text("常驻内存。", "Resident."),
            queries=(Query('sum by (site) (process_resident_memory_bytes{job="cti",site=~"$site"})', OF_SITE),),
        ),
        Lines(
            key="cpu",
            title=Text("处理器", "Processor"),
            unit="percentunit",
            least=0,
            note=Text("1 为一个核用满。", "1: one core is busy."),
            queries=(Query('sum by (site) (rate(process_cpu_seconds_total{job="cti",site=~"$site"}[5m]))', OF_SITE),),
        ),
        Lines(
            key="fds",
            title=Text("打开的文件", "Open files"),
            least=0,
            note=Text("逼近上限前处理。", "Act before the limit."),
            queries=(Query('sum by (site) (process_open_fds{job="cti",site=~"$site"})', OF_SITE),),
        ),
    ),
)
