"""A month of the ledger, put away: Parquet of its entries as they are, with a manifest that says what is in it.

Knows: pyarrow, files. Must not know: Redis, what facts mean. An entry's fields are kept byte for byte, also those this
version does not know; beside them stand kind, time and call once more as columns, to be asked by other tools. Files
hold callers' numbers: they are made readable to their owner alone.

Nothing passes for an archive before it has been read again: files are written under another name, read back, counted
and hashed, and the manifest comes last.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cti.core.chain import FIELD
from cti.core.facts import FactId
from cti.core.months import Month
from cti.export.parquet import GROUP, arrow

Fields: TypeAlias = Mapping[bytes, bytes]
Entry: TypeAlias = tuple[FactId, Fields]

FORMAT = 1
ENTRIES_A_FILE = 2_000_000
"""some 200 MB"""


class BadArchive(ValueError):
    """An archive that is not what its manifest says, or cannot be made; the text names the file."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file of it."""

    name: str
    entries: int
    first_id: str
    last_id: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. ``chain``: the hash chain's first and last link in it, if entries carry one."""

    format: int
    site: str
    month: str
    entries: int
    first_id: str
    last_id: str
    kinds: Mapping[str, int]
    chain: tuple[str, str] | None
    files: tuple[ArchiveFile, ...]
    made_at: int
    made_by: str

    @property
    def text(self) -> str:
        """As it stands in its file."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @property
    def sha256(self) -> str:
        """Of its file: what the ledger remembers of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def manifest_path(folder: Path, site: str, month: Month) -> Path:
    """Where a month's manifest is."""
    return folder / f"{site}-{month}.json"


async def write(entries: AsyncIterable[Entry], site: str, month: Month, folder: Path, *, now_us: int, by: str,
                progress: Callable[[FactId], object] = lambda _: None) -> Manifest:  # fmt: skip
    """Write, read back, and only then name it. Raises `BadArchive`, `NoParquet`, OSError, and what reading raises."""
    path = manifest_path(folder, site, month)
    if path.exists():
        raise BadArchive(f"{path}: 已有归档 / is archived already; cti ledger archives DIR verifies it")
    arrow()
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 (a command of its own: nothing else waits)
    parts: list[_Part] = []
    kinds: Counter[str] = Counter()
    chain: list[str] = []
    try:
        async for fact_id, fields in entries:
            if not parts or parts[-1].entries >= ENTRIES_A_FILE:
                if parts:
                    parts[-1].close()
                parts.append(_Part(folder / f"{site}-{month}-{len(parts) + 1:03d}.parquet"))
            parts[-1].add(fact_id, fields)
            kinds[fields.get(b"kind", b"").decode("utf-8", "replace")] += 1
            if FIELD in fields:
                chain = [*chain[:1], fields[FIELD].decode("utf-8", "replace")]
            progress(fact_id)
        if not parts:
            raise BadArchive(f"{month}: 账本中没有这个月 / the ledger has nothing of this month")
        parts[-1].close()
        files = tuple(part.named() for part in parts)
        made = Manifest(FORMAT, site, str(month), sum(f.entries for f in files), files[0].first_id, files[-1].last_id,
                        dict(sorted(kinds.items())), (chain[0], chain[-1]) if chain else None, files, now_us, by)
        verify(made, folder)
    except BaseException:
        for part in parts:
            part.discard()
        raise
    _write_whole(path, made.text.encode())
    return made


def load(path: Path) -> Manifest:
    """A manifest from its file. Raises `BadArchive`."""
    try:
        raw: Any = json.loads(path.read_bytes())
        if raw["format"] != FORMAT:
            raise BadArchive(f"{path}: format {raw['format']!r}, 本版本只认 / this version reads {FORMAT}")
        files = tuple(ArchiveFile(**one) for one in raw.pop("files"))
        chain = tuple(raw.pop("chain") or ())
        return Manifest(**raw, files=files, chain=(chain[0], chain[-1]) if chain else None)
    except FileNotFoundError:
        raise BadArchive(f"{path}: 没有归档 / no archive there: cti ledger archive --month …") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise BadArchive(f"{path}: 读不了 / cannot be read: {why}") from None


