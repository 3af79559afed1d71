"""One AMI link that mends itself: panoramisk's `Manager` and `AMIProtocol`, every proven fault of 1.4 overridden.

Knows: login, pings, reconnecting, whom to tell. Must not know: what an event means (translate), what to send (switch),
how one connection reads and writes (link, wire).

`run` owns everything: each connection is one task group, nothing else makes a task. A link is *up* from login until it
is lost. When it is lost every pending action fails with `AmiLost`, and whoever sent it decides: nothing is ever
replayed, because nobody knows whether Asterisk has done it already. tests/unit/test_ami_client.py has the table of
panoramisk's faults and the test that stands against each.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import structlog
from panoramisk.manager import Manager
from panoramisk.message import Message

from cti.ami.actions import AmiAction, AmiAuthError, AmiError, AmiLost, AmiRefused, AmiTimeout
from cti.ami.link import LinkProtocol
from cti.ami.wire import AmiBadValue, encode_action

__all__ = ["AmiAuthError", "AmiBadValue", "AmiClient", "AmiConfig", "AmiError", "AmiLost", "AmiMeter", "AmiRefused",
           "AmiTimeout", "Message"]  # fmt: skip

log = structlog.get_logger(__name__)


class AmiMeter(Protocol):
    """What the link counts. `AmiClient.connected` is the gauge."""

    def ami_events(self, what: str, count: int = 1) -> None:
        """`what`: received | skipped | bad_frame | replaced | handler_error | link_lost | reconnected."""


@dataclass(frozen=True, slots=True)
class AmiConfig:
    """Where and how; times in seconds."""

    host: str
    port: int
    username: str
    secret: str = field(repr=False)
    ssl: bool = False
    ping_interval: float = 5.0
    ping_timeout: float = 3.0
    action_timeout: float = 5.0
    connect_timeout: float = 5.0
    backoff_first: float = 0.2
    backoff_max: float = 5.0


class AmiClient(Manager):  # type: ignore[misc]
    """`run` holds the link up until cancelled or `close`d; `action` and `list_action` use it while it is.

    `on_event` gets every `wanted` event (None: all) from login on, in order; what it raises is counted and logged.
    `on_up` is awaited after each login, while events already flow (subscribe first, look afterwards); if it raises,
    the link is taken down and tried again, for a link its owner could make no use of is not up. `on_down` gets why.
    """

    def __init__(
        self,
        config: AmiConfig,
        *,
        wanted: frozenset[str] | None,
        on_event: Callable[[Message], None],
        on_up: Callable[[], Awaitable[None]] | None = None,
        on_down: Callable[[str], None] | None = None,
        meter: AmiMeter | None = None,
    ) -> None:
        super().__init__(
            host=config.host, port=config.port, ssl=config.ssl, protocol_factory=lambda: LinkProtocol(self)
        )
        self.settings = config
        self.wanted = None if wanted is None else frozenset(name.encode() for name in wanted)
        self._on_event, self._on_up, self._on_down, self._meter = on_event, on_up, on_down, meter
        self._closing = asyncio.Event()
        self._fault: Exception | None = None
        self.protocol: LinkProtocol | None = None

    @property
    def connected(self) -> bool:
        """True from login to loss."""
        return bool(self._connected)

    @property
    def fault(self) -> Exception | None:
        """Why there is no link; None while there is one, or before the first try."""
        return self._fault

    # -- actions ------------------------------------------------------------------------------------------------------
    async def action(
        self, name: str, headers: Mapping[str, str | list[str]] | None = None, *, timeout: float | None = None
    ) -> Message:
        """One action and its receipt. Raises AmiBadValue, AmiLost, AmiTimeout, AmiRefused.

        `timeout` in seconds, else the configured one. `Originate` is meant with `Async: true`: without, Asterisk
        answers nothing else on this link until the call is answered or has failed.
        """
        return cast(Message, await self._submit(name, headers or {}, as_list=False, timeout=timeout))

    async def list_action(
        self, name: str, headers: Mapping[str, str | list[str]] | None = None, *, timeout: float | None = None
    ) -> list[Message]:
        """An action answered by a list: its rows, without receipt and `Complete`. Raises as `action` does;
        AmiRefused also when the answer is no list (it carries no `EventList: start`)."""
        return cast(list[Message], await self._submit(name, headers or {}, as_list=True, timeout=timeout))

    def send_action(self, action: Mapping[str, Any], as_list: bool | None = None, **kwargs: Any) -> asyncio.Future[Any]:
        """panoramisk's own verb (`send_command` comes through here): the same guards, time-out and ends."""
        headers = {**action, **kwargs}
        name = next((value for key, value in headers.items() if key.lower() == "action"), "")
        rest = {key: value for key, value in headers.items() if key.lower() not in ("action", "actionid")}
        return self._submit(str(name), rest, as_list=bool(as_list), timeout=None)

    def _submit(
        self, name: str, headers: Mapping[str, str | list[str]], *, as_list: bool, timeout: float | None
    ) -> asyncio.Future[Any]:
        if any(key.lower() == "actionid" for key in headers):
            raise AmiBadValue("ActionID", "is chosen by the client")
        link = self.protocol
        if link is None or not (self._connected or name == "Login"):
            encode_action(name, headers)  # a bad value is a bug and says so, link or no link
            raise AmiLost(name, sent=False, why="no link")
        action = AmiAction(name, headers, as_list=as_list)
        future = link.send(action)
        seconds = self.settings.action_timeout if timeout is None else timeout
        alarm = asyncio.get_running_loop().call_later(seconds, action.fail, AmiTimeout(name, seconds))
        future.add_done_callback(lambda _: alarm.cancel())
        return future

    # -- the link -----------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Connect, log in, serve, reconnect with backoff and jitter; returns after `close`. Call it once.

        A failure is logged once a streak and kind; a streak ends when a link has lived for `backoff_max`.
        """
        clock = asyncio.get_running_loop().time
        pause, told, logins = self.settings.backoff_first, "", 0
        while not self._closing.is_set():
            up_since: float | None = None
            try:
                async with asyncio.TaskGroup() as tasks:
                    link = await self._connect()
                    up_since = clock()
                    self._connected, self._fault = True, None
                    logins += 1
                    self.count("reconnected", int(logins > 1))
                    parts = [tasks.create_task(self._watch(link)), tasks.create_task(self._announce(link))]
                    self._fault = AmiError(await asyncio.shield(link.ended))  # unshielded, a cancel would end it
                    for part in parts:
                        part.cancel()
            except* (AmiError, OSError) as failures:
                self._fault = failures.exceptions[0]
            finally:
                self._disconnect()
            why = str(self._fault) or type(self._fault).__name__
            if up_since is not None:
                self.count("link_lost", 1)
                self._tell_down(why)
                if clock() - up_since >= self.settings.backoff_max:
                    pause, told = self.settings.backoff_first, ""
            kind = type(self._fault).__name__
            if kind != told and not self._closing.is_set():
                log.warning("ami_link_down", why=why, fault=kind, host=self.settings.host, port=self.settings.port)
            told = kind
            if isinstance(self._fault, AmiAuthError):
                pause = self.settings.backoff_max
            await self._rest(random.uniform(0.5, 1.0) * pause)
            pause = min(pause * 2, self.settings.backoff_max)

    async def _connect(self) -> LinkProtocol:
        """A connection logged in. Raises OSError (TimeoutError is one), AmiError, AmiAuthError."""
        c = self.settings
        async with asyncio.timeout(c.connect_timeout):
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: LinkProtocol(self), c.host, c.port, ssl=c.ssl or None
            )
            self.protocol = link
            if self._closing.is_set():
                link.close()
            await asyncio.wait((link.greeted, link.ended), return_when=asyncio.FIRST_COMPLETED)
        if link.ended.done():  # before the secret goes out: it is for an Asterisk only
            raise AmiLost("Login", sent=False, why=link.ended.result())
        try:
            await self.action("Login", {"Username": c.username, "Secret": c.secret, "Events": "on"})
        except AmiRefused as refused:
            raise AmiAuthError(str(refused)) from None
        log.info("ami_link_up", host=c.host, ami=link.greeted.result())
        return link

    async def _watch(self, link: LinkProtocol) -> None:
        """Asterisk answers a ping or the link is dead, whatever TCP believes."""
        while True:
            await asyncio.sleep(self.settings.ping_interval)
            try:
                await self.action("Ping", timeout=self.settings.ping_timeout)
            except AmiError as error:
                link.end(f"no pong: {error}")
                return

    async def _announce(self, link: LinkProtocol) -> None:
        if self._on_up is None:
            return
        try:
            await self._on_up()
        except AmiLost as error:
            link.end(f"lost while coming up: {error}")  # has most likely ended by itself
        except Exception as error:  # barrier: the owner's own work after login; the link is tried again
            self.count("handler_error", 1)
            log.exception("ami_on_up_failed")
            link.end(f"on_up failed: {type(error).__name__}")

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    def _disconnect(self) -> None:
        self._connected = False
        link, self.protocol = self.protocol, None
        if link is not None:
            link.close()

    def close(self) -> None:
        """End the link and `run`; every pending action fails with `AmiLost`. There is no way back."""
        self._closing.set()
        self._disconnect()

    # -- events -------------------------------------------------------------------------------------------------------
    def dispatch(self, event: Message) -> None:
        """One event to the one handler. What it raises costs that event, never the link."""
        event.manager = self
        try:
            self._on_event(event)
        except Exception:  # barrier: the handler of one event
            self.count("handler_error", 1)
            log.exception("ami_handler_failed", event_name=event.event)

    def _tell_down(self, why: str) -> None:
        if self._on_down is None:
            return
        try:
            self._on_down(why)
        except Exception:  # barrier: as for events
            self.count("handler_error", 1)
            log.exception("ami_on_down_failed")

    def count(self, what: str, count: int) -> None:
        """Tell the meter, if there is one and something to tell."""
        if count and self._meter is not None:
            self._meter.ami_events(what, count)

    # -- panoramisk's own ways that would bring its faults back -------------------------------------------------------
    def connect(self, *_: Any, **__: Any) -> None:
        """Refused: stock's task has no owner and its reconnects outlive `close`."""
        raise TypeError("AmiClient is started by run()")

    def register_event(self, pattern: str, callback: Callable[..., Any] | None = None) -> Any:
        """Refused. The constructor's own call, which would register the replay of pending actions, is dropped."""
        if callback == self.send_awaiting_actions:
            return callback
        raise TypeError("AmiClient has one handler, on_event")

    async def send_awaiting_actions(self, *_: Any) -> None:
        """Nothing is ever replayed."""
