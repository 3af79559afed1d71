"""All of a Redis as one file, taken while it serves: the snapshot a replica is given at its start (SYNC).

Knows: the replication handshake (Redis protocol, commands REPLCONF and SYNC) and how the file comes: `$<bytes>`, or
`$EOF:<40 bytes>` and then until these come again. Must not know: what is in it, where it goes afterwards. Blocking.

One node only: a cluster's nodes are dumped one by one, and a Sentinel's master by its own address.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from redis.connection import parse_url

CONNECT_S: Final = 5.0
SILENCE_S: Final = 60.0
"""While it prepares the file it sends a newline every second."""
CHUNK: Final = 1 << 20
MARK: Final = 40
MAGIC: Final = (b"REDIS0", b"VALKEY")


class DumpFailed(Exception):
    """Redis refused, is away, or what came is no snapshot."""


def dump(url: str, path: Path, tell: Callable[[int], None] = lambda _: None) -> int:
    """Write the snapshot to `path`, replaced whole; its bytes. `tell` hears how many are there so far.

    Raises DumpFailed, also for an address of more than one node, and OSError for the disk.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        with _connected(url) as link, partial.open("wb") as out:
            stream = link.makefile("rb")
            size = _copy(stream, out, tell)
            out.flush()
            os.fsync(out.fileno())
        with partial.open("rb") as made:
            if not made.read(8).startswith(MAGIC):
                raise DumpFailed("不是快照 / what came is no snapshot")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return size


@contextlib.contextmanager
def _connected(url: str) -> Iterator[socket.socket]:
    try:
        told = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError as why:
        raise DumpFailed(f"只能备份单个节点 / one node at a time: {why}") from None
    try:
        with _socket(told) as link:
            link.settimeout(SILENCE_S)
            stream = link.makefile("rb")
            if told.get("password"):
                user = [told["username"]] if told.get("username") else []
                _ask(link, stream, "AUTH", *user, told["password"])
            # With `eof` it streams and leaves no file of its own behind; `rdb-only` spares it a replica's buffers.
            for words in (("capa", "eof"), ("rdb-only", "1")):
                with contextlib.suppress(DumpFailed):  # older ones know neither, and then send `$<bytes>`
                    _ask(link, stream, "REPLCONF", *words)
            link.sendall(_command("SYNC"))
            yield link
    except OSError as why:
        raise DumpFailed(f"连不上或中断 / not reachable, or cut off: {why}") from None


def _socket(told: dict[str, Any]) -> socket.socket:
    if "path" in told:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(CONNECT_S)
        link.connect(told["path"])
        return link
    host = told.get("host", "localhost")
    link = socket.create_connection((host, told.get("port", 6379)), timeout=CONNECT_S)
    if "SSL" in getattr(told.get("connection_class"), "__name__", ""):
        return ssl.create_default_context(cafile=told.get("ssl_ca_certs")).wrap_socket(link, server_hostname=host)
    return link


def _command(*words: str) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def _ask(link: socket.socket, stream: Any, *words: str) -> None:
    link.sendall(_command(*words))
    answer = stream.readline(1024)
    if not answer.startswith(b"+"):
        said = answer.decode("utf-8", "replace").strip() or "the connection was closed"
        raise DumpFailed(f"{words[0]}: {said}")


def _copy(stream: Any, out: Any, tell: Callable[[int], None]) -> int:
    head = b"\n"
    while head == b"\n":  # still preparing
        head = stream.readline(1024)
    if not head.startswith(b"$"):
        raise DumpFailed(f"SYNC: {head.decode('utf-8', 'replace').strip() or 'the connection was closed'}")
    if head.startswith(b"$EOF:"):
        return _until_mark(stream, out, head[5:].strip(), tell)
    size = left = int(head[1:])
    while left:
        data = stream.read(min(CHUNK, left))
        if not data:
            raise DumpFailed(f"少了 {left} 字节 / cut off, {left} bytes are missing")
        out.write(data)
        left -= len(data)
        tell(size - left)
    return size


def _until_mark(stream: Any, out: Any, mark: bytes, tell: Callable[[int], None]) -> int:
    if len(mark) != MARK:
        raise DumpFailed("快照结尾标记不对 / the end mark is not one")
    size, tail = 0, b""
    while True:
        data = stream.read1(CHUNK)
        if not data:
            raise DumpFailed("快照中断 / cut off before its end")
        tail += data
        if tail.endswith(mark):
            out.write(tail[:-MARK])
            return size + len(tail) - MARK
        out.write(tail[:-MARK])
        size += max(0, len(tail) - MARK)
        tail = tail[-MARK:]
        tell(size)
