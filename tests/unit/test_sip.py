"""The SIP, SDP and RTP codecs: what is read is what was written, and whatever else comes is refused by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.dialtest import rtp, sdp, sip

INVITE = (
    "INVITE sip:1001@127.0.0.1:5062;ob SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKPj1\r\n"
    "Record-Route: <sip:a;lr>, <sip:b;lr>\r\n"
    'From: "报警人张三" <sip:13800000000@127.0.0.1>;tag=abc\r\n'
    "To: <sip:1001@127.0.0.1>\r\n"
    "Call-ID: x1\r\n"
    "CSeq: 7 INVITE\r\n"
    "X-Ref: 1700000000.12\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 4\r\n\r\nv=0\n"
).encode()


def test_a_request_is_read_with_names_in_chinese() -> None:
    got = sip.parse(INVITE)

    assert isinstance(got, sip.Request)
    assert (got.method, got.uri, got.cseq, got.branch) == (
        "INVITE",
        "sip:1001@127.0.0.1:5062;ob",
        (7, "INVITE"),
        "z9hG4bKPj1",
    )
    assert got.from_ == sip.NameAddr("sip:13800000000@127.0.0.1", "报警人张三", "abc")
    assert got.from_.user == "13800000000"
    assert got.headers.get("x-ref") == "1700000000.12"
    assert got.headers.all("Record-Route") == ["<sip:a;lr>", "<sip:b;lr>"]
    assert got.body == b"v=0\n"


def test_encoding_what_was_read_gives_the_same_message() -> None:
    once = sip.parse(INVITE)

    assert sip.parse(once.encode()).encode() == once.encode()
    assert set(once.encode().split(b"\r\n")) == set(INVITE.split(b"\r\n"))
    assert once.encode().endswith(b"Content-Length: 4\r\n\r\nv=0\n")


def test_compact_names_and_folded_lines_are_the_same_headers() -> None:
    data = (
        b"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP h;branch=b\r\nf: <sip:a@h>\r\n"
        b"t: <sip:b@h>\r\n ;tag=9\r\ni: 1\r\nCSeq: 1 INVITE\r\nl: 0\r\n\r\n"
    )

    got = sip.parse(data)

    assert isinstance(got, sip.Response)
    assert (got.status, got.call_id, got.branch, got.to.tag) == (180, "1", "b", "9")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"\r\n\r\n", b"\r\n", "no blank line"),
        ("张".encode(), b"\xff", "not UTF-8"),
        (b" SIP/2.0\r\nVia", b" SIP/3.0\r\nVia", "bad start line"),
        (b"INVITE sip", b"BYE sip", "CSeq of another method"),
        (b"X-Ref:", b"X-Ref", "bad header line"),
        (b"X-Ref:", b"X Ref:", "bad header line"),
        (b"Via:", b"Vie:", "no Via"),
        (b"From:", b"Form:", "no From"),
        (b"To:", b"Ot:", "no To"),
        (b"Call-ID:", b"Call:", "no Call-ID"),
        (b"CSeq: 7", b"CSeq: x", "bad CSeq"),
        (b"CSeq: 7 INVITE", b"Seq: 7 INVITE", "no CSeq"),
        (b"Content-Length: 4", b"Content-Length: -4", "bad Content-Length"),
        (b"Content-Length: 4", b"Content-Length: 5", "body cut"),
    ],
)
def test_a_broken_message_is_refused_by_name(old: bytes, new: bytes, why: str) -> None:
    assert old in INVITE

    with pytest.raises(sip.MalformedSip) as caught:
        sip.parse(INVITE.replace(old, new, 1))

    assert caught.value.why == why


def test_a_message_cut_anywhere_is_refused() -> None:
    for end in range(len(INVITE)):
        with pytest.raises(sip.MalformedSip):
            sip.parse(INVITE[:end])


@given(st.binary(max_size=300), st.integers(0, len(INVITE)))
def test_garbage_gives_a_message_or_a_refusal_and_nothing_else(noise: bytes, place: int) -> None:
    for data in (noise, INVITE[:place] + noise + INVITE[place:]):
        try:
            got = sip.parse(data)
        except sip.MalformedSip:
            continue
        assert got.call_id and got.cseq[1]
        assert (got.branch, got.from_, got.to) is not None


def test_no_value_smuggles_in_another_header() -> None:
    with pytest.raises(ValueError, match="line break"):
        sip.Headers().add("X-Name", "a\r\nVia: b")


def test_an_answer_copies_the_transaction_and_completes_the_tag() -> None:
    request = sip.parse(INVITE)
    assert isinstance(request, sip.Request)

    ringing, refused = request.answer(180, tag="t1"), request.answer(486, tag="t1")

    assert ringing.to.tag == "t1"
    assert (ringing.branch, ringing.call_id, ringing.cseq) == (request.branch, "x1", (7, "INVITE"))
    assert "Record-Route" in ringing.headers and "Record-Route" not in refused.headers
    assert refused.start_line == "SIP/2.0 486 Busy Here"


def test_setting_a_header_keeps_its_place() -> None:
    headers = sip.Headers([("A", "1"), ("B", "2"), ("A", "3"), ("C", "4")])
    headers.set("a", "9")

    assert list(headers) == [("a", "9"), ("B", "2"), ("C", "4")]


def test_display_names_survive_quotes_and_backslashes() -> None:
    said = sip.NameAddr("sip:1@h", 'a "b" \\ c', "t")

    assert sip.NameAddr.parse(str(said)) == said
    assert sip.NameAddr.parse("sip:1@h;tag=5") == sip.NameAddr("sip:1@h", "", "5")


def test_digest_gives_the_figures_of_rfc_2617() -> None:
    asked = sip.challenge(
        [
            'Digest realm="x", nonce="n", algorithm=SHA-256',
            'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5c"',  # noqa: E501
        ]
    )
    assert asked is not None and asked["realm"] == "testrealm@host.com"

    value = sip.authorization(asked, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", "0a4f113b")

    assert 'response="6629fae49393a05397450978507c4ef1"' in value  # RFC 2617 3.5
    assert 'opaque="5c"' in value
    assert sip.challenge(["Basic realm=x"]) is None


def test_an_invite_is_repeated_at_doubling_times_for_64_t1() -> None:
    invite, other = list(sip.resend_delays(cap=None)), list(sip.resend_delays())

    assert list(itertools.accumulate(invite)) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]  # RFC 3261 17.1.1.2
    assert other[:5] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert sum(other) == 32.0


def test_a_description_is_read_back_and_mirrored() -> None:
    said = sdp.Sdp("127.0.0.1", 4000, "sendonly", 101)

    assert sdp.parse(said.encode()) == said
    assert said.mirrored == "recvonly"
    assert sdp.parse(sdp.Sdp("127.0.0.1", 4000, events=None).encode()).events is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "not UTF-8"),
        (b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=video 1 RTP/AVP 8\r\n", "no audio"),
        (b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 99999 RTP/AVP 8\r\n", "no audio"),
        (b"v=0\r\nm=audio 1 RTP/AVP 8\r\n", "no address"),
        (b"v=0\r\nc=IN IP4 1.2.3.999\r\nm=audio 1 RTP/AVP 8\r\n", "no address"),
        (b"v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0 101\r\n", "no A-law"),
    ],
)
def test_a_description_we_cannot_take_is_refused_by_name(body: bytes, why: str) -> None:
    with pytest.raises(sdp.MalformedSdp) as caught:
        sdp.parse(body)

    assert caught.value.why == why


def test_a_law_has_the_levels_of_g711() -> None:
    assert [int(rtp.ALAW[code]) for code in (0xD5, 0x55, 0xAA, 0x2A, 0x80)] == [8, -8, 32256, -32256, 5504]
    assert all(rtp.ALAW[rtp.alaw(rtp.ALAW[code : code + 1])[0]] == rtp.ALAW[code] for code in range(256))
    assert rtp.alaw(np.array([0, 32767, -32768], np.int16))[1:] == b"\xaa\x2a"


def test_rtp_is_read_back_and_rtcp_and_fragments_are_not_rtp() -> None:
    data = rtp.packet(b"x" * 160, kind=8, seq=65536 + 7, stamp=2**32 + 9, ssrc=5, marker=True)

    assert rtp.parse(data) == rtp.Packet(8, 7, 9, 5, b"x" * 160)
    assert rtp.parse(b"\x80\xc8" + bytes(26)) is None
    assert all(rtp.parse(data[:size]) is None for size in range(12))


@given(st.binary(max_size=64))
def test_no_datagram_breaks_a_recording(data: bytes) -> None:
    recording = rtp.Recording(events=101)
    recording.feed(1.0, data)
    recording.feed(2.0, b"\x80\x65" + data)

    assert len(recording.times) + recording.strays == 2
    assert len(recording.audio) == 160 * len(recording.times)


def test_a_digit_is_counted_once_though_its_end_is_sent_three_times() -> None:
    recording = rtp.Recording(events=101)
    for stamp, digit in ((1000, "1"), (3000, "1"), (5000, "#")):
        for step in range(1, 6):
            payload = rtp.event(digit, step * 160, end=step == 5)
            for _ in range(3 if step == 5 else 1):
                data = rtp.packet(payload, kind=101, seq=0, stamp=stamp, ssrc=1)
                recording.feed(stamp / 1000 + step * 0.02, data)

    assert [(digit.digit, digit.duration_ms, digit.ended) for digit in recording.digits] == [
        ("1", 100, True), ("1", 100, True), ("#", 100, True)
    ]  # fmt: skip
    assert recording.digits[0].t_end == pytest.approx(1.1)


def test_a_full_recording_counts_what_it_drops() -> None:
    recording = rtp.Recording(limit=2)
    for seq in range(5):
        recording.feed(seq, rtp.packet(bytes(160), kind=8, seq=seq, stamp=0, ssrc=0))

    assert (len(recording.times), recording.dropped) == (2, 3)
