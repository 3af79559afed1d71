"""What `cti render` writes runs on a real Asterisk that keeps folders of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cti.directory import Directory
from cti.stack.asterisk import FOLDERS, asterisk_child, make_run_folder, modules_of, run_folder, tidy_run_folder
from cti.stack.netports import free_tcp_port, free_udp_port, release
from cti.stack.render import Place
from cti.stack.root import RuntimeRoot
from cti.stack.supervise import Supervisor

pytestmark = pytest.mark.real

SECRET = "a secret; of the site"


def rendered(out: Path, ami: int, sip: int) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CTI_")}
    environment |= {"CTI_AMI__SECRET": SECRET, "CTI_AMI__PORT": str(ami)}
    words = ["render", str(out), "--sip", f"127.0.0.1:{sip}", "--rtp", "30000-30100"]
    subprocess.run([sys.executable, "-m", "cti", *words], env=environment, check=True, timeout=60)


async def login(port: int) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"Action: Login\r\nUsername: cti\r\nSecret: {SECRET}\r\n\r\n".encode())
            await reader.readline()
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()


async def test_a_real_asterisk_runs_what_was_rendered(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    ami, sip = free_tcp_port(), free_udp_port()
    out, state = tmp_path / "site", tmp_path / "asterisk"
    rendered(out, ami, sip)
    (out / "local.d/site.conf").write_text("[of-the-site]\nexten => 1,1,NoOp()\n")
    # An unpacked Asterisk was built for folders this machine does not have: here they are named, as a package's
    # Asterisk has them built in. Everything else is what was written.
    place = Place(
        site="530100", state=state, etc=out, sounds=out / "sounds", run=run_folder(state),
        modules=modules_of(runtime_root), data=runtime_root.path / "usr/share/asterisk",
        sbin=runtime_root.path / "usr/sbin", ami_port=ami, ami_username="cti", ami_secret=SECRET, sip_port=sip,
        rtp=range(30000, 30101), agi_port=1)  # fmt: skip
    for name in FOLDERS:
        (state / name).mkdir(parents=True, exist_ok=True)
    folders = {"astmoddir": place.modules, "astdatadir": place.data, "astrundir": place.run, "astdbdir": state / "db",
               "astlogdir": state / "log", "astspooldir": state / "spool", "astvarlibdir": state / "lib"}  # fmt: skip
    own = out / "asterisk.conf"
    own.write_text(own.read_text().replace(
        "[directories]\n", "[directories]\n" + "".join(f"{k} => {v}\n" for k, v in folders.items())))  # fmt: skip

    async def says(command: str) -> str:
        argv = runtime_root.argv("asterisk", "-C", str(own), "-rx", command)
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        told, _ = await asyncio.wait_for(process.communicate(), 20)
        return told.decode()

    make_run_folder(place)
    try:
        async with Supervisor() as supervisor:
            await supervisor.start(asterisk_child(runtime_root, place))
            await says("core waitfullybooted")
            assert b"Response: Success" in await login(ami)
            assert "'12345'" in await says("dialplan show from-trunk")
            assert "hotline" in await says("dialplan show hotline")
            assert "NoOp" in await says("dialplan show of-the-site")
            endpoints = await says("pjsip show endpoints")
            assert all(seat.number in endpoints for seat in directory.seats)
            lines = await says("queue show")
            assert "110-dedicated" in lines and "PJSIP/8001" in lines
            log = (state / "log/messages").read_text()
            # It complains of many a file it can do without; of none that was written.
            ours = [path.name for path in out.glob("*.conf")]
            assert not [line for line in log.splitlines() if "ERROR" in line and any(f"'{n}'" in line for n in ours)]
    finally:
        tidy_run_folder(place)
        release(ami, sip)
