"""Telephones outside, behind a trunk's one address: 119, duty desks, each with a behaviour of its own.

Knows: whose number an INVITE is for. Must not know: who calls, scenarios.
"""

from __future__ import annotations

import asyncio

from cti.dialtest import sip
from cti.dialtest.call import Call
from cti.dialtest.phone import Phone, Policy, Ring
from cti.dialtest.wire import Address


def number_of(uri: str) -> str:
    """``sip:119@127.0.0.2:5070`` → ``119``."""
    return uri.partition(":")[2].partition("@")[0]


class Town(Phone):
    """All of them sound alike (one tone). ``policies``: number → what it does; any other number rings for ever."""

    policies: dict[str, Policy]

    def _on_invite(self, request: sip.Request, addr: Address, t: float) -> None:
        self.on_invite = getattr(self, "policies", {}).get(number_of(request.uri), Ring())
        super()._on_invite(request, addr, t)

    def calls_to(self, number: str) -> list[Call]:
        """Every call there ever was to this number."""
        return [call for call in self.calls if call.direction == "in" and number_of(call.invite.uri) == number]

    async def rung(self, number: str, seconds: float, known: int = 0) -> Call:
        """The call to this number after so many that are known. TimeoutError."""
        for _ in range(int(seconds * 50)):
            if len(found := self.calls_to(number)) > known:
                return found[known]
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{number} was not rung")
