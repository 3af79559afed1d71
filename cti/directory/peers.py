"""Whom we speak SIP with: trunks.yaml, sites.yaml.

Knows: frozen values. Must not know: files, Asterisk, the clock.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cti.directory.base import Frozen, Name
from cti.directory.fields import Count, Division, Host, Network, Port, TrunkName


class Trunk(Frozen):
    """A SIP peer calls come from and go to. `accepts` are the addresses its calls may come from."""

    name: TrunkName
    host: Host
    port: Port = 5060
    accepts: tuple[Network, ...] = Field(min_length=1, max_length=64)
    max_calls: Count = 30
    reserved: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    """of these, kept for calls with danger to life"""
    qualify: Annotated[int, Field(strict=True, ge=0, le=3600)] = 2
    """seconds between checks that the peer answers (SIP OPTIONS); 0: never. A dead peer is noticed only by this"""


class SiteSip(Frozen):
    """Where a site is reached by SIP, from other sites."""

    host: Host
    port: Port = 5060


class SiteEntry(Frozen):
    """One installation of the province. All sites share one file; each finds itself by its code."""

    code: Division
    name: Name
    above: Division
    """the level above, whose coordinator moves seats between its sites"""
    sip: SiteSip
    accepts: tuple[Network, ...] = Field(min_length=1, max_length=64)
    """addresses its calls may come from"""
    penalty: Annotated[int, Field(strict=True, ge=1, le=100)] = 5
    """its seats stand so far behind our own in a line"""
    qualify: Annotated[int, Field(strict=True, ge=1, le=60)] = 2
    """seconds between two looks whether it answers"""
    place: tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=-180, le=180)]] | None = None
    """latitude, longitude: the nearest is asked first"""

    @property
    def endpoint(self) -> str:
        """Its name in pjsip.conf."""
        return f"site-{self.code}"
