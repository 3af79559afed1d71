"""How a route is written for the dialplan: `kind~target~seconds~label` hops, joined by `|`.

Knows: the text form, its bounds, and that nothing dialplan-active may stand in it. Must not know: the directory's
files, AstDB. The dialplan reads it by CUT(); its own limit is the AMI line (1,022 bytes, ASTERISK.md §5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

MAX_ROUTE = 900
"""bytes, so that `Action`'s line with the variable's name stays under 1,022"""
MAX_RING_S = 110
"""seconds of ringing in all: the door gives up after 120 s"""

_TARGET = re.compile(r"[A-Za-z0-9_./:@+-]{1,80}\Z")


class BadRoute(ValueError):
    """A route that would not survive the dialplan; the message names the hop and why."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One target: a waiting line (``queue``) or one phone (``dial``), rung for ``seconds``."""

    kind: Literal["queue", "dial"]
    target: str
    seconds: int


def route_text(hops: Iterable[Hop]) -> str:
    """The route as AstDB and the caller's channel hold it. Raises `BadRoute`."""
    parts = []
    total = 0
    for number, hop in enumerate(hops, 1):
        if not _TARGET.match(hop.target):
            raise BadRoute(f"hop {number}: target {hop.target!r} has characters the dialplan would act on")
        if not 1 <= hop.seconds <= MAX_RING_S:
            raise BadRoute(f"hop {number}: {hop.seconds} s is out of 1..{MAX_RING_S}")
        total += hop.seconds
        parts.append(f"{hop.kind}~{hop.target}~{hop.seconds}")
    if not parts:
        raise BadRoute("a route needs at least one hop")
    if total > MAX_RING_S:
        raise BadRoute(f"the hops ring {total} s in all; {MAX_RING_S} s is the most")
    text = "|".join(parts)
    if len(text) > MAX_ROUTE:
        raise BadRoute(f"{len(text)} bytes; {MAX_ROUTE} is the most")
    return text


def read_route(text: str) -> tuple[Hop, ...]:
    """The hops of a route text (inverse of `route_text`). Raises `BadRoute`."""
    hops = []
    for number, part in enumerate(text.split("|"), 1):
        fields = part.split("~")
        if len(fields) < 3 or fields[0] not in ("queue", "dial") or not fields[2].isdigit():
            raise BadRoute(f"hop {number}: {part!r} is not kind~target~seconds")
        hops.append(Hop("queue" if fields[0] == "queue" else "dial", fields[1], int(fields[2])))
    return tuple(hops)
