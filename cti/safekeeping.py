"""A site's files kept elsewhere, and put back: what `cti backup` copies beside the ledger's snapshot.

Knows: files, hashes, the manifest, and that the spool is a SQLite file another process holds. Must not know: Redis's
protocol, Asterisk, what an entry means. A backup appears by one rename, whole or not at all:

    2026-11-25T220000Z/  manifest.json  ledger.rdb  spool.sqlite3  state/  cel/  recordings/  config/

Secrets and `instance.key` (the phones' passwords) are not in it: they are kept where secrets are kept.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cti.ledger.rows import Checkpoint

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
LEDGER: Final = "ledger.rdb"
SPOOL: Final = "spool.sqlite3"
CHUNK: Final = 1 << 20
ELDERS: Final = 9
TRIES: Final = 40
WAL_HEADER: Final = 32
BASE: Final = "appendonly.aof.1.base.rdb"

Tell = Callable[[str, int, int], None]
"""(what, done, of)"""


class NotKept(Exception):
    """A backup could not be made, is damaged, or would be put over something that is there. The text has the cure."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a site keeps its files."""

    state: Path
    spool: Path
    cel: Path
    recordings: Path


@dataclass(slots=True)
class Kept:
    """A backup in the making, and its manifest."""

    folder: Path
    site: str
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, name: str, known: Mapping[str, Any] | None = None) -> None:
        """Put a file that lies in the folder now into the manifest."""
        path = self.folder / name
        self.files[name] = dict(known) if known else {"size": path.stat().st_size, "sha256": digest(path)}

    def close(self, into: Path) -> Path:
        """Write the manifest and let the backup appear below its name. Returns its place."""
        text = json.dumps({"format": FORMAT, "site": self.site, **self.facts, "files": self.files}, indent=1)
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
        os.sync()
        return self.folder.rename(into)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def newest(folder: Path) -> Path | None:
    """The latest complete backup there."""
    return max((p.parent for p in folder.glob(f"*Z/{MANIFEST}")), default=None)


def name_of(now: dt.datetime) -> str:
    """The name of a backup made now; names sort by time."""
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H%M%SZ")


def keep_spool(kept: Kept, spool: Path) -> None:
    """Copy the spool while its service is writing: a copy counts when its log only grew meanwhile.

    SQLite's file changes at checkpoints alone and its log is appended to in between; a log that was begun anew has
    other salts in its header (sqlite.org, WAL file format), and frames after the last whole transaction are ignored.
    Raises NotKept when a checkpoint came into every try (then stop the service for the moment of the copy).
    """
    if not spool.exists():
        return
    target = kept.folder / SPOOL
    wal, wal_copy = spool.with_name(f"{spool.name}-wal"), target.with_name(f"{SPOOL}-wal")
    for _ in range(TRIES):
        before = _stamp(spool), _head(wal)
        shutil.copyfile(spool, target)
        wal_copy.unlink(missing_ok=True)
        if wal.exists():
            shutil.copyfile(wal, wal_copy)
        if before == (_stamp(spool), _head(wal)) and _whole(target):
            kept.note(SPOOL)
            return
        time.sleep(0.05)
    raise NotKept(
        f"{spool} 一直在写，无法复制；请暂停服务再备份 / was written all the time: stop the service, then back up"
    )


def _head(wal: Path) -> bytes:
    try:
        with wal.open("rb") as file:
            return file.read(WAL_HEADER)
    except FileNotFoundError:
        return b""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _whole(copy: Path) -> bool:
    """Take the log into the file itself, and look it through."""
    try:
        db = sqlite3.connect(copy)
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sound = bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            db.close()
    except sqlite3.DatabaseError:
        return False
    for suffix in ("-wal", "-shm"):
        copy.with_name(f"{copy.name}{suffix}").unlink(missing_ok=True)
    return sound


