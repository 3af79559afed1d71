"""`cti dialplan check` on the shipped dialplan, and on copies of it with seeded faults."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.dialplan_faults import BREAKS, missed, seeded, texts_of
from cti.__main__ import main
from cti.dialplan import known
from cti.share import folder

DIALPLAN, CONFIG = folder("dialplan"), folder("config")


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["dialplan", "check", "--no-load", "--config", str(CONFIG), *arguments])
    return done.exit_code, done.output


def test_the_shipped_dialplan_has_no_faults() -> None:
    code, said = run("--json")
    report = json.loads(said)
    assert (code, report["ok"], report["findings"]) == (0, True, [])
    excused = {(f["code"], f["file"].rpartition("/")[2]) for f in report["excused"] if f["code"] != "event-unknown"}
    assert report["steps"] > 1000 and excused == {("never-set", "line.conf")}  # the virtual hour of the stories


def test_seeded_faults_are_each_named_by_file_and_line() -> None:
    """More seeds: `python -m bench.dialplan_faults`."""
    faulty, faults = seeded(texts_of(DIALPLAN), 7, 25)
    assert len(faults) == 25 and len({f.kind for f in faults}) >= 20 and len(BREAKS) >= 25
    assert missed(DIALPLAN, faulty, faults, CONFIG) == []


def test_faults_are_printed_with_a_hint(tmp_path: Path) -> None:
    copy = shutil.copytree(DIALPLAN, tmp_path / "dialplan")
    text = (copy / "lobby.conf").read_text()
    (copy / "lobby.conf").write_text(text.replace("Playback(${SOUNDS}/goodbye)", "Playback(${SOUNDS}/godbye)"))
    code, said = run("--dialplan", str(copy))
    line = next(n for n, t in enumerate(text.splitlines(), 1) if "/goodbye)" in t)
    assert code == 1 and f"lobby.conf:{line}: 错误/error prompt-missing" in said and "did you mean: goodbye" in said


def test_local_d_is_checked_as_well(tmp_path: Path) -> None:
    copy = shutil.copytree(DIALPLAN, tmp_path / "dialplan")
    (copy / "local.d").mkdir()
    (copy / "local.d/site.conf").write_text(
        "[from-seat](+)\nexten => 7,1,Playback(${SOUNDS}/goodbye)\n same => n,Goto(loby,s,1)\n"
    )
    code, said = run("--dialplan", str(copy), "--json")
    assert code == 1 and [(f["file"], f["line"], f["code"]) for f in json.loads(said)["findings"]] == [
        ("local.d/site.conf", 3, "context-unknown")
    ]


def test_a_folder_without_a_dialplan_is_said_so(tmp_path: Path) -> None:
    code, said = run("--dialplan", str(tmp_path))
    assert code == 2 and "extensions.conf" in said


def test_what_the_service_does_is_what_the_service_says() -> None:
    """The names in cti/dialplan/known.py are written in the service's own sources."""
    here = Path(known.__file__).parents[2]
    sources = "\n".join(
        p.read_text() for part in ("cti/ami", "cti/lending", "ivr", "cti/core") for p in (here / part).rglob("*.py")
    )
    sources += "".join(
        (here / f"cti/{n}.py").read_text() for n in ("planning", "nuisance", "pins", "seating", "intake")
    )
    for name in (known.SERVICE_SETS | known.SERVICE_READS) - {"HOTLINE", "DRILL"}:
        assert re.search(rf'"_*{name}"', sources), name


@pytest.mark.parametrize("other", ["more", "less"])
def test_a_site_that_has_more_or_less_than_this_one_has_no_faults_either(tmp_path: Path, other: str) -> None:
    """What only some sites' templates lead to, or fill in, is no fault where it is missing."""
    config = shutil.copytree(CONFIG, tmp_path / "config")
    hotlines, seats, routes = ((config / f"{n}.yaml").read_text() for n in ("hotlines", "seats", "routes"))
    if other == "more":
        hotlines = hotlines.replace("      # overflow:", "      overflow:").replace("    # opening:", "    opening:")
        hotlines = hotlines.replace("#  - {number:", "  - {number:").replace("#     division", "     division")
        seats = seats.replace(
            '"1001", platform: "12345", kind: general',
            '"1001", platform: "12345", kind: general, webrtc: true, spill: 5',
        )
    else:
        for name in ("linkage.yaml", "sites.yaml", "nuisance.yaml", "plans"):
            shutil.rmtree(config / name) if name == "plans" else (config / name).unlink()
        hotlines = re.sub(r"keys: \{.*?\}", "keys: {}", hotlines).replace("callback: true", "callback: false")
        seats = seats.replace("kind: dedicated", "kind: general")
        routes = "\n".join(line for line in routes.splitlines() if "kind: dedicated" not in line)
    for name, text in (("hotlines", hotlines), ("seats", seats), ("routes", routes)):
        (config / f"{name}.yaml").write_text(text)
    code, said = run("--config", str(config), "--json")
    assert (code, json.loads(said)["findings"]) == (0, [])


def test_the_slips_depend_on_the_seed_alone() -> None:
    assert seeded(texts_of(DIALPLAN), 3, 5) == seeded(texts_of(DIALPLAN), 3, 5)
