"""The dialog under a call: what an INVITE sets going, from either side, and the moments of it.

Knows: the INVITE dialog (RFC 3261 12–15), offer and answer (RFC 3264), holds, where its RTP line has to aim. Must not
know: how messages are repeated (:mod:`~cti.dialtest.wire`), what is heard, what a scenario waits for.
"""

from __future__ import annotations

import asyncio
import enum
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from cti.dialtest import sdp, sip
from cti.dialtest.wire import Address, Transaction

if TYPE_CHECKING:
    from cti.dialtest.phone import Phone

_ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, UPDATE, INFO"
_CAUSE = re.compile(r"Q\.850\s*;\s*cause\s*=\s*(\d+)", re.IGNORECASE)
EndedBy = Literal["", "us", "peer", "refused", "cancelled", "timeout", "vanished"]


class CallState(enum.StrEnum):
    CALLING = "calling"  #: our INVITE is out, nothing but 100 came back
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Dialog:
    """All moments (``t_…``) are monotonic seconds, taken when the datagram reached the process, or None."""

    def __init__(self, phone: Phone, direction: Literal["in", "out"], call_id: str) -> None:
        self.phone, self.direction, self.call_id = phone, direction, call_id
        self.line = phone.media.open(phone.local_host, phone.tone_hz)
        self.line.muted = phone.muted
        self.invite = sip.Request()  #: the INVITE as received or sent; ``invite.headers.get("X-…")``
        self.state = CallState.CALLING
        self.status = 0  #: final answer to the INVITE; 408 when none came
        self.ended_by: EndedBy = ""
        self.cause: int | None = None  #: Q.850, of the peer's BYE, CANCEL or refusal (RFC 3326); None: it gave none
        self.hold: sdp.Direction = "sendrecv"  #: the peer's direction in its last description
        self.holds: list[tuple[float, sdp.Direction]] = []  #: every change of it
        self.refer_progress: list[tuple[float, int]] = []  #: (t, status) of each sipfrag after our REFER
        self.infos: list[tuple[float, bytes]] = []  #: bodies of INFO requests
        self.t_invite: float | None = None
        self.t_ringing: float | None = None
        self.t_answered: float | None = None
        self.t_bye: float | None = None
        self.t_cancel: float | None = None
        self.t_ended: float | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._tag = secrets.token_hex(6)
        self._local = self._remote = self._target = ""
        self._route: list[str] = []
        self._cseq = secrets.randbelow(1000) + 1
        self._from: Address = phone.server
        self._asked: Transaction | None = None
        self._ack: bytes | None = None
        self._giving_up = False
        self._offered = False  # we made the offer in our 200 and the ACK brings the answer
        self._sdp_version = 1
        self._moved = asyncio.Event()  # set and replaced at every change that somebody may wait for

    def __repr__(self) -> str:
        return f"<Call {self.phone.name} {self.direction} {self.state} {self.status or ''}>"

    def answer(self) -> None:
        """200 with our description. Does nothing unless an incoming call is ringing."""
        if self.direction == "in" and self.state is CallState.RINGING:
            self._offered = not self.invite.body
            self._respond(200, body=self._describe(self._mirrored()))
            self.t_answered = time.monotonic()
            self._set(CallState.ANSWERED, 200)

    def reject(self, status: int = 486) -> None:
        """Refuse a ringing incoming call: 486 busy, 603 decline, 480, 404, 503 …"""
        if self.direction == "in" and self.state is CallState.RINGING:
            self._respond(status)
            self._end("refused", status)

    def hangup(self) -> None:
        """BYE, CANCEL or 603, whatever ends it now. Does nothing when it is over."""
        if self.state is CallState.ANSWERED:
            self.phone.wire.ask(self._request("BYE"), lambda response, t: None)
            self._end("us")
        elif self.direction == "in":
            self.reject(603)
        elif self.state is not CallState.ENDED and not self._giving_up:
            self._giving_up = True
            self.t_cancel = time.monotonic()
            if self._asked is not None and self._asked.provisional:
                self.phone.wire.cancel(self._asked)  # else as soon as a provisional answer comes

    # ---- from the phone

    def start(self, request: sip.Request) -> None:
        """Send the INVITE ``request``, complete but for Contact, description and Via."""
        self.invite = request
        self._cseq = request.cseq[0]
        self._local, self._remote, self._target = (
            request.headers.get("From"),
            request.headers.get("To"),
            request.uri,
        )
        self._finish(request, self._describe("sendrecv"))
        self.t_invite = time.monotonic()
        self._asked = self.phone.wire.ask(request, self._on_answer)

    def ring(self, request: sip.Request, addr: Address, t: float) -> bool:
        """Take an INVITE: 180. False when its description cannot be taken: 488, and the call is over."""
        self.invite, self._from, self.t_invite = request, addr, t
        self._local, self._remote = (
            f"{request.headers.get('To')};tag={self._tag}",
            request.headers.get("From"),
        )
        self._target = sip.NameAddr.parse(request.headers.get("Contact") or self._remote).uri
        self._route = request.headers.all("Record-Route")
        self.state = CallState.RINGING
        if not self._aim(request.body, t):
            self.reject(488)
            return False
        self.t_ringing = t
        self._respond(180)
        return True

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something by and by unless the call is over; at once when ``seconds`` is 0."""
        if seconds <= 0:
            act()
        elif self.state is not CallState.ENDED:
            self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    def vanish(self) -> None:
        if self.state is not CallState.ENDED:
            self._end("vanished")

    @property
    def caller(self) -> sip.NameAddr:
        """Who calls: number in ``.user``, display name in ``.name``."""
        return self.invite.from_

    def on_request(self, request: sip.Request, addr: Address, t: float) -> None:
        """A request of the dialog (same Call-ID)."""
        self._heed(request)
        match request.method:
            case "ACK":
                if self._offered and request.body:
                    self._offered = False
                    self._aim(request.body, t)
                return
            case "CANCEL":
                self.t_cancel = t
                self._reply(request, 200, addr)
                if self.state is CallState.RINGING:
                    self._respond(487)
                    self._end("cancelled", 487, t)
                return
            case "BYE":
                self.t_bye = t
                self._reply(request, 200, addr)
                if self.direction == "in" and self.state is CallState.RINGING:
                    self._respond(487)
                self._end("peer", t=t)
                return
        if self.state is CallState.ENDED:
            self._reply(request, 481, addr)
            return
        match request.method:
            case "INVITE" | "UPDATE":
                self._reoffer(request, addr, t)
            case "NOTIFY":
                match = re.match(rb"SIP/2\.0 ([1-6]\d\d)", request.body)
                self._reply(request, 200, addr)
                if match and "refer" in request.headers.get("Event"):
                    self.refer_progress.append((t, int(match[1])))
                    if 200 <= int(match[1]) < 300:
                        self.hangup()  # RFC 5589 6.1: the transferor takes leave when the target has answered
                    self._stir()
            case "INFO":
                self.infos.append((t, request.body))
                self._reply(request, 200, addr)
            case "OPTIONS" | "MESSAGE":
                self._reply(request, 200, addr)
            case _:
                self._reply(request, 501, addr)

    # ---- inside

    def _on_answer(self, response: sip.Response | None, t: float) -> None:
        if response is None:
            self._end("timeout", 408, t)
            return
        assert self._asked is not None
        self._cseq = max(self._cseq, response.cseq[0])
        if response.status < 200:
            if self._giving_up:
                self.phone.wire.cancel(self._asked)
            elif response.status > 100 and self.state is CallState.CALLING:
                self.t_ringing = t
                self._set(CallState.RINGING)
            if response.body:
                self._aim(response.body, t)
            return
        if response.status >= 300:
            self._heed(response)
            self._end("cancelled" if self._giving_up else "refused", response.status, t)
            return
        if self._ack is not None:
            self.phone.wire.resend(self._ack)
            return
        self._remote = response.headers.get("To")
        self._target = sip.NameAddr.parse(response.headers.get("Contact") or self._remote).uri
        self._route = response.headers.all("Record-Route")[::-1]
        self._ack = self.phone.wire.send_ack(self._request("ACK", response.cseq[0]))
        taken = self._aim(response.body, t)
        self.t_answered = t
        self._set(CallState.ANSWERED, response.status)
        if self._giving_up or not taken:
            self.hangup()

    def _reoffer(self, request: sip.Request, addr: Address, t: float) -> None:
        if request.body and not self._aim(request.body, t):
            self._reply(request, 488, addr)
            return
        if contact := request.headers.get("Contact"):
            self._target = sip.NameAddr.parse(contact).uri
        self._sdp_version += 1
        self._offered = request.method == "INVITE" and not request.body
        described = self._describe(self._mirrored()) if request.body or self._offered else b""
        self._reply(request, 200, addr, described)

    def _mirrored(self) -> sdp.Direction:
        return sdp.Sdp("", 0, self.hold).mirrored

    def _aim(self, body: bytes, t: float) -> bool:
        """Follow the peer's description. False when it cannot be; a missing one changes nothing."""
        if not body:
            return True
        try:
            theirs = sdp.parse(body)
        except sdp.MalformedSdp:
            return False
        if theirs.direction != self.hold:
            self.hold = theirs.direction
            self.holds.append((t, theirs.direction))
        send = theirs.direction in ("sendrecv", "recvonly") and theirs.host != "0.0.0.0"
        self.line.aim(theirs.host, theirs.port, theirs.events, send=send)
        return True

    def _describe(self, direction: sdp.Direction) -> bytes:
        events = self.line.recording.events if self.line.recording.events is not None else sdp.EVENTS
        port = self.line.port
        return sdp.Sdp(self.phone.local_host, port, direction, events, port, self._sdp_version).encode()

    def _request(self, method: str, cseq: int | None = None) -> sip.Request:
        if cseq is None:
            self._cseq += 1
        headers = sip.Headers([("Max-Forwards", "70"), *(("Route", hop) for hop in self._route)])
        for name, value in (("From", self._local), ("To", self._remote), ("Call-ID", self.call_id)):
            headers.add(name, value)
        headers.add("CSeq", f"{cseq or self._cseq} {method}")
        request = sip.Request(headers, b"", method, self._target)
        self._finish(request, b"")
        return request

    def _respond(self, status: int, body: bytes = b"") -> None:
        self._reply(self.invite, status, self._from, body)

    def _reply(self, request: sip.Request, status: int, addr: Address, body: bytes = b"") -> None:
        response = request.answer(status, tag=self._tag if status > 100 else "", body=body)
        self._finish(response, body)
        self.phone.wire.answer(request, response, addr)

    def _finish(self, message: sip.Request | sip.Response, body: bytes) -> None:
        message.headers.set("Contact", f"<{self.phone.contact}>")
        message.headers.set("Allow", _ALLOW)
        message.body = body
        if body:
            message.headers.set("Content-Type", "application/sdp")

    def _heed(self, message: sip.Request | sip.Response) -> None:
        if (said := _CAUSE.search(message.headers.get("Reason"))) is not None:
            self.cause = int(said[1])

    def _set(self, state: CallState, status: int = 0) -> None:
        self.state, self.status = state, status or self.status
        self._stir()

    def _end(
        self,
        by: EndedBy,
        status: int = 0,
        t: float | None = None,
    ) -> None:
        if self.state is CallState.ENDED:
            return
        self.ended_by = by
        self.t_ended = time.monotonic() if t is None else t
        for timer in self._timers:
            timer.cancel()
        self.phone.media.close(self.line)
        self._set(CallState.ENDED, status)

    def _stir(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
