"""A UDP relay between two sites, to cut their trunk: what goes through it is dropped while it is down.

Knows: datagrams. Must not know: SIP. Requests within a call go by Contact, past the relay: who talks goes on talking.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from cti.dialtest.wire import Address


class Relay(asyncio.DatagramProtocol):
    """``async with``: what ``near`` sends to ``local`` reaches ``far`` and the answers come back, while ``up``."""

    def __init__(self, local: Address, far: Address) -> None:
        self.local, self.far = local, far
        self.up = True
        self.dropped = 0
        self._near: Address | None = None
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.local)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """One datagram, from either side."""
        if addr != self.far:
            self._near = addr
        to = self._near if addr == self.far else self.far
        if not self.up or to is None or self._transport is None:
            self.dropped += 1
            return
        self._transport.sendto(data, to)
