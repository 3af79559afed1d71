"""`cti plan`: emergency plans (应急联动方案): the files, what runs, starting and stopping, the report of a run.

Knows: the API's words, the configuration. Must not know: rules.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cti.cli.api import Unanswered, ask, call
from cti.cli.look import JSON, STATE
from cti.cli.run import CONFIG
from cti.core.zone import SHANGHAI
from cti.directory import Directory, Plan, check_directory
from cti.plan_words import at, changes, report_lines
from cti.share import folder

POLL_S = 0.3
PATIENCE_S = 20.0
"""given to a service that was killed meanwhile to come back"""
@click.group()
def plan() -> None:
    """应急联动方案：查看、检查、启动、停止、演练 / emergency plans: look, check, start, stop, drill.

    \b
    cti plan list                       有哪些方案 / which there are
    cti plan show flood-dali            一个方案的内容 / what one does
    cti plan check                      检查 config/plans / are the files sound?
    cti plan start flood-dali           启动，并看值班电话呼叫进展 / start it, and watch the duty phones
    cti plan start quake --drill        演练：一切真实，统计另计 / a drill: all real, counted apart
    cti plan status                     正在运行的 / what runs
    cti plan stop flood-dali            停止，恢复原状 / stop: all as it was before
    cti plan report flood-dali          这次启动的情况 / what came of it
    """


# -- the files ---------------------------------------------------------------------------------------------------------
def _directory(config: Path | None) -> Directory:
    checked = check_directory(config or folder("config"), dt.datetime.now(SHANGHAI).date())
    if checked.directory is None:
        for problem in checked.problems:
            click.echo(str(problem), err=True)
        sys.exit(1)
    return checked.directory


@plan.command("list")
@CONFIG
@JSON
def list_(config: Path | None, as_json: bool) -> None:
    """有哪些方案 / the plans of the configuration.

    \b
    cti plan list
    cti plan list --json | jq -r '.[].plan'
    """
    found = _directory(config).plans
    if as_json:
        click.echo(json.dumps([{"plan": p.id, "name": p.name.zh, "sites": p.sites} for p in found], ensure_ascii=False))
        return
    table = Table("方案/plan", "名称/name", "站点/sites", "前置语音/front", "开放/open", "借席/seats", "值班电话/duty")
    for p in found:
        seats = " ".join(f"{one.site}×{one.count}" for one in p.seats)
        table.add_row(p.id, p.name.zh, " ".join(p.sites), " ".join(p.front.hotlines) if p.front else "—",
                      " ".join(p.open) or "—", seats or "—", str(len(p.duty.phones)) if p.duty else "—")  # fmt: skip
    Console().print(table)


@plan.command()
@click.argument("name")
@CONFIG
def show(name: str, config: Path | None) -> None:
    """一个方案的内容 / what a plan does.

    \b
    cti plan show flood-dali
    """
    directory = _directory(config)
    found = directory.plan(name)
    if found is None:
        click.echo(f"没有方案 {name}，见 cti plan list / no plan {name}: see cti plan list", err=True)
        sys.exit(1)
    for line in describe(found, directory):
        click.echo(line)


def describe(p: Plan, directory: Directory) -> Iterator[str]:
    """A plan in words, a line a thing."""
    yield f"{p.id}  {p.name.zh} / {p.name.en}"
    yield f"  站点 sites: {' '.join(p.sites)}   区划 divisions: {' '.join(p.divisions) or '—'}"
    if p.front:
        yield f"  前置语音 front message，热线 hotline {' '.join(p.front.hotlines)}: {p.front.say}"
    for seats in p.seats:
        yield f"  借席 seats: {seats.site} × {seats.count}，每次 each {seats.minutes} min"
    for number in p.open:
        one = directory.linked(number)
        yield f"  开放一键转接 one key: {one.code if one else number} {one.name.zh if one else ''}"
    for phone in p.duty.phones if p.duty else ():
        linked = directory.linked(phone.linkage) if phone.linkage else None
        contacts = linked.targets if linked else phone.contacts
        name = linked.name.zh if linked else phone.name.zh if phone.name else ""
        yield f"  值班 duty: {name}  " + " → ".join(f"{c.number} {c.timeout}s" for c in contacts)
    if p.duty:
        yield f"    告知 told: {p.duty.say}（至多 {p.duty.rounds} 遍 rounds，间隔 pause {p.duty.pause} s）"
    if p.notify:
        yield f"  通报 notified: {' '.join(p.notify)}"
    yield f"  演练来电 drill callers: {' '.join(p.drill.callers) or '—'}"


@plan.command()
@CONFIG
def check(config: Path | None) -> None:
    """检查方案文件（连同其引用的配置） / are the plans sound, with all they name?

    \b
    cti plan check --config /etc/hotline-cti
    """
    checked = check_directory(config or folder("config"), dt.datetime.now(SHANGHAI).date())
    for problem in checked.problems:
        click.echo(str(problem), err=True)
    if checked.directory is None:
        sys.exit(1)
    click.echo(f"{len(checked.directory.plans)} 个方案可用 / plans are sound: "
               + " ".join(p.id for p in checked.directory.plans))  # fmt: skip


# -- at work -----------------------------------------------------------------------------------------------------------
@plan.command()
@click.argument("name")
@click.option("--drill", is_flag=True, help="演练：一切真实，统计另计 / a drill: everything real, counted apart")
@click.option("--no-wait", is_flag=True, help="不等值班电话 / do not wait for the duty phones")
@STATE
@JSON
def start(name: str, drill: bool, no_wait: bool, state: Path, as_json: bool) -> None:
    """启动方案，显示值班电话呼叫进展；有人未联系上则退出码 3 / start; exit 3 when somebody was not reached.

    \b
    cti plan start flood-dali
    cti plan start quake --drill --state .runtime/state/530100
    """
    shown = call(state, "POST", f"/plans/{name}/start", "supervisor", {"drill": drill})
    run = shown["run"]
    if not as_json:
        word = "演练开始 drill begins" if run["drill"] else "方案已启动 plan started"
        click.echo(f"{word}: {name}  {run['id']}")
    if not no_wait:
        shown = _watch(state, name, quiet=as_json)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
    sys.exit(3 if any(duty["state"] == "unreached" for duty in shown["run"]["duties"]) else 0)


def _watch(state: Path, name: str, *, quiet: bool) -> dict[str, Any]:
    """Each change a line, until every duty phone has come to its end or the plan was stopped."""
    told: dict[str, str] = {}
    silent_since = 0.0
    while True:
        try:
            shown = ask(state, "GET", f"/plans/{name}", "supervisor")
            silent_since = 0.0
        except Unanswered as why:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > PATIENCE_S:
                click.echo(f"服务没有应答 / the service does not answer: {why}", err=True)
                sys.exit(1)
            time.sleep(POLL_S)
            continue
        for words in changes(shown, told):
            if not quiet:
                click.echo(f"  {dt.datetime.now(SHANGHAI):%H:%M:%S}  {words}")
        if shown["run"]["duties_open"] == 0 and (shown["laid"] or not shown["running"]):
            return shown
        time.sleep(POLL_S)


@plan.command()
@click.argument("name")
@STATE
@JSON
def stop(name: str, state: Path, as_json: bool) -> None:
    """停止方案，恢复原状 / stop: what it changed is as before, but for what another plan needs.

    \b
    cti plan stop flood-dali
    """
    call(state, "POST", f"/plans/{name}/stop", "supervisor", {})
    deadline = time.monotonic() + PATIENCE_S
    while True:
        shown = call(state, "GET", f"/plans/{name}", "supervisor")
        if shown["laid"] and shown["run"]["home"]:
            break
        if time.monotonic() > deadline:
            click.echo("席位仍在通话，结束后归还 / seats still talk: they go home afterwards", err=True)
            break
        time.sleep(POLL_S)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        click.echo(f"方案已停止 / stopped: {name}  {shown['run']['id']}")


@plan.command()
@click.argument("name")
@click.argument("platform", type=click.Choice(["12345", "110"]))
@STATE
def received(name: str, platform: str, state: Path) -> None:
    """对方平台确认已知晓 / a platform says that it knows of the plan.

    \b
    cti plan received flood-dali 110
    """
    shown = call(state, "POST", f"/plans/{name}/received", "supervisor", {"platform": platform})
    click.echo(f"{platform} 已确认 / knows: {at(shown['run']['notified'][platform])}")


@plan.command()
@STATE
@JSON
def status(state: Path, as_json: bool) -> None:
    """方案现在如何 / how the plans stand.

    \b
    cti plan status
    cti plan status --json | jq '.plans[] | select(.running)'
    """
    shown = call(state, "GET", "/plans", "read-only")
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
        return
    table = Table("方案/plan", "状态/state", "启动/started", "停止/stopped", "值班/duty", "席位/seats", "通报/notified",
                  title=f"站点 site {shown['site']}", title_justify="left")  # fmt: skip
    for row in shown["plans"]:
        run = row.get("run")
        if run is None:
            table.add_row(row["plan"], "未启动 not started" if row.get("here") else "非本站 elsewhere")
            continue
        word = ("演练中 drill" if run["drill"] else "运行 runs") if row["running"] else "已停 stopped"
        acknowledged = sum(duty["state"] == "acknowledged" for duty in run["duties"])
        table.add_row(
            row["plan"], word, at(run["started_at"]), at(run["stopped_at"]),
            f"{acknowledged} / {len(run['duties'])}",
            " ".join(f"{s['from']} {s['here']}/{s['wanted']}" for s in run["seats"]) or "—",
            " ".join(f"{to} {'✓' if at else '…'}" for to, at in run["notified"].items()) or "—")  # fmt: skip
    Console().print(table)


@plan.command()
@click.argument("name")
@click.option("--run", "run", default="", help="哪一次启动，不写为最近一次 / which run; the latest when absent")
@STATE
@JSON
def report(name: str, run: str, state: Path, as_json: bool) -> None:
    """一次启动（或演练）的情况，取自账本 / what came of a run or a drill, from the ledger.

    \b
    cti plan report flood-dali
    cti plan report quake --run quake-1795580965844 --json
    """
    told = call(state, "GET", f"/plans/{name}/report{f'?run={run}' if run else ''}", "read-only")
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for line in report_lines(told):
        click.echo(line)
