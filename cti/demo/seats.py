"""Demo agents: test phones that answer, talk, and now and then press the key. Knows: phones. Must not know: the
dialplan."""

from __future__ import annotations

import asyncio
import contextlib
import random
from types import TracebackType
from typing import Self

from cti.dialtest.phone import Answer, Phone
from cti.dialtest.stack import TONES, Call
from cti.stack.instance import Instance

KEY = {"12345": "*110", "110": "*12345"}
PRESS_CHANCE = 0.5
THINK_S = (1.5, 4.0)
"""how long an agent listens before he knows whose matter it is"""


class DemoSeats:
    """Registers every seat but ``leave`` (a human's softphone) for as long as the block lasts."""

    def __init__(self, instance: Instance, leave: str, seed: int = 3, first_tone: int = 10) -> None:
        self._instance, self._leave, self._rng = instance, leave, random.Random(seed)
        self._tones = TONES[first_tone:]
        self._phones: list[Phone] = []
        self.opened = ""
        """a key a plan has opened for 12345's seats (``*119``): pressed instead"""
        self._undo = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        server = ("127.0.0.1", self._instance.ports.sip)
        async with contextlib.AsyncExitStack() as undo:
            phones = []
            for tone, seat in zip(self._tones, self._instance.directory.seats, strict=False):
                if seat.number != self._leave:
                    phone = Phone(seat.number, tone, server, seat.number, seat.password(self._instance.key))
                    phone.on_invite = Answer(self._rng.uniform(0.8, 2.5))
                    undo.push_async_callback(phone.stop)
                    await phone.start()
                    phones.append(phone)
            group = await undo.enter_async_context(asyncio.TaskGroup())
            for phone in phones:
                undo.callback(group.create_task(self._agent(phone)).cancel)
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self._undo.__aexit__(kind, value, trace)

    async def _agent(self, phone: Phone) -> None:
        """Only the seats that callers reach first press: dedicated ones keep whom they were handed."""
        seat = self._instance.directory.seat(phone.user)
        while True:
            try:
                call = await phone.wait_incoming(3600)
                if seat is not None and await call.wait_answered(60) and seat.kind == "general":
                    key = self.opened if seat.platform == "12345" else ""
                    await self._maybe_press(call, key or KEY[seat.platform])
            except TimeoutError:
                continue

    async def _maybe_press(self, call: Call, key: str) -> None:
        await asyncio.sleep(self._rng.uniform(*THINK_S))
        if call.t_ended is None and self._rng.random() < PRESS_CHANCE:
            await call.dtmf(key)
