"""AMI framing, sans-IO: bytes in, messages out. Imports nothing of ours.

Knows: how Asterisk cuts its manager stream (CRLF lines, an empty line ends a frame; manager.c). Must not know: sockets,
panoramisk, what an event means. Works on bytes, so a Chinese name split across TCP segments survives; text is decoded a
whole frame at a time. Frames whose event nobody wants are dropped before anything is built from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

EOL = b"\r\n"
END = b"\r\n\r\n"
MAX_FRAME = 256 * 1024
MAX_LINE = 1022
"""bytes of one line Asterisk reads (1,024 with its end); measured, ASTERISK.md §5"""
MAX_HEADERS = 127

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_()/.-]*\Z")
_UNSAFE = re.compile(r"[\r\n\0]")

Headers = dict[str, "str | list[str]"]


class AmiBadValue(ValueError):
    """A header that must not be sent; the message names it, never its value."""


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Bytes that are no frame, and why. The link goes on at the next one."""

    reason: str
    size: int


class FrameReader:
    """Feed it what arrived; it gives the frames that are whole. ``wanted``: event names to keep (None: all)."""

    def __init__(self, wanted: Iterable[str] | None = None, *, max_frame: int = MAX_FRAME) -> None:
        self._buffer = b""
        self._max = max_frame
        self._skipping = False
        self._wanted = None if wanted is None else frozenset(name.encode() for name in wanted)
        self.banner: str | None = None
        self.skipped = 0
        self.replaced = 0
        self.events = 0

    @property
    def waiting(self) -> int:
        """Bytes of the frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Headers | BadFrame]:
        """The frames completed by ``data``, in order."""
        buffer = self._buffer + data if self._buffer else data
        if self.banner is None:
            line, end, rest = buffer.partition(EOL)
            if not end:
                self._buffer = buffer
                return self._bounded()
            self.banner = line.decode("utf-8", "replace").strip()
            buffer = rest
        *whole, self._buffer = buffer.split(END)
        frames: list[Headers | BadFrame] = []
        for raw in whole:
            if self._skipping:
                self._skipping = False
                continue
            got = self._frame(raw)
            if got is not None:
                frames.append(got)
        return frames + self._bounded()

    def _bounded(self) -> list[Headers | BadFrame]:
        if len(self._buffer) <= self._max:
            return []
        size, self._buffer = len(self._buffer), self._buffer[-3:]  # a frame's end may be half here
        if self._skipping:
            return []
        self._skipping = True
        if self.banner is None:
            self.banner = ""
        return [BadFrame(f"longer than {self._max} bytes", size)]

    def _frame(self, raw: bytes) -> Headers | BadFrame | None:
        if raw.startswith(EOL):
            raw = raw.lstrip(b"\r\n")
        if raw[:7] == b"Event: ":
            self.events += 1
            if self._wanted is not None:
                end = raw.find(b"\r", 7)
                if raw[7 : end if end >= 0 else None] not in self._wanted and b"\r\nActionID: " not in raw:
                    self.skipped += 1
                    return None
        if len(raw) > self._max:
            return BadFrame(f"longer than {self._max} bytes", len(raw))
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            self.replaced += 1
            text = raw.decode("utf-8", "replace")
        headers: Headers = {}
        for line in text.split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon:
                if not line.strip():
                    continue
                return BadFrame("a line without a colon", len(raw))
            if value[:1] == " ":
                value = value[1:]
            if name in headers:
                old = headers[name]
                headers[name] = [*old, value] if isinstance(old, list) else [old, value]
            else:
                headers[name] = value
        if not headers:
            return None
        if "Event" not in headers and "Response" not in headers:
            return BadFrame("neither Event nor Response", len(raw))
        return headers


def encode_action(name: str, headers: Mapping[str, str | list[str]]) -> bytes:
    """The bytes of one action. Raises `AmiBadValue` for anything that would not arrive as it was meant."""
    lines = []
    for key, value in (("Action", name), *headers.items()):
        if not _NAME.match(key):
            raise AmiBadValue(f"header name {key!r}")
        for one in [value] if isinstance(value, str) else value:
            if _UNSAFE.search(one):
                raise AmiBadValue(f"header {key}: CR, LF or NUL in its value would start another header or action")
            line = f"{key}: {one}".encode()
            if len(line) > MAX_LINE:
                raise AmiBadValue(f"header {key}: {len(line)} bytes; Asterisk reads {MAX_LINE}")
            lines.append(line)
    if len(lines) > MAX_HEADERS:
        raise AmiBadValue(f"{len(lines)} headers; Asterisk reads {MAX_HEADERS}")
    return EOL.join(lines) + END
