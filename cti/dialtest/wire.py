"""One SIP socket with its transactions (RFC 3261 17): repetition, matching, digest, answering repeats alike.

Knows: asyncio datagrams, transactions. Must not know: calls and their states, media. Requests that are new,
and every ACK, go to ``on_request``; answers to our own go to the callback given with the request.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog

from cti.dialtest import sip

log = structlog.get_logger(__name__)

Address = tuple[str, int]
#: Called with each provisional and final response; with None when 64*T1 passed without any final one.
OnResponse = Callable[[sip.Response | None, float], None]
OnRequest = Callable[[sip.Request, Address, float], None]
_KEPT = 512  # answers kept for repeats of their requests
_LINGER_S = 64 * sip.T1


@dataclass(frozen=True, slots=True)
class Trace:
    """One message seen: for ladders. ``t`` is monotonic seconds."""

    t: float
    sent: bool
    line: str
    call_id: str
    cseq: str


@dataclass(slots=True, eq=False)
class Transaction:
    """A request of ours on its way. ``request`` is the one last sent, after a challenge the second."""

    request: sip.Request
    on_response: OnResponse
    authorized: bool = False
    provisional: bool = False
    final: bool = False
    ack: bytes | None = None  #: of a refused INVITE, for repeats of the refusal
    delays: Iterator[float] = field(default_factory=sip.resend_delays)
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Insisting:
    """A final answer to an INVITE, repeated until its ACK."""

    data: bytes
    to: Address
    delays: Iterator[float] = field(default_factory=sip.resend_delays)
    timer: asyncio.TimerHandle | None = None


class Wire(asyncio.DatagramProtocol):
    """Everything is sent to ``server``; answers go where the request came from (RFC 3581)."""

    def __init__(self, server: Address, user: str, password: str | None, on_request: OnRequest) -> None:
        self.server, self.user, self.password = server, user, password
        self.on_request = on_request
        self.address: Address = ("", 0)
        self.silent = False  #: neither hears nor speaks (see :meth:`fall_silent`)
        self.malformed: Counter[str] = Counter()  #: datagrams refused, by reason
        self.strays = 0  #: responses to nothing we asked
        self.trace: deque[Trace] = deque(maxlen=5_000)
        self._transport: asyncio.DatagramTransport | None = None
        self._asked: dict[tuple[str, str], Transaction] = {}
        self._answered: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()
        self._insisting: dict[tuple[str, int], _Insisting] = {}

    async def open(self, host: str, port: int = 0) -> None:
        """Bind this port, or a free one. OSError when there is none."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        name = self._transport.get_extra_info("sockname")
        self.address = (name[0], name[1])

    def close(self) -> None:
        self.fall_silent()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def fall_silent(self) -> None:
        """Like a machine whose power was cut: the port stays bound, nothing is answered or repeated."""
        self.silent = True
        timers = [asked.timer for asked in self._asked.values()]
        timers += [insisting.timer for insisting in self._insisting.values()]
        for timer in timers:
            if timer is not None:
                timer.cancel()
        self._asked.clear()
        self._insisting.clear()

    # ---- our requests

    def ask(self, request: sip.Request, on_response: OnResponse) -> Transaction:
        """Send a request (without Via), repeat it, meet one digest challenge, report each response."""
        transaction = Transaction(request, on_response)
        self._launch(transaction)
        return transaction

    def _launch(self, transaction: Transaction) -> None:
        request = transaction.request
        host, port = self.address
        request.headers.prepend("Via", f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{secrets.token_hex(8)}")
        self._asked[request.branch, request.method] = transaction
        transaction.delays = sip.resend_delays(cap=None if request.method == "INVITE" else sip.T2)
        self._transmit(request, self.server)
        self._again(transaction)

    def _again(self, transaction: Transaction) -> None:
        delay = next(transaction.delays, None)
        if delay is None:
            self._forget(transaction)
            transaction.on_response(None, time.monotonic())
            return
        transaction.timer = asyncio.get_running_loop().call_later(delay, self._repeat, transaction)

    def _repeat(self, transaction: Transaction) -> None:
        # The last wait ends in giving up, not in one sending more; a cut-off INVITE was heard: only wait on.
        if not transaction.provisional or transaction.request.method != "INVITE":
            self._transmit(transaction.request, self.server)
        self._again(transaction)

    def _forget(self, transaction: Transaction) -> None:
        if transaction.timer is not None:
            transaction.timer.cancel()
        self._asked.pop((transaction.request.branch, transaction.request.method), None)

    def cancel(self, transaction: Transaction) -> None:
        """CANCEL an INVITE that was given a provisional answer (RFC 3261 9.1)."""
        invite = transaction.request
        request = self._beside(invite, "CANCEL")
        stop = Transaction(request, lambda response, t: None)
        self._asked[request.branch, "CANCEL"] = stop
        self._transmit(request, self.server)
        self._again(stop)

    def send_ack(self, ack: sip.Request) -> bytes:
        """The ACK of a 2xx, which has no transaction; its Via is added here. Kept for repeats of the 2xx."""
        host, port = self.address
        ack.headers.prepend("Via", f"SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{secrets.token_hex(8)}")
        return self._transmit(ack, self.server)

    def resend(self, data: bytes) -> None:
        self._send(data, self.server)

    @staticmethod
    def _beside(invite: sip.Request, method: str, to: str = "") -> sip.Request:
        """CANCEL or ACK of a refusal: same URI, branch, ids and CSeq number as the INVITE (9.1, 17.1.1.3)."""
        headers = sip.Headers([("Via", invite.headers.get("Via")), ("Max-Forwards", "70")])
        for name in ("From", "To", "Call-ID", "Route"):
            for value in [invite.headers.get(name)] if name != "Route" else invite.headers.all("Route"):
                headers.add(name, to if name == "To" and to else value)
        headers.add("CSeq", f"{invite.cseq[0]} {method}")
        return sip.Request(headers, b"", method, invite.uri)

    # ---- our answers

    def answer(self, request: sip.Request, response: sip.Response, to: Address) -> None:
        """Send a response, keep it for repeats; a final one to an INVITE is repeated until its ACK."""
        data = self._transmit(response, to)
        self._answered[request.branch, request.method] = data
        if request.method == "INVITE" and response.status >= 200:
            insisting = _Insisting(data, to)
            self._insisting[request.call_id, request.cseq[0]] = insisting
            self._insist(insisting)

    def _insist(self, insisting: _Insisting, *, send: bool = False) -> None:
        if send:
            self._send(insisting.data, insisting.to)
        if (delay := next(insisting.delays, None)) is not None:
            loop = asyncio.get_running_loop()
            insisting.timer = loop.call_later(delay, lambda: self._insist(insisting, send=True))

    # ---- datagrams

    def datagram_received(self, data: bytes, addr: Address) -> None:
        now = time.monotonic()
        if self.silent or not data.strip(b"\r\n\0 "):  # blank: keep-alive, RFC 5626 3.5.1
            return
        try:
            message = sip.parse(data)
        except sip.MalformedSip as error:
            self.malformed[error.why] += 1
            log.warning("dialtest.sip.malformed", why=error.why, size=len(data))
            return
        self._note(now, False, message)
        if isinstance(message, sip.Response):
            self._response(message, now)
        else:
            self._request(message, addr, now)

    def _request(self, request: sip.Request, addr: Address, now: float) -> None:
        if request.method == "ACK":
            insisting = self._insisting.pop((request.call_id, request.cseq[0]), None)
            if insisting is not None and insisting.timer is not None:
                insisting.timer.cancel()
            self.on_request(request, addr, now)
            return
        key = (request.branch, request.method)
        if key in self._answered:
            if (kept := self._answered[key]) is not None:
                self._send(kept, addr)
            return
        self._answered[key] = None
        while len(self._answered) > _KEPT:
            self._answered.popitem(last=False)
        self.on_request(request, addr, now)

    def _response(self, response: sip.Response, now: float) -> None:
        transaction = self._asked.get((response.branch, response.cseq[1]))
        if transaction is None:
            self.strays += 1
            return
        if response.status < 200:
            if not transaction.provisional and response.cseq[1] == "INVITE" and transaction.timer is not None:
                transaction.timer.cancel()  # timer A and B end; ringing may last
            transaction.provisional = True
            transaction.on_response(response, now)
            return
        refused = response.cseq[1] == "INVITE" and response.status >= 300
        if transaction.final:
            if transaction.ack is not None:
                self._send(transaction.ack, self.server)
            elif response.status < 300:
                transaction.on_response(response, now)  # a repeated 2xx wants its ACK again
            return
        transaction.final = True
        if transaction.timer is not None:
            transaction.timer.cancel()
        if refused:
            ack = self._beside(transaction.request, "ACK", to=response.headers.get("To"))
            transaction.ack = self._transmit(ack, self.server)
        loop = asyncio.get_running_loop()
        transaction.timer = loop.call_later(_LINGER_S, self._forget, transaction)
        if not self._authorize(transaction, response):
            transaction.on_response(response, now)

    def _authorize(self, transaction: Transaction, response: sip.Response) -> bool:
        """Ask again with credentials after 401/407; False with none to offer, or when they were refused."""
        name = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}.get(response.status)
        if name is None or self.password is None or transaction.authorized:
            return False
        # Not all(): the parameters of a challenge are separated by the same comma as a list's values.
        values = [value for known, value in response.headers if known.lower() == name.lower()]
        if (asked := sip.challenge(values)) is None:
            return False
        old = transaction.request
        headers = sip.Headers((known, value) for known, value in old.headers if known.lower() != "via")
        number, method = old.cseq
        headers.set("CSeq", f"{number + 1} {method}")
        proof = sip.authorization(asked, method, old.uri, self.user, self.password, secrets.token_hex(8))
        headers.set("Authorization" if response.status == 401 else "Proxy-Authorization", proof)
        # The challenged transaction stays to acknowledge repeats of the refusal; this one takes its place.
        left = Transaction(old, transaction.on_response, True, True, True, transaction.ack)
        left.timer = transaction.timer
        self._asked[old.branch, old.method] = left
        if left.timer is not None:
            left.timer.cancel()
        left.timer = asyncio.get_running_loop().call_later(_LINGER_S, self._forget, left)
        transaction.request = sip.Request(headers, old.body, old.method, old.uri)
        transaction.authorized, transaction.final, transaction.provisional = True, False, False
        transaction.ack = None
        self._launch(transaction)
        return True

    # ---- out

    def _transmit(self, message: sip.Request | sip.Response, to: Address) -> bytes:
        data = message.encode()
        self._note(time.monotonic(), True, message)
        self._send(data, to)
        return data

    def _send(self, data: bytes, to: Address) -> None:
        if self._transport is not None and not self.silent:
            self._transport.sendto(data, to)

    def _note(self, now: float, sent: bool, message: sip.Request | sip.Response) -> None:
        line = Trace(now, sent, message.start_line, message.call_id, message.headers.get("CSeq"))
        self.trace.append(line)
