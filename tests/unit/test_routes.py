"""Routes by division, hour and danger: who is walked when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cti.core.routing import read_route
from cti.directory import Directory, load_directory
from cti.problem import ConfigError
from cti.routes import routes, routes_for
from cti.share import folder

NIGHT = """routes:
  - to: "110"
    division: "*"
    targets:
      - {kind: dedicated, timeout: 15, hours: "08:30-18:00"}
      - {kind: phone, number: "087165100110", trunk: pstn, timeout: 20, hours: "18:00-08:30"}
  - to: "12345"
    division: "*"
    targets: [{kind: general, timeout: 15, hours: "09:00-17:00"}]
"""


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    for file in folder("config").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "routes.yaml").write_text(NIGHT, encoding="utf-8")
    return load_directory(tmp_path, dt.date(2026, 11, 24))


def targets(directory: Directory, at: str | None, to: str = "110") -> list[str]:
    text = routes(directory, dt.time.fromisoformat(at) if at else None)[to, "*", False]
    return [hop.target for hop in read_route(text)]


DUTY = "PJSIP/087165100110@pstn"


@pytest.mark.parametrize(("at", "walked"), [
    ("08:29", [DUTY]), ("08:30", ["110-dedicated"]), ("17:59:59", ["110-dedicated"]), ("18:00", [DUTY]),
    ("00:00", [DUTY]), (None, ["110-dedicated", DUTY]),
])  # fmt: skip
def test_a_target_is_walked_in_its_hours(directory: Directory, at: str | None, walked: list[str]) -> None:
    assert targets(directory, at) == walked


def test_an_hour_nobody_serves_tries_everybody(directory: Directory) -> None:
    assert targets(directory, "03:00", "12345") == ["12345"]


@pytest.mark.parametrize("hours", ["8:30-18:00", "08:30-08:30", "24:00-08:00", "08:30", "08:30–18:00"])
def test_hours_that_do_not_read_are_named_by_line(directory: Directory, tmp_path: Path, hours: str) -> None:
    (tmp_path / "routes.yaml").write_text(NIGHT.replace("08:30-18:00", hours), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"routes\.yaml:5:.*hours"):
        load_directory(tmp_path, dt.date(2026, 11, 24))


def test_lists_for_danger_stand_beside_the_ordinary_ones(tmp_path: Path) -> None:
    shipped = load_directory(folder("config"), dt.date(2026, 11, 24))
    made = routes(shipped)
    assert made["110", "*", True] == "queue~110-dedicated~10|queue~110~10"
    assert made["110", "*", False] == "queue~110-dedicated~15|queue~110~15"
    own = routes_for(shipped, "530102")
    assert own["110", True] == made["110", "*", True] and own["110", False] == made["110", "530102", False]
    assert set(own) == {("110", False), ("110", True), ("12345", False)}, "no list for danger leads to 12345"
