"""How fast AMI events become messages: stock panoramisk against `cti.ami`, over one recorded stream, side by side.

Knows: how to feed both the same segments without a socket, and how to compare what they deliver. Must not know: what
an event means. Both run in this process, in alternating rounds (which one goes first alternates too), so that a slow
moment of the machine hits both; the ratio is taken round by round. The first round warms up and is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import logging
import lzma
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message

from cti.ami.client import AmiClient, AmiConfig
from cti.ami.link import LinkProtocol

STREAM = Path(__file__).with_name("data") / "ami_stream.raw.xz"
WANTED = "CEL,FullyBooted,Shutdown,Reload,DeviceStateChange,QueueMemberStatus,OriginateResponse"

EXAMPLES = """examples:
  python bench/ami_ingest.py                                # the recorded stream of 700 calls, 7 rounds
  python bench/ami_ingest.py --stream my.raw.gz --json      # any raw recording of bench/record_ami.py
  python bench/ami_ingest.py --wanted CEL --segment 1460 --rounds 15

"filter on": both deliver only the wanted events (stock by callbacks, ours by name before decoding).
"filter off": both deliver every event. Exit status 1 if they do not deliver the same events."""

Handler = Callable[[Message], None]
Feed = Callable[[bytes], None]


def read(path: Path) -> bytes:
    """The raw stream; `.xz` and `.gz` are unpacked."""
    opener: Any = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "rb") as file:
        return bytes(file.read())


class NoTransport(asyncio.Transport):
    """Nothing is sent in this measurement; `Shutdown` makes stock close it."""

    def close(self) -> None: ...


def stock(wanted: list[str] | None, handler: Handler) -> Feed:
    """panoramisk 1.4 as an application would use it: one callback for each wanted name, or `*`."""
    manager = Manager(loop=asyncio.get_running_loop())
    for name in wanted or ["*"]:
        manager.register_event(name, lambda _, message: handler(message))
    protocol = AMIProtocol()
    protocol.connection_made(NoTransport())
    protocol.factory, protocol.encoding, protocol.responses = manager, "utf8", {}
    return cast(Feed, protocol.data_received)


def ours(wanted: list[str] | None, handler: Handler) -> Feed:
    """Our link with its client, through the same call asyncio would make."""
    names = None if wanted is None else frozenset(wanted)
    protocol = LinkProtocol(AmiClient(AmiConfig("", 0, "", ""), wanted=names, on_event=handler))
    protocol.connection_made(NoTransport())
    return protocol.data_received


def seconds(feed: Feed, segments: list[bytes]) -> float:
    """CPU seconds of this process for the whole stream: other programs on the machine do not count."""
    start = time.process_time()
    for segment in segments:
        feed(segment)
    return time.process_time() - start


def fields(message: Message) -> dict[str, Any]:
    """What a message says. Stock adds an empty `content` of its own to every message."""
    said = {key.lower(): value for key, value in message.items()}
    if said.get("content") == "":
        del said["content"]
    return said


def difference(theirs: Any, mine: Any) -> str:
    """In what way one header differs; the faults of stock that are known have their own words."""
    if theirs is None and mine == "":
        return "stock lost the empty last header"
    if isinstance(theirs, str) and isinstance(mine, str) and len(theirs) < len(mine):
        rest = iter(mine)
        if all(character in rest for character in theirs):
            return "stock lost characters cut by a segment"
    return "other"


def compare(segments: list[bytes], wanted: list[str] | None) -> dict[str, Any]:
    """Feed both the same segments and lay side by side what each delivers; every difference is counted by kind."""
    theirs: deque[Message] = deque()
    mine: deque[Message] = deque()
    feeds = stock(wanted, theirs.append), ours(wanted, mine.append)
    delivered = 0
    same = True
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for segment in segments:
        for feed in feeds:
            feed(segment)
        same = same and len(theirs) == len(mine)
        while theirs and mine:
            a, b = fields(theirs.popleft()), fields(mine.popleft())
            delivered += 1
            same = same and a.get("event") == b.get("event")
            for key in a.keys() | b.keys():
                if a.get(key) != b.get(key):
                    kind = difference(a.get(key), b.get(key))
                    kinds[kind] += 1
                    examples.setdefault(kind, f"{b['event']}.{key}: stock {a.get(key)!r}, ours {b.get(key)!r}")
    return {"events": delivered, "same_events_in_order": same, "differing_fields": kinds, "examples": examples}


def measure(segments: list[bytes], wanted: list[str] | None, messages: int, rounds: int) -> dict[str, Any]:
    """Messages received per second by each (the whole stream counts, wanted or not), and the ratio per round."""

    def nothing(_: Message) -> None: ...

    took: dict[str, list[float]] = {"stock": [], "ours": []}
    for number in range(rounds + 1):
        pair = [("stock", stock), ("ours", ours)]
        for name, run in pair if number % 2 else reversed(pair):
            lasted = seconds(run(wanted, nothing), segments)
            if number:
                took[name].append(lasted)
    ratios = [a / b for a, b in zip(took["stock"], took["ours"], strict=True)]
    rate = {name: round(messages / statistics.median(lasted)) for name, lasted in took.items()}
    return {
        "messages_per_s": rate,
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
    }


async def bench(args: argparse.Namespace) -> dict[str, Any]:
    """The whole report; needs a running loop only because both libraries ask for one."""
    data = read(args.stream)
    segments = [data[at : at + args.segment] for at in range(0, len(data), args.segment)]
    messages = data.count(b"\r\n\r\n")
    report: dict[str, Any] = {
        "stream": args.stream.name,
        "bytes": len(data),
        "messages": messages,
        "segment": args.segment,
        "rounds": args.rounds,
        "python": sys.version.split()[0],
    }
    for mode, wanted in (("filter_on", args.wanted.split(",")), ("filter_off", None)):
        same = compare(segments, wanted)
        report[mode] = {**measure(segments, wanted, messages, args.rounds), "delivered": same}
    return report


def show(report: dict[str, Any]) -> None:
    """The report for people."""
    print(
        f"{report['stream']}: {report['messages']:,} messages, {report['bytes']:,} bytes in segments of "
        f"{report['segment']}, {report['rounds']} rounds, Python {report['python']}"
    )
    for mode in ("filter_on", "filter_off"):
        part = report[mode]
        rate, ratio, same = part["messages_per_s"], part["ratio"], part["delivered"]
        print(
            f"{mode:10}  stock {rate['stock']:>9,}/s   ours {rate['ours']:>9,}/s   ratio "
            f"{ratio['min']:.1f} / {ratio['median']:.1f} / {ratio['max']:.1f} (min/median/max)"
        )
        verdict = "the same events in the same order" if same["same_events_in_order"] else "NOT THE SAME EVENTS"
        print(f"{'':10}  {same['events']:,} delivered, {verdict}")
        for kind, count in same["differing_fields"].items():
            print(f"{'':10}  {count} fields: {kind}, e.g. {same['examples'][kind]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stream", type=Path, default=STREAM, help="raw AMI bytes, optionally .gz or .xz")
    parser.add_argument("--wanted", default=WANTED, help="event names, comma-separated (default: production's)")
    parser.add_argument("--segment", type=int, default=4096, help="bytes a read (default 4096)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)  # neither is to pay for writing logs
    report = asyncio.run(bench(args))
    if args.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        show(report)
    sys.exit(not all(report[m]["delivered"]["same_events_in_order"] for m in ("filter_on", "filter_off")))


if __name__ == "__main__":
    main()
