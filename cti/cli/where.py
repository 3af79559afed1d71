"""Where a site's ledger and service are, for commands that read the one and ask the other. Knows: an instance's folder,
`site.yaml`. Must not know: what is asked."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cti.cli.look import instance, port
from cti.cli.run import load
from cti.cli.token import signing_secret
from cti.settings import Settings
from cti.web.auth import Tokens, Who

EMBEDDED = Path(".runtime/state")
STATE = click.option("--state", type=click.Path(path_type=Path), default=None,
                     help="嵌入式实例的目录，默认 .runtime/state（若有），否则依 --config / folder of an embedded "
                     "instance; default .runtime/state if one is there, else what --config says")  # fmt: skip
BY = click.option("--by", envvar="CTI_NAME", default="", metavar="NAME",
                  help="办理人姓名或工号，入账；或环境变量 CTI_NAME / who does it, kept on record, "
                  "or CTI_NAME")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One site: its code, its Redis, its service, and the settings it was told."""

    site: str
    redis: str
    http: str
    settings: Settings
    state: Path | None


def where(state: Path | None, config: Path | None) -> Place:
    """The site; ends the command where none can be told."""
    _, settings, _ = load(config)
    if state is None and config is None and (EMBEDDED / "instance.json").exists():
        state = EMBEDDED
    if state is None:
        http = f"http://{settings.http.host}:{settings.http.port}"
        return Place(settings.site.code, settings.redis.address(), http, settings, None)
    here = instance(state)
    return Place(str(here["site"]), f"redis://127.0.0.1:{here['redis']}/0", f"http://127.0.0.1:{port(here, 'http')}",
                 settings, state)  # fmt: skip


def ask(place: Place, path: str, by: str, body: dict[str, Any] | None = None, timeout: float = 10) -> Any:
    """The service's answer, open to be read, as supervisor ``by``; ends the command when it refuses or is not there."""
    token = Tokens(signing_secret(place.settings, place.state)).make(Who("supervisor", hours=1, name=by))
    request = urllib.request.Request(
        f"{place.http}{path}", data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as refused:
        with contextlib.suppress(ValueError):
            problem = json.load(refused)
            end(f"{problem.get('title', refused.code)} {problem.get('detail', '')}".strip())
        end(f"{place.http}: HTTP {refused.code}")
    except (urllib.error.URLError, TimeoutError) as why:
        end(f"{place.http} 没有应答：须由服务记账，先 cti run / does not answer: the service keeps the record, "
            f"start it with cti run: {why}")  # fmt: skip


def end(words: str, code: int = 1) -> NoReturn:
    """Say why, and end the command."""
    click.echo(words, err=True)
    sys.exit(code)


def who(by: str) -> str:
    """A name, or the end of the command."""
    if not by.strip():
        raise click.UsageError("--by: 须写办理人，入账 / who does it must be named, it is kept on record: --by 李班长")
    return by.strip()[:40]


@contextlib.contextmanager
def bar(words: str, start_ms: int, end_ms: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr over a span of the ledger; tell it how far (ms) it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=max(1, end_ms - start_ms))
        yield lambda at_ms: progress.update(task, completed=min(max(0, at_ms - start_ms), end_ms - start_ms))


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name only once it is whole; its owner alone may read it."""
    temporary = path.with_name(path.name + ".part")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as why:
        end(f"{path}: 写不了 / cannot be written: {why.strerror}")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
