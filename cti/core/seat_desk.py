"""What may be asked of a seat, and the answer: pure rules ahead of the table in `seats`.

Knows: the site's seats, the agents' numbers, the list of reasons. Must not know: HTTP, tokens, PINs, Asterisk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

from cti.core import events as e
from cti.core.asking import No
from cti.core.model import SeatNow, SeatStatus, Site

TRIES = 5
WINDOW_US = 600_000_000
"""so many wrong PINs of one agent, or at one seat, within so long lock it for as long"""

SEAT_CODES: dict[str, tuple[str, str]] = {
    "unknown-seat": ("没有这个座席", "no such seat"),
    "not-your-seat": ("不是您的座席", "not your seat"),
    "wrong-pin": ("工号或口令不对", "agent number or PIN is wrong"),
    "login-locked": ("口令错误过多，请十分钟后再试", "too many wrong PINs: try again in ten minutes"),
    "seat-taken": ("座席上已有人登录", "somebody is logged in at this seat"),
    "agent-elsewhere": ("已在另一座席登录", "logged in at another seat"),
    "not-logged-in": ("座席未登录", "nobody is logged in at this seat"),
    "seat-lent": ("座席已借出", "the seat is lent"),
    "unknown-reason": ("没有这个置忙原因", "no such reason"),
}
"""refusal → what is said of it (Chinese, English)"""


def login(site: Site, seat: str, agent: str, by: str, at: int) -> e.SeatLoggedIn | SeatNow | No:
    """The fact, or the seat when this agent is logged in there already."""
    now = site.seats.get(seat)
    if now is None:
        return No("unknown-seat")
    if now.status is SeatStatus.LENT:
        return No("seat-lent")
    if now.agent == agent and now.status is not SeatStatus.OUT:
        return now
    if now.agent:
        return No("seat-taken")
    if any(s.agent == agent for s in site.seats.values()):
        return No("agent-elsewhere")
    return e.SeatLoggedIn("", max(at, now.since), seat, agent, by)


def logout(site: Site, seat: str, by: str, at: int) -> e.SeatLoggedOut | SeatNow | No:
    """The fact, or the seat when nobody serves there already."""
    now = site.seats.get(seat)
    if now is None:
        return No("unknown-seat")
    if now.status is SeatStatus.LENT:
        return No("seat-lent")
    if now.status is SeatStatus.OUT:
        return now
    return e.SeatLoggedOut("", max(at, now.since), seat, by)


def status(site: Site, seat: str, wanted: str, reason: str, by: str, at: int,
           reasons: Collection[str]) -> e.SeatEvent | SeatNow | No:  # fmt: skip
    """``wanted``: ready | paused | training. The fact, the seat when it is so already, or why not. A lent seat comes
    home by its lease alone: made ready here it would be rung for two sites."""
    now = site.seats.get(seat)
    if now is None:
        return No("unknown-seat")
    if now.status is SeatStatus.LENT:
        return No("seat-lent")
    if now.status is SeatStatus.OUT and not (now.open and wanted == "ready"):
        return No("not-logged-in")
    if wanted == "paused" and reason not in reasons:
        return No("unknown-reason")
    if str(now.status) == wanted and (wanted != "paused" or now.reason == reason):
        return now
    at = max(at, now.since)
    match wanted:
        case "paused":
            return e.SeatPaused("", at, seat, reason, by)
        case "training":
            return e.TrainingBegan("", at, seat, by)
    return e.SeatMadeReady("", at, seat, by)


class Lockout:
    """Wrong PINs by agent and by seat. Not kept over a restart: a guesser gains five tries by it."""

    def __init__(self, most: int = 10_000) -> None:
        self._wrong: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._most = most

    def locked(self, *names: str, at: int) -> bool:
        """Whether any of these has had too many of late."""
        return any(len([t for t in self._wrong.get(name, ()) if t > at - WINDOW_US]) >= TRIES for name in names)

    def wrong(self, *names: str, at: int) -> None:
        """One more for each."""
        for name in names:
            self._wrong[name] = (*(t for t in self._wrong.pop(name, ()) if t > at - WINDOW_US), at)[-TRIES:]
        while len(self._wrong) > self._most:
            self._wrong.popitem(last=False)

    def right(self, *names: str) -> None:
        """Forgotten."""
        for name in names:
            self._wrong.pop(name, None)
