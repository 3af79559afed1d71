"""Free ports on loopback, and who holds a port that is not free.

Knows sockets, one lock file per user and /proc; must not know what a port is for.

Binding port 0 and closing it again hands the same number to whoever asks next. Here a number is *claimed*
first: byte N of a file in the temp folder stands for port N, locked with an open-file-description lock
(fcntl(2), F_OFD_SETLK). So two instances, or two test workers, never get the same number, and the kernel
drops the claims of a process that dies.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import socket
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["tcp", "udp"]

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up): no client socket sits on a port we promised.
FIRST, LAST = 10_000, 32_000
SINGLES = 2_000
"""Single ports come from the last so many, ranges from the first on, each at a multiple of its size: strewn among one
another, a few instances left no room for a whole range of RTP."""
TCP_LISTEN = "0A"  # st column of /proc/net/tcp

_TYPES: dict[Kind, int] = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(frozen=True, slots=True)
class PortTaken:
    """Somebody else holds the port. `pid` and `command` are None when the holder belongs to another user."""

    port: int
    kind: Kind
    pid: int | None
    command: str | None

    def __str__(self) -> str:
        owner = f"{self.command} (pid {self.pid})" if self.pid else "another user's process"
        return f"port {self.port}/{self.kind} is taken by {owner}"


class _Claims:
    """The ports this process has claimed; forgotten by the kernel when the process ends."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._pid = 0
        self._mine: set[int] = set()

    def take(self, port: int) -> bool:
        if self._pid != os.getpid():  # A forked copy would share the parent's locks: it opens its own.
            self._fd, self._pid, self._mine = self._open(), os.getpid(), set()
        if port in self._mine:  # An OFD lock does not exclude its own holder.
            return False
        try:
            self._lock(fcntl.F_WRLCK, port)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        self._mine.add(port)
        return True

    def drop(self, port: int) -> None:
        if port in self._mine and self._pid == os.getpid():
            self._mine.discard(port)
            self._lock(fcntl.F_UNLCK, port)

    def _lock(self, kind: int, port: int) -> None:
        assert self._fd is not None
        # struct flock: l_type, l_whence, l_start, l_len, l_pid (0 for OFD locks)
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, port, 1, 0))

    @staticmethod
    def _open() -> int:
        path = Path(tempfile.gettempdir()) / f"hotline-cti-ports.{os.getuid()}"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


_claims = _Claims()


def free_tcp_port() -> int:
    """A TCP port on loopback that nobody listens on, claimed until `release` or the end of this process."""
    return _claim_run("tcp", 1)


def free_udp_port() -> int:
    """A UDP port on loopback that nobody has bound, claimed until `release` or the end of this process."""
    return _claim_run("udp", 1)


def free_udp_range(count: int) -> range:
    """`count` consecutive UDP ports, the first one even (RTP on even, RTCP on odd: RFC 3550, 11)."""
    first = _claim_run("udp", count)
    return range(first, first + count)


def release(*ports: int) -> None:
    """Give claimed ports back. Ports that are not ours are ignored."""
    for port in ports:
        _claims.drop(port)


def check_free(port: int, kind: Kind) -> PortTaken | None:
    """None when `port` can be bound on loopback now, else who holds it. Other bind(2) errors are raised."""
    if _bindable(port, kind):
        return None
    inodes = set(_holders(port, kind))
    pid = next((pid for pid in _pids() if inodes & _sockets_of(pid)), None)
    return PortTaken(port, kind, pid, _command(pid) if pid is not None else None)


def _claim_run(kind: Kind, count: int) -> int:
    """First port of `count` free ones in a row."""
    if not 1 <= count <= LAST - FIRST:
        raise ValueError(f"cannot give {count} ports out of {LAST - FIRST}")
    starts: list[int]
    if count == 1:  # From a random start, once around: a number just given back is rarely the next one.
        singles = range(max(FIRST, LAST - SINGLES), LAST)
        offset = random.randrange(len(singles))
        starts = [*singles[offset:], *singles[:offset]]
    else:
        starts = [*range(FIRST + FIRST % 2, LAST - count + 1, count + count % 2)]
    for first in starts:
        if _claim_all(kind, first, count):
            return first
    raise OSError(errno.EADDRNOTAVAIL, f"no {count} free {kind} ports in {FIRST}-{LAST} on loopback")


def _claim_all(kind: Kind, first: int, count: int) -> bool:
    """Claim the whole run, or nothing when one of them is claimed or in use."""
    for port in range(first, first + count):
        claimed = _claims.take(port)
        if not claimed or not _bindable(port, kind):
            release(*range(first, port + claimed))
            return False
    return True


def _bindable(port: int, kind: Kind) -> bool:
    with socket.socket(socket.AF_INET, _TYPES[kind]) as probe:
        if kind == "tcp":  # As servers do: TIME_WAIT is no owner. On UDP it would share.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            if kind == "tcp":
                probe.listen(1)  # Two sockets with SO_REUSEADDR may both bind; only one may listen.
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _holders(port: int, kind: Kind) -> Iterator[str]:
    """Inodes of the sockets bound to `port` (proc(5), /proc/net/tcp: column 2 address, 4 state, 10 inode)."""
    for table in (f"/proc/net/{kind}", f"/proc/net/{kind}6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                local_port = int(columns[1].rpartition(":")[2], 16)
                if local_port == port and (kind == "udp" or columns[3] == TCP_LISTEN):
                    yield columns[9]


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _sockets_of(pid: int) -> set[str]:
    """Socket inodes a process has open; empty when it is another user's or already gone."""
    found = set()
    with contextlib.suppress(PermissionError, FileNotFoundError, ProcessLookupError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{entry}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _command(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None
