"""What Asterisk itself says it did: the contexts it passed, the prompts it played, from its verbose log.

Knows: the lines of `VERBOSE`. Must not know: stories, phones.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cti.prompts.catalogue import load_catalogue
from cti.stack.instance import Instance
from cti.stack.sounds import greetings, tone

STEP: Final = re.compile(
    r"^\[(?P<at>[^\]]+)\] VERBOSE\[\d+\](?:\[(?P<call>C-[0-9a-f]+)\])? \S+: +(?:-- )?Executing "
    r"\[(?P<exten>[^@\]]*)@(?P<context>[^:\]]+):(?P<priority>\d+)\] (?P<app>\w+)\(\"(?P<channel>[^\"]*)\", ?"
    r"\"(?P<data>.*)\"\)"
)
BRIEF: Final = ((600, 200), (500, 200))
"""(Hz, ms) of a prompt here"""
PLAYING: Final = re.compile(r" <(?P<channel>[^>]+)> Playing '(?P<file>[^']+)'")


@dataclass(frozen=True, slots=True)
class Step:
    """One priority of the dialplan, executed on a channel."""

    at: str
    call: str
    context: str
    exten: str
    priority: int
    app: str
    data: str
    channel: str


@dataclass(frozen=True, slots=True)
class Playing:
    """A prompt began on a channel."""

    prompt: str
    channel: str


class Traced(Instance):
    """An installation whose Asterisk writes every step it takes into a file. It is thrown away afterwards: the file
    holds callers' numbers."""

    async def _write(self) -> None:
        # Stories wait for prompts to end more than for anything else; which one is played is told by its name.
        # Put there before, they count as a site's own, and nothing is made in their stead.
        self.place.sounds.mkdir(parents=True, exist_ok=True)
        samples = tone(BRIEF)
        for prompt in load_catalogue(self.config).prompts.values():
            if not prompt.tones:
                _put(self.place.sounds / f"{prompt.name}.wav", samples)
        for name in greetings(self.directory):
            _put(self.place.sounds / f"{name}.wav", samples)
        await super()._write()
        logger, main = self.place.etc / "logger.conf", self.place.etc / "asterisk.conf"
        logger.write_text(logger.read_text(encoding="utf-8") + "trace => verbose(5)\n", encoding="utf-8")
        text = main.read_text(encoding="utf-8").replace("verbose = 0", "verbose = 5")
        main.write_text(text, encoding="utf-8")

    @property
    def trace_file(self) -> Path:
        return self.place.state / "log" / "trace"


def _put(path: Path, samples: bytes) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(samples)


class Trace:
    """The file as it grows. `mark` before something, `since` after it."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._rest = path, 0, ""
        self.entries: list[Step | Playing] = []

    def read(self) -> None:
        """What was written since the last time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *lines, self._rest = (self._rest + data.decode("utf-8", "replace")).split("\n")
        self.entries += parse(lines)

    def mark(self) -> int:
        """Where we are now, for `since`."""
        self.read()
        return len(self.entries)

    def since(self, mark: int) -> Sequence[Step | Playing]:
        self.read()
        return self.entries[mark:]


def parse(lines: Sequence[str]) -> Iterator[Step | Playing]:
    """The steps and prompts among lines of the log; the others are passed over."""
    for line in lines:
        if (m := STEP.match(line)) is not None:
            yield Step(m["at"], m["call"] or "", m["context"], m["exten"], int(m["priority"]), m["app"], m["data"],
                       m["channel"])  # fmt: skip
        elif (p := PLAYING.search(line)) is not None:
            yield Playing(Path(p["file"]).name.partition(".")[0], p["channel"])


def passed(entries: Sequence[Step | Playing]) -> list[str]:
    """The contexts of these steps, each once, in the order they were entered."""
    return list(dict.fromkeys(e.context for e in entries if isinstance(e, Step)))
