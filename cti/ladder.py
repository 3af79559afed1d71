"""A call as a ladder: who did what to whom, in order, in Chinese with English beside. Knows: facts. Must not know:
colours.

Columns: caller, first seat, Asterisk, target. A line a fact; times in seconds after the call arrived.
"""

from __future__ import annotations

from collections.abc import Sequence

from conference.words import BASES, CHOICES, ENDS, REFUSALS, WHYS
from cti.core.facts import Fact

WORDS: dict[str, str] = {
    "CallArrived": "来电 {hotline} / call to {hotline}",
    "EntryTold": "归属 {division} 优先级 {priority} / entry told",
    "EntryDefaulted": "服务未答，按默认 {division} / entry defaulted",
    "FrontTold": "播放前置语音 / hears the front message",
    "NuisanceTold": "在骚扰名单，听提示 / on the nuisance list: hears the notice",
    "NuisancePassed": "提示后接入（{how}）/ goes on into the line ({how})",
    "CallerQueued": "排队 {queue} / queued",
    "CallerOverflowed": "{line} 溢出到 {to}（{why}）/ overflow",
    "CallbackAsked": "群众选择回电，保留排位 / caller chose a callback, his place is kept",
    "CallbackPlaceOver": "排位结束 {why} / place over",
    "CallbackTaken": "{seat} 接回电任务 / seat {seat} has the callback",
    "CallbackDialled": "{seat} 回拨中 / calling back",
    "CallbackFailed": "回拨未成：{why} / attempt failed",
    "CallbackAnswered": "回拨接通，通话 {call} / answered, talk {call}",
    "CallbackOver": "回拨通话结束 / the talk is over",
    "CallbackSaid": "{seat} 登记回电结果 {result} / result said",
    "CallbackEnded": "■ 回电结果 {result}，{attempts} 次 / callback {result}, {attempts} attempts",
    "SeatAnswered": "{seat} 接听（{platform}）/ seat {seat} answered ({takes})",
    "SeatLeft": "{seat} 挂机 / seat {seat} left",
    "SeatLost": "{seat} 失联（{cause}）/ seat {seat} lost",
    "CallerReferred": "{seat} 盲转 {to} / referred to {to}",
    "CallerGone": "通道已不在 / channel gone",
    "CallerRecalled": "回振 {seat} / recalled to {seat}",
    "CallerNotServed": "未能接通 {why} / not served",
    "CallerLeft": "群众挂机 / caller left",
    "TransferRequested": "{seat} 请求转 {to} / requested",
    "TransferStarted": "{seat} 按键转 {to}（{key}）/ key pressed, to {to}",
    "TransferRefused": "拒绝：{code} / refused",
    "TargetTried": "振铃 {target} / ringing {target}",
    "TargetRings": "{seat} 话机振铃 / seat {seat} rings",
    "TargetFailed": "{target} 未接：{why} / failed ({cause})",
    "TargetAnswered": "{seat} 接听（{platform}）/ target {seat} answered",
    "CallerJoined": "群众与对方通话 / caller and target joined",
    "CallerReleased": "{seat} 先行离开 / seat leaves now",
    "TransferKept": "{seat} 留下，改为三方通话 / seat stays: a three-party call",
    "CallerWaits": "群众听音乐等待 / caller waits in music",
    "CallerHeld": "保持等待对方 / held for the target",
    "TransferFailed": "全部未接：{why} / all targets failed",
    "TransferCancelled": "{seat} 取消转接 / cancelled",
    "TargetStranded": "对方接听时已结束 / target answered too late",
    "JoinOver": "对方一侧结束 / target's leg over",
    "CallerSetAside": "{seat} 请群众稍候，两席私下商议 / caller set aside, the seats confer",
    "CallerBroughtBack": "群众回到三方通话 / caller brought back",
    "GuestLeft": "{seat} 离开三方通话（{cause}）/ seat {seat} left the room",
    "RoomRefused": "{seat} 按键无效：{code_zh} / refused: {code_en}",
    "ReminderTold": "提示音：决定时限将到 / reminder: time is nearly up",
    "DecisionDue": "决定时限到，按首接负责 / time is up: the first receiver accepts",
    "SeatMuted": "{seat} 静音 / seat {seat} muted",
    "SeatMuted/0": "{seat} 取消静音 / seat {seat} heard again",
    "MemberAsked": "{seat} 请 {to} 加入（{key}）/ asks {to} in as fourth",
    "MemberFailed": "{to} 未加入：{why} / did not come",
    "MemberJoined": "{seat}（{platform}）加入 / {seat} joins as fourth",
    "MemberLeft": "{seat} 离开三方通话（{cause}）/ fourth member left",
    "DecisionSaid": "{seat}（{platform}）：{choice_zh}（{key}）/ said: {choice_en}",
    "WordsLast": "群众已挂机，两席继续 / the seats go on talking",
    "RoomOver": "三方通话已空 / the room is empty",
    "ConferenceOpened": "■ 三方通话：{seats}，按键至同在 {key_ms} ms / three-party call",
    "DispatchFirst": "■ 涉险：{platform} 先行出警 / danger: {platform} dispatches first",
    "ConferenceDecided": "■ {accepts} 受理：{basis_zh}{why_zh} / {accepts} accepts: {basis_en}{why_en}",
    "ConferenceDecided/guidance": "■ 均不受理，引导告知 / neither's matter: guidance",
    "DecisionDisputed": "■ 异议：{seat}（{platform}）{choice_zh}，决定不变 / disputed: {choice_en}",
    "ConferenceEnded": "■ 三方通话结束：{how_zh}，同在 {together_ms} ms，私议 {aside_ms} ms / ended: {how_en}",
    "TransferEnded": "■ 转接结果 {outcome} {why} / transfer {outcome}",
    "RecordingStarted": "● 录音开始 / recording begins",
    "RecordingStarted/private": "● 私下商议另录 / private conferring, recorded apart",
    "RecordingEnded": "○ 录音结束 / recording ends",
    "RecordingIndexed": "○ 录音 {file} {ms} ms / recording indexed",
    "RecordingIndexed/private": "○ 私议录音 {file} {ms} ms / private recording indexed",
    "RecordingMissing": "! 录音缺失 {file}：{why} / recording missing",
    "RecordingHeard": "○ 调听 {file}（{role} {token}）/ recording given out",
    "DialplanDeployed": "拨号方案上线 {after} / dialplan deployed",
    "DialplanRolledBack": "拨号方案回退 {before}（{why}）/ dialplan rolled back",
    "RecordingDeleted": "○ 到期删除 {file} / recording deleted, its time was over",
    "CallEnded": "■ 通话结果 {outcome} 等待 {wait_ms} ms / call {outcome}",
    "CallbackDue": "■ 需回拨：{why} / callback due",
    "Anomaly": "! 意外步骤 {event}：{code} / unexpected step",
}
ARROWS: dict[str, tuple[int, int]] = {
    "NuisanceTold": (2, 0), "NuisancePassed": (0, 2),
    "CallArrived": (0, 2), "FrontTold": (2, 0), "CallerQueued": (0, 2), "SeatAnswered": (1, 0), "SeatLeft": (1, 2),
    "TransferStarted": (1, 2), "TargetRings": (2, 3), "CallerReferred": (1, 2), "CallerGone": (0, 2),
    "SeatLost": (1, 2),
    "TransferCancelled": (1, 2), "CallerReleased": (1, 2), "TransferKept": (1, 2),
    "TargetTried": (2, 3), "TargetFailed": (3, 2),
    "TargetAnswered": (3, 2), "CallerJoined": (3, 0), "CallerLeft": (0, 2), "CallerRecalled": (2, 1),
    "CallerWaits": (0, 2), "TransferFailed": (2, 1), "TransferRefused": (2, 1), "JoinOver": (3, 2),
    "CallerSetAside": (1, 2), "CallerBroughtBack": (1, 2), "GuestLeft": (1, 2), "RoomRefused": (2, 1),
    "DecisionDue": (2, 1), "SeatMuted": (1, 2), "MemberAsked": (1, 2), "MemberFailed": (2, 1),
    "MemberJoined": (3, 2), "MemberLeft": (3, 2),
    "ReminderTold": (2, 1), "DecisionSaid": (1, 2), "WordsLast": (0, 2), "RoomOver": (0, 2),
}  # fmt: skip
EITHER_SEAT = frozenset({"CallerSetAside", "CallerBroughtBack", "GuestLeft", "RoomRefused", "DecisionSaid", "SeatMuted",
                         "MemberAsked"})  # fmt: skip
