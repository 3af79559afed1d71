"""The nuisance list (骚扰名单): the rules of one entry as a table, and the list as the dialplan needs it.

Theory of operation
-------------------
A person, or a rate rule, proposes a number (PROPOSED); that moves nobody. Another person, a supervisor, approves it
with an end (LISTED) or rejects it. While LISTED its callers hear a notice with the emergency route open (DOMAIN.md,
transfer rule 9; dialplan/nuisance.conf); the entry ends by the clock, by a supervisor, or by an appeal that is granted.
ENDED is the only terminal state, reached exactly once; `NuisanceEnded` is its one terminal record. A proposal nobody
decided lapses after `LAPSE_US`: silence is no approval.

The state is rebuilt from the ledger's last day, so each open entry is told whole now and then (`NuisanceStands`).

Knows: entries, and when they end. Must not know: who may ask (nuisance_desk.py), AstDB, the call around a notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cti.core import events as e
from cti.core import records, rules
from cti.core.commands import Command
from cti.core.listing import Listing
from cti.core.listing import ListingState as S
from cti.core.model import Site
from cti.core.rules import Ignore

DAY_US = 86_400_000_000
LAPSE_US = 14 * DAY_US
KEEP_US = DAY_US
"""an ended entry stays in sight a day"""
STANDS_US = 6 * 3600 * 1_000_000
"""between two snapshots; well inside the day that is read back at a start"""

To = rules.To[S, Listing, e.Event]
Rule = rules.Rule[S, Listing, e.Event]


def _approved(one: Listing, event: e.Event) -> Listing:
    assert isinstance(event, e.NuisanceApproved)
    return replace(one, approved_by=event.by, approved_at=event.at, until=event.until, note=event.note)


def _rejected(one: Listing, event: e.Event) -> Listing:
    assert isinstance(event, e.NuisanceRejected)
    return _over(one, event.by, event.at, "rejected", event.note)


def _removed(one: Listing, event: e.Event) -> Listing:
    assert isinstance(event, e.NuisanceRemoved)
    return _over(one, event.by, event.at, "removed", event.note)


def _appealed(one: Listing, event: e.Event) -> Listing:
    assert isinstance(event, e.NuisanceAppealed)
    return replace(one, appeal=event.text, appealed_by=event.by, appealed_at=event.at)


def _granted(one: Listing, event: e.Event) -> Listing:
    assert isinstance(event, e.AppealGranted)
    said = replace(one, appeal_said=_said("granted", event.by, event.note))
    return _over(said, event.by, event.at, "appeal", event.note)


def _refused(one: Listing, event: e.Event) -> Listing:
    assert isinstance(event, e.AppealRefused)
    return replace(one, appealed_at=0, appeal_said=_said("refused", event.by, event.note))


def _said(what: str, by: str, note: str) -> str:
    return f"{what} {by}: {note}" if note else f"{what} {by}"


def _over(one: Listing, by: str, at: int, how: str, note: str = "") -> Listing:
    return replace(one, state=S.ENDED, ended_by=by, ended_at=at, how=how, note=note or one.note)


_KNOWN = Ignore("it is known as it stands")
_DONE = Ignore("the entry has ended; its record stands")
_UNDECIDED = Ignore("it is not on the list yet")
_DECIDED = Ignore("the proposal was decided already")

TABLE: Mapping[S, Mapping[type[e.Event], Rule]] = {
    S.PROPOSED: {
        e.NuisanceProposed: _KNOWN,
        e.NuisanceApproved: To(S.LISTED, _approved),
        e.NuisanceRejected: To(S.ENDED, _rejected),
        e.NuisanceRemoved: _UNDECIDED,
        e.NuisanceAppealed: _UNDECIDED,
        e.AppealGranted: _UNDECIDED,
        e.AppealRefused: _UNDECIDED,
        e.NuisanceStands: _KNOWN,
    },
    S.LISTED: {
        e.NuisanceProposed: _KNOWN,
        e.NuisanceApproved: _DECIDED,
        e.NuisanceRejected: _DECIDED,
        e.NuisanceRemoved: To(S.ENDED, _removed),
        e.NuisanceAppealed: To(S.LISTED, _appealed),
        e.AppealGranted: To(S.ENDED, _granted),
        e.AppealRefused: To(S.LISTED, _refused),
        e.NuisanceStands: _KNOWN,
    },
    S.ENDED: dict.fromkeys(e.NUISANCE_EVENTS, _DONE),
}


def step(site: Site, event: e.NuisanceEvent) -> tuple[Site, list[Command]]:
    """The site after this event. A step of an entry we were never told of is older than the facts we were given: its
    snapshot follows."""
    before = site.nuisance.get(event.entry)
    if before is None:
        made = _made(event)
        return (site if made is None else _with(site, made)), []
    before, commands = _expire(before, event.at)
    rule = TABLE[before.state][type(event)]
    after = before
    if isinstance(rule, rules.To):
        after = replace(rule.change(before, event) if rule.change else before, state=rule.state)
        if after.state is S.ENDED:
            commands = [*commands, _ended(after)]
    elif isinstance(event, e.NuisanceStands):
        after = replace(before, told_at=event.at)
    return _with(site, after), commands


def tick(site: Site, now: int) -> tuple[Site, list[Command]]:
    """End what its time has passed, and forget what ended a day ago."""
    kept, commands = dict(site.nuisance), list[Command]()
    for name, one in site.nuisance.items():
        after, made = _expire(one, now)
        commands += made
        if after.state is S.ENDED and now > after.ended_at + KEEP_US:
            del kept[name]
        elif after is not one:
            kept[name] = after
    return (replace(site, nuisance=kept) if kept != site.nuisance else site), commands


def deadline(one: Listing) -> int | None:
    """When it ends by itself (µs), or None once it has ended."""
    match one.state:
        case S.PROPOSED:
            return one.proposed_at + LAPSE_US
        case S.LISTED:
            return one.until
    return None


def next_deadline(site: Site) -> int | None:
    """The earliest time (µs) at which `tick` has something to end."""
    due = (deadline(one) for one in site.nuisance.values())
    return min((at for at in due if at is not None), default=None)


def open_for(site: Site, number: str) -> Listing | None:
    """The number's entry that has not ended: at most one."""
    return next((o for o in site.nuisance.values() if o.number == number and o.state is not S.ENDED), None)


