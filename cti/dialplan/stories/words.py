"""The few words a story is written in: who takes part, and what a phone does by itself.

Knows: text in, values out, with the nearest known word for a slip. Must not know: YAML, phones' insides, Asterisk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic_core import PydanticCustomError

from cti.dialtest.phone import Answer, Policy, Reject, Ring
from cti.directory.fields import refuse
from cti.problem import did_you_mean

CALLER: Final = re.compile(r"^caller[2-4]?$")
"""caller, and up to three more: caller2, caller3, caller4"""
SITE: Final = re.compile(r"^site-\d{6}$")
"""a neighbouring site's trunk, as a party that dials"""
SOUNDS: Final = ("music", "silence")
BEHAVIOURS: Final = ("answers", "busy", "declines", "rings", "off")
EXAMPLE: Final = (
    'answers | answers after 0.5 | answers after 1, leaves after 3 | answers, presses 1 | busy | declines | rings | off'
)
_WHOLE: Final = re.compile(
    r"^(?P<word>[a-z]+)(?: after (?P<after>\d+(?:\.\d+)?)(?: ?s)?)?"
    r"(?:, leaves after (?P<leaves>\d+(?:\.\d+)?)(?: ?s)?)?"
    r"(?:, presses (?P<presses>[0-9*#]+)(?: after (?P<pressed>\d+(?:\.\d+)?)(?: ?s)?)?)?$"
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a phone does with an INVITE by itself. ``policy`` None: it is off, no phone is there. ``presses``: keys it
    presses ``pressed`` s after it answered."""

    policy: Policy | None
    presses: str = ""
    pressed: float = 0.5


def behaviour(text: str) -> Behaviour:
    """``answers after 0.5, leaves after 3`` → what the phone does. Raises pydantic's error with a cure."""
    match = _WHOLE.match(text.strip())
    word = match["word"] if match else text.split()[0] if text.split() else ""
    if match is None or word not in BEHAVIOURS:
        near = did_you_mean(word, list(BEHAVIOURS))
        cure = f"改为 / write {near}" if near and near != word else f"如 / e.g. {EXAMPLE}"
        raise refuse("behaviour", f"看不懂话机做什么 / not a thing a phone does: {text!r:.60}", cure)
    after = float(match["after"] or 0.1)
    leaves = float(match["leaves"]) if match["leaves"] else None
    if word != "answers" and (leaves is not None or match["presses"]):
        raise refuse("behaviour", f"不接听便不能挂机或按键 / only who answers leaves or presses: {text!r:.60}",
                     "只与 answers 合用 / only with answers")  # fmt: skip
    match word:
        case "off":
            return Behaviour(None)
        case "rings":
            return Behaviour(Ring())
        case "busy":
            return Behaviour(Reject(486, after))
        case "declines":
            return Behaviour(Reject(603, after))
        case _:
            return Behaviour(Answer(after, leaves), match["presses"] or "", float(match["pressed"] or 0.5))


def party(text: str) -> str:
    """A party's name as such: a caller, a number, a neighbouring site. Whether it is there is the story's to check."""
    if CALLER.match(text) or SITE.match(text) or re.fullmatch(r"[0-9+]{3,18}", text):
        return text
    raise unknown_party(text, ["caller", "caller2", "caller3", "caller4"])


def unknown_party(text: str, known: list[str]) -> PydanticCustomError:
    """The error for a name nobody has."""
    near = did_you_mean(text, known)
    cure = f"改为 / write {near}" if near else 'caller，或座席号码如 "1001" / caller, or a seat as "1001"'
    return refuse("party", f"没有这一方 / nobody is called {text!r:.30}", cure)
