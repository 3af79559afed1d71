"""The nuisance list as nuisance.yaml has it: entries approved on paper, and the rules for those kept in the ledger.

Knows: frozen values. Must not know: files, Asterisk, the clock.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from cti.directory.base import Frozen
from cti.directory.fields import Note, PhoneNumber, Text


class Nuisance(Frozen):
    """A number listed for harassment until a day (inclusive), by somebody's approval."""

    number: PhoneNumber = Field(repr=False)
    until: dt.date
    reason: Note
    approved_by: Text


class ShortCallsRule(Frozen):
    """So many calls shorter than ``seconds`` within ``minutes`` are *proposed*; a person decides."""

    calls: Annotated[int, Field(strict=True, ge=3, le=100)]
    seconds: Annotated[int, Field(strict=True, ge=1, le=120)]
    minutes: Annotated[int, Field(strict=True, ge=1, le=1440)]


class NuisanceRules(Frozen):
    """Of the list. Days an entry lasts unless said otherwise, and at most; s of music after the notice, in which 1 may
    still be pressed."""

    days: Annotated[int, Field(strict=True, ge=1, le=365)] = 30
    most_days: Annotated[int, Field(strict=True, ge=1, le=730)] = 180
    wait: Annotated[int, Field(strict=True, ge=2, le=30)] = 5
    short_calls: ShortCallsRule | None = None
    """absent: nothing is proposed by itself"""
