"""The programs we drive (Asterisk 22, Valkey, SIPp, Prometheus), from Debian packages in one folder.

Knows the dynamic loader and the folder's layout; must not know how the programs are configured.

    .runtime/root/       the unpacked packages: appears by one rename, complete or not at all
    .runtime/debs/       downloads, so that an interrupted run goes on where it stopped; emptied at the end
    .runtime/lock.json   versions and hashes of what was unpacked

Nothing is installed and no maintainer script runs (mmdebstrap(1), variant `extract`); apt checks the
signatures as always. Programs start through the folder's own loader, with no chroot. How they are
fetched: mmdebstrap.py.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from cti.stack.mmdebstrap import Progress, RootFailed, ensure_installed, remove, unpack
from cti.stack.stopping import sigterm_as_interrupt

__all__ = ["Progress", "RootFailed", "RuntimeRoot", "ensure_root", "ensure_root_with_bar", "open_root", "open_voice"]

SUITE = "forky"
PACKAGES = (
    "asterisk", "asterisk-moh-opsound-gsm", "sip-tester", "valkey-server", "prometheus", "espeak-ng", "baresip-core",
    "openssl",
)  # fmt: skip
CHECKS: dict[str, tuple[str, str]] = {  # program: (argument, what its answer must contain)
    "asterisk": ("-V", "Asterisk 22."),
    "valkey-server": ("--version", "Valkey server v="),
    "sipp": ("-v", "SIPp v"),
    "prometheus": ("--version", "prometheus, version"),
    "openssl": ("version", "OpenSSL 3."),
    "baresip": ("-h", "baresip v"),
}
LOADERS = (  # (loader, libraries), relative to the root
    ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    ("usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
)
FACTS = "hotline-runtime.json"  # inside the root; written before the rename, so a root without it is not ours


@dataclass(frozen=True, slots=True)
class RuntimeRoot:
    """An unpacked, checked root. `versions`: package name to Debian version."""

    path: Path
    versions: Mapping[str, str]
    mode: str

    def find(self, program: str) -> Path:
        """Where `program` lies. FileNotFoundError names the folder that was searched."""
        for folder in ("usr/sbin", "usr/bin"):
            if (found := self.path / folder / program).exists():
                return found
        raise FileNotFoundError(f"no program {program} in {self.path}/usr/sbin or usr/bin")

    def argv(self, program: str, *args: str) -> list[str]:
        """The command line that runs `program` with the root's own loader and libraries."""
        loader, libraries = self._loader()
        start = (str(loader), "--library-path", f"{libraries}:{libraries / 'pulseaudio'}")  # espeak-ng links its sound
        return [*start, str(self.find(program)), *args]

    @property
    def libraries(self) -> Path:
        """The folder of shared libraries. RootFailed."""
        return self._loader()[1]

    def _loader(self) -> tuple[Path, Path]:
        for loader, libraries in LOADERS:
            if (self.path / loader).exists():
                return self.path / loader, self.path / libraries
        raise RootFailed(f"no dynamic loader in {self.path} (x86-64 and aarch64 are supported)")


def ensure_root(dest: Path, *, progress: Callable[[Progress], None] | None = None) -> RuntimeRoot:
    """The root below `dest`, unpacked first if need be. RootFailed with the cure when that is impossible.

    Safe to interrupt and to repeat; a second caller waits for the first (flock on `dest/.lock`).
    """
    tell = progress or (lambda _: None)
    dest = dest.absolute()
    root = dest / "root"
    if (ready := open_root(root)) is not None:
        return ready
    dest.mkdir(parents=True, exist_ok=True)
    with _locked(dest / ".lock", tell) as lock:
        if (ready := open_root(root)) is not None:
            return ready
        ensure_installed(tell)
        partial, debs = dest / "root.partial", dest / "debs"
        mode = unpack(SUITE, PACKAGES, partial, debs, lock, tell)
        tell(Progress("校验 / checking the programs", 0.96))
        facts = {"suite": SUITE, "include": list(PACKAGES), "mode": mode, "packages": _packages(debs)}
        shutil.rmtree(partial / "var/cache/apt", ignore_errors=True)
        _verify(RuntimeRoot(partial, {}, mode))
        (partial / FACTS).write_text(json.dumps(facts, indent=1))
        remove(root)
        partial.rename(root)
        _write_lock(dest / "lock.json", facts, tell)
        remove(debs)
    ready = open_root(root)
    assert ready is not None
    tell(Progress(f"Asterisk {ready.versions['asterisk']}", 1.0))
    return ready


