"""One AMI link that mends itself: panoramisk's Manager and protocol, every proven fault of 1.4 overridden.

Knows: login, receipts, lists, pings, reconnecting. Must not know: what an event means (translate), what to send (switch).

What is ours and why (DESIGN.md §4): framing on bytes; actions refused when they would smuggle; nothing replayed after a
reconnect (a pending action fails with `AmiLost`, and whoever sent it decides); a half-open link found by a ping without a
pong; a handler that raises is counted and the link lives; lists end by their EventList, `Originate` and `QueueAdd` by
their receipt; reconnecting with capped, jittered backoff; no task but the one that runs `run`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message

from cti.ami.wire0 import AmiBadValue, BadFrame, FrameReader, encode_action

log = structlog.get_logger(__name__)

MAX_UNSENT = 1 << 20
_LIST_END = ("Complete", "cancelled")


class AmiError(Exception):
    """Base of what an action can end in besides its answer."""


class AmiLost(AmiError):
    """The link went. ``sent``: the action may have been carried out; verify before doing it again."""

    def __init__(self, sent: bool) -> None:
        super().__init__(f"link lost, action {'may have arrived' if sent else 'was not sent'}")
        self.sent = sent


class AmiTimeout(AmiError):
    """No answer in time; the action may have been carried out."""


class AmiRefused(AmiError):
    """Asterisk answered Error. ``response`` is its message."""

    def __init__(self, response: Message) -> None:
        super().__init__(str(response.get("Message") or "refused"))
        self.response = response


class AmiAuthError(AmiError):
    """Wrong user or secret."""


class AmiMeter(Protocol):
    """What the link counts."""

    def ami_events(self, what: str, count: int = 1) -> None:
        """``what``: received | skipped | bad_frame | replaced | handler_error | link_lost | reconnected."""


@dataclass(frozen=True, slots=True)
class AmiConfig:
    """Where and how; times in seconds."""

    host: str
    port: int
    username: str
    secret: str
    ssl: bool = False
    ping_interval: float = 5.0
    ping_timeout: float = 3.0
    action_timeout: float = 5.0
    connect_timeout: float = 5.0
    backoff_first: float = 0.2
    backoff_max: float = 5.0


@dataclass(slots=True)
class _Pending:
    future: asyncio.Future[list[Message]]
    whole_list: bool
    got: list[Message]


class LinkProtocol(AMIProtocol):  # type: ignore[misc]
    """Bytes to messages for one connection."""

    def __init__(self, owner: AmiClient) -> None:
        self.owner = owner
        self.reader = FrameReader(owner.wanted)
        self.closed = False
        self.transport: Any = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        skipped, replaced = self.reader.skipped, self.reader.replaced
        for frame in self.reader.feed(data):
            if isinstance(frame, BadFrame):
                self.owner.bad_frame(frame)
            else:
                self.owner.received(Message(frame))
        self.owner.count("skipped", self.reader.skipped - skipped)
        self.owner.count("replaced", self.reader.replaced - replaced)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.lost.done():
            self.lost.set_result(str(exc or "closed by Asterisk"))

    def close(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.abort()


class AmiClient(Manager):  # type: ignore[misc]
    """`run` holds the link up until cancelled; `action` and `list_action` use it."""

    def __init__(self, config: AmiConfig, *, wanted: frozenset[str], on_event: Callable[[Message], None],
                 on_up: Callable[[], Awaitable[None]] | None = None, on_down: Callable[[str], None] | None = None,
                 meter: AmiMeter | None = None) -> None:  # fmt: skip
        super().__init__(host=config.host, port=config.port, protocol_factory=lambda: LinkProtocol(self))
        self.settings, self.wanted, self.meter = config, wanted, meter
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._pending: dict[str, _Pending] = {}
        self._number = 0
        self._up = False
        self._bad_told = False

    @property
    def connected(self) -> bool:
        """True from login to loss."""
        return self._up

    # -- the link ------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Connect, log in, serve, reconnect; until cancelled. The first loss of a streak is logged, the rest counted."""
        pause, told = self.settings.backoff_first, False
        while True:
            try:
                why = await self._session()
                pause, told = self.settings.backoff_first, False
            except AmiAuthError as error:
                why, pause = str(error), self.settings.backoff_max
            except (OSError, TimeoutError, AmiError) as error:
                why = str(error) or type(error).__name__
            if not told:
                log.warning("ami_link_down", why=why, host=self.settings.host, port=self.settings.port)
                told = True
            self.count("link_lost", 1)
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))
            pause = min(pause * 2, self.settings.backoff_max)

    async def _session(self) -> str:
        c = self.settings
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(c.connect_timeout):
            _, protocol = await loop.create_connection(
                lambda: LinkProtocol(self), c.host, c.port, ssl=c.ssl or None)  # fmt: skip
        self.protocol = protocol
        try:
            try:
                await self.action("Login", {"Username": c.username, "Secret": c.secret, "Events": "on"})
            except AmiRefused as refused:
                raise AmiAuthError(f"login refused: {refused}") from None
            self._up = True
            self.count("reconnected", 1)
            watch = asyncio.ensure_future(self._watch(protocol))
            try:
                if self._on_up is not None:
                    await self._on_up()
                return await protocol.lost
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
        finally:
            was_up, self._up = self._up, False
            protocol.close()
            self._drop_pending()
            if was_up and self._on_down is not None:
                self._on_down("link lost")

    async def _watch(self, protocol: LinkProtocol) -> None:
        while not protocol.closed:
            await asyncio.sleep(self.settings.ping_interval)
            try:
                await self.action("Ping", timeout=self.settings.ping_timeout)
            except AmiTimeout:
                if not protocol.lost.done():
                    protocol.lost.set_result("no pong: the link is half open")
                return
            except AmiLost:
                return

    def close(self) -> None:
        """Drop the link; every pending action fails with `AmiLost`."""
        if isinstance(self.protocol, LinkProtocol):
            self.protocol.close()
        self._drop_pending()

    def _drop_pending(self) -> None:
        pending, self._pending = self._pending, {}
        for one in pending.values():
            if not one.future.done():
                one.future.set_exception(AmiLost(sent=True))

    # -- actions -------------------------------------------------------------------------------------------------------
    async def action(self, name: str, headers: Mapping[str, str | list[str]] | None = None, *,
                     timeout: float | None = None) -> Message:
        """One action and its receipt. Raises AmiBadValue, AmiLost, AmiTimeout, AmiRefused."""
        return (await self._ask(name, headers or {}, False, timeout))[0]

    async def list_action(self, name: str, headers: Mapping[str, str | list[str]] | None = None, *,
                          timeout: float | None = None) -> list[Message]:
        """An action that answers with a list (EventList: start … Complete): its events."""
        return (await self._ask(name, headers or {}, True, timeout))[1:-1]

    async def _ask(self, name: str, headers: Mapping[str, str | list[str]], whole_list: bool,
                   timeout: float | None) -> list[Message]:
        protocol = self.protocol
        if not isinstance(protocol, LinkProtocol) or protocol.closed or not (self._up or name == "Login"):
            raise AmiLost(sent=False)
        if protocol.transport.get_write_buffer_size() > MAX_UNSENT:
            raise AmiLost(sent=False)
        self._number += 1
        mark = f"cti-{id(self):x}-{self._number}"
        data = encode_action(name, {**headers, "ActionID": mark})
        pending = _Pending(asyncio.get_running_loop().create_future(), whole_list, [])
        self._pending[mark] = pending
        try:
            protocol.transport.write(data)
            async with asyncio.timeout(timeout or self.settings.action_timeout):
                return await pending.future
        except TimeoutError:
            raise AmiTimeout(f"{name}: no answer in {timeout or self.settings.action_timeout} s") from None
        finally:
            self._pending.pop(mark, None)

    # -- messages ------------------------------------------------------------------------------------------------------
    def received(self, message: Message) -> None:
        """One whole message: an answer to a pending action, or an event."""
        self.count("received", 1)
        pending = self._pending.get(str(message.get("ActionID") or ""))
        if pending is not None and not pending.future.done():
            self._answer(pending, message)
        elif "Event" in message:
            try:
                self._on_event(message)
            except Exception:  # the barrier of the link: one bad handler must not cost the link
                self.count("handler_error", 1)
                log.exception("ami_handler_failed", step=str(message.get("EventName") or message["Event"]))

    @staticmethod
    def _answer(pending: _Pending, message: Message) -> None:
        if "Event" not in message and str(message.get("Response")) not in ("Success", "Follows", "Goodbye"):
            pending.future.set_exception(AmiRefused(message))
            return
        if "Event" in message and not pending.whole_list:
            return  # OriginateResponse and the like: the receipt was the answer
        pending.got.append(message)
        if not pending.whole_list or ("Event" in message and str(message.get("EventList")) in _LIST_END):
            pending.future.set_result(pending.got)

    def bad_frame(self, frame: BadFrame) -> None:
        """Counted each time, logged once a link's life."""
        self.count("bad_frame", 1)
        if not self._bad_told:
            self._bad_told = True
            log.warning("ami_bad_frame", why=frame.reason, size=frame.size)

    def count(self, what: str, count: int) -> None:
        """Tell the meter, if there is one and something to tell."""
        if count and self.meter is not None:
            self.meter.ami_events(what, count)


__all__ = ["AmiAuthError", "AmiBadValue", "AmiClient", "AmiConfig", "AmiError", "AmiLost", "AmiMeter", "AmiRefused",
           "AmiTimeout", "Message"]  # fmt: skip
