"""A handset's file, or a sample for a seat that has none yet. Pure.

Knows: the three vendors, the directory, the book. Must not know: where files go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

from cti.directory import Directory, Seat
from cti.phones import fanvil, grandstream, yealink
from cti.phones.account import Account
from cti.phones.book import MOST_KEYS, Book, Handset, Vendor
from cti.phones.keys import keys_of
from cti.phones.tokens import token

FORMS: dict[Vendor, ModuleType] = {"yealink": yealink, "grandstream": grandstream, "fanvil": fanvil}


@dataclass(frozen=True, slots=True)
class Rendered:
    """One file. ``url``: where the phone must be told to fetch it, its secret in it; empty without one."""

    seat: str
    vendor: Vendor
    name: str
    text: str = field(repr=False)
    url: str = field(default="", repr=False)


def base(book: Book, key: bytes, handset: Handset) -> str:
    """The device's folder on the server."""
    return f"{book.url}/p/{token(key, handset)}/" if book.url else ""


def render_handset(handset: Handset, book: Book, directory: Directory, key: bytes) -> Rendered:
    """The file of a handset. ValueError for what no file can carry, KeyError for an unknown seat."""
    seat = directory.seat(handset.seat)
    if seat is None:
        raise KeyError(handset.seat)
    where = base(book, key, handset)
    text, name = _file(handset.vendor, seat, book, directory, key, handset.keys, handset.mac, where)
    return Rendered(seat.number, handset.vendor, name, text, where)


def render_sample(seat: Seat, vendor: Vendor, book: Book, directory: Directory, key: bytes) -> Rendered:
    """The same for a seat without a handset, named after the seat: to look at, or to load by hand."""
    text, name = _file(vendor, seat, book, directory, key, MOST_KEYS, "", "")
    return Rendered(seat.number, vendor, f"seat-{seat.number}{name[name.rindex('.'):]}", text)


def _file(vendor: Vendor, seat: Seat, book: Book, directory: Directory, key: bytes, most: int, mac: str,
          where: str) -> tuple[str, str]:  # fmt: skip
    form = FORMS[vendor]
    account = Account(
        number=seat.number, name=seat.name, host=book.server.host, port=book.server.port,
        keys=keys_of(seat, directory, transfer=book.transfer_key)[:most], password=seat.password(key), base=where,
        mac=mac, verify=book.verify)  # fmt: skip
    return form.render(account), form.file_name(mac or seat.number)
