"""What a call is when it comes in: whose territory, how urgent, in which language, listed or not.

Knows: Chinese numbering and the entry book it is handed. Must not know: Asterisk, files, the clock (the day
is an argument). Total: any text is a caller, and every call gets an answer, because an unanswered call is the
one failure this product exists to avoid.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Language = Literal["zh", "en"]
CallerKind = Literal["mobile", "fixed", "unknown"]

YUNNAN_AREAS: Mapping[str, str] = MappingProxyType(
    {
        "0691": "532800",  # 西双版纳州
        "0692": "533100",  # 德宏州
        "0870": "530600",  # 昭通市
        "0871": "530100",  # 昆明市
        "0872": "532900",  # 大理州
        "0873": "532500",  # 红河州
        "0874": "530300",  # 曲靖市
        "0875": "530500",  # 保山市
        "0876": "532600",  # 文山州
        "0877": "530400",  # 玉溪市
        "0878": "532300",  # 楚雄州
        "0879": "530800",  # 普洱市
        "0883": "530900",  # 临沧市
        "0886": "533300",  # 怒江州
        "0887": "533400",  # 迪庆州
        "0888": "530700",  # 丽江市
    }
)
"""Long-distance area code -> GB/T 2260 division of Yunnan's 16 prefectures."""

_DIVISION = re.compile(r"[0-9]{6}\Z")
_PREFIX = re.compile(r"0[0-9]{2,10}\Z")
_PUNCTUATION = str.maketrans("", "", " -")
_COUNTRY = re.compile(r"(?:\+86|0086|86)(?=[0-9]{10,12}\Z)")
_MOBILE = re.compile(r"0?(1[3-9][0-9]{9})\Z")  # some exchanges deliver a trunk 0 before a mobile number
_FIXED = re.compile(r"0?((?:10|2[0-9]|[3-9][0-9]{2})[0-9]{7,8})\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """A number in the one form it is compared in: 11 digits (mobile), 0 + area code + 7 or 8 digits (fixed),
    or the text as it came without blanks and hyphens (unknown: withheld, foreign, an internal extension).
    """

    kind: CallerKind
    number: str


@dataclass(frozen=True, slots=True)
class Nuisance:
    """A number on the nuisance list, up to and including the day ``until``. ``reason`` is shown to the
    agent.
    """

    number: str
    until: datetime.date
    reason: str


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """``ref``: the dialplan's own reference of this call. ``hotline``: the public number that was dialled.
    ``language``: a language tag (``zh``, ``zh-CN``, ``en`` …) or nothing."""

    ref: str
    caller: str
    hotline: str
    language: str


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """``division``: six digits. ``priority``: 0 is routine, higher is served first (Asterisk's QUEUE_PRIO).
    ``nuisance``: information for the agent, never a reason to refuse. ``note``: how it was decided, without
    numbers.
    """

    division: str
    priority: int
    language: Language
    nuisance: bool
    note: str


@dataclass(frozen=True, slots=True)
class EntryBook:
    """What the site knows about its callers. ``hotlines``: public number -> default division. ``areas``:
    prefix of a fixed number, trunk 0 included, -> division; the longest prefix wins. ``police``: hotlines
    that are 110's.

    The priorities are proposals (no public rule fixes them) and come from the configuration. Raises
    ValueError for a division that is not six digits, a prefix that is none, an empty nuisance number, or
    priorities that would put 110 behind 12345.
    """

    hotlines: Mapping[str, str]
    fallback_division: str = "530000"
    areas: Mapping[str, str] = field(default_factory=lambda: YUNNAN_AREAS)
    nuisances: tuple[Nuisance, ...] = ()
    police: frozenset[str] = frozenset({"110"})
    priority_110: int = 10
    priority_12345: int = 0
    priority_nuisance: int = 0
    _listed: Mapping[str, Nuisance] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for division in (self.fallback_division, *self.hotlines.values(), *self.areas.values()):
            if not _DIVISION.match(division):
                raise ValueError(f"division {division!r} is not six digits")
        for prefix in self.areas:
            if not _PREFIX.match(prefix):
                raise ValueError(f"{prefix!r} is not the beginning of a fixed number")
        if not 0 <= self.priority_12345 <= self.priority_110 or self.priority_nuisance < 0:
            raise ValueError("priorities must keep 0 <= 12345 <= 110 and 0 <= nuisance")
        listed: dict[str, Nuisance] = {}
        for entry in sorted(self.nuisances, key=lambda one: one.until):  # of two entries the later one holds
            number = normalise_caller(entry.number).number
            if not number:
                raise ValueError("a nuisance entry needs a number, or every withheld one is listed")
            listed[number] = entry
        object.__setattr__(self, "_listed", MappingProxyType(listed))

    def listed(self, caller: Caller, today: datetime.date) -> Nuisance | None:
        """The entry that holds for ``caller`` on ``today``, if any."""
        entry = self._listed.get(caller.number)
        return entry if entry is not None and today <= entry.until else None

    def division_of(self, caller: Caller, hotline: str) -> tuple[str, str]:
        """Division and where it came from: the caller's exchange, else the hotline's own, else the site's."""
        if caller.kind == "fixed":
            for length in range(len(caller.number), 2, -1):
                division = self.areas.get(caller.number[:length])
                if division is not None:
                    return division, "area"
        own = self.hotlines.get(hotline)
        return (own, "hotline") if own is not None else (self.fallback_division, "fallback")


def normalise_caller(text: str) -> Caller:
    """Strip blanks, hyphens and China's country code. Never raises.

    Abroad the trunk 0 is dropped: +86 871 6312 0000 is 0871 6312 0000.
    """
    compact = text.translate(_PUNCTUATION)
    national = _COUNTRY.sub("", compact)
    if mobile := _MOBILE.match(national):
        return Caller("mobile", mobile[1])
    # Without a country code only the trunk 0 tells a fixed number from any other ten or eleven digits.
    if (national.startswith("0") or national != compact) and (fixed := _FIXED.match(national)):
        return Caller("fixed", "0" + fixed[1])
    return Caller("unknown", compact)


def decide_entry(request: EntryRequest, book: EntryBook, today: datetime.date) -> EntryAnswer:
    """Decide what the call is. Total over any text.

    A listed caller's priority is lowered only on a hotline the book knows as not 110's: on 110, and wherever
    the number dialled is in doubt, the listing is information (a listed nuisance caller still reaches 110).
    """
    caller = normalise_caller(request.caller)
    hotline = request.hotline.strip()
    division, source = book.division_of(caller, hotline)
    entry = book.listed(caller, today)
    priority = book.priority_110 if hotline in book.police else book.priority_12345
    if entry is not None and hotline in book.hotlines and hotline not in book.police:
        priority = min(priority, book.priority_nuisance)
    return EntryAnswer(
        division=division,
        priority=priority,
        language="en" if request.language.strip().lower().startswith("en") else "zh",
        nuisance=entry is not None,
        note=f"division={source}" + (f"; nuisance: {entry.reason}" if entry is not None else ""),
    )
