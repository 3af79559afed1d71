"""Prompts are spoken where the runtime has a synthesizer, once a text; without it short signs stand in."""

from __future__ import annotations

import shutil
import time
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from cti.stack.root import RuntimeRoot
from cti.stack.sounds import SPARE, SPOKEN, ensure_sounds, tone

pytestmark = pytest.mark.real

TEXT = "大理州已启动防汛应急响应，请远离河道。"


def seconds(path: Path) -> float:
    with wave.open(str(path), "rb") as made:
        assert (made.getframerate(), made.getsampwidth(), made.getnchannels()) == (8000, 2, 1)
        return made.getnframes() / 8000


def test_a_text_is_spoken_and_kept_beside_the_root(runtime_root: RuntimeRoot, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr("cti.stack.sounds.SPOKEN", {"goodbye": SPOKEN["goodbye"]})
    (tmp_path / "root").symlink_to(runtime_root.path)
    root = replace(runtime_root, path=tmp_path / "root")
    ensure_sounds(tmp_path / "one", root, {"said-1": TEXT})
    assert seconds(tmp_path / "one/said-1.wav") > 3, "a sentence, not a sign"
    assert seconds(tmp_path / "one/goodbye.wav") > 1
    assert len(list((tmp_path / "prompts").iterdir())) == 2
    (tmp_path / "root").unlink()  # nobody is asked to speak again
    began = time.monotonic()
    ensure_sounds(tmp_path / "two", root, {"said-1": TEXT})
    assert time.monotonic() - began < 1
    assert (tmp_path / "two/said-1.wav").read_bytes() == (tmp_path / "one/said-1.wav").read_bytes()
    shutil.rmtree(tmp_path / "two")
    ensure_sounds(tmp_path / "two", None, {"said-1": TEXT})
    assert seconds(tmp_path / "two/said-1.wav") == len(tone(SPARE)) / 16_000
