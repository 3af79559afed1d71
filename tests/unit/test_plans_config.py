"""The files of emergency plans: each slip is named by file, line and cure; what starting one does."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from cti.core.plan_model import Contact, DutyPhone, Lent
from cti.directory import check_directory, load_directory
from cti.directory.plans import prompt_of
from cti.planning import spec_of
from cti.stack.sounds import greetings

ROOT = Path(__file__).parents[2]
TODAY = dt.date(2026, 11, 25)
GOOD = """name: {zh: 防汛, en: flood}
sites: ["532900"]
divisions: ["532901"]
front:
  hotlines: ["12345"]
  say: 请远离河道。
seats:
  - {from: "530100", count: 2}
open: ["119"]
duty:
  say: 请到岗。
  phones:
    - {linkage: "119"}
    - name: {zh: 水务, en: water}
      contacts: [{kind: seat, number: "1902", timeout: 20}]
notify: ["110"]
drill: {callers: ["13800001111"]}
"""


def checked(tmp_path: Path, text: str, name: str = "flood.yaml") -> list[str]:
    """What `cti check` says of one plan in an otherwise sound configuration: ``file:line word words``."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    (config / "plans" / name).write_text(text, encoding="utf-8")
    found = check_directory(config, TODAY).problems
    return [f"{Path(p.file).name}:{p.line} {p.where}: {p.message} → {p.cure}" for p in found]


def test_a_sound_plan_has_no_fault(tmp_path: Path) -> None:
    assert checked(tmp_path, GOOD) == []


@pytest.mark.parametrize(("old", "new", "line", "where", "words"), [
    ('sites: ["532900"]', 'sites: ["532900", "532300"]', 2, "sites[1]", "no site 532300"),
    ('divisions: ["532901"]', 'divisions: ["530102"]', 3, "divisions[0]", "in none of the plan's sites"),
    ('divisions: ["532901"]', 'divisions: ["532700"]', 3, "divisions[0]", "abolished"),
    ('hotlines: ["12345"]', 'hotlines: ["110"]', 5, "front.hotlines[0]", "nothing may delay a call to 110"),
    ('hotlines: ["12345"]', 'hotlines: ["12329"]', 5, "front.hotlines[0]", "no hotline 12329"),
    ("say: 请远离河道。", "say: 请远离(河道)。", 6, "front.say", "use the full-width"),
    ('{from: "530100", count: 2}', '{from: "532900", count: 2}', 8, "seats[0].from", "would lend to itself"),
    ('{from: "530100", count: 2}', '{from: "530100", count: 0}', 8, "seats[0].count", "at least 1"),
    ('open: ["119"]', 'open: ["191"]', 9, "open[0]", "did you mean 119?"),
    ('open: ["119"]', 'open: ["119", "119"]', 9, "open", "twice"),
    ('{linkage: "119"}', '{linkage: "999"}', 13, "duty.phones[0].linkage", "no 999 in the linkage directory"),
    ('{linkage: "119"}', "{}", 13, "duty.phones[0]", "give linkage, or name and contacts"),
    ('number: "1902"', 'number: "1999"', 15, "duty.phones[1].contacts[0].number", "no seat 1999"),
    ('{kind: seat, number: "1902", timeout: 20}', '{kind: phone, number: "0871", trunk: gone, timeout: 20}', 15,
     "duty.phones[1].contacts[0].trunk", "no trunk 'gone'"),
    ('notify: ["110"]', 'notify: ["119"]', 16, "notify[0]", "must be one of"),
    ("drill:", "dril:", 17, "dril", "did you mean 'drill'?"),
    ("sites:", "id: other\nsites:", 2, "id", "unknown key 'id'"),
])  # fmt: skip
def test_a_slip_is_named_by_file_line_and_cure(tmp_path: Path, old: str, new: str, line: int, where: str,
                                               words: str) -> None:  # fmt: skip
    assert old in GOOD
    found = checked(tmp_path, GOOD.replace(old, new))
    assert len(found) == 1, found
    assert found[0].startswith(f"flood.yaml:{line} {where}: ") and words in found[0], found


def test_a_file_that_is_no_plans_name_is_said(tmp_path: Path) -> None:
    for n, name in enumerate(("Flood.yaml", "f.yaml", "flood.yml", "水灾.yaml")):
        (found,) = checked(tmp_path / str(n), GOOD, name)
        assert name in found and "is no name of a plan" in found


def test_a_fault_elsewhere_brings_no_page_of_consequences(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    text = (config / "linkage.yaml").read_text(encoding="utf-8")
    (config / "linkage.yaml").write_text(text.replace('number: "119"\n', 'nummer: "119"\n', 1), encoding="utf-8")
    assert {Path(p.file).name for p in check_directory(config, TODAY).problems} == {"linkage.yaml"}


def test_without_the_folder_there_is_no_plan(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.rmtree(tmp_path / "config/plans")
    assert load_directory(tmp_path / "config", TODAY).plans == ()


def test_what_starting_the_shipped_plan_does() -> None:
    directory = load_directory(ROOT / "config", TODAY)
    plan = directory.plan("flood-dali")
    assert plan is not None and plan.front is not None and plan.duty is not None
    spec = spec_of(plan, directory)
    assert spec.front == {"12345": prompt_of(plan.front.say)} and spec.open == ("119", "120", "122")
    assert spec.seats == (Lent("530100", 2, 60),) and spec.notify == ("110",)
    assert spec.duty[1] == DutyPhone("消防救援", (Contact("119", 20, "pstn"),))
    assert [c.number for c in spec.duty[0].contacts] == ["08722300001", "13900000001"]
    spoken = greetings(directory)
    assert spoken[spec.front["12345"]] == plan.front.say and spoken[spec.say] == plan.duty.say


def test_another_text_is_another_prompt() -> None:
    assert prompt_of("请到岗。") == prompt_of("请到岗。") != prompt_of("请到岗！")
