"""Seeded faults for a dialplan: each a small slip anybody could make, on any line that offers itself.

    python -m bench.dialplan_faults --seeds 20 --faults 25 [--alone] [--dialplan DIR]

Knows: how to break a line. Must not know: how `cti dialplan check` finds it; that the file and line are named is all
that counts.
Lines are changed in place, never added or removed, so that the line that was broken is the line to be named.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cti.dialplan.check import check
from cti.directory import load_directory
from cti.share import folder

Break = Callable[[random.Random, str, "Around"], str | None]
STEP = re.compile(r"^(\s*(?:exten => [^,]+,|same => )(?:n|1)(?:\([\w-]+\))?,)(\w+)\((.*)\)(\s*)$")
LABELLED = re.compile(r"^(\s*same => n)\(([\w-]+)\),")


@dataclass(frozen=True, slots=True)
class Around:
    """What a slip needs to know of the rest: all contexts, whether the line ends its extension."""

    contexts: frozenset[str]
    last: bool
    after: str
    before: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One slip: where, of what kind, and both texts."""

    file: str
    line: int
    kind: str
    before: str
    after: str


def typo(rng: random.Random, word: str) -> str:
    """The word with two letters changed places, one doubled or one lost; never the word itself."""
    for _ in range(20):
        i = rng.randrange(max(1, len(word) - 1))
        made = rng.choice(
            (
                word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :],
                word[:i] + word[i] + word[i:],
                word[:i] + word[i + 1 :],
            )
        )
        if made != word and made and made[0].isalnum():
            return made
    return word + "x"


def _swap(
    rng: random.Random, text: str, pattern: str, make: Callable[[random.Random, re.Match[str]], str | None]
) -> str | None:
    found = list(re.finditer(pattern, text))
    rng.shuffle(found)
    for match in found:
        if (made := make(rng, match)) is not None:
            return text[: match.start()] + made + text[match.end() :]
    return None


def context_name(rng: random.Random, text: str, around: Around) -> str | None:
    """The name of a context, misspelt where it is led to."""

    def make(rng: random.Random, m: re.Match[str]) -> str | None:
        made = typo(rng, m[2])
        return m[1] + made + m[3] if m[2] in around.contexts and made not in around.contexts else None

    return _swap(
        rng,
        text,
        r"((?:Goto|Gosub|\bb|\bF|\bG|\bU|handler_push\)=|[?:])\(?)([a-z][a-z-]+)((?:[,^]|\\,)(?:s|\d|[a-z])[\w-]*(?:[,^]|\\,)[\w-]+)",
        make,
    )


def label_name(rng: random.Random, text: str, around: Around) -> str | None:
    """A label, misspelt where it is jumped to."""
    return _swap(rng, text, r"(GotoIf\(.*\?|Goto\()([a-z]{3,})(\)$)", lambda r, m: m[1] + typo(r, m[2]) + "q" + m[3])


def label_lost(rng: random.Random, text: str, around: Around) -> str | None:
    """A label, misspelt where it stands."""
    return _swap(rng, text, LABELLED.pattern, lambda r, m: f"{m[1]}({m[2]}zz),")


def priority_wrong(rng: random.Random, text: str, around: Around) -> str | None:
    """A priority nobody wrote."""
    return _swap(rng, text, r"(Gosub\([a-z-]+,s,)1(\(|\))", lambda r, m: f"{m[1]}{r.randrange(40, 90)}{m[2]}")


def exten_wrong(rng: random.Random, text: str, around: Around) -> str | None:
    """An extension nobody wrote."""
    return _swap(rng, text, r"(Goto|Gosub)(\([a-z-]+,)s(,1)", lambda r, m: f"{m[1]}{m[2]}{r.choice('qwz')}{m[3]}")


def prompt_name(rng: random.Random, text: str, around: Around) -> str | None:
    """A prompt, misspelt."""
    return _swap(rng, text, r"(\$\{SOUNDS\}/)([a-z-]{4,})(?=[,)&])", lambda r, m: m[1] + typo(r, m[2]) + "q")


def application(rng: random.Random, text: str, around: Around) -> str | None:
    """An application's name, misspelt."""
    return _swap(rng, text, r"(,)([A-Z]\w{3,})(\()", lambda r, m: m[1] + typo(r, m[2]) + "q" + m[3])


def function(rng: random.Random, text: str, around: Around) -> str | None:
    """A function's name, misspelt."""
    return _swap(rng, text, r"(\$\{)([A-Z][A-Z_]{1,})(\()", lambda r, m: m[1] + typo(r, m[2]) + "Q" + m[3])


