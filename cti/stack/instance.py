"""One embedded installation in one state folder: Valkey, Asterisk and the service, started in order, stopped in
reverse.

Knows: ports, secrets and folders of an instance, so that several run beside each other. Must not know: what is tested
on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from cti.directory import Directory, SiteEntry, Trunk
from cti.settings import RecordingSettings
from cti.share import folder
from cti.stack import netports
from cti.stack.asterisk import (
    asterisk_child,
    make_run_folder,
    modules_of,
    run_folder,
    tidy_run_folder,
    write_configuration,
)
from cti.stack.prometheus import prometheus_child
from cti.stack.prometheus import write_configuration as write_monitoring
from cti.stack.render import Place
from cti.stack.root import RuntimeRoot
from cti.stack.statelock import StateLock
from cti.stack.supervise import Child, Supervisor
from cti.stack.valkey import valkey_child

TRUNK_HOST = "127.0.0.2"
"""Outside callers of an embedded instance come from here, so that they are never mistaken for a seat on 127.0.0.1."""
RTP_PORTS = 1200
"""about 300 calls (ASTERISK.md §7)"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of one instance, all on loopback."""

    ami: int
    agi: int
    http: int
    redis: int
    sip: int
    rtp_first: int
    rtp_last: int
    prometheus: int = 0
    """0: there is none"""
    web: int = 0
    """WebSocket, for browsers' phones; 0: as the templates have it"""


class PortsTaken(Exception):
    """Fixed ports that somebody has; the text names each owner."""


def free_ports() -> Ports:
    """Ports nobody has now, claimed against other instances."""
    rtp = netports.free_udp_range(RTP_PORTS)
    claimed = [*rtp]
    try:
        for claim in (*[netports.free_tcp_port] * 5, netports.free_udp_port):
            claimed.append(claim())
    except OSError:
        netports.release(*claimed)
        raise
    ami, agi, http, redis, web, sip = claimed[-6:]
    return Ports(ami, agi, http, redis, sip, rtp.start, rtp.stop - 1, web=web)


def check_ports(ports: Ports) -> None:
    """Raises `PortsTaken` naming every port of these that is in use, and by whom."""
    wanted = [(ports.ami, "tcp"), (ports.agi, "tcp"), (ports.http, "tcp"), (ports.redis, "tcp"), (ports.sip, "udp"),
              *([(ports.prometheus, "tcp")] if ports.prometheus else [])]  # fmt: skip
    taken = [str(t) for port, kind in wanted if (t := netports.check_free(port, kind))]  # type: ignore[arg-type]
    if taken:
        raise PortsTaken("; ".join(taken))


