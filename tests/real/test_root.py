"""The unpacked programs: they run, they are the versions we build on, and Valkey keeps its word."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from cti.stack.netports import LOOPBACK, free_tcp_port
from cti.stack.prometheus import prometheus_child
from cti.stack.root import CHECKS, PACKAGES, SUITE, RootFailed, RuntimeRoot, ensure_root, main, open_root
from cti.stack.supervise import Child, Supervisor
from cti.stack.valkey import valkey_child

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def root() -> RuntimeRoot:
    path = Path(os.environ.get("HOTLINE_RUNTIME_ROOT", Path(__file__).parents[2] / ".runtime/root"))
    found = open_root(path)
    if found is None:
        pytest.fail(f"no complete runtime in {path}: run `make runtime`", pytrace=False)
    return found


@pytest.mark.parametrize("program", CHECKS)
def test_each_program_answers(root: RuntimeRoot, program: str) -> None:
    argument, expected = CHECKS[program]
    run = subprocess.run(
        root.argv(program, argument), capture_output=True, text=True, timeout=30, check=False
    )
    assert expected in run.stdout + run.stderr


def test_the_versions_are_known(root: RuntimeRoot) -> None:
    assert root.versions["asterisk"].removeprefix("1:").startswith("22.")
    assert {"valkey-server", "sip-tester", "prometheus", "libc6"} <= set(root.versions)


def test_a_root_that_holds_more_is_as_good_and_one_that_lacks_a_package_is_not(tmp_path: Path) -> None:
    def facts(*include: str) -> None:
        (tmp_path / "hotline-runtime.json").write_text(
            json.dumps({"suite": SUITE, "include": include, "mode": "root", "packages": {}}))  # fmt: skip

    facts(*PACKAGES, "one-more")
    assert open_root(tmp_path) is not None
    facts(*PACKAGES[1:])
    assert open_root(tmp_path) is None


def test_a_missing_program_is_named(root: RuntimeRoot) -> None:
    with pytest.raises(FileNotFoundError, match="no program nonesuch"):
        root.argv("nonesuch")


@pytest.fixture
def fake_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what the test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_when_no_mode_works_each_is_named_with_its_words_and_nothing_half_is_left(
    fake_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = 'for target; do :; done; /bin/mkdir -p "$target/usr"; echo "E: broken as $3" >&2; exit 25'
    put(fake_path, "mmdebstrap", half)
    assert main(["--dest", str(tmp_path / "runtime")]) == 1
    said = capsys.readouterr().err
    for mode in ("root", "chrootless") if os.geteuid() == 0 else ("chrootless", "fakechroot"):
        assert f"--mode={mode} ended with 25" in said
        assert f"E: broken as --mode={mode}" in said
    assert sorted(path.name for path in (tmp_path / "runtime").iterdir()) == [".lock", "debs"]


def test_what_to_install_is_said_where_we_may_not_install_it(
    fake_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(fake_path, "apt-get", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RootFailed, match=r"sudo sh -c 'apt-get update && apt-get install .*mmdebstrap"):
        ensure_root(tmp_path / "runtime")


async def say(port: int, command: bytes) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(command + b"\r\n")
        answer = await reader.readline()
        writer.close()
        return answer


async def test_valkey_keeps_an_answered_write_through_a_kill(root: RuntimeRoot, tmp_path: Path) -> None:
    port = free_tcp_port()
    async with Supervisor() as supervisor:
        child = valkey_child(root, tmp_path, port)
        await supervisor.start(child)
        assert await say(port, b"SET fact 12345") == b"+OK\r\n"
        child.kill()
        await child.restart()
        assert await say(port, b"STRLEN fact") == b":5\r\n"
    with pytest.raises(ConnectionRefusedError):
        await say(port, b"PING")


async def test_prometheus_becomes_ready_and_stops(root: RuntimeRoot, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs: []\n")
    child: Child = prometheus_child(root, tmp_path, free_tcp_port(), config)
    async with Supervisor() as supervisor:
        await supervisor.start(child)
    assert await child.wait() == 0
