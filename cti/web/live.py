"""What a seat's screen is told as it happens: server-sent events (HTML Standard 9.2) made of the ledger's facts.

A target's screen has the data package from the first ring (`offer`), a transferor's screen each step of his transfer in
words (`progress`), every screen in a three-party call what happens in it and who is there now (`room`). Knows: which
facts concern which seat. Must not know: HTTP, Asterisk. A slow reader is let go, never waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from conference.words import BASES, CHOICES, ENDS, REFUSALS
from cti.core.asking import CODES
from cti.core.facts import Fact
from cti.core.model import Conference, Site, Transfer
from cti.core.routing import REASONS

QUEUE = 200
MAX_LISTENERS = 500

Event = tuple[str, Mapping[str, Any]]

SAID: Mapping[str, tuple[str, str]] = {
    "TransferStarted": ("正在呼叫{to}", "calling {to}"),
    "TargetAnswered": ("{to}已接听", "{to} answered"),
    "CallerReleased": ("您已离席，来电人在等候音乐中", "you left; the caller waits in music"),
    "TransferCancelled": ("已取消转接", "taken back"),
    "TransferFailed": ("转接未成：{to}{why}", "not transferred: {to} {why_en}"),
    "TransferRefused": ("不能转接：{why}", "refused: {why_en}"),
    "TargetFailed": ("{to}{why}，改呼下一个", "{to} {why_en}, trying the next"),
}


ROOM: Mapping[str, tuple[str, str]] = {
    "ConferenceOpened": ("三方通话", "three-party call"),
    "CallerSetAside": ("群众听音乐，{seat} 请私下商议", "{seat} confers: the caller hears music"),
    "CallerBroughtBack": ("群众已回到通话", "the caller is back"),
    "GuestLeft": ("{seat} 已离开", "{seat} left"),
    "SeatMuted": ("{seat} 静音", "{seat} muted"),
    "SeatMuted/0": ("{seat} 取消静音", "{seat} heard again"),
    "MemberAsked": ("正在呼叫 {to}", "calling {to}"),
    "MemberFailed": ("{to} 未加入：{why}", "{to} did not come: {why_en}"),
    "MemberJoined": ("{seat} 加入", "{seat} joined"),
    "MemberLeft": ("{seat} 已离开", "{seat} left"),
    "RoomRefused": ("按键无效：{why}", "refused: {why_en}"),
    "ReminderTold": ("决定时限将到", "time to decide is nearly up"),
    "DecisionSaid": ("{seat}：{why}", "{seat} said: {why_en}"),
    "ConferenceDecided": ("{accepts} 受理：{why}", "{accepts} accepts: {why_en}"),
    "ConferenceDecided/guidance": ("均不受理，引导告知", "neither's matter: guidance"),
    "DecisionDisputed": ("{seat} 有异议：{why}", "{seat} disputes: {why_en}"),
    "WordsLast": ("群众已挂机，可说完再挂", "the caller hung up; finish your words"),
    "ConferenceEnded": ("三方通话结束：{why}", "three-party call over: {why_en}"),
}

ALL = "*"
"""told to everybody who listens"""
PLAN_FACTS = frozenset({"PlanStarted", "PlanStopped", "PlanNotified", "NoticeReceived", "DutyEnded"})
"""an emergency plan is everybody's matter: front message, targets opened and closed, the other platform told"""
PLAN_SHOWN = frozenset({"run", "plan", "to", "what", "title", "drill", "platform", "name", "result"})
SEAT_FACTS = frozenset({"SeatStatus", "RingMissed", "SeatLoginRefused", "DedicatedRefused"})
"""told to the seat itself (`seat`) and to supervisors; a seat the switch took out after rings in vain is an `alert`"""


