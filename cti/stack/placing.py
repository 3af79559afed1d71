"""Puts made files into a folder that others use too: only over what was put there before and not touched since.

Knows: files and a list of what was made. Must not know: what they say. The list holds, per file, the SHA-256 of what
was written; while a run lasts also of what it is about to write, so that one cut off can be repeated.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LIST = ".hotline-cti.json"
SECRET = re.compile(r"^(.?\s*(?:secret|password)\s*=>?\s*).*", re.MULTILINE)


class NotOurs(Exception):
    """Files that stand in the way: not made by us, or changed by hand since. `names` of all of them."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(
            f"{folder} 中这些文件不是本命令所写，或写后被改过，未作任何改动：{', '.join(names)}。"
            "请移走它们；自己的配置放进 local.d/，或换一个目录。\n"
            f"These files in {folder} were not made by this command, or were changed by hand since; nothing was "
            f"written: {', '.join(names)}. Move them away; what is yours belongs in local.d/, or in another folder."
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs: `before` is "" for a new one, `after` "" for one no longer made."""

    name: str
    kind: Literal["new", "changed", "gone"]
    before: str
    after: str

    def diff(self) -> list[str]:
        """The lines that differ (unified, no context), secrets masked."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=0)
        return [SECRET.sub(r"\1***", line) for line in list(lines)[2:]]

    def __str__(self) -> str:
        sign = {"new": "+", "changed": "~", "gone": "-"}[self.kind]
        if self.kind != "changed":
            return f"{sign} {self.name}"
        lines = self.diff()
        plus, minus = (sum(line.startswith(mark) for line in lines) for mark in "+-")
        return f"{sign} {self.name}  +{plus} -{minus}"


def changes(folder: Path, made: Mapping[str, str]) -> list[Change]:
    """What putting `made` into the folder would change, by name. Raises `NotOurs` with every file in the way."""
    ours, found, foreign = _read_list(folder), [], []
    for name in sorted({*made, *ours}):
        path = folder / name
        before = path.read_bytes() if path.exists() else None
        after = made[name].encode() if name in made else None
        if before == after:
            continue
        if before is not None and _digest(before) not in ours.get(name, ()):
            if after is not None:  # One no longer made that somebody changed is simply his now.
                foreign.append(name)
            continue
        kind: Literal["new", "changed", "gone"] = "new" if before is None else "gone" if after is None else "changed"
        found.append(Change(name, kind, (before or b"").decode(errors="replace"), made.get(name, "")))
    if foreign:
        raise NotOurs(folder, tuple(foreign))
    return found


def put(folder: Path, made: Mapping[str, str]) -> list[Change]:
    """Make the folder hold `made`; what changed. Each file is replaced whole. Raises `NotOurs`, OSError."""
    found = changes(folder, made)
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    before = _read_list(folder)
    after = {name: [_digest(text.encode())] for name, text in made.items()}
    if before != after:
        _write_list(folder, {name: sorted({*before.get(name, []), *after.get(name, [])}) for name in before | after})
    for change in found:
        if change.kind == "gone":
            (folder / change.name).unlink()
        else:
            write(folder / change.name, change.after.encode())
    if before != after:
        _write_list(folder, after)
    return found


def write(path: Path, content: bytes) -> None:
    """Replace the file whole. It may hold secrets: for its owner and group alone. Made by root it belongs to whom the
    folder belongs, so that an Asterisk with a user of its own can read it."""
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, "wb") as out:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
        out.write(content)
    partial.replace(path)


def _read_list(folder: Path) -> dict[str, list[str]]:
    try:
        files: dict[str, list[str]] = json.loads((folder / LIST).read_bytes())["files"]
    except FileNotFoundError:
        return {}
    return files


def _write_list(folder: Path, files: Mapping[str, list[str]]) -> None:
    text = json.dumps({"made_by": "cti render", "files": dict(files)}, indent=1, sort_keys=True)
    write(folder / LIST, text.encode() + b"\n")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def diffs(found: list[Change]) -> Iterator[str]:
    """Each change and its lines, for people."""
    for change in found:
        yield str(change)
        yield from (f"  {line}" for line in change.diff())
