"""An emergency plan in words, from what the API of plans shows: each change a line, a report of lines.

Knows: that JSON (`cti.web.plans`, `cti.core.plan_report`). Must not know: how it was had.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, MutableMapping
from typing import Any

from cti.core.zone import SHANGHAI

STATES = {
    "due": "待呼叫 to be called", "calling": "正在呼叫 calling", "ringing": "振铃 rings", "told": "正在告知 being told",
    "acknowledged": "已确认 acknowledged", "unreached": "未联系上 not reached", "stopped": "方案已停 plan stopped",
}  # fmt: skip


def changes(shown: dict[str, Any], told: MutableMapping[str, str]) -> Iterator[str]:
    """What is new in a plan since ``told``, which is kept up to date."""
    run = shown["run"]
    words: dict[str, str] = {}
    if shown["laid"] and shown["running"]:
        opened = " ".join(f"*{number}" for number in run["open"])
        words["laid"] = f"前置语音与一键转接已生效 / in force: {' '.join(run['front'])}  {opened}"
    for seats in run["seats"]:
        words[f"seats {seats['from']}"] = f"借自 {seats['from']} 的席位 / seats: {seats['here']} / {seats['wanted']}"
    for n, duty in enumerate(run["duties"]):
        tail = f"  {duty['number']}  第 {duty['tries']} 次 call {duty['tries']}" if duty["tries"] else ""
        tail += f"（{duty['last']}）" if duty["last"] else ""
        words[f"duty {n}"] = f"{duty['name']}  {STATES[duty['state']]}{tail}"
    for to, when in run["notified"].items():
        if when:
            words[f"notified {to}"] = f"{to} 已确认知晓 / knows"
    for key, said in words.items():
        if told.get(key) != said:
            told[key] = said
            yield said


def report_lines(told: dict[str, Any]) -> Iterator[str]:
    """A report in words."""
    kind = "演练 drill" if told["drill"] else "启动 run"
    yield f"{told['title']}  {kind} {told['run']}"
    yield f"  {at(told['started_at'])} – {at(told['stopped_at'] or 0)}  {told['ms'] / 1000:.0f} s"
    yield (f"  来电 calls {told['calls']}  人工接通率 answer rate {told['answer_rate']} "
           f"({told['answered']}/{told['offered']})  通话中 live {told['live']}")  # fmt: skip
    yield (f"  听前置语音 heard the front message {told['front']['heard']}，"
           f"听后即挂 left in it {told['front']['left_in_it']}")  # fmt: skip
    for row in told["transfers"]:
        yield f"  转接 transfer → {row['to']} {row['outcome']} {row['count']}"
    for row in told["seats"]:
        first = f"{row['first_ms'] / 1000:.1f} s" if row["first_ms"] is not None else "—"
        yield f"  借自 seats from {row['from']}: {row['lent']} / {row['wanted']}，首席 first after {first}"
    for row in told["duties"]:
        after = f"{row['ms'] / 1000:.1f} s" if row["ms"] is not None else "—"
        said = f"{STATES[row['state']]}  {row['tries']} 次 calls  {after}  {row['last']}"
        yield f"  值班 duty {row['name']}: {said}".rstrip()
    for to, when in told["notified"].items():
        yield f"  通报 notified {to}: {'确认于 received ' + at(when) if when else '未确认 not yet received'}"


def at(us: int) -> str:
    """A time (µs) in China, — for none."""
    return f"{dt.datetime.fromtimestamp(us / 1e6, SHANGHAI):%m-%d %H:%M:%S}" if us else "—"
