"""`cti nuisance`: the nuisance list (骚扰名单), by hand. Knows: where the service answers. Must not know: rules."""

from __future__ import annotations

import datetime as dt
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cti.cli.look import JSON, instance, port
from cti.cli.run import CONFIG, load
from cti.cli.token import signing_secret
from cti.core.zone import SHANGHAI
from cti.web.auth import Tokens, Who

STATES = {"proposed": "待定 proposed", "listed": "在名单 listed", "ended": "已结束 ended"}
ENDS = {"expired": "到期 expired", "lapsed": "无人决定 lapsed", "rejected": "未批准 rejected",
        "removed": "已移出 removed", "appeal": "申诉成立 appeal granted"}  # fmt: skip
BY = click.option("--by", envvar="CTI_NAME", required=True, metavar="NAME",
                  help="办理人姓名或工号，或环境变量 CTI_NAME / who does it, or CTI_NAME")  # fmt: skip
NOTE = click.option("--note", default="", help="说明 / a note, kept on record")
Ask = Callable[..., Any]


@click.group()
@click.option("--state", type=click.Path(path_type=Path), default=Path(".runtime/state"), show_default=True,
              help="实例目录 / folder of the instance")  # fmt: skip
@click.option("--url", default=None, help="服务地址 / the service's address, e.g. http://127.0.0.1:8080")
@CONFIG
@click.pass_context
def nuisance(context: click.Context, state: Path, url: str | None, config: Path | None) -> None:
    """骚扰名单：提议、审批、移出、申诉 / the nuisance list: proposed, approved, removed, appealed against.

    名单内的来电先听提示，按 1 或不挂机仍能接通；110 从不拦截。提议人与批准人须是两个人。
    A listed caller hears a notice first; 1, or staying on the line, leads to a person all the same; 110 never asks. Who
    proposes does not approve.

    \b
    cti nuisance propose 13800001111 --reason 反复辱骂 --evidence 530100-1795484553.20 --by 2001
    cti nuisance proposals
    cti nuisance approve n4f2a --days 30 --by 李班长
    cti nuisance list
    cti nuisance show n4f2a
    cti nuisance appeal n4f2a --text 号码已过户 --by 2003
    cti nuisance decide n4f2a granted --by 王主任
    cti nuisance remove n4f2a --by 李班长          撤销批准 / undoes an approval

    \b
    退出码 / exit status: 0 办好 / done, 1 被拒绝或无应答 / refused or no answer, 2 用法不对 / wrong usage
    """

    def ask(path: str, body: dict[str, Any] | None = None, by: str = "") -> Any:
        _, settings, _ = load(config)
        secret = signing_secret(settings, None if url else state)
        base = url or f"http://127.0.0.1:{port(instance(state), 'http')}"
        return _ask(f"{base}/api/v1/nuisance{path}", Tokens(secret).make(Who("supervisor", hours=1, name=by)), body)

    context.obj = ask


def _ask(url: str, token: str, body: dict[str, Any] | None) -> Any:
    request = urllib.request.Request(
        url, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=5) as told:
            return json.load(told)
    except urllib.error.HTTPError as refused:
        try:
            problem = json.load(refused)
        except ValueError:
            problem = {}
        click.echo(f"{problem.get('title', refused.code)} {problem.get('detail', '')}".strip(), err=True)
    except (urllib.error.URLError, TimeoutError, ValueError) as why:
        click.echo(f"服务没有应答 / the service does not answer: {why}", err=True)
    sys.exit(1)


@nuisance.command("list")
@JSON
@click.option("--all", "everything", is_flag=True,
              help="含提议与一天内结束的 / proposals and the last day's ended ones too")  # fmt: skip
@click.pass_obj
def list_command(ask: Ask, as_json: bool, everything: bool) -> None:
    """在名单里的，含 nuisance.yaml 的 / who is listed, nuisance.yaml's entries too."""
    _table(ask("" if everything else "?state=listed")["nuisance"], as_json)


@nuisance.command()
@JSON
@click.pass_obj
def proposals(ask: Ask, as_json: bool) -> None:
    """待定的提议，含规则提出的 / proposals to be decided, those of the rate rule too."""
    _table(ask("?state=proposed")["nuisance"], as_json)


@nuisance.command()
@click.argument("entry")
@JSON
@click.pass_obj
def show(ask: Ask, entry: str, as_json: bool) -> None:
    """一条的全部：证据、录音、谁在何时 / one entry whole: evidence, recordings, who and when."""
    one = ask(f"/{entry}")
    if as_json:
        click.echo(json.dumps(one, ensure_ascii=False, indent=1))
        return
    _table([one], as_json=False)
    click.echo(f"提议 / proposed: {one['proposed_by']} {_when(one['proposed_at'])} {one['rule']}".rstrip())
    if one["approved_by"]:
        click.echo(f"批准 / approved: {one['approved_by']} {_when(one['approved_at'])}")
    for call in one["calls"]:
        click.echo(f"来电 / call: {call['call']} {_when(call['at'])} {' '.join(call['recordings'])}".rstrip())
    if one["appeal"]:
        words = one["appeal"]["said"] or "待定 / to be decided"
        click.echo(f"申诉 / appeal: {one['appeal']['by']}: {one['appeal']['text']} → {words}")
    if one["ended_at"]:
        click.echo(f"结束 / ended: {ENDS.get(one['how'], one['how'])} {one['ended_by']} {_when(one['ended_at'])}")


