"""The prompts' list, recordings and files: every seeded fault is found; a recording replaces one prompt."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.cli.prompts import faults
from cti.directory import Directory, load_directory
from cti.problem import Problem
from cti.prompts.catalogue import load_catalogue, read_catalogue
from cti.prompts.measure import measure
from cti.prompts.named import dialplan_names
from cti.prompts.numbers import spoken
from cti.prompts.wav import NotSound, Samples, encoded, parse, read, resampled, to_int16, to_line
from cti.share import folder as shared
from cti.stack.sounds import made_of

pytestmark = pytest.mark.unit

TODAY = dt.date(2026, 11, 25)
LIST = """prompts:
  - {name: goodbye, zh: 感谢您的来电，再见。, en: Goodbye.}
  - {name: sorry, zh: 很抱歉，请拨打110。}
  - {name: why-busy, zh: 对方忙。}
  - {name: why-bounce, zh: 不能转回。, longest: 4}
  - {name: confirm, zh: 接听请按一。}
  - {name: xfer-failed, tones: [[950, 180], [0, 80], [700, 180]]}
"""
DIALPLAN = """[x]
exten => s,1,Playback(${SOUNDS}/goodbye)
 same => n,Playback(${SOUNDS}/${IF($["${QUEUESTATUS}"="FULL"]?goodbye:sorry)})
 same => n,Read(D,${SOUNDS}/confirm,1)
 same => n,Set(CODE=bounce)
; Playback(${SOUNDS}/not-said-in-a-comment)
 same => n,Gosub(tell,s,1(${CHAN},xfer-failed,${CODE}))