def verify(manifest: Manifest, folder: Path) -> None:
    """Read all of it again: hashes, counts, ids rising. Raises `BadArchive`."""
    last = ""
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.bytes or digest(path) != file.sha256:
            raise BadArchive(f"{path}: 与清单不符（缺失或被改动）/ is gone or changed since the manifest was written")
        count, first = 0, ""
        for fact_id, _ in read_file(path):
            text = str(fact_id)
            if last and FactId.parse(last) >= fact_id:
                raise BadArchive(f"{path}: {text} 次序不对 / out of order")
            first, last, count = first or text, text, count + 1
        if (count, first, last) != (file.entries, file.first_id, file.last_id):
            raise BadArchive(f"{path}: 条数或首尾与清单不符 / counts or ends differ from the manifest")
    if sum(f.entries for f in manifest.files) != manifest.entries or sum(manifest.kinds.values()) != manifest.entries:
        raise BadArchive(f"{manifest.month}: 清单自相矛盾 / the manifest contradicts itself")


def entries(folder: Path, site: str, start_ms: int, end_ms: int) -> Iterator[Entry]:
    """Entries written in ``[start_ms, end_ms)``, from every month of the folder, in order. Each file is hashed before a
    row of it is given out. Raises `BadArchive`."""
    found = [load(path) for path in sorted(folder.glob(f"{site}-20??-??.json"))]
    if not found:
        raise BadArchive(f"{folder}: 没有 {site} 的归档 / no archive of {site} there")
    for manifest in sorted(found, key=lambda one: one.month):
        for file in manifest.files:
            if FactId.parse(file.last_id).ms < start_ms or FactId.parse(file.first_id).ms >= end_ms:
                continue
            path = folder / file.name
            if not path.is_file() or digest(path) != file.sha256:
                raise BadArchive(f"{path}: 与清单不符 / differs from its manifest")
            for fact_id, fields in read_file(path):
                if start_ms <= fact_id.ms < end_ms:
                    yield fact_id, fields


def read_file(path: Path) -> Iterator[Entry]:
    """The entries of one file, a group at a time."""
    pyarrow = arrow()
    try:
        with pyarrow.parquet.ParquetFile(path) as opened:
            for batch in opened.iter_batches(batch_size=GROUP, columns=["id", "fields"]):
                for fact_id, fields in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    yield FactId.parse(fact_id), dict(fields)
    except pyarrow.ArrowException as why:
        raise BadArchive(f"{path}: {why}") from None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Part:
    """One file being written, under another name until it is whole."""

    def __init__(self, path: Path) -> None:
        pa = arrow()
        self._pa, self.path, self._temporary = pa, path, path.with_suffix(".part")
        self._schema = pa.schema([("id", pa.string()), ("kind", pa.string()), ("at", pa.int64()), ("ref", pa.string()),
                                  ("fields", pa.map_(pa.binary(), pa.binary()))])  # fmt: skip
        handle = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._writer = pa.parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._rows: list[tuple[Any, ...]] = []
        self.entries, self._first, self._last, self._done = 0, "", "", False

    def add(self, fact_id: FactId, fields: Fields) -> None:
        text = str(fact_id)
        at = fields.get(b"at", b"")
        self._rows.append((text, fields.get(b"kind", b"").decode("utf-8", "replace"),
                           int(at) if at.isdigit() and len(at) < 19 else None,
                           fields.get(b"ref", b"").decode("utf-8", "replace"), list(fields.items())))  # fmt: skip
        self.entries, self._first, self._last = self.entries + 1, self._first or text, text
        if len(self._rows) == GROUP:
            self._put()

    def _put(self) -> None:
        if self._rows:
            columns = list(zip(*self._rows, strict=True))
            arrays = [self._pa.array(cells, field.type) for cells, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
            self._rows = []

    def close(self) -> None:
        """The last group, the end, and down to the disk."""
        self._put()
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def named(self) -> ArchiveFile:
        """Give it its name."""
        os.replace(self._temporary, self.path)
        self._done = True
        _sync_folder(self.path.parent)
        return ArchiveFile(self.path.name, self.entries, self._first, self._last, self.path.stat().st_size,
                           digest(self.path))  # fmt: skip

    def discard(self) -> None:
        with contextlib.suppress(Exception):  # what is half written need not end well
            self._writer.close()
        self._file.close()
        (self.path if self._done else self._temporary).unlink(missing_ok=True)


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
