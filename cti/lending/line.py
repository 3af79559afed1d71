"""Lines and AstDB, as lending needs them: a seat out of all lines and idle, a borrowed one in a line, or out of it.

Knows: AMI actions, app_queue's words, the rows lent.conf reads. Must not know: leases. Everything may be repeated.
Every method raises `AmiError` when Asterisk does not answer. Our own members are paused, not removed: that holds for
members of queues.conf as for added ones, and wins over a re-registration.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cti.ami.actions import AmiRefused

PAUSED: Final = "lent"
"""the pause's reason in the line; those of lent.conf are lent-…"""
SURE_S: Final = 0.15
"""between two looks at an idle seat: a ring that had begun before it was closed shows itself by then"""
IDLE: Final = "NOT_INUSE"


class Ami(Protocol):
    """What is asked of the AMI client."""

    def list_action(self, name: str, headers: Mapping[str, str | list[str]] | None = None,
                    ) -> Awaitable[Sequence[Mapping[str, object]]]:  # fmt: skip
        """The rows of a list. Raises AmiError."""

    def action(self, name: str, headers: Mapping[str, str | list[str]] | None = None,
               ) -> Awaitable[Mapping[str, object]]:  # fmt: skip
        """One answer. Raises AmiError."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a line."""

    queue: str
    interface: str
    paused: bool
    reason: str


def interface_of(number: str) -> str:
    """Of a borrowed seat by its whole number, site and seat."""
    return f"Local/{number}@lent/n"


