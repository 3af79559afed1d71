"""SIP messages (RFC 3261) as values, and the arithmetic of their transactions; sans-IO.

Knows: the syntax of requests and responses over UDP, name-addr, MD5 digest (RFC 2617), the retransmission
schedule. Must not know: sockets, clocks, dialogs, phones. Whatever the peer sends either becomes a message
that has every mandatory header, or raises :class:`MalformedSip`; nothing else is ever raised by
:func:`parse`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

T1 = 0.5  #: seconds, RFC 3261 17.1.1.1: estimate of the round trip
T2 = 4.0  #: seconds, longest interval between two sendings of the same message

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
}
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_PARAM = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;]+))')
_REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    404: "Not Found",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    501: "Not Implemented",
    503: "Service Unavailable",
    603: "Decline",
}


class MalformedSip(ValueError):
    """The peer sent something that is not a SIP message; ``why`` is a short stable word for counting."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Headers:
    """Header fields in order. Names compare without case and in their compact or long form alike."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = []
        for name, value in items:
            self.add(name, value)

    @staticmethod
    def _key(name: str) -> str:
        lower = name.lower()
        return _COMPACT.get(lower, lower)

    def add(self, name: str, value: str) -> None:
        """Append one field. ValueError when a line break would smuggle in another."""
        if any(mark in name or mark in value for mark in "\r\n\0"):
            raise ValueError(f"line break in SIP header {name[:20]!r}")
        self._items.append((name, value))

    def prepend(self, name: str, value: str) -> None:
        self.add(name, value)
        self._items.insert(0, self._items.pop())

    def set(self, name: str, value: str) -> None:
        """Put ``value`` in the place of the first field of that name and drop the others; else append."""
        key, place = self._key(name), len(self._items)
        for index, (known, _) in enumerate(self._items):
            if self._key(known) == key:
                place = min(place, index)
        kept = [item for item in self._items if self._key(item[0]) != key]
        self._items = []
        self.add(name, value)
        self._items = kept[:place] + self._items + kept[place:]

    def get(self, name: str, default: str = "") -> str:
        key = self._key(name)
        return next((value for known, value in self._items if self._key(known) == key), default)

    def all(self, name: str) -> list[str]:
        """Every value of that name, fields holding a comma-separated list taken apart (RFC 3261 7.3.1)."""
        key = self._key(name)
        return [part for known, value in self._items if self._key(known) == key for part in split_list(value)]

    def __contains__(self, name: str) -> bool:
        key = self._key(name)
        return any(self._key(known) == key for known, _ in self._items)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def copy(self) -> Headers:
        return Headers(self._items)


@dataclass(slots=True)
class _Message:
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def call_id(self) -> str:
        return self.headers.get("Call-ID")

    @property
    def cseq(self) -> tuple[int, str]:
        """(number, method)."""
        number, _, method = self.headers.get("CSeq").partition(" ")
        return int(number), method.strip()

    @property
    def branch(self) -> str:
        """The transaction's id: the branch of the topmost Via."""
        return parameter(self.headers.get("Via").partition(",")[0], "branch")

    @property
    def from_(self) -> NameAddr:
        return NameAddr.parse(self.headers.get("From"))

    @property
    def to(self) -> NameAddr:
        return NameAddr.parse(self.headers.get("To"))

    def _encode(self, start: str) -> bytes:
        lines = [start, *(f"{name}: {value}" for name, value in self.headers)]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body


@dataclass(slots=True)
class Request(_Message):
    method: str = ""
    uri: str = ""

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def encode(self) -> bytes:
        return self._encode(self.start_line)

    def answer(self, status: int, *, tag: str = "", reason: str = "", body: bytes = b"") -> Response:
        """The response with what RFC 3261 8.2.6.2 says to copy; ``tag`` completes a To that has none."""
        headers = Headers()
        for name, value in self.headers:
            key = Headers._key(name)
            if key in ("via", "from", "call-id", "cseq") or (key == "record-route" and status < 300):
                headers.add(name, value)
            elif key == "to":
                headers.add(name, value if not tag or parameter(value, "tag") else f"{value};tag={tag}")
        return Response(headers, body, status, reason or _REASONS.get(status, "Unknown"))


