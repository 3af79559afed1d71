"""`cti dialtest` as people run it: on a stack of its own, on one that runs already, on one it knows only from a file;
and stopped by a signal at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from cti.dialtest.play import SCENARIOS, play
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.ledger.stream import LedgerStream
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.root import RuntimeRoot
from cti.web.auth import Tokens, Who

pytestmark = pytest.mark.real

PATIENCE = 60.0


@contextlib.asynccontextmanager
async def dialtest(tmp_path: Path, *words: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process, its temporary files below ``tmp_path/tmp``; it is never left running."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cti", "dialtest", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "TMPDIR": str(tmp_path / "tmp"), **environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code, stdout, stderr once it has ended."""
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def ran(tmp_path: Path, *words: str) -> tuple[int, str, str]:
    async with dialtest(tmp_path, *words) as process:
        return await said(process)


def children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# -- signals and starts that fail ------------------------------------------------------------
@pytest.mark.parametrize(("when", "sig", "code"), [
    (0, signal.SIGTERM, 143), (2, signal.SIGTERM, 143), (2, signal.SIGINT, 130), ("playing", signal.SIGTERM, 143),
    ("playing", signal.SIGINT, 130)])  # fmt: skip
async def test_a_signal_stops_all_and_leaves_no_secret(
    runtime_root: RuntimeRoot, tmp_path: Path, when: int | str, sig: signal.Signals, code: int
) -> None:
    words = ("queue", "--n", "1000", "--runtime", str(runtime_root.path.parent))
    async with dialtest(tmp_path, *words) as process, asyncio.timeout(PATIENCE):
        pids: list[int] = []
        if when == "playing":
            assert process.stdout is not None
            assert "✓" in (await process.stdout.readline()).decode()
        else:
            states = tmp_path / "tmp"
            while not (any(states.glob("hotline-cti-*/instance.key")) and len(pids) >= int(when)):
                pids = children(process.pid)
                await asyncio.sleep(0.01)
        pids = children(process.pid)
        process.send_signal(sig)
        process.send_signal(sig)  # A second one does not disturb the orderly stop.
        got, out, err = await said(process)
    assert (got, "Traceback" in out + err) == (code, False), out + err
    assert "已停止" in err
    left = [p for p in (tmp_path / "tmp").iterdir() if not p.name.startswith("hotline-cti-ports.")]  # shared claims
    assert left == [] and not any(map(lives, pids))


async def test_a_start_that_fails_is_said_in_words(
    runtime_root: RuntimeRoot, instance: Instance, tmp_path: Path
) -> None:
    words = ("queue", "--n", "1", "--runtime", str(runtime_root.path.parent), "--keep", str(instance.state))
    code, out, err = await ran(tmp_path, *words)
    assert code == 1 and out == "" and "Traceback" not in err
    assert "无法启动 / cannot start" in err and f"pid {os.getpid()}" in err


