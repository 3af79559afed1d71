"""What is done for each line of the Dockerfile.

Knows: our file's kinds of lines, pip's configuration on this machine, what is kept between runs. Must not know: what
the images are for.

    .runtime/image/root/    Debian's packages, unpacked: what `FROM` and `apt-get install` mean here
    .runtime/image/build/   the `build` stage as far as the locked requirements go (the network is needed only there)
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cti.stack.mmdebstrap import Progress, ensure_installed, remove, unpack
from cti.stack.root import SUITE, _packages
from tests.rehearsal import inside
from tests.rehearsal.dockerfile import Stage, Step, parse, pins

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "docker/Dockerfile"
SLIM = ("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "gzip", "login.defs", "passwd",
        "sed", "tar")  # fmt: skip
"""what of debian:forky-slim's own packages our lines use"""
TOOLS = ("docker-compose",)
"""no part of an image: `docker-compose config` needs no daemon"""
STAGES = ("build", "cti")
"""whose packages are unpacked here; those of the others lie in .runtime/root, where the suite runs them"""
ELSEWHERE = frozenset({"espeak-ng"})
"""lies there as well, with 25 MB of sound libraries"""
FACTS = "rehearsal.json"
SHIMS = "rehearsal"
LAST_LOCKED = "requirements.txt"

_APT = """#!/bin/sh
# In the place of apt-get: is each package unpacked, in the version asked for?
[ "$1" = install ] || exit 0
shift
for word in "$@"; do
    case $word in -*) continue ;; esac
    name=${word%%=*} version=$(sed -n "s/^${word%%=*}=//p" /rehearsal/unpacked)
    [ -n "$version" ] || { echo "E: Unable to locate package $name" >&2; exit 100; }
    case $word in
    *=*) case $version in ${word#*=}) ;; *) echo "$name: $version, pinned ${word#*=}" >>/rehearsal/moved ;; esac ;;
    esac
done
"""
_INSTALL = """#!/bin/sh
# A plain user cannot give files away.
set -- "$@" end
while [ "$1" != end ]; do
    case $1 in -o | -g) shift ;; *) set -- "$@" "$1" ;; esac
    shift
done
shift
exec /usr/bin/install "$@"
"""


class StepFailed(Exception):
    """A line did not do what it says; the text has the line and its words."""


def stages() -> dict[str, Stage]:
    return parse(DOCKERFILE.read_text(encoding="utf-8"))


def packages() -> list[str]:
    """Everything that is unpacked for the rehearsal, by name."""
    named = {name for stage in STAGES for name in pins(stages()[stage])}
    return sorted({*SLIM, *TOOLS, *named} - ELSEWHERE)


def ensure_base(dest: Path, tell: Callable[[Progress], None]) -> Path:
    """The unpacked packages. Raises RootFailed with the cure."""
    root = dest / "root"
    wanted = {"suite": SUITE, "include": packages()}
    try:
        facts = json.loads((root / FACTS).read_text())
        if {key: facts[key] for key in wanted} == wanted:
            return root
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        pass
    dest.mkdir(parents=True, exist_ok=True)
    with (dest / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_installed(tell)
        partial, debs = dest / "root.partial", dest / "debs"
        unpack(SUITE, packages(), partial, debs, lock.fileno(), tell)
        versions = _packages(debs)
        size = sum(p.stat().st_size for p in debs.glob("*.deb"))
        for unused in ("var/cache/apt", "usr/share/doc", "usr/share/locale", "usr/share/man"):
            shutil.rmtree(partial / unused, ignore_errors=True)
        (partial / FACTS).write_text(json.dumps({**wanted, "packages": versions, "downloaded": size}, indent=1))
        remove(root)
        partial.rename(root)
        remove(debs)
    return root


def ensure_build(dest: Path, tell: Callable[[Progress], None]) -> Path:
    """The `build` stage up to the locked requirements: all that needs the network. Raises StepFailed."""
    root, build = ensure_base(dest, tell), dest / "build"
    key = _key(root)
    try:
        if (build / SHIMS / "key").read_text() == key:
            return build
    except FileNotFoundError:
        pass
    tell(Progress("按锁定清单建镜像环境 / the image's locked requirements", 0.5))
    with (dest / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        partial = dest / "build.partial"
        _fresh(root, partial)
        carry(partial, _before(), {}, network=True)
        (partial / SHIMS / "key").write_text(key)
        remove(build)
        partial.rename(build)
    return build


def _before() -> list[Step]:
    return [*stages()["base"].steps, *_split()[0]]


def _split() -> tuple[list[Step], list[Step]]:
    """The build stage's steps up to the one that installs the locked requirements, and those after it."""
    steps = stages()["build"].steps
    at = max(i for i, s in enumerate(steps) if s.kind == "RUN" and f"-r {LAST_LOCKED}" in s.text) + 1
    return steps[:at], steps[at:]


def _key(root: Path) -> str:
    made = hashlib.sha256((root / FACTS).read_bytes())
    for step in _before():
        made.update(f"{step.kind} {step.text}\n".encode())
        for source in _sources(step) if step.kind == "COPY" else ():
            for path in sorted(p for p in (source.rglob("*") if source.is_dir() else [source]) if p.is_file()):
                made.update(path.read_bytes())
    made.update(Path(__file__).read_bytes())
    return made.hexdigest()


@contextmanager
def images(dest: Path) -> Iterator[dict[str, Path]]:
    """The stages carried out from the files as they are now: name to root; gone afterwards. `build` must be there.

    The service's image has a root of its own. The others, of a few lines each, follow one another in one.
    """
    work = Path(tempfile.mkdtemp(prefix="work.", dir=dest))
    made = {"build": work / "build"}
    try:
        _link(dest / "build", made["build"])
        carry(made["build"], _split()[1], made)
        for root in (work / "cti", work / "others"):
            _fresh(dest / "root", root)
            carry(root, stages()["base"].steps, made)
        for name, stage in stages().items():
            if name not in ("base", "build"):
                made[name] = work / ("cti" if name == "cti" else "others")
                carry(made[name], stage.steps, made)
        yield made
    finally:
        subprocess.run(["rm", "-rf", str(work)], check=True, timeout=120)


def environment(stage: Stage) -> dict[str, str]:
    """What its ENV lines say, those of its base first, in their final form."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}
    for step in [*stages()["base"].steps, *stage.steps]:
        if step.kind == "ENV":
            env.update(dict(word.split("=", 1) for word in step.words()))
    return env


def carry(root: Path, steps: Sequence[Step], made: Mapping[str, Path], *, network: bool = False) -> None:
    """Do what the lines say. Raises StepFailed, and ValueError for a kind that is not known."""
    env = {"PATH": f"/{SHIMS}/bin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
    if network:
        env |= _pip(root)
    place = "/build" if (root / "build").is_dir() else "/"
    for step in steps:
        if step.kind == "RUN":
            done = inside.run(root, ["sh", "-c", f"cd {place} && {step.text}"], env, timeout=600)
            if done.returncode:
                raise StepFailed(f"RUN {step.text}\n→ {done.returncode}: {(done.stdout + done.stderr)[-3000:]}")
        elif step.kind == "COPY":
            _copy(root, step, place, made)
        elif step.kind == "WORKDIR":
            place = step.text
            (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.kind not in ("ENV", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
            raise ValueError(f"not known here: {step.kind}")


def _sources(step: Step) -> list[Path]:
    words = [w for w in step.words() if not w.startswith("--")]
    return [REPOSITORY / w for w in words[:-1]]


def _copy(root: Path, step: Step, place: str, made: Mapping[str, Path]) -> None:
    """COPY: a folder's contents, or files, as the builder does it. StepFailed for what the context leaves out."""
    words = step.words()
    origin = next((w.removeprefix("--from=") for w in words if w.startswith("--from=")), None)
    names = [w for w in words if not w.startswith("--")]
    target = root / os.path.join(place, names[-1]).lstrip("/")
    for name in names[:-1]:
        if origin is None and not _in_context(name):
            raise StepFailed(f"COPY {step.text}: {name} is left out by docker/Dockerfile.dockerignore")
        source = (made[origin] if origin else REPOSITORY) / name.lstrip("/")
        if source.is_dir() and origin:
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-al", str(source), str(target)], check=True, timeout=120)
        elif source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignored)
        else:
            folder = target if names[-1].endswith("/") else target.parent
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / (source.name if folder == target else target.name))


