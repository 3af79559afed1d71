"""Directory files → `Directory`, with every fault named by file and line.

Knows: which file holds what. Must not know: the rules between the parts (see `rules`).
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from cti.directory.checking import Site
from cti.directory.hotlines import CallbackRules, ConferenceRules, Hotline
from cti.directory.model import Directory
from cti.directory.nuisance import Nuisance, NuisanceRules
from cti.directory.peers import SiteEntry, Trunk
from cti.directory.plans import NAME, Plan, PlanFile
from cti.directory.rules import find_faults
from cti.directory.seats import Agent, Seat, SeatRules
from cti.directory.targets import Linked, Route
from cti.problem import ConfigError, Problem, did_you_mean
from cti.yamlfile import Document, load
from cti.yamlmodel import PRIVATE, validate


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Hotlines(_File):
    hotlines: tuple[Hotline, ...] = Field(min_length=1, max_length=500)
    conference: ConferenceRules = ConferenceRules()
    callbacks: CallbackRules = CallbackRules()


class _Seats(_File):
    seats: tuple[Seat, ...] = Field(max_length=5000)
    rules: SeatRules = SeatRules()


class _Agents(_File):
    agents: tuple[Agent, ...] = Field(max_length=20_000)


class _Routes(_File):
    routes: tuple[Route, ...] = Field(max_length=5000)


class _Trunks(_File):
    trunks: tuple[Trunk, ...] = Field(max_length=200)


class _Sites(_File):
    sites: tuple[SiteEntry, ...] = Field(max_length=64)


class _Linkage(_File):
    linkage: tuple[Linked, ...] = Field(max_length=500)


class _Nuisance(_File):
    nuisance: tuple[Nuisance, ...] = Field(max_length=20_000)
    rules: NuisanceRules = NuisanceRules()


_FILES: Final[dict[str, type[_File]]] = {
    "hotlines": _Hotlines,
    "seats": _Seats,
    "agents": _Agents,
    "routes": _Routes,
    "trunks": _Trunks,
    "sites": _Sites,
    "nuisance": _Nuisance,
    "linkage": _Linkage,
}
PLANS: Final = "plans"
"""the folder of emergency plans, a file each"""
_OPTIONAL: Final = frozenset({"nuisance", "sites", "linkage", "agents"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What a folder holds: the directory if no problem is an error, and all problems in the files' order."""

    directory: Directory | None
    problems: tuple[Problem, ...]


def check_directory(folder: Path, today: dt.date) -> Checked:
    """Read and check the files of `folder`; `today` (local date) tells which nuisance entries expired.

    Never raises for what the files hold. The rules between files are checked once each file is sound by
    itself, so that one slip does not bring a page of consequences.
    """
    documents: dict[str, Document] = {}
    parts: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, model in _FILES.items():
        path = folder / f"{name}.yaml"
        if name in _OPTIONAL and not path.exists():
            documents[name], parts[name] = Document(str(path)), ()
            continue
        documents[name] = load(path)
        private = PRIVATE | {"number"} if name == "nuisance" else PRIVATE
        file, found = validate(model, documents[name], private)
        problems += found
        parts[name] = getattr(file, name, None)
        if isinstance(file, _Hotlines):
            parts["conference"], parts["callbacks"] = file.conference, file.callbacks
        elif isinstance(file, _Seats):
            parts["seat_rules"] = file.rules
        elif isinstance(file, _Nuisance):
            parts["nuisance_rules"] = file.rules
    parts[PLANS], found = _plans(folder / PLANS, documents)
    problems += found
    directory = None
    if not problems:
        directory = Directory.model_construct(**parts)
        problems += find_faults(Site(directory, documents, today))
    problems += _strangers(folder)
    if any(p.level == "error" for p in problems):
        directory = None
    return Checked(directory, tuple(problems))


def load_directory(folder: Path, today: dt.date) -> Directory:
    """The directory in `folder`; raises `ConfigError` with every problem when one is an error."""
    checked = check_directory(folder, today)
    if checked.directory is None:
        raise ConfigError(checked.problems)
    return checked.directory


def _plans(folder: Path, documents: dict[str, Document]) -> tuple[tuple[Plan, ...], list[Problem]]:
    """Every plan of the folder, by name; its document as ``plans/<name>``."""
    plans, problems = list[Plan](), list[Problem]()
    for path in sorted(folder.glob("*.y*ml")):
        if path.suffix != ".yaml" or not re.fullmatch(NAME, path.stem):
            said = f"{path.name} 不能作方案名 / is no name of a plan"
            cure = "小写字母开头，只用 a-z 0-9 -，以 .yaml 结尾 / a-z first, then a-z 0-9 -, ending in .yaml"
            problems.append(Problem(str(path), 0, "", said, cure))
            continue
        document = documents[f"{PLANS}/{path.stem}"] = load(path)
        file, found = validate(PlanFile, document)
        problems += found
        if file is not None:
            plans.append(Plan.model_construct(id=path.stem, **{name: getattr(file, name)
                                                               for name in PlanFile.model_fields}))  # fmt: skip
    return tuple(plans), problems


def _strangers(folder: Path) -> list[Problem]:
    """A misspelt optional file would be ignored in silence."""
    own = [f"{name}.yaml" for name in (*_FILES, "prompts", "phones")]  # those two are read by whoever needs them
    return [
        Problem(
            str(path),
            0,
            "",
            f"不会读取此文件，是否想写 {near}？ / not read; did you mean {near}?",
            "改名或移走 / rename it or move it away",
            level="warning",
        )
        for path in sorted(folder.glob("*.y*ml"))
        if path.name not in own and (near := did_you_mean(path.name, own)) and path.name != "site.yaml"
    ]
