"""The Dockerfile's lines are carried out in an unpacked Debian, and what they make works.

tests/rehearsal says what differs from a container engine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.stack.netports import free_tcp_port, release
from tests.real.valkey_server import ValkeyServer
from tests.rehearsal import inside
from tests.rehearsal.carry import DOCKERFILE, StepFailed, carry, ensure_build, environment, images, stages
from tests.rehearsal.dockerfile import Step, parse, pins

pytestmark = pytest.mark.real
DEST = Path(__file__).parents[2] / ".runtime/image"
USERS = {"cti": "10002:10000", "asterisk": "10001:10000", "valkey": "10003:10000", "prometheus": "10004:10000"}


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, Path]]:
    ensure_build(DEST, lambda _: None)  # `make test` has done so
    with images(DEST) as roots:
        yield roots


def cti(root: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = environment(stages()["cti"]) | more
    return inside.run(root, ["cti", *words], env, user=USERS["cti"])


def test_the_service_image_has_a_working_service(made: dict[str, Path]) -> None:
    root = made["cti"]
    said = cti(root, "--help")
    assert said.returncode == 0 and "cti render DIR" in said.stdout, said.stderr
    said = cti(root, "check")
    assert said.returncode == 0 and "configuration is sound" in said.stdout, said.stderr
    assert not (root / "opt/hotline-cti/bin/pip").exists()


async def test_its_health_check_tells_a_living_service_from_none(made: dict[str, Path], server: ValkeyServer) -> None:
    await asyncio.to_thread(_lives, made["cti"], server.url)


def _lives(root: Path, redis: str) -> None:
    port, agi = free_tcp_port(), free_tcp_port()
    nobody = free_tcp_port()
    env = environment(stages()["cti"]) | {
        "CTI_HTTP__PORT": str(port), "CTI_AGI__PORT": str(agi), "CTI_AMI__PORT": str(nobody),
        "CTI_REDIS__URL": redis}  # fmt: skip
    health = stages()["cti"].last("HEALTHCHECK").text.partition("CMD ")[2]
    words = Step("CMD", health).words()
    assert inside.run(root, words, env, user=USERS["cti"]).returncode != 0
    command = inside.command(root, stages()["cti"].last("CMD").words(), env, USERS["cti"])
    service = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while inside.run(root, words, env, user=USERS["cti"]).returncode and time.monotonic() < until:
            assert service.poll() is None, service.stderr and service.stderr.read().decode()[-2000:]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=3) as answer:
            assert answer.status == 200
        assert inside.run(root, words, env, user=USERS["cti"]).returncode == 0
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=20)
        release(port, agi, nobody)
    assert service.returncode == 0


def test_the_image_renders_asterisks_configuration_into_its_volume(made: dict[str, Path]) -> None:
    root = made["cti"]
    secret = root / "run/secrets/ami"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("not-a-secret-of-anyone")
    said = cti(root, "render", "/etc/hotline-asterisk", "--sip=0.0.0.0:5060", "--rtp=10000-20000",
               CTI_AMI__SECRET_FILE="/run/secrets/ami")  # fmt: skip
    assert said.returncode == 0, said.stderr
    etc = root / "etc/hotline-asterisk"
    assert "bind = 0.0.0.0:5060" in (etc / "pjsip.conf").read_text()
    assert "astetcdir => /etc/hotline-asterisk" in (etc / "asterisk.conf").read_text()
    assert (etc / "sounds/goodbye.wav").stat().st_size > 1000
    if os.geteuid() == 0:  # Asterisk's container has another user and this group
        found = (etc / "manager.conf").stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (10002, 10000, 0o640)


def test_volumes_have_the_same_owners_in_every_image(made: dict[str, Path]) -> None:
    def owners(root: Path) -> dict[str, tuple[int, int, int]]:
        paths = ("etc/hotline-asterisk", "var/log/asterisk/cel-custom", "var/spool/asterisk/recordings",
                 "var/lib/asterisk", "var/lib/hotline-cti", "var/lib/valkey", "var/lib/prometheus")  # fmt: skip
        stats = {p: (root / p).stat() for p in paths}
        return {p: (s.st_uid, s.st_gid, s.st_mode & 0o7777) for p, s in stats.items()}

    first, *others = (owners(root) for name, root in made.items() if name != "build")
    assert len(others) == 3 and all(found == first for found in others)
    if os.geteuid() == 0:
        assert first["var/spool/asterisk/recordings"] == (10001, 10000, 0o2770)
        assert first["var/lib/hotline-cti"] == (10002, 10000, 0o700)


def test_no_image_runs_as_root_and_each_has_a_health_check_and_its_program() -> None:
    said = stages()
    assert set(said) == {"base", "build", *USERS}
    runtime = DEST.parent / "root"
    for name, user in USERS.items():
        assert said[name].last("USER").text == user
        assert said[name].last("HEALTHCHECK").text.partition("CMD ")[2]
        assert said[name].last("ENTRYPOINT").words()[0] == "tini"
        program = said[name].last("CMD").words()[0]
        ours = DOCKERFILE.parent / "bin" / program
        assert program == "cti" or ours.exists() or (runtime / "usr/bin" / program).exists(), program


def test_every_package_is_pinned_and_the_pins_are_those_that_are_tested(made: dict[str, Path]) -> None:
    for name, stage in stages().items():
        assert all(pins(stage).values()), f"{name}: {pins(stage)}"
    moved = {line for root in made.values() if (file := root / "rehearsal/moved").exists()
             for line in file.read_text().splitlines()}  # fmt: skip
    if moved:  # Debian moves on by itself: no fault of this tree, and the build would say so as well
        warnings.warn(f"newer packages than the Dockerfile pins; `make pins`: {sorted(moved)}", stacklevel=1)


def test_a_line_that_fails_or_copies_what_is_left_out_stops_the_rehearsal(made: dict[str, Path]) -> None:
    root = made["valkey"]
    with pytest.raises(StepFailed, match="Unable to locate package no-such-package"):
        carry(root, [Step("RUN", "apt-get update && apt-get install -y no-such-package=1*")], made)
    with pytest.raises(StepFailed, match="left out"):
        carry(root, [Step("COPY", "tests/ tests/")], made)
    assert not any("secret" in step.text.lower() for stage in stages().values() for step in stage.steps)
    with pytest.raises(ValueError, match="needs a name"):
        parse("FROM debian:forky-slim\n")
