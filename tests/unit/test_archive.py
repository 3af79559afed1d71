"""Archives: every entry back byte for byte, no damage unseen, nothing half made; which months may go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cti.core.disputes import period
from cti.core.facts import FactId, encode
from cti.core.months import BadMonth, Month, over_due
from cti.export import archive
from cti.export.archive import BadArchive, Entry, Manifest
from tests.quarter import quarter

JULY = Month(2026, 7)
ENTRIES: list[Entry] = [
    (FactId(max(fact.at // 1000, JULY.start_ms), n), {**encode(fact), b"h": b"%064x" % n})
    for n, fact in enumerate(quarter(period("2026-07"), 2))
    if fact.at // 1000 < JULY.end_ms
]
ENTRIES.append((FactId(JULY.end_ms - 1, 9), {b"kind": b"\xff\xfe", b"odd": b"\x00", b"h": b"last"}))


async def told(entries: list[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


def write(folder: Path, entries: list[Entry] = ENTRIES) -> Manifest:
    return asyncio.run(archive.write(told(entries), "530100", JULY, folder, now_us=7, by="李班长"))


def test_what_went_in_comes_out_byte_for_byte(tmp_path: Path) -> None:
    made = write(tmp_path)
    assert list(archive.entries(tmp_path, "530100", 0, 1 << 60)) == [(i, dict(f)) for i, f in ENTRIES]
    assert (made.entries, made.first_id, made.last_id) == (len(ENTRIES), str(ENTRIES[0][0]), str(ENTRIES[-1][0]))
    assert made.chain == ("0" * 64, "last") and made.kinds["CallArrived"] > 20
    path = archive.manifest_path(tmp_path, "530100", JULY)
    assert archive.load(path) == made and archive.load(path).sha256 == made.sha256
    assert {oct(p.stat().st_mode & 0o777) for p in tmp_path.iterdir()} == {"0o600"}
    middle = ENTRIES[len(ENTRIES) // 2][0].ms
    later = [i for i, _ in archive.entries(tmp_path, "530100", middle, 1 << 60)]
    assert later == [i for i, _ in ENTRIES if i.ms >= middle]


def test_a_large_month_is_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ENTRIES_A_FILE", 300)
    made = write(tmp_path)
    assert len(made.files) == -(-len(ENTRIES) // 300)
    assert [i for i, _ in archive.entries(tmp_path, "530100", 0, 1 << 60)] == [i for i, _ in ENTRIES]


def test_a_changed_byte_a_missing_file_and_a_false_manifest_are_seen(tmp_path: Path) -> None:
    made = write(tmp_path)
    file, path = tmp_path / made.files[0].name, archive.manifest_path(tmp_path, "530100", JULY)
    whole = file.read_bytes()
    for wrong in (whole[:-9] + b"x" + whole[-8:], whole[:-1]):
        file.write_bytes(wrong)
        with pytest.raises(BadArchive):
            archive.verify(made, tmp_path)
        with pytest.raises(BadArchive):
            list(archive.entries(tmp_path, "530100", 0, 1 << 60))
    file.write_bytes(whole)
    archive.verify(made, tmp_path)
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "entries": 1}))
    with pytest.raises(BadArchive):
        archive.verify(archive.load(path), tmp_path)
    for text in ("{", "[]", "{}", json.dumps({**raw, "format": 2}), json.dumps({**raw, "more": 1})):
        path.write_text(text)
        with pytest.raises(BadArchive):
            archive.load(path)
    file.unlink()
    with pytest.raises(BadArchive):
        archive.verify(made, tmp_path)


def test_nothing_is_left_of_an_archive_that_failed(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[Entry]:
        yield ENTRIES[0]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        asyncio.run(archive.write(broken(), "530100", JULY, tmp_path, now_us=7, by="x"))
    with pytest.raises(BadArchive, match="没有这个月"):
        write(tmp_path, [])
    with pytest.raises(BadArchive, match="次序"):
        write(tmp_path, [ENTRIES[1], ENTRIES[0]])
    assert not list(tmp_path.iterdir())
    write(tmp_path)
    with pytest.raises(BadArchive, match="已有归档"):
        write(tmp_path)


def test_months_and_the_policy() -> None:
    assert Month.parse("2026-12").plus(1) == Month(2027, 1) and Month(2027, 1).plus(-13) == Month(2025, 12)
    assert Month.of(JULY.start_ms) == JULY != Month.of(JULY.start_ms - 1)
    assert JULY.end_ms - JULY.start_ms == 31 * 86_400_000
    november = Month(2026, 11).start_ms + 5
    assert [str(m) for m in over_due(JULY.start_ms, november, 2)] == ["2026-07", "2026-08"]
    assert list(over_due(JULY.start_ms, november, 4)) == []
    for text in ("2026-13", "2026-7", "26-07", "2026-07 ", "２０２６-07"):
        with pytest.raises(BadMonth):
            Month.parse(text)