def unpacker(tmp_path: Path, script: str) -> str:
    """A PATH on which the unpacking program is this script; it writes its pid to ``pid``."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/mmdebstrap"
    program.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/part" && mv "{tmp_path}/part" "{tmp_path}/pid"\n{script}\n')
    program.chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


async def test_programs_that_cannot_be_unpacked_are_said_in_words(tmp_path: Path) -> None:
    path = unpacker(tmp_path, "echo E: no mirror >&2; exit 1")
    async with dialtest(tmp_path, "queue", "--runtime", str(tmp_path / "runtime"), PATH=path) as process:
        code, out, err = await said(process)
    assert code == 1 and "无法启动 / cannot start" in err and "no mirror" in err and "Traceback" not in out + err


@pytest.mark.parametrize(("sig", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_signal_while_programs_are_unpacked_stops_the_unpacking(
    tmp_path: Path, sig: signal.Signals, code: int
) -> None:
    path, pid = unpacker(tmp_path, "exec /bin/sleep 120"), tmp_path / "pid"
    async with dialtest(tmp_path, "queue", "--runtime", str(tmp_path / "runtime"), PATH=path) as process:
        async with asyncio.timeout(PATIENCE):
            while not pid.exists():  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.02)
        unpacking = int(pid.read_text())
        process.send_signal(sig)
        try:
            got, out, err = await said(process)
            assert (got, "Traceback" in out + err) == (code, False), out + err
            assert not lives(unpacking)
        finally:
            if lives(unpacking):
                os.kill(unpacking, signal.SIGKILL)


async def test_a_running_instance_is_played_by_several_callers_at_once(
    runtime_root: RuntimeRoot, instance: Instance, tmp_path: Path
) -> None:
    words = ("--state", str(instance.state), "--runtime", str(runtime_root.path.parent), "--json")
    code, out, err = await ran(tmp_path, "queue", "--n", "3", "--beside", "3", *words)
    assert code == 0, out + err
    told = json.loads(out)
    assert told["passed"] is True and told["n"] == 3 and told["leftovers"] == []
    assert await instance._healthy(), "it runs on"


async def test_the_same_seed_may_be_played_again_on_a_stack_that_keeps_its_record(instance: Instance) -> None:
    for _ in range(2):
        report = await play(instance, "queue", 1, seed=3)
        assert report.passed, report.runs


# -- a stack known only from a file ------------------------------------------------------------
def described(instance: Instance, folder: Path, more: Mapping[str, object] | None = None) -> Path:
    """A target file as a person would write it, beside the files of the seats' passwords."""
    seats = SCENARIOS["queue"].seats
    for number in seats:
        seat = instance.directory.seat(number)
        assert seat is not None
        (folder / f"{number}.secret").write_text(seat.password(instance.key) + "\n")
    file = folder / "staging.yaml"
    file.write_text(json.dumps({
        "site": instance.site, "sip": {"host": "127.0.0.1", "port": instance.ports.sip},
        "local": {"seats": "127.0.0.1", "callers": TRUNK_HOST},
        "redis": {"url": f"redis://127.0.0.1:{instance.ports.redis}/0"},
        "seats": [{"number": number, "password_file": f"{number}.secret"} for number in seats], **(more or {}),
    }))  # fmt: skip
    return file


async def test_a_stack_described_in_a_file_is_played_and_judged(instance: Instance, tmp_path: Path) -> None:
    asked = instance.asterisk_command("{command}")
    file = described(instance, tmp_path, {"asterisk": asked})
    code, out, err = await ran(tmp_path, "queue", "--n", "2", "--ladder", "--target", str(file))
    assert code == 0, out + err
    assert "通过 passed" in out and "未查" not in out
    assert out.count("来电 12345 / call to 12345") == 2 and out.count("■ 通话结果 answered") == 2
    assert out.count("听见 heard: music") == 2 and out.count("间隙 gap: 无 / none") == 2
    for number in SCENARIOS["queue"].seats:
        seat = instance.directory.seat(number)
        assert seat is not None and seat.password(instance.key) not in out + err


async def test_what_cannot_be_asked_is_said_and_json_keeps_its_form(instance: Instance, tmp_path: Path) -> None:
    file = str(described(instance, tmp_path))
    code, out, _ = await ran(tmp_path, "queue", "--n", "1", "--target", file)
    assert code == 0 and "残留未查" in out and "leftovers not checked" in out
    code, out, _ = await ran(tmp_path, "queue", "--n", "1", "--target", file, "--json")
    told = json.loads(out)
    assert code == 0 and told["passed"] is True and told["leftovers"] is None
    assert "ladder" not in told["runs"][0] and told["runs"][0]["ref"].startswith(instance.site)


