"""The link to Asterisk: each fault proven in panoramisk 1.4 has a test that fails when the fault comes back,
here or, where it is about actions, in tests/unit/test_ami_actions.py.

| fault of panoramisk 1.4                                        | test |
|---|---|
| a value with CR/LF smuggles a second action                    | smuggling_is_refused_before_a_byte_is_sent |
| a Chinese name cut by a segment loses characters               | a_name_cut_by_segments_arrives_whole |
| pending Originate/Redirect replayed after a reconnect          | nothing_is_replayed_after_a_reconnect |
| half-open link never noticed                                   | a_half_open_link_is_noticed |
| buffers without limit                                          | an_asterisk_that_does_not_read, a_frame_too_long |
| an exception in a callback drops the link                      | a_raising_handler_costs_its_event_only |
| `Originate` (without Async) and `QueueAdd` never resolve       | receipts_end_single_actions |
| `Originate` waits for OriginateResponse                        | originate_ends_with_its_receipt |
| a list ends at any event named *Complete                       | a_list_ends_with_its_event_list |
| a pending action outlives the link, or close()                 | pending_actions_fail (twice) |
| reconnects after close()                                       | close_is_final |
| `Shutdown` event makes it reconnect twice                      | shutdown_is_an_event |
| `UserEvent(x,Event: y)` makes `event` a list: the link is lost | a_user_event_cannot_disguise_itself |
| bare tasks for coroutines, garbage-collected                   | there_is_one_handler_and_one_owner, no_task_is_left |
| wrong secret: stays connected, unauthenticated                 | a_wrong_secret_is_said_once |
| fixed two-second reconnects, no cap, no jitter                 | pauses_grow_to_their_cap |
"""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from cti.ami.client import (
    AmiAuthError,
    AmiClient,
    AmiConfig,
    AmiLost,
)
from tests.unit.ami_site import WANTED, Site, linked, pending, site
from tests.unit.scripted_asterisk import scripted_asterisk


# -- the link is lost --------------------------------------------------------------------------------------------------
async def test_without_a_link_nothing_is_sent() -> None:
    client = AmiClient(AmiConfig("127.0.0.1", 1, "u", "s"), wanted=WANTED, on_event=lambda _: None)
    with pytest.raises(AmiLost) as lost:
        await client.action("Originate")
    assert lost.value.sent is False and not client.connected


async def test_pending_actions_fail_when_the_link_is_lost_and_nothing_is_replayed_after_a_reconnect() -> None:
    async with linked() as one:
        async with pending(one, "Originate", Channel="Local/1@x") as action:
            one.asterisk.drop()
        lost = action.result()
        assert isinstance(lost, AmiLost) and lost.sent is True
        await one.ups.get()
        one.asterisk.say("Event: FullyBooted", "Event: CEL\r\nEventName: after")  # FullyBooted is stock's cue to replay
        assert (await one.event()).eventname == "after"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one.client.action("Next"))
            await one.asterisk.answer("Next")  # the first thing after Login that the new link carried
        assert len(one.asterisk.logins) == 2
        assert (one.counts["link_lost"], one.counts["reconnected"]) == (1, 1)


async def test_pending_actions_fail_by_close_and_close_is_final() -> None:
    async with scripted_asterisk() as asterisk:
        one = Site(asterisk)
        config = AmiConfig("127.0.0.1", asterisk.port, "cti", "right", backoff_first=0.01, backoff_max=0.01)
        client = one.client = AmiClient(config, wanted=WANTED, on_event=one.hear, on_up=one.up)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            run = tasks.create_task(client.run())
            await one.ups.get()
            async with pending(one, "Originate") as action:
                client.close()
            await run
        lost = action.result()
        assert isinstance(lost, AmiLost) and lost.sent is True
        assert asterisk.connections == 1 and not client.connected
        with pytest.raises(AmiLost):
            await client.action("Ping")


