"""One damaged row, whatever SQLite makes of it, is set aside; the facts around it come through."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cti.ledger.rows import Checkpoint
from tests.unit.test_spool import entry, numbers, opened

DAMAGE = {
    "id-not-utf8": "id = CAST(x'ff31' AS TEXT)",
    "id-a-blob": "id = x'00ff'",
    "id-a-number": "id = 17.5",
    "body-a-text": "fields = 'text'",
    "crc-a-text": "crc = 'none'",
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_a_damaged_row_never_stops_the_queue(tmp_path: Path, how: str) -> None:
    path = tmp_path / "spool.db"
    async with opened(path) as spool:
        await spool.add([entry(1), entry(2), entry(3)])
    db = sqlite3.connect(path)
    db.execute(f"UPDATE fact SET {DAMAGE[how]} WHERE pos = 2")
    db.commit()
    db.close()
    async with opened(path) as spool:
        assert await numbers(spool) == [1, 3]
        assert (spool.rows, spool.corrupt_rows) == (2, 1)


@pytest.mark.parametrize("how", ["stamp = 'late'", "value = x'ff'", "value = CAST(x'ff' AS TEXT)"])
async def test_a_damaged_checkpoint_counts_as_none_or_as_it_reads(tmp_path: Path, how: str) -> None:
    path = tmp_path / "spool.db"
    async with opened(path) as spool:
        await spool.set_checkpoint("cel", _checkpoint())
        await spool.set_checkpoint("other", _checkpoint())
    db = sqlite3.connect(path)
    db.execute(f"UPDATE checkpoint SET {how} WHERE name = 'cel'")
    db.commit()
    db.close()
    async with opened(path) as spool:
        found = await spool.checkpoints()
        assert found["other"] == _checkpoint()
        assert "cel" not in found or found["cel"].value == "\ufffd"


def _checkpoint() -> Checkpoint:
    return Checkpoint(5, "10@1")