def rested(site: Site, number: str, now: int) -> bool:
    """Whether a rule must leave the number alone: an entry is open, or one ended within a day, by whomever."""
    return any(o.number == number and (o.state is not S.ENDED or now < o.ended_at + KEEP_US)
               for o in site.nuisance.values())  # fmt: skip


def listed(site: Site) -> dict[str, Listing]:
    """Entries in force, by number."""
    return {one.number: one for one in site.nuisance.values() if one.state is S.LISTED}


def row(until_us: int, entry: str) -> str:
    """An entry as AstDB has it, ``nuisance/<number>`` → ``<end, s since the epoch>~<id>``; the dialplan looks at its
    own clock."""
    return f"{until_us // 1_000_000}~{entry}"


def stands(one: Listing, at: int) -> e.NuisanceStands:
    """The snapshot of an open entry."""
    return e.NuisanceStands(
        "", at, one.id, one.number, str(one.state), one.reason, ",".join(one.evidence), one.days, one.rule,
        one.proposed_by, one.proposed_at, one.approved_by, one.approved_at, one.until, one.note, one.appeal,
        one.appealed_by, one.appealed_at, one.appeal_said)  # fmt: skip


def _made(event: e.NuisanceEvent) -> Listing | None:
    match event:
        case e.NuisanceProposed():
            return Listing(event.entry, event.number, event.reason, event.by, event.at, _refs(event.evidence),
                           event.days, event.rule, told_at=event.at)  # fmt: skip
        case e.NuisanceStands() if event.state in (S.PROPOSED, S.LISTED):
            return Listing(
                event.entry, event.number, event.reason, event.proposed_by, event.proposed_at, _refs(event.evidence),
                event.days, event.rule, S(event.state), event.approved_by, event.approved_at, event.until, event.note,
                event.appeal, event.appealed_by, event.appealed_at, event.appeal_said, told_at=event.at)  # fmt: skip
    return None


def _refs(text: str) -> tuple[str, ...]:
    return tuple(one for one in text.split(",") if one)


def _expire(one: Listing, now: int) -> tuple[Listing, list[Command]]:
    """The entry after its deadline, which ends it *at* that time."""
    due = deadline(one)
    if due is None or now < due:
        return one, []
    after = _over(one, "clock", due, "expired" if one.state is S.LISTED else "lapsed")
    return after, [_ended(after)]


def _ended(one: Listing) -> Command:
    """`NuisanceEnded`: once an entry."""
    return records.record("", "NuisanceEnded", one.ended_at, f"nuisance-ended/{one.id}", entry=one.id, how=one.how,
                          by=one.ended_by, number=one.number, note=one.note)  # fmt: skip


def _with(site: Site, one: Listing) -> Site:
    return replace(site, nuisance={**site.nuisance, one.id: one})
