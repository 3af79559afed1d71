"""docker/: the compose file, the units and the start scripts, by the tools that judge or run them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cti.ledger.cel import CelFile, CelRow
from cti.ledger.dump import DumpFailed, dump
from cti.settings import RedisSettings
from cti.stack.netports import free_tcp_port, release
from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real
REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "docker"
BIN = Path(sys.executable).parent
UNITS = {"hotline-cti.service": 10, "asterisk.service": 20, "valkey-server.service": 15, "hotline-rotate.service": 5}
"""unit: the most `systemd-analyze security` may say, times ten (0 is safest, 100 worst)"""


def tool(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("HOTLINE_", "CTI_"))}
    return subprocess.run([str(w) for w in words], env=keep | env, capture_output=True, text=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL)  # fmt: skip


# ---- the Dockerfile and the compose file


def test_hadolint_finds_nothing_and_would(tmp_path: Path) -> None:
    said = tool(BIN / "hadolint", DOCKER / "Dockerfile")
    assert said.returncode == 0, said.stdout
    (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN apt-get install -y curl\n")
    worse = tool(BIN / "hadolint", tmp_path / "Dockerfile")
    assert worse.returncode != 0 and "DL3007" in worse.stdout and "DL3008" in worse.stdout


def test_the_compose_file_is_of_the_published_schema(tmp_path: Path) -> None:
    said = tool(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")
    assert said.returncode == 0, said.stdout
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x, restrat: always}}\n")
    worse = tool(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml")
    assert worse.returncode != 0 and "restrat" in worse.stdout


def compose(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Debian's docker-compose, by the loader of its own root; no daemon is asked."""
    root = RuntimeRoot(REPOSITORY / ".runtime/image/root", {}, "given")
    program = root.path / "usr/libexec/docker/cli-plugins/docker-compose"
    argv = root.argv("docker-compose")[:-1]
    return tool(*argv, program, "-f", DOCKER / "compose.yaml", "--profile", "*", *words, **env)


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    said = compose("config", "--format", "json", DOCKER_HOST="unix:///nonexistent")
    assert said.returncode == 0, said.stderr
    told: dict[str, Any] = json.loads(said.stdout)
    return told


def test_every_container_is_shut_in(resolved: dict[str, Any]) -> None:
    for name, service in resolved["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged")
        assert "user" not in service or name == "restore", name
        assert service["logging"]["options"]["max-size"] and service["pids_limit"], name
        assert re.search(r":[\w.]*\d", service["image"]) and "latest" not in service["image"], name
        assert service["restart"] == ("no" if name in ("render", "backup", "restore") else "unless-stopped"), name


def test_asterisk_depends_on_nothing_that_runs_and_nothing_restarts_it(resolved: dict[str, Any]) -> None:
    services = resolved["services"]
    assert {n: d["condition"] for n, d in services["asterisk"]["depends_on"].items()} == {
        "render": "service_completed_successfully"}  # fmt: skip
    assert {n: d["condition"] for n, d in services["cti"]["depends_on"].items()} == {
        "asterisk": "service_healthy", "valkey": "service_healthy"}  # fmt: skip
    for name, service in services.items():
        assert not any(d.get("restart") for d in service.get("depends_on", {}).values()), name


def test_secrets_are_files_and_what_is_kept_has_a_volume(resolved: dict[str, Any]) -> None:
    assert set(resolved["secrets"]) == {"ami", "http", "redis", "grafana"}
    assert all(set(s) <= {"file", "name"} for s in resolved["secrets"].values())
    for name, service in resolved["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|TOKEN", key):
                assert str(value).startswith("/run/secrets/"), f"{name}: {key}"
                assert value.rpartition("/")[2] in {s["source"] for s in service["secrets"]}
    mounts = {(n, v["target"]): v for n, s in resolved["services"].items() for v in s.get("volumes", ())}
    assert mounts["valkey", "/var/lib/valkey"]["source"] == "ledger"
    assert mounts["cti", "/var/lib/hotline-cti"]["source"] == "state"
    for what in ("/var/log/asterisk", "/var/spool/asterisk/recordings"):
        assert mounts["asterisk", what]["source"] == mounts["cti", what]["source"]
    assert mounts["cti", "/var/log/asterisk"]["read_only"]
    assert not mounts["asterisk", "/var/log/asterisk"].get("read_only")
    ours = [Path(v["source"]) for v in mounts.values() if v["type"] == "bind" and v["target"] != "/backup"]
    missing = [str(p) for p in ours if not p.exists() and "grafana" not in p.parts and p.name != "prometheus"]
    assert not missing


