"""`cti dialplan diff` and `cti dialplan deploy`. Knows: options, exit codes, which instance, who records it. Must not
know: how a dialplan is proven or swapped."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from rich.console import Console

from cti.cli.dialtest import CANNOT_START, interruptible
from cti.cli.run import load
from cti.dialplan.check import check
from cti.dialplan.deploying import Deployment, deploy, loaded
from cti.dialplan.running import NotDeployed, Running, changed, difference
from cti.dialplan.stories.load import load_stories
from cti.dialplan.stories.playing import play, story_config
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.log import configure_logging
from cti.problem import ConfigError
from cti.prompts.catalogue import load_catalogue
from cti.prompts.recordings import look
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.render import render
from cti.stack.root import RuntimeRoot, ensure_root_with_bar
from cti.stack.sounds import ensure_sounds, greetings
from cti.web.auth import Tokens, Who

EPILOG = """\b
例 / Examples:
  cti dialplan diff                    运行中的与将上线的有何不同 / what would change
  cti dialplan deploy                  先试后换，不成自动恢复 / proven, swapped, probed, or taken back
  cti dialplan deploy --dialplan /srv/plan --stories /srv/plan/stories

\b
退出码 / Exit status:
  0  diff：相同；deploy：已上线或无变化 / the same; in force, or nothing to do
  1  diff：不同；deploy：被拒绝，什么也没动 / different; refused, nothing was touched
  2  用法不对 / wrong usage
  3  deploy：已自动恢复 / tried, failed, taken back
