"""The key over HTTP, on a real Asterisk: same door, same rules; misuse gets a problem with a stable code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from cti.dialtest.phone import Answer, Ring
from cti.dialtest.stack import Stage
from cti.web.auth import Role, Tokens, Who
from tests.real.story import CLI, data_of, ended, outcomes, ringing_at_110, talking

pytestmark = pytest.mark.real

Got = tuple[int, dict[str, Any]]


class Client:
    """Speaks to the instance as one holder of a token."""

    def __init__(self, on: Stage, session: aiohttp.ClientSession) -> None:
        self.on, self._session = on, session
        self.base = f"http://127.0.0.1:{on.instance.ports.http}/api/v1"

    def token(self, seat: str, role: Role = "agent") -> str:
        return Tokens(self.on.instance.http_secret).make(Who(role, seat))

    async def post(self, path: str, seat: str, body: object = None, *, role: Role = "agent", key: str = "",
                   raw: bytes | None = None, kind: str = "application/json") -> Got:
        headers = {"Authorization": f"Bearer {self.token(seat, role)}", "Content-Type": kind}
        if key:
            headers["Idempotency-Key"] = key
        data = raw if raw is not None else json.dumps(body or {}).encode()
        async with self._session.post(self.base + path, data=data, headers=headers) as got:
            return got.status, await got.json(content_type=None)

    async def delete(self, path: str, seat: str, role: Role = "agent") -> int:
        headers = {"Authorization": f"Bearer {self.token(seat, role)}"}
        async with self._session.delete(self.base + path, headers=headers) as got:
            return got.status

    async def get(self, path: str, seat: str, role: Role = "agent") -> Got:
        headers = {"Authorization": f"Bearer {self.token(seat, role)}"}
        async with self._session.get(self.base + path, headers=headers) as got:
            return got.status, await got.json(content_type=None)


@pytest_asyncio.fixture(loop_scope="function")
async def api(on: Stage) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Client(on, session)


async def test_the_api_moves_a_caller_as_the_key_does(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    status, made = await api.post("/transfers", number, {"to": "110", "summary": "楼道起火，12-3室有人被困"})
    assert (status, made["state"], made["to"], made["seat"]) == (201, "ringing", "110", number)
    target = await ringing_at_110(on)
    assert data_of(target)["summary"].startswith("%E6%A5%BC%E9%81%93") and "12-3%E5" in data_of(target)["summary"]
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await seat.wait_ended(3)
    status, shown = await api.get(f"/transfers/{made['transfer']}", target.phone.user)
    assert (status, shown["state"], shown["target"]) == (200, "joined", target.phone.user)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("answered", "")]
    kinds = [f.kind for f in facts]
    assert kinds.index("TransferRequested") < kinds.index("TransferStarted"), "the intent comes first"
    assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["api"]
    status, told = await api.get(f"/transfers/{made['transfer']}", number)
    states = [moment["state"] for moment in told["timeline"]]
    assert (status, told["state"], states[0], states[-1]) == (200, "ended", "requested", "ended")
    assert "joined" in states and told["direction"] == "12345-110" and "****" in told["caller"]
    for seat_asking, wanted in ((number, [made["transfer"]]), (target.phone.user, [made["transfer"]]), ("1902", [])):
        status, listed = await api.get(f"/transfers?call={facts[0].ref}&outcome=answered", seat_asking)
        assert (status, [row["transfer"] for row in listed["transfers"]]) == (200, wanted)


async def test_one_idempotency_key_is_one_transfer(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    both = await asyncio.gather(*(api.post("/transfers", number, {"to": "110"}, key="click-1") for _ in range(4)))
    assert {made["transfer"] for _, made in both} == {both[0][1]["transfer"]} and {s for s, _ in both} <= {200, 201}
    status, problem = await api.post("/transfers", number, {"to": "110", "danger": True}, key="click-1")
    assert (status, problem["code"]) == (422, "idempotency-key-reused")
    call.hangup()
    facts = await ended(on)
    assert len([f for f in facts if f.kind == "TransferStarted"]) == 1
    assert outcomes(facts) == [("abandoned", "caller-left")]


async def test_a_transfer_is_taken_back_and_released_by_api(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    _, made = await api.post("/transfers", number, {"to": "110"})
    target = await ringing_at_110(on)
    status, _ = await api.post(f"/transfers/{made['transfer']}/cancel", number)
    assert status == 202
    await target.wait_ended(2)
    await call.wait_heard(seat.phone.name, 2)
    await asyncio.sleep(0.3)
    status, problem = await api.post(f"/transfers/{made['transfer']}/cancel", number)
    assert (status, problem["code"]) == (409, "not-ringing")
    _, again = await api.post("/transfers", number, {"to": "110"})
    target = await ringing_at_110(on)
    assert (await api.post(f"/transfers/{again['transfer']}/release", number))[0] == 202
    await seat.wait_ended(3)
    await call.wait_heard("music", 2)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    call.hangup()
    facts = await ended(on)
    assert outcomes(facts) == [("cancelled", ""), ("answered", "")]
    assert [f.data["released"] for f in facts if f.kind == "TransferEnded"] == [0, 1]


async def test_a_colleague_is_reached_by_number(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    other = next(on.seats[n] for n in ("1001", "1002") if on.seats[n] is not seat.phone)
    other.on_invite = Answer(0.1)
    status, made = await api.post("/transfers", seat.phone.user, {"to": other.user})
    assert (status, made["to"]) == (201, "12345")
    await call.wait_heard(other.name, 4)
    call.hangup()
    assert outcomes(await ended(on)) == [("answered", "")]


async def test_misuse_is_told_by_code(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    other = next(n for n in ("1001", "1002") if n != number)
    ref = next(f.ref for f in await on.facts() if f.data.get("caller") == CLI)

    async def code(path: str, holder: str, body: object = None, **more: Any) -> tuple[int, str]:
        status, problem = await api.post(path, holder, body, **more)
        assert problem["type"] == f"urn:hotline-cti:problem:{problem['code']}" and problem["status"] == status
        return status, problem["code"]

    ask = {"to": "110", "call": ref}
    assert await code("/transfers", other, ask) == (409, "not-your-call")
    assert await code("/transfers", other, {"to": "110"}) == (404, "unknown-call")
    assert await code("/transfers", number, {"to": "110", "call": "530100-1.1"}) == (404, "unknown-call")
    assert await code("/transfers", number, {"to": "110", "call": "../../etc"}) == (404, "unknown-call")
    assert await code("/transfers", "", ask, role="read-only") == (403, "wrong-role")
    assert await code("/transfers", number, {"to": "119"}) == (409, "not-open")
    assert await code("/transfers", number, {}) == (422, "invalid-field")
    assert await code("/transfers", number, {"to": 110}) == (422, "invalid-field")
    assert await code("/transfers", number, {**ask, "x": 1}) == (422, "invalid-field")
    assert await code("/transfers", number, {**ask, "summary": "x" * 201}) == (422, "invalid-field")
    for raw in (b"", b"{", b"[]", b"null", b'{"to":', b"\xff\xfe", b"[" * 10_000):
        assert await code("/transfers", number, raw=raw) == (400, "malformed-json"), raw
    assert await code("/transfers", number, raw=b"x" * 100_000) == (413, "too-large")
    assert await code("/transfers", number, ask, kind="text/plain") == (415, "not-json")
    assert await code("/transfers", number, ask, key="k" * 201) == (422, "invalid-field")
    assert await code("/transfers/none/cancel", number) == (404, "unknown-call")
    assert await code(f"/transfers/{ref}-k0/release", number) == (404, "unknown-transfer")
    assert await code("/nowhere", number) == (404, "not-found")
    async with aiohttp.ClientSession() as bare:
        for header in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="},
                       {"Authorization": "Bearer " + Tokens("another key of 16+").make(Who("agent", number))}):
            async with bare.post(f"{api.base}/transfers", json=ask, headers=header) as got:
                assert got.status == 401 and (await got.json(content_type=None))["code"] == "not-signed-in"
    assert call.t_ended is None and seat.t_ended is None
    call.hangup()
    facts = await ended(on)
    assert not [f for f in facts if f.kind.startswith("Transfer")], "nothing of this may leave a trace of a transfer"


async def test_a_summary_cannot_inject(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    nasty = "a\r\nX-Evil: 1\r\n\r\nAction: Logoff ${SHELL(touch x)},^|\"\\;`"
    status, _ = await api.post("/transfers", seat.phone.user, {"to": "110", "summary": nasty})
    assert status == 201
    target = await ringing_at_110(on)
    assert target.invite.headers.get("X-Evil") == ""
    summary = data_of(target)["summary"]
    assert summary and set(summary) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%._~-")
    assert (await api.get("/transfers/x", seat.phone.user))[0] == 404  # the AMI link lives
    call.hangup()
    await ended(on)


async def test_bounce_and_a_running_transfer_are_refused_with_an_offer(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    on.seats["8001"].on_invite = on.seats["8002"].on_invite = Ring()
    assert (await api.post("/transfers", number, {"to": "110"}))[0] == 201
    status, problem = await api.post("/transfers", number, {"to": "110"})
    assert (status, problem["code"]) == (409, "transfer-running")
    target = await ringing_at_110(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await asyncio.sleep(0.3)
    status, problem = await api.post("/transfers", target.phone.user, {"to": "12345"})
    assert (status, problem["code"], problem["offer"]) == (409, "bounce", "three-party")
    assert (await api.post("/transfers", number, {"to": "110"}))[0] == 404, "he is not there any more"
    ref = data_of(target)["call"]
    status, problem = await api.post("/transfers", "", {"to": "12345", "call": ref}, role="supervisor")
    assert (status, problem["code"]) == (409, "bounce")
    call.hangup()
    assert outcomes(await ended(on)) == [("answered", "")]


async def test_screens_are_told_before_the_answer_and_why_not(on: Stage, api: Client) -> None:
    call, seat = await talking(on)
    number = seat.phone.user
    on.seats["8001"].on_invite = on.seats["8002"].on_invite = Ring()
    heard: dict[str, list[tuple[str, dict[str, Any]]]] = {number: [], "8001": [], "8002": []}
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:

        async def listen(who: str) -> None:
            headers = {"Authorization": f"Bearer {api.token(who)}"}
            async with session.get(f"{api.base}/live", headers=headers) as stream:
                kind = ""
                async for line in stream.content:
                    text = line.decode().strip()
                    if text.startswith("event: "):
                        kind = text[7:]
                    elif text.startswith("data: "):
                        heard[who].append((kind, json.loads(text[6:])))

        readers = [group.create_task(listen(who)) for who in heard]
        await asyncio.sleep(0.5)
        await api.post("/transfers", number, {"to": "110", "summary": "走失老人", "danger": True})
        target = await ringing_at_110(on)
        for _ in range(50):
            if heard[target.phone.user]:
                break
            await asyncio.sleep(0.05)
        assert target.t_answered is None
        kind, offer = heard[target.phone.user][0]
        assert (kind, offer["summary"], offer["danger"], offer["first"], offer["caller"]) == (
            "offer", "走失老人", True, "12345", CLI)
        target.reject(486)
        for _ in range(200):
            if any(data["step"] == "TargetFailed" for _, data in heard[number]):
                break
            await asyncio.sleep(0.05)
        call.hangup()
        await ended(on)
        for reader in readers:
            reader.cancel()
    said = [data["zh"] for kind, data in heard[number] if kind == "progress"]
    assert said[0] == "正在呼叫110"
