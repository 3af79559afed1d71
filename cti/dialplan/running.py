"""A running Asterisk and its dialplan: what it holds, what it should hold, the difference; changed files put under it.

Knows: `dialplan show`, reloads, which file needs which. Must not know: the ledger, stories, the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cti.stack.placing import SECRET, write

Ask = Callable[[str], Awaitable[list[str]]]
"""an Asterisk CLI command → its lines"""

RELOADS: Final[Mapping[str, tuple[str, ...]]] = {
    "queues.conf": ("queue reload all", "channel originate Local/s@seats-boot/n application NoOp"),
    "features.conf": ("module reload features",),
    "musiconhold.conf": ("moh reload",),
    "pjsip.conf": ("module reload res_pjsip.so",),
}
"""what must be reloaded besides the dialplan; a line's seats are then put back as they were"""
FIXED: Final = frozenset({
    "asterisk.conf", "modules.conf", "logger.conf", "manager.conf", "rtp.conf", "cel.conf", "cel_custom.conf",
    "cli.conf",
})  # fmt: skip
"""read once, when Asterisk starts"""
OWN: Final = frozenset({"SOUNDS", "AGI", "RECORDINGS"})
"""globals that say where an installation lives"""
KEPT: Final = re.compile(r"^(MISSED|TALK_MEAN|CALL_OF)_")
"""globals that calls make; a reload forgets them (clearglobalvars)"""
SOURCE: Final = re.compile(r"\s*\[[\w.-]+:\d+\]$|\s*\[[\w.-]+\]$")
JOURNAL: Final = ".deploy.json"
PROBE_S: Final = 3.0
PROBE: Final = "00000000000"
"""a number that is no hotline's: the probe call is told so, rings nobody and counts nowhere"""


class NotDeployed(Exception):
    """It cannot be put into service, and nothing was changed. The text says why, and the cure."""


def digest(files: Mapping[str, str]) -> str:
    """SHA-256 over names and contents of all files, in the order of their names."""
    made = hashlib.sha256()
    for name in sorted(files):
        made.update(f"{name}\0{len(files[name].encode())}\0".encode() + files[name].encode())
    return made.hexdigest()


@dataclass(slots=True)
class Running:
    """An Asterisk that runs: its folder of configuration, how it is asked, its own record."""

    etc: Path
    ask: Ask
    cel: Path

    def files(self, names: Sequence[str]) -> dict[str, str]:
        """What is there of these now; one that is missing is left out."""
        return {name: path.read_text(encoding="utf-8") for name in names if (path := self.etc / name).exists()}

    async def show(self) -> list[str]:
        """Its dialplan, normalised: a line a step with its context, by name; and its globals."""
        return normal(await self.ask("dialplan show"), await self.ask("dialplan show globals"))

    async def reload(self, names: Sequence[str]) -> None:
        """Make it read these files. What calls keep in globals stays."""
        kept = {}
        for row in await self.ask("dialplan show globals"):
            name, equals, value = row.strip().partition("=")
            if equals and KEPT.match(name) and re.fullmatch(r"[\w./;@=-]+", value):
                kept[name] = value
        await self.ask("dialplan reload")
        for name, value in kept.items():
            quoted = value.replace(";", "\\;")
            await self.ask(f"dialplan set global {name} {quoted}")
        for name in names:
            for command in RELOADS.get(name, ()):
                await self.ask(command)

    async def probe(self) -> str:
        """Call a number nobody has: "" when the dialplan said so on record within `PROBE_S`, else what is wrong."""
        size = self.cel.stat().st_size if self.cel.exists() else 0
        await self.ask(f"channel originate Local/{PROBE}@from-trunk/n application Wait 1")
        for _ in range(int(PROBE_S * 20)):
            await asyncio.sleep(0.05)
            if not self.cel.exists():
                continue
            with self.cel.open("rb") as file:
                file.seek(size)
                if b"NumberUnknown" in file.read():
                    return ""
        for row in await self.ask("core show channels concise"):
            if row.startswith(f"Local/{PROBE}@"):
                await self.ask(f"channel request hangup {row.split('!')[0]}")
        return f"试拨 {PROBE}：{PROBE_S:g} s 内没有走到空号提示 / the probe call did not come to its prompt"


def normal(show: Sequence[str], variables: Sequence[str] = ()) -> list[str]:
    """`dialplan show` as lines that can be compared: file and line left off, in the order of the contexts' names."""
    found: dict[str, list[str]] = {}
    context = exten = ""
    for row in show:
        if (m := re.match(r"\[ (?:Included c|C)ontext '([^']+)' created by '([^']+)'", row)) is not None:
            context = m[1] if m[2] == "pbx_config" else ""
            continue
        if not context or row.startswith("-="):
            continue
        text = SOURCE.sub("", row.rstrip())
        if (m := re.match(r"  '([^']*)'(?: \(CID match '[^']*'\))? =>\s+(.*)", text)) is not None:
            exten, text = m[1], m[2]
        found.setdefault(context, []).append(f"[{context}] {exten} {' '.join(text.split())}")
    lines = [line for name in sorted(found) for line in found[name]]
    for row in variables:
        name, equals, value = row.strip().partition("=")
        if equals and name not in OWN and not KEPT.match(name) and not name.startswith("CLOCK_"):
            lines.append(f"{name}={value}")
    return lines


def difference(running: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Unified, without context; secrets masked."""
    lines = difflib.unified_diff(list(running), list(wanted), "运行中/running", "将上线/rendered", lineterm="", n=0)
    return [SECRET.sub(r"\1***", line) for line in lines if not line.startswith("@@")]


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The files that differ, by name."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def swap(etc: Path, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Put ``after`` in the place of ``before``. Nobody reads them before the reload; a deploy killed in between leaves
    a journal that `undo` heeds. Raises OSError."""
    write(etc / JOURNAL, json.dumps({"before": dict(before), "new": sorted({*after} - {*before})}).encode())
    for name in changed(before, after):
        if name in after:
            write(etc / name, after[name].encode())
        else:
            (etc / name).unlink(missing_ok=True)
    descriptor = os.open(etc, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def settle(etc: Path) -> None:
    """The swap stands."""
    (etc / JOURNAL).unlink(missing_ok=True)


def undo(etc: Path) -> bool:
    """Put back what a swap replaced; whether there was one. Raises OSError."""
    try:
        journal = json.loads((etc / JOURNAL).read_bytes())
    except FileNotFoundError:
        return False
    for name, text in journal["before"].items():
        if not (etc / name).exists() or (etc / name).read_text(encoding="utf-8") != text:
            write(etc / name, text.encode())
    for name in journal["new"]:
        with contextlib.suppress(FileNotFoundError):
            (etc / name).unlink()
    settle(etc)
    return True
