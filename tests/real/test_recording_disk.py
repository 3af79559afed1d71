"""Recording as it is set: hotlines left out, other formats; and disks that are ill or full, which never cost a call."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.settings import RecordingSettings
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.conftest import SEATS
from tests.real.recordings import SAID_S, indexed, phones, settled, swapped
from tests.real.room import hears
from tests.real.story import CLI, data_of, ended, talking

pytestmark = pytest.mark.real


@asynccontextmanager
async def recording(root: RuntimeRoot, state: Path, directory: Directory,
                    rules: RecordingSettings) -> AsyncIterator[Stage]:  # fmt: skip
    async with (
        Instance(root, state, directory, folder("config"), folder("dialplan"), recording=rules) as instance,
        stage(instance, seats=SEATS, callers=1) as on,
    ):
        yield on
        for phone in phones(on):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []


async def metrics(on: Stage) -> dict[str, float]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{on.instance.ports.http}/metrics") as got,
    ):
        lines = (line.rpartition(" ") for line in (await got.text()).splitlines() if line.startswith("cti_rec"))
        return {name: float(value) for name, _, value in lines}


async def test_a_hotline_may_be_left_out(runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory) -> None:
    lines = tuple(h.model_copy(update={"record": h.number != "12345"}) for h in directory.hotlines)
    changed = directory.model_copy(update={"hotlines": lines})
    async with recording(runtime_root, tmp_path / "s", changed, RecordingSettings()) as on:
        call, seat = await talking(on)
        target = await swapped(on, call, seat)
        assert data_of(target)["recording"] == ""
        call.hangup()
        await ended(on)
        await asyncio.sleep(3)
        assert not [f for f in await on.facts() if f.kind.startswith("Recording")]
        assert list(on.instance.recording.path.rglob("*.wav")) == []


@pytest.mark.parametrize("format", ["alaw", "ulaw", "gsm"])
async def test_other_formats(runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory, format: str) -> None:
    rules = RecordingSettings.model_validate({"format": format, "keep_days": 1})
    async with recording(runtime_root, tmp_path / "s", directory, rules) as on:
        call, _seat = await talking(on)
        await asyncio.sleep(2)
        call.hangup()
        facts = await settled(on)
        begun, over = (next(f for f in facts if f.kind == kind).at for kind in ("SeatAnswered", "CallerLeft"))
        fact = indexed(facts)
        assert str(fact.data["file"]).endswith(f".{format}")
        assert abs(int(str(fact.data["ms"])) - (over - begun) / 1000) < 300
        assert int(str(fact.data["keep_until"])) - int(str(fact.data["since"])) == 86_400_000_000


async def test_where_nothing_can_be_written_calls_go_on_and_an_alarm_is_raised(
        runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory) -> None:  # fmt: skip
    (tmp_path / "file").touch()
    rules = RecordingSettings(path=tmp_path / "file" / "recordings")
    async with recording(runtime_root, tmp_path / "s", directory, rules) as on:
        call, seat = await talking(on)
        since = time.monotonic()
        await asyncio.sleep(SAID_S)
        assert call.heard().longest_without({seat.phone.name}, since, time.monotonic() - 0.1) <= 60
        target = await swapped(on, call, seat)
        await hears(call, target.phone.name)
        call.hangup()
        facts = await settled(on, kind="RecordingMissing")
        assert [f.data["why"] for f in facts if f.kind == "RecordingMissing"] == ["no-file"]
        found = await metrics(on)
        assert found["cti_recordings_writable"] == 0 and found['cti_recordings_total{what="no-file"}'] == 1
        log = (on.instance.state / "cti.log").read_text(encoding="utf-8")
        assert "recordings_not_writable" in log and "recording_missing" in log and CLI not in log


FULL = """
mkdir -p {disk} && mount -t tmpfs -o size=96k tmpfs {disk} || exit 77
exec {python} -m pytest -q -p no:cacheprovider {test}::test_on_a_full_disk
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux's unshare makes the small disk")
def test_a_full_disk_costs_the_file_alone(tmp_path: Path) -> None:
    """The story below, in a mount namespace of its own with a disk of 96 kB. 77: this machine allows no namespace."""
    disk = tmp_path / "disk"
    script = FULL.format(disk=disk, python=sys.executable, test=Path(__file__))
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=folder("config").parent, text=True, check=False,
                          env={**os.environ, "FULL_DISK": str(disk)}, capture_output=True, timeout=110)
    if done.returncode in (1, 77) and "unshare" in done.stderr + done.stdout:
        pytest.skip(f"no namespace here: {done.stderr.strip()[-100:]}")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-500:]


async def test_on_a_full_disk(runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory) -> None:
    disk = os.environ.get("FULL_DISK")
    if disk is None:
        pytest.skip("run by the test above, on its small disk")
    rules = RecordingSettings(path=Path(disk) / "recordings", min_free_mb=0)
    async with recording(runtime_root, tmp_path / "s", directory, rules) as on:
        assert (await metrics(on))["cti_recordings_writable"] == 1
        call, seat = await talking(on)
        since = time.monotonic()
        await asyncio.sleep(9)
        for one, other in ((call, seat), (seat, call)):
            assert one.heard().longest_without({other.phone.name}, since, time.monotonic() - 0.1) <= 60
        target = await swapped(on, call, seat)
        await hears(call, target.phone.name)
        call.hangup()
        fact = indexed(await settled(on))
        assert 0 < int(str(fact.data["ms"])) < 7000
        found = await metrics(on)
        assert found["cti_recordings_free_bytes"] < 4096
        assert "recording_entry_not_written" in (on.instance.state / "cti.log").read_text(encoding="utf-8")
