"""The dialplan's own reader: lines, patterns, texts, templates' lines."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cti.dialplan.check import KEY, NOWHERE
from cti.dialplan.model import covers, matches, sort_key
from cti.dialplan.parse import bare, read
from cti.dialplan.source import load, plain
from cti.dialplan.text import BadText, Ref, balanced, parse, refs, split
from cti.directory import load_directory
from cti.share import folder
from cti.stack.render import Place


def test_steps_labels_and_priorities() -> None:
    text = "[a]\nexten => s,1,Answer()\n same => n(x),Set(A=${B})\n same => n,Hangup() ; bye\n"
    text += "[a](+)\nexten => _1X,1,NoOp()\n"
    plan, found = read(plain({"x.conf": text}).lines["x.conf"])
    assert not found
    steps = [(s.exten, s.priority, s.label, s.app, s.args, s.line.number) for s in plan.steps()]
    assert steps == [
        ("s", 1, "", "Answer", "", 2),
        ("s", 2, "x", "Set", "A=${B}", 3),
        ("s", 3, "", "Hangup", "", 4),
        ("_1X", 1, "", "NoOp", "", 6),
    ]


def test_what_an_if_carries_out_is_seen() -> None:
    text = '[a]\nexten => s,1,ExecIf($["${A}"="b:c"]?Gosub(x,s,1(1:2)):TryExec(Wait(1)))\n'
    plan, _ = read(plain({"x.conf": text}).lines["x.conf"])
    assert [(c.app, c.always) for c in plan.steps()[0].calls] == [
        ("ExecIf", True),
        ("Gosub", False),
        ("TryExec", False),
        ("Wait", False),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("exten => s,1", "syntax"),
        ("smae => n,Hangup()", "syntax"),
        ("same => n,Hangup", "syntax"),
        ("same => x,Hangup()", "priority"),
        ("same => 1,Hangup()", "priority-twice"),
        ("same => n(l),NoOp()", "label-twice"),
        ("same => n,Set(A=${B)", "brackets"),
        ("same => n,Set(A=${CUT(B})", "brackets"),
        ("same => n,Set(A=$[1)", "brackets"),
        ("same => n,Set(A=1", "brackets"),
        ('same => n,GotoIf($["${A}=1]?l)', "brackets"),
        ("exten => _[1-9,1,NoOp()", "brackets"),
        ("[b", "syntax"),
        ("exten => 9,n,NoOp()", "priority"),
    ],
)
def test_what_is_no_line_of_a_dialplan(line: str, code: str) -> None:
    _, found = read(plain({"x.conf": f"[a]\nexten => s,1(l),Answer()\n{line}\n"}).lines["x.conf"])
    assert (3, code) in {(f.line, f.code) for f in found}


def test_comments_escapes_and_blocks() -> None:
    assert bare("a\\;b ; c") == "a\\;b" and bare("; all") == ""
    plan, found = read(
        plain({"x.conf": "[a]\n;-- exten => broken\nstill\n--;\nexten => s,1,Hangup()\n"}).lines["x.conf"]
    )
    assert not found and len(plan.steps()) == 1


@pytest.mark.parametrize(
    ("pattern", "number", "yes"),
    [
        ("_X.", "12", True),
        ("_X.", "1", False),
        ("_X!", "1", True),
        ("_[*0-9]!", "*11", True),
        ("_NXX", "199", False),
        ("_Z1", "91", True),
        ("_[+*#a-z].", "+86", True),
        ("110", "110", True),
        ("110", "1100", False),
    ],
)
def test_patterns(pattern: str, number: str, yes: bool) -> None:
    assert matches(pattern, number) is yes


def test_the_narrower_pattern_goes_first() -> None:
    assert sorted(["_X!", "_1X", "_X.", "110", "_[12]X"], key=sort_key) == ["110", "_1X", "_[12]X", "_X.", "_X!"]
    assert covers("_X.", "_12X") and covers("_X!", "_X.") and not covers("_1X.", "_X.") and not covers("_X.", "_X")


def test_texts() -> None:
    found = list(refs(parse('${A:1}$["${FILTER(0-9,${CALLERID(num)})}"=${B_${C}}]')))
    assert [(r.name, r.quoted, r.in_expr) for r in found] == [
        ("A", False, False),
        ("FILTER", True, True),
        ("CALLERID", False, False),
        ("B_*", False, True),
        ("C", False, False),
    ]
    assert isinstance(parse("x${Y}")[1], Ref)
    assert split('a,"b,c",${D(e,f)},g(h,i)') == ["a", '"b,c"', "${D(e,f)}", "g(h,i)"]
    assert balanced("a(b${C(d)})") and not balanced("a(b") and not balanced("a)b(")
    for text in ("${A", "$[1", '$["a]', "${A(b}", "${A B}"):
        with pytest.raises(BadText):
            list(refs(parse(text)))


def test_a_templates_line_is_told_as_it_was_written(tmp_path: Path) -> None:
    directory = load_directory(folder("config"), dt.date(2026, 7, 1))
    (tmp_path / "extensions.conf.j2").write_text(
        "[a]\n{% for seat in seats %}\nexten => {{ seat.number }},1,NoOp()\n{% endfor %}\n; end\n"
    )
    told = Place(
        site="530100",
        etc=NOWHERE,
        sounds=NOWHERE,
        ami_port=1,
        ami_username="u",
        ami_secret="s",
        sip_port=1,
        rtp=range(1, 9),
        agi_port=1,
        state=NOWHERE,
        run=NOWHERE,
        modules=NOWHERE,
        data=NOWHERE,
        sbin=NOWHERE,
    )
    sources = load(tmp_path, directory, told, KEY)
    lines = sources.lines["extensions.conf"]
    seats = len(directory.seats)
    assert [line.number for line in lines] == [1, *[3] * seats, 5]
    assert sources.written("extensions.conf", seats + 2) == ("extensions.conf.j2", 5)
    (tmp_path / "extensions.conf.j2").write_text("[a]\n{{ nobody.knows }}\n")
    assert [(f.line, f.code) for f in load(tmp_path, directory, told, KEY).faults] == [(2, "template")]
