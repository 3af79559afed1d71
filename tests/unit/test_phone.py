"""Two phones on loopback without a switch between them, and a peer of raw datagrams that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from cti.dialtest import rtp, sip, tones
from cti.dialtest.media import Media
from cti.dialtest.phone import Answer, Call, CallState, Phone, RegistrationRefused, Reject, Ring

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


async def test_both_hear_each_other_without_a_gap() -> None:
    async with two(Answer()) as (a, b):
        call = await a.dial("1001", caller_id="13800001234", caller_name="报警人张三", headers={"X-Ref": "r1"})
        other = await b.wait_incoming()
        assert await call.wait_answered()
        t0 = max(await call.wait_heard("B"), await other.wait_heard("A"))
        await call.wait_heard("B", after=t0 + 0.5)
        await other.wait_heard("A", after=t0 + 0.5)

        assert (other.caller.user, other.caller.name) == ("13800001234", "报警人张三")
        assert other.invite.headers.get("X-Ref") == "r1"
        heard = call.heard(t0, t0 + 0.5)
        assert 20 <= heard.longest_without({"B"}) < 60  # a busy machine may lose its pace, not its packets
        assert not heard.ever("A") and not heard.ever("music")
        assert 24 <= heard.packets <= 26

        call.hangup()
        await other.wait_ended()
        assert (call.ended_by, other.ended_by) == ("us", "peer")
        assert other.t_bye == other.t_ended


async def test_keys_arrive_with_their_lengths_and_the_time_of_the_last_end() -> None:
    async with two(Answer()) as (a, b):
        call = await a.dial("1001")
        other = await b.wait_incoming()
        await call.wait_answered()

        before = time.monotonic()
        ended = await call.dtmf("*110#", duration_ms=100, gap_ms=60)
        arrived = await other.wait_dtmf("*110#")

        assert other.dtmf_heard == "*110#"
        assert [digit.duration_ms for digit in other.digits] == [100] * 5
        await other.wait_heard("A", after=arrived)
        assert other.line.recording.kinds.count(101) == 5 * (4 + 3)  # END three times, RFC 4733 2.5.1.4
        assert 0 <= arrived - ended < 0.05
        assert 0.7 < ended - before < 1.2  # five digits of 80 to their END, four gaps of 80, and a tick to begin
        with pytest.raises(ValueError, match="cannot send"):
            await call.dtmf("1x")


@pytest.mark.parametrize("status", [404, 480, 486, 503, 603])
async def test_a_refusal_ends_the_call_with_its_status(status: int) -> None:
    async with two(Reject(status)) as (a, b):
        call = await a.dial("1001")

        assert not await call.wait_answered()

        assert (call.status, call.ended_by, call.state) == (status, "refused", CallState.ENDED)
        assert b.calls[0].ended_by == "refused"


async def test_answer_then_hang_up() -> None:
    async with two(Answer(0.05, hang_up_after=0.2)) as (a, _):
        call = await a.dial("1001")
        await call.wait_ended()

        assert call.ended_by == "peer" and call.t_answered and call.t_ringing and call.t_bye
        assert call.t_answered - call.t_ringing >= 0.04
        assert 0.19 <= call.t_bye - call.t_answered < 0.5


async def test_a_cancelled_call_stops_ringing() -> None:
    async with two(Ring()) as (a, b):
        call = await a.dial("1001")
        other = await b.wait_ringing()
        assert await call.wait_ringing()

        call.hangup()
        await call.wait_ended()

        assert (call.status, call.ended_by) == (487, "cancelled")
        assert (other.status, other.ended_by) == (487, "cancelled")
        assert other.t_cancel is not None
        other.answer()
        assert other.state is CallState.ENDED  # too late


async def test_a_cancel_before_any_answer_waits_for_one() -> None:
    async with two(Ring()) as (a, _):
        call = await a.dial("1001")
        call.hangup()
        await call.wait_ended()

        assert (call.status, call.ended_by) == (487, "cancelled")


async def test_several_calls_at_once_have_their_own_lines() -> None:
    async with two(Ring()) as (a, b):
        calls = [await a.dial("1001") for _ in range(3)]
        others = [await b.wait_ringing() for _ in calls]
        assert len({call.line.port for call in (*calls, *others)}) == 6
        assert all(call.line.port % 2 == 0 for call in calls)
        others[0].answer()
        others[1].reject(486)
        assert await calls[0].wait_answered()
        assert not await calls[1].wait_answered()
        assert calls[2].state is CallState.RINGING


async def test_a_muted_phone_is_a_gap() -> None:
    async with two(Answer()) as (a, b):
        call = await a.dial("1001")
        await call.wait_heard("B")
        b.mute()
        start = time.monotonic() + 0.05
        await _passed(start + 0.3)

        assert call.heard(start, start + 0.3).packets == 0
        b.mute(False)
        await call.wait_heard("B")


async def _passed(moment: float) -> None:
    """Until the clock shows ``moment``: silence can only be shown by letting time pass."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


