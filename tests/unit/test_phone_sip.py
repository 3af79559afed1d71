"""A phone against a peer of raw datagrams that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import time

import pytest

from cti.dialtest import sip
from cti.dialtest.media import Media
from cti.dialtest.phone import Answer, CallState, RegistrationRefused
from tests.unit.phones import against_peer, invite, outcome, passed, sdp_of, within


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
        await passed(time.monotonic() + 2.3 * sip.T1)  # the next would have come 2*T1 later
        assert peer.got.empty()


async def test_ringing_outlasts_the_transaction_and_no_answer_at_all_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "T1", 0.01)  # the transaction gives up after 64 times that
    async with against_peer() as (phone, peer):
        rings = await phone.dial("110")
        peer.send((await peer.request("INVITE")).answer(180, tag="p"))
        nobody = await phone.dial("119")

        await nobody.wait_ended()
        await passed(time.monotonic() + 0.1)

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
        await passed(time.monotonic() + 2.3 * sip.T1)
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
