"""A throwaway Asterisk loads the dialplan, and what it refused is told at the line that was written.

Knows: an embedded Asterisk (cti.stack), how its log names a place. Must not know: any rule. Everything is on
loopback and goes with the
temporary folder; a folder that is filled in already (`cti render`) is given this instance's ports and folders first.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cti.dialplan.configs import sections
from cti.dialplan.finding import Finding
from cti.dialplan.model import Line, Plan
from cti.dialplan.parse import read
from cti.dialplan.source import Sources
from cti.directory import Directory
from cti.share import folder as shipped
from cti.stack import netports
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from cti.stack.sites import here
from cti.stack.supervise import ChildFailed

CODE = "asterisk"
NO_REDIS = 9
"""a port that is not the instance's own: no Redis is started"""
ASK_S = 10.0
OWN = ("asterisk.conf", "http.conf", "manager.conf", "rtp.conf")
"""where a throwaway differs from any other: its folders and ports"""
MESSAGE = re.compile(r"\[[^]]*\] (WARNING|ERROR)\[\d+\](?:\[[^]]*\])? ([\w./-]+\.c): (.*)")
FILE, AT = re.compile(r"([\w./-]+\.conf)\b"), re.compile(r"\bline (\d+)")
LISTED = {
    "app": re.compile(r"^ +([A-Za-z0-9_]+): ", re.MULTILINE),
    "func": re.compile(r"^([A-Z][A-Z0-9_]+) ", re.MULTILINE),
    "endpoint": re.compile(r"^ Endpoint: +([^\s/<]+)", re.MULTILINE),
    "queue": re.compile(r"^(\S+) has \d+ calls", re.MULTILINE),
    "context": re.compile(r"^\[ Context '([^']+)'", re.MULTILINE),
}
ASKS = {
    "app": "core show applications",
    "func": "core show functions",
    "endpoint": "pjsip show endpoints",
    "queue": "queue show",
    "context": "dialplan show",
}
NOISE = tuple(
    map(
        re.compile,
        (
            r"Unable to load config file '(?!{ours})",
            r"^(ccss|indications)\.c: .*(find|valid).* config",
            r"^ccss\.c: Could not find valid ccss\.conf",
            r"^(file|res_crypto)\.c: .*/keys",
        ),
    )
)
"""What Asterisk says of modules this product neither configures nor uses; a file of ours is never among it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the throwaway Asterisk said."""

    findings: tuple[Finding, ...]
    version: str
    contexts: int
    endpoints: int
    queues: int


async def load(
    root: RuntimeRoot, folder: Path, directory: Directory, config: Path, sources: Sources, work: Path, site: str
) -> Loaded:
    """Start it in ``work``, look, stop it. Raises `PortsTaken`, `RootFailed`, OSError."""
    templates = _templates(folder, work / "templates")
    local = work / "state" / "asterisk" / "etc" / "local.d"
    _copy_local(folder, local)
    ports = [netports.free_udp_port() for _ in directory.sites]
    instance = Instance(
        root,
        work / "state",
        directory,
        config,
        templates,
        site=site,
        service=False,
        redis=NO_REDIS,
        sites=here(directory.sites, ports),
    )
    logs = [instance.state / "asterisk" / "log" / name for name in ("console.log", "messages")]
    try:
        async with instance:
            await _ask(instance, "core waitfullybooted")
            said = {kind: set(LISTED[kind].findall(await _ask(instance, command))) for kind, command in ASKS.items()}
    except ChildFailed as why:
        refused = _refusals(logs, sources)
        words = "; ".join(why.log_tail[-3:])
        return Loaded(
            (*refused, Finding("asterisk.conf", 0, CODE, f"Asterisk 没有起来 / Asterisk did not start: {words}")),
            "",
            0,
            0,
            0,
        )
    finally:
        netports.release(*ports)
    refused = _refusals(logs, sources)
    plan = read(sources.plan()[0])[0]
    absent = [*_absent(plan, sources, said), *_nameless(plan, said)] if not refused or said["context"] else []
    told = {(f.file, f.line) for f in refused}
    return Loaded(
        (*refused, *(f for f in absent if (f.file, f.line) not in told)),
        root.versions.get("asterisk", ""),
        len(said["context"]),
        len(said["endpoint"]),
        len(said["queue"]),
    )


def _copy_local(folder: Path, to: Path) -> None:
    to.mkdir(parents=True)
    for path in sorted(folder.glob("local.d/*.conf")):
        shutil.copyfile(path, to / path.name)


