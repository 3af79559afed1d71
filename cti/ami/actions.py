"""An action on its way, and every end it can have.

Knows: panoramisk's `Action` (we keep its ids) and when an answer is whole. Must not know: sockets, time, reconnecting.

An AMI "Success" is a receipt, not a result: state moves on events. So a single action ends with its receipt, also
`Originate` with `Async: true` (whose `OriginateResponse` goes to the event handler like any other) and `QueueAdd`,
which stock panoramisk waits on for ever. A list ends with `EventList: Complete`, not with how an event's name looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from panoramisk.actions import Action
from panoramisk.message import Message

from cti.ami.wire import Headers

MAX_LIST: Final = 65_536
"""Rows of one list; a site has some hundred channels and seats."""


class AmiError(Exception):
    """Base of every end of an action other than its answer. None of them shows a value that was sent."""


class AmiLost(AmiError):
    """The link was lost or is not there. `sent`: Asterisk may have carried it out, so look before doing it again."""

    def __init__(self, name: str, *, sent: bool, why: str) -> None:
        super().__init__(f"{name} {'may have arrived' if sent else 'was not sent'}: {why}")
        self.sent = sent


class AmiTimeout(AmiError):
    """No answer in `seconds`. Asterisk may have carried it out; an answer that comes later is ignored."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(f"{name}: no answer in {seconds:g} s")
        self.seconds = seconds


class AmiRefused(AmiError):
    """Asterisk said no. `response` is its message, with the reason in `Message`."""

    def __init__(self, name: str, response: Message) -> None:
        super().__init__(f"{name} refused: {response.message or response.response or 'without a reason'}")
        self.response = response


class AmiAuthError(AmiError):
    """User or secret are wrong, or the user may not come from this address."""


def message_of(headers: Headers) -> Message:
    """A panoramisk message over the reader's own dict: its store has the very same form, so nothing is copied."""
    message = Message.__new__(Message)
    message._store = headers
    message.manager = None
    return message


class AmiAction(Action):  # type: ignore[misc]
    """One sent action and what has come back. `future` is set once: the receipt, the list's rows, or an `AmiError`."""

    def __init__(self, name: str, headers: Mapping[str, Any], *, as_list: bool) -> None:
        super().__init__({"Action": name, **headers}, as_list=as_list)
        self.name = name

    @property
    def id(self) -> str:
        """Stock prefers CommandID for commands; Asterisk answers to ActionID only."""
        return cast(str, self["ActionID"])

    def wire_headers(self) -> dict[str, str | list[str]]:
        """All but `Action`, in the order given, `ActionID` last."""
        pairs: Iterator[tuple[str, str | list[str]]] = iter(self.items())
        return {name: value for name, value in pairs if name.lower() != "action"}

    @property
    def multi(self) -> bool:
        """Whether rows are awaited: said by the caller, never guessed from words in the answer."""
        return bool(self.as_list)

    @property
    def completed(self) -> bool:
        """Whether the latest message ends the answer."""
        last = self.responses[-1]
        return not self.multi or str(last.eventlist).lower() == "complete"

    def add_message(self, message: Message) -> bool:
        """Take one message with our id. True: it was part of the answer. False: an event for everybody."""
        if self.future.done():
            return False
        is_event = bool(message.event)
        if is_event and not (self.multi and self.responses):
            return False  # e.g. OriginateResponse overtaking the receipt
        if not is_event and not message.success:
            self.fail(AmiRefused(self.name, message))
            return True
        if self.multi and not is_event and str(message.eventlist).lower() != "start":
            self.fail(AmiRefused(self.name, message))  # no rows will follow: waiting would never end
            return True
        if str(message.eventlist).lower() == "cancelled" or len(self.responses) > MAX_LIST:
            self.fail(AmiRefused(self.name, message))
            return True
        self.responses.append(message)
        if self.completed:
            self.future.set_result(self.responses[1:-1] if self.multi else message)
        return True

    def fail(self, error: AmiError) -> None:
        """End without an answer; nothing happens if it has one already."""
        if not self.future.done():
            self.future.set_exception(error)
