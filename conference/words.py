"""The codes of a three-party call and what people read for them, Chinese first. Codes are for programs and never
change; words may. Knows: nothing else."""

from __future__ import annotations

from collections.abc import Mapping

Words = Mapping[str, tuple[str, str]]

REFUSALS: Words = {
    "no-room": ("没有三方通话", "there is no three-party call"),
    "not-in-room": ("您不在此通话中", "you are not in this call"),
    "alone": ("对方已离开", "the other seat has left"),
    "room-full": ("已有第四方，至多三方陪同群众", "a fourth member is in: at most three have the caller"),
    "member-rings": ("正在呼叫另一方", "another member is being rung"),
    "no-voice": ("第四方不参与决定", "a fourth member has no voice in the decision"),
    "no-member": ("没有这位第四方，或已离开", "no such fourth member, or gone"),
    "no-route": ("联动目录中没有这个号码", "the linkage directory has no such number"),
    "caller-gone": ("来电人已挂机", "the caller has hung up"),
    "decided": ("已有决定", "it is decided already"),
    "unknown-choice": ("没有这个选项", "no such choice"),
}
"""room key or request refused (`RoomRefused`, `cti.core.asking.decide`) → what is said of it"""

CHOICES: Words = {
    "12345": ("12345 受理", "12345 accepts"),
    "110": ("110 受理", "110 accepts"),
    "undecided": ("未能商定", "undecided"),
    "guidance": ("均不属，引导告知", "neither's matter: guidance"),
}
"""what a seat may say"""

BASES: Words = {
    "chosen": ("协商决定", "as agreed"),
    "first-receiver": ("首接负责", "it received the call first"),
    "danger": ("涉及危险", "danger"),
}
"""what a decision rests on"""

WHYS: Words = {
    "undecided": ("未能商定", "the seats left it undecided"),
    "disagreement": ("双方意见不一", "the platforms disagree"),
    "deadline": ("限时已到", "time was up"),
    "room-over": ("通话已结束", "the call was over"),
}
"""why a decision was not chosen"""

ENDS: Words = {
    "room-over": ("各方已离开", "everybody left"),
    "seats-left": ("座席均已离开", "no seat was left"),
    "caller-left": ("群众已挂机", "the caller hung up"),
    "channel-gone": ("通道已不在", "the caller's channel was gone"),
    "recalled": ("群众回振原座席", "the caller was recalled"),
    "requeued": ("群众重新排队", "the caller was queued again"),
    "taken-on": ("另一座席接听", "another seat took the caller"),
    "referred": ("座席盲转", "a seat referred the caller on"),
    "not-served": ("未能接通", "the caller was not served"),
    "overtaken": ("另起转接", "another transfer began"),
    "steps-lost": ("未再收到消息", "nothing more was heard"),
}
"""how a room ended"""
