"""An instance leaves nothing behind, and says what it needs. The commands that look work on a running one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from cti.dialtest.play import play
from cti.dialtest.stack import Stage
from cti.directory import Directory
from cti.share import folder
from cti.stack import netports
from cti.stack.asterisk import run_folder
from cti.stack.instance import Instance, Ports, PortsTaken, free_ports
from cti.stack.root import RootFailed, RuntimeRoot
from cti.stack.statelock import StateTaken
from cti.stack.supervise import ChildFailed

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


async def test_a_second_instance_in_the_folder_is_refused_and_harms_nothing(
    instance: Instance, runtime_root: RuntimeRoot, directory: Directory
) -> None:
    pids = {child.pid for child in instance.children.values()}
    facts = (instance.state / "instance.json").read_bytes()
    second = Instance(runtime_root, instance.state, directory, instance.config, instance.templates)
    with pytest.raises(StateTaken, match=f"pid {os.getpid()}"):
        async with second:
            pass
    assert (instance.state / "instance.json").read_bytes() == facts
    assert all(map(lives, pids)) and await instance._healthy()
    assert unclaimed(second.ports) and not unclaimed(instance.ports)


def unclaimed(ports: Ports) -> bool:
    """None of them is claimed; each claim taken to see that is given back."""
    wanted = [ports.ami, ports.agi, ports.http, ports.redis, ports.sip, ports.rtp_first, ports.rtp_last]
    got = [port for port in wanted if netports._claims.take(port)]
    netports.release(*got)
    return got == wanted


def clean(state: Path) -> bool:
    """Nothing of a running instance is in the folder."""
    left = [p for p in state.rglob("*") if p.is_socket() or p.suffix == ".pid" or p.name == "instance.json"]
    return left == [] and (state / ".lock").read_text() == ""


@pytest.mark.parametrize("fails", ["ports", "layout", "asterisk", "service", "cancelled"])
async def test_a_start_that_fails_leaves_nothing(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path, fails: str
) -> None:
    state = tmp_path / ("s" * 90)  # too long for a socket's path: the run folder is a temporary one
    plan = folder("dialplan")
    expected: dict[str, type[BaseException]] = {
        "ports": PortsTaken, "layout": RootFailed, "asterisk": ChildFailed, "service": ChildFailed,
        "cancelled": asyncio.CancelledError}  # fmt: skip
    root, config = runtime_root, folder("config")
    if fails == "layout":
        root = RuntimeRoot(tmp_path / "empty", {}, "given")
    if fails == "asterisk":
        plan = tmp_path / "plan"
        shutil.copytree(folder("dialplan"), plan)
        (plan / "asterisk.conf.j2").write_text("[directories]\nastetcdir => /nowhere\n")
    if fails == "service":
        config = tmp_path / "no-config"
        config.mkdir()
        (config / "site.yaml").write_text("site: nonsense\n")
    made = Instance(root, state, directory, config, plan)
    ports = made.ports
    started: list[int] = []

    async def begin() -> None:
        async with made:
            pytest.fail("it started")

    async def cancel_after_valkey(task: asyncio.Task[None]) -> None:
        async with asyncio.timeout(20):
            while "valkey" not in made.children:  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.01)
        task.cancel()

    if fails == "ports":
        holder = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", ports.agi)
    else:
        holder = None
    try:
        with pytest.raises(expected[fails]):
            if fails == "cancelled":
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(begin())
                    group.create_task(cancel_after_valkey(task))
                await task
            else:
                await begin()
    finally:
        if holder is not None:
            holder.close()
    started = [child.pid for child in made.supervisor.children]
    assert not any(map(lives, started)) and bool(started) is (fails not in ("ports", "layout"))
    assert unclaimed(ports) and clean(state)
    assert not outside(state).exists()


def outside(state: Path) -> Path:
    """The folder of the control socket of an instance whose own path is too long for one."""
    return run_folder(state.resolve() / "asterisk")


async def test_the_run_folder_of_a_long_path_is_private_and_goes_with_the_instance(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    state = tmp_path / ("s" * 90)
    config, plan, place = folder("config"), folder("dialplan"), outside(state)
    assert place.parent == Path(tempfile.gettempdir()) and not place.exists()
    async with Instance(runtime_root, state, directory, config, plan, service=False) as made:
        assert place == made.place.run and (place / "asterisk.ctl").is_socket()
        assert place.stat().st_mode & 0o777 == 0o700
        made.children["asterisk"].kill()  # so that it cannot tidy up itself
    assert not place.exists() and clean(state)


def test_a_temporary_directory_that_is_too_long_as_well_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Asterisk cuts the socket's path short without a word, and its folder stayed behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 90)))
    assert run_folder(tmp_path / ("s" * 90)).parent == Path("/tmp")


async def test_a_run_folder_somebody_else_could_write_to_is_refused(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    state = tmp_path / ("s" * 90)
    made = Instance(runtime_root, state, directory, folder("config"), folder("dialplan"), service=False)
    place = outside(state)
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    try:
        with pytest.raises(PermissionError, match=place.name):
            async with made:
                pass
        assert place.is_dir()
    finally:
        place.rmdir()


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
