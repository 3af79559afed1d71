"""Yealink: `<mac>.cfg`, lines of `parameter = value` (SIP-T2/T3/T4/T5, firmware V80 and later).

Sources: Yealink, *SIP IP Phones Auto Provisioning Guide* (the first line `#!version:1.0.0.1`, `<MAC>.cfg` in lower
case, `static.` before what a reset keeps) and *Administrator Guide* V86 (DSS key types: 3 Transfer, 11 DTMF, 13 Speed
Dial, 15 Line, 16 BLF; `transfer.dsskey_deal_type` 2: blind; `dtmf.type` 1: RFC 2833). `%NULL%` and `%EMPTY%` are words
of the format, so a name's % is written full-width. Must not know: the directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cti.phones.account import Account, code, harmless, secret
from cti.phones.keys import Kind

HEAD: Final = "#!version:1.0.0.1"
TYPES: Final[dict[Kind, int]] = {"transfer": 3, "dtmf": 11, "speed": 13, "line": 15, "blf": 16}
CODECS: Final = ("pcma", "pcmu")
OFF: Final = ("g722", "g729", "opus", "ilbc", "g723_53", "g723_63", "g726_32")


def file_name(mac: str) -> str:
    """What the phone asks for."""
    return f"{mac}.cfg"


def render(account: Account) -> str:
    """The whole file."""
    rows = "".join(f"{name} = {value}\n" for name, value in _rows(account))
    return f"{HEAD}\n{rows}"


def parse(text: str) -> dict[str, str]:
    """A file of this form, parameter by parameter. ValueError for a first line or a line that is none."""
    lines = text.splitlines()
    if not lines or lines[0] != HEAD:
        raise ValueError("no #!version line")
    made: dict[str, str] = {}
    for line in lines[1:]:
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or name.strip() in made:
            raise ValueError(f"not a parameter, or twice: {line[:60]}")
        made[name.strip()] = value.strip()
    return made


def _name(text: str) -> str:
    return harmless(text).replace("%", "％")


def _rows(account: Account) -> Iterator[tuple[str, object]]:
    number = code(account.number)
    yield "account.1.enable", 1
    yield "account.1.label", number
    yield "account.1.display_name", _name(account.name)
    yield "account.1.auth_name", number
    yield "account.1.user_name", number
    yield "account.1.password", secret(account.password)
    yield "account.1.sip_server.1.address", account.host
    yield "account.1.sip_server.1.port", account.port
    yield "account.1.sip_server.1.transport_type", 0  # UDP
    yield "account.1.sip_server.1.expires", 300
    yield "account.1.dtmf.type", 1
    for place, codec in enumerate(CODECS, 1):
        yield f"account.1.codec.{codec}.enable", 1
        yield f"account.1.codec.{codec}.priority", place
    for codec in OFF:
        yield f"account.1.codec.{codec}.enable", 0
    yield "call_waiting.enable", 1  # a transfer's three-party call, a recall
    yield "transfer.dsskey_deal_type", 2
    yield "lang.gui", "Chinese_S"
    yield "local_time.time_zone", "+8"
    for place, key in enumerate(account.keys, 1):
        yield f"linekey.{place}.type", TYPES[key.kind]
        yield f"linekey.{place}.line", 1
        yield f"linekey.{place}.value", code(key.value) or "%NULL%"
        yield f"linekey.{place}.label", _name(key.label)
    if account.base:
        yield "static.auto_provision.server.url", account.base
        yield "static.auto_provision.power_on", 1
        yield "static.auto_provision.repeat.enable", 1
        yield "static.auto_provision.repeat.minutes", 1440
        yield "static.security.trust_certificates", int(account.verify)