def _in_context(name: str) -> bool:
    """Whether docker/Dockerfile.dockerignore lets it through (our file names what is let through, after `*`)."""
    lines = (REPOSITORY / "docker/Dockerfile.dockerignore").read_text().splitlines()
    return any(fnmatch.fnmatch(name.rstrip("/"), line[1:]) or name.startswith(f"{line[1:]}/")
               for line in lines if line.startswith("!"))  # fmt: skip


def _fresh(base: Path, root: Path) -> None:
    """A new root with Debian's packages in it, and what stands in for their maintainer scripts."""
    remove(root)
    _link(base, root)
    for name in ("passwd", "group"):
        if not (root / "etc" / name).exists():
            shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    shims = root / SHIMS / "bin"
    shims.mkdir(parents=True)
    for name, text in {"apt-get": _APT, **({} if os.geteuid() == 0 else {"install": _INSTALL})}.items():
        (shims / name).write_text(text)
        (shims / name).chmod(0o755)
    versions = {}
    for lock in (base.parent.parent / "lock.json", base / FACTS):
        versions.update({n: e["version"] for n, e in json.loads(lock.read_text())["packages"].items()})
    (root / SHIMS / "unpacked").write_text("".join(f"{n}={v}\n" for n, v in sorted(versions.items())))


def _link(source: Path, target: Path) -> None:
    """A copy whose files below usr/ and opt/ are the same on the disk: our lines make new files there, change none."""
    target.mkdir()
    for entry in sorted(source.iterdir()):
        how = ["-al"] if entry.name in ("usr", "opt") else ["-a"]
        if entry.name not in ("dev", "proc", "sys"):
            subprocess.run(["cp", *how, str(entry), str(target / entry.name)], check=True, timeout=120)
    for name in ("dev", "proc", "sys"):
        (target / name).mkdir()


def _pip(root: Path) -> dict[str, str]:
    """This machine's own pip configuration (index, proxy, certificates), carried inside with the files it names."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, timeout=60,
                          check=True).stdout  # fmt: skip
    env = {k: v for k, v in os.environ.items() if re.fullmatch(r"(?i)PIP_.*|(https?|no|all)_proxy|SSL_CERT_FILE", k)}
    for line in said.splitlines():
        match = re.fullmatch(r"(?:global|install)\.([a-z-]+)='(.*)'", line)
        if match:
            env.setdefault(f"PIP_{match[1].upper().replace('-', '_')}", match[2].replace("\\n", " "))
    named = re.findall(r"/[\w./-]+", " ".join(env.values()))
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", *named):
        if Path(name).is_file():
            inner = root / name.lstrip("/")
            inner.parent.mkdir(parents=True, exist_ok=True)
            inner.unlink(missing_ok=True)
            shutil.copy(name, inner)
    return env | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
