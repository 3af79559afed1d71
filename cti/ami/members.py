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
LIST_S = 10.0
"""for the list of all members: 100,000 rows take seconds"""


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
    lines a ready seat's agent does not serve; ``general`` the lines no dedicated seat may be in."""

    def __init__(self, ami: AmiClient, wanted: Callable[[], Mapping[str, Member] | None],
                 barred: Callable[[str], Collection[str]], general: Collection[str],
                 dedicated: Collection[str]) -> None:  # fmt: skip
        self._ami, self._wanted, self._barred = ami, wanted, barred
        self._general, self._dedicated = frozenset(general), frozenset(dedicated)

    async def sync(self, seat: str) -> None:
        """Make one seat agree. Raises AmiError."""
        every = self._wanted()
        if every is not None and seat in every:
            await self._set(seat, every[seat])

    async def resync(self) -> Resynced:
        """Make all agree; only what differs is sent. Raises AmiError."""
        every = self._wanted()
        if every is None:
            return Resynced()
        places = await self.places()
        if not places:
            return Resynced()
        marks = await self._tree("seat")
        nots = await self._tree("seat-not")
        strangers = tuple((p.seat, p.line) for p in places if p.seat in self._dedicated and p.line in self._general)
        for seat, line in strangers:
            with contextlib.suppress(AmiRefused):
                await self._ami.action("QueueRemove", {"Queue": line, "Interface": f"PJSIP/{seat}"})
        wrong = {p.seat for p in places if p.seat in every and not self._agrees(p, every[p.seat])}
        wrong |= {n for n, m in every.items() if marks.get(n) != m.mark or nots.get(n, "") != self._barred_text(n, m)}
        order = sorted(wrong)
        for start in range(0, len(order), AT_ONCE):
            await asyncio.gather(*(self._set(seat, every[seat]) for seat in order[start : start + AT_ONCE]))
        return Resynced(len(every), tuple(order), strangers)

    async def places(self) -> Sequence[Place]:
        """Every seat's place in every line. Raises AmiError."""
        rows = await self._ami.list_action("QueueStatus", timeout=LIST_S)
        return [
            Place(str(r.get("Queue")), str(r.get("StateInterface") or "").removeprefix("PJSIP/"),
                  str(r.get("Paused")) == "1", str(r.get("PausedReason") or ""))
            for r in rows if r.get("Event") == "QueueMember" and str(r.get("StateInterface") or "").startswith("PJSIP/")
        ]  # fmt: skip

    def _agrees(self, place: Place, member: Member) -> bool:
        if not member.paused and place.line in self._barred(place.seat):
            return place.paused and place.reason == SKILL
        return place.paused == member.paused and (not member.paused or place.reason == member.reason)

    def _barred_text(self, seat: str, member: Member) -> str:
        return "" if member.paused else "-".join(sorted(self._barred(seat)))

    async def _set(self, seat: str, member: Member) -> None:
        """The pause first: it is what counts for calls."""
        pause = {"Interface": f"PJSIP/{seat}", "Paused": "true" if member.paused else "false"}
        if member.reason:
            pause["Reason"] = member.reason
        with contextlib.suppress(AmiRefused):  # a seat in no line at all
            await self._ami.action("QueuePause", pause)
        if not member.paused:
            for line in sorted(self._barred(seat)):
                with contextlib.suppress(AmiRefused):
                    await self._ami.action(
                        "QueuePause", {**pause, "Queue": line, "Paused": "true", "Reason": SKILL})  # fmt: skip
        await self._ami.action("DBPut", {"Family": "seat", "Key": seat, "Val": member.mark})
        await self._ami.action("DBPut", {"Family": "seat-not", "Key": seat, "Val": self._barred_text(seat, member)})

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
