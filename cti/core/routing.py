"""How a route is written for the dialplan: `kind~target~seconds[~trunk~confirm[~away]]` hops, joined by `|`; and that
whom Asterisk cannot reach stands last.

Knows: the text form, its bounds, and that nothing dialplan-active may stand in it. Must not know: the directory's
files, AstDB. The dialplan reads it by CUT(); its own limit is the AMI line (1,022 bytes, ASTERISK.md §5).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

MAX_ROUTE = 900
"""bytes, so that `Action`'s line with the variable's name stays under 1,022; marks of who is away come on top, at most
four bytes on each of 16 hops"""
MAX_RING_S = 110
"""seconds of ringing in all: the door gives up after 120 s"""

Kind = Literal["queue", "dial", "phone"]
KINDS: tuple[Kind, ...] = ("queue", "dial", "phone")

REASONS: dict[str, tuple[str, str]] = {
    "busy": ("忙", "busy"),
    "noanswer": ("无人接听", "no answer"),
    "declined": ("拒接", "declined"),
    "unreachable": ("话机不在线", "phone unreachable"),
    "no-number": ("空号", "no such number"),
    "congested": ("线路拥塞", "congested"),
    "trunk-down": ("中继不通", "trunk down"),
    "trunk-full": ("中继占满", "trunk full"),
    "unconfirmed": ("接听后未确认", "answered but not confirmed"),
    "vanished": ("接听后即断", "answered and gone"),
    "cut": ("转接被中断", "cut off"),
    "dedicated-only": ("专席只接对方平台转来的电话", "dedicated seats take only calls the other platform hands over"),
}
"""why a target did not take the caller, and what the agent is told of it (Chinese, English)"""

WHY_OF: dict[str, str] = {
    **dict.fromkeys(("1", "3", "22", "28"), "no-number"),
    **dict.fromkeys(("17", "BUSY"), "busy"),
    **dict.fromkeys(("18", "19", "NOANSWER", "noanswer"), "noanswer"),
    **dict.fromkeys(("20", "CHANUNAVAIL", "unreachable"), "unreachable"),
    **dict.fromkeys(("21", "29"), "declined"),
    **dict.fromkeys(("34", "41", "42", "44", "CONGESTION"), "congested"),
    **dict.fromkeys(("27", "38", "102"), "trunk-down"),
}
"""Q.850 cause of the leg (Asterisk's own map from SIP: 404 to 1, 480 to 19, 486 to 17, 503 to 34, 603 to 21), or
DIALSTATUS, to the reason. Rendered into the dialplan, so that both speak of the same."""

_TARGET = re.compile(r"[A-Za-z0-9_./:@+-]{1,80}\Z")


_TRUNK = re.compile(r"[a-z][a-z0-9_-]{0,23}\Z")


class BadRoute(ValueError):
    """A route that would not survive the dialplan; the message names the hop and why."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One target, rung for ``seconds``: a waiting line (``queue``), a seat's phone (``dial``), or a telephone outside
    (``phone``) over ``trunk``, where with ``confirm`` only who presses 1 counts as a person. ``away``: it stands after
    those that can be reached, and no line need be left for its sake ([ring-queue])."""

    kind: Kind
    target: str
    seconds: int
    trunk: str = ""
    confirm: bool = False
    away: bool = False

    @property
    def text(self) -> str:
        """The hop as the dialplan reads it."""
        outside = f"~{self.trunk}~{int(self.confirm)}" if self.kind == "phone" else "~~" if self.away else ""
        return f"{self.kind}~{self.target}~{self.seconds}{outside}{'~1' if self.away else ''}"

    def unreachable(self, devices: Collection[str], lines: Mapping[str, Collection[str]]) -> bool:
        """Whether all it would ring is among ``devices``, the unreachable seats' numbers and trunks' names; ``lines``:
        the seats of each waiting line."""
        match self.kind:
            case "queue":
                seats = lines.get(self.target, ())
                return bool(seats) and all(seat in devices for seat in seats)
            case "dial":
                return self.target.removeprefix("PJSIP/") in devices
            case "phone":
                return self.trunk in devices


def reachable_first(
    hops: Iterable[Hop], devices: Collection[str], lines: Mapping[str, Collection[str]]
) -> tuple[Hop, ...]:
    """The walk with its unreachable hops last, marked ``away``; both parts in the order they had. Never shorter: the
    report may be stale. When none can be reached, or all can, the order is the one configured and nothing is marked."""
    hops = tuple(hops)
    here = tuple(hop for hop in hops if not hop.unreachable(devices, lines))
    gone = tuple(replace(hop, away=True) for hop in hops if hop.unreachable(devices, lines))
    return here + gone if here else hops


def route_text(hops: Iterable[Hop]) -> str:
    """The route as AstDB and the caller's channel hold it. Raises `BadRoute`."""
    parts = []
    total = marks = 0
    for number, hop in enumerate(hops, 1):
        if not _TARGET.match(hop.target):
            raise BadRoute(f"hop {number}: target {hop.target!r} has characters the dialplan would act on")
        if not 1 <= hop.seconds <= MAX_RING_S:
            raise BadRoute(f"hop {number}: {hop.seconds} s is out of 1..{MAX_RING_S}")
        total += hop.seconds
        if hop.kind == "phone" and not _TRUNK.match(hop.trunk):
            raise BadRoute(f"hop {number}: trunk {hop.trunk!r} has characters the dialplan would act on")
        parts.append(hop.text)
        marks += len(hop.text) - len(replace(hop, away=False).text)
    if not parts:
        raise BadRoute("a route needs at least one hop")
    if total > MAX_RING_S:
        raise BadRoute(f"the hops ring {total} s in all; {MAX_RING_S} s is the most")
    text = "|".join(parts)
    if len(text) - marks > MAX_ROUTE:  # a seat that goes away must not make a sound route a bad one
        raise BadRoute(f"{len(text) - marks} bytes; {MAX_ROUTE} is the most")
    return text


def read_route(text: str) -> tuple[Hop, ...]:
    """The hops of a route text (inverse of `route_text`). Raises `BadRoute`."""
    hops = []
    for number, part in enumerate(text.split("|"), 1):
        fields = part.split("~")
        kind = next((k for k in KINDS if k == fields[0]), None)
        away = len(fields) == 6
        if kind is None or not (away or len(fields) == (5 if kind == "phone" else 3)) or not fields[2].isdigit():
            raise BadRoute(f"hop {number}: {part!r} is not kind~target~seconds[~trunk~confirm[~away]]")
        outside = (fields[3], fields[4] == "1") if kind == "phone" else ("", False)
        hops.append(Hop(kind, fields[1], int(fields[2]), *outside, away))
    return tuple(hops)
