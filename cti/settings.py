"""Settings of one site's service: `config/site.yaml`, then environment `CTI_…`, then the command line.

Knows: what can be set, its bounds and its defaults (all on loopback). Must not know: who uses it.
The environment names a nested setting with two underscores: `CTI_REDIS__URL`, `CTI_AMI__PORT`. Longer than 300 lines
because every setting stands here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from cti.directory.base import Name
from cti.directory.fields import Division, Host, Port, refuse
from cti.problem import ConfigError, Problem, did_you_mean, dotted
from cti.yamlfile import Document, load
from cti.yamlmodel import describe, placed, slips

PREFIX: Final = "CTI_"
NESTED: Final = "__"
OUTSIDE: Final = frozenset({"CTI_CONFIG"})
"""Names in the environment that belong to the commands, not to the settings."""

Seconds = Annotated[float, Field(gt=0, le=300)]


def _redis_url(value: str) -> str:
    forms = (r"rediss?://[^\s/]+(/\d*)?(\?\S*)?|unix://\S+|rediss?\+cluster://[^\s/,]+:\d+(,[^\s/,@]+:\d+)*"
             r"|rediss?\+sentinel://[^\s/,]+:\d+(,[^\s/,@]+:\d+)*/[A-Za-z0-9._-]+(/\d+)?")  # fmt: skip
    if not re.fullmatch(forms, value):
        raise refuse(
            "redis_url",
            "不是 Redis 地址 / not a Redis address",
            "redis://host:port/db, rediss://…, unix://…, redis+sentinel://h1:26379,h2:26379/mymaster/0 "
            "或/or redis+cluster://h1:7000,h2:7000",
        )
    return value


def _user(url: str) -> str:
    """What stands before the `@` of a URL's host; "" when there is none."""
    place = url.partition("://")[2].partition("/")[0]
    return place.rpartition("@")[0]


