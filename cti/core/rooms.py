"""The three-party calls of one call: opened, told what concerns them, and their records.

Knows: which conference an event is for, and what the ledger keeps. Must not know: the rules (`conference`).

`ConferenceOpened`, `ConferenceDecided` and `ConferenceEnded` are written exactly once a conference, `DispatchFirst` and
`DecisionDisputed` at most once: each stands for one change of a value that never changes back. Typed words came
percent-encoded through the dialplan, as a summary does; on record they are plain."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from conference import decision
from conference import room as machine
from cti.core import events as e
from cti.core import records
from cti.core.commands import Command, Record
from cti.core.model import Call, Conference, Decision, Party, RoomState, Transfer, Word
from cti.core.rules import Anomaly

Step = tuple[Call, list[Command]]


def open(call: Call, transfer: Transfer, first: Party, first_here: bool) -> Step:
    """The conference of a transfer of mode `add` that has just joined. The platform that received the call first is
    that of its first taker: a hotline may keep a number of its own (双号并行)."""
    received = call.platforms[0] if call.platforms else call.hotline
    guest = Party(transfer.target_seat, transfer.to)
    made = machine.opened(transfer.id, first, guest, received, transfer.policy, transfer.joined_at, first_here)
    return replace(call, conferences=(*call.conferences, made)), [_opened(call, made, transfer)]


def hears(call: Call, event: e.Event) -> Step:
    """An event as the conference it names sees it; one that names none is for the open one."""
    if type(event) not in machine.NONE:
        return call, []
    named = str(getattr(event, "transfer", ""))
    if isinstance(event, e.ROOM_EVENTS):
        known = next((c for c in call.conferences if c.id == named), None)
    else:
        known = call.conference
    coming = any(t.id == named and t.mode == "add" for t in call.transfers)
    if known is None and coming and type(event) in machine.EARLY:
        return call, []
    changed, decided = machine.step(known, event)
    if isinstance(decided, Anomaly):
        return call, [records.anomaly(event, decided.code)]
    if known is None or changed is None or changed is known:
        return call, []
    return _put(call, known, changed)


def alarm(call: Call, at: int) -> Step:
    """Danger known at the opening, or since: 110 dispatches first, at once, whoever accepts later."""
    known = call.conference
    if known is None or known.danger or not call.danger:
        return call, []
    call, _ = _put(call, known, replace(known, danger=True))
    seat = next((p.seat for p in (known.first, known.guest) if p.platform == decision.DANGER_PLATFORM), "")
    return call, [records.record(call.ref, "DispatchFirst", at, f"dispatch/{known.id}", transfer=known.id,
                                 platform=decision.DANGER_PLATFORM, seat=seat, division=call.division,
                                 after_ms=_ms(at - known.opened_at))]  # fmt: skip


def deadline(call: Call) -> int | None:
    """When something in the open conference happens by itself (µs), or None."""
    return machine.deadline(call.conference) if call.conference is not None else None


def expire(call: Call, now: int) -> Step:
    """The call after what its open conference had due by ``now``."""
    known = call.conference
    if known is None:
        return call, []
    changed = machine.expire(known, now)
    return _put(call, known, changed) if changed is not known else (call, [])


def _put(call: Call, before: Conference, after: Conference) -> Step:
    """The call with its conference changed, and the records that change makes."""
    call = replace(call, conferences=tuple(after if c.id == after.id else c for c in call.conferences))
    if after.state is RoomState.ALONE and after.here and call.seat not in after.here:
        left = next(p for p in (after.first, after.guest) if p.seat in after.here)
        call = replace(call, seat=left.seat, platform=left.platform)
    fourth = after.fourth
    if fourth is not None and fourth.seat not in call.takers:
        call = replace(call, takers=(*call.takers, fourth.seat))
    if fourth is not None and after.state is RoomState.ALONE and not after.here:
        call = replace(call, seat=fourth.seat, platform=fourth.platform)
    commands: list[Command] = []
    if after.decision is not None and before.decision is None:
        commands.append(_decided(call, after, after.decision))
    if after.disputed is not None and before.disputed is None and after.decision is not None:
        commands.append(_disputed(call, after, after.decision, after.disputed))
    if after.state is RoomState.OVER and before.state is not RoomState.OVER:
        commands.append(_ended(call, after))
    return call, commands


# -- records -----------------------------------------------------------------------------------------------------------
def _opened(call: Call, c: Conference, t: Transfer) -> Record:
    return records.record(
        call.ref,
        "ConferenceOpened",
        c.opened_at,
        f"opened/{c.id}",
        transfer=c.id,
        seats=",".join(c.seats),
        platforms=f"{c.first.platform},{c.guest.platform}",
        first_platform=c.first_platform,
        danger=int(t.danger),
        key_ms=_ms(c.opened_at - t.started_at),
        join_ms=_ms(c.opened_at - t.answered_at),
    )


def _decided(call: Call, c: Conference, d: Decision) -> Record:
    word = d.word or Word("", "", "", "", "", "", 0)
    return records.record(
        call.ref,
        "ConferenceDecided",
        d.at,
        f"decision/{c.id}",
        transfer=c.id,
        outcome=d.outcome,
        choice=d.choice,
        accepts=d.accepts,
        by=word.seat,
        platform=word.platform,
        basis=d.basis,
        why=d.why,
        reason=unquote(word.reason),
        text=unquote(word.text),
        key_=word.key,
        disputed=int(d.why == "disagreement"),
        words=",".join(f"{w.platform or 'supervisor'}={w.choice}" for w in c.words),
        rule=c.policy.rule,
        first_platform=c.first_platform,
        danger=int(c.danger),
        asked_ms=_ms(d.at - c.opened_at),
    )


def _disputed(call: Call, c: Conference, d: Decision, word: Word) -> Record:
    return records.record(call.ref, "DecisionDisputed", word.at, f"dispute/{c.id}", transfer=c.id, seat=word.seat,
                          platform=word.platform, choice=word.choice, reason=unquote(word.reason),
                          text=unquote(word.text), accepts=d.accepts, after_ms=_ms(word.at - d.at))  # fmt: skip


def _ended(call: Call, c: Conference) -> Record:
    return records.record(
        call.ref,
        "ConferenceEnded",
        c.ended_at,
        f"conference/{c.id}",
        transfer=c.id,
        seats=",".join(c.seats),
        platforms=f"{c.first.platform},{c.guest.platform}",
        opened_at=c.opened_at,
        together_ms=_ms(c.together_us),
        aside_ms=_ms(c.aside_us),
        first_left=c.first_left,
        members=",".join(m.seat for m in c.members),
        how=c.how,
        danger=int(c.danger),
    )


def _ms(us: int) -> int:
    """Steps of one instant may be told in any order: never negative."""
    return max(0, us) // 1000