def _templates(folder: Path, to: Path) -> Path:
    """The folder's files, made fit for an instance beside others."""
    to.mkdir()
    for path in sorted(folder.glob("*.conf*")):
        if path.name.endswith((".conf", ".conf.j2")):
            shutil.copyfile(path, to / path.name)
    for name in OWN:
        if not (to / f"{name}.j2").exists():
            (to / name).unlink(missing_ok=True)
            shutil.copyfile(shipped("dialplan") / f"{name}.j2", to / f"{name}.j2")
    made = to / "pjsip.conf"
    if made.exists():
        text = re.sub(
            r"(?m)^bind *= *\S+", "bind = {{ sip.host }}:{{ sip.port }}", made.read_text(encoding="utf-8"), count=1
        )
        made.with_name("pjsip.conf.j2").write_text(
            re.sub(r"(?m)^bind *= *\d\S+", "bind = 127.0.0.1:0", text), encoding="utf-8"
        )
        made.unlink()
    return to


async def _ask(instance: Instance, command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *instance.asterisk_command(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(ASK_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise OSError(f"Asterisk 没有回答 / Asterisk did not answer: {command}") from None
    return out.decode(errors="replace")


def _refusals(logs: list[Path], sources: Sources) -> list[Finding]:
    """Every warning and error of Asterisk's own log that is about these files."""
    ours = "|".join(re.escape(name) for name in sources.lines)
    noise = [re.compile(n.pattern.replace("{ours}", f"(?:{ours})'")) for n in NOISE]
    found: dict[Finding, None] = {}
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else ():
            if (match := MESSAGE.match(line)) and not any(n.search(f"{match[2]}: {match[3]}") for n in noise):
                found[_told(match[3], match[2], sources)] = None
    return list(found)


def _told(words: str, by: str, sources: Sources) -> Finding:
    names = [Path(name).name for name in FILE.findall(words)]
    made = next((key for name in names for key in sources.lines if Path(key).name == name), "")
    at = AT.search(words)
    if made and at:
        file, number = sources.written(made, int(at[1]))
    else:
        line = _meant(words, sources, [made] if made else [n for n in sources.lines if n != "extensions.conf"])
        file, number = (line.file, line.number) if line else (made, 0)
    return Finding(file or "asterisk", number, CODE, f"Asterisk 拒绝 / Asterisk refused: {words.strip()} ({by})")


def _meant(words: str, sources: Sources, files: list[str]) -> Line | None:
    """The setting a message is most likely about, by the words it quotes and the line it tells; else their section."""
    quoted, at = set(re.findall(r"(?<!\w)'([^']+)'", words)), AT.search(words)
    best: tuple[int, Line | None] = (0, None)
    for name in files:
        for section in sections(sources.lines[name]):
            named = section.name in quoted
            best = max(best, (int(named), section.line), key=lambda pair: pair[0])
            for key, value, line in section.settings:
                told = 2 * (at is not None and line.at == int(at[1]))
                score = 4 * (key in quoted) + 3 * (value in quoted) + told + named
                if score > 3 or (value in quoted and not named):
                    best = max(best, (score, line), key=lambda pair: pair[0])
    return best[1]


def _absent(plan: Plan, sources: Sources, said: dict[str, set[str]]) -> list[Finding]:
    """What is written, and not there once it was loaded."""
    out = []
    for name, context in plan.contexts.items():
        if name not in said["context"]:
            out.append(
                Finding(
                    context.line.file, context.line.number, CODE, f"Asterisk 没有载入 / Asterisk did not load [{name}]"
                )
            )
    for file, kind, what in (("pjsip.conf", "endpoint", "endpoint"), ("queues.conf", "queue", "")):
        for section in sections(sources.lines.get(file, ())):
            if section.kind == what and not section.template and section.name not in (*said[kind], "general"):
                out.append(
                    Finding(
                        section.line.file,
                        section.line.number,
                        CODE,
                        f"Asterisk 没有载入 / Asterisk did not load {kind} {section.name}",
                    )
                )
    return out


def _nameless(plan: Plan, said: dict[str, set[str]]) -> list[Finding]:
    """Applications this Asterisk did not load, though another may have them."""
    lower = {name.lower() for name in said["app"]}
    return [
        Finding(
            step.line.file,
            step.line.number,
            CODE,
            f"Asterisk 没有载入应用 / Asterisk did not load application {call.app}",
        )
        for step in plan.steps()
        for call in step.calls
        if call.app and call.app.lower() not in lower
    ]
