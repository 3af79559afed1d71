"""Two languages, one source. Knows: nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Lang = Literal["zh", "en"]
LANGS: tuple[Lang, ...] = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Text:
    """One thing said in both."""

    zh: str
    en: str

    def say(self, lang: Lang) -> str:
        """In the one."""
        return self.zh if lang == "zh" else self.en


def same(text: str) -> Text:
    """What is the same in both: a label's value, a number."""
    return Text(text, text)


OUTCOMES = {
    "answered": Text("接通", "answered"), "abandoned": Text("放弃", "abandoned"),
    "callback": Text("改为回电", "callback"),
    "timeout": Text("超时", "timed out"), "refused": Text("拒绝", "refused"), "unasked": Text("未求助人工", "unasked"),
    "called-back": Text("已回电", "called back"), "returned": Text("归还", "returned"),
    "cancelled": Text("取消", "cancelled"), "unknown": Text("不明", "unknown"),
}  # fmt: skip
STATES = {
    "not_inuse": Text("空闲", "idle"), "ringing": Text("振铃", "ringing"), "inuse": Text("占用", "in use"),
    "talking": Text("通话", "talking"), "onhold": Text("保持", "on hold"), "busy": Text("忙", "busy"),
    "unavailable": Text("离线", "offline"), "unknown": Text("不明", "unknown"), "invalid": Text("无此话机", "no phone"),
    "ready": Text("就绪", "ready"), "out": Text("离席", "out"),
    "paused": Text("置忙", "paused"), "wrap-up": Text("话后整理", "wrap-up"), "training": Text("培训", "training"),
    "lent": Text("借出", "lent"), "dedicated": Text("专席", "dedicated"), "general": Text("普通席", "general"),
    "outside": Text("外线", "outside"),
}  # fmt: skip
"""observed states, declared statuses, kinds"""

TINTS = {
    "answered": "green", "abandoned": "red", "timeout": "orange", "refused": "purple", "callback": "blue",
    "unasked": "semi-dark-blue", "called-back": "light-green",
    "not_inuse": "green", "ringing": "yellow", "inuse": "light-blue", "talking": "blue", "onhold": "purple",
    "busy": "orange", "unavailable": "red", "unknown": "semi-dark-red", "ready": "green", "out": "red",
    "paused": "orange", "wrap-up": "yellow", "training": "light-blue", "lent": "purple",
    "queued": "yellow", "waiting": "orange", "entering": "light-blue",
}  # fmt: skip
"""one colour a meaning, on every board; Grafana's names of colours"""
