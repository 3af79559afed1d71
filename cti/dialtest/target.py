"""The stack under test as the phones need it: made of an embedded instance, or read from a file for any other.

Knows: the file's form and its faults. Must not know: scenarios, phones.

::

    # staging.yaml                                 cti dialtest queue --target staging.yaml
    site: "530100"                                 # as in its site.yaml: which ledger to read
    sip: {host: 10.20.0.5, port: 5060}
    local: {seats: 10.20.0.9, callers: 10.20.0.10} # this machine's addresses; callers' one is a trunk's there
    redis: {url: "redis://10.20.0.5:6379/0"}       # the ledger, only read
    seats:
      - {number: "1001", password: …}
      - {number: "1002", password_file: 1002.secret}     # beside this file
    asterisk: [ssh, staging, "asterisk -rx '{command}'"] # optional: how to ask what was left over

Its hotlines and keys must be those the scenarios play: 12345, 110, `*110`, `*12345`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cti.dialtest.wire import Address
from cti.directory.fields import Division, Port, SeatNumber, refuse
from cti.problem import ConfigError, Problem
from cti.settings import RedisSettings
from cti.stack.instance import TRUNK_HOST, Instance
from cti.yamlfile import Document, load
from cti.yamlmodel import validate

COMMAND: Final = "{command}"
MAX_PASSWORD: Final = 128


@dataclass(frozen=True, slots=True)
class Target:
    """Where to call, who may register, where the record is. Not one of its secrets shows in a repr."""

    server: Address
    seat_host: str
    """local address of the seats' phones"""
    caller_host: str
    """local address of outside callers: one the stack knows as a trunk"""
    site: str
    redis_url: str = field(repr=False)
    seat_password: Callable[[str], str | None] = field(repr=False)
    """by seat number; None: no such seat"""
    command: Callable[[str], list[str]] | None = field(default=None, repr=False)
    """argv that gives an Asterisk CLI command; None: Asterisk cannot be asked"""

    @classmethod
    def of(cls, instance: Instance) -> Target:
        """The embedded instance."""

        def password(number: str) -> str | None:
            seat = instance.directory.seat(number)
            return None if seat is None else seat.password(instance.key)

        return cls(
            server=("127.0.0.1", instance.ports.sip), seat_host="127.0.0.1", caller_host=TRUNK_HOST,
            site=instance.site, redis_url=f"redis://127.0.0.1:{instance.redis}/0",
            seat_password=password, command=instance.asterisk_command,
        )  # fmt: skip


def _ipv4(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        cure = "如 / e.g. 10.20.0.5"
        raise refuse("ipv4", f"{value[:40]!r} 不是 IPv4 地址 / is not an IPv4 address", cure) from None


def _password(value: str) -> str:
    if not (0 < len(value) <= MAX_PASSWORD and value.isprintable()):
        raise refuse(
            "password", f"口令须为 1–{MAX_PASSWORD} 个可见字符 / a password is 1–{MAX_PASSWORD} printable characters"
        )
    return value


def _asks(value: tuple[str, ...]) -> tuple[str, ...]:
    if not any(COMMAND in word for word in value):
        raise refuse(
            "no_command", f"须有一项含 {COMMAND} / one word must hold {COMMAND}",
            f'如 / e.g. [asterisk, -rx, "{COMMAND}"]')  # fmt: skip
    return value


_Ipv4 = Annotated[str, Field(strict=True), AfterValidator(_ipv4)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Sip(_Section):
    host: _Ipv4
    port: Port = 5060


class _Local(_Section):
    seats: _Ipv4
    callers: _Ipv4


class _Seat(_Section):
    number: SeatNumber
    password: Annotated[str, Field(strict=True), AfterValidator(_password)] | None = Field(default=None, repr=False)
    password_file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> _Seat:
        if (self.password is None) == (self.password_file is None):
            raise refuse(
                "one_password", "password 与 password_file 须写且只写一个 / give password or password_file, just one"
            )
        return self


class _File(_Section):
    site: Division
    sip: _Sip
    local: _Local
    redis: RedisSettings
    seats: tuple[_Seat, ...] = Field(min_length=1, max_length=5000)
    asterisk: Annotated[tuple[str, ...], AfterValidator(_asks)] | None = None


def load_target(path: Path) -> Target:
    """The stack described in a file. Raises `ConfigError` with every problem, each with its line and a cure."""
    document = load(path)
    file, problems = validate(_File, document)
    if file is None:
        raise ConfigError(tuple(problems))
    passwords: dict[str, str] = {}
    for index, seat in enumerate(file.seats):
        if seat.number in passwords:
            said = f"席位 {seat.number} 已有 / seat {seat.number} stands here already"
            problems.append(document.problem(("seats", index, "number"), said, "删去其一 / remove one of them"))
        given = seat.password
        if seat.password_file is not None:
            given = _from_file(path.parent / seat.password_file, document, index, problems)
        passwords[seat.number] = given or ""
    if problems:
        raise ConfigError(tuple(problems))
    words = file.asterisk
    return Target(
        server=(file.sip.host, file.sip.port), seat_host=file.local.seats, caller_host=file.local.callers,
        site=file.site, redis_url=file.redis.address(), seat_password=passwords.get,
        command=None if words is None else lambda command: [word.replace(COMMAND, command) for word in words],
    )  # fmt: skip


def _from_file(path: Path, document: Document, index: int, problems: list[Problem]) -> str | None:
    def refused(message: str, cure: str) -> None:
        problems.append(document.problem(("seats", index, "password_file"), message, cure))

    try:
        with path.open(encoding="utf-8") as stream:
            value = stream.read(MAX_PASSWORD + 3).removesuffix("\n").removesuffix("\r")
        return _password(value)
    except OSError as error:
        refused(f"{path} 无法读取 / cannot be read: {error.strerror}", "检查路径和权限 / check path and permissions")
    except ValueError:  # what is in the file stays unsaid
        refused(f"{path} 里不是口令 / holds no password",
                f"一行，1–{MAX_PASSWORD} 个可见字符 / one line of 1–{MAX_PASSWORD} printable characters")  # fmt: skip
    return None
