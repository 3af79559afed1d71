"""Logging: one JSON object a line, and no telephone number readable in any of them.

Knows: structlog's and the standard library's loggers, and what a number looks like. Must not know: who logs.

Two guards, because the first depends on discipline. (1) Fields meant to hold numbers (`caller`, `number`,
`digits`, `callers`) are masked whole: 138****00, shorter ones `****`. (2) Every other text, also in nested
values, exception reports and other libraries' records, loses any run of seven or more digits, unless its
field is one of `PLAIN`, known to hold ids, times and counts. A number spelt out in words escapes both.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

NUMBERS: Final = frozenset({"caller", "number", "digits", "callers"})
"""Fields that hold telephone numbers: masked whatever they look like."""

PLAIN: Final = frozenset(
    {
        "ref",
        "transfer",
        "at",
        "id",
        "uniqueid",
        "linkedid",
        "port",
        "pid",
        "entry",
        "offset",
        "timestamp",
        "level",
        "logger",
    }
)
"""Fields that never hold a telephone number: left alone."""

HIDDEN: Final = "****"
_SHOWN: Final = 9  # below this, three and two shown digits would leave too few hidden
_DEPTH: Final = 6

_CHANNEL: Final = re.compile(r"\b([A-Z][A-Za-z0-9]{1,20}/\S{0,120}?-)(00[0-9a-f]{6})(?![0-9A-Za-z@/-])")
"""Asterisk's channel serial (PJSIP/1001-0000001a); no telephone number of eight digits begins with 00."""
_GROUPED: Final = re.compile(
    r"(?<!\d)(?:\+?86[ -]?)?1[3-9]\d([ .-]?)\d{4}\1\d{4}(?!\d)"
    r"|(?<!\d)0\d{2,3}[ )-]{1,2}\d{3,4}[ -]?\d{4}(?!\d)"
)
"""How people write numbers: 138 0000 0000, +86-138-0000-0000, 0871-6510 0110."""
_RUN: Final = re.compile(r"\d{7,}")


def mask_number(value: str) -> str:
    """`13800000000` → `138****00`; fewer than nine digits, or none → `****`; empty stays empty."""
    digits = "".join(c for c in value if c.isdigit())
    if not value or set(value) == {"*"}:
        return value
    return f"{digits[:3]}{HIDDEN}{digits[-2:]}" if len(digits) >= _SHOWN else HIDDEN


def mask_text(text: str) -> str:
    """`text` without its runs of seven or more digits (in any script) and numbers written in groups."""
    parts = _CHANNEL.split(text)  # text, channel head, serial, text, …
    for i in range(0, len(parts)):
        if i % 3 != 2:
            parts[i] = _RUN.sub(_masked, _GROUPED.sub(_masked, parts[i]))
    return "".join(parts)


def _masked(match: re.Match[str]) -> str:
    return mask_number(match[0])


def mask_fields(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The processor: both guards over one event."""
    return {_key(k): _guard(k, v, 0) for k, v in event.items()}


def _key(key: object) -> str:
    return mask_text(key if isinstance(key, str) else str(key))


def _guard(key: object, value: Any, depth: int) -> Any:
    if key in NUMBERS:
        return _hide(value, depth)
    if key in PLAIN and isinstance(value, str | int | float | None):
        return value
    return _clean(value, depth)


def _clean(value: Any, depth: int) -> Any:
    """Guard 2 over any value; what is no plain value is logged by its `repr`, masked."""
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):  # counts are welcome, mobile numbers are not
        return mask_number(str(value)) if re.fullmatch(r"(86)?1[3-9]\d{9}", str(value)) else value
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes | bytearray):
        return mask_text(bytes(value).decode("utf-8", "backslashreplace"))
    if depth >= _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {_key(k): _guard(k, v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(v, depth + 1) for v in value]
    return mask_text(repr(value))


def _hide(value: Any, depth: int) -> Any:
    """Guard 1: a value known to hold numbers."""
    if value is None or isinstance(value, bool):
        return value
    if depth >= _DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {mask_number(str(k)): _hide(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hide(v, depth + 1) for v in value]
    if isinstance(value, bytes | bytearray):
        return mask_number(bytes(value).decode("utf-8", "replace"))
    return mask_number(str(value))


def _one_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """For people's eyes: a caller's name must not forge a line of ours, nor colour the terminal."""
    return {
        k: v
        if k == "exception" or not isinstance(v, str)
        else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in v)
        for k, v in event.items()
    }


class MaskingHandler(logging.StreamHandler[TextIO]):
    """Writes lines; one it cannot write is counted, never shown raw as the standard handler would."""

    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:
        """Count the line and say so, without its content."""
        self.lost += 1
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(
                f"log: line lost ({getattr(sys.exc_info()[0], '__name__', 'unknown')}), {self.lost} so far\n"
            )


def configure_logging(level: str = "info", stream: TextIO | None = None, json: bool = True) -> MaskingHandler:
    """Send structlog's and every other library's records, masked, to `stream` (default: standard error).

    `level`: debug, info, warning or error (`ValueError` otherwise). `json=False` prints for people's eyes.
    May be called again: the last call wins. Returns the handler, whose `lost` is a metric.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"unknown log level {level!r}")
    target = stream if stream is not None else sys.stderr
    if isinstance(target, io.TextIOWrapper):  # a terminal in another encoding must not cost the line
        target.reconfigure(errors="backslashreplace")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = (
        [structlog.processors.JSONRenderer(ensure_ascii=False)]
        if json
        else [
            _one_line,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    handler = MaskingHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,  # before the mask: it may quote a number
                mask_fields,
                *render,
            ],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, MaskingHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=False,  # so that a second call reaches loggers already in use
    )
    return handler
