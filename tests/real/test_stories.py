"""The stories of dialplan/stories, played once: each passes, and together they enter every context a call can enter, as
Asterisk's own log tells; one that is wrong fails, and says what was there instead."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cti.dialplan.stories.load import contexts, load_stories
from cti.dialplan.stories.playing import Played, play
from cti.directory import load_directory
from cti.share import folder
from cti.stack.root import RuntimeRoot

pytestmark = pytest.mark.real

NEVER = {"lent-refer"}
"""made so that no number leads into it: a lent phone's REFER fails there"""
WRONG = """\
stories:
  - story: 说错了的故事 a story that is wrong
    given: {seats: {"1001": answers}}
    steps:
      - when: [{dial: "12345"}]
        then: [{reaches: "1001"}, {told: {caller: sorry}, within: 1}]
"""


async def test_every_story_passes_and_every_context_is_entered(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    dialplan, stories = folder("dialplan"), folder("dialplan") / "stories"
    directory = load_directory(stories / "config", dt.date.today())
    (tmp_path / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    all_of_them = load_stories([tmp_path / "wrong.yaml", stories], directory, dialplan)
    run: Played = await play(runtime_root, tmp_path / "state", directory, stories / "config", dialplan, "530100",
                             all_of_them, beside=4)  # fmt: skip
    wrong, *right = run.results
    failed = [f"{one.placed.id} {one.step}: {one.missed}\n{one.ladder}" for one in right if not one.passed]
    assert not failed, "\n".join(failed)
    assert (wrong.step, wrong.line) == (1, 5)
    assert [m.wanted.split(" ")[0:5] for m in wrong.missed] == [["caller", "听到提示音", "is", "told", "sorry"]]
    assert "SeatAnswered" not in wrong.ladder and "1001 接听" in wrong.ladder
    assert set(contexts(dialplan)) - run.entered == NEVER
