"""Routes by division, hour, danger and who can be reached: who is walked when, and in which order."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core.routing import MAX_ROUTE, BadRoute, Hop, reachable_first, read_route, route_text
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
    for file in folder("config").glob("*.yaml"):
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


LINES = {"110-dedicated": ("8001", "8002"), "110": ("8101",), "empty": ()}
DUTY_HOP = Hop("phone", DUTY, 20, "pstn", confirm=True)
SEAT_HOP = Hop("dial", "PJSIP/8003", 15)
DEDICATED, GENERAL = Hop("queue", "110-dedicated", 15), Hop("queue", "110", 15)
WALK = (DUTY_HOP, SEAT_HOP, DEDICATED, GENERAL)


@pytest.mark.parametrize(("unreachable", "order"), [
    (set(), "0123"),
    ({"pstn"}, "1230"),
    ({"8003"}, "0231"),
    ({"8001"}, "0123"),  # a line with one seat left is a line
    ({"8001", "8002"}, "0132"),
    ({"pstn", "8101"}, "1203"),
    ({"8101", "8003", "pstn"}, "2013"),  # the unreachable keep their order too
    ({"9999", "other"}, "0123"),
    ({"pstn", "8003", "8001", "8002", "8101"}, "0123"),
])  # fmt: skip
def test_whom_asterisk_cannot_reach_is_walked_last(unreachable: set[str], order: str) -> None:
    walked = reachable_first(WALK, unreachable, LINES)
    assert [replace(hop, away=False) for hop in walked] == [WALK[int(n)] for n in order]
    here = 4 if order == "0123" else 4 - sum(hop.unreachable(unreachable, LINES) for hop in WALK)
    assert [hop.away for hop in walked] == [False] * here + [True] * (4 - here)


def test_a_line_without_seats_or_unknown_is_not_called_unreachable() -> None:
    for name in ("empty", "unknown"):
        assert not Hop("queue", name, 15).unreachable({"8001"}, LINES)


HOPS = st.lists(st.one_of(
    st.builds(Hop, st.just("queue"), st.sampled_from(["110-dedicated", "110", "empty", "unknown"]), st.integers(1, 9)),
    st.builds(Hop, st.just("dial"), st.sampled_from(["PJSIP/8001", "PJSIP/8101", "PJSIP/9"]), st.integers(1, 9)),
    st.builds(Hop, st.just("phone"), st.just("PJSIP/1@a"), st.integers(1, 9), st.sampled_from("ab"), st.booleans()),
), min_size=1, max_size=12)  # fmt: skip


@given(HOPS, st.sets(st.sampled_from(["8001", "8002", "8101", "9", "a", "b", "c"])))
def test_health_never_makes_a_walk_shorter_and_its_text_reads_back(hops: list[Hop], devices: set[str]) -> None:
    walked = reachable_first(hops, devices, LINES)
    assert Counter(replace(hop, away=False) for hop in walked) == Counter(hops)
    reached = [hop.unreachable(devices, LINES) for hop in walked]
    assert reached == sorted(reached) or all(reached)
    for part in (False, True):  # ties: the configured order
        assert [replace(h, away=False) for h in walked if h.unreachable(devices, LINES) is part] == [
            h for h in hops if h.unreachable(devices, LINES) is part]  # fmt: skip
    assert read_route(route_text(walked)) == walked


def test_a_mark_of_who_is_away_never_makes_a_sound_route_too_long() -> None:
    long = [Hop("phone", f"PJSIP/{'1' * 24}@{'t' * 24}", 9, "t" * 24, confirm=True) for _ in range(9)]
    full = [Hop("dial", f"PJSIP/{'8' * 60}", 5), *long]
    marked = reachable_first(full, {"t" * 24}, {})
    assert [hop.away for hop in marked] == [False] + [True] * 9
    full[0] = replace(full[0], target="PJSIP/" + "8" * (60 + MAX_ROUTE - len(route_text(full))))
    assert len(route_text(full)) == MAX_ROUTE
    assert len(route_text(reachable_first(full, {"t" * 24}, {}))) > MAX_ROUTE
    full[0] = replace(full[0], target=full[0].target + "8")
    with pytest.raises(BadRoute, match="901 bytes"):
        route_text(full)


def test_a_dead_trunk_is_last_in_the_texts_of_its_hour(directory: Directory) -> None:
    anywhere = routes(directory, None, {"8001", "8002", "8003"})["110", "*", False]
    assert [hop.target for hop in read_route(anywhere)] == [DUTY, "110-dedicated"]
    assert anywhere.endswith("|queue~110-dedicated~15~~~1")
    assert routes_for(directory, "530102", None, {"8001", "8002", "8003"})["110", False] == anywhere
    alone = routes(directory, dt.time(20), {"pstn"})["110", "*", False]
    assert alone == f"phone~{DUTY}~20~pstn~1", "the only one of its hour: nothing to go behind"


def test_lists_for_danger_stand_beside_the_ordinary_ones(tmp_path: Path) -> None:
    shipped = load_directory(folder("config"), dt.date(2026, 11, 24))
    made = routes(shipped)
    assert made["110", "*", True] == "queue~110-dedicated~10|queue~110~10"
    assert made["110", "*", False] == "queue~110-dedicated~15|queue~110~15"
    own = routes_for(shipped, "530102")
    assert own["110", True] == made["110", "*", True] and own["110", False] == made["110", "530102", False]
    assert set(own) == {("110", False), ("110", True), ("12345", False)}, "no list for danger leads to 12345"
