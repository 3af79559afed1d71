"""Every key of a site's ledger in Redis, on one page.

Knows: names. Must not know: what writes or reads them. The braces are Redis Cluster's hash tag: all keys of a site live
on one node, so a batch and what is projected from it can be one MULTI/EXEC.
"""

from __future__ import annotations

import re

_SITE = re.compile(r"[A-Za-z0-9_.-]+\Z")


class Keys:
    """The names for one `site`. Raises ValueError for a site that cannot be part of a key."""

    def __init__(self, site: str) -> None:
        if not _SITE.match(site):
            raise ValueError(f"site {site!r} must consist of letters, digits, '_', '.' and '-'")
        self.site = site
        self.prefix = f"cti:{{{site}}}:"
        self.ledger = self.prefix + "ledger"
        """stream, one entry a fact; never trimmed but by the retention policy, no TTL"""
        self.checkpoint = self.prefix + "checkpoint"
        """hash, name to "stamp value": how far a reader of ours has come"""
        self.decisions = self.prefix + "decisions"
        """sorted set of ids of decisions and disputes; small"""
        self.transfers = self.prefix + "transfers"
        """sorted set of transfers by when they started (µs)"""
        self.transfer_ids = self.prefix + "transfer-ids"
        """sorted set of transfers, all of score 0: by name, so that one call's stand together"""
        self.chain_start = self.prefix + "chain-start"
        """the hash that the first entry follows, once older ones were archived and taken out"""
        self._day = self.prefix + "day:"
        self._call = self.prefix.encode() + b"call:"

    def call(self, ref: bytes) -> bytes:
        """Sorted set of ids, for "all facts of a call"; it has a TTL."""
        return self._call + ref

    def transfer(self, name: str) -> str:
        """Hash, one transfer: "kind id" of a fact to "at data"."""
        return f"{self.prefix}transfer:{name}"

    def transfers_of(self, what: str, value: str) -> str:
        """Sorted set like `transfers`, of one ``seat`` or ``outcome``."""
        return f"{self.prefix}transfers:{what}:{value}"

    def arrivals(self, month: str) -> str:
        """Hash, ref to "hotline caller" (masked); a key a month, so that a month is dropped as one."""
        return f"{self.prefix}arrivals:{month}"

    def callers(self, month: str) -> str:
        """Sorted set of "caller|ref" (masked), all of score 0: found by how they begin."""
        return f"{self.prefix}callers:{month}"

    def day(self, name: str) -> str:
        """Hash, call ref to its `EndedCall`, of the calls that arrived on the local day ``20261125``."""
        return self._day + name
