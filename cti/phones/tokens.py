"""A device's own secret: what its configuration's address holds. Pure.

Knows: HMAC-SHA256 (RFC 2104) of the instance's key. Must not know: files, HTTP. Each phone has its own, so that who
opens one handset learns one account; `renew` in phones.yaml gives a device a new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cti.phones.book import Handset

LENGTH = 26
"""characters of a token: 130 bits in base32"""


def token(key: bytes, handset: Handset) -> str:
    """The device's secret: lower-case letters and digits, 26 of them."""
    said = f"phone/{handset.mac}/{handset.renew}".encode()
    return base64.b32encode(hmac.new(key, said, hashlib.sha256).digest())[:LENGTH].decode().lower()


def fits(key: bytes, handset: Handset | None, given: str) -> bool:
    """Whether this is the device's secret; takes as long for a device nobody knows."""
    wanted = token(key, handset or Handset.model_construct(mac="", renew=0))
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")) and handset is not None
