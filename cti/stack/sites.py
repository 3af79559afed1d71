"""Two or more sites on one machine: as many Asterisks and services, one Redis, each knowing its neighbours.

Knows: how instances are told of one another. Must not know: what they lend. Each site's trunk to the others has an
address of its own, 127.0.0.11 and on, so that a call of a site is known by where it comes from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cti.directory import Directory, SiteEntry, SiteSip
from cti.stack import netports
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot

HOST = "127.0.0.{}"
FIRST = 11


def here(sites: Sequence[SiteEntry], ports: Sequence[int]) -> tuple[SiteEntry, ...]:
    """The sites as they are reached on this machine."""
    made = []
    for n, (site, port) in enumerate(zip(sites, ports, strict=True)):
        host = HOST.format(FIRST + n)
        made.append(site.model_copy(update={"sip": SiteSip(host=host, port=port), "accepts": (host,)}))
    return tuple(made)


def _seen(sites: Sequence[SiteEntry], by: int, relay: SiteSip | None) -> Sequence[SiteEntry]:
    """The sites as one of them reaches the others."""
    if relay is None:
        return sites
    if by == 1:
        return [site.model_copy(update={"accepts": (*site.accepts, relay.host)}) if n != 1 else site
                for n, site in enumerate(sites)]  # fmt: skip
    return [site.model_copy(update={"sip": relay}) if n == 1 else site for n, site in enumerate(sites)]


class Sites:
    """``async with Sites(...) as sites``: the first ``count`` sites of `config/sites.yaml` run inside, each in its own
    folder of ``state``. The first one runs Redis for all. Entering raises as `Instance` does, ValueError for more sites
    than there are. ``watch``: as `Instance`; the first one's Prometheus looks at all. ``relay``: the second site is
    reached through this address, `relayed` (a test that cuts the trunk).
    """

    def __init__(self, root: RuntimeRoot, state: Path, directory: Directory, config: Path, templates: Path, *,
                 count: int = 2, settings: Mapping[str, str] | None = None, voice: bool = False,
                 relay: SiteSip | None = None, watch: float = 0.0) -> None:  # fmt: skip
        if len(directory.sites) < count:
            have = len(directory.sites)
            raise ValueError(f"sites.yaml 只有 {have} 个站点 / has {have} sites, {count} wanted")
        self._undo = contextlib.AsyncExitStack()
        self._ports = [netports.free_udp_port() for _ in range(count)]
        known = here(directory.sites[:count], self._ports)
        self.relayed = known[1].sip if count > 1 else None
        self.all: list[Instance] = []
        for n, site in enumerate(known):
            shared = self.all[0].ports.redis if self.all else None
            self.all.append(Instance(root, state / site.code, directory, config, templates, site=site.code,
                                     sites=_seen(known, n, relay), redis=shared, settings=settings,
                                     voice=voice, watch=0.0 if n else watch))  # fmt: skip
        self.all[0].watched |= {site.site: site.ports.http for site in self.all}

    def __getitem__(self, n: int) -> Instance:
        return self.all[n]

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(netports.release, *self._ports)
            for site in self.all:
                await undo.enter_async_context(site)
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self._undo.__aexit__(kind, value, trace)