[tell]
exten => s,1,Playback(${SOUNDS}/why-${ARG3})
"""


@pytest.mark.parametrize(("text", "said"), [
    ("请拨打110。", "请拨打幺幺零。"), ("12345热线", "幺二三四五热线"), ("等待30分钟", "等待30分钟"),
    ("13900001234", "幺三九零零零零幺二三四"),
    ("按1。", "按1。"), ("约1.500公里", "约1.500公里"), ("", ""),
])  # fmt: skip
def test_numbers_are_said_digit_by_digit(text: str, said: str) -> None:
    assert spoken(text) == said


@pytest.mark.parametrize(("line", "names"), [
    ("exten => s,1,Playback(${SOUNDS}/goodbye)", ["goodbye"]),
    (" same => n,Playback(${SOUNDS}/why-${IF($[\"${WHY}\"=\"\"]?login-away:${WHY})})", ["why-*"]),
    ("Playback(${SOUNDS}/${IF($[\"${Q}\"=\"FULL\"]?sorry-full:sorry)})", ["sorry-full", "sorry"]),
    ("Read(DIGIT,${SOUNDS}/${DUTYSAY}&${SOUNDS}/duty-press,1,,1,4)", ["duty-press"]),
    ("ExecIf($[${STAT(e,${SOUNDS}/why-${W}.wav)}]?Playback(${SOUNDS}/place-${CUT(S,-,2)}))", ["why-*", "place-*"]),
    ("Read(AGENT,${SOUNDS}/seat-agent,8,,1,8)", ["seat-agent"]),
])  # fmt: skip
def test_names_in_a_dialplan(line: str, names: list[str]) -> None:
    assert list(dialplan_names(line)) == names


def voice(seconds: float = 1.5, level: float = 0.1, rate: int = 8000) -> Samples:
    """A tone that swells, four times a second: like speech to everything here."""
    t = np.arange(int(seconds * rate)) / rate
    return level * np.sin(2 * np.pi * 400 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))


def wav(samples: Samples, rate: int = 8000, channels: int = 1, bits: int = 16, kind: int = 1) -> bytes:
    """A RIFF file of any kind, `samples` on every channel."""
    many = np.repeat(samples, channels)
    if kind == 3:
        raw = many.astype("<f4").tobytes()
    elif bits == 8:
        raw = (many * 127 + 128).astype(np.uint8).tobytes()
    elif bits == 24:
        raw = b"".join(struct.pack("<i", int(v * 2**23))[:3] for v in many)
    else:
        raw = to_int16(many).tobytes()
    align = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, channels, rate, rate * align, align, bits)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(raw), b"WAVE") + form + struct.pack("<4sI", b"data", len(raw)) + raw


@pytest.mark.parametrize(("rate", "channels", "bits", "kind"), [
    (8000, 1, 16, 1), (44_100, 2, 16, 1), (48_000, 1, 24, 1), (16_000, 1, 32, 3), (11_025, 1, 8, 1), (6000, 1, 16, 1),
])  # fmt: skip
def test_any_recording_becomes_a_telephone_line_s(rate: int, channels: int, bits: int, kind: int) -> None:
    sound = parse(wav(voice(1.0, 0.25, rate), rate, channels, bits, kind))
    line = to_line(sound).astype(np.float64) / 32768
    assert abs(len(line) - 8000) <= 2
    spectrum = np.abs(np.fft.rfft(line[:7900]))
    assert abs(np.argmax(spectrum) * 8000 / 7900 - 400) < 3
    assert measure(line, 8000).level_db == pytest.approx(measure(voice(1.0, 0.25), 8000).level_db, abs=0.3)


def test_what_a_line_cannot_carry_does_not_fold_back() -> None:
    t = np.arange(44_100) / 44_100
    kept = resampled(np.sin(2 * np.pi * 3000 * t), 44_100)[200:-200]
    gone = resampled(np.sin(2 * np.pi * 5000 * t), 44_100)[200:-200]
    assert np.std(kept) == pytest.approx(0.707, abs=0.05) and np.std(gone) < 0.005


def test_alaw_and_slin_are_what_asterisk_reads(tmp_path: Path) -> None:
    line = to_int16(voice())
    assert encoded(line, "slin") == line.tobytes() and len(encoded(line, "alaw")) == len(line)
    raw = encoded(line, "alaw")
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(raw), b"WAVE", b"fmt ", 16, 6, 1, 8000, 8000, 1, 8)
    (tmp_path / "a.wav").write_bytes(head + struct.pack("<4sI", b"data", len(raw)) + raw)
    again = read(tmp_path / "a.wav").samples * 32768
    assert np.max(np.abs(again - line) / np.maximum(np.abs(line), 256)) < 0.07  # A-law's step


@pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0WAVE", b"ID3" + bytes(400), wav(voice(0.0)), wav(voice())[:30],
                                  wav(voice(), kind=85)])  # fmt: skip
def test_what_is_no_sound_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(NotSound, match=" / "):
        parse(data)


@cache
def plain() -> Directory:
    """The product's directory, without its plans' texts."""
    return load_directory(shared("config"), TODAY).model_copy(update={"plans": ()})


class Desk:
    """A configuration with six prompts, a dialplan, their files made; `look` says what `cti prompts check` finds."""

    def __init__(self, at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config, self.dialplan, self.sounds = at / "config", at / "dialplan", at / "sounds"
        shutil.copytree(shared("config"), self.config)
        (self.config / "prompts.yaml").write_text(LIST, encoding="utf-8")
        shutil.rmtree(self.config / "plans")
        self.dialplan.mkdir()
        (self.dialplan / "x.conf").write_text(DIALPLAN, encoding="utf-8")
        monkeypatch.setattr("cti.prompts.catalogue.shared", lambda _: self.config)  # alone
        monkeypatch.setattr("cti.cli.prompts.REASONS", {"busy": ("", "")})
        self.sounds.mkdir()
        for key in ("goodbye", "en/goodbye", "sorry", "why-busy", "why-bounce", "confirm", "xfer-failed"):
            self.put(key, wav(voice()))

    def put(self, key: str, data: bytes) -> Path:
        path = self.sounds / f"{key}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def record(self, key: str, data: bytes) -> Path:
        path = self.config / "prompts" / f"{key}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def look(self) -> list[Problem]:
        return faults(load_catalogue(self.config), plain(), self.config, self.sounds, self.dialplan)

    def swap(self, old: str, new: str, file: str = "list") -> None:
        path = self.config / "prompts.yaml" if file == "list" else self.dialplan / "x.conf"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *words: str) -> Result:
        where = ["--config", str(self.config), "--sounds", str(self.sounds)]
        return CliRunner().invoke(main, ["prompts", *words, *where], catch_exceptions=False)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_nothing_is_wrong_with_what_is_right(desk: Desk) -> None:
    assert desk.look() == []


Seed = Callable[[Desk], object]


def sorry(samples: Samples, rate: int = 8000, **more: int) -> Seed:
    """This file instead of the prompt `sorry`."""
    return lambda desk: desk.put("sorry", wav(samples, rate, **more))


SEEDS: list[tuple[str, Seed, str, int, str]] = [
    ("named, not listed", lambda d: d.swap("/goodbye)", "/good-bye)", "plan"), "x.conf", 2, "did you mean goodbye"),
    (
        "one of an IF's two",
        lambda d: d.swap("?goodbye:sorry)", "?goodbye:sorri)", "plan"),
        "x.conf",
        3,
        "sorri is not in the list",
    ),
    ("a family nobody lists", lambda d: d.swap("why-${ARG3}", "cause-${ARG3}", "plan"), "x.conf", 9, "fits cause-*"),
    (
        "a code without its prompt",
        lambda d: d.swap("CODE=bounce", "CODE=no-route", "plan"),
        "x.conf",
        5,
        "why-no-route",
    ),
    (
        "a reason without its prompt",
        lambda d: d.swap("  - {name: why-busy, zh: 对方忙。}\n", ""),
        "prompts.yaml",
        0,
        "why-busy",
    ),
    (
        "listed, played by nobody",
        lambda d: d.swap("name: confirm", "name: confirmed"),
        "prompts.yaml",
        6,
        "nobody plays",
    ),
    ("no file", lambda d: (d.sounds / "sorry.wav").unlink(), "sorry.wav", 0, "is missing"),
    (
        "no file in the other language",
        lambda d: (d.sounds / "en/goodbye.wav").unlink(),
        "en/goodbye.wav",
        0,
        "is missing",
    ),
    ("rate", sorry(voice(rate=16_000), 16_000), "sorry.wav", 0, "16000 Hz"),
    ("channels", sorry(voice(), channels=2), "sorry.wav", 0, "2 channels"),
    ("width", sorry(voice(level=0.3), bits=24), "sorry.wav", 0, "24 bits"),
    ("format", lambda d: d.put("sorry", b"OggS" + bytes(99)), "sorry.wav", 0, "is no WAV file"),
    ("clipped", sorry(np.clip(voice(level=0.12) * 15, -1, 1)), "sorry.wav", 0, "is clipped"),
    ("clipped, then turned down", sorry(np.clip(voice(), -0.05, 0.05)), "sorry.wav", 0, "is clipped"),
    ("silent", sorry(voice(level=0.002)), "sorry.wav", 0, "is silent"),
    ("digital silence", sorry(voice() * 0), "sorry.wav", 0, "is silent"),
    ("too long", sorry(voice(16)), "sorry.wav", 0, "more than 15"),
    ("longer than its own limit", lambda d: d.put("why-bounce", wav(voice(5))), "why-bounce.wav", 0, "more than 4"),
    ("much softer", sorry(voice(level=0.04)), "sorry.wav", 0, "8 dB softer"),
    ("much louder", sorry(voice(level=0.25)), "sorry.wav", 0, "8 dB louder"),
    ("dead air before it", sorry(np.concatenate((np.zeros(12_000), voice()))), "sorry.wav", 0, "at its beginning"),
    ("dead air after it", sorry(np.concatenate((voice(), np.zeros(12_000)))), "sorry.wav", 0, "at its end"),
    ("a recording of nothing listed", lambda d: d.record("sory", wav(voice())), "sory.wav", 0, "no prompt sory"),
    (
        "a recording named amiss",
        lambda d: d.record("Sorry 1", wav(voice())),
        "Sorry 1.wav",
        0,
        "no name of a recording",
    ),
    ("a recording that is none", lambda d: d.record("sorry", b"RIFFxxxxWAVE"), "sorry.wav", 0, "no fmt"),
    (
        "a clipped recording",
        lambda d: d.record("sorry", wav(np.clip(voice(rate=48_000) * 40, -1, 1), 48_000)),
        "sorry.wav",
        0,
        "is clipped",
    ),
]


@pytest.mark.parametrize(("seed", "file", "line", "words"), [s[1:] for s in SEEDS], ids=[s[0] for s in SEEDS])
def test_a_seeded_fault_is_found_at_its_place(desk: Desk, seed: Seed, file: str, line: int, words: str) -> None:
    seed(desk)
    found = [p for p in desk.look() if words in p.message + p.cure]
    assert [(p.file.endswith(file), p.line) for p in found] == [(True, line)], [str(p) for p in desk.look()]
    assert " / " in found[0].message and found[0].cure


@pytest.mark.parametrize(("old", "new", "line", "words"), [
    ("zh: 接听请按一。", "zh: 接听请按(一)。", 6, "full-width"),
    ("zh: 接听请按一。", "zh: 接听请按一。, tones: [[1, 1]]", 6, "one of the two"),
    ("name: confirm", "name: goodbye", 6, "stands here twice"),
    ("zh: 接听请按一。", "zhh: 接听请按一。", 6, "did you mean 'zh'"),
    ("name: confirm", "name: ../../etc/passwd", 6, "name"),
])  # fmt: skip
def test_a_slip_in_the_list_is_named_by_line(desk: Desk, old: str, new: str, line: int, words: str) -> None:
    desk.swap(old, new)
    catalogue, problems = read_catalogue(desk.config)
    assert catalogue is None
    assert any(p.line == line and words in str(p) for p in problems), [str(p) for p in problems]
    assert desk.run("check").exit_code == 1


def test_a_site_s_own_list_changes_an_entry_and_lacks_none(tmp_path: Path) -> None:
    (tmp_path / "prompts.yaml").write_text("prompts: [{name: goodbye, zh: 再会。}]", encoding="utf-8")
    catalogue = load_catalogue(tmp_path)
    assert catalogue.prompts["goodbye"].zh == "再会。" and "sorry" in catalogue.prompts
    assert list(catalogue.prompts) == list(load_catalogue(shared("config")).prompts)


def test_a_recording_replaces_one_prompt_and_its_hash_is_noted(desk: Desk, tmp_path: Path) -> None:
    shutil.rmtree(desk.sounds)
    nothing = ("--runtime", str(tmp_path / "none"))
    assert desk.run("build", *nothing).exit_code == 0
    before = made_of(desk.sounds)
    desk.record("sorry", wav(voice(2.0, 0.1, 44_100), 44_100, 2))
    result = desk.run("build", *nothing)
    assert "sorry" in result.output and "recorded 1" in result.output
    after = made_of(desk.sounds)
    assert {k for k in after if after[k] != before[k]} == {"sorry"} and after["sorry"].kind == "recorded"
    made = read(desk.sounds / "sorry.wav")
    assert made.plays and made.seconds == pytest.approx(2.0, abs=0.01)
    sums = (desk.config / "prompts/SHA256SUMS").read_text()
    rows = json.loads(desk.run("list", "--json").output)
    row = next(r for r in rows if r["name"] == "sorry")
    assert row["from"] == "recorded" and f"{row['sha256']}  sorry.wav\n" == sums
    # Changed later: found, built, and found until somebody says that it is right.
    desk.record("sorry", wav(voice(1.0)))
    assert "SHA256SUMS" not in desk.run("build", *nothing).output
    assert any("its SHA-256 changed" in p.message for p in desk.look())
    assert desk.run("build", "--accept", "sorry", *nothing).exit_code == 0
    assert not any("SHA-256" in p.message for p in desk.look())
    # Taken away again: the made one is back.
    (desk.config / "prompts/sorry.wav").unlink()
    desk.run("build", *nothing)
    assert made_of(desk.sounds) == before
    assert any("was noted, and is not there" in p.message for p in desk.look())


def test_a_file_put_there_by_hand_is_left_alone_and_a_changed_one_is_told(desk: Desk, tmp_path: Path) -> None:
    hand = (desk.sounds / "sorry.wav").read_bytes()
    result = desk.run("build", "--runtime", str(tmp_path / "none"))
    assert "put there by hand" in result.output and (desk.sounds / "sorry.wav").read_bytes() == hand
    shutil.rmtree(desk.sounds)
    desk.run("build", "--runtime", str(tmp_path / "none"))
    desk.put("sorry", hand)
    assert any(p.file.endswith("sorry.wav") and "changed after it was made" in p.message for p in desk.look())


def test_where_hashes_cannot_be_noted_the_prompts_are_made_all_the_same(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> list[str]:
        raise PermissionError(13, "Permission denied", "SHA256SUMS")

    shutil.rmtree(desk.sounds)
    desk.record("sorry", wav(voice(2.0)))
    monkeypatch.setattr("cti.cli.prompts.note", refused)
    result = desk.run("build", "--runtime", str(tmp_path / "none"))
    assert result.exit_code == 0 and "hashes not noted" in result.output
    assert made_of(desk.sounds)["sorry"].kind == "recorded"
    assert any("not noted yet" in p.message for p in desk.look())


def test_export_writes_every_prompt_as_the_format_says(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("export", str(tmp_path / "out"), "--format", "alaw").exit_code == 0
    seconds = read(desk.sounds / "sorry.wav").seconds
    assert (tmp_path / "out/sorry.alaw").stat().st_size == round(seconds * 8000)
    assert (tmp_path / "out/en/goodbye.alaw").exists()
    (desk.sounds / "sorry.wav").unlink()
    assert "cti prompts build" in desk.run("export", str(tmp_path / "out")).output


def test_the_product_s_own_list_and_dialplan_agree() -> None:
    directory = load_directory(shared("config"), TODAY)
    config = shared("config")
    found = faults(load_catalogue(config), directory, config, Path("/nonexistent"), shared("dialplan"))
    assert [str(p) for p in found if "no prompts are made yet" not in p.message] == []
