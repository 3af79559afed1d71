"""Bytes of the Asterisk Manager Interface: segments in, frames out; one action in, bytes out.

Knows: how AMI cuts its stream (headers end in CRLF, frames in an empty line), which sizes Asterisk accepts, and that
an event names itself in its first line. Must not know: sockets, tasks, clocks, panoramisk, what any event means.

The result does not depend on where TCP cuts the stream: text is decoded per whole frame, never per segment. Nothing
received raises; what cannot be read is a value (`BadFrame`, `FrameTooLong`) and the next frame is read as if nothing
had happened. An event nobody wants is dropped by its name, before it is decoded: Asterisk says some 148 things a call.

Source: Asterisk `main/manager.c` (`append_event`, `astman_append`, `get_input`, `AST_MAX_MANHEADERS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

CRLF: Final = b"\r\n"
END: Final = b"\r\n\r\n"
MAX_FRAME: Final = 256 * 1024
"""Bytes of one received frame without its end. The longest real one seen is below 8 KiB."""
MAX_LINE: Final = 1022
"""Bytes of one line we send, without CRLF: Asterisk's input buffer cuts what is longer."""
MAX_HEADERS: Final = 127
"""Lines of one action, `Action:` and `ActionID:` included: Asterisk drops the rest unread."""

_BANNER: Final = b"Asterisk Call Manager/"
_MAX_BANNER: Final = 256
_EVENT: Final = b"Event: "
_RESPONSE: Final = b"Response: "
_ACTION_ID: Final = b"\r\nActionID: "
_MAX_KNOWN: Final = 4096
_MAX_KNOWN_LINE: Final = 256

Value = str | list[str]
Entry = tuple[str, tuple[str, str]]
Headers = dict[str, tuple[str, Value]]
"""Lower-cased name -> (name as received, value). A header that came more than once has a list, in order."""


class Banner(NamedTuple):
    """The greeting, once, before the first frame. `version` is AMI's, not Asterisk's."""

    version: str


class Frame(NamedTuple):
    """One message. `event` is its name, `""` for the response to an action.

    Ask `event`, not the headers, which of both it is: the *event* `OriginateResponse` carries a `Response:` header.
    """

    event: str
    headers: Headers


class BadFrame(NamedTuple):
    """A frame that cannot be read, with its beginning for the log. Nothing of it was delivered."""

    why: str
    head: bytes


class FrameTooLong(NamedTuple):
    """A frame grew beyond `limit` bytes; everything up to the next empty line was thrown away."""

    limit: int


Item = Banner | Frame | BadFrame | FrameTooLong


class AmiBadValue(ValueError):
    """An action that must not be sent. Names the header and never shows the value (it may be a number or a secret)."""

    def __init__(self, header: str, why: str) -> None:
        super().__init__(f"AMI header {header!r}: {why}")
        self.header = header
        self.why = why


