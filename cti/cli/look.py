"""`cti status`, `cti trace`, `cti replay`: looking without touching. Knows: where an instance is. Must not know:
rules."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cti.core.facts import Fact, decode
from cti.core.ids import is_ref
from cti.ladder import ladder
from cti.ledger.stream import LedgerStream, StreamAway
from cti.replay import replay_call

STATE = click.option("--state", type=click.Path(path_type=Path), default=Path(".runtime/state"), show_default=True,
                     help="实例目录 / folder of the instance")  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")


def instance(state: Path) -> Mapping[str, object]:
    """What an instance says of itself in its folder; with none there, its cure on stderr and exit 1."""
    try:
        facts: Mapping[str, object] = json.loads((state / "instance.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        click.echo(f"{state} 没有在运行的实例；先 cti up / no instance runs there: start one with cti up, "
                   "or name its folder with --state", err=True)  # fmt: skip
        sys.exit(1)
    return facts


def port(facts: Mapping[str, object], name: str) -> int:
    """One of its ports."""
    ports = facts["ports"]
    assert isinstance(ports, Mapping)
    return int(ports[name])


@click.command()
@STATE
@JSON
@click.option("--url", default=None, help="服务地址 / the service's address, e.g. http://127.0.0.1:8080")
def status(state: Path, as_json: bool, url: str | None) -> None:
    """现在如何：接通率、席位、转接、链路 / answer rate with its rule, seats, transfers, links.

    \b
    cti status
    cti status --json | jq .answer_rate
    """
    base = url or f"http://127.0.0.1:{port(instance(state), 'http')}"
    try:
        with urllib.request.urlopen(f"{base}/status", timeout=3) as answer:
            shown = json.load(answer)
    except (urllib.error.URLError, TimeoutError, ValueError) as why:
        click.echo(f"{base} 没有应答 / does not answer: {why}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False, indent=1))
        return
    console = Console()
    console.print(f"[bold]{shown['name']}[/]  {shown['now']}")
    console.print(f"人工接通率 / answer rate (24 h): [bold]{shown['answer_rate']}[/]  "
                  f"{shown['answered']} / {shown['offered']}   目标/target {shown['target_percent']} %")  # fmt: skip
    console.print(f"[dim]{shown['rule']['zh']}\n{shown['rule']['en']}[/]")
    table = Table("席位/seat", "平台/platform", "类别/kind", "状态/status", "话机/state")
    for seat in shown["seats"]:
        table.add_row(f"{seat['number']} {seat['name']}", seat["platform"], seat["kind"], seat["status"], seat["state"])
    console.print(table)
    table = Table("从/from", "到/to", "结果/outcome", "次数/count")
    for row in shown["transfers"]:
        table.add_row(row["from"], row["to"], row["outcome"], str(row["count"]))
    console.print(table)
    for row in shown["dedicated"]:
        console.print(f"转给 {row['platform']} 的由专席承接 / handed over, taken by dedicated seats: {row['share']}  "
                      f"{row['dedicated']} / {row['answered']}")  # fmt: skip
    console.print("链路/links: " + "  ".join(f"{k} {'✓' if v else '✗'}" for k, v in shown["links"].items()))


def _facts(state: Path, name: str) -> list[Fact]:
    here = instance(state)
    ref = name if is_ref(name) else name.rsplit("-", 1)[0]
    if not is_ref(ref):
        click.echo(f"{name!r} 不是编号 / is no correlation id; e.g. 530100-1732406400.12", err=True)
        sys.exit(2)
    url = f"redis://127.0.0.1:{here['redis']}/0"
    try:
        facts = asyncio.run(read_facts(str(here["site"]), url, ref))
    except StreamAway as why:
        click.echo(f"账本没有应答 / the ledger does not answer: {why}", err=True)
        sys.exit(1)
    if not facts:
        click.echo(f"{ref} 没有记录 / is not in the ledger", err=True)
        sys.exit(1)
    return facts


async def read_facts(site: str, url: str, ref: str) -> list[Fact]:
    """One call's facts, reading only: no spool is opened, nothing is written."""
    stream = LedgerStream(site, url, timeout=3.0)
    try:
        ids = await stream.ids_of(ref)
        rows = [decode(fields) for fields in await stream.at(ids) if fields is not None]
    finally:
        await stream.close()
    return [fact for fact in rows if isinstance(fact, Fact)]


@click.command()
@click.argument("ref")
@STATE
@JSON
def trace(ref: str, state: Path, as_json: bool) -> None:
    """一通电话（或转接）的经过 / one call, or the call of a transfer, as a ladder.

    \b
    cti trace 530100-1732406400.12
    """
    facts = _facts(state, ref)
    if as_json:
        rows = [{"kind": f.kind, "at": f.at, "source": f.source, **f.data} for f in facts]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        click.echo(ladder(facts))


@click.command()
@click.argument("ref")
@STATE
@JSON
def replay(ref: str, state: Path, as_json: bool) -> None:
    """账本重演：结果相同，或给出差异 / the ledger through the pure core: the same result, or a diff (exit 1).

    \b
    cti replay 530100-1732406400.12
    """
    facts = _facts(state, ref)
    differences = replay_call(facts)
    if as_json:
        rows = [{"key": d.key, "stored": d.stored, "replayed": d.replayed} for d in differences]
        click.echo(json.dumps({"ref": ref, "same": not rows, "differences": rows}, ensure_ascii=False, indent=1))
    elif not differences:
        click.echo(f"相同 / the same: {len(facts)} facts")
    for d in differences if not as_json else ():
        click.echo(f"{d.key}\n  - {d.stored}\n  + {d.replayed}")
    sys.exit(1 if differences else 0)