def end_lost(rng: random.Random, text: str, around: Around) -> str | None:
    """The last step of an extension does nothing any more."""
    match = STEP.match(text)
    return f"{match[1]}NoOp(){match[4]}" if match and around.last and match[2] in ("Hangup", "Return", "Goto") else None


def time_out(rng: random.Random, text: str, around: Around) -> str | None:
    """A wait without its bound."""
    return (
        _swap(rng, text, r"(WaitForCondition\(.*),[\d.]+,[\d.]+\)$", lambda r, m: f"{m[1]})")
        or _swap(rng, text, r"\bWait\([\d.]+\)", lambda r, m: "Wait()")
        or _swap(rng, text, r"(Read\(\w+,[^,]+,\d),,\d,[\d.]+\)", lambda r, m: f"{m[1]})")
        or _swap(rng, text, r"(BridgeWait\(.*m\(wait\))S\(\d+\)", lambda r, m: m[1])
        or _swap(rng, text, r"(Dial\([^,]+,)(?:\$\{\w+\}|\d+)", lambda r, m: m[1])
        or _swap(rng, text, r"(Queue\(.*,,,)(?:\$\{\w+\})(,)", lambda r, m: m[1] + m[2])
        or _swap(rng, text, r"(Originate\(.*,)\d+(,av\()", lambda r, m: m[1] + m[2])
    )


def unquoted(rng: random.Random, text: str, around: Around) -> str | None:
    """One side of a comparison, without its quotes."""
    return _swap(rng, text, r'"(\$\{[\w()-]+\})"(!?=")', lambda r, m: m[1] + m[2])


def unfiltered(rng: random.Random, text: str, around: Around) -> str | None:
    """What a phone sent, without its filter."""
    return _swap(
        rng,
        text,
        r"\$\{FILTER\([^,]+,(\$\{(?:CALLERID|IMPORT|PJSIP_HEADER)\((?:[^{}()]|\$\{\w+\}|\([a-z]+\))*\)\})\)\}",
        lambda r, m: m[1],
    )


def bracket(rng: random.Random, text: str, around: Around) -> str | None:
    """A closing bracket or a quote, lost."""
    if STEP.match(text) is None or '{"' in text:
        return None
    return _swap(rng, text, r'[\]})]|(?<=\[)"', lambda r, m: "")


def opening(rng: random.Random, text: str, around: Around) -> str | None:
    """A dollar sign or an opening brace, lost."""
    return (
        _swap(rng, text, r"\$[{\[]", lambda r, m: r.choice("${") if m[0] == "${" else "[") if STEP.match(text) else None
    )


def argument_lost(rng: random.Random, text: str, around: Around) -> str | None:
    """A jump without what it jumps to, a wait for nothing."""
    return _swap(rng, text, r"\b(Goto|Gosub|Playback|Wait)\([^()]+\)$", lambda r, m: f"{m[1]}()")


def context_renamed(rng: random.Random, text: str, around: Around) -> str | None:
    """A context under another name."""
    return _swap(rng, text, r"^\[([a-z-]+)\]$", lambda r, m: f"[{typo(r, m[1])}q]")


def family(rng: random.Random, text: str, around: Around) -> str | None:
    """Another family of AstDB."""
    return _swap(rng, text, r"(\$\{DB\()([a-z-]+)(/)", lambda r, m: f"{m[1]}{typo(r, m[2])}q{m[3]}")


def twice(rng: random.Random, text: str, around: Around) -> str | None:
    """A step that takes the place of the one before it."""
    match = STEP.match(text)
    if match is None or not around.before.startswith("exten =>") or not text.startswith(" same => n,"):
        return None
    return text.replace("same => n,", "same => 1,", 1)


def label_twice(rng: random.Random, text: str, around: Around) -> str | None:
    """A label the step above has already."""
    above = LABELLED.match(around.before)
    return (
        text.replace("same => n,", f"same => n({above[2]}),", 1) if above and text.startswith(" same => n,") else None
    )


def variable_read(rng: random.Random, text: str, around: Around) -> str | None:
    """A variable, misspelt where it is read."""
    return _swap(rng, text, r"(\$\{)([A-Z]{4,})(\})", lambda r, m: m[1] + typo(r, m[2]) + "Q" + m[3])


def shared_name(rng: random.Random, text: str, around: Around) -> str | None:
    """A SHARED() variable, misspelt where it is read or set."""
    return _swap(rng, text, r"(SHARED\()([A-Z]{4,})(?=[,)])", lambda r, m: m[1] + typo(r, m[2]) + "Q")


