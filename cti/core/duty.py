"""Calling a duty phone: the rules of one, as a table.

Theory of operation
-------------------
DUE: the next contact is to be called at `DutyNow.due`. The shell asks (`plans.call`), the answer is a `DutyCalled`
that is on record before Asterisk hears of it: CALLING. The dialplan (duty.conf) tells the rest: RINGING, TOLD when
somebody or something picked up, ACKNOWLEDGED when 1 was pressed, `DutyOver` when the call ended without: DUE again with
the next contact, at once within a round, after the plan's pause between rounds. Contacts and rounds spent: UNREACHED. A
call that is not heard of any more is over at its deadline, which is later than Asterisk lets one last. The three final
states are reached once; `DutyEnded` is their record.

Knows: one duty phone. Must not know: the plan's other parts, Asterisk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cti.core import events as e
from cti.core import rules
from cti.core.plan_model import DUTY_ENDED, DutyNow, DutyPhone, DutyState, Spec
from cti.core.plan_model import DutyState as S
from cti.core.rules import Anomaly, Ignore

TELL_S = 60
"""one call lasts so long beyond its ringing at most (duty.conf): the message, three times asked for the 1"""
GRACE_US = 15_000_000

To = rules.To[S, DutyNow, e.Event]
Rule = rules.Rule[S, DutyNow, e.Event]


def _called(duty: DutyNow, event: e.Event) -> DutyNow:
    assert isinstance(event, e.DutyCalled)
    return replace(duty, attempt=event.attempt, tries=duty.tries + 1, called_at=event.at)


def _told(duty: DutyNow, event: e.Event) -> DutyNow:
    return replace(duty, told=duty.told + 1)


def _acknowledged(duty: DutyNow, event: e.Event) -> DutyNow:
    return replace(duty, last="", ended_at=event.at)


def _over(duty: DutyNow, event: e.Event) -> DutyNow:
    assert isinstance(event, e.DutyOver)
    return replace(duty, last=event.why or "cut", due=event.at)


_late = Ignore("a word of a call that was given up, or has ended")
_stands = Ignore("the duty phone's record stands")
_ack = To(S.ACKNOWLEDGED, _acknowledged)
_twice = Anomaly("duty-called-twice")

TABLE: Mapping[S, Mapping[type[e.DutyEvent], Rule]] = {
    S.DUE: {
        e.DutyCalled: To(S.CALLING, _called),
        e.DutyRings: _late,
        e.DutyTold: _late,
        e.DutyAcknowledged: _ack,
        e.DutyOver: _late,
    },
    S.CALLING: {
        e.DutyCalled: _twice,
        e.DutyRings: To(S.RINGING),
        e.DutyTold: To(S.TOLD, _told),
        e.DutyAcknowledged: _ack,
        e.DutyOver: To(S.DUE, _over),
    },
    S.RINGING: {
        e.DutyCalled: _twice,
        e.DutyRings: Ignore("it rings already"),
        e.DutyTold: To(S.TOLD, _told),
        e.DutyAcknowledged: _ack,
        e.DutyOver: To(S.DUE, _over),
    },
    S.TOLD: {
        e.DutyCalled: _twice,
        e.DutyRings: _late,
        e.DutyTold: Ignore("he is being told already"),
        e.DutyAcknowledged: _ack,
        e.DutyOver: To(S.DUE, _over),
    },
    **{state: dict.fromkeys(e.DUTY_EVENTS, _stands) for state in DUTY_ENDED},
}


def step(duty: DutyNow, event: e.DutyEvent) -> tuple[DutyNow, Rule]:
    """The duty phone after this step, and the rule that decided. A step of an earlier call moves nothing, but for the 1
    that was pressed in it."""
    rule = TABLE[duty.state][type(event)]
    if event.attempt != duty.attempt and not isinstance(event, e.DutyCalled | e.DutyAcknowledged):
        return duty, _late
    if not isinstance(rule, rules.To):
        return duty, rule
    changed = rule.change(duty, event) if rule.change else duty
    return replace(changed, state=rule.state), rule


def contact(phone: DutyPhone, tries: int) -> int:
    """Which contact is called after so many calls."""
    return tries % len(phone.contacts)


def spent(spec: Spec, phone: DutyPhone, duty: DutyNow) -> bool:
    """Every contact was called in every round."""
    return duty.tries >= len(phone.contacts) * spec.rounds


def rests(spec: Spec, phone: DutyPhone, before: DutyNow, duty: DutyNow) -> DutyNow:
    """Between two rounds it waits; after the last one nobody does."""
    round_over = duty.tries % len(phone.contacts) == 0 and not spent(spec, phone, duty)
    if duty.state is S.DUE and before.state is not S.DUE and round_over:
        return replace(duty, due=duty.due + spec.pause_s * 1_000_000)
    return duty


def deadline(spec: Spec, phone: DutyPhone, duty: DutyNow) -> int | None:
    """When it moves by itself (µs): a call nobody speaks of any more, contacts that are spent."""
    if duty.state in DUTY_ENDED:
        return None
    if duty.state is S.DUE:
        return duty.due if spent(spec, phone, duty) else None
    ring = phone.contacts[contact(phone, duty.tries - 1)].seconds
    return duty.called_at + (ring + TELL_S) * 1_000_000 + GRACE_US


def expire(spec: Spec, phone: DutyPhone, duty: DutyNow, now: int) -> DutyNow:
    """The duty phone after its deadlines up to ``now``, each *at* its own time."""
    while (due := deadline(spec, phone, duty)) is not None and now >= due:
        if duty.state is S.DUE:
            duty = replace(duty, state=DutyState.UNREACHED, ended_at=due)
        else:
            duty = rests(spec, phone, duty, replace(duty, state=S.DUE, last="steps-lost", due=due))
    return duty