def checkpoint_in(spool: Path, name: str = "cel") -> Checkpoint | None:
    """How far a reader had come by what the spool at `spool` knows."""
    if not spool.exists():
        return None
    db = sqlite3.connect(spool)
    try:
        row = db.execute("SELECT stamp, value FROM checkpoint WHERE name = ?", (name,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    finally:
        db.close()
    return Checkpoint(*row) if row else None


def keep_cel(kept: Kept, cel: Path, checkpoint: Checkpoint | None) -> None:
    """Copy Asterisk's own record and its elders, and note in which of them reading goes on: inodes do not travel."""
    (kept.folder / "cel").mkdir()
    opened = []
    for age in range(ELDERS + 1):  # All opened first: a rotation meanwhile changes their names only.
        name = f"{cel.name}.{age}" if age else cel.name
        if (cel.parent / name).exists():
            opened.append((name, (cel.parent / name).open("rb")))
    place = None
    offset, _, inode = checkpoint.value.partition("@") if checkpoint else ("", "", "")
    for name, file in opened:
        with file, (kept.folder / "cel" / name).open("wb") as out:
            found = os.fstat(file.fileno())
            _copy(file, out, found.st_size)
        kept.note(f"cel/{name}")
        if checkpoint and str(found.st_ino) == inode:
            place = {"stamp": checkpoint.stamp, "offset": int(offset), "file": name}
    kept.facts["cel"] = {"name": cel.name, "read": place}


def _copy(file: Any, out: Any, size: int) -> None:
    while size > 0 and (data := file.read(min(CHUNK, size))):
        out.write(data)
        size -= len(data)


def keep_tree(kept: Kept, source: Path, name: str, tell: Tell, before: Path | None = None,
              leave: frozenset[str] = frozenset()) -> int:  # fmt: skip
    """Copy a folder's files but those whose name begins with one of `leave`; how many. What the backup `before` has
    already, by size and time, is linked to it and takes no space; its hash is taken from there."""
    known = _manifest(before)["files"] if before else {}
    found = [p for p in _files(source) if not p.relative_to(source).parts[0].startswith(tuple(leave))]
    done = 0
    for path in found:
        relative = f"{name}/{path.relative_to(source).as_posix()}"
        target = kept.folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            same = before is not None and relative in known and _same(before / relative, path)
            if same and before is not None:
                os.link(before / relative, target)
            else:
                shutil.copy2(path, target)
        except FileNotFoundError:  # deleted meanwhile, by its policy
            continue
        kept.note(relative, known[relative] if same else None)
        done += 1
        tell(name, done, len(found))
    return done


def _same(kept: Path, now: Path) -> bool:
    return _stamp(kept) == _stamp(now)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def _manifest(backup: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as why:
        raise NotKept(f"{backup} 不是完整的备份 / is no complete backup: {why}") from None
    if manifest.get("format") != FORMAT:
        raise NotKept(f"{backup}: 格式 / format {manifest.get('format')}，须为 / must be {FORMAT}")
    return manifest


def verify(backup: Path, tell: Tell) -> dict[str, Any]:
    """The manifest, after every file was found with its hash. Raises NotKept naming all that differ."""
    manifest = _manifest(backup)
    wrong = []
    for done, (name, told) in enumerate(manifest["files"].items(), 1):
        path = (backup / name).resolve()
        if not path.is_relative_to(backup.resolve()):
            raise NotKept(f"{name} 越出备份目录 / leads out of the backup")
        if not path.is_file() or path.stat().st_size != told["size"] or digest(path) != told["sha256"]:
            wrong.append(name)
        tell("verify", done, len(manifest["files"]))
    if wrong:
        raise NotKept(f"{backup} 已损坏，未作任何改动 / damaged, nothing was changed: {', '.join(wrong[:20])}")
    return manifest


def restore(backup: Path, places: Places, valkey: Path, tell: Tell) -> dict[str, Any]:
    """Put a backup back where nothing is; the manifest. Raises NotKept (damaged, or data is in the way), OSError."""
    manifest = verify(backup, tell)
    taken = [str(p) for p in (places.spool, places.cel) if p.exists()]
    taken += [str(p) for p in (places.recordings, places.state, valkey / "appendonlydir") if any(_files(p))]
    taken += [str(valkey / "dump.rdb")] if (valkey / "dump.rdb").exists() else []
    if taken:
        raise NotKept(
            "已有数据，未作任何改动；先移走 / data is there, nothing was changed; move it away first: "
            + ", ".join(taken)
        )
    if LEDGER in manifest["files"]:
        _put(backup / LEDGER, valkey / "appendonlydir" / BASE)
        listing = valkey / "appendonlydir" / "appendonly.aof.manifest"
        listing.write_text(f"file {BASE} seq 1 type b\n", encoding="ascii")
        _owned(listing)
    if SPOOL in manifest["files"]:
        _put(backup / SPOOL, places.spool)
    total = len(manifest["files"])
    for done, name in enumerate(manifest["files"], 1):
        kind, _, rest = name.partition("/")
        goal = {"state": places.state, "cel": places.cel.parent, "recordings": places.recordings}.get(kind)
        if rest and goal is not None:
            _put(backup / name, goal / (places.cel.name + rest.removeprefix(manifest["cel"]["name"])
                                        if kind == "cel" else rest))  # fmt: skip
        tell("restore", done, total)
    _set_checkpoint(manifest, places)
    return manifest


def _put(source: Path, target: Path) -> None:
    missing = []
    folder = target.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(mode=0o700 | (folder.stat().st_mode & 0o2070))
        _owned(made)
    partial = target.with_name(f".{target.name}.part")
    shutil.copy2(source, partial)
    partial.chmod(0o600 | (target.parent.stat().st_mode & 0o060))
    partial.replace(target)
    _owned(target)


def _owned(path: Path) -> None:
    """Put back by root it belongs to whom the folder belongs."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _set_checkpoint(manifest: Mapping[str, Any], places: Places) -> None:
    """Tell the reader of Asterisk's record where it stood, in the file as it lies here; one millisecond newer than what
    was known, so that it wins over the ledger's word of the old machine."""
    told = manifest.get("cel", {})
    read = told.get("read")
    if not read or not places.spool.exists():
        return
    file = places.cel.with_name(places.cel.name + read["file"].removeprefix(told["name"]))
    value = f"{read['offset']}@{file.stat().st_ino}"
    db = sqlite3.connect(places.spool)
    try:
        with db:
            db.execute(
                "INSERT INTO checkpoint VALUES ('cel',?,?) ON CONFLICT (name) DO UPDATE"
                " SET stamp = excluded.stamp, value = excluded.value", (read["stamp"] + 1, value))  # fmt: skip
    finally:
        db.close()
    for suffix in ("-wal", "-shm"):
        places.spool.with_name(f"{places.spool.name}{suffix}").unlink(missing_ok=True)
