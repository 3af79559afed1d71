"""Phones without a switch: two on loopback that are each other's server, or one against a peer of raw datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator

from cti.dialtest import sip, tones
from cti.dialtest.phone import Answer, Call, Phone, Reject, Ring

NOWHERE = ("127.0.0.1", 9)


@contextlib.asynccontextmanager
async def two(policy: Answer | Reject | Ring) -> AsyncIterator[tuple[Phone, Phone]]:
    """Phone a whose server is phone b, which follows ``policy``; afterwards no thread and no socket is left."""
    b = Phone("B", tones.TONES[1], NOWHERE, "1001")
    await b.start()
    b.wire.server = NOWHERE
    a = Phone("A", tones.TONES[0], b.address, "1000")
    await a.start()
    b.wire.server = a.address
    b.on_invite = policy
    try:
        yield a, b
    finally:
        await a.stop()
        await b.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("dialtest")]


class Peer(asyncio.DatagramProtocol):
    """Raw SIP: keeps what arrives, sends what it is told."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[sip.Request | sip.Response, float]] = asyncio.Queue()
        self.from_: tuple[str, int] = NOWHERE
        self.transport: asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.from_ = addr
        self.got.put_nowait((sip.parse(data), time.monotonic()))

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    async def request(self, method: str) -> sip.Request:
        """The next request of that method; others are passed over."""
        async with asyncio.timeout(5):
            while True:
                message, _ = await self.got.get()
                if isinstance(message, sip.Request) and message.method == method:
                    return message

    async def response(self, status: int) -> sip.Response:
        async with asyncio.timeout(5):
            while True:
                message, _ = await self.got.get()
                if isinstance(message, sip.Response) and message.status == status:
                    return message

    def send(self, message: sip.Request | sip.Response | bytes) -> None:
        self.transport.sendto(message if isinstance(message, bytes) else message.encode(), self.from_)


@contextlib.asynccontextmanager
async def against_peer(password: str | None = None) -> AsyncIterator[tuple[Phone, Peer]]:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(Peer, local_addr=("127.0.0.1", 0))
    peer.transport = transport
    phone = Phone("A", tones.TONES[0], peer.address, "1000", password)
    try:
        if password is None:
            await phone.start()
            peer.from_ = phone.address
        yield phone, peer
    finally:
        phone.wire.silent = True  # the peer answers no unregistration
        await phone.stop()
        transport.close()


def invite(peer: Peer, phone: Phone, *, branch: str = "z9hG4bKp1", body: bytes = b"") -> sip.Request:
    host, port = peer.address
    return sip.Request(
        sip.Headers(
            [
                ("Via", f"SIP/2.0/UDP {host}:{port};branch={branch}"),
                ("From", f"<sip:13800000000@{host}>;tag=p"),
                ("To", f"<{phone.contact}>"),
                ("Call-ID", "call-1"),
                ("CSeq", "5 INVITE"),
                ("Contact", f"<sip:peer@{host}:{port}>"),
            ]
        ),
        body,
        "INVITE",
        phone.contact,
    )


def within(request: sip.Request, method: str, number: int, branch: str, tag: str, body: bytes = b"") -> sip.Request:
    """A later request of the dialog ``request`` opened."""
    headers = request.headers.copy()
    headers.set("Via", headers.get("Via").rpartition("=")[0] + f"={branch}")
    headers.set("To", f"{request.headers.get('To')};tag={tag}")
    headers.set("CSeq", f"{number} {method}")
    return sip.Request(headers, body, method, request.uri)


async def passed(moment: float) -> None:
    """Until the clock shows ``moment``: silence can only be shown by letting time pass."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


def sdp_of(peer: Peer, direction: str = "sendrecv") -> bytes:
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 101\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    ).encode()


def outcome(call: Call) -> tuple[str, int]:
    return call.ended_by, call.status
