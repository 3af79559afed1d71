"""The call around its transfers: `step(site, event) → (site, commands)`, the one place where rules meet.

Knows: a caller's way from arrival to the end of his channel, and that the door lets in one of his transfers at a
time. Must not know: Asterisk, clocks, the ledger's storage, the inside of a three-party call (rooms.py). Total: no
event raises; what does not fit is recorded as an anomaly.

Every record is written exactly once: `CallEnded` per call, `TransferEnded` per transfer, `ConferenceDecided` and
`ConferenceEnded` per three-party call. Its key is made of the call's or transfer's id alone, so that a replay, or a
catch-up after the service was away, writes the very same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cti.core import events as e
from cti.core import nuisance, plans, recordings, records, rooms, rules, seats, tasks, visits
from cti.core import transfer as machine
from cti.core.commands import Command, KnockDoor, LayRoute, Record
from cti.core.model import Call, Outcome, Party, Phase, Site, Transfer, TransferState

Step = tuple[Call, list[Command]]


def step(site: Site, event: e.Event) -> tuple[Site, list[Command]]:
    """The site after this event, and what is to be done. An event's own time first ends what was due before it."""
    if isinstance(event, e.ClockTicked):
        return tick(site, event.at)
    if isinstance(event, e.SeatEvent):
        return seats.step(site, event)
    if isinstance(event, e.PlanEvent):
        return plans.step(site, event)
    if isinstance(event, e.NuisanceEvent):
        return nuisance.step(site, event)
    if isinstance(event, e.DIALPLAN_EVENTS):
        return site, []  # on record, and no rule follows from it
    after, commands = _step(site, event)
    return after, _marked(after, commands)


def _step(site: Site, event: e.Event) -> tuple[Site, list[Command]]:
    if isinstance(event, e.CALLBACK_EVENTS):
        return tasks.hears(site, event)
    call = site.calls.get(event.ref)
    if call is None:
        if isinstance(event, e.CallerGone):
            return site, []  # over and forgotten while we looked for his channel
        if isinstance(event, recordings.LATER):
            return site, []  # of a file, not of a call in progress
        if not isinstance(event, e.CallArrived):
            return site, [records.anomaly(event, "step-of-unknown-call")]
        task = site.callbacks.get(event.callback)
        call = Call(event.ref, event.hotline, event.caller, event.at, callback=event.callback, of=event.platform,
                    drill=event.drill or (task.drill if task else ""))  # fmt: skip
        return _with(site, call), []
    call, commands = _expire(call, event.at)
    call, more = _apply(call, event)
    call, alarm = rooms.alarm(call, event.at)
    made = commands + more + alarm
    return tasks.open_due(_with(site, call), made), made


def tick(site: Site, now: int) -> tuple[Site, list[Command]]:
    """End what its deadline has passed, and forget calls that are over with nothing open."""
    commands: list[Command] = []
    calls, before = dict(site.calls), site
    for ref, call in site.calls.items():
        changed, more = _expire(call, now)
        commands += more
        if _done(changed) and now > _last_end(changed) + 10_000_000:
            del calls[ref]
        else:
            calls[ref] = changed
    site, ended = tasks.tick(replace(tasks.open_due(site, commands), calls=calls), now)
    site, more = seats.tick(site, now)
    site, planned = plans.tick(site, now)
    site, over = nuisance.tick(site, now)
    return site, _marked(before, commands + ended) + more + planned + over


def next_deadline(site: Site) -> int | None:
    """The earliest time (µs) at which `tick` has something to do."""
    due = [machine.deadline(transfer) for call in site.calls.values() for transfer in call.open]
    due += [rooms.deadline(call) for call in site.calls.values()]
    due.append(seats.next_deadline(site))
    due += [tasks.deadline(site), plans.deadline(site), nuisance.next_deadline(site)]
    return min((at for at in due if at is not None), default=None)


def replay(events: Iterable[e.Event]) -> tuple[Site, list[Command]]:
    """All the commands a sequence of events leads to, from an empty site: the same on every machine."""
    site, commands = Site(), list[Command]()
    for event in events:
        site, more = step(site, event)
        commands += more
    return site, commands


def drill_of(site: Site, ref: str) -> str:
    """The run of a plan whose drill a call, or its callback task, is part of; "" for all others."""
    call, task = site.calls.get(ref), site.callbacks.get(ref)
    return (call.drill if call else "") or (task.drill if task else "")


def _marked(site: Site, commands: list[Command]) -> list[Command]:
    """Records of a drill's call say so: published figures leave them out (`cti.core.facts.published`)."""
    return [
        replace(one, data={**one.data, "drill": mark})
        if isinstance(one, Record) and (mark := drill_of(site, one.ref)) else one
        for one in commands
    ]  # fmt: skip


