"""Emergency plans as Asterisk holds them: rows of AstDB, calls to duty phones on their way.

Knows: AMI actions, the names duty.conf uses. Must not know: plans' rules. Everything may be repeated. Every method
raises `AmiError` when Asterisk does not answer.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cti.ami.actions import AmiRefused

BEYOND_S: Final = 60
"""one call lasts so long beyond its ringing at most: Originate's own time-out ends it (cti.core.duty, `TELL_S`)"""
_CHANNEL: Final = re.compile(r"Local/(?P<attempt>[0-9a-z]+)@duty-[0-9a-f]+;[12]\Z")

Rows = Mapping[tuple[str, str], str]


class Ami(Protocol):
    """What is asked of the AMI client."""

    def list_action(self, name: str, headers: Mapping[str, str | list[str]] | None = None,
                    ) -> Awaitable[Sequence[Mapping[str, object]]]:  # fmt: skip
        """The rows of a list. Raises AmiError."""

    def action(self, name: str, headers: Mapping[str, str | list[str]] | None = None,
               ) -> Awaitable[Mapping[str, object]]:  # fmt: skip
        """One answer. Raises AmiError."""


@dataclass(frozen=True, slots=True)
class DutyCall:
    """One call to a duty phone. ``trunk`` empty: a seat of ours; ``say``: the prompt; ``drill``: the run, or ""."""

    run: str
    duty: int
    attempt: str
    number: str
    seconds: int
    trunk: str
    say: str
    hotline: str
    drill: str


class PlanSwitch:
    """One Asterisk."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami

    async def rows(self, families: Collection[str]) -> dict[tuple[str, str], str]:
        """What these families of AstDB hold."""
        found: dict[tuple[str, str], str] = {}
        for family in families:
            with contextlib.suppress(AmiRefused):  # it is empty
                for row in await self._ami.list_action("DBGetTree", {"Family": family}):
                    key = str(row.get("Key") or "").removeprefix(f"/{family}/")
                    if key:
                        found[family, key] = str(row.get("Val") or "")
        return found

    async def put(self, key: tuple[str, str], value: str) -> None:
        """Lay one row."""
        await self._ami.action("DBPut", {"Family": key[0], "Key": key[1], "Val": value})

    async def drop(self, key: tuple[str, str]) -> None:
        """Take one row away."""
        with contextlib.suppress(AmiRefused):  # it was not there
            await self._ami.action("DBDel", {"Family": key[0], "Key": key[1]})

    async def call(self, call: DutyCall) -> None:
        """Have a duty phone called: one action, sent twice it is one call ([duty] in duty.conf)."""
        values = {"RUN": call.run, "DUTY": str(call.duty), "DUTYNUMBER": call.number, "DUTYSECS": str(call.seconds),
                  "DUTYTRUNK": call.trunk, "DUTYSAY": call.say, "HOTLINE": call.hotline,
                  "DRILL": call.drill}  # fmt: skip
        await self._ami.action("Originate", {
            "Channel": f"Local/{call.attempt}@duty/n", "Application": "NoOp",
            "Timeout": str((call.seconds + BEYOND_S) * 1000), "Async": "true",
            "Variable": [f"__{name}={value}" for name, value in values.items() if value]})  # fmt: skip

    async def calls(self) -> dict[str, list[str]]:
        """Attempts that have channels now, and which."""
        found: dict[str, list[str]] = {}
        for row in await self._ami.list_action("CoreShowChannels"):
            channel = str(row.get("Channel") or "")
            if match := _CHANNEL.match(channel):
                found.setdefault(match["attempt"], []).append(channel)
        return found

    async def hang_up(self, channel: str) -> None:
        """End one of these calls."""
        with contextlib.suppress(AmiRefused):  # gone meanwhile
            await self._ami.action("Hangup", {"Channel": channel})