async def test_a_half_open_link_is_noticed_and_replaced() -> None:
    async with linked(ping_interval=0.02, ping_timeout=0.05) as one:
        await one.asterisk.heard("Ping", 3)
        one.asterisk.pongs = False
        assert "no pong" in await one.downs.get()
        one.asterisk.pongs = True
        assert await one.ups.get() == 2


async def test_an_asterisk_that_does_not_read_gets_no_more_than_a_bounded_backlog() -> None:
    async with linked() as one:
        one.asterisk.stop_reading()
        big = {"Variable": ["x" * 1000] * 120}
        answers = []
        for _ in range(400):
            try:
                answers.append(one.client.send_action({"Action": "Big", **big}))
            except AmiLost as lost:
                assert lost.sent is False
                break
        else:
            pytest.fail("everything was taken into an unbounded buffer")
        assert one.client.protocol is not None and one.client.protocol.transport is not None
        assert one.client.protocol.transport.get_write_buffer_size() < (1 << 20) + 130_000
        one.client.close()
        ends = await asyncio.gather(*answers, return_exceptions=True)
        assert all(isinstance(end, AmiLost) and end.sent for end in ends)


async def test_a_frame_too_long_costs_itself_only() -> None:
    async with linked() as one:
        one.asterisk.say("Event: CEL\r\nExtra: " + "x" * 400_000, "no header", "Event: CEL\r\nEventName: after")
        assert (await one.event()).eventname == "after"
        assert one.counts["bad_frame"] == 2 and one.client.connected


# -- events ------------------------------------------------------------------------------------------------------------
async def test_a_raising_handler_costs_its_event_only() -> None:
    async with linked() as one:
        with capture_logs() as logs:
            one.asterisk.say(*(f"Event: CEL\r\nEventName: {name}" for name in ("before", "bug", "after")))
            assert [(await one.event()).eventname for _ in range(2)] == ["before", "after"]
        assert [log["event"] for log in logs] == ["ami_handler_failed"]
        assert one.counts["handler_error"] == 1 and one.client.connected and one.asterisk.connections == 1


async def test_a_name_cut_by_segments_arrives_whole() -> None:
    async with linked() as one:
        protocol = one.client.protocol
        assert protocol is not None
        for byte in "Event: CEL\r\nCallerIDname: 报警人张三\r\nExtra: \r\n\r\n".encode():
            protocol.data_received(bytes([byte]))
        event = await one.event()
        assert (event.calleridname, "Extra" in event) == ("报警人张三", True)


async def test_a_user_event_cannot_disguise_itself_and_shutdown_is_an_event() -> None:
    async with linked() as one:
        one.asterisk.say("Event: UserEvent\r\nUserEvent: x\r\nEvent: CEL", "Event: Shutdown\r\nShutdown: Cleanly")
        assert [(await one.event()).event for _ in range(2)] == ["UserEvent", "Shutdown"]
        assert one.client.connected and one.asterisk.connections == 1


async def test_what_is_not_wanted_is_counted_and_not_delivered() -> None:
    async with linked() as one:
        one.asterisk.say(*["Event: VarSet\r\nX: 1"] * 5, b"Event: CEL\r\nCallerIDname: \xe6\x8a")
        assert (await one.event()).calleridname == "\ufffd"
        assert (one.counts["skipped"], one.counts["received"], one.counts["replaced"]) == (5, 1, 1)


# -- coming up ---------------------------------------------------------------------------------------------------------
async def test_a_wrong_secret_is_said_once_and_tried_again() -> None:
    with capture_logs() as logs:
        async with site(secret="wrong") as one:
            await one.asterisk.heard("Login", 4)
            fault = one.client.fault
            assert isinstance(fault, AmiAuthError) and one.ups.empty()
            one.asterisk.secret = "wrong"
            await one.ups.get()
            assert one.client.fault is None
    assert [log.get("fault") for log in logs if log["event"] == "ami_link_down"] == ["AmiAuthError"]
    assert "wrong" not in str(logs)