class FrameReader:
    """Cuts one connection's bytes into items. Not reusable: a new connection takes a new reader.

    `wanted` are the event names to deliver, `None` for all; `expect`ed ActionIDs are delivered whatever their name.
    Counters: `events` delivered, `skipped` unread, `bad` frames (too long ones included), `bad_text` frames with
    bytes that are not UTF-8 (delivered, each such byte replaced by U+FFFD).
    """

    def __init__(self, wanted: frozenset[bytes] | None = None, *, max_frame: int = MAX_FRAME) -> None:
        self.events = self.skipped = self.bad = self.bad_text = 0
        self._wanted = wanted
        self._expected: set[bytes] = set()
        self._max = max_frame
        self._held = bytearray()  # bytes of the frame that is not complete yet
        self._seen = 0  # of them, how many cannot hold the beginning of its end
        self._known: dict[str, Entry] = {}  # lines read before, so that most are read by one look-up
        self._greeted = False
        self._overrun = False  # throwing away the rest of a frame that is too long

    @property
    def held(self) -> int:
        """Bytes waiting for the rest of their frame; never more than `max_frame` and a little."""
        return len(self._held)

    def expect(self, action_id: str) -> None:
        """Deliver events of this ActionID (the rows of a list) until `forget`."""
        self._expected.add(action_id.encode())

    def forget(self, action_id: str) -> None:
        self._expected.discard(action_id.encode())

    def feed(self, data: bytes) -> list[Item]:
        """Whatever `data` completed, in order. Work is linear in the bytes, however they are cut. Never raises."""
        held = self._held
        held += data
        items: list[Item] = []
        if not self._greeted and not self._greet(items):
            return items
        if held.find(END, self._seen) >= 0:
            *frames, rest = bytes(held).split(END)
            self._held = held = bytearray(rest)
            if self._overrun:
                self._overrun = False
                del frames[0]
            self._read_all(frames, items)
        if self._overrun:
            del held[:-3]
        elif len(held) > self._max + 3:  # 3: what may be the beginning of the end
            self._overrun = True
            self._refuse(items, FrameTooLong(self._max))
            del held[:-3]
        self._seen = max(0, len(held) - 3)
        return items

    def _greet(self, items: list[Item]) -> bool:
        """Take the greeting line off; False while it is still coming. A stream without one starts with a frame."""
        held = self._held
        if held.startswith(_BANNER):
            end = held.find(CRLF, 0, _MAX_BANNER)
            if end < 0 and len(held) < _MAX_BANNER:
                return False
            if end >= 0:
                items.append(Banner(held[len(_BANNER) : end].decode("ascii", "replace").strip()))
                del held[: end + 2]
        elif _BANNER.startswith(held):
            return False
        self._greeted = True
        return True

    def _read_all(self, frames: Sequence[bytes], items: list[Item]) -> None:
        """The hot loop: most frames leave it at the first `continue`, not decoded."""
        wanted, expected, limit = self._wanted, self._expected, self._max
        skipped = 0
        for frame in frames:
            if len(frame) > limit:  # first, so that a frame that came in one piece fares like one that did not
                self._refuse(items, FrameTooLong(limit))
                continue
            if wanted is not None and frame.startswith(_EVENT):
                end = frame.find(CRLF)
                name = frame[7:end] if end >= 0 else frame[7:]
                if name not in wanted and not (expected and _action_id(frame) in expected):
                    skipped += 1
                    continue
            if frame.startswith(CRLF):  # an odd number of line ends between two frames
                self._read_all([frame.lstrip(CRLF)], items)
            elif frame:
                self._read(frame, items)
        self.skipped += skipped

    def _read(self, frame: bytes, items: list[Item]) -> None:
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            # Asterisk cuts long names by bytes, so half a Chinese character is normal. Replacing never eats the CRLF.
            text = frame.decode("utf-8", "replace")
            self.bad_text += 1
        lines = text.split("\r\n")
        entries = [*map(self._known.get, lines)]
        if None in entries:
            entries = [had or self._learn(line) for had, line in zip(entries, lines, strict=True)]
        try:
            headers: Headers = dict(cast(list[Entry], entries))
        except TypeError:  # a None: `_learn` could not read its line
            return self._refuse(items, BadFrame("a line without a header name", frame[:120]))
        if len(headers) < len(entries):
            headers = _gathered(cast(list[Entry], entries))
        if frame.startswith(_EVENT):
            kind = "event"
            self.events += 1
        elif frame.startswith(_RESPONSE):
            kind = "response"
        else:
            return self._refuse(items, BadFrame("neither an event nor a response", frame[:120]))
        name, value_ = headers[kind]
        if isinstance(value_, list):  # UserEvent(x,Event: y) may say it again; the first line is Asterisk's own
            value_ = value_[0]
            headers[kind] = (name, value_)
        items.append(Frame(value_ if kind == "event" else "", headers))

    def _learn(self, line: str) -> Entry | None:
        """Read one line, and remember it: 97 of 100 lines of the recorded stream came before."""
        name, colon, value = line.partition(":")
        if not colon or not name:
            return None
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        entry = name.lower(), (name, value.removeprefix(" "))
        if len(line) <= _MAX_KNOWN_LINE:
            self._known[line] = entry
        return entry

    def _refuse(self, items: list[Item], item: BadFrame | FrameTooLong) -> None:
        self.bad += 1
        items.append(item)


def _gathered(entries: list[Entry]) -> Headers:
    """As `dict(entries)`, but a name that comes again gets a list instead of its last value."""
    headers: Headers = {}
    for key, (name, value) in entries:
        if key in headers:
            first, had = headers[key]
            headers[key] = first, ([*had, value] if isinstance(had, list) else [had, value])
        else:
            headers[key] = name, value
    return headers


def _action_id(frame: bytes) -> bytes:
    start = frame.find(_ACTION_ID)
    if start < 0:
        return b""
    end = frame.find(CRLF, start + len(_ACTION_ID))
    return frame[start + len(_ACTION_ID) : end if end >= 0 else None]


def encode_action(name: str, headers: Mapping[str, str | Sequence[str]]) -> bytes:
    """The bytes of one action, `Action:` first, then `headers` in their order; a list is sent as repeated headers.

    Raises `AmiBadValue` for CR, LF or NUL anywhere (they would smuggle a second action), for a name that is not a
    plain word, for a second `Action:`, a line over `MAX_LINE` bytes or more than `MAX_HEADERS` lines.
    """
    lines = [_line("Action", name)]
    for header, values in headers.items():
        if header.lower() == "action":
            raise AmiBadValue("Action", "given twice")
        lines += [_line(header, value) for value in ([values] if isinstance(values, str) else values)]
    if len(lines) > MAX_HEADERS:
        raise AmiBadValue(list(headers)[-1], f"{len(lines)} lines, Asterisk reads {MAX_HEADERS}")
    return CRLF.join(lines) + END


def _line(header: str, value: str) -> bytes:
    if not header or not header.isascii() or not header.isprintable() or ":" in header or " " in header:
        raise AmiBadValue(header, "is not a header name")
    if "\r" in value or "\n" in value or "\0" in value:
        raise AmiBadValue(header, "holds CR, LF or NUL")
    try:
        line = f"{header}: {value}".encode()
    except UnicodeEncodeError:
        raise AmiBadValue(header, "is not text that UTF-8 can carry") from None
    if len(line) > MAX_LINE:
        raise AmiBadValue(header, f"{len(line)} bytes, Asterisk reads {MAX_LINE}")
    return line
