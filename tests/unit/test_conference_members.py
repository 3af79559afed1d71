"""A fourth member and mute in the pure core: who has the caller, what may be asked, what is recorded and shown."""

from __future__ import annotations

import pytest

from cti.core import asking
from cti.core import events as e
from cti.core.commands import BringFourth, Mute, PartFourth
from cti.core.facts import Fact
from cti.core.model import RoomState
from cti.web.live import Live

from .playbook import REF, T1, T2, Play, decided, ended, room, us

M1, M2 = f"{REF}-3m1", f"{REF}-3m2"


def asked(at: float, member: str = M1) -> e.Event:
    return e.MemberAsked(REF, us(at), T1, member, "1001", "119")


def came(at: float, member: str = M1, seat: str = "1902", platform: str = "12345") -> e.Event:
    return e.MemberJoined(REF, us(at), T1, member, seat, platform)


def went(at: float, member: str = M1, seat: str = "1902") -> e.Event:
    return e.MemberLeft(REF, us(at), T1, member, seat, "16")


def left(at: float, seat: str) -> e.Event:
    return e.GuestLeft(REF, us(at), T1, seat, "16")


def test_a_fourth_comes_and_goes_and_the_room_goes_on() -> None:
    play = Play()
    play(*room(), asked(20), came(25), went(40))
    opened = play.call.conference
    assert opened is not None and opened.state is RoomState.TOGETHER and opened.fourth is None
    (member,) = opened.members
    assert (member.id, member.seat, member.joined_at, member.left_at) == (M1, "1902", us(25), us(40))
    assert play.call.takers == ("1001", "8001", "1902") and play.call.seat == "1001"
    play(asked(50, M2), came(55, M2, "119", "119"), e.RoomOver(REF, us(60), T1))
    assert play.records("ConferenceEnded")[0].data["members"] == "1902,119"
    assert not play.records("Anomaly")


@pytest.mark.parametrize("order", [("1001", "8001"), ("8001", "1001")])
def test_the_two_leave_and_the_fourth_has_the_caller(order: tuple[str, str]) -> None:
    play = Play()
    play(*room(), came(25), left(40, order[0]), left(45, order[1]))
    opened = play.call.conference
    assert opened is not None and opened.state is RoomState.ALONE and opened.here == ()
    assert (play.call.seat, play.call.platform) == ("1902", "12345") and ended(play) == []
    play(went(60))
    assert ended(play) == ["seats-left"] and decided(play) == [("12345", "first-receiver", "room-over")]


def test_without_a_fourth_the_last_of_the_two_ends_it() -> None:
    play = Play()
    play(*room(), came(25), went(30), left(40, "1001"), left(45, "8001"))
    assert ended(play) == ["seats-left"] and not play.records("Anomaly")


def test_a_fourth_who_comes_as_one_is_left_stays_with_the_caller() -> None:
    play = Play()
    play(*room(), asked(20), left(22, "1001"), came(25), left(30, "8001"), e.CallerLeft(REF, us(50)))
    assert play.call.seat == "1902" and ended(play) == ["caller-left"]


def test_a_second_fourth_beside_the_first_is_unexpected() -> None:
    play = Play()
    play(*room(), came(25), came(26, M2, "119", "119"), went(27, M2, "119"))
    assert [r.data["code"] for r in play.records("Anomaly")] == ["two-fourths", "stranger-left"]


def test_who_comes_after_the_rooms_end_is_no_anomaly() -> None:
    play = Play()
    play(*room(), asked(20), left(22, "1001"), left(23, "8001"), came(24), went(30))
    assert ended(play) == ["seats-left"] and not play.records("Anomaly")


def test_what_may_be_asked_of_a_fourth() -> None:
    play = Play()
    assert asking.bring_fourth(None, T1, "1001", M1, "119") == asking.No("unknown-call")
    play(*room())
    for seat in ("1001", "8001", ""):
        wanted = BringFourth(REF, T1, M1, "119", seat)
        assert asking.bring_fourth(play.call, T1, seat, M1, "119") == wanted
    assert asking.bring_fourth(play.call, T2, "1001", M1, "119") == asking.No("no-room")
    assert asking.bring_fourth(play.call, T1, "1002", M1, "119") == asking.No("not-in-room")
    assert asking.part_fourth(play.call, T1, "8001", M1) == PartFourth(REF, T1, M1), "it may be ringing"
    play(came(25))
    assert asking.bring_fourth(play.call, T1, "1001", M2, "120") == asking.No("room-full")
    assert asking.bring_fourth(play.call, T1, "1001", M1, "119") == BringFourth(REF, T1, M1, "119", "1001"), "a repeat"
    assert asking.bring_fourth(play.call, T1, "1902", M2, "120") == asking.No("not-in-room")
    play(went(30))
    assert asking.part_fourth(play.call, T1, "8001", M1) == asking.No("no-member")
    play(left(40, "1001"))
    assert asking.bring_fourth(play.call, T1, "8001", M2, "119") == asking.No("alone")


def test_a_member_mutes_himself_and_no_other() -> None:
    play = Play()
    def muted() -> list[str]:
        return [seat for c in play.call.conferences for seat in c.muted]

    play(*room(), came(25), e.SeatMuted(REF, us(30), T1, "8001", 1), e.SeatMuted(REF, us(31), T1, "1902", 1))
    assert muted() == ["8001", "1902"]
    play(e.SeatMuted(REF, us(32), T1, "8001", 0))
    assert muted() == ["1902"]
    for seat in ("1001", "8001", "1902"):
        assert asking.mute(play.call, T1, seat, True) == Mute(REF, T1, seat, True)
    assert asking.mute(play.call, T1, "", True) == asking.No("not-in-room")
    assert asking.mute(play.call, T1, "1002", True) == asking.No("not-in-room")


def test_every_screen_in_the_room_sees_who_is_there() -> None:
    play = Play()
    play(*room(), came(25), e.CallerSetAside(REF, us(30), T1, "8001"))
    live = Live(lambda: play.site)
    with live.reader("1902") as boss, live.reader("1001") as first, live.reader("1002") as other:
        live.saw(Fact("CallerSetAside", us(30), REF, {"transfer": T1, "seat": "8001"}, "live", "k"))
        kind, told = first.get_nowait() or ("", {})
        assert kind == "room" and boss.get_nowait() == (kind, told) and other.empty()
        assert (told["here"], told["aside"], told["accepts"]) == (["1001", "8001", "1902"], True, None)
        assert told["zh"] == "群众听音乐，8001 请私下商议"
        play(e.DecisionSaid(REF, us(40), T1, "8001", "110", "110"))
        (made,) = play.records("ConferenceDecided")
        live.saw(Fact(made.kind, made.at, REF, made.data, "live", made.key))
        told = (first.get_nowait() or ("", {}))[1]
        assert (told["zh"], told["en"], told["basis"]) == ("110 受理：协商决定", "110 accepts: as agreed", "chosen")
        boss.get_nowait()
        refused = {"transfer": T1, "seat": "1902", "code": "no-voice"}
        live.saw(Fact("RoomRefused", us(41), REF, refused, "live", "k2"))
        assert first.empty() and (boss.get_nowait() or ("", {}))[1]["zh"] == "按键无效：第四方不参与决定"
