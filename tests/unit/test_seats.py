"""A seat's status: the table, read as dialogues; every pair decided; Asterisk told the last word; who may ask what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.core import calls, seat_desk, seats
from cti.core import events as e
from cti.core.asking import No
from cti.core.commands import Command, Record, SyncSeat
from cti.core.model import SeatNow, SeatStatus, Site
from cti.core.rules import Ignore
from cti.memory import Memory
from tests.unit.playbook import us

pytestmark = pytest.mark.unit

REASONS = frozenset({"rest", "meal"})


class Desk:
    """Two open seats and one that must be logged in."""

    def __init__(self) -> None:
        out = SeatNow("1003", False, SeatStatus.OUT)
        self.site = Site(seats={"1001": SeatNow("1001"), "1002": SeatNow("1002"), "1003": out})

    def __call__(self, *events: e.Event) -> list[Command]:
        made: list[Command] = []
        for event in events:
            self.site, more = calls.step(self.site, event)
            made += more
        return made

    def is_(self, seat: str = "1001") -> str:
        now = self.site.seats[seat]
        return f"{now.status} {now.reason}".strip()


def told(commands: list[Command]) -> list[tuple[object, ...]]:
    return [(c.data["status"], c.data["reason"], c.data["by"]) for c in commands if isinstance(c, Record)]


def test_a_pause_is_recorded_with_reason_and_by_whom_and_asterisk_follows() -> None:
    desk = Desk()
    made = desk(e.SeatPaused("", us(10), "1001", "rest", "phone"))
    assert told(made) == [("paused", "rest", "phone")] and SyncSeat("", "1001") in made
    made = desk(e.SeatMadeReady("", us(70), "1001", "supervisor"))
    (record,) = [c for c in made if isinstance(c, Record)]
    assert (record.data["before"], record.data["lasted_ms"]) == ("paused", 60_000)
    assert desk.is_() == "ready"


def test_a_wrap_up_ends_by_its_timer_by_a_key_or_when_no_timer_was_heard() -> None:
    desk = Desk()
    desk(e.WrapUpBegan("", us(10), "1001", 30, "a"))
    assert desk.is_() == "wrap-up a" and desk.site.seats["1001"].until == us(40)
    assert told(desk(e.WrapUpOver("", us(40), "1001", "a"))) == [("ready", "", "asterisk")]
    desk(e.WrapUpBegan("", us(50), "1001", 30, "b"), e.SeatMadeReady("", us(55), "1001", "phone"))
    assert desk.is_() == "ready"
    desk(e.WrapUpBegan("", us(60), "1001", 30, "c"))
    assert calls.next_deadline(desk.site) == us(93)
    assert calls.tick(desk.site, us(92.9))[1] == []
    desk.site, made = calls.tick(desk.site, us(93))
    assert told(made) == [("ready", "", "clock")] and desk.site.seats["1001"].since == us(90)


def test_the_timer_of_an_earlier_wrap_up_does_not_end_the_next() -> None:
    desk = Desk()
    desk(e.WrapUpBegan("", us(10), "1001", 30, "a"), e.WrapUpBegan("", us(20), "1001", 30, "b"))
    assert desk(e.WrapUpOver("", us(40), "1001", "a")) == [] and desk.is_() == "wrap-up b"


def test_a_seat_paused_during_a_call_stays_so_after_it() -> None:
    desk = Desk()
    desk(e.SeatPaused("", us(10), "1001", "rest", "phone"), e.WrapUpBegan("", us(20), "1001", 30, "a"))
    assert desk.is_() == "paused rest"


def test_rows_read_late_do_not_undo_what_was_decided_since() -> None:
    desk = Desk()
    desk(e.SeatMadeReady("", us(5), "1001"), e.SeatPaused("", us(20), "1001", "meal", "supervisor"))
    assert desk(e.SeatPaused("", us(10), "1001", "rest", "phone")) == [] and desk.is_() == "paused meal"


def test_a_seat_with_log_in_is_out_until_an_agent_takes_it() -> None:
    desk = Desk()
    assert desk(e.SeatMadeReady("", us(1), "1003", "phone"), e.SeatPaused("", us(2), "1003", "rest")) == []
    desk(e.SeatLoggedIn("", us(3), "1003", "2001", "phone"))
    assert desk.is_("1003") == "ready" and desk.site.seats["1003"].agent == "2001"
    made = desk(e.SeatLoggedOut("", us(9), "1003", "phone"))
    assert [c.data["agent"] for c in made if isinstance(c, Record)] == ["2001"], "whose time it was"
    assert desk.is_("1003") == "out" and not desk.site.seats["1003"].agent


def test_an_open_seat_that_was_logged_out_is_ready_again_by_a_key() -> None:
    desk = Desk()
    desk(e.SeatLoggedOut("", us(1), "1001"), e.SeatMadeReady("", us(2), "1001"))
    assert desk.is_() == "ready"


def test_a_lent_seat_is_the_borrowers_matter_till_it_is_back() -> None:
    desk = Desk()
    desk(e.SeatLent("", us(1), "1001", "530300", "lease"), e.SeatPaused("", us(2), "1001", "rest"))
    desk(e.SeatLoggedOut("", us(2), "1001", "phone"), e.SeatMadeReady("", us(2), "1001", "phone"))
    assert desk.is_() == "lent 530300", "logged out and made ready it would be rung for two sites"
    asked = [seat_desk.status(desk.site, "1001", to, "rest", "supervisor", us(2), REASONS)
             for to in ("ready", "paused", "training")]  # fmt: skip
    assert {code(said) for said in (*asked, seat_desk.logout(desk.site, "1001", "1001", us(2)))} == {"seat-lent"}
    assert seats.member(desk.site.seats["1001"]).paused
    desk(e.SeatReturned("", us(3), "1001"))
    assert desk.is_() == "ready"


def test_a_seat_that_left_the_configuration_is_none_of_ours() -> None:
    desk = Desk()
    before = desk.site
    assert desk(e.SeatPaused("", us(1), "7777", "rest")) == [] and desk.site == before


def test_misses_are_counted_and_forgotten_at_the_next_change() -> None:
    desk = Desk()
    assert desk(e.RingMissed("", us(1), "1001", 2)) == []
    assert desk.site.seats["1001"].misses == 2 and desk.is_() == "ready"
    desk(e.SeatPaused("", us(2), "1001", "missed", "asterisk"))
    assert desk.site.seats["1001"].misses == 0


def test_every_pair_is_decided() -> None:
    assert set(seats.RULES) == set(e.SEAT_EVENTS)
    for kind, row in seats.RULES.items():
        assert set(row) == set(SeatStatus), kind
        for rule in row.values():
            assert not isinstance(rule, Ignore) or rule.reason


@pytest.mark.parametrize(("status", "reason", "member"), [
    (SeatStatus.READY, "", seats.Member(False, "", "ready~")),
    (SeatStatus.PAUSED, "rest", seats.Member(True, "rest", "paused~rest")),
    (SeatStatus.WRAPUP, "t1", seats.Member(True, "wrap-up", "wrap-up~t1")),
    (SeatStatus.OUT, "", seats.Member(True, "out", "out~")),
])  # fmt: skip
def test_what_the_waiting_lines_are_told(status: SeatStatus, reason: str, member: seats.Member) -> None:
    assert seats.member(SeatNow("1001", status=status, reason=reason)) == member


# -- asked over HTTP ---------------------------------------------------------------------------------------------------
def code(said: object) -> str:
    assert isinstance(said, No)
    return said.code


def test_one_agent_sits_at_one_seat_and_one_seat_has_one_agent() -> None:
    desk = Desk()
    said = seat_desk.login(desk.site, "1003", "2001", "1003", us(1))
    assert isinstance(said, e.SeatLoggedIn)
    desk(said)
    assert isinstance(seat_desk.login(desk.site, "1003", "2001", "1003", us(2)), SeatNow), "asked twice: it is so"
    assert code(seat_desk.login(desk.site, "1003", "2002", "1003", us(2))) == "seat-taken"
    assert code(seat_desk.login(desk.site, "1001", "2001", "1001", us(2))) == "agent-elsewhere"
    assert code(seat_desk.login(desk.site, "9", "2001", "9", us(2))) == "unknown-seat"


def test_what_a_status_request_comes_to() -> None:
    desk = Desk()
    ask = seat_desk.status
    assert code(ask(desk.site, "1001", "paused", "nap", "1001", us(1), REASONS)) == "unknown-reason"
    assert code(ask(desk.site, "1003", "paused", "rest", "1003", us(1), REASONS)) == "not-logged-in"
    assert code(ask(desk.site, "1003", "ready", "", "1003", us(1), REASONS)) == "not-logged-in"
    said = ask(desk.site, "1001", "paused", "rest", "1001", us(1), REASONS)
    assert isinstance(said, e.SeatPaused)
    desk(said)
    assert isinstance(ask(desk.site, "1001", "paused", "rest", "1001", us(2), REASONS), SeatNow)
    assert isinstance(ask(desk.site, "1001", "paused", "meal", "1001", us(2), REASONS), e.SeatPaused)


def test_a_request_in_the_same_microsecond_or_by_a_slow_clock_still_counts() -> None:
    desk = Desk()
    desk(e.SeatPaused("", us(100), "1001", "rest", "phone"))
    said = seat_desk.status(desk.site, "1001", "ready", "", "supervisor", us(99), REASONS)
    assert isinstance(said, e.SeatMadeReady)
    desk(said)
    assert desk.is_() == "ready"


def test_five_wrong_pins_lock_agent_and_seat_for_ten_minutes() -> None:
    lockout = seat_desk.Lockout()
    for n in range(5):
        assert not lockout.locked("agent 1", "seat 9", at=us(n))
        lockout.wrong("agent 1", f"seat {n}", at=us(n))
    assert lockout.locked("agent 1", "seat 9", at=us(10)) and not lockout.locked("agent 2", "seat 1", at=us(10))
    assert not lockout.locked("agent 1", at=us(601))
    lockout.right("agent 1")
    assert not lockout.locked("agent 1", at=us(10))


# -- whatever comes, in whatever order ---------------------------------------------------------------------------------
SEAT = st.sampled_from(["1001", "1003"])
AT = st.integers(0, 1000).map(us)
EVENTS = st.one_of(
    st.builds(lambda s, a, g: e.SeatLoggedIn("", a, s, g), SEAT, AT, st.sampled_from(["2001", "2002"])),
    st.builds(lambda s, a: e.SeatLoggedOut("", a, s), SEAT, AT),
    st.builds(lambda s, a, r: e.SeatPaused("", a, s, r), SEAT, AT, st.sampled_from(["rest", "missed"])),
    st.builds(lambda s, a: e.SeatMadeReady("", a, s), SEAT, AT),
    st.builds(lambda s, a, t: e.WrapUpBegan("", a, s, 30, t), SEAT, AT, st.sampled_from("ab")),
    st.builds(lambda s, a, t: e.WrapUpOver("", a, s, t), SEAT, AT, st.sampled_from("ab")),
    st.builds(lambda s, a: e.TrainingBegan("", a, s), SEAT, AT),
    st.builds(lambda s, a: e.SeatLent("", a, s, "530300"), SEAT, AT),
    st.builds(lambda s, a: e.SeatReturned("", a, s), SEAT, AT),
    st.builds(lambda s, a, n: e.RingMissed("", a, s, n), SEAT, AT, st.integers(1, 5)),
    st.builds(lambda a: e.ClockTicked("", a), AT),
)


@given(st.lists(EVENTS, max_size=40))
def test_whatever_comes(events: list[e.Event]) -> None:
    desk = Desk()
    for event in events:
        before = desk.site
        made = desk(event)
        for number, seat in desk.site.seats.items():
            was = before.seats[number]
            assert seat.since >= was.since, "time goes one way"
            assert (seat.status is SeatStatus.WRAPUP) == (seat.until > 0)
            assert seat.status is not SeatStatus.OUT or not seat.agent
            assert seats.member(seat).paused == (seat.status is not SeatStatus.READY)
            changed = seat.status != was.status or seat.reason != was.reason or seat.agent != was.agent
            if changed:
                assert SyncSeat("", number) in made, "Asterisk is told of every change"
                assert any(isinstance(c, Record) and c.data["seat"] == number for c in made), "and so is the ledger"


@given(st.lists(EVENTS, max_size=30))
def test_a_snapshot_restores_the_seat(events: list[e.Event]) -> None:
    desk = Desk()
    desk(*events)
    fresh = Desk()
    for seat in desk.site.seats.values():
        fresh(seats.stands(seat, us(2000)))
    for number, seat in desk.site.seats.items():
        again = fresh.site.seats[number]
        assert (again.status, again.reason, again.agent, again.since, again.until) == (
            seat.status, seat.reason, seat.agent, seat.since, seat.until)  # fmt: skip


@given(st.lists(EVENTS.filter(lambda event: not isinstance(event, e.ClockTicked)), max_size=30))
def test_a_projection_rebuilt_from_the_ledger_is_the_same(events: list[e.Event]) -> None:
    from cti.core.facts import Fact

    first = {n: s for n, s in Desk().site.seats.items()}
    live, again = Memory(first), Memory(first)
    for n, event in enumerate(events):
        live.step(event, us(5000))
        again.adopt(Fact(type(event).__name__, event.at, "", e.values_of(event), "live", str(n)), us(5000))
    assert again.site.seats == live.site.seats