"""of a three-party call: drawn from the seat that did it, the first or the guest"""
CODED = {"code": REFUSALS, "choice": CHOICES, "basis": BASES, "why": WHYS, "how": ENDS}
"""fields of a three-party call that hold a code, and its words: ``{code_zh}``, ``{code_en}``"""
COLUMN = 9
HEAD = "      秒/s  群众        席位     Asterisk   对方\n            caller      seat     Asterisk   target"


def _arrow(kind: str, guest: bool) -> str:
    pair = ARROWS.get(kind)
    if pair and guest:
        pair = (3 if pair[0] == 1 else pair[0], 3 if pair[1] == 1 else pair[1])
    cells = ["|"] * 4
    line = list((" " * COLUMN).join(cells))
    if pair:
        left, right = (min(pair) * (COLUMN + 1), max(pair) * (COLUMN + 1))
        for i in range(left + 1, right):
            line[i] = "-" if line[i] == " " else line[i]
        line[right - 1 if pair[0] < pair[1] else left + 1] = ">" if pair[0] < pair[1] else "<"
    return "".join(line)


class _Blank(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def words(fact: Fact) -> str:
    """One fact in Chinese, English beside it."""
    told = (f"{fact.kind}/{fact.data.get(part)}" for part in ("outcome", "part", "on"))
    said = next((WORDS[name] for name in told if name in WORDS), WORDS.get(fact.kind, fact.kind))
    data = _Blank(fact.data)
    for name, coded in CODED.items():
        code = str(fact.data.get(name, ""))
        zh, en = coded.get(code, (code, code))
        if name == "why" and code:
            zh, en = f"，{zh}", f", {en}"
        data[f"{name}_zh"], data[f"{name}_en"] = zh, en
    drill = "〔演练/drill〕" if fact.kind == "CallArrived" and fact.data.get("drill") else ""
    return drill + said.format_map(data)


def ladder(facts: Sequence[Fact]) -> str:
    """The facts of one call in the order they happened, as text. Source other than live is marked."""
    if not facts:
        return "（无记录 / nothing on record）"
    begin = min(fact.at for fact in facts)
    lines = [HEAD]
    targets = {(fact.data.get("transfer"), fact.data.get("seat")) for fact in facts if fact.kind == "TargetAnswered"}
    for fact in sorted(facts, key=lambda fact: fact.at):
        guest = fact.kind in EITHER_SEAT and (fact.data.get("transfer"), fact.data.get("seat")) in targets
        mark = "" if fact.source == "live" else f"  [{fact.source}]"
        lines.append(f"{(fact.at - begin) / 1e6:9.3f}  {_arrow(fact.kind, guest)}  {words(fact)}{mark}")
    return "\n".join(lines)
