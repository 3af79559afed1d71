"""Prompts a fresh install has: spoken by espeak-ng where the runtime has it, else plain signs; always some sound.

Knows: which prompts the dialplan names. Must not know: Asterisk's state. Files are 8 kHz 16-bit mono WAV; a recorded
file put in the folder is never overwritten.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import struct
import subprocess
import wave
from array import array
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import structlog
from numpy.typing import NDArray

from cti.directory import Directory
from cti.directory.plans import prompt_of
from cti.stack.root import RuntimeRoot

log = structlog.get_logger(__name__)

RATE = 8000
VOICE = ("-v", "cmn", "-s", "150")
"""how espeak-ng speaks: Mandarin, words a minute"""
SIGNS: dict[str, tuple[tuple[int, int], ...]] = {
    "xfer-failed": ((950, 180), (0, 80), (700, 180), (0, 80), (450, 250)),
    "xfer-refused": ((450, 250), (0, 120), (450, 250)),
    "xfer-asked": ((700, 120), (0, 60), (950, 120)),
    "room-in": ((700, 90), (0, 40), (950, 90)),
    "room-out": ((950, 90), (0, 40), (700, 90)),
    "room-word": ((950, 90), (0, 40), (950, 90)),
    "room-muted": ((700, 120), (0, 60), (450, 250)),
    "room-heard": ((450, 120), (0, 60), (700, 250)),
    "room-remind": ((950, 120), (0, 120), (950, 120), (0, 120), (950, 120)),
}
"""(Hz, ms) of the short signs whispered to a seat"""
SPOKEN: dict[str, str] = {
    "goodbye": "感谢您的来电，再见。",
    "sorry": "很抱歉，现在没有人能接听您的电话，我们会尽快回电给您。遇到危险请直接拨打幺幺零。",
    "unknown-number": "您拨打的号码不存在，请核对后再拨。",
    "confirm": "联动热线转来电话，接听请按一。",
    "why-busy": "对方忙。",
    "why-noanswer": "对方无人接听。",
    "why-declined": "对方拒接。",
    "why-unreachable": "对方话机不在线。",
    "why-no-number": "对方号码是空号。",
    "why-congested": "线路拥塞。",
    "why-trunk-down": "中继不通。",
    "why-trunk-full": "中继已占满。",
    "why-unconfirmed": "对方没有确认接听。",
    "why-vanished": "对方接听后即断。",
    "why-cut": "转接被中断。",
    "why-transfer-running": "正在转接。",
    "why-not-your-call": "不是您的来电。",
    "why-no-route": "没有可转的路由。",
    "why-bounce": "来电从该平台转来，不能转回，请用三方通话。",
    "why-three-takers": "来电已经过三个座席，不能再转，请用三方通话。",
    "why-room-open": "正在三方通话。",
    "why-no-room": "没有三方通话。",
    "why-not-in-room": "您不在此通话中。",
    "why-room-full": "已有第四方在通话中。",
    "why-member-rings": "正在呼叫另一方。",
    "why-no-voice": "第四方不参与决定。",
    "why-said-110": "对方提出由幺幺零受理，请确认或另行表态。",
    "why-said-12345": "对方提出由幺二三四五受理，请确认或另行表态。",
    "why-said-undecided": "对方表示未能商定，请确认或另行表态。",
    "why-said-guidance": "对方表示均不属职责，请确认或另行表态。",
    "why-caller-gone": "来电人已挂机。",
    "why-dedicated-only": "专席只接对方平台转来的电话。",
    "seat-agent": "请输入工号，按井号结束。",
    "seat-pin": "请输入口令，按井号结束。",
    "seat-login": "已登录，已就绪。",
    "seat-out": "已退出。",
    "seat-paused": "已置忙。",
    "seat-ready": "已就绪。",
    "seat-training": "培训状态。",
    "seat-refused": "不能办理。",
    "why-wrong-pin": "工号或口令不对。",
    "why-login-locked": "口令错误过多，请十分钟后再试。",
    "why-login-away": "暂时不能登录，请稍后再试。",
    "why-seat-taken": "座席上已有人登录。",
    "why-agent-elsewhere": "已在另一座席登录。",
    "why-not-logged-in": "座席未登录。",
    "why-seat-lent": "座席已借出。",
    "why-unknown-reason": "没有这个置忙原因。",
    "why-seat-left": "座席已挂机。",
    "why-not-open": "未开放一键转接，须先启动应急联动方案。",
    "drill": "演练，演练，这是演练。",
    "duty-press": "收到请按一。",
    "duty-thanks": "已确认，谢谢。",
    "sorry-full": "很抱歉，现在来电很多，线路已满，我们会尽快回电给您。遇到危险请直接拨打幺幺零。",
    "sorry-closed": "现在不是服务时间，我们会在服务时间给您回电。遇到危险请直接拨打幺幺零。",
    "nuisance": "您的号码在骚扰来电名单内，紧急情况请按一，或拨幺幺零，其他事项请不要挂机，接通后可以申诉。",
    "overflow": "座席正忙，已为您转到另一队列，请稍候。",
    "callback-offer": "按一，保留排位，轮到您时给您回电。",
    "callback-kept": "已保留您的排位，轮到您时我们会打给您，请保持电话畅通，再见。",
    "callback-none": "没有显示您的号码，无法回电，请继续等待。",
    "callback-task": "回电任务，正在呼叫来电人。",
    **{f"place-{n}": f"您排在第{zh}位。" for n, zh in enumerate("一二三四五", 1)},
    "place-more": "您前面还有五位以上。",
    **{f"wait-{n}": f"预计等待{zh}分钟。" for n, zh in ((1, "不到一"), (2, "约两"), (5, "约五"), (10, "约十"))},
    "wait-more": "预计等待十分钟以上。",
}
SPARE: tuple[tuple[int, int], ...] = ((600, 250), (0, 100), (500, 250), (0, 100), (400, 400))
"""instead of speech when no synthesizer is there"""


def tone(steps: tuple[tuple[int, int], ...], level: float = 0.3) -> bytes:
    """16-bit samples of a sequence of (Hz, ms), edges rounded so that it does not click."""
    out = array("h")
    for hertz, ms in steps:
        count = RATE * ms // 1000
        for i in range(count):
            edge = min(1.0, i / 80, (count - i) / 80)
            out.append(int(32767 * level * edge * math.sin(2 * math.pi * hertz * i / RATE)) if hertz else 0)
    return out.tobytes()


MELODY = (
    261.6,
    329.6,
    392.0,
    329.6,
    293.7,
    349.2,
    440.0,
    349.2,
    246.9,
    293.7,
    392.0,
    293.7,
    261.6,
    329.6,
    392.0,
    523.3,
)
"""Hz, one note a beat; above it the octave and the fifth. Ours, so that a caller hears music from the first packet:
the packaged pieces begin with 0.6 s of silence (measured with `cti dialtest queue`)"""
BEAT_MS = 420


def melody() -> bytes:
    """Waiting music, 16-bit samples: plucked notes that never quite die away, so that no moment of it is silence."""
    out = array("h")
    count = RATE * BEAT_MS // 1000
    for beat, hertz in enumerate(MELODY * 4):
        before = (MELODY * 4)[beat - 1]
        for i in range(count):
            t = i / RATE
            value = 0.0
            for base, level in ((hertz, 0.25 + 0.75 * math.exp(-3 * t)), (before, 0.25 * (1 - i / count))):
                for multiple, share in ((1.0, 0.5), (1.5, 0.25), (2.003, 0.25)):
                    value += level * share * math.sin(2 * math.pi * base * multiple * (t + beat * BEAT_MS / 1000))
            out.append(int(32767 * 0.22 * value))
    return out.tobytes()


def greetings(directory: Directory) -> dict[str, str]:
    """What each hotline says to who waits, and each emergency plan to callers and duty phones, by prompt."""
    made = {f"greeting-{h.number}": h.greeting for h in directory.hotlines if h.greeting}
    return made | {prompt_of(text): text for plan in directory.plans for text in plan.texts}


def ensure_sounds(folder: Path, root: RuntimeRoot | None, more: Mapping[str, str] = MappingProxyType({}), *,
                  spare: tuple[tuple[int, int], ...] = SPARE) -> None:  # fmt: skip
    """Make every prompt that is missing, ``more`` as well; without a root, or its synthesizer, signs (``spare``) stand
    in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wait").mkdir(exist_ok=True)
    if not any((folder / "wait").iterdir()):
        _write(folder / "wait" / "wait.wav", melody())
    for name, steps in SIGNS.items():
        _write(folder / f"{name}.wav", tone(steps))
    for name, text in {**SPOKEN, **more}.items():
        if not (folder / f"{name}.wav").exists():
            _write(folder / f"{name}.wav", (_speak(text, root) if root else None) or tone(spare))


