"""PINs of agents, kept as salted scrypt hashes (RFC 7914): `hash_pin` makes one, `pin_is` checks.

Knows: the form ``scrypt$n$r$p$salt$hash`` (base64). Must not know: who an agent is. A PIN is short, so the hash only
makes a stolen file slow to try; what keeps guessers out is the lock-out (`cti.core.seat_desk.Lockout`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re

N, R, P = 16_384, 8, 1
FORM = re.compile(r"scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{16,64})\$([A-Za-z0-9+/=]{24,96})\Z")
MOST_N = 1 << 20
PIN = re.compile(r"[0-9]{4,8}\Z")


def hash_pin(pin: str, salt: bytes | None = None) -> str:
    """Of 4 to 8 digits, for agents.yaml. Raises ValueError, which does not repeat it."""
    if not PIN.match(pin):
        raise ValueError("a PIN is 4 to 8 digits")
    salt = salt or os.urandom(16)
    made = hashlib.scrypt(pin.encode(), salt=salt, n=N, r=R, p=P, maxmem=64 << 20, dklen=32)
    return f"scrypt${N}${R}${P}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def sound(text: str) -> bool:
    """Whether it is such a hash, and one that can be computed."""
    found = FORM.match(text)
    if found is None:
        return False
    n, r, p = (int(found[i]) for i in (1, 2, 3))
    return 2 <= n <= MOST_N and n & (n - 1) == 0 and 1 <= r <= 16 and 1 <= p <= 4 and 128 * n * r <= 128 << 20


def pin_is(pin: str, stored: str) -> bool:
    """Compares in constant time; some 40 ms of one core: call it in a thread."""
    found = FORM.match(stored)
    if found is None or not PIN.match(pin):
        return False
    try:
        salt, wanted = base64.b64decode(found[4], validate=True), base64.b64decode(found[5], validate=True)
        n, r, p = int(found[1]), int(found[2]), int(found[3])
        made = hashlib.scrypt(pin.encode(), salt=salt, n=n, r=r, p=p, maxmem=192 << 20, dklen=len(wanted))
    except ValueError:
        return False
    return hmac.compare_digest(made, wanted)


NOBODY = hash_pin("0000", b"\0" * 16)
"""checked for an agent there is not, so that the time tells nothing"""
