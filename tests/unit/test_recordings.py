"""Each file of a call is settled once, deleted by policy alone, and told before it is done; no bad disk stops it."""

from __future__ import annotations

import json
import os
import struct
import wave
from dataclasses import asdict
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cti.core import calls
from cti.core import events as e
from cti.core.model import Call, Phase, Recording, Site
from cti.core.recordings import CLOSE_US, DAY_US, due, read_name, sound_ms
from cti.problem import ConfigError
from cti.recordings.folder import Entry, Folder
from cti.recordings.keeper import STRAY_US, Keeper
from cti.settings import load_settings

from .playbook import REF, T1, Play, talking, us

pytestmark = pytest.mark.unit

MAIN = f"2024-11-24/{REF}.wav"
PRIVATE = f"2024-11-24/{REF}-private-1.wav"


def begun(at: float = 2.1, file: str = MAIN, part: str = "main", days: int = 180) -> e.Event:
    return e.RecordingStarted(REF, us(at), file, part, T1 if part == "private" else "", days)


def found(at: float, file: str = MAIN) -> e.Event:
    return e.RecordingIndexed(REF, us(at), file, "main", us(2), us(30), 28_000, 448_044, "00", us(31))


# -- the core ----------------------------------------------------------------------------------------------------------
def test_a_file_is_due_once_its_call_is_over_and_the_file_closed() -> None:
    play = Play()
    play(*talking(), begun(), begun(10, PRIVATE, "private"))
    play(e.RecordingEnded(REF, us(12), PRIVATE), e.RecordingEnded(REF, us(28), MAIN))
    assert list(due(play.site, us(29))) == [], "the caller is still there"
    play(e.CallerLeft(REF, us(30)))
    assert list(due(play.site, us(30) + CLOSE_US - 1)) == []
    assert [(ref, r.file, r.ended_at) for ref, r in due(play.site, us(30) + CLOSE_US)] == [
        (REF, MAIN, us(28)), (REF, PRIVATE, us(12))]  # fmt: skip
    play(found(33), e.RecordingMissing(REF, us(33), PRIVATE, "private", "no-file"))
    assert list(due(play.site, us(99))) == [] and play.records("Anomaly") == []


def test_a_call_is_remembered_until_its_files_are_settled() -> None:
    play = Play()
    play(*talking(), begun(), e.CallerLeft(REF, us(30)), e.ClockTicked("", us(500)))
    assert REF in play.site.calls, "the service was away, or the disk is ill"
    play(found(501), e.ClockTicked("", us(502)))
    assert REF not in play.site.calls


def test_a_caller_whose_channel_is_gone_ends_what_was_recorded() -> None:
    play = Play()
    play(*talking(), begun(), e.CallerGone(REF, us(40)))
    assert [r.ended_at for r in play.call.recordings] == [us(40)]
    play(e.RecordingEnded(REF, us(41), MAIN))
    assert play.records("Anomaly") == []


def test_steps_of_one_instant_may_come_in_any_order() -> None:
    play = Play()
    play(*talking(), e.CallerLeft(REF, us(30)), begun(2.1), begun(2.1))
    assert [r.file for _, r in due(play.site, us(33))] == [MAIN]


def test_what_is_told_of_a_file_long_after_its_call_is_no_anomaly() -> None:
    for event in (found(9), e.RecordingHeard(REF, 9, MAIN, "supervisor", "ab"),
                  e.RecordingDeleted(REF, 9, MAIN, "0", 9),
                  e.RecordingMissing(REF, 9, MAIN, "main", "empty")):  # fmt: skip
        assert calls.step(Site(), event) == (Site(), [])
    _, made = calls.step(Site(), begun())
    assert len(made) == 1, "but one that begins without a call is"


def test_one_that_ends_without_having_begun_is_an_anomaly() -> None:
    play = Play()
    play(*talking(), e.RecordingEnded(REF, us(9), MAIN))
    assert [r.data["code"] for r in play.records("Anomaly")] == ["recording-not-begun"]


