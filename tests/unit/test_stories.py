"""Stories as text: every mistake has its place, its field and a cure; what Asterisk's log says is read as it is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cti.dialplan.path import stretches
from cti.dialplan.stories.load import load_stories
from cti.dialplan.stories.tracing import Playing, parse, passed
from cti.dialplan.stories.words import behaviour
from cti.dialtest.phone import Answer, Reject, Ring
from cti.directory import load_directory
from cti.problem import ConfigError
from cti.share import folder

STORIES = folder("dialplan") / "stories"
DIRECTORY = load_directory(STORIES / "config", dt.date(2026, 11, 25))
GOOD = """\
stories:
  - story: 一通电话 one call
    given: {at: "2026-10-01 09:30", seats: {"1001": answers after 0.5, "1002": off}}
    steps:
      - when: [{dial: "12345"}]
        then: [{reaches: "1001", within: 3}, {told: {caller: goodbye}}, {ledger: {CallEnded: {outcome: answered}}}]
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    """`line where: message → cure` of each mistake."""
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_stories([path], DIRECTORY, folder("dialplan"))
    except ConfigError as why:
        return [f"{p.line} {p.where}: {p.message} → {p.cure}" for p in why.problems]
    return []


def test_the_stories_shipped_are_well_formed() -> None:
    assert len(load_stories([STORIES], DIRECTORY, folder("dialplan"))) > 50


@pytest.mark.parametrize(("old", "new", "line", "where", "cure"), [
    ("within: 3", "wihtin: 3", 6, "steps[0].then[0].wihtin", "within"),
    ("dial:", "dail:", 5, "steps[0].when[0].dail", "dial"),
    ("answers after", "ansers after", 3, "given.seats.1001", "answers"),
    ('"1001": answers', '"1010": answers', 3, "given.seats.1010", "1001"),
    ('reaches: "1001"', 'reaches: "1003"', 6, "steps[0].then[0].reaches", "1001"),
    ("goodbye", "godbye", 6, "steps[0].then[1].told", "goodbye"),
    ("CallEnded", "CalEnded", 6, "steps[0].then[2].ledger", "CallEnded"),
    ("2026-10-01 09:30", "2026-10-1T9", 3, "given.at", "2026-10-01 09:30"),
    ("given:", "givne:", 3, "givne", "given"),
    ("within: 3", "hears: {caller: music}", 6, "steps[0].then[0]", "hears, rings"),
    ('dial: "12345"', "dial: 12345", 5, "steps[0].when[0].dial", '"12345"'),
])  # fmt: skip
def test_a_mistake_is_told_with_line_field_and_cure(
    tmp_path: Path, old: str, new: str, line: int, where: str, cure: str
) -> None:
    assert problems(tmp_path, GOOD) == []
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert found, "not noticed"
    assert any(one.startswith(f"{line} stories[0].{where}") and cure in one for one in found), found


def test_a_title_twice_and_an_empty_folder(tmp_path: Path) -> None:
    second = GOOD + GOOD.partition("\n")[2]
    assert any("标题重复" in one and "s.yaml:2" in one for one in problems(tmp_path, second))
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="没有故事"):
        load_stories([tmp_path / "none"], DIRECTORY, folder("dialplan"))


def test_behaviours() -> None:
    assert behaviour("answers").policy == Answer(0.1)
    assert behaviour("answers after 1, leaves after 3").policy == Answer(1, 3)
    does = behaviour("answers, presses 1 after 2")
    assert (does.presses, does.pressed) == ("1", 2)
    assert behaviour("declines after 0.5 s").policy == Reject(603, 0.5)
    assert behaviour("busy").policy == Reject(486, 0.1)
    assert behaviour("rings").policy == Ring()
    assert behaviour("off").policy is None
    for wrong in ("busy, leaves after 2", "answer", "", "answers at once"):
        with pytest.raises(ValueError):
            behaviour(wrong)


LOG = """\
[2026-11-25 22:46:40.042] VERBOSE[1182][C-00000002] pbx.c: Executing [s@goodbye:2] Playback("PJSIP/pstn-00000000", "/x/sounds/goodbye") in new stack
[2026-11-25 22:46:40.043] VERBOSE[1182][C-00000002] file.c: <PJSIP/pstn-00000000> Playing '/x/sounds/goodbye.slin' (language 'zh')
[2026-11-25 22:46:40.142] VERBOSE[1182][C-00000002] pbx.c:     -- Executing [s@caller-left:1] Set("PJSIP/pstn-00000000", "SHARED(OVER)=1") in new stack
[2026-11-25 22:46:40.143] VERBOSE[9] asterisk.c: Remote UNIX connection
[2026-11-25 22:46:40.144] VERBOSE[1182][C-00000002] pbx.c: Executing [s@caller-left:6] CELGenUserEvent("PJSIP/pstn-00000000", "CallerLeft,{"ref":"a","xf":""}") in new stack
""".splitlines()  # noqa: E501


def test_the_log_is_read_as_it_is() -> None:
    entries = list(parse(LOG))
    assert passed(entries) == ["goodbye", "caller-left"]
    assert entries[1] == Playing("goodbye", "PJSIP/pstn-00000000")
    one, two = stretches(entries)
    assert (one.context, one.first, one.does) == ("goodbye", 2, ("Playback(/x/sounds/goodbye)", "♪ goodbye"))
    assert two.at == pytest.approx(0.1) and (two.first, two.last) == (1, 6)
