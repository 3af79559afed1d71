"""`cti backup`, `cti restore`: everything a lost machine needs, kept and put back.

Knows: options, order, exit codes. Must not know: how a file is copied or a snapshot taken.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cti.cli.run import CONFIG, load
from cti.ledger.dump import DumpFailed, dump
from cti.ledger.keys import Keys
from cti.ledger.rows import Checkpoint
from cti.problem import ConfigError
from cti.safekeeping import (
    LEDGER,
    Kept,
    NotKept,
    Places,
    Tell,
    checkpoint_in,
    keep_cel,
    keep_spool,
    keep_tree,
    name_of,
    newest,
    restore,
    verify,
)
from cti.settings import Settings

_BACKUP: str = """\b
例 / Examples:
  cti backup /srv/backup                       服务照常运行 / while everything runs
  cti backup /srv/backup --no-recordings       不含录音 / without recordings
  docker compose -f docker/compose.yaml run --rm backup

\b
退出码 / Exit status:
  0  已备份，末行是其路径 / made; the last line is its path
  1  未备份，原目录未变 / not made, nothing is left behind
"""
_RESTORE: str = """\b
例 / Examples:
  cti restore /srv/backup/2026-11-25T220000Z --valkey /var/lib/valkey
  cti restore BACKUP --valkey DIR --check      只核对 / only verify the hashes

\b
退出码 / Exit status:
  0  已恢复（或核对无误） / put back, or found sound
  1  备份损坏，或目标已有数据；未作任何改动 / damaged, or data is in the way; nothing was changed
"""


@contextlib.contextmanager
def _bar() -> Iterator[Tell]:
    """A bar per part on a terminal, nothing in a log."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        yield tell


def places_of(settings: Settings) -> Places:
    """Where this site keeps its files."""
    return Places(settings.paths.state, settings.paths.spool, settings.cel.path, settings.recording.path)


@click.command(epilog=_BACKUP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@CONFIG
@click.option("--recordings/--no-recordings", default=True, help="含录音；上次已有的不占空间 / recordings too; "
              "what the last backup has takes no space")  # fmt: skip
@click.option("--redis", "node", metavar="URL", default=None,
              help="哨兵、集群：要备份的节点 / behind Sentinel or in a Cluster: the node to copy")  # fmt: skip
def backup(out: Path, config: Path | None, recordings: bool, node: str | None) -> None:
    """备份本站：台账、溢写、状态、话单、录音、配置 / back up the site while it runs.

    The ledger as one snapshot of its moment, the spool, the service's state, Asterisk's own record with the place
    reading had come to, recordings, configuration. Secrets and instance.key are not in it: keep those yourself.
    """
    where, settings, _ = load(config)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = name_of(dt.datetime.now(dt.UTC))
    partial = out / f".{name}.part"
    try:
        if (out / name).exists():
            raise NotKept(f"{out / name} 已存在，请一秒后再试 / is there already: try again in a second")
        before = newest(out)
        partial.mkdir(mode=0o700)
        with _bar() as tell:
            kept = Kept(partial, settings.site.code, {"made_at": name})
            _keep(kept, settings, where, before, recordings, node, tell)
        click.echo(str(kept.close(out / name)))
    except (NotKept, DumpFailed, ConfigError, OSError, RedisError) as why:
        click.echo(f"未备份 / not made: {why}", err=True)
        sys.exit(1)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _keep(kept: Kept, settings: Settings, config: Path, before: Path | None, recordings: bool, node: str | None,
          tell: Tell) -> None:  # fmt: skip
    """The spool before the ledger: what is drained in between is in both, and a repeat changes nothing. Asterisk's
    record after it: the place it is to be read from is then in what was copied."""
    places, url = places_of(settings), node or settings.redis.address()
    if "+" in url.partition("://")[0]:
        raise NotKept(
            "哨兵或集群须逐节点备份：--redis redis://主节点:6379/0 / "
            "behind Sentinel or in a Cluster nodes are copied one by one: --redis redis://master:6379/0"
        )
    keep_spool(kept, places.spool)
    local = checkpoint_in(kept.folder / "spool.sqlite3")
    with Redis.from_url(url, socket_timeout=settings.timers.redis, protocol=2) as client:
        raw = client.hget(Keys(settings.site.code).checkpoint, "cel")
    shared = Checkpoint.parse(raw.decode() if isinstance(raw, bytes) else "")
    dump(url, kept.folder / LEDGER, lambda size: tell(LEDGER, size >> 20, 0))
    kept.note(LEDGER)
    keep_cel(kept, places.cel, max((c for c in (local, shared) if c), key=lambda c: c.stamp, default=None))
    spool = frozenset({places.spool.name}) if places.spool.parent == places.state else frozenset[str]()
    keep_tree(kept, places.state, "state", tell, leave=spool)
    keep_tree(kept, config, "config", tell, leave=frozenset({"secrets"}))
    if recordings:
        keep_tree(kept, places.recordings, "recordings", tell, before)
    kept.facts["recordings"] = recordings


@click.command("restore", epilog=_RESTORE, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--valkey", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Valkey 的数据目录，须停止且为空 / Valkey's data folder; stopped and empty")  # fmt: skip
@CONFIG
@click.option("--check", is_flag=True, help="只核对 / only verify, change nothing")
def restore_command(source: Path, valkey: Path, config: Path | None, check: bool) -> None:
    """把备份放回一台新机器 / put a backup back on a new machine, before anything is started there.

    Every file is verified first. Nothing is written over. Run as root, files belong to whom their folders belong.
    """
    _, settings, _ = load(config)
    try:
        with _bar() as tell:
            manifest = verify(source, tell) if check else restore(source, places_of(settings), valkey, tell)
    except (NotKept, OSError) as why:
        click.echo(f"{why}", err=True)
        sys.exit(1)
    if manifest["site"] != settings.site.code:
        click.echo(f"注意：备份属于站点 {manifest['site']}，本站是 {settings.site.code} / note: "
                   f"the backup is of site {manifest['site']}, this is {settings.site.code}", err=True)  # fmt: skip
    size = sum(told["size"] for told in manifest["files"].values()) / 1e6
    word = "无误 / sound" if check else "已恢复 / put back"
    click.echo(f"{word}: {len(manifest['files'])} 个文件 / files, {size:.1f} MB")
