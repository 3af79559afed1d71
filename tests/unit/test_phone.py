"""Two phones on loopback without a switch between them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from cti.dialtest import rtp, tones
from cti.dialtest.phone import Answer, Call, CallState, Phone, Reject, Ring
from tests.unit.phones import NOWHERE, outcome, passed, two


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
        await passed(start + 0.3)

        assert call.heard(start, start + 0.3).packets == 0
        b.mute(False)
        await call.wait_heard("B")


async def test_a_vanished_phone_answers_nothing() -> None:
    async with two(Answer()) as (a, b):
        call = await a.dial("1001")
        await call.wait_heard("B")

        b.vanish()
        call.hangup()
        await passed(time.monotonic() + 0.1)

        assert b.calls[0].ended_by == "vanished"
        assert [line.line for line in a.wire.trace if not line.sent and "BYE" in line.cseq] == []
        assert call.heard(time.monotonic() - 0.05).packets == 0


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
