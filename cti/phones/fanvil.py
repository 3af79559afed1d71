"""Fanvil: `<mac>.cfg`, the XML form (`<sysConf>`; X3/X4/X5/X6/X7/X210 U and V2 models, firmware 2.2.10 and later).

Sources: Fanvil, *VoIP Auto Provision Standard* 1.1 and its phones' exported configuration (`<line index>`, `<dsskey>`
with `<Fkey>`: Type 1 memory key, 2 line, 4 DTMF; a memory key's Value is `number@line/`, `bc` for a lamp that
calls, `f` for a speed dial). `Version` is a mark of change: a phone does not take a file whose version it has already,
so it is made of the content. How a key for blind transfer is written is documented nowhere we could verify: that kind
is left out. Must not know: the directory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from cti.phones.account import Account, code, harmless, secret
from cti.phones.keys import Key, Kind

TYPES: Final[dict[Kind, int]] = {"line": 2, "dtmf": 4, "speed": 1, "blf": 1}
PAGE: Final = 32
"""keys on one `<internal>` page; a phone with fewer a page goes on counting on its next"""
Element = ElementTree.Element


def file_name(mac: str) -> str:
    """What the phone asks for."""
    return f"{mac}.cfg"


def render(account: Account) -> str:
    """The whole file."""
    root = ElementTree.Element("sysConf")
    version = ElementTree.SubElement(root, "Version")
    _fill(root, account)
    body = ElementTree.tostring(root, encoding="unicode")
    version.text = f"2.{int(hashlib.sha256(body.encode()).hexdigest(), 16) % 10**10:010}"
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def parse(text: str) -> dict[str, str]:
    """A file of this form, by path (`sip/line[1]/PhoneNumber`). ValueError, ElementTree.ParseError."""
    root = ElementTree.fromstring(text)
    if root.tag != "sysConf" or not re.fullmatch(r"2\.\d{4,10}", root.findtext("Version", "")):
        raise ValueError("not a sysConf with its version")
    made: dict[str, str] = {}

    def walk(element: Element, way: str) -> None:
        for child in element:
            index = child.get("index")
            path = f"{way}{child.tag}" + (f"[{index}]" if index else "")
            if path in made:
                raise ValueError(f"{path} stands there twice")
            made[path] = (child.text or "").strip()
            walk(child, path + "/")

    walk(root, "")
    return made


def _fill(root: Element, account: Account) -> None:
    sip = ElementTree.SubElement(root, "sip")
    line = ElementTree.SubElement(sip, "line", index="1")
    for tag, value in _line(account):
        ElementTree.SubElement(line, tag).text = str(value)
    keys = [key for key in account.keys if key.kind in TYPES]
    dss = ElementTree.SubElement(root, "dsskey")
    for page in range(0, len(keys), PAGE):
        internal = ElementTree.SubElement(dss, "internal", index=str(page // PAGE + 1))
        for place, key in enumerate(keys[page : page + PAGE], 1):
            fkey = ElementTree.SubElement(internal, "Fkey", index=str(place))
            ElementTree.SubElement(fkey, "Type").text = str(TYPES[key.kind])
            ElementTree.SubElement(fkey, "Value").text = _value(key)
            ElementTree.SubElement(fkey, "Title").text = re.sub(r"[^\w ]", "", harmless(key.label))
    phone = ElementTree.SubElement(root, "phone")
    display = ElementTree.SubElement(phone, "display")
    ElementTree.SubElement(display, "DefaultLanguage").text = "cn"
    date = ElementTree.SubElement(phone, "date")
    ElementTree.SubElement(date, "TimeZone").text = "32"  # quarters of an hour east of UTC
    ElementTree.SubElement(date, "TimeZoneName").text = "UTC+8"
    if account.base:
        fetch = ElementTree.SubElement(root, "ap")
        for tag, value in (("DownloadCommonConf", "0"), ("DownloadDeviceConf", "1"), ("SaveProvisionInfo", "1"),
                           ("FlashServerIP", account.base.rstrip("/")), ("FlashFileName", "$mac.cfg"),
                           ("FlashProtocol", "5"), ("FlashMode", "1"), ("FlashInterval", "24")):  # fmt: skip
            ElementTree.SubElement(fetch, tag).text = value


def _line(account: Account) -> Iterator[tuple[str, object]]:
    number = code(account.number)
    yield "PhoneNumber", number
    yield "DisplayName", harmless(account.name)
    yield "RegisterAddr", account.host
    yield "RegisterPort", account.port
    yield "RegisterUser", number
    yield "RegisterPswd", secret(account.password)
    yield "RegisterTTL", 300
    yield "EnableReg", 1
    yield "ProxyAddr", account.host
    yield "ProxyPort", account.port
    yield "ProxyUser", number
    yield "ProxyPswd", account.password
    yield "Transport", 0  # UDP
    yield "DTMFMode", 1  # RFC 2833
    yield "Subscribe", 1  # lamps
    yield "SubExpire", 300
    yield "VoiceCodecMap", "PCMA,PCMU"


def _value(key: Key) -> str:
    if key.kind == "line":
        return "SIP1"
    if key.kind == "dtmf":
        return code(key.value)
    return f"{code(key.value)}@1/{'bc' if key.kind == 'blf' else 'f'}"