async def test_a_vanished_phone_answers_nothing() -> None:
    async with two(Answer()) as (a, b):
        call = await a.dial("1001")
        await call.wait_heard("B")

        b.vanish()
        call.hangup()
        await _passed(time.monotonic() + 0.1)

        assert b.calls[0].ended_by == "vanished"
        assert [line.line for line in a.wire.trace if not line.sent and "BYE" in line.cseq] == []
        assert call.heard(time.monotonic() - 0.05).packets == 0


async def test_registration_meets_the_challenge_and_goes_away_again() -> None:
    async with against_peer("secret") as (phone, peer):
        async with asyncio.TaskGroup() as group:
            group.create_task(phone.start())
            first = await peer.request("REGISTER")
            challenge = first.answer(401, tag="s")
            challenge.headers.add("WWW-Authenticate", 'Digest realm="asterisk",nonce="n1",opaque="o",qop="auth"')
            peer.send(challenge)
            second = await peer.request("REGISTER")
            peer.send(second.answer(200, tag="s"))

        assert "Authorization" not in first.headers
        assert 'username="1000"' in second.headers.get("Authorization")
        assert second.cseq[0] == first.cseq[0] + 1 and second.branch != first.branch
        assert second.call_id == first.call_id

        async with asyncio.TaskGroup() as group:
            group.create_task(phone.stop())
            last = await peer.request("REGISTER")
            peer.send(last.answer(200, tag="s"))
        assert last.headers.get("Expires") == "0" and last.cseq[0] > second.cseq[0]


async def test_a_wrong_password_is_refused_and_leaves_nothing() -> None:
    async with against_peer("wrong") as (phone, peer):
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(phone.start())
                for _ in range(2):
                    refused = (await peer.request("REGISTER")).answer(401, tag="s")
                    refused.headers.add("WWW-Authenticate", 'Digest realm="r",nonce="n"')
                    peer.send(refused)

        refusal = caught.value.exceptions[0]
        assert isinstance(refusal, RegistrationRefused) and refusal.status == 401
        assert not phone.started and Media._shared is None


async def test_an_unanswered_invite_is_repeated_after_t1_and_not_after_trying() -> None:
    async with against_peer() as (phone, peer):
        await phone.dial("110")
        first, t1 = await peer.got.get()
        again, t2 = await peer.got.get()
        assert isinstance(again, sip.Request)
        assert again.encode() == first.encode() and t2 - t1 == pytest.approx(sip.T1, abs=0.2)

        peer.send(again.answer(100))
        await _passed(time.monotonic() + 2.3 * sip.T1)  # the next would have come 2*T1 later
        assert peer.got.empty()


async def test_ringing_outlasts_the_transaction_and_no_answer_at_all_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "T1", 0.01)  # the transaction gives up after 64 times that
    async with against_peer() as (phone, peer):
        rings = await phone.dial("110")
        peer.send((await peer.request("INVITE")).answer(180, tag="p"))
        nobody = await phone.dial("119")

        await nobody.wait_ended()
        await _passed(time.monotonic() + 0.1)

        assert outcome(nobody) == ("timeout", 408)
        assert rings.state is CallState.RINGING
        phone.vanish()


async def test_a_repeated_invite_is_the_same_call_and_200_is_repeated_until_ack() -> None:
    async with against_peer() as (phone, peer):
        phone.on_invite = Answer()
        request = invite(peer, phone)
        peer.send(request)
        peer.send(request)
        answered = await peer.response(200)
        again = await peer.response(200)  # to the repeated INVITE
        by_clock = await peer.response(200)  # after T1 without an ACK
        assert len(phone.calls) == 1
        assert answered.encode() == again.encode() == by_clock.encode()

        peer.send(within(request, "ACK", 5, "z9hG4bKack", answered.to.tag))
        await _passed(time.monotonic() + 2.3 * sip.T1)
        assert peer.got.empty()


async def test_a_repeated_200_gets_its_ack_again() -> None:
    async with against_peer() as (phone, peer):
        call = await phone.dial("110")
        request = await peer.request("INVITE")
        response = request.answer(200, tag="p", body=sdp_of(peer))
        response.headers.add("Contact", f"<sip:110@127.0.0.1:{peer.address[1]}>")
        peer.send(response)
        one = await peer.request("ACK")
        peer.send(response)
        two_ = await peer.request("ACK")

        assert one.encode() == two_.encode()
        assert one.branch != request.branch and one.cseq == (1, "ACK")
        assert await call.wait_answered()


def sdp_of(peer: Peer, direction: str = "sendrecv") -> bytes:
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8 101\r\n"
        f"a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    ).encode()


