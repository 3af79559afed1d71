"""The policy of the three-party call in hotlines.yaml and the linkage directory, as the dialplan gets them."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from cti.directory import Directory, load_directory
from cti.routes import linkage
from cti.stack.render import Told, render

ROOT = Path(__file__).parents[2]


def read(folder: Path, conference: str = "") -> Directory:
    shutil.copytree(ROOT / "config", folder / "config")
    path = folder / "config/hotlines.yaml"
    path.write_text(path.read_text(encoding="utf-8") + conference, encoding="utf-8")
    return load_directory(folder / "config", dt.date(2026, 11, 25))


def rendered(directory: Directory) -> dict[str, str]:
    told = Told(site="530100", etc=Path("/etc/asterisk"), sounds=Path("/sounds"), ami_port=5038, ami_username="cti",
                ami_secret="x" * 16, sip_port=5060, rtp=range(10_000, 10_100), agi_port=4573)  # fmt: skip
    return render(ROOT / "dialplan", directory, told, b"key")


def setting(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} = ")]
    return line.removeprefix(f"{name} = ")


@pytest.mark.parametrize(("yaml", "wanted"), [
    ("", {"ROOM_RULE": "decider", "DECIDE_S": "180", "REMIND_S": "30", "ASIDE_LOOKS": "20", "WORDS_S": "30"}),
    ("conference: {rule: both, decide: 90, remind: 20, aside: 30, words: 60}\n",
     {"ROOM_RULE": "both", "DECIDE_S": "90", "REMIND_S": "20", "ASIDE_LOOKS": "10", "WORDS_S": "60"}),
])  # fmt: skip
def test_the_policy_reaches_the_dialplan_and_rides_on_the_key_press(
    tmp_path: Path, yaml: str, wanted: dict[str, str]
) -> None:
    files = rendered(read(tmp_path, yaml))
    assert {name: setting(files["extensions.conf"], name) for name in wanted} == wanted
    assert '"rule":"${ROOM_RULE}","decide_s":"${DECIDE_S}","remind_s":"${REMIND_S}"' in files["door.conf"]


def test_a_fourth_members_key_is_on_every_phone_and_leads_to_his_targets(tmp_path: Path) -> None:
    directory = read(tmp_path)
    files = rendered(directory)
    assert "ks119xm119 => *119,self,Gosub(key,member,1(119,))" in files["features.conf"]
    features = [line for line in files["pjsip.conf"].splitlines() if "DYNAMIC_FEATURES" in line]
    assert len(features) == len(directory.seats) and all("ks119xm119" in line for line in features)
    assert setting(files["extensions.conf"], "ROUTE_m119") == "phone~PJSIP/119@pstn~20~pstn~0"
    assert setting(files["extensions.conf"], "ROUTE_m2000") == "dial~PJSIP/1902~20"
    assert "ROUTE_119 " not in files["extensions.conf"], "no transfer of the caller by the same number"


def test_a_fourth_member_serves_by_the_hour_and_who_is_away_is_rung_last(tmp_path: Path) -> None:
    directory = read(tmp_path)
    day = {"kind": "seat", "number": "1901", "timeout": 15, "hours": "08:00-18:00"}
    boss = directory.linkage[3].model_copy(update={"targets": (
        type(directory.linkage[3]).model_validate(
            {"number": "2000", "name": {"zh": "班长", "en": "s"}, "targets": [day]}).targets[0],
        *directory.linkage[3].targets)})  # fmt: skip
    changed = directory.model_copy(update={"linkage": (boss,)})
    assert linkage(changed, dt.time(9))["m2000", "*", False] == "dial~PJSIP/1901~15|dial~PJSIP/1902~20"
    assert linkage(changed, dt.time(20))["m2000", "*", False] == "dial~PJSIP/1902~20"
    away = linkage(changed, dt.time(9), {"1901"})["m2000", "*", False]
    assert away.startswith("dial~PJSIP/1902~20|dial~PJSIP/1901~15")


def test_a_site_without_the_linkage_file_has_none(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config/linkage.yaml").unlink()
    shutil.rmtree(tmp_path / "config/plans")  # they name some of it
    assert load_directory(tmp_path / "config", dt.date(2026, 11, 25)).linkage == ()
