"""An instance leaves nothing behind, and says what it needs. The commands that look work on a running one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from cti.dialtest.play import play
from cti.dialtest.stack import Stage
from cti.directory import Directory
from cti.share import folder
from cti.stack.instance import Instance, PortsTaken, free_ports
from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def cti(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cti", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_two_instances_run_beside_each_other_and_leave_nothing(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    pids = []
    config, plan = folder("config"), folder("dialplan")
    async with (
        Instance(runtime_root, tmp_path / "a", directory, config, plan) as a,
        Instance(runtime_root, tmp_path / "b", directory, config, plan, site="532900") as b,
    ):
        assert set(a.ports_claimed()).isdisjoint(b.ports_claimed())
        pids = [child.pid for i in (a, b) for child in i.children.values()]
        assert len(pids) == 6 and all(map(lives, pids))
    assert not any(map(lives, pids))
    for state in (tmp_path / "a", tmp_path / "b"):
        assert not (state / "instance.json").exists()
        assert not [p for p in state.rglob("*") if p.is_socket() or p.suffix == ".pid"]


async def test_a_taken_port_is_named_with_its_owner(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(nothing, "127.0.0.1", 0) as server:
        taken = server.sockets[0].getsockname()[1]
        ports = replace(free_ports(), ami=taken)
        with pytest.raises(PortsTaken, match=str(taken)) as told:
            async with Instance(
                runtime_root, tmp_path / "s", directory, folder("config"), folder("dialplan"), ports=ports
            ):
                pass
        assert f"pid {os.getpid()}" in str(told.value)


async def test_status_trace_replay_and_metrics_tell_one_story(instance: Instance) -> None:
    report = await play(instance, "onekey-12345-110", 1, seed=5)
    assert report.passed, report.runs
    ref, state = report.runs[0].ref, str(instance.state)
    code, text = await cti("status", "--state", state, "--json")
    shown = json.loads(text)
    assert code == 0 and (shown["answered"], shown["offered"], shown["answer_rate"]) == (1, 1, "100.00 %")
    assert shown["transfers"] == [{"from": "12345", "to": "110", "outcome": "answered", "count": 1}]
    assert shown["links"] == {"asterisk": True, "ledger": True, "agi": True}
    code, text = await cti("trace", ref, "--state", state)
    assert code == 0 and "一键" not in text
    for kind in ("来电 12345", "按键转 110", "转接结果 answered", "通话结果 answered"):
        assert kind in text
    code, text = await cti("replay", ref, "--state", state, "--json")
    assert code == 0 and json.loads(text)["same"] is True
    code, text = await cti("trace", "530100-1.1", "--state", state)
    assert code == 1 and "not in the ledger" in text
    async with aiohttp.ClientSession(f"http://127.0.0.1:{instance.ports.http}") as http:
        async with http.get("/metrics") as answer:
            metrics = await answer.text()
        async with http.get("/readyz") as answer:
            assert answer.status == 200
    assert 'cti_calls_total{hotline="12345",outcome="answered"} 1.0' in metrics
    assert 'cti_transfers_total{first_platform="12345",outcome="answered",to="110",why=""} 1.0' in metrics


async def test_a_caller_name_in_chinese_and_a_hostile_one_reach_the_record_as_data(on: Stage) -> None:
    evil = '张三"${SHELL(id)}\\,1)'
    call = await on.callers[0].dial("12345", caller_id="13911112222", caller_name=evil)
    assert await call.wait_answered(3)
    await asyncio.sleep(0.3)
    call.hangup()
    arrived = [f for f in await on.facts() if f.kind == "CallArrived"]
    assert [f.data["caller"] for f in arrived] == ["13911112222"]
    assert await on.wait_fact("CallEnded", arrived[0].ref) is not None