"""
STATE = click.option("--state", type=click.Path(path_type=Path), default=Path(".runtime/state"),
                     show_default=True, help="运行中的实例目录 / folder of the running instance")  # fmt: skip
PLAN = click.option("--dialplan", "plan", type=click.Path(path_type=Path, file_okay=False, exists=True), default=None,
                    help="拨号方案目录 / the dialplan's folder (default: the product's)")  # fmt: skip
CONFIGURED = click.option("--config", type=click.Path(path_type=Path, file_okay=False), default=None,
                          help="配置目录 / the configuration (default: the instance's)")  # fmt: skip
RUNTIME = click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
                       help="Asterisk 等程序所在 / where Asterisk and the others are unpacked")  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
SETTINGS = {"help_option_names": ["-h", "--help"]}


@dataclass(slots=True)
class Site:
    """A running instance, and what it is told from."""

    instance: Instance
    on: Stage
    root: RuntimeRoot
    directory: Directory
    config: Path
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.running = Running(self.instance.place.etc, self.on.rows, self.instance.place.cel_file)

    def made(self, plan: Path) -> dict[str, str]:
        """Its configuration files, of this dialplan."""
        return render(plan, self.instance.directory, self.instance.place, self.instance.key)

    def others(self, plan: Path) -> list[str]:
        """The lines that differ in files `dialplan show` tells nothing of: queues, phones, features."""
        made = self.made(plan)
        shown = {"extensions.conf", *re.findall(r"^#include (\S+)", made["extensions.conf"], re.MULTILINE)}
        before = self.running.files([*made])
        return [line for name in changed(before, made) if name not in shown
                for line in (f"~ {name}", *difference(before.get(name, "").splitlines(), made[name].splitlines())[2:])]

    async def wanted(self, plan: Path) -> list[str]:
        """What it would show. Raises NotDeployed."""
        return await loaded(self.root, self.directory, self.config, plan, self.instance.site,
                            self.instance.place.etc / "local.d")  # fmt: skip

    async def record(self, done: Deployment, stories: int) -> None:
        """On record in the ledger, by the service. Raises OSError."""
        body = {"outcome": done.outcome, "before": done.before, "after": done.after, "files": " ".join(done.files),
                "why": done.why[:300], "stories": stories}  # fmt: skip
        await asyncio.to_thread(self._post, body)

    def _post(self, body: object) -> None:
        token = Tokens(self.instance.http_secret).make(Who("supervisor", name="deploy"))
        url = f"http://127.0.0.1:{self.instance.ports.http}/api/v1/dialplan/deployed"
        request = urllib.request.Request(url, json.dumps(body).encode(), {
            "Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()

    def service_answers(self) -> None:
        """Raises NotDeployed: what cannot be recorded is not done."""
        try:
            url = f"http://127.0.0.1:{self.instance.ports.http}/readyz"
            with urllib.request.urlopen(url, timeout=3) as answer:
                answer.read()
        except OSError as why:
            raise NotDeployed(f"服务没有应答，上线无从记录 / the service, which records it, does not answer: {why}"
                              "\n    → 先起服务 / start it first") from None  # fmt: skip


async def carry_out(site: Site, plan: Path, stories: Path | None, tell: Callable[[str], None] = lambda _: None, *,
                    checked: bool = True) -> Deployment:  # fmt: skip
    """Deploy ``plan`` on the site once the check (unless ``checked`` is false) finds nothing and the stories (None:
    without) pass; recorded. Raises NotDeployed, OSError."""
    played = 0

    async def prove() -> list[str]:
        nonlocal played
        await asyncio.to_thread(site.service_answers)
        if checked:
            tell("检查 / check")
            _check(site, plan)
        tell("装入临时 Asterisk / loaded by a throwaway Asterisk")
        wanted = await site.wanted(plan)
        if stories is not None:
            tell("故事 / stories")
            played = await _stories(site, plan, stories)
        return wanted

    await asyncio.to_thread(ensure_sounds, site.instance.place.sounds, site.root, load_catalogue(site.config),
                            look(site.config), greetings(site.directory))  # fmt: skip
    done = await deploy(site.running, site.made(plan), prove, tell)
    if done.outcome != "unchanged":
        await site.record(done, played)
    return done


def _check(site: Site, plan: Path) -> None:
    try:
        found = check(plan, site.directory, site.instance.site, config=site.config).findings
    except (OSError, UnicodeDecodeError) as why:
        raise NotDeployed(f"拨号方案读不了 / the dialplan cannot be read: {why}") from None
    if found:
        raise NotDeployed(f"检查有 {len(found)} 处问题 / the check found {len(found)} faults:\n"
                          + "\n".join(map(str, found[:10])))  # fmt: skip


async def _stories(site: Site, plan: Path, stories: Path) -> int:
    config = story_config([stories]) or site.config
    _, settings, directory = load(config)
    try:
        chosen = load_stories([stories], directory, plan)
    except ConfigError as why:
        raise NotDeployed(str(why)) from None
    with tempfile.TemporaryDirectory(prefix="hotline-cti-") as state:
        run = await play(site.root, Path(state), directory, config.resolve(), plan, settings.site.code, chosen,
                         beside=4, stop_at_first=True)  # fmt: skip
    failed = [f"{one.placed.file}:{one.line}: {one.placed.name}\n  {one.missed[0].wanted}\n  {one.missed[0].got}"
              for one in run.results if not one.passed]  # fmt: skip
    if failed:
        raise NotDeployed("故事没有通过 / a story did not pass:\n" + "\n".join(failed))
    return len(run.results)


@click.command("diff", epilog=EPILOG, context_settings=SETTINGS)
@STATE
@PLAN
@CONFIGURED
@RUNTIME
@JSON
def diff_command(state: Path, plan: Path | None, config: Path | None, runtime: Path, as_json: bool) -> None:
    """运行中的拨号方案与将上线的有何不同 / the running dialplan against what would be rendered.

    Both as Asterisk itself shows them (`dialplan show`), without file and line; globals too.
    """

    async def work(site: Site) -> int:
        found = difference(await site.running.show(), await site.wanted(plan or folder("dialplan")))
        found += site.others(plan or folder("dialplan"))
        if as_json:
            click.echo(json.dumps({"same": not found, "lines": found}, ensure_ascii=False, indent=1))
        else:
            click.echo("\n".join(found) if found else "相同 / the same")
        return 1 if found else 0

    _run(state, config, runtime, work)


@click.command("deploy", epilog=EPILOG, context_settings=SETTINGS)
@STATE
@PLAN
@CONFIGURED
@click.option("--stories", type=click.Path(path_type=Path, exists=True), default=None,
              help="上线前须通过的故事 / stories that must pass first (default: stories/ of the dialplan)")  # fmt: skip
@RUNTIME
@JSON
def deploy_command(state: Path, plan: Path | None, config: Path | None, stories: Path | None, runtime: Path,
                   as_json: bool) -> None:  # fmt: skip
    """上线：先在别处试过，再替换、重载、试拨；不成自动恢复 / into service: proven elsewhere, swapped, reloaded, probed.

    Calls go on meanwhile. What fails before the swap is refused and nothing was touched; what fails after it is taken
    back. Both are in the ledger (DialplanDeployed, DialplanRolledBack) with the hashes of both dialplans.
    """
    where = plan or folder("dialplan")

    async def work(site: Site) -> int:
        done = await carry_out(site, where, stories or where / "stories",
                               lambda text: click.echo(f"… {text}", err=True))  # fmt: skip
        if as_json:
            click.echo(json.dumps(asdict(done), ensure_ascii=False, indent=1))
        else:
            words = {"unchanged": "无变化 / nothing changed", "deployed": "已上线 / in force",
                     "rolled-back": "失败，已恢复 / failed, taken back"}  # fmt: skip
            click.echo(f"{words[done.outcome]}  {done.before[:12]} → {done.after[:12]}  {' '.join(done.files)}")
            if done.why:
                click.echo(done.why, err=True)
            if done.restart:
                click.echo(f"须重启 Asterisk 才生效 / read when Asterisk starts: {' '.join(done.restart)}", err=True)
        return 3 if done.outcome == "rolled-back" else 0

    _run(state, config, runtime, work)


def _run(state: Path, config: Path | None, runtime: Path, work: Callable[[Site], Coroutine[None, None, int]]) -> None:
    configure_logging("error", sys.stderr, json=False)
    root = ensure_root_with_bar(runtime.resolve(), Console(stderr=True))
    try:
        facts = json.loads((state / "instance.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise click.UsageError(f"{state} 没有在运行的实例 / no instance runs there; start one: cti up") from None
    at, _, directory = load(config or Path(facts["config"]))

    async def on_it() -> int:
        instance = Instance.attached(root, state, directory, folder("dialplan"))
        async with stage(instance, seats=[], callers=0) as on:
            return await work(Site(instance, on, root, directory, at.resolve()))

    try:
        with interruptible() as note:
            code = asyncio.run(note(on_it()))
    except NotDeployed as why:
        click.echo(f"未上线，什么也没动 / refused, nothing was touched\n{why}", err=True)
        sys.exit(1)
    except CANNOT_START as why:
        click.echo(f"无法进行 / cannot: {why}", err=True)
        sys.exit(1)
    sys.exit(code)
