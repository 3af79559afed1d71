"""A Redis by URL: one server, one behind Sentinel, or a Cluster.

    redis://host:6379/0                              rediss:// with TLS
    redis+sentinel://h1:26379,h2:26379/mymaster/0    rediss+sentinel://; the password before @ is Redis' own
    redis+cluster://h1:7000,h2:7000                  rediss+cluster://

Knows: the three forms. Must not know: what is stored. All keys of a site carry one hash tag, so a batch is one
MULTI/EXEC on a Cluster as well.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

Client: TypeAlias = "Redis | RedisCluster"

SENTINEL_S = 1.0
"""for one sentinel's answer, before the next is asked"""
FORMS = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix")


def connect(url: str) -> Client:
    """A client that has not connected yet. Raises ValueError for a URL of none of the forms.

    No retries inside: what to do instead is the ledger's decision. No socket_timeout either: whoever asks bounds the
    time, and redis-py would use asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes together
    with its result (bpo-37658).
    """
    parts = urlsplit(url)
    if parts.scheme not in FORMS:
        raise ValueError(f"scheme {parts.scheme!r} is none of {', '.join(FORMS)}")
    form, _, kind = parts.scheme.partition("+")
    if not kind:
        return Redis.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2, socket_timeout=None)
    options: dict[str, Any] = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "ssl": form == "rediss", "protocol": 2, "socket_timeout": None,
    }  # fmt: skip
    hosts = _hosts(parts)
    if kind == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in hosts],
                            retry=Retry(NoBackoff(), 0), **options)  # fmt: skip
    master, _, database = parts.path.strip("/").partition("/")
    if not master or not (database or "0").isdecimal():
        raise ValueError("name the master behind the hosts: redis+sentinel://h1:26379,h2:26379/mymaster/0")
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        hosts, sentinel_kwargs={"socket_timeout": SENTINEL_S, "socket_connect_timeout": SENTINEL_S},
                        retry=Retry(NoBackoff(), 0), db=int(database or 0), **options)  # fmt: skip
    found: Redis = sentinel.master_for(master)
    return found


def _hosts(parts: SplitResult) -> list[tuple[str, int]]:
    found = []
    for one in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = one.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"{one!r}: every host needs its port, e.g. h1:26379,h2:26379")
        found.append((host.strip("[]"), int(port)))
    return found
