"""Simulated callers: SIPp, from outside the trunk, at a gentle rate, each with a voice of its own.

Knows: SIPp's files and arguments. Must not know: seats. Source: SIPp 3.7 documentation (rtp_stream, injection files).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

from cti.dialtest import rtp, tones
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.netports import free_udp_port, free_udp_range, release
from cti.stack.supervise import Child

NAMES = ("张三", "李四", "王芳", "赵敏", "Liu Yang", "陈静")
AREAS = ("0871", "0872", "0874", "0879", "0691")


def _callers(rng: random.Random, voice: Path, longer: int, count: int = 200) -> str:
    """SIPp's injection file: number;name;voice;ms until he hangs up (``longer``: ms more)."""
    lines = ["SEQUENTIAL"]
    for _ in range(count):
        number = f"1{rng.randint(30, 99)}{rng.randint(0, 99_999_999):08d}"
        if rng.random() < 0.4:
            number = f"{rng.choice(AREAS)}{rng.randint(2_000_000, 69_999_999):08d}"
        stay = rng.randint(1_500, 3_000) if rng.random() < 0.05 else rng.randint(9_000, 20_000)
        lines.append(f"{number};{rng.choice(NAMES)};{voice};{stay + longer}")
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def calling(
    instance: Instance, hotline: str, seconds_between: float, seed: int, tone: int, name: str = "", longer: int = 0
) -> AsyncIterator[Child]:
    """SIPp calls one hotline, one caller every ``seconds_between`` s, until the block is left. ``name``: of the child,
    where one hotline has several; ``longer``: ms more than usual before they hang up. ChildFailed."""
    ports: list[int] = []
    try:
        media = free_udp_range(64)
        ports += media
        ports.append(free_udp_port())
        child = _child(instance, hotline, seconds_between, seed, tone, media, ports[-1], name or hotline, longer)
        try:
            await instance.supervisor.start(child)
            yield child
        finally:
            await instance.supervisor.stop(child)
    finally:
        release(*ports)


def _child(instance: Instance, hotline: str, seconds_between: float, seed: int, tone: int, media: range,
           port: int, name: str, longer: int) -> Child:  # fmt: skip
    folder = instance.state / "callers" / name
    folder.mkdir(parents=True, exist_ok=True)
    voice = folder / "voice.alaw"
    voice.write_bytes(rtp.alaw(tones.samples(tone)) * (8000 // len(tones.samples(tone))))
    table = folder / "callers.csv"
    table.write_text(_callers(random.Random(seed), voice, longer), encoding="utf-8")
    argv = instance.root.argv(
        "sipp", f"127.0.0.1:{instance.ports.sip}", "-sf", str(Path(__file__).with_name("caller.xml")), "-s", hotline,
        "-inf", str(table), "-i", TRUNK_HOST, "-mi", TRUNK_HOST, "-p", str(port), "-nostdin",
        "-min_rtp_port", str(media.start), "-max_rtp_port", str(media.stop - 1),
        "-r", "1", "-rp", str(int(seconds_between * 1000)), "-l", "20", "-recv_timeout", "180000",
        "-skip_rlimit",
    )  # fmt: skip

    async def ready() -> bool:
        await asyncio.sleep(0)
        return True

    return Child(name=f"callers-{name}", argv=argv, cwd=folder, env=None, log_path=folder / "sipp.log",
                 ready=ready, ready_timeout=5.0, grace=2.0)  # fmt: skip
