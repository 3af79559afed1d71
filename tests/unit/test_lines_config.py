"""Lines in the configuration: what must agree with what, named by its place."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from cti.directory import check_directory
from cti.share import folder


@pytest.mark.parametrize(("change", "message"), [
    (('    recall: 10               #', '    shares: "110"\n    recall: 10               #'), "is no other hotline"),
    (("      callback: true", '      overflow: {after: 60, to: "12345"}\n      callback: true'), "overflow to 12345"),
    (("    priority: 10", '    priority: 10\n    opening: {hours: "08:00-18:00"}'), "110 is always open"),
    (("callbacks: {ring: 30", "callbacks: {trunk: none, ring: 30"), "no trunk 'none'"),
])  # fmt: skip
def test_what_leads_nowhere_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    config = shutil.copytree(folder("config"), tmp_path / "config")
    text = (config / "hotlines.yaml").read_text(encoding="utf-8")
    assert change[0] in text
    (config / "hotlines.yaml").write_text(text.replace(change[0], change[1], 1), encoding="utf-8")
    checked = check_directory(config, dt.date(2026, 11, 25))
    assert [p for p in checked.problems if message in p.message], [str(p) for p in checked.problems]
    assert checked.directory is None
