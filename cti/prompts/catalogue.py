"""The list of prompts: `prompts.yaml`, the product's own with the site's over it.

Knows: what an entry may say. Must not know: sound, who plays them. The product's list always stands below, so that a
site's file of an older release lacks nothing after an upgrade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from cti.directory.base import Frozen
from cti.directory.fields import Note, refuse
from cti.problem import ConfigError, Problem
from cti.share import folder as shared
from cti.yamlfile import Document, load
from cti.yamlmodel import validate

FILE: Final = "prompts.yaml"
NAME: Final = r"[a-z][a-z0-9-]{1,63}"
"""what a prompt may be called: it is a file's name and stands in dialplan arguments"""
LONGEST_S: Final = 15.0
"""a proposal: who waits for a person should not listen longer than that to one prompt"""

Name = Annotated[str, Field(strict=True, pattern=f"^{NAME}$")]
_Step = tuple[Annotated[int, Field(ge=0, le=4000)], Annotated[int, Field(ge=1, le=5000)]]


class Prompt(Frozen):
    """One prompt: spoken (``zh``, perhaps ``en``) or a sign made of tones (Hz, ms; 0 Hz is a pause)."""

    name: Name
    zh: Note | None = None
    en: Note | None = None
    tones: tuple[_Step, ...] | None = Field(default=None, min_length=1, max_length=32)
    longest: Annotated[float, Field(gt=0, le=120)] = LONGEST_S
    """seconds it may last"""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.zh is None) == (self.tones is None) or (self.en is not None and self.zh is None):
            said = "写 zh（可加 en）或 tones，二者取一 / give zh (perhaps en), or tones: one of the two"
            raise refuse("prompt_kind", said, "写明要说的话 / write what it says")
        return self


class _File(Frozen):
    prompts: tuple[Prompt, ...] = Field(max_length=2000)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every prompt by name, in the list's order. ``where``: the list's document and index of each, for messages."""

    prompts: Mapping[str, Prompt]
    where: Mapping[str, tuple[Document, int]] = field(default_factory=dict, repr=False, compare=False)

    def problem(self, name: str, message: str, cure: str = "") -> Problem:
        """A fault at the entry of ``name``."""
        document, index = self.where[name]
        return document.problem(("prompts", index), message, cure)


def read_catalogue(config: Path) -> tuple[Catalogue | None, list[Problem]]:
    """The list for a configuration folder, or None and every fault of its files."""
    own, site = shared("config") / FILE, config / FILE
    paths = [own] if not site.exists() or site.resolve() == own.resolve() else [own, site]
    prompts: dict[str, Prompt] = {}
    where: dict[str, tuple[Document, int]] = {}
    problems: list[Problem] = []
    for path in paths:
        document = load(path)
        file, found = validate(_File, document)
        problems += found
        seen: set[str] = set()
        for index, prompt in enumerate(file.prompts if file else ()):
            if prompt.name in seen:
                problems.append(document.problem(
                    ("prompts", index, "name"), f"{prompt.name} 重复 / stands here twice",
                    "删去其一 / remove one of them"))  # fmt: skip
            seen.add(prompt.name)
            prompts[prompt.name], where[prompt.name] = prompt, (document, index)
    return (None if problems else Catalogue(prompts, where)), problems


def load_catalogue(config: Path) -> Catalogue:
    """The list for a configuration folder; raises `ConfigError`."""
    catalogue, problems = read_catalogue(config)
    if catalogue is None:
        raise ConfigError(tuple(problems))
    return catalogue