class Instance:
    """``async with Instance(...)``: everything runs inside, nothing is left behind outside, nor by a start that fails.

    Entering raises `StateTaken`, `PortsTaken`, `ChildFailed`, `RootFailed`, and OSError for a folder that cannot be
    used. Ports are claimed from the making on; they go back when the block is left or could not be entered.
    ``sites``: the neighbours and this site itself, as they are reached on this machine (see `cti.stack.sites`);
    ``redis``: the port of a Redis another instance runs; ``settings``: more of the service's environment;
    ``voice``: prompts are spoken, else short signs (a dial test measures the switch, not the length of sentences).
    ``watch``: s between two looks of a Prometheus of its own, which also looks at the neighbours in ``watched``
    (code → HTTP port, to be filled before entering); 0: none.
    """

    def __init__(self, root: RuntimeRoot, state: Path, directory: Directory, config: Path, templates: Path, *,
                 site: str = "530100", ports: Ports | None = None, service: bool = True,
                 sites: Sequence[SiteEntry] = (), redis: int | None = None,
                 settings: Mapping[str, str] | None = None, voice: bool = False,
                 recording: RecordingSettings | None = None, watch: float = 0.0) -> None:  # fmt: skip
        self.root, self.state, self.config, self.templates = root, state.resolve(), config, templates
        trunks = tuple(_here(t) for t in directory.trunks)
        self.directory = directory.model_copy(update={"trunks": trunks, "sites": tuple(sites)})
        self.site = site
        self.recording = recording or RecordingSettings()
        if "path" not in self.recording.model_fields_set:
            spool = self.state / "asterisk" / "spool" / "recordings"
            self.recording = self.recording.model_copy(update={"path": spool})
        self.ports = ports or free_ports()
        if watch and not self.ports.prometheus:
            self.ports = replace(self.ports, prometheus=netports.free_tcp_port())
        self.watch = watch
        self.watched = {site: self.ports.http}
        self.redis = redis or self.ports.redis
        self.extra = dict(settings or {})
        self.with_service, self.voice = service, voice
        self.supervisor = Supervisor()
        self.children: dict[str, Child] = {}
        self._undo = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(netports.release, *self.ports_claimed())
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            undo.enter_context(StateLock(self.state))
            self.state.chmod(0o700)  # callers' numbers and secrets are in it
            check_ports(self.ports)
            undo.callback((self.state / "instance.json").unlink, missing_ok=True)
            (self.state / "instance.json").unlink(missing_ok=True)  # of one that was killed: it is not us
            self._lay_out()
            make_run_folder(self.place)
            undo.callback(tidy_run_folder, self.place)
            await self._write()
            await undo.enter_async_context(self.supervisor)
            if self.redis == self.ports.redis:
                await self._start("valkey", valkey_child(self.root, self.state / "valkey", self.ports.redis))
            await self._start("asterisk", asterisk_child(self.root, self.place))
            if self.with_service:
                await self.start_service()
            if self.watch:
                await self._start("prometheus", self._prometheus())
            (self.state / "instance.json").write_text(json.dumps(self.facts(), indent=1), encoding="utf-8")
            self._undo = undo.pop_all()
        return self

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:  # Cancelled, it is waited for: nothing may write while we undo.
            await loop.run_in_executor(
                pool, write_configuration, self.templates, self.directory, self.place, self.key,
                self.root if self.voice else None, self.config)  # fmt: skip

    @classmethod
    def attached(cls, root: RuntimeRoot, state: Path, directory: Directory, templates: Path) -> Instance:
        """The instance that runs in ``state``, to look at and call: nothing is started or stopped through it.

        Raises FileNotFoundError when none runs there.
        """
        facts = json.loads((state / "instance.json").read_text(encoding="utf-8"))
        made = cls(root, state, directory, Path(facts["config"]), templates, site=facts["site"],
                   ports=Ports(**facts["ports"]), redis=facts["redis"])  # fmt: skip
        made._lay_out()
        return made

    def _lay_out(self) -> None:
        self.key = self._secret("instance.key")
        state = self.state / "asterisk"
        self.place = Place(
            site=self.site, state=state, etc=state / "etc", sounds=state / "sounds", run=run_folder(state),
            modules=modules_of(self.root), data=self.root.path / "usr/share/asterisk",
            sbin=self.root.path / "usr/sbin", ami_port=self.ports.ami, ami_username="cti",
            ami_secret=self._secret("ami.secret").hex(), sip_port=self.ports.sip,
            rtp=range(self.ports.rtp_first, self.ports.rtp_last + 1), agi_port=self.ports.agi,
            web_port=self.ports.web or 8088, recording=self.recording)  # fmt: skip

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._undo.__aexit__(kind, value, trace)

    def ports_claimed(self) -> tuple[int, ...]:
        """Every port number this instance holds a claim on."""
        p = self.ports
        mine = (p.ami, p.agi, p.http, p.redis, p.sip, *range(p.rtp_first, p.rtp_last + 1))
        return (*mine, *(port for port in (p.prometheus, p.web) if port))

    def facts(self) -> dict[str, object]:
        """What another process needs to find this instance (`instance.json`)."""
        return {"site": self.site, "state": str(self.state), "config": str(self.config), "redis": self.redis,
                "recordings": str(self.recording.path),
                "ports": asdict(self.ports), "pid": os.getpid()}  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        """The service's settings for this instance, as environment over `config/site.yaml`."""
        p = self.ports
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("CTI_")},
            "CTI_SITE__CODE": self.site,
            "CTI_AMI__PORT": str(p.ami),
            "CTI_AMI__USERNAME": "cti",
            "CTI_AMI__SECRET": self._secret("ami.secret").hex(),
            "CTI_AGI__PORT": str(p.agi),
            "CTI_HTTP__PORT": str(p.http),
            "CTI_HTTP__SECRET": self.http_secret,
            "CTI_REDIS__URL": f"redis://127.0.0.1:{self.redis}/0",
            "CTI_CEL__PATH": str(self.place.cel_file),
            "CTI_PATHS__STATE": str(self.state / "cti"),
            "CTI_RECORDING__PATH": str(self.recording.path),
            "CTI_RECORDING__KEEP_DAYS": str(self.recording.keep_days),
            "CTI_RECORDING__ENABLED": "true" if self.recording.enabled else "false",
            "CTI_RECORDING__FORMAT": self.recording.format,
            "CTI_RECORDING__MIN_FREE_MB": str(self.recording.min_free_mb),
            **self.extra,
        }

    async def start_service(self) -> Child:
        """The service as a child; ready when `/healthz` answers."""
        child = Child(
            name="cti", argv=[sys.executable, "-m", "cti", "run", "--config", str(self.config)], cwd=self.state,
            env=dict(self.environment()), log_path=self.state / "cti.log", ready=self._healthy,
            ready_timeout=30.0, grace=8.0)  # fmt: skip
        return await self._start("cti", child)

    def _prometheus(self) -> Child:
        source = next(p for p in (self.config / "prometheus", folder("config") / "prometheus") if p.is_dir())
        told = write_monitoring(source, self.state / "prometheus" / "etc", self.watched, self.watch)
        return prometheus_child(self.root, self.state / "prometheus", self.ports.prometheus, told)

    async def _start(self, name: str, child: Child) -> Child:
        await self.supervisor.start(child)
        self.children[name] = child
        return child

    async def _healthy(self) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports.http)
        try:
            writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()

    @property
    def http_secret(self) -> str:
        """What signs this instance's tokens."""
        return hmac.new(self.key, b"http", "sha256").hexdigest()

    def asterisk_command(self, command: str) -> list[str]:
        """argv of `asterisk -rx` against this instance."""
        return self.root.argv("asterisk", "-C", str(self.place.etc / "asterisk.conf"), "-rx", command)

    def _secret(self, name: str) -> bytes:
        path = self.state / name
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(secrets.token_bytes(32))
        return path.read_bytes()


def _here(trunk: Trunk) -> Trunk:
    return trunk.model_copy(update={"host": TRUNK_HOST, "accepts": (TRUNK_HOST,)})
