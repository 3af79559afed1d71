"""`cti dialplan trace`: the way a call would take. Knows: options. Must not know: how it is found out."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from cti.cli.dialtest import CANNOT_START, interruptible
from cti.cli.run import CONFIG, load
from cti.dialplan.path import ladder, walk
from cti.log import configure_logging
from cti.share import folder
from cti.stack.root import ensure_root_with_bar

EPILOG = """\b
例 / Examples:
  cti dialplan trace 12345 --at "2026-10-01 03:00" --from 13900001234
  cti dialplan trace 12345 --seat 1001=busy --seat 1002="answers after 1"
  cti dialplan trace 12345 --press 1 --no-service    服务停了会怎样 / with the service dead
"""


def _seats(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    made = {}
    for value in values:
        number, equals, does = value.partition("=")
        if not equals or not number.isdigit():
            raise click.BadParameter('须为 号码=行为 / must be NUMBER=BEHAVIOUR, e.g. 1001="answers after 1"')
        made[number] = does
    return made


@click.command("trace", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("number")
@click.option("--at", default=None, metavar='"2026-10-01 03:00"', help="何时来电 / when the call comes (default: now)")
@click.option("--from", "caller", default="13900001234", show_default=True, help="来电号码 / the caller's number")
@click.option("--seat", "seats", multiple=True, callback=_seats, metavar="NUMBER=BEHAVIOUR",
              help="席位做什么；不写则无人在席 / what a seat does; none: nobody is there")  # fmt: skip
@click.option("--press", "keys", multiple=True, help="接通后依次按的键 / keys pressed, a second apart")
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=5.0, show_default=True,
              help="看多久 / how long it is watched")  # fmt: skip
@click.option("--service/--no-service", default=True, help="服务在不在 / with or without the service")
@click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
@click.option("--dialplan", "plan", type=click.Path(path_type=Path, file_okay=False, exists=True), default=None,
              help="拨号方案目录 / the dialplan's folder (default: the product's)")  # fmt: skip
@click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
              help="Asterisk 等程序所在 / where Asterisk and the others are unpacked")  # fmt: skip
@CONFIG
def trace_command(number: str, at: str | None, caller: str, seats: dict[str, str], keys: tuple[str, ...],
                  seconds: float, service: bool, as_json: bool, plan: Path | None, runtime: Path,
                  config: Path | None) -> None:  # fmt: skip
    """一通电话会怎么走：真拨一次 / the way a call would take: really dialled, on a throwaway Asterisk.

    The contexts and priorities it passed, in order, with prompts and what the other channels did.
    """
    configure_logging("error", sys.stderr, json=False)
    where, settings, directory = load(config)
    unknown = [seat for seat in seats if directory.seat(seat) is None]
    if unknown:
        raise click.UsageError(f"没有席位 {unknown[0]} / there is no seat {unknown[0]}: seats.yaml")
    try:
        root = ensure_root_with_bar(runtime.resolve(), Console(stderr=True))
        with interruptible() as note:
            found = asyncio.run(note(walk(
                root, directory, where.resolve(), plan or folder("dialplan"), settings.site.code, number, at=at,
                caller=caller, seats=seats, keys=keys, seconds=seconds, service=service)))  # fmt: skip
    except ValidationError as why:
        raise click.UsageError("; ".join(_said(error) for error in why.errors())) from None
    except ValueError as why:
        click.echo(str(why), err=True)
        sys.exit(1)
    except CANNOT_START as why:
        click.echo(f"无法启动 / cannot start: {why}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1))
    else:
        click.echo("\n".join(ladder(found)))
    sys.exit(0 if found else 1)


def _said(error: object) -> str:
    assert isinstance(error, dict)
    cure = error.get("ctx", {}).get("cure", "")
    return f"{error['msg']}" + (f" → {cure}" if cure else "")