async def test_hold_is_answered_and_kept_and_other_requests_get_their_answers() -> None:
    async with against_peer() as (phone, peer):
        phone.on_invite = Answer()
        request = invite(peer, phone, body=sdp_of(peer))
        peer.send(request)
        tag = (await peer.response(200)).to.tag
        peer.send(within(request, "ACK", 5, "z9hG4bKa", tag))
        call = phone.calls[0]

        peer.send(within(request, "INVITE", 6, "z9hG4bKh", tag, sdp_of(peer, "sendonly")))
        held = await peer.response(200)
        assert b"a=recvonly" in held.body and call.hold == "sendonly"
        peer.send(within(request, "ACK", 6, "z9hG4bKi", tag))

        peer.send(within(request, "UPDATE", 7, "z9hG4bKu", tag, sdp_of(peer)))
        back = await peer.response(200)
        assert b"a=sendrecv" in back.body and [direction for _, direction in call.holds] == ["sendonly", "sendrecv"]

        for number, method in enumerate(("OPTIONS", "INFO", "NOTIFY"), 8):
            peer.send(within(request, method, number, f"z9hG4bK{method}", tag))
            assert (await peer.response(200)).cseq == (number, method)
        peer.send(within(request, "PUBLISH", 20, "z9hG4bKx", tag))
        await peer.response(501)
        peer.send(within(request, "BYE", 21, "z9hG4bKb", tag))
        await peer.response(200)
        peer.send(within(request, "INFO", 22, "z9hG4bKy", tag))
        await peer.response(481)
        assert call.ended_by == "peer"


async def test_refer_follows_what_becomes_of_it_and_takes_leave() -> None:
    async with against_peer() as (phone, peer):
        phone.on_invite = Answer()
        request = invite(peer, phone, body=sdp_of(peer))
        peer.send(request)
        tag = (await peer.response(200)).to.tag
        peer.send(within(request, "ACK", 5, "z9hG4bKa", tag))
        call = phone.calls[0]

        async with asyncio.TaskGroup() as group:
            status = group.create_task(call.refer("110"))
            refer = await peer.request("REFER")
            peer.send(refer.answer(202))
        assert status.result() == 202
        assert sip.NameAddr.parse(refer.headers.get("Refer-To")).user == "110"
        for number, code in ((6, 180), (7, 200)):
            notify = within(request, "NOTIFY", number, f"z9hG4bKn{number}", tag, f"SIP/2.0 {code} x\r\n".encode())
            notify.headers.add("Event", "refer")
            peer.send(notify)
        assert await call.wait_refer() == 200
        assert [code for _, code in call.refer_progress] == [180, 200]
        assert (await peer.request("BYE")).uri.startswith("sip:peer@")


async def test_a_description_without_our_codec_is_refused() -> None:
    async with against_peer() as (phone, peer):
        peer.send(invite(peer, phone, body=sdp_of(peer).replace(b"AVP 8", b"AVP 18")))
        await peer.response(488)
        assert phone.calls[0].state is CallState.ENDED


async def test_garbage_is_counted_and_harms_nothing() -> None:
    async with against_peer() as (phone, peer):
        peer.send(b"\r\n\r\n")  # a keep-alive is no garbage
        for end in (10, 50, 200):
            peer.send(invite(peer, phone).encode()[:end])
        peer.send(b"\xff\xfe\r\n\r\n")
        peer.send(invite(peer, phone).answer(200))
        peer.send(invite(peer, phone))
        await peer.response(180)

        assert sum(phone.wire.malformed.values()) == 4
        assert phone.wire.strays == 1
        assert len(phone.calls) == 1


async def test_two_phones_cannot_sound_alike() -> None:
    async with two(Ring()) as (a, _):
        with pytest.raises(ValueError, match="both sound"):
            await Phone("C", a.tone_hz, NOWHERE, "1002").start()


async def test_packets_from_elsewhere_are_not_heard() -> None:
    async with two(Answer()) as (a, _):
        call = await a.dial("1001")
        await call.wait_heard("B")
        loud = rtp.alaw(tones.samples(tones.TONES[5]))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(5):
                stranger.sendto(rtp.packet(loud, kind=8, seq=0, stamp=0, ssrc=1), ("127.0.0.1", call.line.port))
        after = time.monotonic()
        await call.wait_heard("B", after=after + 0.05)

        assert call.line.recording.strays == 5
        assert not call.heard().ever("music")


def outcome(call: Call) -> tuple[str, int]:
    return call.ended_by, call.status


async def test_stopping_a_phone_ends_whatever_it_was_doing() -> None:
    policies: list[tuple[Answer | Ring, Callable[[Call], bool]]] = [
        (Answer(), lambda call: call.state is CallState.ANSWERED),
        (Ring(), lambda call: call.state is CallState.RINGING),
    ]
    for policy, reached in policies:
        async with two(policy) as (a, b):
            call = await a.dial("1001")
            await (call.wait_answered() if isinstance(policy, Answer) else call.wait_ringing())
            assert reached(call)
            await a.stop()
            await b.calls[0].wait_ended()

            assert call.state is CallState.ENDED
            assert outcome(b.calls[0])[0] in ("peer", "cancelled")


async def test_a_phone_stopped_right_after_dialling_still_cancels() -> None:
    async with two(Ring()) as (a, b):
        await a.dial("1001")
        await a.stop()

        other = await b.wait_incoming()
        await other.wait_ended()
        assert other.ended_by == "cancelled"
