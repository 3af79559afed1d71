"""The live terminal view: callers, seats, transfers, answer rate. Knows: the shape of `/status`. Must not know: the
rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

PHASES = {"entering": "接入 entering", "queued": "[yellow]排队 queued[/]", "talking": "[green]通话 talking[/]",
          "waiting": "[magenta]等待对方 waiting[/]"}  # fmt: skip
STATES = {"not_inuse": "[green]空闲 ready[/]", "talking": "[bold cyan]通话 talking[/]", "inuse": "[cyan]占用 in use[/]",
          "ringing": "[yellow]振铃 ringing[/]", "busy": "[cyan]占用 busy[/]",
          "unavailable": "[red]离线 offline[/]", "unknown": "[dim]? unknown[/]"}  # fmt: skip
OUTCOMES = {"answered": "接通 answered", "returned": "退回 returned", "abandoned": "放弃 abandoned",
            "cancelled": "取消 cancelled", "refused": "拒绝 refused", "unknown": "失联 unknown"}  # fmt: skip


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left", expand=True, pad_edge=False, box=None)
    table.title_style = "bold"
    return table


def view(status: Mapping[str, Any] | None, foot: Sequence[str]) -> RenderableType:
    """One frame. ``foot``: lines always shown below (addresses, the softphone's account)."""
    if status is None:
        return Panel(Text("服务正在启动 / the service is starting …"))
    seats = _table("席位 seats", "号码", "平台", "状态")
    for seat in status["seats"]:
        kind = "专席" if seat["kind"] == "dedicated" else ""
        seats.add_row(seat["number"], f"{seat['platform']} {kind}", STATES.get(seat["state"], seat["state"]))
    calls = _table("来电 callers", "编号", "热线", "状态", "席位", "秒")
    for call in status["calls"][:12]:
        phase = PHASES.get(call["phase"], call["phase"])
        if call["transfer"]:
            phase += f" → {call['to']} {call['transfer']}"
        calls.add_row(call["ref"], call["hotline"], phase, call["seat"], str(call["seconds"]))
    transfers = _table("转接 transfers", "从", "到", "结果", "次")
    for row in status["transfers"]:
        transfers.add_row(row["from"], row["to"], OUTCOMES.get(row["outcome"], row["outcome"]), str(row["count"]))
    grid = Table.grid(expand=True, padding=(0, 2))
    grid.add_column(ratio=3)
    grid.add_column(ratio=4)
    grid.add_row(seats, Group(calls, Text(), transfers))
    colour = {True: "green", False: "red", None: "dim"}[status["meets_target"]]
    head = Text.from_markup(
        f"[bold {colour}]人工接通率 {status['answer_rate']}[/]  {status['answered']}/{status['offered']}  "
        f"目标 {status['target_percent']} %  24 h   "
        + "  ".join(f"{name} {'[green]●' if up else '[red]○'}[/]" for name, up in status["links"].items())
    )
    return Panel(
        Group(head, Text(status["rule"]["zh"], style="dim"), Text(), grid, Text(), *(Text(line) for line in foot)),
        title=f"{status['name']}  {status['now'][11:19]}", subtitle="Ctrl-C 停止 / stop",
    )  # fmt: skip
