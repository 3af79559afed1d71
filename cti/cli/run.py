"""`cti run` the service alone; `cti up` everything embedded. Knows: exit codes. Must not know: what they
start."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from pathlib import Path

import click
import uvloop

from cti.directory import Directory, load_directory
from cti.log import configure_logging
from cti.problem import ConfigError
from cti.settings import Settings, load_settings
from cti.share import folder
from cti.stack.stopping import until_stopped

CONFIG = click.option("--config", type=click.Path(path_type=Path, file_okay=False), envvar="CTI_CONFIG",
                      help="配置目录 / folder of the configuration (default: the product's own)")  # fmt: skip


def load(config: Path | None) -> tuple[Path, Settings, Directory]:
    """Settings and directory, or every problem on stderr and exit 1."""
    where = config or folder("config")
    try:
        settings = load_settings(where / "site.yaml" if (where / "site.yaml").exists() else None)
        return where, settings, load_directory(where, dt.date.today())
    except ConfigError as why:
        click.echo(str(why), err=True)
        click.echo("配置有误，先运行 cti check / the configuration is wrong: run cti check", err=True)
        sys.exit(1)


@click.command()
@CONFIG
def run(config: Path | None) -> None:
    """只起服务，接你的 Asterisk 与 Redis / the service alone, against your Asterisk and Redis.

    \b
    cti run --config /etc/hotline-cti
    CTI_AMI__HOST=10.0.0.5 cti run
    """
    from cti.app import Service

    _, settings, directory = load(config)
    configure_logging(settings.log.level, sys.stderr, json=settings.log.format == "json")

    async def serve() -> None:
        service = Service(settings, directory)
        try:
            await service.run()
        finally:
            await service.close()

    # uvloop: a request from outside passes some ten turns of the loop on its way to Asterisk
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_stopped(serve()))


@click.command()
@CONFIG
@click.option("--state", type=click.Path(path_type=Path), default=Path(".runtime/state"), show_default=True,
              help="本实例的目录 / folder of this instance")  # fmt: skip
@click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
              help="Asterisk 等程序所在 / where Asterisk and the others are unpacked")  # fmt: skip
@click.option("--demo", is_flag=True, help="模拟来电与终端视图 / simulated callers and a live view")
@click.option("--seconds", type=float, default=None, help="到时自停 / stop after so long")
@click.option("--sites", type=click.IntRange(1, 16), default=1, show_default=True,
              help="站点数，依 sites.yaml / how many sites of sites.yaml, beside each other")  # fmt: skip
@click.option("--scenario", type=click.Choice(["flood"]), default=None,
              help="演示一个场景，含 --demo，至少两个站点 / a story, with --demo and two sites at least")  # fmt: skip
@click.option("--watch", type=click.FloatRange(0, 60), default=5.0, show_default=True,
              help="Prometheus 几秒看一次，0 则不起 / s between Prometheus' looks; 0: none is started")  # fmt: skip
def up(config: Path | None, state: Path, runtime: Path, demo: bool, seconds: float | None, sites: int,
       scenario: str | None, watch: float) -> None:  # fmt: skip
    """起一套完整系统 / Valkey, Asterisk, the service and Prometheus, on loopback; Ctrl-C stops all of it.

    \b
    cti up                     安静地运行 / run quietly
    cti up --demo              四个 12345 席位、三个 110 专席、模拟来电 / demo seats and callers
    cti up --demo --sites 2    两个站点，可互借席位 / two sites that lend each other seats
    cti up --scenario flood    暴雨：应急方案启动、运行、停止 / a flood: an emergency plan from start to stop
    """
    from cti.demo.show import show

    where, settings, directory = load(config)
    sites = max(sites, 2) if scenario else sites
    if sites > max(1, len(directory.sites)):
        raise click.UsageError(f"sites.yaml 只有 {len(directory.sites)} 个站点 / sites.yaml has no more sites")
    demo = demo or bool(scenario)
    sys.exit(show(where, settings, directory, state, runtime, demo, seconds, sites, scenario or "", watch))
