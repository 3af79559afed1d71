"""The seats as app_queue and AstDB hold them, made to agree with what the ledger says of them.

Knows: AMI's queue actions, the two AstDB families of dialplan/seats.conf. Must not know: why a seat is what it is.

Every seat is a static member of its lines (queues.conf) and only its pause changes: one action for all its lines, done
in one turn of Asterisk's, whatever their number. Taking a seat in and out of 100 lines would be 100 actions, of which a
kill can leave half (`bench/seats.py` has both figures). A static member is there without the service.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from cti.ami.actions import AmiRefused
from cti.ami.client import AmiClient
from cti.core.seats import Member

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""actions on their way while many seats are put right; the link keeps their order"""
SKILL = "skill"
"""reason of a line that the seat serves and its agent does not"""
FAMILIES = ("seat", "seat-not")
"""AstDB: what a seat is; the lines its agent does not serve"""
LIST_S = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """A member of a line."""

    line: str
    seat: str
    paused: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Resynced:
    """What a resynchronisation found; no ``seats``: app_queue has no members (yet). ``strangers``: (seat, line) of
    dedicated seats in general lines, taken out."""

    seats: int = 0
    changed: tuple[str, ...] = ()
    strangers: tuple[tuple[str, str], ...] = ()


class Members:
    """``wanted`` gives each seat's member, None when it is not known yet (then nothing is touched); ``barred`` the
    lines a ready seat's agent does not serve; ``lines`` whose seats are in each; those without a dedicated seat are
    lines none may be in."""

    def __init__(self, ami: AmiClient, wanted: Callable[[], Mapping[str, Member] | None],
                 barred: Callable[[str], Collection[str]], lines: Mapping[str, Collection[str]],
                 dedicated: Collection[str]) -> None:  # fmt: skip
        self._ami, self._wanted, self._barred = ami, wanted, barred
        self._lines, self._dedicated = lines, frozenset(dedicated)
        self._general = frozenset(line for line in lines if not self._dedicated & set(lines[line]))
        self._cover = cover(lines)
        self._turn = 0

    async def sync(self, seat: str) -> None:
        """Make one seat agree. Raises AmiError."""
        every = self._wanted()
        if every is not None and seat in every:
            await self._set(seat, every[seat])

    async def resync(self) -> Resynced:
        """Make all agree; only what differs is sent. One line of each seat is looked at, for a seat is paused in all of
        its lines by one action; the others in turn (`look`). Raises AmiError."""
        every = self._wanted()
        if every is None:
            return Resynced()
        places = [place for line in self._cover for place in await self.places(line)]
        return await self._right(every, places, marks=True) if places else Resynced()

    async def look(self) -> Resynced:
        """The next line: what somebody's hand changed there. Raises AmiError."""
        every, lines = self._wanted(), list(self._lines)
        if every is None or not lines:
            return Resynced()
        self._turn = (self._turn + 1) % len(lines)
        return await self._right(every, await self.places(lines[self._turn]), marks=False)

    async def _right(self, every: Mapping[str, Member], places: Sequence[Place], *, marks: bool) -> Resynced:
        strangers = tuple((p.seat, p.line) for p in places if p.seat in self._dedicated and p.line in self._general)
        for seat, line in strangers:
            with contextlib.suppress(AmiRefused):
                await self._ami.action("QueueRemove", {"Queue": line, "Interface": f"PJSIP/{seat}"})
        paused = {p.seat for p in places if p.seat in every and not self._agrees(p, every[p.seat])}
        noted = await self._unlike(every) if marks else {}
        order = sorted(paused | set(noted))
        for start in range(0, len(order), AT_ONCE):
            await asyncio.gather(*(
                self._set(seat, every[seat], seat in paused, noted.get(seat, ()))
                for seat in order[start : start + AT_ONCE]))  # fmt: skip
        return Resynced(len(every), tuple(order), strangers)

    async def _unlike(self, every: Mapping[str, Member]) -> dict[str, tuple[str, ...]]:
        """Seats of which AstDB says something else, and in which of its families."""
        held = {family: await self._tree(family) for family in FAMILIES}
        found = {
            number: tuple(f for f in FAMILIES if held[f].get(number, "") != self._noted(f, number, member))
            for number, member in every.items()
        }  # fmt: skip
        return {number: families for number, families in found.items() if families}

    async def places(self, line: str) -> Sequence[Place]:
        """Every seat's place in a line. Raises AmiError."""
        rows = await self._ami.list_action("QueueStatus", {"Queue": line}, timeout=LIST_S)
        return [
            Place(str(r.get("Queue")), str(r.get("StateInterface") or "").removeprefix("PJSIP/"),
                  str(r.get("Paused")) == "1", str(r.get("PausedReason") or ""))
            for r in rows if r.get("Event") == "QueueMember" and str(r.get("StateInterface") or "").startswith("PJSIP/")
        ]  # fmt: skip

    def _agrees(self, place: Place, member: Member) -> bool:
        if not member.paused and place.line in self._barred(place.seat):
            return place.paused and place.reason == SKILL
        return place.paused == member.paused and (not member.paused or place.reason == member.reason)

    def _noted(self, family: str, seat: str, member: Member) -> str:
        """What AstDB must hold."""
        if family == "seat":
            return member.mark
        return "" if member.paused else "-".join(sorted(self._barred(seat)))

    async def _set(self, seat: str, member: Member, pause: bool = True, families: Collection[str] = FAMILIES) -> None:
        """The pause first: it is what counts for calls."""
        if pause:
            await self._pause(seat, member)
        for family in families:
            row = {"Family": family, "Key": seat, "Val": self._noted(family, seat, member)}
            await self._ami.action("DBPut", row)

    async def _pause(self, seat: str, member: Member) -> None:
        said = {"Interface": f"PJSIP/{seat}", "Paused": "true" if member.paused else "false"}
        if member.reason:
            said["Reason"] = member.reason
        with contextlib.suppress(AmiRefused):  # a seat in no line at all
            await self._ami.action("QueuePause", said)
        for line in () if member.paused else sorted(self._barred(seat)):
            with contextlib.suppress(AmiRefused):
                await self._ami.action("QueuePause", {**said, "Queue": line, "Paused": "true", "Reason": SKILL})

    async def _tree(self, family: str) -> dict[str, str]:
        """An AstDB family; empty when there is none."""
        try:
            rows = await self._ami.list_action("DBGetTree", {"Family": family})
        except AmiRefused:
            return {}
        return {
            str(r.get("Key") or "").rpartition("/")[2]: str(r.get("Val") or "")
            for r in rows if r.get("Event") == "DBGetTreeResponse"
        }  # fmt: skip


def cover(lines: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Few lines that have every seat among them: the longest first."""
    left = {seat for seats in lines.values() for seat in seats}
    chosen = []
    for line in sorted(lines, key=lambda name: -len(lines[name])):
        if left & set(lines[line]):
            chosen.append(line)
            left -= set(lines[line])
    return tuple(chosen)
