"""Our AMI client and a real Asterisk: refused, half-open, filtered."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from cti.ami.client import AmiAuthError, AmiClient, AmiConfig, AmiError, Message
from cti.dialtest.stack import Stage
from cti.stack.instance import Instance
from tests.real.story import ended, ringing_at_110, talking

pytestmark = pytest.mark.real

PATIENCE = 20.0


class Wire:
    """A TCP proxy before an Asterisk's AMI. Frozen, it takes everything and passes nothing on, and closes nothing: a
    cable pulled out behind it."""

    def __init__(self, port: int) -> None:
        self.port, self._to = 0, port
        self.opened: list[float] = []
        self._pairs: list[asyncio.StreamWriter] = []
        self._moving: list[asyncio.Event] = []
        self._group: asyncio.TaskGroup

    def freeze(self) -> None:
        """Every connection there is now. The next ones are passed on."""
        for event in self._moving:
            event.clear()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Wire]:
        async with asyncio.TaskGroup() as self._group:
            server = await asyncio.start_server(self._take, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield self
            finally:
                server.close()
                for event in self._moving:
                    event.set()
                for writer in self._pairs:
                    writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened.append(asyncio.get_running_loop().time())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        moving = asyncio.Event()
        moving.set()
        self._moving.append(moving)
        self._pairs += [writer, far_writer]
        self._group.create_task(self._pass(reader, far_writer, moving))
        self._group.create_task(self._pass(far_reader, writer, moving))

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moving: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await moving.wait()
                writer.write(data)
        writer.close()


class Heard:
    """Everything a client told its owner."""

    def __init__(self) -> None:
        self.events: list[Message] = []
        self.ups: asyncio.Queue[None] = asyncio.Queue()
        self.downs: asyncio.Queue[str] = asyncio.Queue()
        self.counts: Counter[str] = Counter()

    async def up(self) -> None:
        self.ups.put_nowait(None)

    def ami_events(self, what: str, count: int = 1) -> None:
        self.counts[what] += count


def config(instance: Instance, port: int | None = None) -> AmiConfig:
    return AmiConfig("127.0.0.1", port or instance.ports.ami, "cti", instance.place.ami_secret)


@contextlib.asynccontextmanager
async def running(settings: AmiConfig) -> AsyncIterator[tuple[AmiClient, Heard]]:
    heard = Heard()
    client = AmiClient(settings, wanted=None, on_event=heard.events.append, on_up=heard.up,
                       on_down=heard.downs.put_nowait, meter=heard)  # fmt: skip
    async with asyncio.TaskGroup() as group:
        group.create_task(client.run())
        try:
            async with asyncio.timeout(PATIENCE):
                yield client, heard
        finally:
            client.close()


@pytest.mark.parametrize("wrong", [{"secret": "wrong"}, {"username": "nobody"}])
async def test_a_wrong_login_is_an_error_of_its_own_said_once_and_tried_at_leisure(
    instance: Instance, wrong: dict[str, str]
) -> None:
    rest = 4.0  # well above the second Asterisk itself takes to refuse
    with capture_logs() as logs:
        async with Wire(instance.ports.ami).listening() as wire:
            settings = replace(config(instance, wire.port), backoff_first=0.01, backoff_max=rest, **wrong)  # type: ignore[arg-type]
            async with running(settings) as (client, heard):
                while len(wire.opened) < 3:  # noqa: ASYNC110 (the client is left to itself)
                    await asyncio.sleep(0.02)
                assert isinstance(client.fault, AmiAuthError) and not client.connected
                assert heard.ups.empty() and heard.downs.empty() and not heard.events
                with pytest.raises(AmiError, match="was not sent"):
                    await client.action("Ping")
            pauses = [later - sooner for sooner, later in zip(wire.opened, wire.opened[1:], strict=False)]
    assert min(pauses) >= rest / 2, f"no busy loop: {pauses}"
    told = [log for log in logs if log["event"].startswith("ami_")]
    assert [(log["event"], log["fault"], log["log_level"]) for log in told] == [
        ("ami_link_down", "AmiAuthError", "warning")]  # fmt: skip
    assert "Authentication failed" in told[0]["why"] and told[0]["port"] == wire.port
    assert settings.secret not in str(logs)


async def test_a_half_open_link_is_noticed_by_its_pings_and_made_anew(instance: Instance) -> None:
    async with Wire(instance.ports.ami).listening() as wire:
        settings = replace(config(instance, wire.port), ping_interval=0.3, ping_timeout=0.5, backoff_first=0.05)
        async with running(settings) as (client, heard):
            await heard.ups.get()
            await client.action("Ping")
            wire.freeze()
            frozen = asyncio.get_running_loop().time()
            assert client.connected, "TCP knows of nothing"
            why = await heard.downs.get()
            assert "no pong: Ping: no answer in 0.5 s" in why
            await heard.ups.get()
            assert (await client.action("Ping")).success
            assert len(wire.opened) == 2 and heard.counts["reconnected"] == 1 and heard.counts["link_lost"] == 1
            # One interval, one time-out, one pause; the rest is for a machine that is busy.
            assert wire.opened[1] - frozen < 0.3 + 0.5 + 0.05 + 3.0


async def test_an_action_on_its_way_over_a_half_open_link_fails_and_is_never_sent_again(instance: Instance) -> None:
    async with Wire(instance.ports.ami).listening() as wire:
        settings = replace(config(instance, wire.port), ping_interval=0.3, ping_timeout=0.5, backoff_first=0.05)
        async with running(settings) as (client, heard):
            await heard.ups.get()
            wire.freeze()
            put = {"Family": "halfopen", "Key": "k", "Val": "1"}
            with pytest.raises(AmiError, match="may have arrived"):
                await client.action("DBPut", put, timeout=10)
            await heard.ups.get()
            with pytest.raises(AmiError, match="Database entry not found"):
                await client.action("DBGet", {"Family": "halfopen", "Key": "k"})


async def test_asterisk_lets_only_the_wanted_events_through(on: Stage) -> None:
    """A call with a transfer makes hundreds of events; this client would take every one of them."""
    async with running(config(on.instance)) as (client, heard):
        await heard.ups.get()
        call, seat = await talking(on)
        await seat.dtmf("*110")
        target = await ringing_at_110(on)
        target.answer()
        await call.wait_heard(target.phone.name, 3)
        call.hangup()
        facts = await ended(on)
        assert (await client.action("Ping")).success  # what Asterisk said before this is here now
        names = Counter(message.event for message in heard.events)
        cel = [message for message in heard.events if message.event == "CEL"]
    assert set(names) <= {"CEL", "FullyBooted"}, names
    others = [m for m in cel if m.application != "CELGenUserEvent" and m.eventname != "BRIDGE_ENTER"]
    assert others == []
    steps = Counter(message.eventname for message in cel)
    assert {f.kind for f in facts if f.source == "live" and f.kind.startswith("Target")} <= set(steps)
    assert {"CallArrived", "CallerQueued", "SeatAnswered", "TargetAnswered", "CallerLeft", "BRIDGE_ENTER"} <= set(steps)
    assert sum(names.values()) < 30, "some 28 messages a call; unfiltered it is 148 and more"
