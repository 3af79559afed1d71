"""What is wrong with the prompts: the list against who names them, the recordings, the files Asterisk plays.

Knows: the rules, each told with its place and cure. Must not know: how a prompt is made. Limits are proposals and stand
here; a prompt's own length limit stands in the list.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from cti.problem import Problem, did_you_mean
from cti.prompts.catalogue import Catalogue
from cti.prompts.measure import Measured, measure
from cti.prompts.named import Texts
from cti.prompts.recordings import SUMS, Recordings, key_of, sha256
from cti.prompts.wav import NotSound, Sound, parse, read

LOUDNESS_DB: Final = 6.0
"""a spoken prompt this far from the median of all others is heard as another line"""
ENOUGH: Final = 4
"""with fewer spoken prompts there is no median to compare with"""
DEAD_AIR_S: Final = 1.0
Level = Literal["error", "warning"]
Step = Callable[[str], None]


def _fault(path: Path | str, message: str, cure: str, *, line: int = 0, level: Level = "error") -> Problem:
    return Problem(str(path), line, "", message, cure, level=level)


def check_names(catalogue: Catalogue, texts: Texts, reasons: Iterable[str],
                codes: Iterable[str] = ()) -> Iterator[Problem]:  # fmt: skip
    """Named and not listed; listed and named by nobody. ``reasons``: what a seat is told besides the dialplan's own
    codes, each needs its prompt; ``codes``: what it may be told."""
    listed = list(catalogue.prompts)
    for one in texts.named:
        if one.literal and one.name not in catalogue.prompts:
            near = did_you_mean(one.name, listed)
            cure = (f"是否想写 / did you mean {near}? " if near else "") + "或写进 / or add it to prompts.yaml"
            words = f"提示音 {one.name} 不在清单里 / prompt {one.name} is not in the list"
            yield _fault(one.file, words, cure, line=one.line)
        elif not one.literal and not any(one.fits(name) for name in listed):
            yield _fault(one.file, f"清单里没有一条符合 {one.name} / no prompt of the list fits {one.name}",
                         "写进 / add them to prompts.yaml", line=one.line)  # fmt: skip
    told = {one.name: (one.file, one.line) for one in texts.codes}
    told |= {code: ("prompts.yaml", 0) for code in reasons if code not in told}
    for code, (file, line) in told.items():
        if f"why-{code}" not in catalogue.prompts:
            yield _fault(file, f"原因 {code} 没有提示音 why-{code} / reason {code} has no prompt why-{code}",
                         f"在 prompts.yaml 加 why-{code} / add why-{code} to prompts.yaml", line=line)  # fmt: skip
    known = texts.words | set(told) | set(codes)
    for name in listed:
        played = any(one.fits(name) and _fits_known(one.name, name, known) for one in texts.named)
        if not played and name not in texts.words:
            cure = "删去，或改成拨号计划里的名称 / remove it, or name it as the dialplan does"
            yield catalogue.problem(name, f"{name} 没有地方播放 / nobody plays {name}", cure)


def _fits_known(pattern: str, name: str, known: set[str]) -> bool:
    """A reason (`why-*`) must be one somebody gives; other families' values are made at run time (a place, a wait)."""
    return not pattern.startswith("why-") or name.removeprefix("why-") in known


def check_recordings(catalogue: Catalogue, recordings: Recordings, more: Iterable[str],
                     step: Step) -> Iterator[Problem]:  # fmt: skip
    """The recorded files as they were handed in. ``more``: names the configuration makes (greetings, plans' texts)."""
    known = {*catalogue.prompts, *more}
    for path in recordings.strange:
        yield _fault(path, "不是录音的名字 / is no name of a recording",
                     "存为 <name>.wav，小写字母、数字、- / save it as <name>.wav: a-z 0-9 -")  # fmt: skip
    for number in recordings.bad_lines:
        yield _fault(recordings.folder / SUMS, "这一行读不懂 / this line cannot be read",
                     "删去，再运行 cti prompts build / remove it and run: cti prompts build", line=number)  # fmt: skip
    for key in recordings.changed():
        words = "与记下的 SHA-256 不符，文件被换过 / not the file that was noted: its SHA-256 changed"
        yield _fault(recordings.files[key], words, f"确认后 / once confirmed: cti prompts build --accept {key}")
    for key in recordings.gone():
        yield _fault(recordings.folder / f"{key}.wav", "记有此录音，文件不在 / was noted, and is not there",
                     f"放回，或 / put it back, or: cti prompts build --accept {key}")  # fmt: skip
    for key, path in recordings.files.items():
        if key.removeprefix("en/") not in known:
            near = did_you_mean(key, sorted(known))
            yield _fault(path, f"清单里没有 {key} / there is no prompt {key} in the list",
                         f"改名为 / rename it {near}.wav" if near else "删去 / remove it")  # fmt: skip
        elif key not in recordings.noted:
            yield _fault(path, "尚未记下其 SHA-256 / its SHA-256 is not noted yet", "运行 / run: cti prompts build",
                         level="warning")  # fmt: skip
        try:
            sound = read(path)
        except (NotSound, OSError) as why:
            yield _fault(path, str(why), "重新录制，存为 WAV / record it again, as WAV")
            continue
        prompt = catalogue.prompts.get(key.removeprefix("en/"))
        yield from _heard(path, measure(sound.samples, sound.rate), prompt.longest if prompt else None)
        step(key)


