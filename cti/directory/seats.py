"""Seats, the agents who log in on them, and what holds for all: seats.yaml, agents.yaml.

Knows: frozen values. Must not know: files, Asterisk, the clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Annotated

from pydantic import Field

from cti.directory.base import Frozen
from cti.directory.fields import Code, HotlineNumber, PinHash, Platform, SeatKind, SeatNumber, Secret, Text


class Seat(Frozen):
    """A position: one SIP endpoint. `dedicated` takes only calls handed over by the other platform (专席)."""

    number: SeatNumber
    platform: Platform
    kind: SeatKind
    name: Text
    secret: Secret | None = Field(default=None, repr=False)
    webrtc: Annotated[bool, Field(strict=True)] = False
    """its phone is a browser: WebSocket, DTLS-SRTP, ICE (RFC 7118, RFC 8827)"""
    login: Annotated[bool, Field(strict=True)] = False
    """calls only while an agent is logged in; otherwise the seat is open: logged in by configuration"""
    skills: tuple[Code, ...] = Field(default=(), max_length=16)
    lines: tuple[HotlineNumber, ...] | None = Field(default=None, max_length=500)
    """hotlines it serves; absent: all of its platform whose skills it has"""
    spill: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None
    """a general seat that takes handed-over calls when no dedicated seat is free; lower is rung sooner"""

    def password(self, instance_key: bytes) -> str:
        """The SIP secret: the one given, else derived from the instance's key (HMAC-SHA256, RFC 2104)."""
        if self.secret is not None:
            return self.secret
        digest = hmac.new(instance_key, b"seat/" + self.number.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest)[:26].decode().lower()  # 130 bits


class Agent(Frozen):
    """A person who logs in. ``pin``: a hash (`cti seats pin`)."""

    number: SeatNumber
    name: Text
    pin: PinHash = Field(repr=False)
    skills: tuple[Code, ...] | None = Field(default=None, max_length=16)
    """absent: serves every line of the seat; else only lines whose skills are all among these"""


class Reason(Frozen):
    """Why a seat pauses. ``key``: the digit after `*13` on the phone."""

    code: Code
    zh: Text
    en: Text
    key: Annotated[str, Field(strict=True, pattern=r"^[1-9]$")] | None = None


REASONS = (
    Reason(code="rest", zh="小休", en="break", key="1"), Reason(code="meal", zh="用餐", en="meal", key="2"),
    Reason(code="meeting", zh="会议", en="meeting", key="3"),
    Reason(code="paperwork", zh="填单", en="paperwork", key="4"),
)  # fmt: skip


class SeatRules(Frozen):
    """What holds for every seat of the site."""

    misses: Annotated[int, Field(strict=True, ge=0, le=20)] = 3
    """rings in vain, in a row, after which Asterisk pauses the seat; 0: never"""
    wrapup: Annotated[int, Field(strict=True, ge=0, le=600)] = 0
    """seconds after a call; a hotline's own goes before"""
    reasons: tuple[Reason, ...] = Field(default=REASONS, min_length=1, max_length=32)

    @property
    def codes(self) -> frozenset[str]:
        """The reasons' codes."""
        return frozenset(r.code for r in self.reasons)
