"""Session descriptions (RFC 4566) for one G.711 A-law stream with RFC 4733 events; sans-IO.

Knows: address, port, direction and the number of the telephone-event payload. Must not know: SIP, sockets,
calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

PCMA = 8  #: static payload type of G.711 A-law, RFC 3551
EVENTS = 101  #: the number we offer for telephone-event
_MIRROR: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class MalformedSdp(ValueError):
    """The body is no session description with an audio stream we can take; ``why`` says what is missing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Sdp:
    """One audio stream. ``direction`` is its writer's; ``events`` None means no telephone-event."""

    host: str
    port: int
    direction: Direction = "sendrecv"
    events: int | None = EVENTS
    session: int = 1
    version: int = 1

    @property
    def mirrored(self) -> Direction:
        """The direction of an answer that gives the offerer all it wants (RFC 3264 6.1)."""
        return _MIRROR[self.direction]

    def encode(self) -> bytes:
        formats = [str(PCMA)] + ([] if self.events is None else [str(self.events)])
        lines = [
            "v=0",
            f"o=- {self.session} {self.version} IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {self.port} RTP/AVP {' '.join(formats)}",
            f"a=rtpmap:{PCMA} PCMA/8000",
        ]
        if self.events is not None:
            lines += [f"a=rtpmap:{self.events} telephone-event/8000", f"a=fmtp:{self.events} 0-16"]
        lines += ["a=ptime:20", f"a={self.direction}", ""]
        return "\r\n".join(lines).encode()


def parse(body: bytes) -> Sdp:
    """Raises MalformedSdp: not UTF-8, no address, no audio, no A-law in it. Port 0 (refused) is returned."""
    try:
        lines = body.decode().splitlines()
    except UnicodeDecodeError:
        raise MalformedSdp("not UTF-8") from None
    host, media, direction, events = "", "", "sendrecv", None
    ours = True  # session level first, then only the audio section counts
    for line in lines:
        if line.startswith("m="):
            ours = line.startswith("m=audio ") and not media
            media = line if ours else media
        elif not ours:
            continue
        elif match := re.fullmatch(r"c=IN IP4 (\d{1,3}(?:\.\d{1,3}){3})(?:/\d+)*\s*", line):
            host = match[1]
        elif match := re.match(r"a=rtpmap:(\d{1,3}) telephone-event/8000", line, re.IGNORECASE):
            events = int(match[1])
        elif line.startswith("a=") and line[2:].strip() in _MIRROR:
            direction = line[2:].strip()
    match = re.fullmatch(r"m=audio (\d{1,5})(?:/\d+)? RTP/\S+((?: \d{1,3})+)\s*", media)
    if match is None or int(match[1]) > 65535:
        raise MalformedSdp("no audio")
    if not host or any(int(part) > 255 for part in host.split(".")):
        raise MalformedSdp("no address")
    if str(PCMA) not in match[2].split():
        raise MalformedSdp("no A-law")
    return Sdp(host, int(match[1]), _MIRROR[_MIRROR[direction]], events)