async def test_a_failed_run_shows_its_ladder_though_it_failed_before_it_was_looked_up(
    instance: Instance, tmp_path: Path
) -> None:
    """The queue takes no seat: each of them is paused. By the service; what a hand paused it would put right."""
    token = Tokens(instance.http_secret).make(Who("supervisor"))
    for number in SCENARIOS["queue"].seats:
        request = urllib.request.Request(
            f"http://127.0.0.1:{instance.ports.http}/api/v1/seats/{number}/status",
            b'{"status": "paused", "reason": "rest"}',
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
        with await asyncio.to_thread(urllib.request.urlopen, request, timeout=5) as answer:
            assert answer.status == 200
    code, out, err = await ran(tmp_path, "queue", "--n", "1", "--target", str(described(instance, tmp_path)))
    assert code == 1 and "Traceback" not in err
    assert "no seat answered" in out and "来电 12345 / call to 12345" in out and "听见 heard: music" in out


async def test_calls_of_others_are_not_taken_for_our_leftovers_and_ours_are(on: Stage) -> None:
    other = await on.callers[0].dial("12345", caller_id="13911110000")
    assert await other.wait_answered(5)
    assert await whose(list(on.seats.values()), "13911110000", 5) is not None, "no seat rang"
    async with stage(on.instance, seats=[], callers=0) as second:
        assert await second.leftovers() == []
        ours = await on.callers[1].dial("12345", caller_id="13911110001")
        assert await ours.wait_answered(5)
        left = await second.leftovers(0.4)
        assert left and all("13911110001" in row for row in left if "PJSIP/pstn" in row)
        ours.hangup()


async def test_reading_the_record_again_reads_only_what_is_new(instance: Instance) -> None:
    async with stage(instance, seats=[], callers=1) as on:
        call = await on.callers[0].dial("12345", caller_id="13911112222")
        assert await call.wait_answered(5)
        async with asyncio.timeout(5):
            while not await on.facts():  # noqa: ASYNC110 (the service writes it)
                await asyncio.sleep(0.05)
        call.hangup()
        ref = (await on.facts())[0].ref
        assert await on.wait_fact("CallEnded", ref) is not None
        before = await bytes_sent(instance)
        for _ in range(50):
            await on.facts(ref)
        assert await bytes_sent(instance) - before < 50 * 100 + 5000, "empty pages, not the whole stream"
        known = await on.facts(ref)
        assert len(known) > 2 and len({fact.key for fact in known}) == len(known)


async def bytes_sent(instance: Instance) -> int:
    """Bytes Valkey has sent to all its clients."""
    client = LedgerStream(instance.site, f"redis://127.0.0.1:{instance.ports.redis}/0", timeout=2)
    try:
        return int((await client._redis.info("stats"))["total_net_output_bytes"])
    finally:
        await client.close()


@pytest.mark.parametrize(("change", "message", "cure"), [
    ({"redis": {"url": "redis://127.0.0.1:1/0"}}, "账本没有应答", "核对 redis 地址"),
    ({"asterisk": ["/bin/false", "{command}"]}, "/bin/false: exit 1", "核对 asterisk 命令"),
    ({"asterisk": ["/no/such", "{command}"]}, "/no/such", "核对 asterisk 命令"),
    ({"local": {"seats": "192.0.2.9", "callers": TRUNK_HOST}}, "192.0.2.9", "本机的地址"),
    ({"seats": [{"number": "1001", "password": "wrong"}]}, "注册未成（401）", "核对口令"),
    ({"seats": [{"number": "1999", "password": "wrong"}]}, "没有席位 1001", ""),
])  # fmt: skip
async def test_a_target_that_does_not_answer_as_described(
    instance: Instance, tmp_path: Path, change: dict[str, object], message: str, cure: str
) -> None:
    code, out, err = await ran(tmp_path, "queue", "--n", "1", "--target", str(described(instance, tmp_path, change)))
    assert code == 1 and out == "" and "Traceback" not in err
    assert "无法启动 / cannot start" in err and message in err and cure in err
