"""One embedded Asterisk: its folders, its files, and the child process that runs it.

Knows: what Asterisk needs on disk and when it is ready. Must not know: what the configuration says (render.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from cti.directory import Directory
from cti.prompts.catalogue import load_catalogue
from cti.prompts.recordings import look
from cti.stack.render import Place, render
from cti.stack.root import RuntimeRoot
from cti.stack.sounds import ensure_sounds, greetings
from cti.stack.supervise import Child

FOLDERS = ("etc", "db", "lib", "agi", "cache", "spool", "sounds", "etc/local.d", "log/cel-custom", "log/cdr-custom")
"""Made beforehand: without log/cel-custom rows of Asterisk's own record are lost with one ERROR line (ASTERISK.md
§6)."""
SOCKET_MAX = 100
"""AF_UNIX holds 107 bytes; a longer name is cut short in silence, by Asterisk too"""


def run_folder(state: Path) -> Path:
    """Where the control socket lives: in the state folder, or, when that path is too long for AF_UNIX, a private
    folder of the temporary directory (or of /tmp, when that is too long as well) named after it."""
    digest = hashlib.sha256(str(state).encode()).hexdigest()[:12]
    elsewhere = f"hotline-cti-{os.getuid()}-{digest}"
    for folder in (state / "run", Path(tempfile.gettempdir()) / elsewhere):
        if len(os.fsencode(folder / "asterisk.ctl")) <= SOCKET_MAX:
            return folder
    return Path("/tmp") / elsewhere


def make_run_folder(place: Place) -> None:
    """Raises PermissionError where the folder is not ours alone: in a shared temporary directory anybody could have
    made it first, and would own the switch's control socket."""
    place.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.run.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{place.run} 不是本用户专有，请删除 / is not this user's alone: remove it")


def tidy_run_folder(place: Place) -> None:
    """What a killed Asterisk leaves there; a temporary folder goes altogether."""
    for leftover in ("asterisk.ctl", "asterisk.pid"):
        (place.run / leftover).unlink(missing_ok=True)
    if place.run.parent != place.state and place.run.is_dir() and place.run.lstat().st_uid == os.getuid():
        with contextlib.suppress(OSError):  # Not empty: somebody put a file there, it is theirs to remove.
            place.run.rmdir()


def modules_of(root: RuntimeRoot) -> Path:
    """Asterisk's module folder inside the runtime root."""
    found = next(iter(sorted(root.path.glob("usr/lib/*/asterisk/modules"))), None)
    return found or root.path / "usr/lib/asterisk/modules"


def write_configuration(
    templates: Path, directory: Directory, place: Place, instance_key: bytes, voice: RuntimeRoot | None, config: Path
) -> None:
    """Fill the state folder: configuration (secrets inside, so readable by the owner alone), prompts (those of
    ``config``, spoken by what ``voice`` has, else signs), empty folders. Raises ConfigError."""
    for name in FOLDERS:
        (place.state / name).mkdir(parents=True, exist_ok=True)
    ensure_sounds(place.sounds, voice, load_catalogue(config), look(config), greetings(directory))
    place.etc.chmod(0o700)
    for name, text in render(templates, directory, place, instance_key).items():
        (place.etc / name).write_text(text, encoding="utf-8")


def asterisk_child(root: RuntimeRoot, place: Place) -> Child:
    """Asterisk in the foreground, through the root's own loader. Ready when its AMI greets."""
    argv = root.argv("asterisk", "-C", str(place.etc / "asterisk.conf"), "-f", "-n")
    # UTC in the CEL file, whatever the machine's zone: dateformat %F %T has no offset
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return Child(
        name="asterisk",
        argv=argv,
        cwd=place.state,
        env=environment,
        log_path=place.state / "log" / "console.log",
        ready=lambda: _greets(place),
        ready_timeout=60.0,
        grace=5.0,
    )


async def _greets(place: Place) -> bool:
    reader, writer = await asyncio.open_connection(place.ami_host, place.ami_port)
    try:
        return (await reader.readline()).startswith(b"Asterisk Call Manager")
    finally:
        writer.close()