@pytest.mark.parametrize(("name", "part"), [
    (MAIN, "main"), (PRIVATE, "private"), (f"2024-11-24/{REF}.gsm", "main"), ("x.wav", ""), (f"../{REF}.wav", ""),
    (f"2024-11-24/../{REF}.wav", ""), (f"2024-11-24/{REF}.wav\n", ""), (f"2024-11-24/{REF}.mp3", ""),
    (f"2024-11-24/{REF}.wav.json", ""), (f"2024-11-24/{REF}-private-.wav", "")])  # fmt: skip
def test_only_our_names_are_ours(name: str, part: str, tmp_path: Path) -> None:
    read = read_name(name)
    assert (read.part if read else "") == part
    if read is None:
        with pytest.raises(ValueError):
            Folder(tmp_path).path(name)
    else:
        assert read.ref == REF


@pytest.mark.parametrize(("format", "size", "ms"), [
    ("wav", 44 + 16_000, 1000), ("wav", 10, 0), ("alaw", 8000, 1000), ("ulaw", 8, 1), ("gsm", 1650, 1000)])  # fmt: skip
def test_length_comes_from_the_size(format: str, size: int, ms: int) -> None:
    assert sound_ms(format, size) == ms


# -- the folder --------------------------------------------------------------------------------------------------------
def put(root: Path, file: str, ms: int = 1000, closed: bool = True) -> Path:
    """A WAV file of silence; not closed: without its lengths, as Asterisk leaves it when it is killed."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(b"\0\0" * 8 * ms)
    if not closed:
        raw = bytearray(path.read_bytes())
        raw[4:8] = raw[40:44] = struct.pack("<I", 0)
        path.write_bytes(raw)
    return path


def test_a_file_that_was_cut_off_plays_and_one_that_was_not_is_not_touched(tmp_path: Path) -> None:
    whole = put(tmp_path, MAIN).read_bytes()
    first = Folder(tmp_path).measure(MAIN)
    assert (first.ms, first.size) == (1000, 16_044) and (tmp_path / MAIN).read_bytes() == whole
    put(tmp_path, MAIN, closed=False)
    assert Folder(tmp_path).measure(MAIN) == first
    with wave.open(str(tmp_path / MAIN)) as file:
        assert file.getnframes() == 8000


def entry_of(file: str = MAIN, keep_until: int = 9, ref: str = REF) -> Entry:
    return Entry(ref, file, "main", 1, 2, 1000, 16_044, "00", keep_until)


def test_an_entry_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    put(tmp_path, MAIN)
    assert folder.entry(MAIN) is None
    folder.enter(entry_of())
    assert folder.entry(MAIN) == entry_of() and list(folder.entries()) == [entry_of()]
    text = {**asdict(entry_of()), "keep_until": "never"}
    for spoilt in ("", "{", "[]", '{"file": 1}', json.dumps({"ref": REF}), json.dumps(text)):
        (tmp_path / f"{MAIN}.json").write_text(spoilt)
        assert folder.entry(MAIN) is None and list(folder.entries()) == []


def test_files_are_listed_by_call_and_strangers_never(tmp_path: Path) -> None:
    folder, other = Folder(tmp_path), MAIN.replace(".12", ".123")
    for file in (MAIN, PRIVATE, other):
        put(tmp_path, file)
    (tmp_path / "2024-11-24" / "notes.txt").touch()
    assert sorted(folder.files(ref=REF)) == sorted([MAIN, PRIVATE]) and len(list(folder.files())) == 3
    folder.remove(other)
    folder.remove(PRIVATE)
    (tmp_path / "2024-11-24" / "notes.txt").unlink()
    folder.remove(MAIN)
    assert list(tmp_path.iterdir()) == [], "the day's folder goes with the last file"
    assert list(Folder(tmp_path / "none").files()) == []


# -- the keeper --------------------------------------------------------------------------------------------------------
class World:
    """A keeper over a real folder; time and the calls are ours."""

    def __init__(self, root: Path, now: int = 1_800_000_000_000_000) -> None:
        self.now, self.site, self.folder = now, Site(), Folder(root)
        self.told: list[tuple[e.Event, str]] = []
        self.there: list[bool] = []
        self.counts: list[str] = []
        self.fit: list[bool] = []
        self.complete = True
        self.keeper = Keeper(self.folder, True, 0, 180, lambda: self.site, self.tell, lambda: self.complete,
                             lambda: self.now, self)  # fmt: skip

    async def tell(self, event: e.Event, key: str) -> None:
        self.told.append((event, key))
        self.there.append(self.folder.path(event.file).exists())  # type: ignore[attr-defined]
        self.site, _ = calls.step(self.site, event)

    def recording(self, what: str) -> None:
        self.counts.append(what)

    def recording_disk(self, free: int, fit: bool) -> None:
        self.fit.append(fit)

    def ended(self, *files: str) -> None:
        made = tuple(Recording(file, "main", "", self.now - 60_000_000, 180) for file in files)
        self.site = Site({REF: Call(REF, "12345", "", 0, Phase.ENDED, ended_at=self.now - 10_000_000, recordings=made)})


async def test_what_is_complete_is_indexed_and_what_is_not_there_is_said(tmp_path: Path) -> None:
    world = World(tmp_path)
    empty = MAIN.replace(".wav", "-private-2.wav")
    put(tmp_path, MAIN)
    put(tmp_path, empty, 0)
    world.ended(MAIN, PRIVATE, empty)
    with capture_logs() as logs:
        assert await world.keeper.index() == 3
    assert [(type(event).__name__, key) for event, key in world.told] == [
        ("RecordingIndexed", f"recording/{MAIN}"), ("RecordingMissing", f"recording/{PRIVATE}"),
        ("RecordingMissing", f"recording/{empty}")]  # fmt: skip
    first = world.told[0][0]
    assert isinstance(first, e.RecordingIndexed) and first.keep_until == world.now - 60_000_000 + 180 * DAY_US
    entry = world.folder.entry(MAIN)
    assert entry is not None and entry.sha256 == first.sha256 and not (tmp_path / empty).exists()
    assert [row["why"] for row in logs] == ["no-file", "empty"] and all("recording.path" in row["cure"] for row in logs)
    assert await world.keeper.index() == 0


async def test_a_disk_too_full_for_the_entry_does_not_keep_the_fact_back(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    world = World(tmp_path)
    put(tmp_path, MAIN)
    world.ended(MAIN)

    def full(self: Folder, entry: Entry) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(Folder, "enter", full)
        await world.keeper.index()
        assert [type(event) for event, _ in world.told] == [e.RecordingIndexed]
        with pytest.raises(OSError):
            await world.keeper.write_entries()
    await world.keeper.write_entries()
    assert world.folder.entry(MAIN) is not None and len(world.told) == 1


async def test_one_file_that_cannot_be_read_does_not_hold_up_the_others(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    world = World(tmp_path)
    put(tmp_path, MAIN)
    put(tmp_path, PRIVATE)
    world.ended(MAIN, PRIVATE)
    measure = Folder.measure

    def ill(self: Folder, file: str) -> object:
        if file == MAIN:
            raise PermissionError(13, "Permission denied")
        return measure(self, file)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "measure", ill)
        with pytest.raises(PermissionError):
            await world.keeper.index()
    assert [key for _, key in world.told] == [f"recording/{PRIVATE}"]
    assert await world.keeper.index() == 1, "mended: settled now, not given up"


async def test_the_sweep_removes_what_nobody_answered_and_indexes_what_nobody_told_of(tmp_path: Path) -> None:
    world = World(tmp_path)
    live, unanswered = MAIN, MAIN.replace(".12", ".13")
    untold, young = MAIN.replace(".12", ".14"), MAIN.replace(".12", ".15")
    long_ago = (world.now - STRAY_US) / 1e6 - 60
    for file, ms in ((live, 0), (unanswered, 0), (untold, 2000), (young, 0)):
        path = put(tmp_path, file, ms)
        moment = world.now / 1e6 - 1 if file == young else long_ago
        os.utime(path, (moment, moment))
    world.site = Site({REF: Call(REF, "12345", "", 0, Phase.QUEUED)})
    with capture_logs():
        await world.keeper.sweep()
    assert (tmp_path / live).exists() and (tmp_path / young).exists(), "somebody waits, or has just come"
    assert not (tmp_path / unanswered).exists() and world.counts == ["unanswered", "indexed"]
    ((event, key),) = world.told
    assert isinstance(event, e.RecordingIndexed) and key == f"recording/{untold}"
    assert event.until - event.since == 2_000_000 and event.keep_until == event.since + 180 * DAY_US
    assert await world.keeper.sweep() == 1, "the live one; the others are settled"


async def test_only_what_is_expired_goes_and_is_on_record_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    put(tmp_path, MAIN)
    put(tmp_path, PRIVATE)
    world.folder.enter(entry_of(MAIN, world.now))
    world.folder.enter(entry_of(PRIVATE, world.now + 1))
    assert [entry.file for entry in await world.keeper.expired()] == [MAIN]
    assert [entry.file for entry in await world.keeper.purge()] == [MAIN]
    assert [(type(event), key) for event, key in world.told] == [(e.RecordingDeleted, f"deleted/{MAIN}")]
    assert world.there == [True] and list(world.folder.files()) == [PRIVATE]


async def test_an_ill_disk_is_an_alarm_once_and_its_recovery_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    world = World(tmp_path / "file" / "recordings")
    with capture_logs() as logs:
        await world.keeper.look()
        await world.keeper.look()
    assert [row["event"] for row in logs] == ["recordings_not_writable"]
    (tmp_path / "file").unlink()
    await world.keeper.look()
    assert world.fit == [False, False, True] and "recording.path" in logs[0]["cure"]
    low = Keeper(Folder(tmp_path), True, 1 << 62, 1, lambda: Site(), world.tell, lambda: True, lambda: 0, world)
    with capture_logs() as logs:
        await low.look()
    assert [row["event"] for row in logs] == ["recordings_disk_low"] and world.fit[-1] is False


async def test_a_folder_in_which_nothing_is_due_is_not_read_again(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    world = World(tmp_path)
    put(tmp_path, MAIN)
    world.folder.enter(entry_of(MAIN, world.now + 1000))
    read: list[str] = []
    entries = Folder.entries

    def counted(self: Folder, day: str = "", ref: str = "") -> object:
        read.append(day)
        return entries(self, day, ref)

    monkeypatch.setattr(Folder, "entries", counted)
    for _ in range(3):
        assert await world.keeper.purge() == []
    assert read == ["2024-11-24"]
    put(tmp_path, PRIVATE)
    world.folder.enter(entry_of(PRIVATE, world.now))
    assert [entry.file for entry in await world.keeper.purge()] == [PRIVATE], "something came: read again"
    world.now += 1000
    assert [entry.file for entry in await world.keeper.purge()] == [MAIN], "its time has come"


async def test_a_site_that_does_not_record_raises_no_alarm(tmp_path: Path) -> None:
    world = World(tmp_path)
    nowhere = Folder(Path("/proc/none"))
    off = Keeper(nowhere, False, 1 << 62, 1, lambda: Site(), world.tell, lambda: True, lambda: 0, world)
    with capture_logs() as logs:
        await off.look()
    assert logs == [] and world.fit == [True]


# -- settings ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("line", "named"), [
    ("path: recordings", "绝对路径"), ('path: "/a b"', "绝对路径"), ("format: mp3", "recording.format"),
    ("keep_days: 0", "不得小于 1"), ("keep: 5", "keep_days"), ("enabled: maybe", "true")])  # fmt: skip
def test_faults_of_the_settings_are_named(line: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(f"recording:\n  {line}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as why:
        load_settings(tmp_path / "site.yaml")
    assert named in str(why.value) and "site.yaml:2" in str(why.value)
