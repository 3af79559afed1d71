"""Story files read, checked, and every mistake told with its place and a cure.

Knows: the form of a story, the directory and the names it may use. Must not know: phones, Asterisk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cti.core import events
from cti.dialplan.stories import words
from cti.dialplan.stories.model import Story, StoryFile, parties, some
from cti.directory import Directory
from cti.ladder import WORDS
from cti.problem import ConfigError, Problem, did_you_mean
from cti.prompts.catalogue import load_catalogue
from cti.share import folder
from cti.stack.sounds import greetings
from cti.yamlfile import Document, load
from cti.yamlmodel import validate

CONTEXT = re.compile(r"^\[([a-z0-9-]+)\]", re.MULTILINE)
RECORDS = ("Anomaly", "CallEnded", "CallbackDue", "CallbackEnded", "ConferenceDecided", "ConferenceEnded",
           "DispatchFirst", "RecordingDeleted", "TransferEnded", "MemberEnded")  # fmt: skip
"""facts that are made of events"""


@dataclass(frozen=True, slots=True)
class Placed:
    """A story and where it stands."""

    story: Story
    file: Path
    line: int
    lines: tuple[int, ...]
    """of its steps"""

    @property
    def name(self) -> str:
        return self.story.story

    @property
    def id(self) -> str:
        """As -k sees it and a failure names it."""
        return f"{self.file.name}::{self.name}"


def contexts(dialplan: Path) -> list[str]:
    """The contexts calls run through, of all files that extensions.conf includes."""
    text = (dialplan / "extensions.conf.j2").read_text(encoding="utf-8")
    found: list[str] = []
    for name in re.findall(r"^#include (\S+)", text, re.MULTILINE):
        path = dialplan / name
        source = path if path.exists() else dialplan / f"{name}.j2"
        found += CONTEXT.findall(source.read_text(encoding="utf-8"))
    return list(dict.fromkeys(found))


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The story files of these files and folders, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return found


def load_stories(paths: Sequence[Path], directory: Directory, dialplan: Path) -> list[Placed]:
    """All stories of files and folders. Raises `ConfigError` with every problem of every file."""
    made: list[Placed] = []
    problems: list[Problem] = []
    known = contexts(dialplan)
    seen: dict[str, str] = {}
    for path in files_of(paths):
        document = load(path)
        file, found = validate(StoryFile, document)
        problems += _once(found)
        if file is None:
            continue
        for n, story in enumerate(file.stories):
            problems += _checked(story, n, document, directory, known)
            line = document.mark(("stories", n)).line
            if story.story in seen:
                problems.append(document.problem(
                    ("stories", n, "story"), f"标题重复，{seen[story.story]} 已有 / a title used before, at"
                    f" {seen[story.story]}", "换一个标题 / give it another title"))  # fmt: skip
            seen.setdefault(story.story, f"{path.name}:{line}")
            steps = tuple(document.mark(("stories", n, "steps", m)).line for m in range(len(story.steps)))
            made.append(Placed(story, path, line, steps))
    if not made and not problems:
        problems.append(Problem(str(paths[0]) if paths else "", 0, "", "没有故事 / no stories here",
                                "放入 *.yaml，样例见 dialplan/stories/ / put *.yaml files here"))  # fmt: skip
    if problems:
        raise ConfigError(tuple(problems))
    return made


def _once(problems: list[Problem]) -> list[Problem]:
    """One a place: a value that may be of several kinds fails in as many ways."""
    first: dict[tuple[str, int, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.file, problem.line, problem.where), problem)
    return list(first.values())


def _checked(story: Story, n: int, document: Document, directory: Directory,
             known: list[str]) -> Iterator[Problem]:  # fmt: skip
    root: tuple[str | int, ...] = ("stories", n)
    given = story.given
    seats = [seat.number for seat in directory.seats]
    for name in ("seats", "lent"):
        for number in getattr(given, name):
            if number not in seats:
                yield document.problem((*root, "given", name, number), f"没有席位 {number} / there is no seat {number}",
                                       f"有 / there are: {', '.join(seats[:12])}", key=True)  # fmt: skip
    plans = [plan.id for plan in directory.plans]
    if given.plan is not None and given.plan not in plans:
        yield document.problem((*root, "given", "plan"), f"没有方案 {given.plan} / there is no plan {given.plan}",
                               _near(given.plan, plans))  # fmt: skip
    there = [*_cast(story)]
    for way, who in parties(story):
        if who not in there:
            yield document.problem(
                (*root, *way), f"这个故事里没有 {who} / {who} is not in this story",
                f"这里有 / here: {', '.join(there)}；或在 given 写明它 / or name it in given")  # fmt: skip
    prompts = [*load_catalogue(folder("config")).prompts, *greetings(directory)]
    facts = [*WORDS, *RECORDS, *events.BY_NAME]
    for m, step in enumerate(story.steps):
        for k, expect in enumerate(step.then):
            at = (*root, "steps", m, "then", k, expect.verb)
            for prompt in (one for names in (expect.told or {}).values() for one in some(names)):
                if prompt not in prompts:
                    yield document.problem(at, f"没有提示音 {prompt} / there is no prompt {prompt}",
                                           _near(prompt, prompts))  # fmt: skip
            for context in some(expect.passes):
                if context not in known:
                    yield document.problem(at, f"没有上下文 {context} / there is no context {context}",
                                           _near(context, known))  # fmt: skip
            for kind in some(expect.ledger):
                if kind not in facts:
                    yield document.problem(at, f"账本没有 {kind} / the ledger knows no {kind}", _near(kind, facts))


def _cast(story: Story) -> Iterator[str]:
    given = story.given
    yield "caller"
    yield from given.callers
    yield from given.seats
    yield from given.outside
    yield from given.borrowed
    for site in {*given.lent.values(), *(number[:6] for number in given.borrowed)}:
        yield f"site-{site}"


def _near(word: str, known: list[str]) -> str:
    near = did_you_mean(word, known)
    return f"改为 / write {near}" if near else ""


__all__ = ["Placed", "contexts", "files_of", "load_stories", "words"]