def variable_set(rng: random.Random, text: str, around: Around) -> str | None:
    """A variable, misspelt where it is set."""
    return _swap(rng, text, r"(,Set\(_*)([A-Z]{4,})(=)", lambda r, m: m[1] + typo(r, m[2]) + "Q" + m[3])


def event_name(rng: random.Random, text: str, around: Around) -> str | None:
    """The core's event, misspelt."""
    return _swap(rng, text, r"(CELGenUserEvent\()([A-Z]\w+)", lambda r, m: m[1] + typo(r, m[2]) + "q")


def event_field(rng: random.Random, text: str, around: Around) -> str | None:
    """An event without the call, or the seat, it belongs to."""
    return _swap(
        rng, text, r'"(ref|seat)":"[^"]*",(?=")', lambda r, m: "" if m[1] == "ref" or '"ref"' not in text else None
    )


def event_json(rng: random.Random, text: str, around: Around) -> str | None:
    """JSON without one of its quotes or colons."""
    return (
        _swap(rng, text, r'"(\w+)":', lambda r, m: r.choice((f"{m[1]}:", f'"{m[1]}"', f'"{m[1]}')))
        if "CELGenUserEvent" in text
        else None
    )


def endless(rng: random.Random, text: str, around: Around) -> str | None:
    """A step that comes back to itself."""
    match = STEP.match(text)
    if match is None or not around.last or not text.startswith(" same => n,"):
        return None
    return f" same => n(round9),Goto(round9){match[4]}"


def nothing_given(rng: random.Random, text: str, around: Around) -> str | None:
    """An application without its arguments."""
    match = STEP.match(text)
    wanted = (
        "Playback",
        "Set",
        "MSet",
        "Goto",
        "GotoIf",
        "Gosub",
        "Dial",
        "Queue",
        "Read",
        "ExecIf",
        "Bridge",
        "BridgeAdd",
        "SoftHangup",
    )
    return f"{match[1]}{match[2]}(){match[4]}" if match and match[2] in wanted else None


def one_more(rng: random.Random, text: str, around: Around) -> str | None:
    """A subroutine given arguments it does not read."""
    return _swap(rng, text, r"(Gosub\([a-z-]+,s,1)\)$", lambda r, m: f"{m[1]}(a,b,c,d,e,f,g))")


def condition_lost(rng: random.Random, text: str, around: Around) -> str | None:
    """A condition whose question mark is lost."""
    return _swap(rng, text, r"((?:GotoIf|ExecIf)\(\$\[.*\])\?", lambda r, m: m[1] + ",")


def operator(rng: random.Random, text: str, around: Around) -> str | None:
    """An expression with an operator too many, or none."""
    return _swap(rng, text, r'(?<=\}")(!?=)(?=")', lambda r, m: r.choice((" ", "= =")))


def keyword(rng: random.Random, text: str, around: Around) -> str | None:
    """The line's own first word, misspelt."""
    return _swap(rng, text, r"^( ?)(same|exten)( => )", lambda r, m: m[1] + typo(r, m[2]) + m[3])


def agi(rng: random.Random, text: str, around: Around) -> str | None:
    """A prompt made an AGI call on the very channel, and nobody looks how it went."""
    return _swap(rng, text, r"Playback\(\$\{SOUNDS\}/([a-z-]+)\)$", lambda r, m: f"AGI(agi://${{AGI}}/{m[1]})")


def queue_name(rng: random.Random, text: str, around: Around) -> str | None:
    """A line of another site."""
    return _swap(rng, text, r"(\bQueue\()[^,]+,", lambda r, m: f"{m[1]}{r.randrange(20000, 90000)},")


def phone_name(rng: random.Random, text: str, around: Around) -> str | None:
    """A phone of another site."""
    return _swap(rng, text, r"(\bDial\()[^,]+,", lambda r, m: f"{m[1]}PJSIP/{r.randrange(2000, 7000)},")


def music(rng: random.Random, text: str, around: Around) -> str | None:
    """Waiting music nobody has."""
    return _swap(rng, text, r"(StartMusicOnHold\(|\bm\()(wait)\)", lambda r, m: f"{m[1]}{typo(r, m[2])}q)")


def pattern_all(rng: random.Random, text: str, around: Around) -> str | None:
    """A pattern that takes everything."""
    return _swap(rng, text, r"^exten => _X\.,", lambda r, m: r.choice(("exten => _.,", "exten => _!,")))