def test_grafana_finds_its_data_source_and_dashboards(resolved: dict[str, Any]) -> None:
    grafana = resolved["services"]["grafana"]
    mounts = {v["target"]: Path(v["source"]) for v in grafana["volumes"] if v["type"] == "bind"}
    names = {re.split("[=:]", host)[0] for host in grafana["extra_hosts"]}
    for file in (DOCKER / "grafana/provisioning").glob("*/*.yaml"):
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        for source in told.get("datasources", ()):
            assert urlsplit(source["url"]).hostname in names and urlsplit(source["url"]).port == 9090
        for provider in told.get("providers", ()):
            inside = Path(provider["options"]["path"])
            mount = next(m for m in mounts if inside.is_relative_to(m))
            assert any((mounts[mount] / inside.relative_to(mount)).glob("*.json")), inside


def test_ports_and_places_are_set_from_outside() -> None:
    said = compose("config", "--format", "json", HOTLINE_SIP="10.0.0.5:5060", HOTLINE_RTP="20000-24000",
                   HOTLINE_CONFIG="/srv/site")  # fmt: skip
    services = json.loads(said.stdout)["services"]
    assert services["render"]["command"][-2:] == ["--sip=10.0.0.5:5060", "--rtp=20000-24000"]
    assert "/srv/site" in {v["source"] for v in services["cti"]["volumes"]}


# ---- systemd


@pytest.fixture(scope="module")
def analyze(runtime_root: RuntimeRoot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], Path]]:
    """systemd-analyze of the runtime, and a root with Debian's units, ours, and programs where they say."""
    root = tmp_path_factory.mktemp("units")
    shutil.copytree(runtime_root.path / "usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    shutil.copytree(DOCKER / "systemd", root / "etc/systemd/system", ignore=shutil.ignore_patterns("*.md"))
    for program in ("usr/sbin/asterisk", "usr/bin/install", "usr/local/bin/hotline-valkey",
                    "usr/local/bin/hotline-rotate", "opt/hotline-cti/bin/cti"):  # fmt: skip
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).write_text("#!/bin/sh\n")
        (root / program).chmod(0o755)
    argv = runtime_root.argv("systemd-analyze")
    argv[2] = f"{argv[2]}:{runtime_root.libraries / 'systemd'}"
    yield argv, root


@pytest.mark.parametrize("unit", [*UNITS, "hotline-rotate.timer"])
def test_each_unit_is_sound(analyze: tuple[list[str], Path], unit: str) -> None:
    argv, root = analyze
    said = tool(*argv, "verify", f"--root={root}", "--man=no", unit)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_hardened(analyze: tuple[list[str], Path], unit: str) -> None:
    argv, root = analyze
    said = tool(*argv, "security", f"--root={root}", "--offline=true", f"--threshold={UNITS[unit]}", "--no-pager", unit)
    assert said.returncode == 0, said.stdout[-600:]
    assert tool(*argv, "security", f"--root={root}", "--offline=true", "--threshold=1", unit).returncode != 0


def test_a_faulty_unit_would_be_found(analyze: tuple[list[str], Path]) -> None:
    argv, root = analyze
    text = (DOCKER / "systemd/hotline-cti.service").read_text()
    (root / "etc/systemd/system/worse.service").write_text(text.replace("Restart=always", "Restrat=always"))
    assert "Restrat" in tool(*argv, "verify", f"--root={root}", "--man=no", "worse.service").stderr
    (root / "etc/systemd/system/gone.service").write_text(text.replace("/bin/cti run", "/bin/nothing run"))
    assert tool(*argv, "verify", f"--root={root}", "--man=no", "gone.service").returncode != 0


def test_every_credential_and_setting_of_the_unit_is_one_of_ours() -> None:
    text = (DOCKER / "systemd/hotline-cti.service").read_text()
    loaded = set(re.findall(r"^LoadCredential=(\w+):", text, re.M))
    assert set(re.findall(r"=%d/(\w+)", text)) == loaded == {"ami", "http", "redis"}


# ---- the start scripts


