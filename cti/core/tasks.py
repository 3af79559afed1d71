"""A site's callback tasks: opened by what calls come to, moved by their own steps, ended once.

Knows: which task an event is for, and what the ledger keeps of it. Must not know: when a task may move
(`cti.core.callbacks`), the call's own rules (calls.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cti.core import callbacks, records, rules
from cti.core import events as e
from cti.core.commands import Command, DropPlace, Record
from cti.core.model import Callback, CallbackState, Site

KEEP_US = 3_600_000_000
"""an ended task stays in the list an hour"""


def open_due(site: Site, commands: Iterable[Command]) -> Site:
    """Each `CallbackDue` opens the call's one task. One who was called back has his task already."""
    due = [c for c in commands if isinstance(c, Record) and c.kind == "CallbackDue" and c.ref not in site.callbacks]
    if not due:
        return site
    opened = {}
    for record in due:
        call = site.calls[record.ref]
        opened[record.ref] = Callback(record.ref, call.hotline, call.caller, str(record.data["why"]),
                                      str(record.data["priority"]), record.at, since=record.at,
                                      drill=call.drill)  # fmt: skip
    return replace(site, callbacks={**site.callbacks, **opened})


def hears(site: Site, event: e.Event) -> tuple[Site, list[Command]]:
    """A step of a task goes to that one; the caller's choice opens it."""
    commands: list[Command] = []
    call = site.calls.get(event.ref)
    if isinstance(event, e.CallbackAsked) and call is not None and event.ref not in site.callbacks:
        commands.append(records.callback(call, event.at, "asked"))
        site = open_due(replace(site, calls={**site.calls, call.ref: replace(call, asked_back=True)}), commands)
    before = site.callbacks.get(event.ref)
    if before is None:
        return site, [*commands, records.anomaly(event, "step-of-unknown-callback")]
    before, ended = callbacks.expire(before, event.at), before.state is CallbackState.ENDED
    after, rule = callbacks.step(before, event)
    if isinstance(rule, rules.Anomaly):
        commands.append(records.anomaly(event, rule.code))
    if after.state is CallbackState.ENDED and not ended:
        commands += _ended(after)
    elif isinstance(event, e.CallbackDialled) and after.state is CallbackState.RINGING:
        commands += _place(after)  # taken from the list while the stand-in still stands
    return replace(site, callbacks={**site.callbacks, event.ref: after}), commands


def tick(site: Site, now: int) -> tuple[Site, list[Command]]:
    """End what its deadline has passed, and forget what ended an hour ago."""
    kept, commands = dict(site.callbacks), list[Command]()
    for ref, task in site.callbacks.items():
        after = callbacks.expire(task, now)
        if after.state is CallbackState.ENDED and now > after.ended_at + KEEP_US:
            del kept[ref]
        elif after is not task:
            kept[ref] = after
        if after.state is CallbackState.ENDED is not task.state:
            commands += _ended(after)
    return replace(site, callbacks=kept), commands


def deadline(site: Site) -> int | None:
    """The earliest time (µs) at which `tick` has something to do."""
    due = (callbacks.deadline(task) for task in site.callbacks.values())
    return min((at for at in due if at is not None), default=None)


def _ended(task: Callback) -> list[Command]:
    return [records.callback_ended(task), *_place(task)]


def _place(task: Callback) -> list[Command]:
    return [DropPlace(task.id)] if task.why == "asked" else []
