"""Asterisk as the core's commands see it (`cti.ports.Switch`), and what else the service asks of it.

Knows: which AMI action is which command. Must not know: rules. A transfer is exactly one action: a client killed
after sending it changes nothing, a sequence of actions killed in the middle leaves somebody alone (ASTERISK.md §1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from cti.ami.actions import AmiError, AmiLost, AmiRefused, AmiTimeout
from cti.ami.client import AmiClient
from cti.ami.members import Members
from cti.ami.wire import AmiBadValue
from cti.core import commands as c
from cti.core import events as e
from cti.core.asking import note
from cti.core.ids import channel_of
from cti.core.routing import Hop

COLLEAGUE_S = 20
"""a colleague asked for by number rings so long; as [knock] in key.conf"""

CALLBACK_S = 20
"""a seat that took a callback from the list is rung so long"""

FAMILIES = ("route", "route-danger")
"""AstDB families of the ordinary routes and of those for danger"""

STATES = {"Not in use": "NOT_INUSE", "In use": "INUSE", "Ring+Inuse": "RINGINUSE", "On Hold": "ONHOLD"}
"""a device state as people read it (ast_devstate2str) → its name; the others differ in case alone"""

log = structlog.get_logger(__name__)


class SwitchMeter(Protocol):
    """Counts commands by result: ok | refused | lost | timeout…"""

    def command(self, name: str, result: str) -> None:
        """One command carried out, or not."""


class AmiSwitch:
    """Carries commands out over one AMI link. ``routes`` gives a division's route texts, by (platform, danger)."""

    def __init__(self, ami: AmiClient, routes: Callable[[str], Mapping[tuple[str, bool], str]], meter: SwitchMeter,
                 now_us: Callable[[], int], members: Members) -> None:  # fmt: skip
        self._members = members
        self._ami, self._routes, self._meter, self._now = ami, routes, meter, now_us

    async def carry_out(self, command: c.Command) -> e.Event | None:
        """One command. A failure is counted and logged; the dialplan stays the owner of the caller. A knock that surely
        never reached Asterisk is refused; one that may have (`AmiLost.sent`, a time-out) is told by the door's own
        steps, live or from Asterisk's file, or by their absence (`REQUEST_US`)."""
        name = type(command).__name__
        try:
            match command:
                case c.LayRoute():
                    await self._lay(command)
                case c.KnockDoor():
                    await self._knock(command)
                case c.TakeBack() | c.Release():
                    await self._ask(command)
                case c.CallBack():
                    await self._call_back(command)
                case c.DropPlace():
                    with contextlib.suppress(AmiRefused):  # it has left by itself
                        place = rf"/^Local\/{command.ref.replace('.', '[.]')}@callback-place-/"
                        await self._ami.action("Hangup", {"Channel": place})
                case c.DropDuty():
                    with contextlib.suppress(AmiRefused):  # it has ended by itself
                        await self._ami.action("Hangup", {"Channel": rf"/^Local\/{command.attempt}@duty-/"})
                case c.Confer():
                    await self._room(command.ref, "ask-confer", {"XFID": command.transfer, "ASKSEAT": command.seat})
                case c.Mute():
                    await self._room(command.ref, "ask-mute", {
                        "XFID": command.transfer, "ASKSEAT": command.seat, "ON": str(int(command.on))})  # fmt: skip
                case c.BringFourth():
                    await self._fourth(command)
                case c.PartFourth():
                    await self._room(command.ref, "ask-fourth-out", {"MEMID": command.member})
                case c.SyncSeat():
                    await self._members.sync(command.seat)
                case c.SayDecision():
                    await self._room(command.ref, "ask-decide", {
                        "XFID": command.transfer, "ASKSEAT": command.seat, "CHOICE": command.choice,
                        "XFKEY": command.key, "REASON": note(command.reason), "WORDS": note(command.text)})  # fmt: skip
        except (AmiError, AmiBadValue) as why:
            self._meter.command(name, type(why).__name__)
            log.info("command_failed", command=name, ref=command.ref, why=str(why))
            maybe_sent = isinstance(why, AmiTimeout) or (isinstance(why, AmiLost) and why.sent)
            if isinstance(command, c.KnockDoor) and not maybe_sent:
                return e.TransferRefused(command.ref, self._now(), command.transfer, command.seat, "switch-away")
            if isinstance(command, c.CallBack) and not maybe_sent:
                return e.CallbackFailed(command.ref, self._now(), command.seat, "switch-away")
        else:
            self._meter.command(name, "ok")
        return None

    async def _knock(self, knock: c.KnockDoor) -> None:
        """The one action of a transfer: what the seat's key does ([knock] in key.conf)."""
        only = Hop("dial", f"PJSIP/{knock.only}", COLLEAGUE_S).text if knock.only else ""
        values = {"XFID": knock.transfer, "XFSEAT": knock.seat, "XFTO": knock.to, "XFONLY": only,
                  "XFDANGER": "1" if knock.danger else "", "XFNOTE": note(knock.summary), "XFMODE": knock.mode,
                  "XFKEY": "api"}  # fmt: skip
        await self._originate(knock.ref, f"Local/{knock.transfer}@door/n", "join", 120, values)

    async def _call_back(self, command: c.CallBack) -> None:
        """One action: the seat's phone rings; who picks it up is in [callback-talk], which calls the caller."""
        values = {"CBTASK": command.ref, "CBNUMBER": command.number, "__HOTLINE": command.hotline}
        await self._ami.action("Originate", {
            "Channel": f"PJSIP/{command.seat}", "Context": "callback-talk", "Exten": "s", "Priority": "1",
            "CallerID": command.number, "Timeout": str(CALLBACK_S * 1000), "Async": "true",
            "Variable": [f"__{name.lstrip('_')}={value}" for name, value in values.items()]})  # fmt: skip

    async def _ask(self, command: c.TakeBack | c.Release) -> None:
        context = "ask-cancel" if isinstance(command, c.TakeBack) else "ask-release"
        await self._originate(command.ref, f"Local/{command.ref}@{context}/n", "join", 5, {"XFID": command.transfer})

    async def _fourth(self, ask: c.BringFourth) -> None:
        """The one action of a fourth member: what the seat's key does ([bring-fourth] in fourth.conf)."""
        await self._originate(ask.ref, f"Local/{ask.member}@fourth/n", "fourth-in", 120, {
            "__MEMID": ask.member, "MEMTO": ask.to, "MEMSEAT": ask.seat, "MEMKEY": "api",
            "WANTED": ask.transfer})  # fmt: skip

    async def _room(self, ref: str, context: str, values: Mapping[str, str]) -> None:
        await self._originate(ref, f"Local/{ref}@{context}/n", "join", 5, values)

    async def _originate(self, ref: str, channel: str, context: str, seconds: int, values: Mapping[str, str]) -> None:
        variables = [f"{name}={value}" for name, value in {"__CALLREF": ref, **values}.items() if value]
        await self._ami.action("Originate", {
            "Channel": channel, "Context": context, "Exten": ref, "Priority": "1", "Timeout": str(seconds * 1000),
            "Async": "true", "Variable": variables})  # fmt: skip

    async def _lay(self, command: c.LayRoute) -> None:
        for (platform, danger), text in self._routes(command.division).items():
            name = f"ROUTE_DANGER_{platform}" if danger else f"ROUTE_{platform}"
            await self._set(channel_of(command.ref), f"SHARED({name})", text)

    async def _set(self, channel: str, variable: str, value: str) -> None:
        await self._ami.action("Setvar", {"Channel": channel, "Variable": variable, "Value": value})

    async def publish(self, routes: Mapping[tuple[str, str, bool], str]) -> None:
        """Lay the site's general routes, by (platform, division, danger), into AstDB, families ``route`` and
        ``route-danger``: what keys use when the service is away."""
        for (platform, division, danger), text in routes.items():
            row = {"Family": FAMILIES[danger], "Key": f"{platform}/{division}", "Val": text}
            await self._ami.action("DBPut", row)

    async def forget_routes(self) -> None:
        """Empty AstDB's families of routes; until `publish`, keys walk the route rendered into the dialplan."""
        for family in FAMILIES:
            with contextlib.suppress(AmiRefused):  # there was none
                await self._ami.action("DBDelTree", {"Family": family})

    async def device_states(self) -> dict[str, str]:
        """Seat number or trunk name → Asterisk's device state (NOT_INUSE, UNAVAILABLE…); empty without a link."""
        states: dict[str, str] = {}
        try:
            listed = await self._ami.list_action("PJSIPShowEndpoints")  # DeviceStateList has a row a seat and line more
        except AmiError:
            return states
        for message in listed:
            if message.get("Event") == "EndpointList":
                said = str(message.get("DeviceState") or "")
                states[str(message.get("ObjectName") or "")] = STATES.get(said, said.upper())
        return states