def open_root(root: Path) -> RuntimeRoot | None:
    """The root at `root` when it is complete and holds all packages we ask for now (perhaps more), else None. Fast."""
    try:
        facts = json.loads((root / FACTS).read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    if facts["suite"] != SUITE or not set(PACKAGES) <= set(facts["include"]):
        return None
    versions = {name: entry["version"] for name, entry in facts["packages"].items()}
    return RuntimeRoot(root, versions, facts["mode"])


def open_voice(root: Path) -> RuntimeRoot | None:
    """Who speaks the prompts: the root at `root`, else this system itself where it has the synthesizer (the container
    image, a server with Debian's espeak-ng), else nobody."""
    if (found := open_root(root)) is not None:
        return found
    system = RuntimeRoot(Path("/"), {}, "system")
    try:
        system.argv("espeak-ng")
    except (FileNotFoundError, RootFailed):
        return None
    return system


def _packages(debs: Path) -> dict[str, dict[str, str]]:
    """Name to version and SHA-256 of each `name_version_arch.deb` (apt writes the epoch's colon as %3a)."""
    found: dict[str, dict[str, str]] = {}
    # Oldest first: where an earlier, interrupted run left an outdated file, the later download wins.
    for deb in sorted(debs.glob("*.deb"), key=lambda path: path.stat().st_ctime_ns):
        name, version, _ = deb.stem.split("_")
        with deb.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[name] = {"version": version.replace("%3a", ":"), "sha256": digest}
    return dict(sorted(found.items()))


def _verify(root: RuntimeRoot) -> None:
    """Run each program once. RootFailed names the one that does not answer as it must, with its words."""
    for program, (argument, expected) in CHECKS.items():
        command = root.argv(program, argument)
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RootFailed(f"{shlex.join(command)}: {error}") from error
        if expected not in run.stdout + run.stderr:
            said = (run.stdout + run.stderr).strip()[:500]
            raise RootFailed(f"{shlex.join(command)} did not answer {expected!r} but:\n{said}")


@contextmanager
def _locked(path: Path, tell: Callable[[Progress], None]) -> Iterator[int]:
    """One unpacker at a time; the lock's file descriptor, for children that must keep it alive."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(Progress("等待另一个进程解包 / another process is unpacking: waiting", 0.0))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _write_lock(path: Path, facts: Mapping[str, object], tell: Callable[[Progress], None]) -> None:
    """Write the lock; where an earlier one differs, say so (a note: the archive moves on, and may)."""
    if path.exists():
        before, after = json.loads(path.read_text()).get("packages", {}), facts["packages"]
        assert isinstance(after, dict)
        changed = [name for name in after if before.get(name, {}).get("version") != after[name]["version"]]
        if changed:
            tell(Progress(f"版本有变 / versions changed since last time: {', '.join(changed[:8])}", 0.98))
    path.write_text(json.dumps(facts, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Unpack the programs below --dest, with progress on stderr. On failure exit 1 and say the cure."""
    parser = argparse.ArgumentParser(prog="python -m cti.stack.root", description=main.__doc__)
    parser.add_argument("--dest", type=Path, default=Path(".runtime"))
    parser.add_argument("--json", action="store_true", help="print path, mode and versions on stdout")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        if (root := open_root(options.dest.absolute() / "root")) is None:
            with sigterm_as_interrupt():
                root = ensure_root_with_bar(options.dest, console)
    except RootFailed as failure:
        console.print(f"✗ {failure}", style="red", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("已中断，重跑可续 / interrupted; run again to go on", markup=False, highlight=False)
        return 130
    if options.json:
        facts = {"path": str(root.path), "mode": root.mode, "versions": dict(root.versions)}
        print(json.dumps(facts, indent=1))
    return 0


def ensure_root_with_bar(dest: Path, console: Console) -> RuntimeRoot:
    """A moving bar on a terminal, one line a stage in a log."""
    percent, stage = TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}")
    columns = (BarColumn(), percent, TimeElapsedColumn(), stage)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        seen = ""

        def show(step: Progress) -> None:
            nonlocal seen
            bar.update(task, completed=step.done, description=step.stage)
            if not console.is_terminal and step.stage != seen and not step.detail:
                console.print(f"▸ {step.stage}", markup=False, highlight=False)
            seen = step.stage

        return ensure_root(dest, progress=show)


if __name__ == "__main__":
    sys.exit(main())