BREAKS: tuple[Break, ...] = (
    context_name,
    label_name,
    label_lost,
    priority_wrong,
    exten_wrong,
    prompt_name,
    application,
    function,
    end_lost,
    time_out,
    unquoted,
    unfiltered,
    bracket,
    twice,
    label_twice,
    variable_read,
    shared_name,
    variable_set,
    event_name,
    event_field,
    event_json,
    endless,
    nothing_given,
    one_more,
    condition_lost,
    operator,
    keyword,
    agi,
    queue_name,
    phone_name,
    music,
    pattern_all,
    opening,
    argument_lost,
    context_renamed,
    family,
)


def seeded(texts: Mapping[str, str], seed: int, count: int, apart: int = 6) -> tuple[dict[str, str], list[Fault]]:
    """The texts with ``count`` slips, as many kinds as there are before one comes again, never two within ``apart``
    lines."""
    rng = random.Random(seed)
    lines = {name: text.splitlines() for name, text in texts.items()}
    contexts = frozenset(re.findall(r"^\[([\w-]+)\]", "\n".join(texts.values()), re.MULTILINE))
    places = [
        (name, n)
        for name, found in lines.items()
        for n, line in enumerate(found)
        if not line.lstrip().startswith((";", "{"))
    ]
    faults: list[Fault] = []
    kinds = list(BREAKS)
    rng.shuffle(kinds)
    turn = 0
    while len(faults) < count and turn < 40 * count:
        kind = kinds[turn % len(kinds)]
        turn += 1
        rng.shuffle(places)
        for name, n in places:
            if any(f.file == name and abs(f.line - 1 - n) < apart for f in faults):
                continue
            text = lines[name][n]
            made = kind(rng, text, _around(lines[name], n, contexts))
            if made is not None and made != text:
                faults.append(Fault(name, n + 1, kind.__name__, text, made))
                lines[name][n] = made
                break
    return {name: "\n".join(found) + "\n" for name, found in lines.items()}, faults


def _around(lines: list[str], n: int, contexts: frozenset[str]) -> Around:
    after = next((x for x in lines[n + 1 :] if x.strip() and not x.lstrip().startswith((";", "{"))), "[")
    before = next((x for x in reversed(lines[:n]) if x.strip() and not x.lstrip().startswith((";", "{"))), "")
    return Around(contexts, not after.startswith(" same"), after, before)


def texts_of(where: Path) -> dict[str, str]:
    """The files of extensions.conf, templates as they are."""
    names = re.findall(r"#include (\S+)", (where / "extensions.conf.j2").read_text(encoding="utf-8"))
    paths = [where / name if (where / name).exists() else where / f"{name}.j2" for name in names]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def missed(where: Path, faulty: Mapping[str, str], faults: list[Fault], config: Path) -> list[Fault]:
    """Those that `check` did not name by file and line."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "dialplan"
        shutil.copytree(where, copy)
        for file, text in faulty.items():
            (copy / file).write_text(text, encoding="utf-8")
        directory = load_directory(config, dt.date(2026, 7, 1))
        found = {(f.file, f.line) for f in check(copy, directory, "530100").findings}
    return [f for f in faults if (f.file, f.line) not in found]


def alone(texts: Mapping[str, str], faults: list[Fault]) -> Iterator[tuple[dict[str, str], list[Fault]]]:
    """Each fault in a copy of its own."""
    for fault in faults:
        lines = texts[fault.file].splitlines()
        lines[fault.line - 1] = fault.after
        yield {**texts, fault.file: "\n".join(lines) + "\n"}, [fault]


def main() -> int:
    """Seeds × faults; exit 1 when one was not named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument("--alone", action="store_true", help="each fault in a copy of its own")
    parser.add_argument("--dialplan", type=Path, default=folder("dialplan"))
    options = parser.parse_args()
    texts = texts_of(options.dialplan)
    lost: list[tuple[int, Fault]] = []
    kinds: Counter[str] = Counter()
    total, began = 0, time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        faulty, faults = seeded(texts, seed, options.faults)
        total += len(faults)
        kinds.update(f.kind for f in faults)
        for copy, some in alone(texts, faults) if options.alone else [(faulty, faults)]:
            lost += [(seed, f) for f in missed(options.dialplan, copy, some, folder("config"))]
        print(
            f"种子/seed {seed}: {len(faults)}，漏/missed {sum(s == seed for s, _ in lost)}", file=sys.stderr, flush=True
        )
    for seed, fault in lost:
        print(f"{seed} {fault.kind} {fault.file}:{fault.line}\n  - {fault.before.strip()}\n  + {fault.after.strip()}")
    print(
        f"{total} 处，{len(kinds)} 类；找到 {total - len(lost)} / {total} faults of {len(kinds)} kinds, "
        f"{total - len(lost)} named by file and line; {time.monotonic() - began:.0f} s"
    )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
