"""`phones.yaml`: which handset stands at which seat, where it registers, where it fetches its configuration.

Knows: the file's form, and that a seat has one handset and a handset one seat. Must not know: vendors' formats.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from cti.directory import Directory
from cti.directory.base import Frozen
from cti.directory.fields import Host, Port, SeatNumber, refuse
from cti.problem import Problem
from cti.yamlfile import load
from cti.yamlmodel import validate

FILE: Final = "phones.yaml"
Vendor = Literal["yealink", "grandstream", "fanvil"]
VENDORS: Final[tuple[Vendor, ...]] = ("yealink", "grandstream", "fanvil")
MOST_KEYS: Final = 24
"""keys rendered if `keys` says nothing: a handset ignores those it does not have"""


def _mac(value: str) -> str:
    digits = re.sub(r"[:.-]", "", value).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits) or len(value) not in (12, 14, 17):
        raise refuse("mac", f"{value[:20]!r} 不是 MAC 地址 / is no MAC address", "如 / e.g. 00:15:65:a1:b2:c3")
    if int(digits[:2], 16) & 1 or digits == "0" * 12:
        raise refuse("mac_device", f"{value[:20]!r} 不是一部设备的地址 / is the address of no single device",
                     "抄自话机背面标签 / copy it from the label on the phone's back")  # fmt: skip
    return digits


def _url(value: str) -> str:
    if not re.fullmatch(r"https://[A-Za-z0-9.-]{1,253}(:\d{1,5})?", value):
        said = f"{value[:60]!r} 须为 https://主机[:端口]，不带路径 / must be https://host[:port], no path"
        raise refuse("https_url", said, "口令从这里发出，不许用 http / passwords go out here: never plain http")
    return value


def _model(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,23}", value):
        raise refuse("model", f"{value[:30]!r} 不是型号 / is no model's name", "如 / e.g. T46U")
    return value


class Server(Frozen):
    """Where the phones register: Asterisk, as they see it."""

    host: Host = "127.0.0.1"
    port: Port = 5060


class Handset(Frozen):
    """One phone on a desk."""

    seat: SeatNumber
    vendor: Vendor
    model: Annotated[str, Field(strict=True), AfterValidator(_model)] | None = None
    mac: Annotated[str, Field(strict=True), AfterValidator(_mac)]
    keys: Annotated[int, Field(strict=True, ge=1, le=96)] = MOST_KEYS
    """keys it has beside its display; those of least use are left out first"""
    renew: Annotated[int, Field(strict=True, ge=0, le=9999)] = 0
    """raise it by one to give the device a new secret: the old address stops working"""


class Book(Frozen):
    """The file."""

    server: Server = Server()
    url: Annotated[str, Field(strict=True), AfterValidator(_url)] | None = None
    """where `cti phones serve` is reached by the phones"""
    verify: Annotated[bool, Field(strict=True)] = True
    """the phones check the server's certificate: it must come from an authority they trust"""
    transfer_key: Annotated[bool, Field(strict=True)] = False
    """also a key for the phone's own blind transfer (REFER): the caller waits in music at once"""
    phones: tuple[Handset, ...] = Field(default=(), max_length=5000)

    def of_mac(self, mac: str) -> Handset | None:
        """The handset with this address."""
        return next((h for h in self.phones if h.mac == mac), None)

    def of_seat(self, number: str) -> Handset | None:
        """The handset at this seat."""
        return next((h for h in self.phones if h.seat == number), None)


def read_book(config: Path, directory: Directory | None) -> tuple[Book | None, list[Problem]]:
    """The file of a configuration folder (absent: no handset), or None and what is wrong with it, also against the
    directory where there is one."""
    path = config / FILE
    if not path.exists():
        return Book(), []
    document = load(path)
    book, problems = validate(Book, document)
    if book is None:
        return None, problems
    seats: dict[str, int] = {}
    macs: dict[str, int] = {}
    for index, handset in enumerate(book.phones):
        for seen, value, name in ((seats, handset.seat, "seat"), (macs, handset.mac, "mac")):
            if value in seen:
                line = document.mark(("phones", seen[value], name)).line
                said = f"{value} 重复，第 {line} 行已有 / {value} duplicate, first on line {line}"
                problems.append(document.problem(("phones", index, name), said, "一席一机 / one phone a seat"))
            seen.setdefault(value, index)
        if directory is not None and directory.seat(handset.seat) is None:
            problems.append(document.problem(
                ("phones", index, "seat"), f"没有座席 {handset.seat} / there is no seat {handset.seat}",
                "先写进 seats.yaml / put it into seats.yaml first"))  # fmt: skip
    if book.phones and book.url is None:
        said = "未写 url，话机重启后不会来取新配置 / no url: the phones will not fetch changes"
        problems.append(document.problem(("phones",), said, level="warning"))
    return (None if any(p.level == "error" for p in problems) else book), problems
