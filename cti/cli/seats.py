"""`cti seats`: the seats and their status, and what a supervisor does to one; `cti seats pin` makes a PIN's hash.

Knows: the service's HTTP interface. Must not know: rules (the service answers with a code and words)."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cti.cli.look import JSON
from cti.cli.run import CONFIG, load
from cti.cli.seats_plan import plan_command
from cti.cli.token import signing_secret
from cti.pins import hash_pin
from cti.web.auth import Tokens, Who

STATUS = {
    "ready": "就绪",
    "paused": "置忙",
    "wrap-up": "话后整理",
    "training": "培训",
    "lent": "已借出",
    "out": "未登录",
}


@dataclass(slots=True)
class Service:
    """Where the service answers, and a supervisor's token for it."""

    base: str
    token: str

    def ask(self, path: str, body: dict[str, Any] | None = None, *, post: bool = False) -> dict[str, Any]:
        """The answer; a refusal ends the command with its words."""
        data = json.dumps(body or {}).encode() if post else None
        request = urllib.request.Request(f"{self.base}/api/v1{path}", data, {
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                told: dict[str, Any] = json.load(answer)
                return told
        except urllib.error.HTTPError as refused:
            problem = json.loads(refused.read() or b"{}")
            detail = f" {problem['detail']}" if problem.get("detail") else ""
            click.echo(
                f"{problem.get('title', refused.reason)}{detail} [{problem.get('code', refused.code)}]", err=True
            )
        except (urllib.error.URLError, TimeoutError, ValueError) as why:
            click.echo(f"{self.base} 没有应答 / does not answer: {why}", err=True)
        sys.exit(1)


@click.group(invoke_without_command=True)
@click.option("--state", type=click.Path(path_type=Path), default=Path(".runtime/state"), show_default=True,
              help="实例目录 / folder of the instance")  # fmt: skip
@click.option(
    "--url", default=None, help="服务地址；口令取自 site.yaml / the service's address; then site.yaml's secret"
)
@CONFIG
@JSON
@click.pass_context
def seats(context: click.Context, state: Path, url: str | None, config: Path | None, as_json: bool) -> None:
    """座席：状态一览，置忙、就绪、退出 / the seats: status, and pausing, readying, logging out one of them.

    \b
    cti seats
    cti seats --json | jq '.seats[] | select(.status == "paused")'
    cti seats pause 1001 --reason rest
    """
    if context.invoked_subcommand == "pin":
        return

    def service() -> Service:
        _, settings, _ = load(config)
        secret = signing_secret(settings, None if url else state)
        base = url
        if base is None:
            try:
                ports = json.loads((state / "instance.json").read_text(encoding="utf-8"))["ports"]
            except FileNotFoundError:
                raise click.UsageError(
                    f"{state} 没有在运行的实例 / no instance runs there; start one: cti up"
                ) from None
            base = f"http://127.0.0.1:{ports['http']}"
        return Service(base, Tokens(secret).make(Who(role="supervisor", hours=1)))

    context.obj = service
    if context.invoked_subcommand is None:
        told = service().ask("/seats")
        if as_json:
            click.echo(json.dumps(told, ensure_ascii=False, indent=1))
        else:
            _table(told["seats"])


def _table(rows: list[dict[str, Any]]) -> None:
    table = Table("席位/seat", "平台/platform", "类别/kind", "状态/status", "话机/state", "话务员/agent", "时长/for")
    for row in rows:
        status = f"{STATUS.get(row['status'], row['status'])} {row['status']}"
        if row["reason"]:
            status += f"：{row['reason_zh']} {row['reason']}"
        lasted = f"{max(0, int(time.time() - row['since'] / 1e6))} s" if row["since"] else ""
        agent = f"{row['agent']} {row['agent_name']}".strip()
        table.add_row(
            f"{row['number']} {row['name']}", row["platform"], row["kind"], status, row["state"], agent, lasted
        )
    Console().print(table)


def _done(row: dict[str, Any]) -> None:
    click.echo(f"{row['number']} {STATUS.get(row['status'], '')} {row['status']} {row['reason']}".rstrip())


@seats.command()
@click.argument("number")
@click.option("--reason", default="rest", show_default=True, help="原因代码 / a code of seats.yaml, rules.reasons")
@click.pass_obj
def pause(service: Any, number: str, reason: str) -> None:
    """置忙 / no calls for this seat."""
    _done(service().ask(f"/seats/{number}/status", {"status": "paused", "reason": reason}, post=True))


@seats.command()
@click.argument("number")
@click.pass_obj
def ready(service: Any, number: str) -> None:
    """就绪 / calls again; ends a wrap-up, training or lending too."""
    _done(service().ask(f"/seats/{number}/status", {"status": "ready"}, post=True))


@seats.command()
@click.argument("number")
@click.pass_obj
def training(service: Any, number: str) -> None:
    """培训 / in training: no calls."""
    _done(service().ask(f"/seats/{number}/status", {"status": "training"}, post=True))


@seats.command()
@click.argument("number")
@click.pass_obj
def logout(service: Any, number: str) -> None:
    """退出 / nobody serves at this seat."""
    _done(service().ask(f"/seats/{number}/logout", post=True))


@seats.command()
@click.argument("number")
@click.option("--agent", required=True, help="工号 / the agent's number")
@click.pass_obj
def login(service: Any, number: str, agent: str) -> None:
    """代为登录 / log an agent in, as a supervisor."""
    _done(service().ask(f"/seats/{number}/login", {"agent": agent}, post=True))


@seats.command()
def pin() -> None:
    """口令散列，写进 agents.yaml / the hash of a PIN, for agents.yaml; the PIN is asked for and never shown."""
    try:
        click.echo(hash_pin(click.prompt("口令 / PIN (4-8 digits)", hide_input=True, confirmation_prompt=True)))
    except ValueError:
        raise click.UsageError("口令须为 4–8 位数字 / a PIN is 4 to 8 digits") from None


seats.add_command(plan_command)
