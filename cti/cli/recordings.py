"""`cti recordings`: what was recorded, whether it is still what was indexed, what is to go.

Knows: the folder, where an instance is. Must not know: how anything is recorded. Nothing is deleted here: the service
does that, and has it on record.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hmac
import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from cti.cli.look import JSON, read_facts
from cti.cli.run import CONFIG, load
from cti.clock import now_us
from cti.core.ids import is_ref
from cti.core.recordings import read_name
from cti.core.zone import SHANGHAI
from cti.ledger.stream import StreamAway
from cti.recordings.folder import Entry, Folder, digest
from cti.web.auth import Tokens, Who

STATE = click.option("--state", type=click.Path(path_type=Path), default=None,
                     help="嵌入式实例的目录 / folder of an embedded instance (cti up); "
                     "else recording.path of --config")  # fmt: skip
REF = click.option("--ref", default="", help="只看这一通 / of this call alone")
EPILOG = """\b
例 / Examples:
  cti recordings list --state .runtime/state
  cti recordings list --ref 530100-1732406400.12 --json | jq '.[].file'
  cti recordings verify --state .runtime/state     逐个核对散列 / every hash again; exit 1 on any difference
  cti recordings purge --dry-run                   只看哪些到期 / only what is expired
  cti recordings purge --state .runtime/state      请服务删除到期的并记账 / the service deletes and records it
"""


@dataclass(frozen=True, slots=True)
class Where:
    """One site's recordings, and how to reach its service and ledger (None: not known)."""

    folder: Folder
    http: str | None
    secret: str | None
    site: str
    redis: str


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def recordings() -> None:
    """录音：列表、核对、到期删除 / recordings: list them, verify them, delete what is expired."""


@recordings.command("list")
@STATE
@CONFIG
@REF
@JSON
def list_(state: Path | None, config: Path | None, ref: str, as_json: bool) -> None:
    """有哪些录音 / what there is, a line a file: call, part, begin, length, size, kept until.

    \b
    cti recordings list --state .runtime/state
    cti recordings list --ref 530100-1732406400.12 --json
    """
    where = _where(state, config)
    found = _entries(where.folder, ref)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in found], ensure_ascii=False, indent=1))
        return
    for entry in found:
        click.echo(f"{entry.file}  {entry.part:<7}  {_time(entry.since)}  {entry.ms / 1000:8.1f} s  "
                   f"{entry.size / 1000:9.1f} kB  至/until {_time(entry.keep_until)[:10]}")  # fmt: skip
    click.echo(f"{len(found)} 份 / files, {sum(e.size for e in found) / 1e6:.1f} MB", err=True)


@recordings.command()
@STATE
@CONFIG
@REF
@JSON
def verify(state: Path | None, config: Path | None, ref: str, as_json: bool) -> None:
    """核对：文件、索引、账本是否一致 / is each file still what its entry, and the ledger, say? Exit 1 if not.

    \b
    cti recordings verify --state .runtime/state
    """
    where = _where(state, config)
    ledger = asyncio.run(_ledger(where, {entry.ref for entry in _entries(where.folder, ref)}))
    rows: list[dict[str, str]] = []
    for entry in _entries(where.folder, ref):
        rows.append({"file": entry.file, "state": _judge(where.folder, entry, ledger)})
    now = now_us()
    known = {row["file"] for row in rows}
    for file in where.folder.files(ref=ref):
        if file not in known:
            busy = where.folder.changed_at(file) > now - 60_000_000
            rows.append({"file": file, "state": "being-written" if busy else "not-indexed"})
    counts = Counter(row["state"] for row in rows)
    if as_json:
        click.echo(json.dumps({"ledger": ledger is not None, "counts": counts, "files": rows}, indent=1))
    else:
        for row in rows:
            if row["state"] not in ("same", "being-written"):
                zh, en = STATES[row["state"]]
                click.echo(f"{row['file']}  {zh} / {en}")
        if ledger is None:
            click.echo("账本没有应答，只与索引核对 / the ledger does not answer: compared with the entries", err=True)
        click.echo("  ".join(f"{STATES[name][0]} / {STATES[name][1]}: {n}" for name, n in sorted(counts.items())) or
                   "没有录音 / no recordings")  # fmt: skip
    sys.exit(1 if set(counts) & BAD else 0)


