"""Grandstream: `cfg<mac>.xml`, the alias form (`<config version="2">`; GRP26xx, GXP21xx of recent firmware).

Sources: Grandstream, *SIP Device Provisioning Guide* (the file's name in lower case; `<mac>` is compared with the
device's own, so that a file meant for another is refused; version 1: P-values, 2: aliases, never mixed) and the
configuration template of the GRP26xx (`pks.vpk.N.keyMode`: Line, BLF, SpeedDial, Transfer, DialDTMF; a key's account
counts from 0, accounts from 1; virtual keys without a gap; registration expires in minutes). Key modes are written as
words: their numbers differ between two of its documents. Must not know: the directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from cti.phones.account import Account, code, harmless, secret
from cti.phones.keys import Kind

MODES: Final[dict[Kind, str]] = {
    "line": "Line", "blf": "BLF", "speed": "SpeedDial", "transfer": "Transfer", "dtmf": "DialDTMF",
}  # fmt: skip


def file_name(mac: str) -> str:
    """What the phone asks for."""
    return f"cfg{mac}.xml"


def render(account: Account) -> str:
    """The whole file."""
    root = ElementTree.Element("gs_provision", version="1")
    if account.mac:
        ElementTree.SubElement(root, "mac").text = account.mac
    config = ElementTree.SubElement(root, "config", version="2")
    for name, value in _items(account):
        ElementTree.SubElement(config, "item", name=name).text = str(value)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def parse(text: str) -> dict[str, str]:
    """A file of this form, item by item. ValueError, ElementTree.ParseError."""
    root = ElementTree.fromstring(text)
    config = root.find("config")
    if root.tag != "gs_provision" or config is None or config.get("version") != "2":
        raise ValueError("not a gs_provision of aliases")
    made = {item.attrib["name"]: item.text or "" for item in config}
    if len(made) != len(config):
        raise ValueError("an item stands there twice")
    return made


def _items(account: Account) -> Iterator[tuple[str, object]]:
    number = code(account.number)
    yield "account.1.enable", "Yes"
    yield "account.1.name", number
    yield "account.1.sip.server.1.address", account.host if account.port == 5060 else f"{account.host}:{account.port}"
    yield "account.1.sip.userid", number
    yield "account.1.sip.subscriber.userid", number
    yield "account.1.sip.subscriber.password", secret(account.password)
    yield "account.1.sip.subscriber.name", harmless(account.name)
    yield "account.1.sip.registration", "Yes"
    yield "account.1.sip.registerExpiration", 5
    yield "account.1.sip.transport", "UDP"
    yield "account.1.call.dialplan", "{ [x*#]+ }"  # *13, *14, **110 are dialled as they stand
    yield "account.1.featureCodes.callFeatures", "No"  # its own * codes would take ours
    yield "account.1.dtmf.sendInAudio", "No"
    yield "account.1.dtmf.sendInRtp", "Yes"
    yield "account.1.dtmf.sendInSip", "No"
    yield "account.1.codec.choice.1", "PCMA"
    yield "account.1.codec.choice.2", "PCMU"
    for place, key in enumerate(account.keys, 1):
        yield f"pks.vpk.{place}.keyMode", MODES[key.kind]
        yield f"pks.vpk.{place}.account", 0
        yield f"pks.vpk.{place}.description", harmless(key.label)
        yield f"pks.vpk.{place}.value", code(key.value)
    yield "language.gui", "zh"
    yield "dateTime.timezone", "TZX-8"
    if account.base:
        yield "provisioning.config.protocol", "HTTPS"
        yield "provisioning.config.serverPath", account.base.removeprefix("https://").rstrip("/")
        yield "provisioning.auto.mode", "YesUpgradeHourOfDay"
        yield "provisioning.validateHostnameInCertificate", "Yes" if account.verify else "No"
