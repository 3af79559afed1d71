"""One connection to Asterisk: panoramisk's `AMIProtocol` with its framing, sending and ending replaced.

Knows: which answer belongs to which action, how much may wait unsent, when the connection is over. Must not know:
login, reconnecting, who handles events.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol, cast

import structlog
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from cti.ami.actions import AmiAction, AmiLost, message_of
from cti.ami.wire import BadFrame, Banner, Frame, FrameReader, FrameTooLong, encode_action

log = structlog.get_logger(__name__)

MAX_UNSENT: Final = 1 << 20
"""Bytes waiting for a slow Asterisk; beyond, an action is refused at once instead of growing old in a buffer."""


class Owner(Protocol):
    """Whom a connection works for. None of these may raise."""

    wanted: frozenset[bytes] | None

    def dispatch(self, event: Message) -> Any:
        """One event that is nobody's answer, in order."""

    def count(self, what: str, count: int) -> None:
        """As `AmiMeter.ami_events`; 0 is allowed."""


class LinkProtocol(AMIProtocol):  # type: ignore[misc]
    """Bytes to messages, actions to bytes. `greeted` (AMI's version) and `ended` (why) are its two moments."""

    def __init__(self, owner: Owner) -> None:
        loop = asyncio.get_running_loop()
        self.owner = owner
        self.reader = FrameReader(owner.wanted)
        self.pending: dict[str, AmiAction] = {}
        self.greeted: asyncio.Future[str] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.transport: asyncio.Transport | None = None
        self._told_bad = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Deliver what `data` completed, in order. Whatever is thrown away is counted."""
        reader = self.reader
        before = reader.events, reader.skipped, reader.bad, reader.bad_text
        for item in reader.feed(data):
            if self.ended.done():
                break  # a handler closed the link
            if isinstance(item, Frame):
                self._deliver(item)
            elif isinstance(item, Banner):
                self.greeted.set_result(item.version)
            else:
                self._bad(item)
        now = reader.events, reader.skipped, reader.bad, reader.bad_text
        for what, old, new in zip(("received", "skipped", "bad_frame", "replaced"), before, now, strict=True):
            self.owner.count(what, new - old)

    def _deliver(self, frame: Frame) -> None:
        message = message_of(frame.headers)
        if self.pending and "actionid" in frame.headers:
            action = self.pending.get(str(message["ActionID"]))
            if action is not None and action.add_message(message):
                return
        if frame.event:
            self.owner.dispatch(message)

    def _bad(self, item: BadFrame | FrameTooLong) -> None:
        if not self._told_bad:  # the rest of a connection's are only counted; what they hold may be a caller's number
            self._told_bad = True
            why = item.why if isinstance(item, BadFrame) else f"longer than {item.limit} bytes"
            log.warning("ami_bad_frame", why=why)

    def send(self, data: AmiAction, as_list: bool | None = None) -> asyncio.Future[Any]:
        """Write one action; its future ends with the answer or an `AmiError`. Raises AmiBadValue, AmiLost."""
        wire = encode_action(data.name, data.wire_headers())
        transport = self.transport
        if transport is None or self.ended.done() or transport.is_closing():
            raise AmiLost(data.name, sent=False, why="no link")
        if transport.get_write_buffer_size() > MAX_UNSENT:
            raise AmiLost(data.name, sent=False, why="Asterisk does not read")
        self.pending[data.id] = data
        if data.multi:
            self.reader.expect(data.id)
        future: asyncio.Future[Any] = data.future
        future.add_done_callback(lambda _: self._forget(data.id))
        transport.write(wire)
        return future

    def _forget(self, action_id: str) -> None:
        self.pending.pop(action_id, None)
        self.reader.forget(action_id)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(str(exc) if exc else "closed by Asterisk")

    def close(self) -> None:
        self.end("closed")

    def end(self, why: str) -> None:
        """The link is over, once: nothing more is delivered, what was pending fails, the reason is the first given."""
        if self.ended.done():
            return
        self.ended.set_result(why)
        self.greeted.cancel()
        for action in list(self.pending.values()):
            action.fail(AmiLost(action.name, sent=True, why=why))
        if self.transport is not None:
            self.transport.abort()  # no waiting for a peer that may be gone to take the rest
