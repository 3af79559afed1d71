"""Actions over AMI: each is answered once, by its own receipt or list, refused, timed out or cancelled; the table in
tests/unit/test_ami_client.py names panoramisk's faults among them."""

from __future__ import annotations

import asyncio

import pytest

from cti.ami.client import AmiBadValue, AmiRefused, AmiTimeout
from tests.unit.ami_site import linked, outcome


@pytest.mark.parametrize("bad", ["x\r\n\r\nAction: Hangup", "x\ny", "x\0y"])
async def test_smuggling_is_refused_before_a_byte_is_sent(bad: str) -> None:
    async with linked() as one:
        with pytest.raises(AmiBadValue, match="Value"):
            await one.client.action("Setvar", {"Variable": "X", "Value": bad})
        with pytest.raises(AmiBadValue):
            await one.client.send_action({"Action": "Command", "Command": bad})
        with pytest.raises(AmiBadValue, match="ActionID"):
            await one.client.action("Setvar", {"actionid": "mine"})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one.client.action("Next"))
            await one.asterisk.answer("Next")  # the first action Asterisk saw


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("QueueAdd", "Added interface to queue"),
        ("Originate", "Originate successfully queued"),
        ("Status", "will follow"),
    ],
)
async def test_receipts_end_single_actions_whatever_their_words(name: str, said: str) -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        action = tasks.create_task(one.client.action(name, {"Queue": "q"}))
        await one.asterisk.answer(name, "Response: Success", f"Message: {said}")
        assert (await action).message == said


@pytest.mark.parametrize("overtakes", [False, True])
async def test_originate_ends_with_its_receipt_and_its_outcome_is_an_event(overtakes: bool) -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        action = tasks.create_task(one.client.action("Originate", {"Channel": "Local/1@x/n", "Async": "true"}))
        number = (await one.asterisk.next("Originate"))["ActionID"]
        receipt = f"Response: Success\r\nActionID: {number}\r\nMessage: Originate successfully queued"
        result = f"Event: OriginateResponse\r\nActionID: {number}\r\nResponse: Failure\r\nReason: 5"
        one.asterisk.say(*((result, receipt) if overtakes else (receipt, result)))
        assert (await action).message == "Originate successfully queued"
        event = await one.event()
        assert (event.event, event.response, event.actionid) == ("OriginateResponse", "Failure", number)


async def test_an_error_is_refused_with_the_reason() -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        action = tasks.create_task(outcome(one.client.action("Redirect")))
        await one.asterisk.answer("Redirect", "Response: Error", "Message: Channel does not exist")
        refused = await action
        assert isinstance(refused, AmiRefused)
        assert refused.response.message == "Channel does not exist" and "Channel does not exist" in str(refused)


async def test_a_list_ends_with_its_event_list_and_not_with_a_name() -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        listed = tasks.create_task(one.client.list_action("DeviceStateList"))
        number = (await one.asterisk.next("DeviceStateList"))["ActionID"]
        tail = f"\r\nActionID: {number}"
        one.asterisk.say(
            f"Response: Success{tail}\r\nEventList: start\r\nMessage: Device States will follow",
            f"Event: DeviceStateChange{tail}\r\nDevice: A\r\nState: INUSE",
            "Event: DeviceStateChange\r\nDevice: live\r\nState: RINGING",
            f"Event: AgentComplete{tail}\r\nDevice: B",
            f"Event: DeviceStateListComplete{tail}\r\nEventList: Complete\r\nListItems: 2",
        )
        assert [row.device for row in await listed] == ["A", "B"]
        assert (await one.event()).device == "live"
        skipped = one.counts["skipped"]
        one.asterisk.say(f"Event: QueueMember{tail}", "Event: CEL\r\nEventName: after")
        assert (await one.event()).eventname == "after"
        assert one.counts["skipped"] == skipped + 1  # the list is over: its id wants nothing more


async def test_a_list_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cti.ami.actions.MAX_LIST", 3)
    async with linked() as one, asyncio.TaskGroup() as tasks:
        listed = tasks.create_task(outcome(one.client.list_action("Endless")))
        number = (await one.asterisk.next("Endless"))["ActionID"]
        one.asterisk.say(f"Response: Success\r\nActionID: {number}\r\nEventList: start")
        one.asterisk.say(*[f"Event: Row\r\nActionID: {number}"] * 5)
        assert isinstance(await listed, AmiRefused)


async def test_an_action_is_answered_once() -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        action = tasks.create_task(one.client.action("Twice"))
        number = (await one.asterisk.next("Twice"))["ActionID"]
        one.asterisk.say(*[f"Response: Success\r\nActionID: {number}\r\nMessage: {n}" for n in (1, 2)])
        assert (await action).message == "1"
        one.asterisk.say("Event: CEL\r\nEventName: after")
        assert (await one.event()).eventname == "after" and one.asterisk.connections == 1


async def test_an_answer_that_is_no_list_ends_a_list_at_once() -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        listed = tasks.create_task(outcome(one.client.list_action("Ponder")))
        await one.asterisk.answer("Ponder", "Response: Success", "Message: done")
        assert isinstance(await listed, AmiRefused)


async def test_no_answer_is_a_timeout_and_a_late_answer_is_ignored() -> None:
    async with linked() as one:
        async with asyncio.TaskGroup() as tasks:
            action = tasks.create_task(outcome(one.client.action("Slow", timeout=0.05)))
            number = (await one.asterisk.next("Slow"))["ActionID"]
            assert isinstance(await action, AmiTimeout)
        one.asterisk.say(f"Response: Success\r\nActionID: {number}", "Event: CEL\r\nEventName: after")
        assert (await one.event()).eventname == "after"
        assert one.client.connected


async def test_a_cancelled_action_is_forgotten() -> None:
    async with linked() as one:
        async with asyncio.TaskGroup() as tasks:
            action = tasks.create_task(one.client.action("Slow"))
            await one.asterisk.next("Slow")
            action.cancel()
        await asyncio.wait([action])
        assert one.client.protocol is not None and not one.client.protocol.pending


async def test_panoramisks_own_verb_has_the_same_guards() -> None:
    async with linked() as one, asyncio.TaskGroup() as tasks:
        command = tasks.create_task(asyncio.wait_for(one.client.send_command("core show uptime"), 5))
        await one.asterisk.answer("Command", "Response: Success", "Output: up", "Output: 1 s")
        assert (await command).output == ["up", "1 s"]
