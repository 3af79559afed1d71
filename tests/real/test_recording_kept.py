"""Recordings once they are made: who may hear them, what shows that one was altered, how long it is kept."""

from __future__ import annotations

import asyncio
import hashlib
import json

import aiohttp
import pytest
from click.testing import CliRunner

from cti.__main__ import main
from cti.dialtest.stack import Stage
from tests.real.recordings import SAID_S, indexed, place, settled
from tests.real.story import talking
from tests.real.test_api import Client

pytestmark = pytest.mark.real


async def test_only_a_supervisor_has_them_and_that_is_on_record(on: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        call, seat = await talking(on)
        await asyncio.sleep(SAID_S)
        call.hangup()
        fact = indexed(await settled(on))
        base = f"/calls/{fact.ref}/recordings"
        for role, number in (("agent", seat.phone.user), ("read-only", "")):
            status, problem = await api.get(base, number, role)  # type: ignore[arg-type]
            assert (status, problem["code"]) == (403, "wrong-role")
        async with http.get(api.base + base) as got:
            assert got.status == 401
        status, shown = await api.get(base, "", "supervisor")
        assert status == 200 and [r["sha256"] for r in shown["recordings"]] == [fact.data["sha256"]]
        headers = {"Authorization": f"Bearer {api.token('', 'supervisor')}"}
        href = api.base.removesuffix("/api/v1") + shown["recordings"][0]["href"]
        async with http.get(href, headers=headers) as got:
            assert (got.status, got.content_type) == (200, "audio/wav")
            assert hashlib.sha256(await got.read()).hexdigest() == fact.data["sha256"]
        for odd in ("/calls/530100-1.1/recordings/x.wav", f"{base}/..%2f..%2f..%2fetc%2fextensions.conf"):
            status, problem = await api.get(odd, "", "supervisor")
            assert (status, problem["code"]) == (404, "no-recording")
        heard = [f for f in await on.facts(fact.ref) if f.kind == "RecordingHeard"]
        assert [(f.data["file"], f.data["role"]) for f in heard] == [(fact.data["file"], "supervisor")]
        assert str(heard[0].data["token"]) and str(heard[0].data["token"]) not in headers["Authorization"]


def cti(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    return done.exit_code, done.output


async def test_verified_listed_and_deleted_when_its_time_is_over(on: Stage) -> None:
    call, _seat = await talking(on)
    await asyncio.sleep(SAID_S)
    call.hangup()
    fact = indexed(await settled(on))
    state, file = str(on.instance.state), str(fact.data["file"])

    async def told(*words: str) -> tuple[int, str]:
        return await asyncio.to_thread(cti, "recordings", *words, "--state", state)

    assert file in (await told("list", "--ref", fact.ref))[1]
    assert (await told("verify"))[0] == 0
    recorded = place(on, fact)
    raw = recorded.read_bytes()
    recorded.write_bytes(raw[:-2] + b"\x01\x01")
    code, said = await told("verify")
    assert code == 1 and "内容已变" in said
    entry = recorded.with_name(recorded.name + ".json")
    kept = json.loads(entry.read_text())
    entry.write_text(json.dumps({**kept, "sha256": hashlib.sha256(recorded.read_bytes()).hexdigest()}))
    code, said = await told("verify")
    assert code == 1 and "与账本不符" in said, "whoever changes file and entry does not change the ledger"
    recorded.write_bytes(raw)
    entry.write_text(json.dumps(kept))
    assert (await told("purge"))[1].endswith("已删除 / deleted: 0\n") and recorded.exists()
    entry.write_text(json.dumps({**kept, "keep_until": 1}))
    assert file in (await told("purge", "--dry-run"))[1] and recorded.exists()
    assert file in (await told("purge"))[1] and not recorded.exists() and not entry.exists()
    gone = await on.wait_fact("RecordingDeleted", fact.ref)
    assert gone is not None
    assert (gone.data["file"], gone.data["sha256"]) == (file, fact.data["sha256"])
    async with aiohttp.ClientSession() as http:
        assert (await Client(on, http).get(f"/calls/{fact.ref}/recordings", "", "supervisor"))[1]["recordings"] == []