@dataclass(slots=True)
class Response(_Message):
    status: int = 0
    reason: str = ""

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def encode(self) -> bytes:
        return self._encode(self.start_line)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """``"name" <uri>;tag=…`` (RFC 3261 25.1). ``name`` is UTF-8 text, unquoted."""

    uri: str
    name: str = ""
    tag: str = ""

    @classmethod
    def parse(cls, value: str) -> NameAddr:
        """Never raises: what cannot be read is left empty."""
        match = re.match(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<([^>]*)>(.*)', value, re.DOTALL)
        if match is None:
            return cls(value.partition(";")[0].strip(), "", parameter(value, "tag"))
        quoted, plain, uri, rest = match.groups()
        return cls(uri, re.sub(r"\\(.)", r"\1", quoted) if quoted else plain or "", parameter(rest, "tag"))

    @property
    def user(self) -> str:
        return uri_user(self.uri)

    def __str__(self) -> str:
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        shown = f'"{escaped}" ' if self.name else ""
        return f"{shown}<{self.uri}>" + (f";tag={self.tag}" if self.tag else "")


def uri_user(uri: str) -> str:
    """The user part of a SIP URI, unescaped, without its parameters; empty when it has none."""
    user, at, _ = uri.partition(":")[2].partition("@")
    return unquote(user.partition(";")[0].partition(":")[0]) if at else ""


def parameter(value: str, name: str) -> str:
    """The parameter ``;name=…`` of a header value outside <> and quotes, or an empty string."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|<[^>]*>', "", value)
    match = re.search(rf";\s*{re.escape(name)}\s*=\s*([^;,\s]+)", bare, re.IGNORECASE)
    return match.group(1) if match else ""


def split_list(value: str) -> list[str]:
    """Split at the commas that stand outside quotes and angle brackets."""
    return [part.strip() for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,])+', value)]


def parse(data: bytes) -> Request | Response:
    """One datagram → one message.

    Raises MalformedSip: no blank line, not UTF-8, bad start line, bad header line, a mandatory header missing
    (Via, From, To, Call-ID, CSeq: RFC 3261 8.1.1), CSeq or Content-Length not numbers, body shorter than
    told.
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        raise MalformedSip("no blank line")
    try:
        first, *lines = re.sub("\r\n[ \t]+", " ", head.decode()).split("\r\n")
    except UnicodeDecodeError:
        raise MalformedSip("not UTF-8") from None
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()) or any(mark in value for mark in "\r\n\0"):
            raise MalformedSip("bad header line")
        headers.add(name.strip(), value.strip())
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        if not headers.get(name):
            raise MalformedSip(f"no {name}")
    number, _, method = headers.get("CSeq").partition(" ")
    if not re.fullmatch(r"[0-9]{1,10}", number) or not _TOKEN.fullmatch(method.strip()):
        raise MalformedSip("bad CSeq")
    told = headers.get("Content-Length", str(len(body)))
    if not re.fullmatch(r"[0-9]{1,7}", told):
        raise MalformedSip("bad Content-Length")
    if len(body) < int(told):
        raise MalformedSip("body cut")
    bare = Headers((name, value) for name, value in headers if Headers._key(name) != "content-length")
    return _start(first, bare, body[: int(told)], method.strip())


def _start(line: str, headers: Headers, body: bytes, method: str) -> Request | Response:
    words = line.split(" ", 2)
    if words[0] == "SIP/2.0" and len(words) >= 2 and re.fullmatch(r"[1-6][0-9]{2}", words[1]):
        return Response(headers, body, int(words[1]), words[2] if len(words) == 3 else "")
    if len(words) != 3 or words[2] != "SIP/2.0" or not words[1] or not _TOKEN.fullmatch(words[0]):
        raise MalformedSip("bad start line")
    if words[0] != method:
        raise MalformedSip("CSeq of another method")
    return Request(headers, body, words[0], words[1])


def challenge(values: Iterable[str]) -> dict[str, str] | None:
    """The first digest challenge we can meet (MD5, RFC 2617) among WWW-/Proxy-Authenticate values."""
    for value in values:
        scheme, _, rest = value.strip().partition(" ")
        found = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAM.finditer(rest)}
        if scheme.lower() == "digest" and found.get("algorithm", "MD5").upper() == "MD5" and "nonce" in found:
            return found
    return None


def authorization(asked: Mapping[str, str], method: str, uri: str, user: str, password: str, cnonce: str) -> str:
    """The Authorization value that meets ``asked`` (RFC 2617 3.2.2), with qop=auth when it is offered."""

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    realm, nonce = asked.get("realm", ""), asked["nonce"]
    secret, what = md5(user, realm, password), md5(method, uri)
    fields = [f'username="{user}"', f'realm="{realm}"', f'nonce="{nonce}"', f'uri="{uri}"', "algorithm=MD5"]
    if "auth" in re.split(r"[,\s]+", asked.get("qop", "")):
        proof = md5(secret, nonce, "00000001", cnonce, "auth", what)
        fields += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    else:
        proof = md5(secret, nonce, what)
    fields.append(f'response="{proof}"')
    if "opaque" in asked:
        fields.append(f'opaque="{asked["opaque"]}"')
    return "Digest " + ", ".join(fields)


def resend_delays(*, cap: float | None = T2) -> Iterator[float]:
    """Waits before each repetition, doubling from T1, ending when 64*T1 have passed.

    ``cap`` T2 for non-INVITE requests (timer E, 17.1.2.2) and final answers (timer G, 13.3.1.4); None for an
    INVITE (timer A, 17.1.1.2), whose waits double without limit. Exhaustion is timer B, F or H.
    """
    wait, left = T1, 64 * T1
    while left > 0:
        yield min(wait, left)
        left -= wait
        wait = wait * 2 if cap is None else min(wait * 2, cap)