def _write(path: Path, samples: bytes) -> None:
    if path.exists():
        return
    partial = path.with_suffix(".part")
    with wave.open(str(partial), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples)
    partial.rename(path)


def _speak(text: str, root: RuntimeRoot) -> bytes | None:
    """The text's samples. Made once a root: they are kept beside it, for the synthesis takes some 60 ms."""
    if root.path.parent == root.path:  # this system itself: nothing is put beside it
        return _synthesize(text, root)
    digest = hashlib.blake2s(f"{VOICE} {text}".encode(), digest_size=12).hexdigest()
    kept = root.path.parent / "prompts" / f"{digest}.wav"
    with contextlib.suppress(FileNotFoundError), wave.open(str(kept), "rb") as made:
        return made.readframes(made.getnframes())
    samples = _synthesize(text, root)
    if samples is not None:
        with contextlib.suppress(OSError):  # a root nobody may write beside: spoken anew each time
            kept.parent.mkdir(exist_ok=True)
            _write(kept, samples)
    return samples


def _synthesize(text: str, root: RuntimeRoot) -> bytes | None:
    try:
        argv = root.argv("espeak-ng", *VOICE, "--stdout", text)
    except FileNotFoundError:
        return None
    environment = {**os.environ, "ESPEAK_DATA_PATH": str(root.libraries / "espeak-ng-data")}
    done = subprocess.run(argv, env=environment, capture_output=True, timeout=20, check=False)
    if done.returncode or len(done.stdout) < 1000:
        log.warning("prompt_not_spoken", why=done.stderr.decode(errors="replace").strip()[-200:])
        return None
    header, sound = done.stdout[:44], done.stdout[44 : 44 + (len(done.stdout) - 44) // 2 * 2]
    rate: int = struct.unpack("<I", header[24:28])[0]
    return _resample(np.frombuffer(sound, np.int16), rate).tobytes()


def _resample(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """To 8 kHz: a moving average against aliasing, then linear interpolation. Speech for a prompt, not for a studio."""
    width = max(1, round(rate / RATE))
    smooth = np.convolve(samples.astype(np.float64), np.full(width, 1 / width))[: len(samples)]
    at = np.arange(int(len(samples) * RATE / rate)) * (rate / RATE)
    made: NDArray[np.int16] = np.interp(at, np.arange(len(samples)), smooth).astype(np.int16)
    return made
