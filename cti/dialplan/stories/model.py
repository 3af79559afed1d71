"""What a story file may say, as frozen values. Docs: docs/dialplan-stories.md.

Knows: field names, types, which belong together. Must not know: files, the directory, phones, Asterisk.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cti.dialplan.stories import words
from cti.directory.fields import refuse

ACTS = ("dial", "press", "refer", "hang_up", "answer", "decline", "vanish", "wait", "service", "api")
EXPECTS = ("hears", "rings", "not_rings", "reaches", "told", "ended", "ledger", "passes", "goes_on")


def _when(text: str) -> str:
    moment(text)
    return text


def moment(text: str) -> dt.datetime:
    """``2026-10-01 09:30`` of the site's local time (UTC+8, no daylight saving). Raises pydantic's error."""
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return dt.datetime.strptime(text, form)
        except ValueError:
            continue
    raise refuse("moment", f"不是日期加时刻 / not a date and a time: {text!r:.30}", '写作 / write "2026-10-01 09:30"')


def _behaves(text: str) -> str:
    words.behaviour(text)
    return text


def _keys(text: str) -> str:
    if re.fullmatch(r"[0-9*#]{1,12}", text):
        return text
    raise refuse("keys", f"不是按键 / not keys of a phone: {text!r:.30}", '如 / e.g. "*110"')


Party = Annotated[str, AfterValidator(words.party)]
Behaves = Annotated[str, AfterValidator(_behaves), BeforeValidator(lambda given: "off" if given is False else given)]
"""YAML reads a bare ``off`` as false"""
Number = Annotated[str, Field(pattern=r"^[0-9*#+a-z-]{1,32}$")]
Seconds = Annotated[float, Field(ge=0, le=60)]
Value = str | int | float | bool
Some = list[str] | str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Given(_Part):
    """How things stand before the first step. What is not named is: no seat there, the service well, the hour now."""

    at: Annotated[str, AfterValidator(_when)] | None = None
    """the hour and the day of the site, for the opening hours"""
    caller: Number = "13900001234"
    callers: dict[Party, Number] = Field(default_factory=dict)
    """numbers of caller2, caller3, caller4"""
    seats: dict[Annotated[str, Field(pattern=r"^[0-9]{3,8}$")], Behaves] = Field(default_factory=dict)
    outside: dict[Annotated[str, Field(pattern=r"^[0-9+]{3,18}$")], Behaves] = Field(default_factory=dict)
    """telephones the trunk leads to"""
    borrowed: dict[Annotated[str, Field(pattern=r"^[0-9]{9,14}$")], Behaves] = Field(default_factory=dict)
    """seats of a neighbouring site that stand in our lines: site's code and seat"""
    lent: dict[Annotated[str, Field(pattern=r"^[0-9]{3,8}$")], Annotated[str, Field(pattern=r"^\d{6}$")]] = Field(
        default_factory=dict)  # fmt: skip
    """our seats that are another site's now"""
    service: Literal["running", "stopped", "stuck"] = "running"
    listed: list[Number] = Field(default_factory=list)
    """numbers on the nuisance list"""
    plan: str | None = None
    """the emergency plan that is in force"""
    drill: bool = False
    """… as a drill"""
    globals: dict[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], Value] = Field(default_factory=dict)
    """global variables of the dialplan for this story, e.g. DECIDE_S: 2"""
    astdb: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(/[^/ ]+)+$")], Value] = Field(default_factory=dict)
    """rows of AstDB: family/key"""


class Act(_Part):
    """One thing somebody does; exactly one verb."""

    dial: Number | None = None
    press: Annotated[str, AfterValidator(_keys)] | None = None
    refer: Number | None = None
    """the phone's transfer key"""
    hang_up: Party | None = None
    answer: Party | None = None
    decline: Party | None = None
    vanish: Party | None = None
    """the phone loses its power: no BYE, no sound"""
    wait: Seconds | None = None
    service: Literal["stop", "start", "stuck"] | None = None
    api: Annotated[str, Field(pattern=r"^(POST|DELETE) /[^ ]+$")] | None = None
    """``POST /transfers``; {call}, {transfer}, {conference}, {member}, {task} are the story's own"""

    by: Party = "caller"
    """who dials, presses, refers; whose screen calls the api"""
    send: dict[str, Value] | None = None
    """the api's body"""
    after: Seconds = 0.0

    @model_validator(mode="after")
    def _one(self) -> Act:
        _only_one(self, ACTS)
        return self

    @property
    def verb(self) -> str:
        return next(name for name in ACTS if getattr(self, name) is not None)


