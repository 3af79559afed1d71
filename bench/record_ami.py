"""Record the raw bytes of one AMI connection, every event of it, for `bench/ami_ingest.py` and the tests.

Knows: how to log in and listen, and how to place calls with Chinese caller names while it listens. Must not know:
what an event means. Nothing is decoded on the way: the file is what Asterisk sent, the greeting first.
"""

from __future__ import annotations

import argparse
import lzma
import selectors
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cti.ami.wire import encode_action

NAMES = ("报警人张三", "李四", "诉求方王小明", "欧阳娜娜", "昆明市民𠮷田", "Zhang San", "")

EXAMPLES = """examples:
  # two minutes of whatever happens, as it is
  python bench/record_ami.py --port 5038 --user bench --secret ... --seconds 120 --output stream.raw.xz
  # the same, placing 400 calls, four a second, by turns to three numbers
  python bench/record_ami.py --user bench --secret ... --seconds 120 --output stream.raw.xz \\
      --calls 400 --rate 4 --from caller --to 12345@hotline --to 110@hotline --to 119@hotline

Every call is Originate(Local/<n>@<from>/n) to <to>. The user needs read=all, no eventfilter, and write=originate to
place calls. The secret is not recorded (Asterisk does not echo it), caller numbers are: record test calls only."""


def call(number: int, origin: str, to: str) -> bytes:
    exten, _, context = to.partition("@")
    return encode_action(
        "Originate",
        {
            "ActionID": f"record-{number}",
            "Channel": f"Local/{1000 + number % 1000}@{origin}/n",
            "Context": context,
            "Exten": exten,
            "Priority": "1",
            "CallerID": f'"{NAMES[number % len(NAMES)]}" <1387100{number % 10000:04d}>',
            "Async": "true",
        },
    )


def record(args: argparse.Namespace) -> bytes:
    """Everything received in `args.seconds`, or up to `args.limit` MB or the end of the connection."""
    received = bytearray()
    actions = [encode_action("Login", {"Username": args.user, "Secret": args.secret, "Events": "on"})]
    with socket.create_connection((args.host, args.port), timeout=5) as link, selectors.DefaultSelector() as ready:
        link.sendall(b"".join(actions))
        ready.register(link, selectors.EVENT_READ)
        start = time.monotonic()
        placed = 0
        while (now := time.monotonic() - start) < args.seconds and len(received) < args.limit * 1_000_000:
            while placed < args.calls and now > 1 + placed / args.rate:
                link.sendall(call(placed, args.origin, args.to[placed % len(args.to)]))
                placed += 1
            if not ready.select(timeout=0.05):
                continue
            if not (data := link.recv(65536)):
                break
            received += data
    if b"Authentication accepted" not in received[:4096]:
        raise SystemExit("not logged in: " + received[:200].decode("utf-8", "replace"))
    return bytes(received)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5038)
    parser.add_argument("--user", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--limit", type=float, default=64, help="stop after this many MB (default 64)")
    parser.add_argument("--output", type=Path, required=True, help="written raw, or compressed when it ends in .xz")
    parser.add_argument("--calls", type=int, default=0, help="calls to place while listening (default none)")
    parser.add_argument("--rate", type=float, default=4, help="calls a second")
    parser.add_argument("--from", dest="origin", default="caller", help="context of the calling half")
    parser.add_argument("--to", action="append", default=[], help="exten@context, repeatable")
    args = parser.parse_args()
    if args.calls and not args.to:
        parser.error("--calls needs --to")
    data = record(args)
    packed = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME) if args.output.suffix == ".xz" else data
    args.output.write_bytes(packed)
    frames = data.count(b"\r\n\r\n")
    print(f"{args.output}: {len(data):,} bytes, {frames:,} messages, {len(packed):,} bytes on disk")


if __name__ == "__main__":
    main()
