"""Both ways a snapshot comes, cut at every byte, and what is no snapshot."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from cti.ledger.dump import DumpFailed, dump

pytestmark = pytest.mark.unit
BODY = b"REDIS0011" + bytes(range(256)) + b"\r\n$5\r\n"
MARK = b"0123456789abcdef0123456789abcdef01234567"


class Redis:
    """Answers each command of the handshake, then SYNC with the pieces given."""

    def __init__(self, pieces: list[bytes], *, knows: bool = True) -> None:
        self._listen = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://:pw@127.0.0.1:{self._listen.getsockname()[1]}/0"
        self._pieces, self._knows = pieces, knows
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        link, _ = self._listen.accept()
        with link:
            stream = link.makefile("rb")
            while (head := stream.readline()) and self.asked[-1:] != [b"SYNC"]:
                words = []
                for _ in range(int(head[1:])):
                    words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
                self.asked.append(b" ".join(words))
                if words[0] == b"SYNC":
                    with contextlib.suppress(OSError):  # it has what it wanted, and left
                        for piece in self._pieces:
                            link.sendall(piece)
                    return
                link.sendall(b"+OK\r\n" if words[0] == b"AUTH" or self._knows else b"-ERR unknown\r\n")

    def close(self) -> None:
        self._listen.close()
        self._thread.join(5)


@pytest.mark.parametrize("whole", [b"\n\n$%d\r\n" % len(BODY) + BODY + b"*1\r\n",
                                   b"\n$EOF:" + MARK + b"\r\n" + BODY + MARK])  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 41, 10_000])
def test_a_snapshot_comes_whole_however_it_is_cut(tmp_path: Path, whole: bytes, size: int) -> None:
    redis = Redis([whole[i : i + size] for i in range(0, len(whole), size)], knows=size > 1)
    assert dump(redis.url, tmp_path / "all.rdb") == len(BODY)
    assert (tmp_path / "all.rdb").read_bytes() == BODY
    assert redis.asked == [b"AUTH pw", b"REPLCONF capa eof", b"REPLCONF rdb-only 1", b"SYNC"]
    redis.close()


@pytest.mark.parametrize("whole", [b"$%d\r\n" % len(BODY) + BODY[:-1], b"$EOF:" + MARK + b"\r\n" + BODY + MARK[:-1],
                                   b"-ERR no\r\n", b"", b"$4\r\nnope", b"$EOF:short\r\n"])  # fmt: skip
def test_what_is_cut_off_refused_or_no_snapshot_leaves_no_file(tmp_path: Path, whole: bytes) -> None:
    redis = Redis([whole])
    (tmp_path / "all.rdb").write_bytes(b"yesterday's")
    with pytest.raises(DumpFailed):
        dump(redis.url, tmp_path / "all.rdb")
    assert [p.name for p in tmp_path.iterdir()] == ["all.rdb"]
    assert (tmp_path / "all.rdb").read_bytes() == b"yesterday's"
    redis.close()


def test_more_than_one_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpFailed, match="one node"):
        dump("redis+cluster://a:1,b:2", tmp_path / "all.rdb")
