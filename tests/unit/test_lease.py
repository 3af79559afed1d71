"""The lease of a seat: every pair decided, the stories, and its clocks to the microsecond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cti.core import lease_model as m
from cti.core.diagram import LEASE_DEADLINES
from cti.core.lease import NONE, TABLE, _due, admits, may_ring, rings_for
from cti.core.lease_model import ENDED, Lease, LeaseState, Side, Terms
from cti.core.leasebook import Book, EnterLine, LeaveLine, Odd, Order, SetAside, TakeHome, Tell, resume, step, tick
from cti.core.rules import Anomaly, Ignore, To

pytestmark = pytest.mark.unit

S = LeaseState
OWNER, BORROWER, SEAT, ID = "530100", "532900", "530100/1003", "532900-1"
TERMS = Terms(term_us=600_000_000)
ASK = m.SeatAsked(ID, 0, SEAT, OWNER, BORROWER)


def us(seconds: float) -> int:
    return round(seconds * 1e6)


class Pair:
    """Owner and borrower with one clock, and nothing lost; what each is to do is kept in ``orders``."""

    def __init__(self) -> None:
        self.books = {OWNER: Book(OWNER, TERMS), BORROWER: Book(BORROWER, TERMS)}
        self.orders: list[tuple[str, Order]] = []

    def hear(self, site: str, event: m.LeaseEvent, deliver: bool = True) -> None:
        self.books[site], orders = step(self.books[site], event)
        for order in orders:
            self.orders.append((site, order))
            if isinstance(order, Tell) and deliver:
                other = OWNER if site == BORROWER else BORROWER
                self.hear(other, replace(order.event, at=event.at))

    def state(self, site: str) -> LeaseState:
        book = self.books[site]
        return book.lent[SEAT].state if site == OWNER else book.borrowed[ID].state

    @property
    def lent(self) -> Lease:
        return self.books[OWNER].lent[SEAT]

    @property
    def borrowed(self) -> Lease:
        return self.books[BORROWER].borrowed[ID]


def active(pair: Pair) -> Pair:
    pair.hear(BORROWER, ASK)
    pair.hear(OWNER, m.SeatSetAside(ID, us(4)))
    pair.hear(BORROWER, m.SeatEntered(ID, us(4.2)))
    return pair


def test_a_seat_goes_over_and_comes_back() -> None:
    pair = Pair()
    pair.hear(BORROWER, ASK)
    assert (OWNER, SetAside(SEAT, ID)) in pair.orders and rings_for(pair.lent, OWNER) == OWNER
    pair.hear(OWNER, m.SeatSetAside(ID, us(4)))
    assert (BORROWER, EnterLine(SEAT, ID, OWNER, 1, us(4 + 600 - 15))) in pair.orders
    assert (pair.state(OWNER), pair.state(BORROWER)) == (S.GRANTED, S.GRANTED)
    pair.hear(BORROWER, m.SeatEntered(ID, us(4.2)))
    assert (pair.state(OWNER), pair.state(BORROWER)) == (S.ACTIVE, S.ACTIVE)
    assert rings_for(pair.lent, OWNER) == BORROWER and may_ring(pair.borrowed, us(5))
    pair.hear(OWNER, m.SeatRecalled(ID, us(60), "own-target"))
    assert (pair.state(OWNER), pair.state(BORROWER)) == (S.RECALLED, S.RECALLED)
    assert rings_for(pair.lent, OWNER) == "" and not may_ring(pair.borrowed, us(61))
    assert pair.orders[-1] == (BORROWER, LeaveLine(SEAT, ID))
    pair.hear(BORROWER, m.SeatWithdrawn(ID, us(61)))
    assert (pair.state(OWNER), pair.state(BORROWER)) == (S.RETURNED, S.RETURNED)
    assert (OWNER, TakeHome(SEAT)) in pair.orders and rings_for(pair.lent, OWNER) == OWNER
    assert pair.lent.why == "own-target" and pair.lent.ended_at == us(61)


def test_the_borrower_gives_back_what_it_needs_no_more() -> None:
    pair = active(Pair())
    pair.hear(BORROWER, m.SeatUnneeded(ID, us(100), "calm"))
    assert pair.state(OWNER) is S.ACTIVE and not may_ring(pair.borrowed, us(100))
    pair.hear(BORROWER, m.SeatWithdrawn(ID, us(101)))
    assert (pair.state(OWNER), pair.state(BORROWER)) == (S.RETURNED, S.RETURNED)


def test_out_of_touch_both_sides_end_it_by_their_clocks_the_borrower_first() -> None:
    pair = active(Pair())
    end = us(604)
    borrower, orders = tick(pair.books[BORROWER], end - us(15) - 1)
    assert may_ring(borrower.borrowed[ID], end - us(15) - 1) and not may_ring(borrower.borrowed[ID], end - us(15))
    borrower, orders = tick(borrower, end - us(15))
    assert borrower.borrowed[ID].state is S.RECALLED and LeaveLine(SEAT, ID) in orders
    borrower, _ = tick(borrower, end)
    assert borrower.borrowed[ID].state is S.EXPIRED and borrower.borrowed[ID].ended_at == end
    owner, orders = tick(pair.books[OWNER], end + us(1) - 1)
    assert owner.lent[SEAT].open and TakeHome(SEAT) not in orders
    owner, orders = tick(owner, end + us(1))
    assert owner.lent[SEAT].state is S.EXPIRED and TakeHome(SEAT) in orders


def test_an_extension_moves_both_ends_and_never_back() -> None:
    pair = active(Pair())
    pair.hear(OWNER, m.LeaseExtended(ID, us(300), us(900)))
    assert pair.lent.expires == pair.borrowed.expires == us(900)
    assert (BORROWER, EnterLine(SEAT, ID, OWNER, 1, us(885))) in pair.orders
    pair.hear(OWNER, m.LeaseExtended(ID, us(301), us(700)))
    pair.hear(BORROWER, m.SeatGranted(ID, us(302), 1, us(604)))  # an old one, late
    assert pair.lent.expires == pair.borrowed.expires == us(900)


def test_a_seat_that_never_becomes_free_is_refused_and_taken_home() -> None:
    pair = Pair()
    pair.hear(BORROWER, ASK)
    owner, orders = tick(pair.books[OWNER], us(30))
    assert owner.lent[SEAT].state is S.REFUSED and owner.lent[SEAT].why == "not-free"
    assert orders[:2] == [TakeHome(SEAT), Tell(BORROWER, m.SeatDenied(ID, 0, "not-free"))]


def test_a_lent_seat_is_not_lent_again() -> None:
    pair = active(Pair())
    owner, orders = step(pair.books[OWNER], m.SeatAsked("530300-9", us(10), SEAT, OWNER, "530300"))
    assert orders == [Tell("530300", m.SeatDenied("530300-9", us(10), "lent"))] and owner.lent == pair.books[OWNER].lent


def test_an_ask_that_comes_late_or_from_nowhere_opens_nothing() -> None:
    pair = active(Pair())
    pair.hear(BORROWER, m.SeatUnneeded(ID, us(100)))
    pair.hear(BORROWER, m.SeatWithdrawn(ID, us(101)))
    owner, _ = step(pair.books[OWNER], m.SeatAsked("532900-2", us(110), SEAT, OWNER, BORROWER))
    owner, _ = step(owner, m.SeatRecalled("532900-2", us(111)))
    after, orders = step(owner, m.SeatAsked(ID, us(120), SEAT, OWNER, BORROWER))
    assert after == owner and orders == [Tell(BORROWER, m.SeatDenied(ID, us(120), "old"))]
    for id, owned in (("532900-3", "530300"), ("530300-3", OWNER), ("x", OWNER)):
        after, orders = step(owner, m.SeatAsked(id, us(120), SEAT, owned, BORROWER))
        assert after == owner and orders == [Odd(id, "ask-of-strangers")]


def test_the_fence_rises_and_only_the_current_one_is_let_in() -> None:
    pair = active(Pair())
    assert admits(pair.lent, BORROWER, 1, us(10)) and not admits(pair.lent, BORROWER, 2, us(10))
    assert not admits(pair.lent, "530300", 1, us(10)) and not admits(pair.lent, OWNER, 1, us(10))
    assert not admits(pair.lent, BORROWER, 1, us(604)) and not admits(None, BORROWER, 1, 0)
    pair.hear(OWNER, m.SeatRecalled(ID, us(60)))
    assert not admits(pair.lent, BORROWER, 1, us(60))
    pair.hear(BORROWER, m.SeatWithdrawn(ID, us(61)))
    owner, _ = step(pair.books[OWNER], m.SeatAsked("532900-2", us(70), SEAT, OWNER, BORROWER))
    owner, _ = step(owner, m.SeatSetAside("532900-2", us(71)))
    assert owner.lent[SEAT].fence == 2 and not admits(owner.lent[SEAT], BORROWER, 1, us(72))


def test_a_message_with_another_fence_is_an_anomaly() -> None:
    pair = active(Pair())
    owner, orders = step(pair.books[OWNER], m.SeatGivenBack(ID, us(9), 7))
    assert owner == pair.books[OWNER] and orders == [Odd(ID, "wrong-fence")]


def test_a_grant_told_again_does_not_keep_what_is_on_its_way_back() -> None:
    pair = active(Pair())
    pair.hear(BORROWER, m.SeatUnneeded(ID, us(100)), deliver=False)
    book, orders = step(pair.books[BORROWER], m.SeatGranted(ID, us(100.5), 1, us(604)))
    assert book.borrowed[ID].state is S.RECALLED and orders == [LeaveLine(SEAT, ID)]


def test_a_grant_that_comes_too_late_is_given_back_at_once() -> None:
    book, _ = step(Book(BORROWER, TERMS), ASK)
    book, orders = step(book, m.SeatGranted(ID, us(20), 3, us(19)))
    assert book.borrowed[ID].state is S.EXPIRED
    assert Tell(OWNER, m.SeatGivenBack(ID, 0, 3)) in orders and not any(isinstance(o, EnterLine) for o in orders)


def test_a_grant_nobody_remembers_asking_for_is_given_back() -> None:
    _, orders = step(Book(BORROWER, TERMS), m.SeatGranted(ID, us(20), 3, us(900)))
    assert orders == [Tell("", m.SeatGivenBack(ID, us(20), 3))]


def test_after_a_restart_everything_that_should_stand_is_asked_for_anew() -> None:
    pair = active(Pair())
    _, orders = resume(pair.books[OWNER], us(20))
    assert Tell(BORROWER, m.SeatGranted(ID, 0, 1, us(604))) in orders and TakeHome(SEAT) not in orders
    pair.hear(OWNER, m.SeatRecalled(ID, us(60)))
    pair.hear(BORROWER, m.SeatWithdrawn(ID, us(61)))
    assert TakeHome(SEAT) in resume(pair.books[OWNER], us(70))[1]


def test_the_table_is_total_and_no_ended_lease_moves() -> None:
    kinds = {kind for side in Side for kind in NONE[side]}
    assert {k.__name__ for k in kinds} == {k.__name__ for k in m.LeaseEvent.__subclasses__()}
    for side in Side:
        assert set(NONE[side]) == kinds
        for state in LeaseState:
            assert set(TABLE[side][state]) == kinds
            for cell in TABLE[side][state].values():
                assert isinstance(cell, To | Ignore | Anomaly)
                assert not (state in ENDED and isinstance(cell, To))


def test_the_drawn_deadlines_are_those_of_the_machine() -> None:
    for side in Side:
        found = []
        for state in LeaseState:
            lease = Lease(ID, SEAT, OWNER, BORROWER, side, state, 0, TERMS, 1, us(604))
            found += [(str(state), str(to), why) for _, to, why in _due(lease)]
        assert tuple(found) == LEASE_DEADLINES[side]
