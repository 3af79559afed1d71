"""Prompts are spoken where the runtime has a synthesizer, once a text; without it short signs stand in."""

from __future__ import annotations

import datetime as dt
import shutil
import time
import wave
from dataclasses import replace
from pathlib import Path

import pytest

from cti.cli.prompts import faults
from cti.directory import load_directory
from cti.prompts.catalogue import Catalogue, Prompt, load_catalogue
from cti.prompts.recordings import Recordings
from cti.share import folder
from cti.stack.root import RuntimeRoot
from cti.stack.sounds import NEEDED, SPARE, ensure_sounds, greetings, made_of, tone, voice_version

pytestmark = pytest.mark.real

TEXT = "大理州已启动防汛应急响应，请远离河道。"
NONE = Recordings(Path("none"))
GOODBYE = Catalogue({"goodbye": Prompt(name="goodbye", zh="感谢您的来电，再见。", en="Goodbye.")})


def seconds(path: Path) -> float:
    with wave.open(str(path), "rb") as made:
        assert (made.getframerate(), made.getsampwidth(), made.getnchannels()) == (8000, 2, 1)
        return made.getnframes() / 8000


def test_a_text_is_spoken_and_kept_beside_the_root(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    version = voice_version(runtime_root)
    assert version is not None and version >= NEEDED
    (tmp_path / "root").symlink_to(runtime_root.path)
    root = replace(runtime_root, path=tmp_path / "root")
    ensure_sounds(tmp_path / "one", root, GOODBYE, NONE, {"said-1": TEXT})
    assert seconds(tmp_path / "one/said-1.wav") > 3, "a sentence, not a sign"
    assert seconds(tmp_path / "one/goodbye.wav") > 1 and seconds(tmp_path / "one/en/goodbye.wav") > 0.5
    assert len(list((tmp_path / "prompts").iterdir())) == 3
    (tmp_path / "root").unlink()  # nobody is asked to speak again
    began = time.monotonic()
    ensure_sounds(tmp_path / "two", root, GOODBYE, NONE, {"said-1": TEXT})
    assert time.monotonic() - began < 1
    assert (tmp_path / "two/said-1.wav").read_bytes() == (tmp_path / "one/said-1.wav").read_bytes()
    ensure_sounds(tmp_path / "two", None, GOODBYE, NONE, {"said-1": TEXT})
    assert seconds(tmp_path / "two/said-1.wav") > 3, "what was spoken once is not given up for a sign"
    shutil.rmtree(tmp_path / "two")
    ensure_sounds(tmp_path / "two", None, GOODBYE, NONE, {"said-1": TEXT})
    assert seconds(tmp_path / "two/said-1.wav") == len(tone(SPARE)) / 16_000
    (tmp_path / "root").symlink_to(runtime_root.path)  # the synthesizer is there at last
    ensure_sounds(tmp_path / "two", root, GOODBYE, NONE, {"said-1": TEXT})
    assert made_of(tmp_path / "two")["said-1"].kind == "made" and seconds(tmp_path / "two/said-1.wav") > 3


def test_a_fresh_install_speaks_and_nothing_is_wrong_with_how(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    """Every prompt of the product's list and plans, beside the root already where `cti up` ran."""
    directory = load_directory(folder("config"), dt.date.today())
    catalogue = load_catalogue(folder("config"))
    ensure_sounds(tmp_path, runtime_root, catalogue, NONE, greetings(directory))
    made = made_of(tmp_path)
    assert {key for key, one in made.items() if one.kind != "made"} == {
        p.name for p in catalogue.prompts.values() if p.tones}  # fmt: skip
    found = faults(catalogue, directory, folder("config"), tmp_path, folder("dialplan"))
    assert [str(p) for p in found] == []


def test_110_is_said_as_three_digits_not_as_a_quantity(runtime_root: RuntimeRoot, tmp_path: Path) -> None:
    root = replace(runtime_root)
    texts = {"digits": "请拨打110。", "written": "请拨打幺幺零。", "hotline": "12345", "words": "幺二三四五"}
    ensure_sounds(tmp_path, root, Catalogue({}), NONE, texts)
    assert (tmp_path / "digits.wav").read_bytes() == (tmp_path / "written.wav").read_bytes()
    assert (tmp_path / "hotline.wav").read_bytes() == (tmp_path / "words.wav").read_bytes()
