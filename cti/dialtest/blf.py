"""A lamp on a phone's key (BLF): a SUBSCRIBE to a number's dialog state, and what its NOTIFYs say (RFC 6665, 4235).

Knows: the subscription's dialog, the state inside dialog-info+xml. Must not know: calls, what a number is. A
subscription is not renewed: one of an hour outlives every test.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree

from cti.dialtest import sip
from cti.dialtest.wire import Address

if TYPE_CHECKING:
    from cti.dialtest.phone import Phone

_EXPIRES_S = 3600
_ANSWER_S = 5.0
_PARTING_S = 2.0
_STATE = ".//{urn:ietf:params:xml:ns:dialog-info}state"


class SubscriptionRefused(Exception):
    """The switch gave ``status`` (408: none at all)."""

    def __init__(self, name: str, number: str, status: int) -> None:
        super().__init__(f"{name}: subscription to {number} answered with {status}")
        self.status = status


class Lamp:
    """The lamp of ``number`` on a phone: ``early`` flashes (it rings), ``confirmed`` is lit, ``terminated`` dark."""

    def __init__(self, phone: Phone, number: str) -> None:
        self.phone, self.number = phone, number
        self.states: list[tuple[float, str]] = []  #: each NOTIFY's, by when it came (monotonic seconds)
        self.call_id = secrets.token_hex(12)
        self._uri = self._target = f"sip:{quote(number, safe='*+')}@{phone.server[0]}:{phone.server[1]}"
        self._us = sip.NameAddr(f"sip:{quote(phone.user)}@{phone.server[0]}", "", secrets.token_hex(6))
        self._them = f"<{self._uri}>"
        self._cseq = 0
        self._on = False
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Lamp {self.number} at {self.phone.name}: {self.state}>"

    @property
    def state(self) -> str:
        """What it shows now; empty before the first NOTIFY."""
        return self.states[-1][1] if self.states else ""

    async def wait(self, state: str, timeout: float = 3.0, *, after: float = 0.0) -> float:
        """When the first NOTIFY since ``after`` (monotonic seconds) said so. TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                for t, said in self.states:
                    if said == state and t >= after:
                        return t
                await self._moved.wait()

    async def start(self) -> None:
        """Subscribe. Raises SubscriptionRefused."""
        if (status := await self._subscribe(_EXPIRES_S, _ANSWER_S)) // 100 != 2:
            raise SubscriptionRefused(self.phone.name, self.number, status)
        self._on = True

    async def stop(self) -> None:
        """Un-subscribe; may be repeated, and needs no switch that answers."""
        if self._on:
            self._on = False
            await self._subscribe(0, _PARTING_S)

    def on_notify(self, request: sip.Request, addr: Address, t: float) -> None:
        """A NOTIFY of ours. The last one, which says only that the subscription is over, leaves the lamp as it was."""
        self.phone.wire.answer(request, request.answer(200), addr)
        if request.headers.get("Subscription-State").startswith("terminated"):
            self._on = False
        elif (state := _state(request.body)) is not None:
            self.states.append((t, state))
            self._moved.set()
            self._moved = asyncio.Event()

    async def _subscribe(self, expires: int, timeout: float) -> int:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_response(response: sip.Response | None, t: float) -> None:
            if response is not None:
                self._cseq = max(self._cseq, response.cseq[0])
            if answer.done() or (response is not None and response.status < 200):
                return
            if response is not None and response.status < 300:
                self._them = response.headers.get("To")
                self._target = sip.NameAddr.parse(response.headers.get("Contact")).uri or self._target
            answer.set_result(408 if response is None else response.status)

        self._cseq += 1
        headers = sip.Headers([("Max-Forwards", "70"), ("From", str(self._us)), ("To", self._them)])
        for name, value in (("Call-ID", self.call_id), ("CSeq", f"{self._cseq} SUBSCRIBE"), ("Event", "dialog"),
                            ("Accept", "application/dialog-info+xml"), ("Expires", str(expires)),
                            ("Contact", f"<{self.phone.contact}>")):  # fmt: skip
            headers.add(name, value)
        self.phone.wire.ask(sip.Request(headers, b"", "SUBSCRIBE", self._target), on_response)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            return 408


def _state(body: bytes) -> str | None:
    """The state of the first dialog told; None when there is none."""
    try:
        return ElementTree.fromstring(body).findtext(_STATE)
    except ElementTree.ParseError:
        return None


__all__ = ["Lamp", "SubscriptionRefused"]