async def test_valkey_starts_with_the_password_of_the_file(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    port = free_tcp_port()
    secret = tmp_path / "redis"
    secret.write_text("a-Pass_word=+/9\n")
    for name in ("valkey-server", "valkey-cli"):
        words = " ".join(f"'{w}'" for w in runtime_root.argv(name))
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (tmp_path / name).chmod(0o755)
    conf = tmp_path / "valkey.conf"
    conf.write_text((DOCKER / "valkey.conf").read_text().replace("dir /var/lib/valkey", f"dir {tmp_path}"))
    env = {"HOTLINE_VALKEY_CONF": str(conf), "HOTLINE_VALKEY_SECRET_FILE": str(secret),
           "HOTLINE_VALKEY": str(tmp_path / "valkey-server"), "HOTLINE_VALKEY_CLI": str(tmp_path / "valkey-cli"),
           "PATH": os.environ["PATH"]}  # fmt: skip
    script = str(DOCKER / "bin/hotline-valkey")
    started = await asyncio.create_subprocess_exec(
        script, "--port", str(port), env=env, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(15):
            while await asyncio.to_thread(lambda: tool(script, "ping", "-p", port, **env).returncode):
                assert started.returncode is None
        cli = runtime_root.argv("valkey-cli", "-p", str(port))
        assert "NOAUTH" in tool(*cli, "PING").stdout
        asked = tool(*cli, "CONFIG", "GET", "appendfsync", REDISCLI_AUTH="a-Pass_word=+/9").stdout
        assert asked.split() == ["appendfsync", "always"]
        url = RedisSettings(url=f"redis://127.0.0.1:{port}/0", secret_file=secret).address()
        assert await asyncio.to_thread(dump, url, tmp_path / "all.rdb") > 50
        with pytest.raises(DumpFailed, match="NOAUTH"):
            await asyncio.to_thread(dump, f"redis://127.0.0.1:{port}/0", tmp_path / "none.rdb")
        with pytest.raises(DumpFailed, match="AUTH"):
            await asyncio.to_thread(dump, f"redis://:wrong@127.0.0.1:{port}/0", tmp_path / "none.rdb")
        assert not (tmp_path / "none.rdb").exists()
        assert "a-Pass_word" not in tool("cat", f"/proc/{started.pid}/cmdline", f"/proc/{started.pid}/environ").stdout
    finally:
        if started.returncode is None:
            started.terminate()
        await started.wait()
        release(port)
    secret.write_text('with"quote')
    assert tool(script, "ping", **env).returncode == 78


def test_asterisk_starts_with_what_was_rendered_or_says_what_is_missing(tmp_path: Path) -> None:
    stub = tmp_path / "asterisk"
    stub.write_text('#!/bin/sh\necho "$TZ $(umask) $*"\n')
    stub.chmod(0o755)
    env = {"HOTLINE_ASTERISK": str(stub), "HOTLINE_ASTERISK_ETC": str(tmp_path / "etc"),
           "HOTLINE_ASTERISK_LOG": str(tmp_path / "log")}  # fmt: skip
    assert tool(DOCKER / "bin/hotline-asterisk", **env).returncode == 78
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/asterisk.conf").touch()
    said = tool(DOCKER / "bin/hotline-asterisk", **env)
    assert said.stdout == f"UTC 0007 -C {tmp_path}/etc/asterisk.conf -f -n\n"
    assert (tmp_path / "log/cel-custom").is_dir()


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert tool(DOCKER / "bin/hotline-secrets", folder).returncode == 0
    first = {p.name: p.read_text() for p in folder.iterdir()}
    assert set(first) == {"ami", "http", "redis", "grafana"} and len(set(first.values())) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", s) for s in first.values())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "ami").unlink()
    assert tool(DOCKER / "bin/hotline-secrets", folder).returncode == 0
    second = {p.name: p.read_text() for p in folder.iterdir()}
    assert second["ami"] != first["ami"] and second["redis"] == first["redis"]


def test_a_rotated_record_is_read_on_without_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "cel.csv"

    def write(*numbers: int) -> None:
        with file.open("a") as out:
            for n in numbers:
                out.write(f'"X","2026-11-25 10:00:{n:02d}.0","","c","1","x","","","{n}","1","","","",""\n')

    seen: list[str] = []
    reader, place = CelFile(file), (0, None)
    for n in range(12):
        write(2 * n)
        if n % 3 == 0:
            rows, found = reader.read_from(*place)
            place = (found.offset, found.inode)  # type: ignore[assignment]
            seen += [r.uniqueid for r in rows if isinstance(r, CelRow)]
        write(2 * n + 1)
        assert tool(DOCKER / "bin/hotline-rotate", file, "1").returncode == 0
    rows, _ = reader.read_from(*place)
    assert [*seen, *(r.uniqueid for r in rows if isinstance(r, CelRow))] == [str(n) for n in range(24)]
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"cel.csv.{n}" for n in range(1, 10)]
    write(99)
    assert tool(DOCKER / "bin/hotline-rotate", file).returncode == 0 and file.exists()  # small: left alone