async def test_a_wrong_secret_is_tried_at_the_slowest_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_asterisk() as asterisk:
        config = AmiConfig("127.0.0.1", asterisk.port, "cti", "wrong", backoff_first=0.001, backoff_max=60)
        client = AmiClient(config, wanted=WANTED, on_event=lambda _: None)

        async def rest(seconds: float) -> None:
            assert 30 <= seconds <= 60
            client.close()

        monkeypatch.setattr(client, "_rest", rest)
        await asyncio.wait_for(client.run(), 5)
        assert len(asterisk.logins) == 1


async def test_the_secret_goes_to_a_manager_only() -> None:
    async with site(connect_timeout=0.05) as one:
        one.asterisk.banner = "SSH-2.0-OpenSSH_9.9\r\n"
        await one.asterisk.heard("connection", 3)
        assert not one.asterisk.logins
        assert isinstance(one.client.fault, TimeoutError)


async def test_pauses_grow_to_their_cap_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AmiClient(
        AmiConfig("127.0.0.1", 1, "u", "s", backoff_first=0.2, backoff_max=5), wanted=WANTED, on_event=lambda _: None
    )
    pauses: list[float] = []

    async def rest(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 60:
            client.close()

    monkeypatch.setattr(client, "_rest", rest)
    with capture_logs() as logs:
        await client.run()
    for number, pause in enumerate(pauses):
        full = min(0.2 * 2**number, 5)
        assert full / 2 <= pause <= full
    assert len(set(pauses)) == 60
    assert len([log for log in logs if log["event"] == "ami_link_down"]) == 1


async def test_an_owner_that_cannot_use_the_link_gets_a_new_one() -> None:
    async with site() as one:

        async def fail_once() -> None:
            one.on_up = None
            raise RuntimeError("cannot reconcile")

        one.on_up = fail_once
        assert [await one.ups.get(), await one.ups.get()] == [1, 2]
        assert await one.downs.get() == "on_up failed: RuntimeError"
        assert one.counts["handler_error"] == 1


async def test_on_up_may_act_while_events_flow_and_is_cancelled_with_its_link() -> None:
    async with site() as one:
        waiting, cancelled = asyncio.Event(), asyncio.Event()

        async def reconcile() -> None:
            await one.client.action("Reconcile")
            one.on_up = None
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        one.on_up = reconcile
        await one.ups.get()
        one.asterisk.say("Event: CEL\r\nEventName: meanwhile")
        assert (await one.event()).eventname == "meanwhile"
        await one.asterisk.answer("Reconcile")
        await waiting.wait()
        one.asterisk.drop()
        await one.downs.get()
        assert cancelled.is_set()


async def test_cancelling_run_leaves_no_task_and_no_pending_action() -> None:
    async with scripted_asterisk() as asterisk:
        one = Site(asterisk)
        before = asyncio.all_tasks()
        config = AmiConfig("127.0.0.1", asterisk.port, "cti", "right")
        one.client = AmiClient(config, wanted=WANTED, on_event=one.hear, on_up=one.up)
        run = asyncio.ensure_future(one.client.run())
        await asyncio.wait_for(one.ups.get(), 5)
        conversation = asyncio.all_tasks() - before - {run}
        async with pending(one, "Slow") as action:
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        assert isinstance(action.result(), AmiLost)
        left = {task.get_name() for task in asyncio.all_tasks() - before - conversation}
        assert not left and not one.client.connected


async def test_there_is_one_handler_and_one_owner() -> None:
    client = AmiClient(AmiConfig("127.0.0.1", 1, "u", "secret"), wanted=WANTED, on_event=lambda _: None)
    assert client.patterns == [] and "secret" not in repr(client.settings)
    with pytest.raises(TypeError):
        client.register_event("CEL", lambda *_: None)
    with pytest.raises(TypeError):
        client.connect()
