"""The hash chain through a site's ledger: each entry carries a hash of itself and of the entry before it.

Knows: what is hashed, and in what form. Must not know: Redis, who writes.

An entry that was changed, taken out or slipped in breaks the chain at its place. Who may write to Redis could make all
hashes anew from there on; against that stand the anchors, which the service notes on its own disk, and the manifests of
archived months: both name an id and its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

FIELD = b"h"
SIZE = 16
"""bytes of a hash; an entry has it in hexadecimal"""


def genesis(site: str) -> bytes:
    """What the first entry of a ledger follows."""
    return hashlib.blake2b(b"hotline-cti ledger " + site.encode(), digest_size=SIZE).hexdigest().encode()


def link(before: bytes, fact_id: str, fields: Mapping[bytes, bytes]) -> bytes:
    """The hash (32 hexadecimal digits) of an entry that follows one with hash `before`.

    Lengths stand before the values, so that no two entries are written alike.
    """
    made = hashlib.blake2b(before, digest_size=SIZE)
    made.update(fact_id.encode())
    for name in sorted(fields):
        if name != FIELD:
            value = fields[name]
            made.update(b"%d:%b=%d:%b" % (len(name), name, len(value), value))
    return made.hexdigest().encode()