class Live:
    """Hands each fact to the seats it concerns. ``site`` gives the calls as they are now."""

    def __init__(self, site: Callable[[], Site]) -> None:
        self._site = site
        self._readers: list[tuple[str, asyncio.Queue[Event | None]]] = []

    @contextlib.contextmanager
    def reader(self, seat: str) -> Iterator[asyncio.Queue[Event | None]]:
        """A queue of this seat's events (empty seat: everybody's); None ends it: too slow. Raises OverflowError."""
        if len(self._readers) >= MAX_LISTENERS:
            raise OverflowError
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        entry = (seat, queue)
        self._readers.append(entry)
        try:
            yield queue
        finally:
            if entry in self._readers:
                self._readers.remove(entry)

    def saw(self, fact: Fact) -> None:
        """One fact, on record now."""
        if not self._readers:
            return
        for seat, event in self._events(fact):
            for entry in [r for r in self._readers if seat == ALL or r[0] in ("", seat)]:
                if entry[1].qsize() >= QUEUE:
                    self._readers.remove(entry)
                    entry[1].put_nowait(None)
                else:
                    entry[1].put_nowait(event)

    def _events(self, fact: Fact) -> Iterator[tuple[str, Event]]:
        if fact.kind in PLAN_FACTS:
            shown = {k: v for k, v in fact.data.items() if k in PLAN_SHOWN}
            yield ALL, ("plan", {**shown, "step": fact.kind, "at": fact.at})
            return
        if fact.kind in SEAT_FACTS:
            seat = str(fact.data.get("seat", ""))
            missed = fact.kind == "SeatStatus" and fact.data.get("reason") == "missed"
            yield seat, ("alert" if missed else "seat", {**fact.data, "step": fact.kind, "at": fact.at})
            return
        call = self._site().calls.get(fact.ref)
        if fact.kind in ROOM and call is not None:
            of = next((c for c in call.conferences if c.id == fact.data.get("transfer")), None)
            if of is not None:
                told = ("room", room(fact, of))
                only = str(fact.data["seat"]) if fact.kind == "RoomRefused" else ""
                for number in dict.fromkeys((*of.seats, *(m.seat for m in of.members))):
                    if only in ("", number):
                        yield number, told
            return
        named = str(fact.data.get("transfer", ""))
        transfer = next((t for t in call.transfers if t.id == named), None) if call else None
        if call is None or transfer is None:
            return
        if fact.kind == "TargetRings":
            yield str(fact.data["seat"]), ("offer", {
                "transfer": transfer.id, "call": call.ref, "first": call.hotline, "caller": call.caller,
                "division": call.division, "danger": transfer.danger, "summary": transfer.summary,
                "from_seat": transfer.seat, "at": fact.at})  # fmt: skip
        elif fact.kind in SAID:
            yield transfer.seat, ("progress", progress(fact, transfer))


def progress(fact: Fact, transfer: Transfer) -> Mapping[str, Any]:
    """A step of a transfer, in words for the agent who asked for it."""
    code = str(fact.data.get("why") or fact.data.get("code") or "")
    why, why_en = REASONS.get(code) or CODES.get(code) or (code, code)
    zh, en = SAID[fact.kind]
    words = {"to": transfer.to, "why": why, "why_en": why_en}
    return {"transfer": transfer.id, "call": fact.ref, "step": fact.kind, "code": code, "at": fact.at,
            "zh": zh.format(**words), "en": en.format(**words)}  # fmt: skip


def room(fact: Fact, conference: Conference) -> Mapping[str, Any]:
    """A step in a three-party call, in words, and how the room stands after it."""
    data, decided = fact.data, conference.decision
    code = str(data.get("code") or data.get("choice") or data.get("how") or data.get("why") or "")
    if fact.kind == "ConferenceDecided":
        code = str(data.get("basis", ""))
    known = (table[code] for table in (REFUSALS, CHOICES, ENDS, BASES, REASONS) if code in table)
    why, why_en = next(known, (code, code))
    words = {"why": why, "why_en": why_en, **{n: str(data.get(n, "")) for n in ("seat", "to", "accepts")}}
    zh, en = ROOM.get(f"{fact.kind}/{data.get('outcome', data.get('on'))}") or ROOM[fact.kind]
    member = conference.fourth
    return {"conference": conference.id, "call": fact.ref, "step": fact.kind, "code": code, "at": fact.at,
            "zh": zh.format(**words), "en": en.format(**words), "state": str(conference.state),
            "here": [*conference.here, *([member.seat] if member else [])], "aside": conference.state == "aside",
            "muted": list(conference.muted), "accepts": decided.accepts if decided else None,
            "basis": decided.basis if decided else None}  # fmt: skip


def frame(event: Event) -> bytes:
    """One event on the wire."""
    return f"event: {event[0]}\ndata: {json.dumps(event[1], ensure_ascii=False)}\n\n".encode()