class Line:
    """One Asterisk. ``lend``: have a seat's status told, lent (True) or ours again; False: it is not ready."""

    def __init__(self, ami: Ami, lend: Callable[[str, bool], Awaitable[bool]]) -> None:
        self._ami, self._lend = ami, lend

    # -- the owner's ---------------------------------------------------------------------------------------------------
    async def put_row(self, seat: str, site: str, fence: int, until_s: int) -> None:
        """Who may ring the seat, before when (s since the epoch). ``site`` "": nobody."""
        await self._put("lent", seat, f"{site or '-'}~{fence}~{until_s}")

    async def drop_row(self, seat: str) -> None:
        """The seat is ours again."""
        await self._drop("lent", seat)

    async def lent(self) -> dict[str, int]:
        """Own seats Asterisk has as lent, by their rows and by what pauses them; before when (s since the epoch) a
        borrower may ring each, 0: none may."""
        found = {m.interface.removeprefix("PJSIP/"): 0 for m in await self.members()
                 if m.interface.startswith("PJSIP/") and m.paused and m.reason == PAUSED}  # fmt: skip
        with contextlib.suppress(AmiRefused):  # there is no row
            for row in await self._ami.list_action("DBGetTree", {"Family": "lent"}):
                until = str(row.get("Val") or "").rpartition("~")[2]
                if seat := str(row.get("Key") or "").rpartition("/")[2]:
                    found[seat] = int(until) if until.isdecimal() else 0
        return found

    async def aside(self, seat: str) -> bool:
        """Out of every line. True: and idle, in two looks. A seat not ready, or whose phone is away, is not lent. Its
        status comes first: the lines are held to it (`cti.seating`)."""
        if not await self._lend(seat, True):
            return False
        await self.pause(seat)
        if not await self._idle(seat):
            return False
        await asyncio.sleep(SURE_S)
        return await self._idle(seat)

    async def pause(self, seat: str) -> None:
        """Out of every line it is in; heard back from Asterisk."""
        for member in await self.members():
            if member.interface == f"PJSIP/{seat}" and not member.paused:
                await self._ami.action("QueuePause", {"Queue": member.queue, "Interface": member.interface,
                                                      "Paused": "true", "Reason": PAUSED})  # fmt: skip

    async def home(self, seat: str) -> None:
        """Back into the lines we took it out of."""
        await self._lend(seat, False)
        for member in await self.members():
            if member.interface == f"PJSIP/{seat}" and member.paused and member.reason == PAUSED:
                await self._ami.action("QueuePause", {"Queue": member.queue, "Interface": member.interface,
                                                      "Paused": "false"})  # fmt: skip

    async def phones(self) -> dict[str, str]:
        """Device states of seats and trunks."""
        rows = await self._ami.list_action("DeviceStateList")
        found = ((str(row.get("Device") or ""), str(row.get("State") or "")) for row in rows)
        return {device.removeprefix("PJSIP/"): state for device, state in found if device.startswith("PJSIP/")}

    async def _idle(self, seat: str) -> bool:
        if any(m.interface == f"PJSIP/{seat}" and not m.paused for m in await self.members()):
            return False
        if (await self.phones()).get(seat) != IDLE:
            return False
        return not any(str(row.get("Channel") or "").startswith(f"PJSIP/{seat}-") for row in await self._channels())

    # -- the borrower's ------------------------------------------------------------------------------------------------
    async def enter(self, number: str, queue: str, penalty: int, row: str) -> bool:
        """Into the line; True when Asterisk shows it there, and not paused."""
        await self._put("borrowed", number, row)
        found = [m for m in await self.members() if m.interface == interface_of(number)]
        if not any(m.queue == queue for m in found):
            # A custom state outlives an Asterisk that died in the middle of a call; nobody is with a seat in no line.
            await self._ami.action("Setvar", {"Variable": f"DEVICE_STATE(Custom:lent{number})", "Value": IDLE})
            await self._ami.action("QueueAdd", {
                "Queue": queue, "Interface": interface_of(number), "Penalty": str(penalty), "MemberName": number,
                "StateInterface": f"Custom:lent{number}", "Paused": "false"})  # fmt: skip
        await self.rest(number, None)
        return any(m.interface == interface_of(number) and m.queue == queue and not m.paused
                   for m in await self.members())  # fmt: skip

    async def inside(self, number: str) -> bool:
        """Whether it is in a line at all; an Asterisk that restarted has forgotten it."""
        return any(member.interface == interface_of(number) for member in await self.members())

    async def rest(self, number: str, reason: str | None) -> None:
        """Aside in the line for a reason, or (None) offered again."""
        for member in await self.members():
            if member.interface == interface_of(number) and member.paused is (reason is None):
                await self._ami.action("QueuePause", {
                    "Queue": member.queue, "Interface": member.interface,
                    "Paused": "false" if reason is None else "true", "Reason": reason or ""})  # fmt: skip

    async def leave(self, number: str) -> bool:
        """Out of the line, and what rings there stopped; a talk goes on. True when it is so."""
        await self._drop("borrowed", number)
        for member in await self.members():
            if member.interface == interface_of(number):
                with contextlib.suppress(AmiRefused):  # gone meanwhile
                    await self._ami.action("QueueRemove", {"Queue": member.queue, "Interface": member.interface})
        ringing = [str(row.get("Channel")) for row in await self._channels()
                   if str(row.get("Channel") or "").startswith(f"Local/{number}@lent-")
                   and str(row.get("Channel")).endswith(";1") and str(row.get("ChannelStateDesc")) != "Up"]  # fmt: skip
        for channel in ringing:
            with contextlib.suppress(AmiRefused):
                await self._ami.action("Hangup", {"Channel": channel})
        return not ringing and not any(m.interface == interface_of(number) for m in await self.members())

    async def strangers(self, keep: Sequence[str]) -> None:
        """Borrowed seats in a line that are none of ``keep``, and rows left over, go."""
        found = {m.interface for m in await self.members() if m.interface.endswith("@lent/n")}
        for interface in found - {interface_of(number) for number in keep}:
            await self.leave(interface.removeprefix("Local/").removesuffix("@lent/n"))

    async def members(self) -> list[Member]:
        """All members of all lines."""
        rows = await self._ami.list_action("QueueStatus")
        return [Member(str(row.get("Queue")), str(row.get("Location")), str(row.get("Paused")) == "1",
                       str(row.get("PausedReason") or ""))
                for row in rows if row.get("Event") == "QueueMember"]  # fmt: skip

    async def _channels(self) -> Sequence[Mapping[str, object]]:
        return await self._ami.list_action("CoreShowChannels")

    async def _put(self, family: str, key: str, value: str) -> None:
        await self._ami.action("DBPut", {"Family": family, "Key": key, "Val": value})

    async def _drop(self, family: str, key: str) -> None:
        with contextlib.suppress(AmiRefused):  # there was none
            await self._ami.action("DBDel", {"Family": family, "Key": key})