# -- one call ----------------------------------------------------------------------------------------------------------
def _apply(call: Call, event: e.Event) -> Step:
    if isinstance(event, e.TRANSFER_EVENTS):
        return _transfer_event(call, event)
    if isinstance(event, e.ROOM_EVENTS):
        return _room_event(call, event)
    if isinstance(event, e.RECORDING_EVENTS):
        return recordings.hears(call, event)
    if isinstance(event, e.NuisanceTold):
        return replace(call, notice="told"), []
    if isinstance(event, e.NuisancePassed):
        return replace(call, notice=event.how), []
    call, commands = rooms.hears(call, event)
    if call.phase is Phase.ENDED:
        late = not isinstance(event, e.SeatLeft | e.CallerGone)
        return call, [*commands, records.anomaly(event, "step-of-ended-call")] if late else commands
    call, more = _open_transfer_hears(call, event)
    commands += more
    call = visits.hears(call, event)
    match event:
        case e.CallArrived():
            return call, [*commands, records.anomaly(event, "arrived-twice")]
        case e.EntryTold():
            call = replace(
                call, division=event.division, priority=event.priority, nuisance=bool(event.nuisance), phase=call.phase
            )
        case e.EntryDefaulted():
            call = replace(call, division=event.division, priority=event.priority)
        case e.CallerQueued():
            call = replace(call, phase=Phase.QUEUED, queued_at=call.queued_at or event.at)
        case e.SeatAnswered():
            call = replace(_taken(call, event.seat, event.platform, event.at), kind=call.kind or event.kind)
            commands.append(LayRoute(call.ref, call.division))
        case e.SeatLost() if call.conference is not None:
            pass  # the other seat is with him
        case e.SeatLost() | e.CallerRecalled():
            call = replace(call, phase=Phase.WAITING)
        case e.CallerNotServed():
            call = replace(call, not_served=event.why or "none")
            commands.append(records.callback(call, event.at, event.why))
        case e.CallerLeft() | e.CallerGone():
            call, more = _ended(call, event)
            commands += more
    return call, commands


def _taken(call: Call, seat: str, platform: str, at: int) -> Call:
    """A person has the caller. Wait and answer are counted once, at the first one."""
    return replace(
        call,
        phase=Phase.TALKING,
        seat=seat,
        platform=platform,
        platforms=call.platforms if platform in call.platforms else (*call.platforms, platform),
        answered_at=call.answered_at or at,
        takers=call.takers if seat in call.takers else (*call.takers, seat),
    )


def _ended(call: Call, event: e.CallerLeft | e.CallerGone) -> Step:
    call = recordings.over(replace(call, phase=Phase.ENDED, ended_at=event.at))
    if call.callback:
        outcome = "called-back"  # we rang him: never part of the answer rate
    elif call.answered_at:
        outcome = "answered"
    elif call.asked_back:
        outcome = "callback"
    elif call.not_served:
        outcome = "timeout" if call.not_served == "TIMEOUT" else "refused"
    elif call.queued_at:
        outcome = "abandoned"
    else:
        outcome = "unasked"  # left before he asked for a person: not in the answer rate (DOMAIN.md, KPI definitions)
    commands: list[Command] = []
    if outcome == "abandoned":
        commands.append(records.callback(call, event.at, "abandoned"))
    why = "channel-gone" if isinstance(event, e.CallerGone) else call.not_served
    commands.append(records.call_ended(call, outcome, why, visits.told(call, outcome)))
    return call, commands


# -- its transfers -----------------------------------------------------------------------------------------------------
def _transfer_event(call: Call, event: e.Event) -> Step:
    """A step that names its transfer goes to that one; `CallerJoined` goes to the open one."""
    named = str(getattr(event, "transfer", ""))
    if not named:
        return _open_transfer_hears(call, event)
    known = next((t for t in reversed(call.transfers) if t.id == named), None)
    commands: list[Command] = []
    if isinstance(event, e.TransferStarted):
        call, commands = _settle(call, event)
    changed, decided = machine.step(known, event)
    if isinstance(event, e.TransferStarted) and isinstance(decided, rules.To) and call.phase is not Phase.ENDED:
        call, more = rooms.hears(call, event)
        commands += more
    if isinstance(decided, rules.Anomaly):
        return call, [*commands, records.anomaly(event, decided.code)]
    if changed is None or changed is known:
        return call, commands
    call, more = _put(call, known, changed)
    if changed.state is not TransferState.ENDED and call.phase is Phase.ENDED:
        gone = replace(changed, state=TransferState.ENDED, outcome=Outcome.ABANDONED, why="caller-left",
                       ended_at=event.at)  # fmt: skip
        call, last = _put(call, changed, gone)  # the key and his hang-up crossed: his end was told first
        more += last
    if isinstance(event, e.TransferRequested) and known is None:
        more.append(KnockDoor(call.ref, event.transfer, event.to, event.seat, bool(event.danger), event.summary,
                              event.only, event.mode))  # fmt: skip
    return call, commands + more


