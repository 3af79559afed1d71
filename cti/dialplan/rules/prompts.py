"""What is to be heard: prompts and waiting music. Knows: which applications play a file, and where its name stands."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from cti.dialplan.finding import Finding
from cti.dialplan.model import Call, Line, Step
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, Ref, parse, refs, split
from cti.dialplan.values import Shape
from cti.problem import did_you_mean

FILE_AT = {
    "Playback": 0,
    "Background": 0,
    "ControlPlayback": 0,
    "Read": 1,
    "Queue": 3,
    "PlayTones": -1,
    "BackgroundDetect": 0,
}
MUSIC_OPTION = re.compile(r"(?<![A-Za-z])[A-Za-z]*m\(([A-Za-z0-9_-]+)\)")


def prompt_missing(subject: Subject) -> Iterator[Finding]:
    """A prompt that is not in the sound folder: the caller would hear nothing."""
    for step in subject.steps:
        for call in step.calls:
            at = FILE_AT.get(call.app, -1)
            parts = split(call.args)
            if 0 <= at < len(parts) and parts[at].strip():
                yield from _files(subject, step, parts[at])


def _files(subject: Subject, step: Step, text: str) -> Iterator[Finding]:
    told: set[tuple[str, int, str]] = set()
    if "STAT(e," in step.args:  # it looks itself whether the file is there
        return
    for one in split(text, "&"):
        shapes = subject.constants.shapes(one.strip(), step)
        bad = [s for s in shapes if not _there(subject, s.text)]
        if all("*" in s.text for s in shapes) and not bad:
            bad = [s for s in _spelt_out(subject, step, one.strip()) if not _there(subject, s.text)]
        for shape in bad:
            finding = _said(subject, shape, step.line)
            if (key := (finding.file, finding.line, finding.message)) not in told:
                told.add(key)
                yield finding


def _refs(text: str) -> list[Ref]:
    try:
        return list(refs(parse(text)))
    except BadText:  # told by the parser
        return []


def _spelt_out(subject: Subject, step: Step, text: str) -> list[Shape]:
    """The names it can come to where they are known: of a variable set in one place, an argument, or words set in
    this very
    context. Nothing where half of them are no prompts anyway: then the name means something else elsewhere."""
    whole: list[Shape] = []
    for ref in _refs(text):
        if ref.args is not None or ref.name in subject.plan.globals:
            continue
        of = subject.values.of.get(ref.name, [])
        if ref.name.startswith("ARG") or len(of) == 1:
            whole += subject.values.shapes(text, step)
            continue
        for value, at, line in of:
            if at is not None and at.context == step.context and value and "$" not in value:
                whole += [
                    Shape(s.text.replace("*", value), line)
                    for s in subject.constants.shapes(text, step)
                    if s.text.count("*") == 1
                ]
    whole = [s for s in whole if "*" not in s.text]
    return whole if sum(_there(subject, s.text) for s in whole) * 2 >= len(whole) else []


def _said(subject: Subject, shape: Shape, line: Line) -> Finding:
    name = shape.text.removeprefix(subject.sounds + "/")
    near = did_you_mean(name, sorted(subject.prompts))
    return subject.finding(
        shape.line or line,
        "prompt-missing",
        f"没有这个提示音 / there is no prompt {name}",
        f"是否为 / did you mean: {near}" if near else "放进声音目录 / put it into the sound folder",
    )


def _there(subject: Subject, path: str) -> bool:
    if path in ("", "*"):
        return True
    if not path.startswith(subject.sounds + "/"):
        return path.startswith("*")
    name = path.removeprefix(subject.sounds + "/")
    return name in subject.prompts or ("*" in name and any(fnmatch.fnmatchcase(p, name) for p in subject.prompts))


def music_unknown(subject: Subject) -> Iterator[Finding]:
    """A class of waiting music musiconhold.conf does not have: silence."""
    for step in subject.steps:
        for call in step.calls:
            for name in _classes(call):
                if name not in subject.site.classes:
                    yield subject.finding(
                        step,
                        "music-unknown",
                        f"没有这类等待音乐 / there is no waiting music {name}",
                        "musiconhold.conf",
                    )


def _classes(call: Call) -> list[str]:
    if call.app in ("StartMusicOnHold", "MusicOnHold"):
        name = split(call.args)[0].strip()
        return [name] if re.fullmatch(r"[A-Za-z0-9_-]+", name) else []
    if call.app in ("Dial", "BridgeWait", "WaitExten", "Queue"):
        return [m for part in split(call.args)[1:] for m in MUSIC_OPTION.findall(part)]
    return []


RULES = (prompt_missing, music_unknown)
