"""What may be asked of a call by API or console, and the answer: pure rules ahead of the dialplan's door.

The door (dialplan/door.conf) decides again, under the call's lock, with or without us; these rules only spare it the
requests that cannot be. Knows: the site's calls. Must not know: HTTP, tokens, Asterisk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from conference import decision
from conference.words import CHOICES
from cti.core import events as e
from cti.core.callbacks import SAYABLE
from cti.core.commands import BringFourth, Confer, Mute, PartFourth, SayDecision
from cti.core.model import Call, Callback, CallbackState, Conference, Phase, RoomState, Site, Transfer, TransferState

NOTE_BYTES = 400
"""of percent-encoded summary in the SIP header: an INVITE must stay well under one UDP packet"""
MAX_TAKERS = 3

CODES: dict[str, tuple[str, str]] = {
    "unknown-call": ("没有这通来电，或已结束", "no such call, or it is over"),
    "unknown-transfer": ("没有这次转接", "no such transfer"),
    "not-your-call": ("来电不在您的座席", "the call is not at your seat"),
    "transfer-running": ("正在转接，可取消或先行离席", "a transfer is running: cancel it, or release"),
    "not-ringing": ("转接已不在振铃", "the transfer no longer rings"),
    "no-route": ("没有可转的路由", "no route leads there"),
    "bounce": ("来电从该平台转来，不能转回；请用三方通话", "the caller came from there: use the three-party call"),
    "three-takers": ("已经过三个座席，不能再转；请用三方通话", "three call-takers had him: use the three-party call"),
    "not-open": ("未开放一键转接，须先启动应急联动方案", "not open to one key: an emergency plan opens it"),
    "dedicated-only": ("专席只接对方平台转来的电话", "a dedicated seat takes only calls the other platform hands over"),
    "room-open": ("正在三方通话", "a three-party call is open"),
    "caller-gone": ("来电人已挂机", "the caller has hung up"),
    "switch-away": ("交换机未连接，请用话机按键", "Asterisk is not linked: use the phone's key"),
    "unknown-callback": ("没有这项回电任务", "no such callback task"),
    "callback-ended": ("回电任务已办结", "the task has ended"),
    "callback-taken": ("已有座席在办", "a seat has it already"),
    "callback-no-number": ("没有来电号码，无法回拨", "there is no number to call"),
    "seat-busy": ("座席正在通话", "the seat is in a call"),
    "unknown-result": ("没有这种结果", "no such result"),
    "unknown-seat": ("没有这个座席", "no such seat"),
    "idempotency-key-reused": ("同一幂等键用于不同请求", "the idempotency key was used for another request"),
}
"""refusal → what is said of it (Chinese, English); the same words for key, REFER, API and console"""


@dataclass(frozen=True, slots=True)
class Ask:
    """A transfer asked for. ``seat``: who asks; empty: a supervisor, on behalf of the seat that has the caller.
    ``only``: one colleague's seat instead of the platform's route."""

    ref: str
    transfer: str
    seat: str
    to: str
    at: int
    danger: bool = False
    summary: str = ""
    only: str = ""
    mode: str = "swap"
    """add: brought in beside the caller and his seat, the three-party call"""


@dataclass(frozen=True, slots=True)
class No:
    """Refused; ``code`` is one of `CODES`, or of `conference.words.REFUSALS`."""

    code: str


def transfer(site: Site, ask: Ask) -> e.TransferRequested | Transfer | No:
    """The intent to write, or the transfer this very request has made already, or why not."""
    call = site.calls.get(ask.ref)
    if call is None:
        return No("unknown-call")
    made = next((t for t in call.transfers if t.id == ask.transfer), None)
    if made is not None:
        same = (made.to, made.danger, made.summary, made.mode) == (ask.to, ask.danger, ask.summary, ask.mode)
        return made if same and ask.seat in ("", made.seat) else No("idempotency-key-reused")
    if call.phase is Phase.ENDED:
        return No("caller-gone")
    if not call.seat or ask.seat not in ("", call.seat) or call.phase is not Phase.TALKING:
        return No("not-your-call")
    if call.transfer is not None and call.transfer.state is not TransferState.JOINED:
        return No("transfer-running")
    if call.conference is not None and len(call.conference.here) > 1:
        return No("room-open")
    if ask.mode != "add" and ask.to != call.platform and ask.to in call.platforms:
        return No("bounce")
    if ask.mode != "add" and len(call.takers) >= MAX_TAKERS:
        return No("three-takers")
    return e.TransferRequested(ask.ref, ask.at, ask.transfer, ask.to, call.seat, "api", int(ask.danger), ask.summary,
                               ask.only, ask.mode)  # fmt: skip


def ringing(call: Call | None, transfer_id: str, seat: str) -> Transfer | No:
    """The transfer that may be taken back, or left to ring on, by ``seat`` (empty: a supervisor)."""
    if call is None:
        return No("unknown-call")
    found = next((t for t in call.transfers if t.id == transfer_id), None)
    if found is None:
        return No("unknown-transfer")
    if seat not in ("", found.seat):
        return No("not-your-call")
    if found.state not in (TransferState.REQUESTED, TransferState.RINGING):
        return No("not-ringing")
    return found


def decide(call: Call | None, conference: str, seat: str, choice: str, reason: str = "", text: str = "",
           key: str = "api", *, at: int) -> SayDecision | e.DecisionSaid | No:  # fmt: skip
    """A word on who accepts, to be said as the seat's own key would (``seat`` empty: a supervisor's), or why not.
    Against a decision that stands only a contrary word of another platform is still heard, for the record; of a seat
    that was let go by it too, as long as the call is known, and then Asterisk has no part in it: it is the event."""
    if call is None:
        return No("unknown-call")
    room = next((c for c in call.conferences if c.id == conference), None)
    if room is None:
        return No("no-room")
    if seat not in ("", *room.seats):
        return No("not-in-room")
    if choice not in CHOICES:
        return No("unknown-choice")
    contradicts = decision.contrary(room, seat, choice)
    if room.decision is not None and not contradicts:
        return No("decided")
    if contradicts and seat and seat not in room.here:
        platform = decision.platform_of(room, seat)
        return e.DecisionSaid(call.ref, at, conference, seat, platform, choice, quote(reason), quote(text), key)
    if room.state is RoomState.OVER:
        return No("no-room")
    if seat not in ("", *room.here):
        return No("not-in-room")
    return SayDecision(call.ref, conference, seat, choice, reason, text, key)


def confer(call: Call | None, conference: str, seat: str) -> Confer | No:
    """Private conferring begun or ended by who is in the room (``seat`` empty: a supervisor), or why not."""
    room = _room(call, conference, seat, fourth=True)
    return room if isinstance(room, No) else Confer(room.id.rpartition("-")[0], conference, seat or room.here[0])


def mute(call: Call | None, conference: str, seat: str, on: bool) -> Mute | No:
    """Who is in the room muted or heard again; nobody is muted by another, so ``seat`` is never empty."""
    room = _room(call, conference, seat, fourth=True)
    if isinstance(room, No) or not seat:
        return room if isinstance(room, No) else No("not-in-room")
    return Mute(room.id.rpartition("-")[0], conference, seat, on)


def bring_fourth(call: Call | None, conference: str, seat: str, member: str, to: str) -> BringFourth | No:
    """A fourth member asked for by one of the two seats (``seat`` empty: a supervisor), or why not. At most three
    call-takers have the caller (DOMAIN.md, transfer rule 4). One who is being rung is known to the dialplan alone."""
    room = _room(call, conference, seat)
    if isinstance(room, No):
        return room
    if room.fourth is not None and room.fourth.id != member:
        return No("room-full")
    return BringFourth(room.id.rpartition("-")[0], conference, member, to, seat)


def part_fourth(call: Call | None, conference: str, seat: str, member: str) -> PartFourth | No:
    """The fourth member let go, or taken back while he is rung, by one of the two seats or a supervisor."""
    if call is None:
        return No("unknown-call")
    room = call.conference
    if room is None or room.id != conference:
        return No("no-room")
    if seat not in ("", *room.here):
        return No("not-in-room")
    if any(m.id == member and m.left_at for m in room.members):
        return No("no-member")
    return PartFourth(call.ref, conference, member)


def _room(call: Call | None, conference: str, seat: str, *, fourth: bool = False) -> Conference | No:
    """The open room of this id with both its seats, if ``seat`` (empty: a supervisor) may act in it."""
    if call is None:
        return No("unknown-call")
    room = call.conference
    if room is None or room.id != conference:
        return No("no-room")
    member = room.fourth.seat if fourth and room.fourth is not None else ""
    if seat not in ("", *room.here, member):
        return No("not-in-room")
    return room if len(room.here) > 1 else No("alone")


def note(summary: str) -> str:
    """The summary percent-encoded (RFC 3986 unreserved kept), cut at a whole character to `NOTE_BYTES`."""
    made = ""
    for character in re.sub(r"\s+", " ", summary).strip():
        coded = quote(character, safe="")
        if len(made) + len(coded) > NOTE_BYTES:
            break
        made += coded
    return made


def take_callback(site: Site, task_id: str, seat: str, at: int) -> e.CallbackTaken | No:
    """A seat takes a task from the list: the intent, written before the seat's phone is rung."""
    task = site.callbacks.get(task_id)
    if task is None:
        return No("unknown-callback")
    if task.state is CallbackState.ENDED:
        return No("callback-ended")
    if task.state not in (CallbackState.DUE, CallbackState.PLACED):
        return No("callback-taken")
    if len(dialable(task)) < 3:
        return No("callback-no-number")
    if any(c.seat == seat and c.phase is Phase.TALKING for c in site.calls.values()):
        return No("seat-busy")
    return e.CallbackTaken(task_id, at, seat)


def say_callback(site: Site, task_id: str, seat: str, result: str, note: str, at: int) -> e.CallbackSaid | No:
    """A person's word on a task. ``seat`` empty: a supervisor's; an agent's only on the task his seat has, or one that
    no seat has."""
    task = site.callbacks.get(task_id)
    if task is None:
        return No("unknown-callback")
    if task.state is CallbackState.ENDED:
        return No("callback-ended")
    if seat and task.seat not in ("", seat):
        return No("callback-taken")
    if result not in SAYABLE:
        return No("unknown-result")
    return e.CallbackSaid(task_id, at, seat, result, note)


def dialable(task: Callback) -> str:
    """The caller's number as it is dialled: digits alone."""
    return re.sub(r"[^0-9]", "", task.caller)
