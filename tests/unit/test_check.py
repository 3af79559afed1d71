"""`cti check` finds each slip of the pen at its file and line, and says how to mend it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cti.cli.check import check

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.upper().startswith("CTI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(check, list(arguments), catch_exceptions=False)


@dataclass(frozen=True)
class Fault:
    """A slip: in `file`, the first `old` becomes `new`; found on the line of `at`, else of `new`; in `file_at`, if
    that is another file."""

    file: str
    old: str
    new: str
    says: str
    at: str = ""
    file_at: str = ""
    level: str = "error"


TWO_TARGETS = """targets:
      - {kind: dedicated, timeout: 15}
      - {kind: general, timeout: 15}
"""
SECOND = TWO_TARGETS.removeprefix("targets:\n      - ") + "      - {kind: phone"
FAULTS = [
    Fault("seats", "name: 12345二号席", "nam: 12345二号席", "unknown key 'nam'; did you mean 'name'?"),
    Fault("seats", '"1003"', "1003", "须为文字"),
    Fault("seats", '"1003"', '"10O3"', "号码只许数字"),
    Fault("seats", '"1003"', '"10"', "3–8 位"),
    Fault("seats", '"1004"', '"1001"', "座席/seat 1001 重复", at="四号席"),
    Fault("seats", '"8102"', '"119"', "紧急号码"),
    Fault("seats", "dedicated, name: 110联动二号", "dedicate, name: 110联动二号", "须为 'general'"),
    Fault("seats", "dedicated, name: 110联动二号", 'dedicated, lines: ["110"], name: 110联动二号',
          "may be in no general line"),
    Fault("seats", "dedicated, name: 110联动二号", "dedicated, spill: 3, name: 110联动二号", "不得进普通队列"),
    Fault("seats", "general, name: 12345三号席", 'general, lines: ["110"], name: 12345三号席', "12345 没有热线 110"),
    Fault("seats", "general, name: 12345三号席", "general, login: true, name: 12345三号席", "there is no agent"),
    Fault("seats", "12345三号席", "三号席(备用)", "不许有字符 ("),
    Fault("seats", "一号席}", "一号席, secret: short}", "口令须为"),
    Fault("seats", "  - {number: \"1002\"", "\t- {number: \"1002\"", "制表符"),
    Fault("hotlines", '- number: "110"', '- number: "12345"', "热线/hotline 12345 重复"),
    Fault("hotlines", 'division: "530100"', 'division: "532700"', "532700 思茅地区已于 2003 年撤销"),
    Fault("hotlines", '{"*12345": "12345", ', '{"12345": "12345", ', "须以 * 或 # 开头"),
    Fault("hotlines", '{"*12345": "12345", ', '{"*12345": "12345", "*123": "12345", ', "*123 是 *12345 的开头"),
    Fault("hotlines", '{"*12345": "12345", ', '{"*12345": "12345", "*119": "12345", ', "按键 *119 已另有用途",
          file_at="linkage", at='"119"'),
    Fault("hotlines", '{"*0": "110"}', '{"*6": "110"}', "*6 开头的按键用于三方通话"),
    Fault("hotlines", "hotlines:\n", "conference: {decide: 59}\nhotlines:\n", "不得小于 60"),
    Fault("hotlines", "hotlines:\n", "conference: {remind: 46}\nhotlines:\n", "不得大于 45"),
    Fault("hotlines", "hotlines:\n", "conference: {words: 0}\nhotlines:\n", "不得小于 1"),
    Fault("hotlines", "hotlines:\n", "conference: {aside: 1.5}\nhotlines:\n", "须为整数"),
    Fault("hotlines", "hotlines:\n", "conference: {rule: all}\nhotlines:\n", "须为 'decider' or 'both' 之一"),
    Fault("hotlines", "hotlines:\n", "conference: {decides: 60}\nhotlines:\n", "did you mean 'decide'?"),
    Fault("linkage", 'number: "1902"', 'number: "1909"', "没有座席 1909"),
    Fault("linkage", "trunk: pstn", "trunk: pst", "没有中继 pst"),
    Fault("linkage", '- number: "120"', '- number: "119"', "联动单位/linkage 119 重复"),
    Fault("linkage", '- number: "2000"', '- number: "1002"', "联动单位/linkage 1002 重复"),
    Fault("linkage", 'key: "*20"', 'key: "*0"', "按键 *0 已另有用途"),
    Fault("linkage", 'key: "*20"', 'key: "*61"', "*6 开头的按键用于三方通话"),
    Fault("linkage", "kind: seat", "kind: dedicated", "种类须为"),
    Fault("hotlines", '{"*110": "110"}', '{*110: "110"}', '"*110"'),
    Fault("trunks", "max_calls: 30", "max_calls: 5, reserved: 5", "预留 5 线"),
    Fault("hotlines", '{"**110": "110"}', '{"**110": "110", "**1": "110"}', "**1 是 **110 的开头"),
    Fault("hotlines", '{"*110": "110"}', '{"*14": "110"}', "座席状态的代码"),
    Fault("hotlines", '{"*110": "110"}', '{"*110": "119"}', "须为 '12345' or '110' 之一"),
    Fault("hotlines", "recall: 10 ", "recall: 2 ", "不得小于 3"),
    Fault("hotlines", "wrapup: 0              #", "wrapup: 0\n      wrapup: 5 #", "重复的键", at="wrapup: 5"),
    Fault("hotlines", '    platform: "12345"        #', "    #", "缺少必填项", at='- number: "12345"'),
    Fault("routes", '"8003"', '"8013"', "没有座席 8013"),
    Fault("routes", '"8003"', '"1001"', "属于 12345"),
    Fault("routes", "trunk: pstn", "trunk: pstm", "did you mean pstn?"),
    Fault("routes", "timeout: 20", "timeout: 121", "不得大于 120"),
    Fault("routes", "kind: phone", "kind: fone", "种类须为"),
    Fault("routes", "trunk: pstn", "trunks: pstn", "did you mean 'trunk'?"),
    Fault("routes", '  - to: "110"', '  - to: "119"', "须为 '12345' or '110' 之一"),
    Fault("routes", '"530102"', '"530199"', "不是现行行政区划代码"),
    Fault("routes", '"530102"       #', '"*"            #', "→110 * 重复"),
    Fault("routes", '"530102"       #', '"*"\n    danger: true #', "→110 * danger 重复，第 17 行已有",
          at='"*"            # danger'),
    Fault("routes", "danger: true\n", "danger: 1\n", "须为 true 或 false"),
    Fault("routes", TWO_TARGETS, "targets: []\n", "至少 1 项"),
    Fault("routes", '"530102"', '"530000"', "省级代码", level="warning"),
    Fault("routes", '{kind: seat, number: "8003", timeout: 15}', "{kind: dedicated, timeout: 9}",
          "同一目标出现两次", at=SECOND,
          level="warning"),
    Fault("trunks", "port: 5070", "port: 70000", "不得大于 65535"),
    Fault("trunks", '["127.0.0.1"]', '["127.0.0.1/8"]', "不是 IP 地址或网段"),
    Fault("trunks", '["127.0.0.1"]', '["0.0.0.0/0"]', "任何地址都可呼入", level="warning"),
    Fault("sites", '["127.0.0.12"]', '["0.0.0.0/0"]', "任何地址都可冒充该站点"),
    Fault("sites", 'code: "532900"', 'code: "530100"', "的 code 相同", at='"530100"\n    name: {zh: 大理州'),
    Fault("sites", "penalty: 5", "penalty: 0", "不得小于 1"),
    Fault("nuisance", "2099-12-31", "2020-02-30", "无法读作 timestamp"),
    Fault("nuisance", "2099-12-31", "2020-02-29", "已于 2020-02-29 到期", level="warning"),
    Fault("nuisance", '"10000000000"', '"1001"', "本站的热线或座席"),
    Fault("site", "http:", "htpp:", "did you mean 'http'?"),
    Fault("site", "port: 5038", "prot: 5038", "did you mean 'port'?"),
    Fault("site", '"530100"', '"532700"', "已于 2003 年撤销"),
    Fault("site", "action: 5", "action: soon", "须为数字"),
    Fault("site", "redis://", "http://", "不是 Redis 地址"),
]  # fmt: skip


def broken(folder: Path, fault: Fault) -> int:
    """Make the slip; the line it stands on."""
    path = folder / f"{fault.file}.yaml"
    text = path.read_text(encoding="utf-8")
    assert fault.old in text
    before, after = text.split(fault.old, 1)
    changed = before + fault.new + after
    path.write_text(changed, encoding="utf-8")
    if fault.file_at:
        changed = (folder / f"{fault.file_at}.yaml").read_text(encoding="utf-8")
    position = (
        changed.index(fault.at) if fault.at else len(before) + len(fault.new) - len(fault.new.lstrip("\n"))
    )
    return changed.count("\n", 0, position) + 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.file}: {f.new.strip()[:40]}")
def test_each_slip_is_found_at_its_file_and_line(folder: Path, fault: Fault) -> None:
    line = broken(folder, fault)
    result = run("--json")
    report = json.loads(result.stdout)
    assert result.exit_code == (1 if fault.level == "error" else 0)
    found = [(p["file"], p["line"], p["level"]) for p in report["problems"]]
    assert found == [(f"config/{fault.file_at or fault.file}.yaml", line, fault.level)], report["problems"]
    said = report["problems"][0]
    assert fault.says in said["message"] + said["cure"]
    assert said["column"] >= 1


WHOLE = [
    ("dedicated", "dedicated, name: 110", "general, name: 110", "110 没有 dedicated 座席", "routes.yaml"),
    ("general", "general, name: 12345", "dedicated, name: 12345", "没有普通座席", "hotlines.yaml"),
]  # fmt: skip


@pytest.mark.parametrize(("_what", "old", "new", "says", "file"), WHOLE, ids=[w[0] for w in WHOLE])
def test_a_target_or_hotline_nobody_serves_is_found(
    folder: Path, _what: str, old: str, new: str, says: str, file: str
) -> None:
    path = folder / "seats.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    result = run()
    assert result.exit_code == 1
    assert any(f"config/{file}:" in line and says in line for line in result.stderr.splitlines())


def test_a_hotline_without_a_way_over_is_a_warning(folder: Path) -> None:
    path = folder / "routes.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index('  - to: "12345"')], encoding="utf-8")
    result = run()
    assert result.exit_code == 0
    assert "警告/warning" in result.stderr
    assert "热线 110 没有通向 12345 的路由" in result.stderr


def test_a_platform_with_routes_for_danger_alone_is_named(folder: Path) -> None:
    path = folder / "routes.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    at = lines.index('  - to: "12345"')
    lines.insert(at + 2, "    danger: true")
    path.write_text("\n".join(lines), encoding="utf-8")
    result = run()
    assert result.exit_code == 1
    assert f"config/routes.yaml:{at + 3}:" in result.stderr
    assert "→12345 只有危险路由" in result.stderr


def test_several_slips_in_several_files_are_told_in_one_run(folder: Path) -> None:
    told = (
        "unknown key 'nam'; did you mean 'name'?",
        "须以 * 或 # 开头",
        "不得大于 120",
        "不得大于 65535",
        "须为数字",
    )
    lines = {(f.file, broken(folder, f)) for f in FAULTS if f.says in told}
    report = json.loads(run("--json").stdout)
    assert {(Path(p["file"]).stem, p["line"]) for p in report["problems"]} == lines
    assert report["errors"] == 5


def test_a_platform_without_a_hotline_is_no_goal(folder: Path) -> None:
    path = folder / "hotlines.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index('  - number: "110"')], encoding="utf-8")
    result = run()
    assert result.exit_code == 1
    assert "按键 *110 通向 110，但没有该平台的热线" in result.stderr
    assert result.stderr.count("没有平台 110 的热线") == 3  # every route to it


def test_a_misspelt_optional_file_is_noticed(folder: Path) -> None:
    (folder / "nuisance.yaml").rename(folder / "nuisence.yaml")
    result = run()
    assert result.exit_code == 0
    assert "did you mean nuisance.yaml?" in result.stderr


def test_a_sound_folder_is_summed_up(folder: Path) -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    for part in (
        "2 hotlines, 11 seats, 4 routes",
        "*110 → 110",
        "530102 五华区: 8003 15s → dedicated 15s",
        "* 危险/danger: dedicated 10s → general 10s",
        "pstn",
    ):
        assert part in result.stdout


def test_a_fault_is_printed_like_a_compilers(folder: Path) -> None:
    line = broken(folder, FAULTS[0])
    column = (folder / "seats.yaml").read_text(encoding="utf-8").splitlines()[line - 1].index("nam:") + 1
    assert run().stderr.splitlines()[:2] == [
        f"config/seats.yaml:{line}:{column}: 错误/error seats[1].nam: "
        "未知的键 nam / unknown key 'nam'; did you mean 'name'?",
        "    → 改为 / write name",
    ]


def test_wrong_usage_exits_2(folder: Path) -> None:
    assert run("--config", "nowhere").exit_code == 2
    assert run("--colour").exit_code == 2


def test_help_shows_examples() -> None:
    text = run("--help").stdout
    assert "cti check --json | jq .problems" in text
    assert "退出码" in text


@pytest.mark.parametrize("file", ["site", "hotlines", "seats", "routes", "trunks", "nuisance"])
@pytest.mark.parametrize("data", [b"", b"\xd5\xc5\xc8\xfd\n", b"\x00", b"- a\n", b"x\n", b"a: [\n", b"{}"])
def test_no_content_brings_a_traceback(folder: Path, file: str, data: bytes) -> None:
    (folder / f"{file}.yaml").write_bytes(data)
    result = run()
    usable = file == "site" and data == b"{}"  # every setting has a default
    assert result.exit_code == (0 if usable else 1)
    assert usable or f"config/{file}.yaml" in result.stderr
