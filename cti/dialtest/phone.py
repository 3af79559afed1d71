"""A test phone: registers, calls, is called, sends its tone, and can behave as badly as a real one.

Knows: registration (RFC 3261 10), what to do with a call that comes in, who has which tone. Must not know:
the switch's insides, scenarios.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote

import structlog

from cti.dialtest import sip
from cti.dialtest.blf import Lamp
from cti.dialtest.call import Call
from cti.dialtest.dialog import CallState
from cti.dialtest.media import Media
from cti.dialtest.wire import Address, Wire

log = structlog.get_logger(__name__)


class RegistrationRefused(Exception):
    """The registrar gave ``status`` (408: none at all)."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name}: registration answered with {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring for ever; the test may answer or refuse by hand (``wait_ringing``)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer ``after`` seconds of ringing; hang up ``hang_up_after`` seconds later, or never."""

    after: float = 0.0
    hang_up_after: float | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse with ``status`` (486 busy, 603 decline, 480, 404, 503 …) ``after`` seconds of ringing."""

    status: int = 486
    after: float = 0.0


Policy = Ring | Answer | Reject


class Phone:
    """One party, called ``name`` in hearings by the sound of ``tone_hz``.

    The tone is one of ``tones.TONES`` and nobody else's among the phones started at the same time. With a
    password the phone registers as ``user``; without, it is a trunk or a peer known by its address. ``on_invite``
    may be changed at any time and counts for the next INVITE.
    """

    #: Frequency → phone, of all phones since the last time that none was started.
    _parties: ClassVar[dict[int, Phone]] = {}

    def __init__(
        self,
        name: str,
        tone_hz: int,
        server: Address,
        user: str,
        password: str | None = None,
        *,
        local_host: str = "127.0.0.1",
        local_port: int = 0,
    ) -> None:
        self.name, self.tone_hz, self.server, self.user = name, tone_hz, server, user
        self.local_host, self.local_port = local_host, local_port
        self.on_invite: Policy = Ring()
        self.calls: list[Call] = []  #: all there ever were, in order
        self.muted = False
        self.started = False
        self.wire = Wire(server, user, password, self._on_request)
        self._media: Media | None = None
        self._incoming: asyncio.Queue[Call] = asyncio.Queue()
        self._by_id: dict[str, Call] = {}
        self._lamps: dict[str, Lamp] = {}
        self._registration = (secrets.token_hex(8), secrets.token_hex(6))
        self._register_cseq = 0
        self._registered = False

    def __repr__(self) -> str:
        return f"<Phone {self.name} {self.tone_hz} Hz>"

    async def start(self) -> None:
        """Bind, and register when there is a password.

        OSError: no port; ValueError: the tone is taken; RegistrationRefused: wrong password, unknown user, no
        server.
        """
        if not any(phone.started for phone in self._parties.values()):
            self._parties.clear()
        other = self._parties.get(self.tone_hz)
        if other is not None and other is not self and other.started:
            raise ValueError(f"{self.name} and {other.name} would both sound at {self.tone_hz} Hz")
        for hz in [hz for hz, phone in self._parties.items() if phone.name == self.name and not phone.started]:
            del self._parties[hz]
        self.wire.silent = False
        await self.wire.open(self.local_host, self.local_port)
        self._media = Media.acquire()
        self._parties[self.tone_hz] = self
        self.started = True
        if self.wire.password is not None:
            try:
                await self._register(3600)
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """Hang up all calls, unregister, close; does not need a server that answers. May be repeated."""
        if not self.started:
            return
        for call in self.calls:
            call.hangup()
        if not self.wire.silent:  # a CANCEL may have to wait for the answer it cancels
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    for call in self.calls:
                        await call.wait_ended(2.0)
        if not self.wire.silent:
            await asyncio.gather(*(lamp.stop() for lamp in self._lamps.values()))
        if self._registered and not self.wire.silent:
            try:
                await self._register(0, timeout=2.0)
            except RegistrationRefused as refusal:
                log.warning("dialtest.phone.unregister", phone=self.name, status=refusal.status)
        for call in self.calls:
            call.vanish()
        self.started = False
        self.wire.close()
        media, self._media = self._media, None
        if media is not None:
            media.release()

    async def dial(
        self,
        number: str,
        *,
        caller_id: str | None = None,
        caller_name: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Call:
        """Call ``number`` at the server; ``caller_id`` takes the place of our user in From."""
        host, port = self.server
        caller = f"sip:{quote(caller_id or self.user)}@{host}"
        call = Call(self, "out", secrets.token_hex(12))
        request = self._new_request(
            "INVITE",
            f"sip:{quote(number, safe='*#+')}@{host}:{port}".replace("#", "%23"),
            call.call_id,
            sip.NameAddr(caller, caller_name or "", secrets.token_hex(6)),
        )
        for name, value in (headers or {}).items():
            request.headers.add(name, value)
        self._take(call)
        call.start(request)
        return call

    async def subscribe(self, number: str) -> Lamp:
        """Watch a number's lamp until we stop. SubscriptionRefused."""
        lamp = Lamp(self, number)
        self._lamps[lamp.call_id] = lamp  # its first NOTIFY may come before the answer
        await lamp.start()
        return lamp

    async def wait_ringing(self, timeout: float = 5.0) -> Call:
        """The next incoming call that is ringing still. TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                call = await self._incoming.get()
                if call.state is CallState.RINGING:
                    return call

    async def wait_incoming(self, timeout: float = 5.0) -> Call:
        """The next incoming call not yet returned by either wait, whatever became of it. TimeoutError."""
        async with asyncio.timeout(timeout):
            return await self._incoming.get()

    def mute(self, on: bool = True) -> None:
        """Send no RTP at all, as a phone that lost its microphone's codec, on these and later calls."""
        self.muted = on
        for call in self.calls:
            call.line.muted = on

    def vanish(self) -> None:
        """Die as a machine without power: nothing is sent or answered any more, no BYE, no unregistration."""
        self.wire.fall_silent()
        for call in self.calls:
            call.vanish()

    @property
    def media(self) -> Media:
        if self._media is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._media

    @property
    def address(self) -> Address:
        """Our SIP address."""
        return self.wire.address

    @property
    def contact(self) -> str:
        host, port = self.wire.address
        return f"sip:{quote(self.user)}@{host}:{port}"

    @classmethod
    def parties(cls) -> dict[int, str]:
        """Frequency → name of the parties that can be heard."""
        return {hz: phone.name for hz, phone in cls._parties.items()}

    # ---- inside

    async def final_status(self, request: sip.Request, timeout: float) -> int:
        """Send and wait for the final status; 408 when none comes in time."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_response(response: sip.Response | None, t: float) -> None:
            if not answer.done() and (response is None or response.status >= 200):
                answer.set_result(408 if response is None else response.status)
            if response is not None and request.method == "REGISTER":
                self._register_cseq = max(self._register_cseq, response.cseq[0])

        self.wire.ask(request, on_response)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            return 408

    async def _register(self, expires: int, timeout: float = 10.0) -> None:
        host, port = self.server
        call_id, tag = self._registration
        us = sip.NameAddr(f"sip:{quote(self.user)}@{host}", "", tag)
        self._register_cseq += 1
        request = self._new_request("REGISTER", f"sip:{host}:{port}", call_id, us, self._register_cseq)
        request.headers.set("To", f"<{us.uri}>")
        request.headers.add("Contact", f"<{self.contact}>")
        request.headers.add("Expires", str(expires))
        status = await self.final_status(request, timeout)
        if status != 200:
            raise RegistrationRefused(self.name, status)
        self._registered = expires > 0

    @staticmethod
    def _new_request(method: str, uri: str, call_id: str, us: sip.NameAddr, cseq: int = 1) -> sip.Request:
        headers = sip.Headers([("Max-Forwards", "70"), ("From", str(us)), ("To", f"<{uri}>"), ("Call-ID", call_id)])
        headers.add("CSeq", f"{cseq} {method}")
        headers.add("User-Agent", "hotline-cti dialtest")
        return sip.Request(headers, b"", method, uri)

    def _take(self, call: Call) -> None:
        self.calls.append(call)
        self._by_id[call.call_id] = call

    def _on_request(self, request: sip.Request, addr: Address, t: float) -> None:
        call = self._by_id.get(request.call_id)
        if call is not None:
            call.on_request(request, addr, t)
        elif request.method == "NOTIFY" and (lamp := self._lamps.get(request.call_id)) is not None:
            lamp.on_notify(request, addr, t)
        elif request.method == "INVITE" and not request.to.tag:
            self._on_invite(request, addr, t)
        elif request.method != "ACK":
            status = 200 if request.method in ("OPTIONS", "NOTIFY", "INFO", "MESSAGE") else 481
            self.wire.answer(request, request.answer(status, tag=secrets.token_hex(4)), addr)

    def _on_invite(self, request: sip.Request, addr: Address, t: float) -> None:
        policy = self.on_invite
        self.wire.answer(request, request.answer(100), addr)
        call = Call(self, "in", request.call_id)
        self._take(call)
        if not call.ring(request, addr, t):
            return
        self._incoming.put_nowait(call)
        match policy:
            case Answer(after, hang_up_after):
                call.later(after, call.answer)
                if hang_up_after is not None:
                    call.later(after + hang_up_after, call.hangup)
            case Reject(status, after):
                call.later(after, lambda: call.reject(status))
            case Ring():
                pass


__all__ = ["Answer", "Call", "CallState", "Phone", "Policy", "RegistrationRefused", "Reject", "Ring"]
