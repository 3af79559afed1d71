"""One call of one phone: what a scenario holds in its hand while people talk.

Knows: how to press keys, transfer, wait for something, and tell who was heard. Must not know: how SIP brings it about
(:mod:`~cti.dialtest.dialog`), how the switch works inside, other phones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cti.dialtest import hearing, rtp
from cti.dialtest.dialog import CallState, Dialog

_POLL_S = 0.02
_ON_ITS_WAY_S = 0.04
"""what was not sent is missed at the other end so much later at most: Asterisk mixes every 20 ms and buffers"""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without somebody, ms, and how much of it our own sender stood still: that is not the switch's."""

    ms: float = 0.0
    own_ms: float = 0.0

    @property
    def net_ms(self) -> float:
        return self.ms - self.own_ms


class Call(Dialog):
    """Made by :meth:`Phone.dial` or by an INVITE.

    ``answer``, ``reject`` and ``hangup`` send and return at once; ``wait_…``, ``dtmf`` and ``refer`` await.
    """

    # ---- what a scenario does

    async def dtmf(self, digits: str, duration_ms: int = 100, gap_ms: int = 60) -> float:
        """Send RFC 4733 events in place of voice; the time the END of the last digit was first sent.

        ValueError for what is no digit or without telephone-event; TimeoutError when the line sends nothing.
        """
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[float] = loop.create_future()

        def tell(t: float) -> None:
            if not sent.done():
                sent.set_result(t)

        def done(t: float) -> None:
            loop.call_soon_threadsafe(tell, t)

        self.line.press(digits, duration_ms, gap_ms, done)
        async with asyncio.timeout(len(digits) * (duration_ms + gap_ms) / 1000 + 2):
            return await sent

    async def refer(self, number: str, *, timeout: float = 5.0) -> int:
        """Blind transfer by REFER to ``number`` at the server; its final status: 202 taken, 408 no answer.

        What becomes of it arrives in ``refer_progress``; when the target has answered we hang up, as phones do.
        """
        host, port = self.phone.server
        request = self._request("REFER")
        request.headers.add("Refer-To", f"<sip:{number}@{host}:{port}>")
        request.headers.add("Referred-By", f"<sip:{self.phone.user}@{host}:{port}>")
        self.refer_progress.clear()
        return await self.phone.final_status(request, timeout)

    async def wait_refer(self, timeout: float = 10.0) -> int:
        """The first final status (>= 200) the transferee's leg reported after :meth:`refer`."""
        await self._until(lambda: any(status >= 200 for _, status in self.refer_progress), timeout)
        return next(status for _, status in self.refer_progress if status >= 200)

    # ---- what a scenario waits for

    async def wait_ringing(self, timeout: float = 5.0) -> bool:
        """True as soon as it rings or is answered; False when it ended before. TimeoutError otherwise."""
        await self._until(lambda: self.t_ringing or self.t_answered or self.state is CallState.ENDED, timeout)
        return bool(self.t_ringing or self.t_answered)

    async def wait_answered(self, timeout: float = 5.0) -> bool:
        """True when answered (``t_answered``), False when it ended before that (``status``). TimeoutError."""
        await self._until(lambda: self.t_answered or self.state is CallState.ENDED, timeout)
        return self.t_answered is not None

    async def wait_ended(self, timeout: float = 5.0) -> float:
        """The moment it was over. TimeoutError."""
        await self._until(lambda: self.t_ended, timeout)
        assert self.t_ended is not None
        return self.t_ended

    async def wait_heard(self, name: str, timeout: float = 5.0, *, after: float | None = None) -> float:
        """Arrival of the first packet holding ``name`` (a party, ``music``, ``silence``) since ``after``.

        Without ``after``: from now on. TimeoutError when ``timeout`` seconds pass without it.
        """
        since = time.monotonic() if after is None else after
        async with asyncio.timeout(timeout):
            while True:
                if (found := self.heard(since, time.monotonic()).first(name)) is not None:
                    return found
                # A packet's label may depend on the next one: look at the last few again.
                since = max(since, time.monotonic() - 0.2)
                await asyncio.sleep(_POLL_S)

    async def wait_dtmf(self, digits: str, timeout: float = 5.0) -> float:
        """The end of the last of ``digits`` as soon as the digits heard end with them. TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                if self.dtmf_heard.endswith(digits) and self.digits[-1].ended:
                    return self.digits[-1].t_end
                await asyncio.sleep(_POLL_S)

    # ---- what was heard

    @property
    def digits(self) -> list[rtp.Digit]:
        return self.line.recording.digits

    @property
    def dtmf_heard(self) -> str:
        return "".join(digit.digit for digit in self.digits)

    def heard(self, t0: float | None = None, t1: float | None = None) -> hearing.Hearing:
        """Who was heard from ``t0`` (the answer, else the first packet) to ``t1`` (the end, else now)."""
        times = self.line.recording.times
        now = time.monotonic()
        start = t0 if t0 is not None else self.t_answered or (times[0] if times else now)
        stop = t1 if t1 is not None else self.t_ended or now
        return hearing.listen(self.line.recording, self.phone.parties(), start, max(start, stop))

    def gap(self, any_of: Collection[str], t0: float, t1: float) -> Gap:
        """The worst stretch without any of these between two moments, once our own sender's standstill *in that very
        stretch* is taken off; conventions of `hearing`."""
        if t1 <= t0:
            return Gap()
        stretches = self.heard(t0, t1).without(any_of)
        return max((self._gap(start, end) for start, end in stretches), key=lambda gap: gap.net_ms)

    def _gap(self, start: float, end: float) -> Gap:
        ms = (end - start) * 1000
        if end - start <= hearing.GAP_S:
            return Gap(ms)
        return Gap(ms, min(ms, self.phone.media.stalled(start - _ON_ITS_WAY_S, end)))

    async def _until(self, true: Callable[[], object], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            while not true():
                await self._moved.wait()
