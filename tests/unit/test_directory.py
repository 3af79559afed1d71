"""The linkage directory: what it answers, and which values it refuses."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from cti.directory import (
    Directory,
    GroupTarget,
    SeatTarget,
    Trunk,
    check_directory,
    divisions,
    load_directory,
)
from cti.directory.base import Name
from cti.directory.fields import KeyCode, PhoneNumber, RouteDivision, SeatNumber, Text
from cti.directory.hotlines import Hotline
from cti.directory.seats import Seat
from cti.directory.targets import Route
from cti.problem import ConfigError

CONFIG = Path(__file__).parents[2] / "config"
TODAY = dt.date(2026, 1, 1)


@pytest.fixture(scope="module")
def directory() -> Directory:
    return load_directory(CONFIG, TODAY)


def test_the_shipped_directory_is_sound_without_a_warning() -> None:
    assert check_directory(CONFIG, TODAY).problems == ()


def test_it_holds_what_the_plan_asks_for(directory: Directory) -> None:
    assert directory.platforms == ("12345", "110")
    assert [s.number for s in directory.seats_of("12345", "general")] == ["1001", "1002", "1003", "1004"]
    assert [s.number for s in directory.seats_of("12345", "dedicated")] == ["1901", "1902"]
    assert [s.number for s in directory.seats_of("110", "dedicated")] == ["8001", "8002", "8003"]
    assert [s.number for s in directory.seats_of("110", "general")] == ["8101", "8102"]
    assert len(directory.seats_of("110")) == 5
    city, police = directory.hotline("12345"), directory.hotline("110")
    assert city is not None
    assert police is not None
    assert (dict(city.keys), dict(police.keys)) == ({"*110": "110"}, {"*12345": "12345", "*110": "110"})
    assert directory.trunk("pstn") is not None
    assert directory.hotline("119") is None
    assert directory.seat("9999") is None


def test_the_shipped_seats_carry_no_secret(directory: Directory) -> None:
    assert all(s.secret is None for s in directory.seats)


def routed(*divisions_: str) -> Directory:
    routes = tuple(
        Route(to="110", division=d, targets=(SeatTarget(kind="seat", number=f"80{i:02}", timeout=15),))
        for i, d in enumerate(divisions_)
    )
    return Directory(hotlines=(), seats=(), routes=routes)


ROUTES: list[tuple[tuple[str, ...], str | None, int | None]] = [
    (("*", "530100", "530102"), "530102", 2),
    (("530102", "530100", "*"), "530102", 0),  # the file's order does not matter
    (("*", "530100", "530102"), "530103", 1),
    (("*", "530100", "530102"), "530300", 0),
    (("*", "530100"), "530100", 1),
    (("*", "530102"), "530100", 0),  # a prefecture is not in its county
    (("530100",), "530302", None),
    (("*",), None, 0),
    (("*", "530100"), "5301", 0),
    (("*", "530100"), "53010２", 0),
    (("*", "530100"), "530102\n", 0),
    (("530100",), "", None),
]


@pytest.mark.parametrize(("known", "asked", "wins"), ROUTES)
def test_the_most_specific_route_wins(known: tuple[str, ...], asked: str | None, wins: int | None) -> None:
    expected = () if wins is None else (SeatTarget(kind="seat", number=f"80{wins:02}", timeout=15),)
    assert routed(*known).route("110", asked) == expected


def marked(*divisions_: str) -> Directory:
    """An ordinary route for any division, and those for danger."""
    routes = (
        Route(to="110", division="*", targets=(SeatTarget(kind="seat", number="8000", timeout=15),)),
        *(Route(to="110", division=d, danger=True, targets=(SeatTarget(kind="seat", number=f"90{i:02}", timeout=5),))
          for i, d in enumerate(divisions_)),
    )  # fmt: skip
    return Directory(hotlines=(), seats=(), routes=routes)


@pytest.mark.parametrize(("known", "asked", "wins"), ROUTES)
def test_the_most_specific_route_for_danger_wins(known: tuple[str, ...], asked: str | None, wins: int | None) -> None:
    expected = () if wins is None else (SeatTarget(kind="seat", number=f"90{wins:02}", timeout=5),)
    assert marked(*known).route("110", asked, danger=True) == expected
    assert [t.timeout for t in marked(*known).route("110", asked)] == [15], "a routine key walks the ordinary one"


def test_a_route_is_for_its_own_platform_only() -> None:
    assert routed("*").route("12345", "530100") == ()


def test_a_listed_number_is_found_until_its_day_is_over(directory: Directory) -> None:
    entry = directory.nuisance[0]
    assert directory.nuisance_entry(entry.number, entry.until) == entry
    assert directory.nuisance_entry(entry.number, entry.until + dt.timedelta(days=1)) is None
    assert directory.nuisance_entry("10000000001", TODAY) is None


def test_an_entry_is_told_as_expired_from_the_day_after(directory: Directory) -> None:
    last = directory.nuisance[0].until
    assert check_directory(CONFIG, last).problems == ()
    (problem,) = check_directory(CONFIG, last + dt.timedelta(days=1)).problems
    assert (problem.level, problem.where) == ("warning", "nuisance[0].until")


def test_nothing_in_it_can_be_changed(directory: Directory) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        directory.seats[0].name = "x"
    with pytest.raises(ValidationError, match="frozen"):
        directory.seats = ()


def test_a_seats_password_is_its_own_or_derived() -> None:
    one = Seat(number="1001", platform="12345", kind="general", name="一号席")
    two = one.model_copy(update={"number": "1002"})
    assert one.password(b"key") == one.password(b"key")
    assert len({one.password(b"key"), two.password(b"key"), one.password(b"other")}) == 3
    assert len(one.password(b"key")) == 26
    own = one.model_copy(update={"secret": "a-secret-of-mine"})
    assert own.password(b"key") == "a-secret-of-mine"
    assert "a-secret-of-mine" not in repr(own)


DIVISIONS = [
    ("530100", "昆明市"),
    ("530102", "五华区"),
    ("530800", "普洱市"),  # was 思茅市 until 2006, the code stayed
    ("533400", "迪庆藏族自治州"),
    ("110000", "北京市"),
    ("532700", None),  # 思茅地区, abolished 2003
    ("530122", None),  # 晋宁县, since 2016 a district with another code
    ("530999", None),
    ("000000", None),
    ("53010", None),
    ("5301020", None),
    ("５３０１００", None),
    ("530100\n", None),
    ("*", None),
]


@pytest.mark.parametrize(("code", "label"), DIVISIONS)
def test_a_division_is_in_force_or_not(code: str, label: str | None) -> None:
    assert divisions.name(code) == label


def test_all_sixteen_prefectures_of_yunnan_are_in_force() -> None:
    codes = [
        "5301",
        "5303",
        "5304",
        "5305",
        "5306",
        "5307",
        "5308",
        "5309",
        "5323",
        "5325",
        "5326",
        "5328",
        "5329",
        "5331",
        "5333",
        "5334",
    ]
    assert all(divisions.name(c + "00") for c in codes)


class Values(BaseModel):
    seat: SeatNumber = "1001"
    phone: PhoneNumber = "110"
    text: Text = "x"
    key: KeyCode = "*1"
    division: RouteDivision = "*"


REFUSED: list[tuple[str, Any]] = [
    *(("seat", v) for v in ("12", "123456789", "10 01", "_10XX", "1001&1002", "１００１", "1001\n", "")),
    ("seat", 1001),
    *(("phone", v) for v in ("0871-65100110", "13800000000,s", "${EXTEN}", "1" * 19, "tel:110", None)),
    *(("text", v) for v in ("", " x", "x ", "a,b", "a;b", "${X}", "$[1]", "a&b", "a\nb", "a\x00b", 'a"b',
                            "a(b)", "a\\b", "a|b", "a<b", "a\u2028b", "x" * 65, "a\x85b")),
    *(("key", v) for v in ("110", "*", "", "*11A", "*1234567890", "* 1", "*１", "#1\n")),
    *(("division", v) for v in ("532700", "999999", "53", "**", "530102000000", "")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_that_could_do_harm_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Values.model_validate({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", "昆明市12345热线（北区）"),
        ("text", "A-1 desk"),
        ("key", "#9"),
        ("key", "*123456789"),
        ("key", "**"),
    ],
)
def test_an_ordinary_value_is_taken(name: str, value: str) -> None:
    assert getattr(Values.model_validate({name: value}), name) == value


@pytest.mark.parametrize("seconds", [2, 121, 0, -1, 15.5, True, "15", None])
def test_a_targets_time_out_is_3_to_120_whole_seconds(seconds: object) -> None:
    for good in (3, 120):
        assert GroupTarget(kind="general", timeout=good).timeout == good
    with pytest.raises(ValidationError):
        GroupTarget.model_validate({"kind": "general", "timeout": seconds})


@pytest.mark.parametrize(
    "change",
    [{"host": "a b"}, {"host": "300.1.1.1"}, {"host": "x;y"}, {"port": 0}, {"port": 65536}, {"port": True},
     {"accepts": []}, {"accepts": ["10.0.0.1/8"]}, {"accepts": ["anywhere"]}, {"name": "1001"},
     {"name": "global"}, {"name": "a b"}, {"name": "Pstn]"}, {"max_calls": -1}],
    ids=str,
)  # fmt: skip
def test_a_trunk_that_could_do_harm_is_refused(change: dict[str, object]) -> None:
    good = {"name": "pstn", "host": "sip.example.org", "accepts": ["10.0.0.0/8", "::1"], "port": 5060}
    Trunk.model_validate(good)
    with pytest.raises(ValidationError):
        Trunk.model_validate({**good, **change})


def test_every_fault_comes_with_the_exception(tmp_path: Path) -> None:
    folder = shutil.copytree(CONFIG, tmp_path / "config")
    (folder / "seats.yaml").write_text("seats: [{number: 1}]\n", encoding="utf-8")
    (folder / "trunks.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        load_directory(folder, TODAY)
    assert {Path(p.file).name for p in caught.value.problems} == {"seats.yaml", "trunks.yaml"}
    assert str(caught.value).count("错误") == len(caught.value.problems)


def test_the_nuisance_list_may_be_absent(tmp_path: Path) -> None:
    folder = shutil.copytree(CONFIG, tmp_path / "config")
    (folder / "nuisance.yaml").unlink()
    assert load_directory(folder, TODAY).nuisance == ()


def test_a_hotlines_defaults_are_the_plans() -> None:
    hotline = Hotline(number="12345", platform="12345", name=Name(zh="热线", en="line"), division="530100")
    assert (hotline.queue.wait, hotline.queue.ring, hotline.recall, dict(hotline.keys)) == (120, 12, 10, {})