STATES: Mapping[str, tuple[str, str]] = {
    "same": ("一致", "the same"), "changed": ("内容已变", "changed"), "gone": ("文件不在", "the file is gone"),
    "ledger-differs": ("与账本不符", "the ledger says otherwise"), "not-indexed": ("未入索引", "not indexed"),
    "being-written": ("正在录", "being written"),
}  # fmt: skip
BAD = {"changed", "gone", "ledger-differs"}


@recordings.command()
@click.option("--dry-run", is_flag=True, help="只看，不删 / look, delete nothing")
@STATE
@CONFIG
@JSON
def purge(dry_run: bool, state: Path | None, config: Path | None, as_json: bool) -> None:
    """删除到期录音 / delete what is expired. The service does that every ten minutes; this asks it to do so now.

    \b
    cti recordings purge --dry-run --state .runtime/state
    """
    where = _where(state, config)
    if dry_run:
        now = now_us()
        gone = [entry.file for entry in where.folder.entries() if entry.keep_until <= now]
    else:
        gone = _ask(where)
    if as_json:
        click.echo(json.dumps(gone))
        return
    for file in gone:
        click.echo(file)
    said = "将删除 / would be deleted" if dry_run else "已删除 / deleted"
    click.echo(f"{said}: {len(gone)}", err=True)


def _ask(where: Where) -> list[str]:
    if where.http is None or where.secret is None:
        click.echo("须由服务删除并记账；设 http.secret_file 或用 --state，或加 --dry-run / "
                   "the service deletes and records it: set http.secret_file, or use --state, or --dry-run",
                   err=True)  # fmt: skip
        sys.exit(1)
    token = Tokens(where.secret).make(Who(role="supervisor", hours=1))
    asked = urllib.request.Request(f"{where.http}/api/v1/recordings/purge", method="POST",
                                   headers={"Authorization": f"Bearer {token}"})  # fmt: skip
    try:
        with urllib.request.urlopen(asked, timeout=60) as said:
            return list(json.load(said)["deleted"])
    except (urllib.error.URLError, TimeoutError, ValueError, KeyError) as why:
        click.echo(f"{where.http} 没有照办 / did not do it: {why}", err=True)
        sys.exit(1)


def _where(state: Path | None, config: Path | None) -> Where:
    _, settings, _ = load(config)
    if state is None:
        http = f"http://{settings.http.host}:{settings.http.port}"
        return Where(Folder(settings.recording.path), http, settings.http.read_secret(), settings.site.code,
                     settings.redis.address())  # fmt: skip
    try:
        facts = json.loads((state / "instance.json").read_text(encoding="utf-8"))
        secret = hmac.new((state / "instance.key").read_bytes(), b"http", "sha256").hexdigest()
    except FileNotFoundError:
        raise click.UsageError(f"{state} 里没有在运行的实例 / no instance runs there; start one: cti up") from None
    ports = facts["ports"]
    return Where(Folder(Path(facts["recordings"])), f"http://127.0.0.1:{ports['http']}", secret, str(facts["site"]),
                 f"redis://127.0.0.1:{ports['redis']}/0")  # fmt: skip


def _entries(folder: Folder, ref: str) -> list[Entry]:
    if ref and not is_ref(ref):
        raise click.UsageError(f"{ref!r} 不是编号 / is no correlation id; e.g. 530100-1732406400.12")
    return list(folder.entries(ref=ref))


def _judge(folder: Folder, entry: Entry, ledger: Mapping[str, str] | None) -> str:
    if read_name(entry.file) is None or not folder.path(entry.file).exists():
        return "gone"
    if digest(folder.path(entry.file)) != entry.sha256:
        return "changed"
    if ledger is not None and ledger.get(entry.file, entry.sha256) != entry.sha256:
        return "ledger-differs"
    return "same"


async def _ledger(where: Where, refs: set[str]) -> dict[str, str] | None:
    """File → SHA-256 as the ledger has it, of calls it still finds; None: no answer."""
    found: dict[str, str] = {}
    try:
        for ref in sorted(refs):
            for fact in await read_facts(where.site, where.redis, ref):
                if fact.kind == "RecordingIndexed":
                    found[str(fact.data["file"])] = str(fact.data["sha256"])
    except StreamAway:
        return None
    return found


def _time(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1e6, SHANGHAI).isoformat(sep=" ", timespec="seconds")[:19]
