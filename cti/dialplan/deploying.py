"""Putting a dialplan into service: proven first, swapped, reloaded, compared, probed; taken back when anything fails.

Knows: the order, and what failure means at each step. Must not know: the command line, HTTP.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cti.dialplan.running import FIXED, NotDeployed, Running, changed, difference, digest, settle, swap, undo
from cti.dialtest.stack import AsteriskSilent, stage
from cti.directory import Directory
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot

COMPLAINTS: Final = ("pbx_config.c", "config.c: parse", "config.c: Unknown", "pbx.c: Cannot", "pbx.c: Unable",
                     "pbx.c: Missing", "app_queue.c: Error")  # fmt: skip
"""what Asterisk's log says of a dialplan it did not take whole"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """How it went. ``files``: those that changed; ``restart``: changed too, and read only when Asterisk starts."""

    outcome: Literal["unchanged", "deployed", "rolled-back"]
    before: str
    after: str
    files: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    why: str = ""


class _Trial(Instance):
    """With the hand-made additions of the running one."""

    additions: Path | None = None

    async def _write(self) -> None:
        await super()._write()
        if self.additions is not None and self.additions.is_dir():
            shutil.copytree(self.additions, self.place.etc / "local.d", dirs_exist_ok=True)


async def loaded(root: RuntimeRoot, directory: Directory, config: Path, dialplan: Path, site: str,
                 additions: Path | None = None) -> list[str]:  # fmt: skip
    """The dialplan as a throwaway Asterisk holds it, normalised; with the files of ``additions`` (local.d). Raises
    NotDeployed for what it complains of."""
    with tempfile.TemporaryDirectory(prefix="hotline-cti-") as state:
        trial = _Trial(root, Path(state), directory, config, dialplan, site=site, service=False)
        trial.additions = additions
        async with (
            trial as instance,
            stage(instance, seats=[], callers=0) as on,
        ):
            told = Running(instance.place.etc, on.rows, instance.place.cel_file)
            log = (instance.place.state / "log" / "messages").read_text(encoding="utf-8", errors="replace")
            bad = [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line]
            wrong = [line for line in bad if any(word in line for word in COMPLAINTS)]
            if wrong:
                raise NotDeployed("Asterisk 不接受 / Asterisk does not take it:\n" + "\n".join(wrong[:10]))
            return await told.show()


async def deploy(running: Running, made: Mapping[str, str], prove: Callable[[], Awaitable[list[str]]],
                 tell: Callable[[str], None] = lambda _: None) -> Deployment:  # fmt: skip
    """Put ``made`` (all configuration files by name) into service. ``prove`` tries it elsewhere first and returns what
    the running Asterisk must show afterwards; it raises NotDeployed, and then nothing was touched. Raises OSError."""
    if undo(running.etc):
        tell("上次上线中断，已先恢复 / a deploy was cut off: its files were put back first")
        await running.reload(())
    before = running.files([*made])
    files = changed(before, made)
    restart = tuple(name for name in files if name in FIXED)
    files = [name for name in files if name not in FIXED]
    old, new = digest(before), digest(made)
    if not files:
        return Deployment("unchanged", old, new, (), restart)
    wanted = await prove()
    shown = await running.show()
    after = {name: before[name] if name in FIXED and name in before else text for name, text in made.items()}
    why = ""
    try:
        swap(running.etc, before, after)
        await running.reload(files)
        if (found := difference(await running.show(), wanted)):
            why = f"装入的与应装的不同 / what it holds is not what was rendered: {found[2][:120]}"
        why = why or await running.probe()
    except (OSError, AsteriskSilent) as failed:
        why = f"重载未成 / the reload failed: {failed}"
    except BaseException:  # stopped in between: what was is in force again, then we go
        undo(running.etc)
        await running.reload(files)
        raise
    if not why:
        settle(running.etc)
        return Deployment("deployed", old, digest(after), tuple(files), restart)
    undo(running.etc)
    await running.reload(files)
    if difference(await running.show(), shown):
        why += "；恢复后仍与原来不同，请查看 / and after going back it is not what it was: look at it"
    return Deployment("rolled-back", old, digest(after), tuple(files), restart, why)