def _room_event(call: Call, event: e.Event) -> Step:
    """A step of a three-party call goes to that one. A guest who leaves before his transfer settled vanished; a first
    seat that leaves as its guest comes in is not in the room that opens."""
    commands: list[Command] = []
    if isinstance(event, e.GuestLeft):
        one = next((t for t in call.open if t.id == event.transfer and t.mode == "add"), None)
        leaves = {TransferState.JOINED: one.target_seat, TransferState.ANSWERED: one.seat} if one is not None else {}
        if one is not None and event.seat == leaves.get(one.state):
            changed, _ = machine.step(one, event)
            assert changed is not None
            call, commands = _put(call, one, changed)
    call, more = rooms.hears(call, event)
    return call, commands + more


def _settle(call: Call, event: e.TransferStarted) -> Step:
    """The door lets one in at a time. What it had let in before is over: the caller moves on from a target that had him
    only briefly, which was answered; anything else missed its own end."""
    commands: list[Command] = []
    for one in call.open:
        if one.id == event.transfer or one.state is TransferState.REQUESTED:
            continue  # asked for at the same instant: the door will refuse it by name
        joined = one.state is TransferState.JOINED
        outcome, why = (Outcome.ANSWERED, "") if joined else (Outcome.UNKNOWN, "overtaken")
        ended = replace(one, state=TransferState.ENDED, outcome=outcome, why=why, ended_at=event.at)
        call, more = _put(call, one, ended)
        commands += more
    return call, commands


def _open_transfer_hears(call: Call, event: e.Event) -> Step:
    """An event of the call as each open transfer sees it."""
    commands: list[Command] = []
    if type(event) not in machine.NONE:
        return call, commands
    for one in call.open:
        changed, decided = machine.step(one, event)
        if isinstance(decided, rules.Anomaly):
            commands.append(records.anomaly(event, decided.code))
        elif changed is not None and changed is not one:
            call, more = _put(call, one, changed)
            commands += more
    return call, commands


def _put(call: Call, before: Transfer | None, after: Transfer) -> Step:
    """The call with its transfer changed, and the records that change makes."""
    if before is None:
        call = replace(call, transfers=(*call.transfers, after))
    else:
        call = replace(call, transfers=tuple(after if t.id == after.id else t for t in call.transfers))
    commands: list[Command] = []
    if after.danger and not call.danger:
        call = replace(call, danger=True)
    if after.state is TransferState.WAITING and call.phase is not Phase.ENDED:
        call = replace(call, phase=Phase.WAITING)
    joined = after.state is TransferState.JOINED and (before is None or before.state is not TransferState.JOINED)
    if joined and call.phase is not Phase.ENDED:
        call, more = _joined(call, after)
        commands += more
    if after.outcome is Outcome.RETURNED and before is not None and before.state is TransferState.JOINED:
        call = replace(call, takers=call.had[0], platforms=call.had[1])
    if after.state is TransferState.ENDED and (before is None or before.state is not TransferState.ENDED):
        commands.append(records.transfer_ended(call, after))
        if after.outcome is Outcome.ABANDONED:
            commands.append(records.callback(call, after.ended_at, "transfer", after.to))
    return call, commands


def _joined(call: Call, transfer: Transfer) -> Step:
    """The target has the caller; with mode `add`, beside the first seat, which keeps him while it is there."""
    beside = transfer.mode == "add" and call.phase is Phase.TALKING and not transfer.released
    first, commands = Party(transfer.seat, call.platform), list[Command]()
    call = replace(call, had=(call.takers, call.platforms))
    taken = _taken(call, transfer.target_seat, transfer.to, transfer.joined_at)
    call = replace(taken, seat=call.seat, platform=call.platform) if beside else taken
    if transfer.mode == "add":
        call, commands = rooms.open(call, transfer, first, beside)
    return call, commands


def _expire(call: Call, now: int) -> Step:
    commands: list[Command] = []
    for one in call.open:
        after = machine.expire(one, now)
        if after is not one:
            call, more = _put(call, one, after)
            commands += more
    call, more = rooms.expire(call, now)
    return call, commands + more


def _done(call: Call) -> bool:
    settled = all(recording.settled for recording in call.recordings)
    return call.phase is Phase.ENDED and not call.open and call.conference is None and settled


def _last_end(call: Call) -> int:
    return max((call.ended_at, *(c.ended_at for c in call.conferences)))


def _with(site: Site, call: Call) -> Site:
    return replace(site, calls={**site.calls, call.ref: call})
