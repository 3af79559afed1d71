"""Which keys a seat's phone has, most useful first. Pure.

Knows: the directory's key codes and what each kind of key does. Must not know: any vendor. A key of kind `dtmf` sends
a code on the very call, so that the agent goes on talking while the other side rings; `blf` shows a lamp and calls its
number on a second line; `speed` calls a code without a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cti.directory import Directory, Seat
from cti.directory.fields import CANCEL_KEY

Kind = Literal["line", "dtmf", "speed", "blf", "transfer"]
PAUSE, READY = "*13", "*14"
"""dialplan/seats.conf"""


@dataclass(frozen=True, slots=True)
class Key:
    """``value``: what it sends, dials or watches: digits, `*` and `#` only."""

    kind: Kind
    value: str
    label: str


def keys_of(seat: Seat, directory: Directory, *, transfer: bool = False) -> tuple[Key, ...]:
    """The keys of a seat: its line, the one-key transfers, three-party, take back, busy, ready, the lamps."""
    return tuple(dict.fromkeys([Key("line", "", seat.number), *_keys(seat, directory, transfer)]))


def _keys(seat: Seat, directory: Directory, transfer: bool) -> Iterator[Key]:
    own = [h for h in directory.hotlines if h.platform == seat.platform]
    for hotline in own:
        for code, to in hotline.keys.items():
            yield Key("dtmf", code, "转另一席" if to == seat.platform else f"一键转{to}")
    for hotline in own:
        for code, to in hotline.danger_keys.items():
            yield Key("dtmf", code, "涉险转另一席" if to == seat.platform else f"涉险转{to}")
    for hotline in own:
        yield from (Key("dtmf", code, "三方") for code in hotline.conference_keys)
    yield Key("dtmf", CANCEL_KEY, "取回")
    yield Key("speed", PAUSE, "示忙")
    yield Key("speed", READY, "就绪")
    others = [p for p in directory.platforms if p != seat.platform]
    if transfer:
        yield from (Key("transfer", to, f"盲转{to}") for to in others)
    yield from (Key("blf", to, f"{to}专席") for to in others if directory.seats_of(to, "dedicated"))
    yield from (Key("dtmf", one.code, one.name.zh) for one in directory.linkage)
    yield from (Key("blf", s.number, s.name) for s in directory.seats_of(seat.platform) if s.number != seat.number)
