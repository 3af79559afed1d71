"""Who leads where: every context, extension, priority or label, and subroutine a step names.

Knows: the applications and options that name one, and how they write it. Must not know: whether it is there
(rules/targets.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cti.dialplan.model import Call, Step
from cti.dialplan.parse import branches
from cti.dialplan.text import BadText, close, opens, split

LOCAL = re.compile(r"Local/(?:[^@\s,]*?)@([A-Za-z0-9_-]+)")
HANDLERS = ("hangup_handler_push", "hangup_handler_wipe")
OPTION_AT = {"Dial": 2, "Queue": 1}
SUBS = {"Dial": "bBUGF", "Queue": "bBF"}


@dataclass(frozen=True, slots=True)
class Lead:
    """One named place. Empty ``context`` or ``exten``: the step's own. ``args``: a subroutine's, else None.
    ``kind``: goto | gosub | jump (another channel, a new one)."""

    step: Step
    kind: str
    context: str
    exten: str
    priority: str
    args: tuple[str, ...] | None = None


def leads(step: Step) -> Iterator[Lead]:
    """Every place this step names."""
    for call in step.calls:
        yield from _of_call(step, call)


def _of_call(step: Step, call: Call) -> Iterator[Lead]:
    app, args = call.app, call.args
    if app == "Goto":
        yield _place(step, "goto", args)
    elif app in ("GotoIf", "GotoIfTime"):
        found = branches(args)
        yield from (_place(step, "goto", target) for target in (found[1:] if found else ()) if target.strip())
    elif app == "Gosub":
        yield _place(step, "gosub", args)
    elif app == "GosubIf":
        found = branches(args)
        yield from (_place(step, "gosub", target) for target in (found[1:] if found else ()) if target.strip())
    elif app == "ChannelRedirect":
        yield _place(step, "jump", ",".join(split(args)[1:]))
    elif app == "Originate":
        parts = split(args)
        if len(parts) > 4 and parts[1].strip() == "exten":
            yield Lead(step, "jump", parts[2].strip(), parts[3].strip(), parts[4].strip())
        elif len(parts) > 2 and parts[1].strip() == "exten":
            yield Lead(step, "jump", parts[2].strip(), (parts[3].strip() if len(parts) > 3 else "s"), "1")
    elif app in ("Set", "MSet"):
        for name, value in settings(call):
            if name == "CHANNEL(hangup_handler_push)":
                yield _place(step, "gosub", value.replace("\\,", ","))
            elif name.lstrip("_") == "TRANSFER_CONTEXT" and value:
                yield Lead(step, "jump", value, "*", "1")
    if app in OPTION_AT:
        parts = split(args)
        options = parts[OPTION_AT[app]] if len(parts) > OPTION_AT[app] else ""
        for letter, inner in options_of(options):
            if letter in SUBS[app] and inner:
                kind = "jump" if letter in "GF" else "gosub"
                yield _caret(step, kind, inner)
                if letter == "G":  # who was called goes on one priority further
                    lead = _caret(step, kind, inner)
                    yield Lead(
                        step,
                        kind,
                        lead.context,
                        lead.exten,
                        f"{int(lead.priority) + 1}" if lead.priority.isdecimal() else "*",
                    )
        if app == "Queue" and len(parts) > 6 and parts[6].strip():
            yield _caret(step, "gosub", parts[6])
    for target in split(args, ",") if app in ("Dial", "Originate", "SoftHangup") else ():
        for name in LOCAL.findall(_flat(target)):
            yield Lead(step, "jump", name, "*", "1")
            break


def _flat(text: str) -> str:
    """Variables taken out, so that what stands around them can be looked at."""
    out, i = "", 0
    while i < len(text):
        if opens(text, i) and (end := close(text, i + 1)) > 0:
            out, i = out + "x", end + 1
        else:
            out, i = out + text[i], i + 1
    return out


def settings(call: Call) -> list[tuple[str, str]]:
    """What Set or MSet sets: (name as written, value)."""
    parts = split(call.args) if call.app == "MSet" else [call.args]
    out = []
    for part in parts:
        pair = split(part, "=", most=1, quotes=False)
        if len(pair) == 2:
            out.append((pair[0].strip(), pair[1]))
    return out


def options_of(text: str) -> Iterator[tuple[str, str]]:
    """An application's options, one letter each: (letter, what stands in its brackets). Letters a variable gives are
    left out."""
    i = 0
    while i < len(text):
        if opens(text, i):
            i = close(text, i + 1) + 1 or len(text)
            continue
        if text[i + 1 : i + 2] == "(" and (end := close(text, i + 1)) > 0:
            yield text[i], text[i + 2 : end]
            i = end + 1
        else:
            yield text[i], ""
            i += 1


def _with_args(text: str) -> tuple[str, tuple[str, ...] | None]:
    text = text.strip()
    i = 0
    while i < len(text):
        if opens(text, i):
            i = close(text, i + 1) + 1 or len(text)
        elif text[i] == "(":
            end = close(text, i)
            inner = text[i + 1 : end if end > 0 else len(text)]
            return text[:i], tuple(split(inner)) if inner else ()
        else:
            i += 1
    return text, None


def _place(step: Step, kind: str, text: str) -> Lead:
    name, args = _with_args(text)
    parts = [part.strip() for part in split(name, quotes=False)]
    while len(parts) < 3:
        parts.insert(0, "")
    if kind == "gosub" and args is None:
        args = ()
    return Lead(step, kind, parts[-3], parts[-2], parts[-1], args)


def _caret(step: Step, kind: str, text: str) -> Lead:
    """As options write it: context^exten^priority(a^b), context,exten,priority, or context alone."""
    name, args = _with_args(text)
    parts = [part.strip() for part in (split(name, "^") if "^" in name else split(name))]
    context, exten, priority = (*parts, *["", "s", "1"][len(parts) :])[:3]
    given = tuple(a for arg in args for a in split(arg, "^")) if args else ()
    return Lead(step, kind, context, exten, priority, given if kind == "gosub" else None)


__all__ = ["BadText", "Lead", "leads", "options_of", "settings"]