def _username(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise refuse("username", "用户名只许字母、数字、_ 和 - / a user name is A-Z a-z 0-9 _ - only")
    return value


def _recordings(value: Path) -> Path:
    if not re.fullmatch(r"/[A-Za-z0-9._/-]+", str(value)):
        raise refuse(
            "recordings_path",
            "须为绝对路径，只用字母、数字、. _ - / / an absolute path of A-Z a-z 0-9 . _ - / only",
            "如 / e.g. /var/spool/asterisk/recordings",
        )
    return value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteSettings(_Section):
    """Which site this is: the division it serves (GB/T 2260) and its name."""

    code: Division = "530100"
    name: Name = Name(zh="昆明市联动站点", en="Kunming linkage site")


class _WithSecret(_Section):
    """A secret given here, or in a file of its own."""

    NAME: ClassVar[str] = ""
    SHORTEST: ClassVar[int] = 1
    secret: SecretStr | None = None
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise refuse(
                "secret_twice", "secret 与 secret_file 只能写一个 / give secret or secret_file, not both"
            )
        return self

    def read_secret(self) -> str | None:
        """The secret itself, without its line's end; `None` when neither is set.

        Raises `ConfigError` if the file is unreadable, empty, too long, or holds a character that would end
        the AMI header (CR, LF, NUL smuggle actions).
        """
        if self.secret is not None:
            value, origin = self.secret.get_secret_value(), f"{self.NAME}.secret"
        elif self.secret_file is not None:
            origin = str(self.secret_file)
            try:
                with self.secret_file.open(encoding="utf-8") as stream:
                    value = stream.read(1025).removesuffix("\n").removesuffix("\r")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8"
                raise ConfigError(
                    (
                        Problem(
                            origin,
                            0,
                            f"{self.NAME}.secret_file",
                            f"无法读取 / cannot read: {reason}",
                            "检查路径和权限 / check path and permissions",
                        ),
                    )
                ) from None
        else:
            return None
        if not self.SHORTEST <= len(value) <= 256 or not value.isprintable():
            raise ConfigError(
                (
                    Problem(
                        origin,
                        0,
                        f"{self.NAME}.secret",
                        f"口令须为 {self.SHORTEST}–256 个可见字符 / "
                        f"a secret is {self.SHORTEST}–256 printable characters",
                    ),
                )
            )
        return value


class AmiSettings(_WithSecret):
    """Asterisk's manager interface. Without `secret` or `secret_file` the login is tried with an empty one and Asterisk
    refuses it; `cti up` makes a secret of its own and gives it to both sides."""

    NAME: ClassVar[str] = "ami"
    host: Host = "127.0.0.1"
    port: Port = 5038
    username: Annotated[str, AfterValidator(_username)] = "cti"

class RedisSettings(_WithSecret):
    """Where the ledger lives. The password stands in `secret_file` (or, never logged, in the URL itself)."""

    NAME: ClassVar[str] = "redis"
    url: Annotated[str, Field(repr=False), AfterValidator(_redis_url)] = "redis://127.0.0.1:6379/0"

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        told = self.secret is not None or self.secret_file is not None
        if told and ":" in _user(self.url):
            raise refuse(
                "redis_password_twice",
                "口令只能写一处：url 或 secret_file / the password stands in url or in secret_file, not in both",
            )
        return self

    def address(self) -> str:
        """The URL with the password in it: for the client alone, never for a log. Raises `ConfigError`."""
        secret = self.read_secret()
        if secret is None:
            return self.url
        scheme, _, rest = self.url.partition("://")
        user = _user(self.url)
        rest = rest.removeprefix(f"{user}@")
        return f"{scheme}://{user}:{quote(secret, safe='')}@{rest}"


class AgiSettings(_Section):
    """Where the FastAGI server listens, and how many calls it serves at once."""

    host: Host = "127.0.0.1"
    port: Port = 4573
    max_sessions: Annotated[int, Field(ge=1, le=10_000)] = 500


class HttpSettings(_WithSecret):
    """Where console and interface listen. `secret` signs the tokens (`cti token`); without it none is valid."""

    NAME: ClassVar[str] = "http"
    SHORTEST: ClassVar[int] = 16
    host: Host = "127.0.0.1"
    port: Port = 8080


class CelSettings(_Section):
    """Asterisk's own record (cel_custom CSV), read to catch up after an absence."""

    path: Path = Path("/var/log/asterisk/cel-custom/cel.csv")


class RecordingSettings(_Section):
    """Recordings of calls. Asterisk writes them by itself, as it is rendered (`cti render`, `cti up`); the service,
    told the same, indexes, serves and at their time deletes them. A hotline with `record: false` is left out."""

    enabled: bool = True
    path: Annotated[Path, AfterValidator(_recordings)] = Path("/var/spool/asterisk/recordings")
    """the same for Asterisk, which writes there, and the service, which reads and deletes there"""
    format: Literal["wav", "alaw", "ulaw", "gsm"] = "wav"
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 180
    """days from the call on; what a recording was begun with holds for it"""
    min_free_mb: Annotated[int, Field(ge=0, le=10_000_000)] = 1024
    """less free than that on its disk is an alarm; calls go on"""


class RetentionSettings(_Section):
    """What of the ledger stays in Redis. Nothing goes that is not archived and verified, nor by itself: see
    `cti ledger prune`."""

    months: Annotated[int, Field(ge=1, le=1200)] | None = None
    """whole months kept before the current one; not set: for ever"""


class PathSettings(_Section):
    """What the service keeps on disk; relative paths start at the working directory."""

    state: Path = Path(".runtime/state")
    spool: Path = Path(".runtime/state/spool.sqlite3")
    """local write-ahead while Redis is away; beside `state` unless said otherwise"""

    @model_validator(mode="before")
    @classmethod
    def _beside_state(cls, data: Any) -> Any:
        if isinstance(data, dict) and "spool" not in data and isinstance(data.get("state"), str | Path):
            return {**data, "spool": Path(data["state"]) / "spool.sqlite3"}
        return data


class LogSettings(_Section):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class Timers(_Section):
    """Time-outs in seconds. Every network wait has one; the defaults are proposals."""

    connect: Seconds = 3.0
    """opening a connection to Asterisk or Redis"""
    action: Seconds = 5.0
    """an AMI action's response"""
    ping: Seconds = 5.0
    """AMI silence before a ping; a second silence is a lost link"""
    reconnect_max: Seconds = 10.0
    """longest pause between two attempts to connect"""
    redis: Seconds = 2.0
    """a read from Redis; a write waits 50 ms and then goes to the spool"""


class AnswerRateSettings(_Section):
    """How the answer rate is counted; the rule and these are printed beside the figure."""

    short_abandon: Annotated[float, Field(ge=0, le=60)] = 0
    """seconds: who gave up sooner is left out of the adjusted figure, never of the raw one; 0: nobody is"""


class LendingSettings(_Section):
    """Seats lent between sites (config/sites.yaml); seconds, all proposals but ``skew``."""

    auto: bool = False
    """borrow and return by the rule of cti.core.overflow, without being asked"""
    every: Seconds = 5.0
    """between two looks of the rule"""
    minutes: Annotated[int, Field(ge=1, le=480)] = 15
    """a grant holds so long when the ask does not say"""
    ring: Seconds = 15.0
    """nobody is offered to a borrowed seat so shortly before its end"""
    skew: Seconds = 1.0
    """sites' clocks differ by less (NTP)"""
    ask: Seconds = 30.0
    """the owner frees the seat within this, or refuses; a talk is never cut"""


class Settings(BaseSettings):
    """Everything that can be set. Build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, extra="forbid", frozen=True
    )

    site: SiteSettings = SiteSettings()
    ami: AmiSettings = AmiSettings()
    redis: RedisSettings = RedisSettings()
    agi: AgiSettings = AgiSettings()
    http: HttpSettings = HttpSettings()
    cel: CelSettings = CelSettings()
    recording: RecordingSettings = RecordingSettings()
    retention: RetentionSettings = RetentionSettings()
    paths: PathSettings = PathSettings()
    log: LogSettings = LogSettings()
    timers: Timers = Timers()
    lending: LendingSettings = LendingSettings()
    answer_rate: AnswerRateSettings = AnswerRateSettings()


def check_settings(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> tuple[Settings | None, list[Problem]]:
    """The settings, or `None` and every problem with its file and line, or the environment's name.

    `path`: `site.yaml`; `None` takes the defaults. `overrides`: nested, as the file would be, e.g.
    `{"ami": {"port": 5039}}`; they win over the environment, which wins over the file.
    """
    document = load(path) if path is not None else Document("(defaults)", value={})
    if document.problems:
        return None, document.problems
    if not isinstance(document.value, dict):
        return None, [document.problem((), "须为键值表 / must be a mapping", "如 / e.g. site: {code: ...}")]
    problems = _unknown_names()
    try:
        environment = EnvSettingsSource(Settings)()
    except SettingsError as error:
        return None, [
            *problems,
            Problem(
                "环境变量/environment",
                0,
                "",
                f"无法读取 / cannot read: {error}",
                "一次设一项 / set one value each: CTI_AMI__PORT=5038",
            ),
        ]
    spoken = dict(overrides or {})
    try:
        return Settings(**_merge(_merge(document.value, environment), spoken)), problems
    except ValidationError as error:
        for one in slips(error, Settings):
            loc = tuple(one["loc"])
            message, cure = describe(one, Settings)
            name = PREFIX + NESTED.join(str(part).upper() for part in loc)
            if _holds(spoken, loc):
                problems.append(Problem("命令行/command line", 0, dotted(loc), message, cure))
            elif _holds(environment, loc):
                problems.append(Problem(f"环境变量/environment {name}", 0, dotted(loc), message, cure))
            else:
                problems.append(placed(one, document, Settings))
        return None, problems


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings (see `check_settings`); raises `ConfigError` with every problem."""
    settings, problems = check_settings(path, overrides)
    if settings is None:
        raise ConfigError(tuple(problems))
    return settings


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def _holds(layer: Mapping[str, Any], loc: tuple[int | str, ...]) -> bool:
    here: Any = layer
    for part in loc:
        if not isinstance(here, Mapping) or part not in here:
            return False
        here = here[part]
    return bool(loc)


def _unknown_names() -> list[Problem]:
    """A misspelt name in the environment would be ignored in silence."""
    known = [PREFIX + section.upper() for section in Settings.model_fields]
    found = []
    for name in sorted(os.environ):
        if (
            name.upper().startswith(PREFIX)
            and name not in OUTSIDE
            and name.upper().split(NESTED)[0] not in known
        ):
            near = did_you_mean(name.upper().split(NESTED)[0], known)
            found.append(
                Problem(
                    f"环境变量/environment {name}",
                    0,
                    "",
                    "未知的设置，不起作用 / unknown setting, no effect",
                    f"是否 {near}？ / did you mean {near}?" if near else "",
                    level="warning",
                )
            )
    return found