def check_files(catalogue: Catalogue, folder: Path, more: Iterable[str], sums: Mapping[str, str],
                step: Step) -> Iterator[Problem]:  # fmt: skip
    """The files Asterisk plays. ``sums``: SHA-256 by key as they were made."""
    keys = {prompt.name: prompt.longest for prompt in catalogue.prompts.values()}
    keys |= {key_of(p.name, "en"): p.longest for p in catalogue.prompts.values() if p.en is not None}
    signs = {p.name for p in catalogue.prompts.values() if p.tones is not None}
    limits: dict[str, float | None] = {**keys, **dict.fromkeys(more)}
    levels: dict[str, float] = {}
    for key, longest in limits.items():
        path = folder / f"{key}.wav"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            yield _fault(path, "没有这个文件 / is missing", "运行 / run: cti prompts build")
            continue
        try:
            sound = parse(data)
        except NotSound as why:
            yield _fault(path, str(why), "删去后重做 / remove it, then: cti prompts build")
            continue
        finally:
            step(key)
        if key in sums and sums[key] != sha256(data):
            yield _fault(path, "做好之后被改过 / was changed after it was made",
                         "录音请放 config/prompts/ / put recordings into config/prompts/", level="warning")  # fmt: skip
        if not sound.plays:
            cure = "放进 config/prompts/ 由 build 转换 / put it into config/prompts/: build converts it"
            yield _fault(path, _form(sound), cure)
        found = measure(sound.samples, sound.rate)
        yield from _heard(path, found, longest)
        if key not in signs and not found.silent:
            levels[key] = found.level_db
    if len(levels) >= ENOUGH:
        middle = statistics.median(levels.values())
        for key, level in levels.items():
            if abs(level - middle) > LOUDNESS_DB:
                word = ("轻", "softer") if level < middle else ("响", "louder")
                yield _fault(
                    folder / f"{key}.wav",
                    f"比其他提示音{word[0]} {abs(level - middle):.0f} dB（{level:.0f}，其他 {middle:.0f}） / "
                    f"{abs(level - middle):.0f} dB {word[1]} than the others ({level:.0f} against {middle:.0f} dBFS)",
                    "重录或调整电平 / record it again, or level it")  # fmt: skip


def _form(sound: Sound) -> str:
    rate, channels, bits = sound.rate, sound.channels, sound.bits
    return (f"{rate} Hz、{channels} 声道、{bits} 位，须为 8000 Hz 单声道 16 位 PCM / "
            f"{rate} Hz, {channels} channels, {bits} bits: must be 8000 Hz mono, 16-bit PCM")  # fmt: skip


def _heard(path: Path, found: Measured, longest: float | None) -> Iterator[Problem]:
    if found.silent:
        yield _fault(path, f"没有声音（{found.level_db:.0f} dBFS） / is silent ({found.level_db:.0f} dBFS)",
                     "重新录制 / record it again")  # fmt: skip
        return
    if found.clipped:
        yield _fault(path, "削顶失真 / is clipped", "降低录音电平重录 / record it again at a lower level")
    if longest is not None and found.seconds > longest:
        words = f"{found.seconds:.1f} 秒，超过 {longest:g} 秒 / lasts {found.seconds:.1f} s, more than {longest:g}"
        yield _fault(path, words, "缩短，或在清单写 longest / shorten it, or set longest in the list")
    for seconds, zh, en in ((found.lead_s, "开头", "at its beginning"), (found.tail_s, "结尾", "at its end")):
        if seconds > DEAD_AIR_S:
            yield _fault(path, f"{zh}有 {seconds:.1f} 秒无声 / {seconds:.1f} s of silence {en}", "剪去 / cut it off",
                         level="warning")  # fmt: skip
