"""Settings come from the file, the environment and the command line, and a fault names which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cti.problem import ConfigError
from cti.settings import Settings, check_settings, load_settings

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.upper().startswith("CTI_")]:
        monkeypatch.delenv(name)


def test_defaults_are_loopback_and_complete() -> None:
    settings = load_settings()
    assert {settings.ami.host, settings.agi.host, settings.http.host} == {"127.0.0.1"}
    assert settings.redis.url == "redis://127.0.0.1:6379/0"


def test_command_line_beats_environment_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTI_AMI__PORT", "6001")
    monkeypatch.setenv("CTI_AGI__PORT", "6002")
    settings = load_settings(CONFIG / "site.yaml", {"agi": {"port": 6003}})
    assert (settings.ami.port, settings.agi.port, settings.http.port) == (6001, 6003, 8080)
    assert settings.ami.username == "cti"


ENVIRONMENT = [
    ("CTI_AMI__PORT", "many", "须为整数"),
    ("CTI_AMI__HSOT", "x", "did you mean 'host'?"),
    ("CTI_AMI", "{", "无法读取"),
    ("CTI_SITE__CODE", "532700", "已于 2003 年撤销"),
]


@pytest.mark.parametrize(("name", "value", "says"), ENVIRONMENT)
def test_a_fault_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings(CONFIG / "site.yaml")
    (problem,) = caught.value.problems
    assert says in problem.message
    assert problem.line == 0
    assert "环境变量/environment" in problem.file
    assert value == "{" or name in problem.file


def test_an_unknown_name_in_the_environment_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTI_REDSI__URL", "redis://x")
    settings, problems = check_settings()
    assert settings is not None
    assert [(p.level, "CTI_REDIS" in p.cure) for p in problems] == [("warning", True)]


def test_a_fault_on_the_command_line_is_named() -> None:
    _, problems = check_settings(None, {"http": {"port": 0}})
    assert [(p.file, p.where) for p in problems] == [("命令行/command line", "http.port")]


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "nul\x00", "x" * 300], ids=repr)
def test_a_secret_that_could_smuggle_an_action_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text("good-secret\n", encoding="utf-8")
    settings = load_settings(None, {"ami": {"secret_file": str(path)}})
    assert settings.ami.read_secret() == "good-secret"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError):
        settings.ami.read_secret()
    path.unlink()
    with pytest.raises(ConfigError):
        settings.ami.read_secret()


def test_secrets_stay_out_of_prints_and_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTI_AMI__SECRET", "s3cret-word")
    monkeypatch.setenv("CTI_REDIS__URL", "redis://:p4ssword@127.0.0.1:6379/0")
    settings = load_settings()
    assert settings.ami.read_secret() == "s3cret-word"
    assert "s3cret-word" not in repr(settings)
    assert "p4ssword" not in repr(settings)
    monkeypatch.setenv("CTI_REDIS__URL", "http://:p4ssword@127.0.0.1")
    _, problems = check_settings(None, {"ami": {"secret": 12345678, "secret_file": "x"}})
    assert len(problems) == 2
    assert "p4ssword" not in str(problems)
    assert "12345678" not in str(problems)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().ami = Settings().ami


def test_the_spool_lies_beside_the_state() -> None:
    assert load_settings(None, {"paths": {"state": "/srv/cti"}}).paths.spool == Path("/srv/cti/spool.sqlite3")


@pytest.mark.parametrize(("url", "address"), [
    ("redis://127.0.0.1:6379/0", "redis://:p%40ss%2Fword@127.0.0.1:6379/0"),
    ("rediss://cti@redis.local:6380/1", "rediss://cti:p%40ss%2Fword@redis.local:6380/1"),
    ("unix:///run/valkey/valkey.sock", "unix://:p%40ss%2Fword@/run/valkey/valkey.sock"),
    ("redis+sentinel://h1:26379,h2:26379/main/0", "redis+sentinel://:p%40ss%2Fword@h1:26379,h2:26379/main/0"),
])  # fmt: skip
def test_redis_password_from_a_file_goes_into_its_address_alone(tmp_path: Path, url: str, address: str) -> None:
    (tmp_path / "redis").write_text("p@ss/word\n")
    settings = load_settings(None, {"redis": {"url": url, "secret_file": str(tmp_path / "redis")}})
    assert settings.redis.address() == address
    assert "ss/word" not in repr(settings) and settings.redis.url == url
    assert load_settings(None, {"redis": {"url": url}}).redis.address() == url


def test_redis_password_stands_in_one_place(tmp_path: Path) -> None:
    told = {"url": "redis://:pw@127.0.0.1:6379/0", "secret_file": str(tmp_path / "redis")}
    _, problems = check_settings(None, {"redis": told})
    assert len(problems) == 1 and "not in both" in str(problems[0]) and ":pw@" not in str(problems[0])
