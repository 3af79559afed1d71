"""`cti render` fills a folder for an Asterisk of one's own, tells what changed, and touches nothing it did not make."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.share import folder as shared

pytestmark = pytest.mark.unit

SECRET = "not-to-be-shown-27"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [n for n in os.environ if n.upper().startswith("CTI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CTI_AMI__SECRET", SECRET)
    shutil.copytree(shared("config"), tmp_path / "config")
    return tmp_path / "config"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(config: Path, out: Path, *more: str) -> Result:
    words = ["render", str(out), "--config", str(config), "--runtime", str(out.parent / "none"), *more]
    return CliRunner().invoke(main, words, catch_exceptions=False)


def contents(out: Path) -> dict[str, str]:
    return {p.name: p.read_bytes().decode(errors="replace") for p in sorted(out.iterdir()) if p.is_file()}


def statuses(result: Result) -> list[str]:
    return [line for line in result.output.splitlines() if re.match(r"^[+~-] \S", line)]


def test_every_template_and_every_plain_file_is_there_with_the_addresses_of_the_site(config: Path, out: Path) -> None:
    site = config / "site.yaml"
    site.write_text(site.read_text().replace("port: 5038, username: cti", "port: 5999, username: linkage")
                    .replace("port: 4573", "port: 4999").replace('"530100"', '"532900"'))  # fmt: skip
    result = run(config, out, "--sip", "0.0.0.0:5070", "--rtp", "12000-13999")
    assert result.exit_code == 0, result.output
    wanted = {path.name.removesuffix(".j2") for path in shared("dialplan").glob("*.conf*")}
    made = contents(out)
    assert wanted <= set(made) and "{{" not in "".join(made.values())
    assert "port = 5999" in made["manager.conf"] and f"[linkage]\nsecret = {SECRET}" in made["manager.conf"]
    assert "AGI = 127.0.0.1:4999" in made["extensions.conf"] and "SITE = 532900" in made["extensions.conf"]
    assert f"SOUNDS = {out}/sounds\n" in made["extensions.conf"]
    assert "bind = 0.0.0.0:5070" in made["pjsip.conf"]
    assert "rtpstart = 12000\nrtpend = 13999" in made["rtp.conf"]
    assert "systemname = 532900" in made["asterisk.conf"]
    # Its folders are that Asterisk's own; only where these files lie is said.
    assert re.findall(r"^ast\w+ => .*$", made["asterisk.conf"], re.M) == [f"astetcdir => {out}"]
    assert (out / "local.d").is_dir() and (out / "sounds/sorry.wav").stat().st_size > 1000
    assert SECRET not in result.output


def test_what_holds_secrets_is_not_for_everybody(config: Path, out: Path) -> None:
    run(config, out)
    for name in ("manager.conf", "pjsip.conf", "instance.key"):
        assert (out / name).stat().st_mode & 0o007 == 0
    assert out.stat().st_mode & 0o007 == 0


def test_a_second_run_changes_nothing_and_says_so(config: Path, out: Path) -> None:
    first = run(config, out)
    before = contents(out)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*.conf")}
    again = run(config, out)
    assert again.exit_code == 0 and contents(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.conf")} == kept
    assert statuses(again) == [] and "没有变化 / nothing changed" in again.output
    assert statuses(first) == [f"+ {name}" for name in sorted(before) if name.endswith(".conf")]


def test_a_run_after_a_change_says_which_lines_changed_and_no_secret(config: Path, out: Path) -> None:
    run(config, out)
    seats = config / "seats.yaml"
    line = '  - {number: "8103", platform: "110", kind: general, name: 新席}\n'
    seats.write_text(seats.read_text() + line)
    dry = run(config, out, "--dry-run", "--diff")
    assert "8103" not in (out / "pjsip.conf").read_text()
    result = run(config, out, "--diff")
    changes = ["~ extensions.conf  +1 -0", "~ hints.conf  +1 -0", "~ pjsip.conf  +15 -0", "~ queues.conf  +1 -0"]
    assert statuses(result) == changes == statuses(dry)
    assert "+member => PJSIP/8103,0,8103" in result.output and "+password = ***" in result.output
    secret = re.search(r"username = 8103\npassword = (\S+)", (out / "pjsip.conf").read_text())
    assert secret is not None and secret[1] not in result.output + dry.output


def test_nothing_is_written_over_a_file_it_did_not_make(config: Path, out: Path) -> None:
    out.mkdir()
    for name in ("pjsip.conf", "queues.conf"):
        (out / name).write_text("mine\n")
    result = run(config, out)
    assert result.exit_code == 1
    assert "pjsip.conf" in result.output and "queues.conf" in result.output
    assert {path.name for path in out.iterdir()} == {"pjsip.conf", "queues.conf"}  # all or nothing
    assert (out / "pjsip.conf").read_text() == "mine\n"


def test_nor_over_one_that_was_changed_by_hand(config: Path, out: Path) -> None:
    run(config, out)
    with (out / "rtp.conf").open("a") as file:
        file.write("stunaddr = 10.0.0.1\n")
    seats = config / "seats.yaml"
    seats.write_text(seats.read_text().replace("kind: general, name: 110接警一号席", "kind: dedicated, name: 一号"))
    result = run(config, out)
    assert result.exit_code == 1 and "rtp.conf" in result.output and "queues.conf" not in result.output
    assert "stunaddr" in (out / "rtp.conf").read_text()
    assert run(config, out, "--dry-run").exit_code == 1
    (out / "rtp.conf").unlink()  # the cure
    assert run(config, out).exit_code == 0


def test_what_is_in_local_d_and_beside_it_stays(config: Path, out: Path) -> None:
    run(config, out)
    (out / "local.d/mine.conf").write_text("[mine]\n")
    (out / "voicemail.conf").write_text("[general]\n")
    (out / "sounds/sorry.wav").write_bytes(b"recorded")
    key = (out / "instance.key").read_bytes()
    assert run(config, out).exit_code == 0
    assert (out / "local.d/mine.conf").read_text() == "[mine]\n"
    assert (out / "voicemail.conf").read_text() == "[general]\n"
    assert (out / "sounds/sorry.wav").read_bytes() == b"recorded"
    assert (out / "instance.key").read_bytes() == key


def test_a_run_that_was_cut_off_can_be_repeated(config: Path, out: Path) -> None:
    run(config, out)
    whole = contents(out)
    (out / "queues.conf").unlink()  # as if it had ended before it got that far
    result = run(config, out)
    assert result.exit_code == 0 and statuses(result) == ["+ queues.conf"] and contents(out) == whole


def test_without_a_secret_it_refuses_an_open_door(
    config: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CTI_AMI__SECRET")
    result = run(config, out)
    assert result.exit_code == 1 and "ami.secret_file" in result.output and not out.exists()


@pytest.mark.parametrize("words", [("--sip", "5060"), ("--sip", "127.0.0.1:0"), ("--sip", "a b:5060"),
                                   ("--rtp", "12000"), ("--rtp", "13000-12000"), ("--rtp", "1-70000")])  # fmt: skip
def test_an_address_that_is_none_is_wrong_usage(config: Path, out: Path, words: tuple[str, str]) -> None:
    assert run(config, out, *words).exit_code == 2 and not out.exists()


def test_files_made_here_for_another_place_name_that_place(config: Path, out: Path) -> None:
    assert run(config, out, "--at", "/etc/asterisk", "--sounds", "/srv/prompts").exit_code == 0
    made = contents(out)
    assert "astetcdir => /etc/asterisk\n" in made["asterisk.conf"]
    assert "SOUNDS = /srv/prompts\n" in made["extensions.conf"]
    assert (out / "sounds").is_dir()


def test_the_notes_tell_what_the_files_cannot(config: Path, out: Path) -> None:
    site = config / "site.yaml"
    site.write_text(site.read_text() + "cel: {path: /var/log/asterisk/cel-custom/Master.csv}\n")
    said = run(config, out).output
    for word in ("TZ=UTC", "cel.csv", "0.0.0.0:5060"):
        assert word in said


def test_a_browsers_seat_has_its_transports_and_the_others_are_as_they_were(config: Path, out: Path) -> None:
    assert run(config, out).exit_code == 0
    before = contents(out)
    assert "enabled = no" in before["http.conf"] and "protocol = ws" not in before["pjsip.conf"]
    seats = config / "seats.yaml"
    seats.write_text(seats.read_text().replace('"1002", platform', '"1002", webrtc: true, platform'))
    result = run(config, out)
    changed = [line.split()[1] for line in statuses(result)]
    assert changed == ["http.conf", "pjsip.conf", "rtp.conf"], result.output
    made = contents(out)
    assert "[1002](browser)\n" in made["pjsip.conf"] and "[1001](phone)\n" in made["pjsip.conf"]
    assert "protocol = wss" in made["pjsip.conf"] and "icesupport = yes" in made["rtp.conf"]
    http = made["http.conf"].partition("[general]")[2]
    assert "enabled = yes\nbindaddr = 127.0.0.1\n" in http and "tls" not in http
    tls = ("--wss", "0.0.0.0:8089", "--cert", "/c.pem", "--key", "/k.pem")
    assert run(config, out, *tls).exit_code == 0
    assert "tlsbindaddr = 0.0.0.0:8089\ntlscertfile = /c.pem\ntlsprivatekey = /k.pem" in contents(out)["http.conf"]
    assert run(config, out, *tls[:4]).exit_code == 2 and run(config, out, *tls[2:]).exit_code == 2
