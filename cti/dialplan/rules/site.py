"""Queues, phones and trunks a dialplan names, against those the site has; and the sections of pjsip.conf and
queues.conf against each
other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cti.dialplan.finding import Finding
from cti.dialplan.model import Line
from cti.dialplan.subject import Subject
from cti.dialplan.text import split
from cti.problem import did_you_mean

PHONE = re.compile(r"PJSIP/(?:([^/@&,()\s*]+)@)?([^/@&,()\s*]+)")
QUEUE_AT = {"Queue": 0, "PauseQueueMember": 0, "UnpauseQueueMember": 0, "AddQueueMember": 0, "RemoveQueueMember": 0}


def queue_unknown(subject: Subject) -> Iterator[Finding]:
    """A waiting line queues.conf does not have: Queue() returns at once, and nobody is rung."""
    told: set[tuple[str, int, str]] = set()
    for step in subject.steps:
        for call in step.calls:
            if call.app not in QUEUE_AT:
                continue
            for shape in subject.values.shapes(split(call.args)[0].strip(), step):
                line = shape.line or step.line
                key = (line.file, line.number, shape.text)
                if shape.text and "*" not in shape.text and shape.text not in subject.site.lines and key not in told:
                    told.add(key)
                    yield _unknown(
                        subject, line, "queue-unknown", "队列", "waiting line", shape.text, subject.site.lines
                    )


def _unknown(subject: Subject, line: Line, code: str, zh: str, en: str, name: str, there: set[str]) -> Finding:
    near = did_you_mean(name, sorted(there))
    return subject.finding(
        line,
        code,
        f"本站没有{zh} / the site has no {en}: {name}",
        f"是否为 / did you mean: {near}" if near else "config/",
    )


def endpoint_unknown(subject: Subject) -> Iterator[Finding]:
    """A phone or trunk pjsip.conf does not have."""
    for step in subject.steps:
        for call in step.calls:
            if call.app not in (
                "Dial",
                "Originate",
                "PauseQueueMember",
                "UnpauseQueueMember",
                "AddQueueMember",
                "Page",
            ):
                continue
            for shape in subject.constants.shapes(call.args, step):
                for match in PHONE.finditer(shape.text):
                    end = shape.text[match.end() : match.end() + 1]
                    if end != "*" and match[2] not in subject.site.endpoints:
                        yield _unknown(
                            subject,
                            step.line,
                            "endpoint-unknown",
                            "话机或中继",
                            "phone or trunk",
                            match[2],
                            subject.site.endpoints,
                        )
    for context in subject.plan.contexts.values():
        for e in context.extensions.values():
            for match in PHONE.finditer(e.device):
                if match[2] not in subject.site.endpoints:
                    yield _unknown(
                        subject,
                        e.line,
                        "endpoint-unknown",
                        "话机或中继",
                        "phone or trunk",
                        match[2],
                        subject.site.endpoints,
                    )


def members(subject: Subject) -> Iterator[Finding]:
    """A queue's member without a phone; a phone, trunk or address without what it names."""
    for section in subject.site.queues:
        for key, value, line in section.settings:
            if key == "member" and (match := PHONE.match(value)) and match[2] not in subject.site.endpoints:
                yield _unknown(subject, line, "endpoint-unknown", "话机", "phone", match[2], subject.site.endpoints)
    kinds = {"auth": "auth", "aors": "aor", "transport": "transport", "endpoint": "endpoint", "outbound_auth": "auth"}
    there = {
        kind: {s.name for s in subject.site.pjsip if s.kind == kind and not s.template} for kind in set(kinds.values())
    }
    for section in subject.site.pjsip:
        for key, value, line in section.settings:
            if key in kinds and section.kind in ("endpoint", "identify") and value and value not in there[kinds[key]]:
                yield _unknown(subject, line, "pjsip-unknown", f" {kinds[key]} ", kinds[key], value, there[kinds[key]])


def entered(subject: Subject) -> Iterator[Finding]:
    """A context pjsip.conf or queues.conf sends calls to, that is not there."""
    for section in (*subject.site.pjsip, *subject.site.queues):
        for key, value, line in section.settings:
            if key in ("context", "subscribe_context") and value not in subject.plan.contexts:
                near = did_you_mean(value, list(subject.plan.contexts))
                yield subject.finding(
                    line,
                    "context-unknown",
                    f"没有这个 context / there is no context: {value}",
                    f"是否为 / did you mean: {near}" if near else "extensions.conf",
                )


RULES = (queue_unknown, endpoint_unknown, members, entered)
