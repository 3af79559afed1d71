"""`cti token`: a signed token for the API. Knows: where the signing secret is. Must not know: what a token may do."""

from __future__ import annotations

import hmac
import sys
from pathlib import Path

import click

from cti.cli.run import CONFIG, load
from cti.settings import Settings
from cti.web.auth import DEFAULT_HOURS, MAX_HOURS, ROLES, Tokens, Who


def signing_secret(settings: Settings, state: Path | None) -> str:
    """What signs tokens: of the instance in ``state``, else of ``site.yaml``. Ends the command when there is none."""
    if state is None:
        secret = settings.http.read_secret()
    else:
        try:
            secret = hmac.new((state / "instance.key").read_bytes(), b"http", "sha256").hexdigest()
        except FileNotFoundError:
            raise click.UsageError(f"{state} 里没有实例 / no instance there; start one: cti up") from None
    if secret is None:
        click.echo("未设 http.secret：在 site.yaml 写 http.secret_file，或用 --state / "
                   "http.secret is not set: give http.secret_file in site.yaml, or use --state", err=True)  # fmt: skip
        sys.exit(1)
    return secret


@click.command()
@click.option("--seat", default="", help="座席号（坐席角色） / the agent's seat")
@click.option("--role", type=click.Choice(ROLES), default="agent", show_default=True)
@click.option("--hours", type=click.IntRange(1, MAX_HOURS), default=DEFAULT_HOURS, show_default=True,
              help="有效小时 / valid for so long")  # fmt: skip
@click.option("--name", default="",
              help="姓名或工号，骚扰名单须有 / the person, whom the nuisance list must name")
@click.option("--state", type=click.Path(path_type=Path), default=None,
              help="运行中的实例目录 / for the embedded instance in this folder (cti up)")  # fmt: skip
@CONFIG
def token(seat: str, role: str, hours: int, name: str, state: Path | None, config: Path | None) -> None:
    """发一枚接口令牌 / make a token for the API.

    \b
    cti token --seat 1001 --state .runtime/state
    curl -H "Authorization: Bearer $(cti token --seat 1001 --state .runtime/state)" ... /api/v1/transfers
    """
    _, settings, directory = load(config)
    if seat and directory.seat(seat) is None:
        raise click.UsageError(f"没有座席 {seat} / no seat {seat} in config/seats.yaml")
    secret = signing_secret(settings, state)
    try:
        click.echo(Tokens(secret).make(Who(role=role, seat=seat, hours=hours, name=name.strip()[:32])))  # type: ignore[arg-type]
    except ValueError:
        raise click.UsageError("坐席须有 --seat，其他角色不带 / an agent needs --seat, other roles have none") from None