@nuisance.command()
@click.argument("number")
@click.option("--reason", required=True, help="事由 / why")
@click.option("--evidence", multiple=True, required=True, metavar="REF",
              help="来电编号，可多次 / ref of a call (cti trace), may be repeated")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 730), default=None,
              help="期限，天 / for so many days  [default: the site's]")  # fmt: skip
@BY
@click.pass_obj
def propose(ask: Ask, number: str, reason: str, evidence: tuple[str, ...], days: int | None, by: str) -> None:
    """提议列入，由另一人审批 / propose a number; another person decides."""
    body = {"number": number, "reason": reason, "evidence": evidence, "days": days or 0}
    one = ask("", body, by)
    click.echo(f"{one['entry']} {STATES[one['state']]}")
    _undo(f"cti nuisance reject {one['entry']}")


@nuisance.command()
@click.argument("entry")
@click.option("--days", type=click.IntRange(1, 730), default=None,
              help="期限，天 / for so many days  [default: as proposed]")  # fmt: skip
@NOTE
@BY
@click.pass_obj
def approve(ask: Ask, entry: str, days: int | None, note: str, by: str) -> None:
    """批准，须非提议人 / approve; not by who proposed."""
    one = ask(f"/{entry}/approve", {"days": days or 0, "note": note}, by)
    click.echo(f"{entry} {STATES[one['state']]}，至 / until {_when(one['until'])}")
    _undo(f"cti nuisance remove {entry}")


@nuisance.command()
@click.argument("entry")
@NOTE
@BY
@click.pass_obj
def reject(ask: Ask, entry: str, note: str, by: str) -> None:
    """不批准，或撤回提议 / refuse a proposal, or take it back."""
    one = ask(f"/{entry}/reject", {"note": note}, by)
    click.echo(f"{entry} {ENDS[one['how']]}")
    _undo("cti nuisance propose …")


@nuisance.command()
@click.argument("entry")
@NOTE
@BY
@click.pass_obj
def remove(ask: Ask, entry: str, note: str, by: str) -> None:
    """提前移出 / take it off the list before its time."""
    one = ask(f"/{entry}/remove", {"note": note}, by)
    click.echo(f"{entry} {ENDS[one['how']]}")
    _undo("cti nuisance propose …")


@nuisance.command()
@click.argument("entry")
@click.option("--text", required=True, help="来电人怎么说 / what the listed person says")
@BY
@click.pass_obj
def appeal(ask: Ask, entry: str, text: str, by: str) -> None:
    """登记申诉，由另一人决定，其间仍有效 / take down an appeal; the entry holds till it is decided."""
    ask(f"/{entry}/appeal", {"text": text}, by)
    click.echo(f"{entry} 申诉待定 / appeal to be decided")
    _undo(f"cti nuisance decide {entry} refused")


@nuisance.command()
@click.argument("entry")
@click.argument("outcome", type=click.Choice(["granted", "refused"]))
@NOTE
@BY
@click.pass_obj
def decide(ask: Ask, entry: str, outcome: str, note: str, by: str) -> None:
    """申诉的结果，须非批准人：granted 移出，refused 维持 / an appeal's outcome; not by who approved."""
    one = ask(f"/{entry}/appeal/decide", {"outcome": outcome, "note": note}, by)
    click.echo(f"{entry} {STATES[one['state']]} {one['appeal']['said']}")
    _undo("cti nuisance propose …" if outcome == "granted" else f"cti nuisance remove {entry}")


def _undo(command: str) -> None:
    click.echo(f"撤销 / undo: {command}")


def _when(at: int) -> str:
    return f"{dt.datetime.fromtimestamp(at / 1e6, SHANGHAI):%Y-%m-%d %H:%M}" if at else "—"


def _table(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    if not rows:
        click.echo("没有 / none")
        return
    table = Table("编号/entry", "号码/number", "状态/state", "事由/reason", "批准/approved by", "至/until",
                  "申诉/appeal")  # fmt: skip
    for row in rows:
        opened = row.get("appeal") and row["appeal"]["open"]
        state = ENDS.get(row.get("how", ""), STATES[row["state"]])
        table.add_row(row["entry"], row["number"], state, row["reason"], row["approved_by"], _when(row["until"]),
                      "待定 open" if opened else "")  # fmt: skip
    Console().print(table)