class Expect(_Part):
    """One thing that comes about within so many seconds of the step's beginning; exactly one verb."""

    hears: dict[Party, Some] | None = None
    """exactly these, at some time: parties, ``music`` (any sound but a party's voice), ``silence``"""
    rings: Some | None = None
    """these phones ring, anew"""
    not_rings: Some | None = None
    """these have not been rung in this step"""
    reaches: Some | None = None
    """the caller and this one hear each other and nobody else"""
    told: dict[Party, Some] | None = None
    """these prompts are played to him, and there is sound in his ear"""
    ended: dict[Party, int] | Some | None = None
    """their calls are over; with a number: the Q.850 cause, from 300 on the SIP status"""
    ledger: dict[str, dict[str, Value]] | Some | None = None
    """facts on record since the story's beginning, with these values"""
    passes: Some | None = None
    """contexts of the dialplan somebody was in, in this step"""
    goes_on: Some | None = None
    """their calls are not over when the step ends"""
    within: Annotated[float, Field(gt=0, le=60)] = 5.0

    @model_validator(mode="after")
    def _one(self) -> Expect:
        _only_one(self, EXPECTS)
        return self

    @property
    def verb(self) -> str:
        return next(name for name in EXPECTS if getattr(self, name) is not None)


class Step(_Part):
    """What is done, then what comes of it. All of ``then`` is watched for at once."""

    when: list[Act] = Field(default_factory=list)
    then: list[Expect] = Field(default_factory=list)

    @model_validator(mode="after")
    def _something(self) -> Step:
        if not (self.when or self.then):
            raise refuse("empty_step", "这一步什么也没有 / this step holds nothing",
                         "写 when 或 then / write when or then")  # fmt: skip
        return self


class Story(_Part):
    """One story: a call or a few, from beginning to end."""

    story: Annotated[str, Field(min_length=3, max_length=120)]
    given: Given = Given()
    steps: list[Step] = Field(min_length=1, max_length=60)


class StoryFile(_Part):
    """A file of stories."""

    stories: list[Story] = Field(min_length=1, max_length=500)


def _only_one(part: BaseModel, verbs: tuple[str, ...]) -> None:
    said = [name for name in verbs if getattr(part, name) is not None]
    if len(said) != 1:
        had = " + ".join(said) or "无 none"
        raise refuse("one_verb", f"须写且只写一个动词，现有 {had} / exactly one verb, here {had}",
                     f"可用 / known: {', '.join(verbs)}")  # fmt: skip


def some(value: Some | dict[str, Any] | None) -> list[str]:
    """One name or several, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def parties(story: Story) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every party a story's steps name, with the way to it."""
    for n, step in enumerate(story.steps):
        for m, act in enumerate(step.when):
            at: tuple[str | int, ...] = ("steps", n, "when", m)
            for verb in ("hang_up", "answer", "decline", "vanish"):
                if (who := getattr(act, verb)) is not None:
                    yield (*at, verb), who
            if act.verb in ("dial", "press", "refer", "api"):
                yield (*at, "by"), act.by
        for m, expect in enumerate(step.then):
            at = ("steps", n, "then", m, expect.verb)
            value = getattr(expect, expect.verb)
            if expect.verb in ("ledger", "passes"):
                continue
            for who in some(value):
                yield (*at, who) if isinstance(value, dict) else at, who
            if expect.verb == "hears":
                for who, heard in value.items():
                    for name in some(heard):
                        if name not in words.SOUNDS:
                            yield (*at, who), name
