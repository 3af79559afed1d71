"""`cti dialplan check` with a real Asterisk: the shipped dialplan loads without a word, what Asterisk alone refuses
is told at the
line it was written, and a browser's seat is a phone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import ssl
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from cti.dialplan import known
from cti.dialplan.load import LISTED
from cti.directory import Directory
from cti.share import folder
from cti.stack import netports
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot

CONFIG, DIALPLAN = folder("config"), folder("dialplan")
WHOLE_S = 10.0
"""the whole check, at most"""


async def checked(root: RuntimeRoot, *arguments: str) -> tuple[int, Mapping[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cti",
        "dialplan",
        "check",
        "--json",
        "--config",
        str(CONFIG),
        "--runtime",
        str(root.path.parent),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, json.loads(said)


async def test_the_shipped_dialplan_loads_without_a_word(runtime_root: RuntimeRoot, directory: Directory) -> None:
    began = time.monotonic()
    code, report = await checked(runtime_root)
    assert (code, report["findings"]) == (0, []) and time.monotonic() - began < WHOLE_S
    there = report["asterisk"]
    assert there["contexts"] >= report["contexts"] and there["queues"] == 4
    assert there["endpoints"] == len(directory.seats) + len(directory.trunks) + len(directory.sites) - 1


async def test_what_asterisk_alone_refuses_is_told_at_its_line(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    copy = shutil.copytree(DIALPLAN, tmp_path / "dialplan")
    slips = {
        "pjsip.conf.j2": ("qualify_timeout = 1.5", "qualify_timeout = 1.5\nqualify_tmieout = 1"),
        "queues.conf.j2": ("strategy = rrmemory", "strategy = rrmemmory"),
        "features.conf.j2": ("featuredigittimeout = 1000", "featuredigittimeuot = 1000"),
    }
    for name, (before, after) in slips.items():
        text = (copy / name).read_text()
        assert before in text
        (copy / name).write_text(text.replace(before, after))
    (copy / "local.d").mkdir()
    (copy / "local.d/site.conf").write_text(
        "[of-the-site]\nexten => _X.,1,Playback(${SOUNDS}/goodbye)\n same => n,Hangup()\n"
    )
    code, report = await checked(runtime_root, "--dialplan", str(copy))
    assert code == 1
    found = {(f["file"], f["line"]) for f in report["findings"] if f["code"] == "asterisk"}
    wrong = {
        "pjsip.conf.j2": "qualify_tmieout",
        "queues.conf.j2": "rrmemmory",
        "features.conf.j2": "featuredigittimeuot",
    }
    for name, word in wrong.items():
        line = next(n for n, text in enumerate((copy / name).read_text().splitlines(), 1) if word in text)
        assert (name, line) in found, report["findings"]
    assert not [f for f in report["findings"] if f["file"].startswith("local.d")]


async def test_the_known_names_and_a_browsers_seat(
    runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path
) -> None:
    """The list of applications and functions `--no-load` judges by is this Asterisk's own; a `webrtc: true` seat
    registers by
    WebSocket, and its answer to a REGISTER is the challenge of its own endpoint."""
    seats = tuple(s.model_copy(update={"webrtc": s.number == "1001"}) for s in directory.seats)
    site = directory.model_copy(update={"seats": seats})
    cert, key, port = tmp_path / "cert.pem", tmp_path / "key.pem", netports.free_tcp_port()
    made = await asyncio.create_subprocess_exec(
        *runtime_root.argv(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"
        ),
        *("-days", "1", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert), "-config", "/dev/null"),
    )
    assert await made.wait() == 0

    class WithTls(Instance):
        def _lay_out(self) -> None:
            super()._lay_out()
            self.place = replace(self.place, wss=("127.0.0.1", port), cert=cert, cert_key=key)

    async with WithTls(runtime_root, tmp_path / "s", site, CONFIG, DIALPLAN, service=False, redis=9) as instance:

        async def says(command: str) -> str:
            process = await asyncio.create_subprocess_exec(
                *instance.asterisk_command(command), stdout=asyncio.subprocess.PIPE
            )
            told, _ = await asyncio.wait_for(process.communicate(), 20)
            return told.decode()

        await says("core waitfullybooted")
        live = {
            kind: set(LISTED[kind].findall(await says(f"core show {word}")))
            for kind, word in (("app", "applications"), ("func", "functions"))
        }
        applications, functions = known.names()
        assert applications == live["app"] and functions == live["func"]
        shown = await says("pjsip show endpoint 1001")
        wanted = {
            "webrtc": "yes",
            "media_encryption": "dtls",
            "dtls_auto_generate_cert": "Yes",
            "ice_support": "true",
            "use_avpf": "true",
        }
        values = dict(re.findall(r"^ (\w+) +: (\S+)", shown, re.MULTILINE))
        assert {k: values.get(k) for k in wanted} == wanted
        assert re.search(r"^ webrtc +: no", await says("pjsip show endpoint 1002"), re.MULTILINE)
        assert {"ws", "wss"} <= set(
            re.findall(r"^Transport: +(\S+)", await says("pjsip show transports"), re.MULTILINE)
        )
        for url, tls in ((f"http://127.0.0.1:{instance.ports.web}", None), (f"https://localhost:{port}", cert)):
            status = await _register(url, tls)
            assert status.startswith("SIP/2.0 401") and "WWW-Authenticate: Digest" in status, status


async def _register(url: str, cert: Path | None) -> str:
    trusted = ssl.create_default_context(cafile=str(cert)) if cert else True
    lines = [
        "REGISTER sip:127.0.0.1 SIP/2.0",
        "Via: SIP/2.0/WS a.invalid;branch=z9hG4bK1",
        "Max-Forwards: 70",
        "From: <sip:1001@127.0.0.1>;tag=1",
        "To: <sip:1001@127.0.0.1>",
        "Call-ID: 1@a.invalid",
        "CSeq: 1 REGISTER",
        "Contact: <sip:1001@a.invalid;transport=ws>",
        "Expires: 60",
        "Content-Length: 0",
        "",
        "",
    ]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{url}/ws", protocols=("sip",), ssl=trusted, timeout=aiohttp.ClientWSTimeout(ws_close=2)
        ) as ws,
    ):
        await ws.send_str("\r\n".join(lines))
        return str(await ws.receive_str(timeout=5))
