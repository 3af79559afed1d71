"""Two lease desks over an in-memory mail and in-memory lines: the shell's order, its memory, and what it tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cti.core import lease_model as e
from cti.core import leasebook
from cti.core.facts import Fact
from cti.core.lease_model import Terms
from cti.lending import bookfile, letters
from cti.lending.desk import Around, LeaseDesk
from cti.lending.letters import Letter, LettersAway

pytestmark = pytest.mark.unit

A, B = "530100", "532900"
TERMS = Terms(900_000_000, 1_000_000, 15_000_000, 30_000_000)


class Mail:
    """The boxes of both sites; ``up`` False: Redis is away."""

    def __init__(self) -> None:
        self.boxes: dict[str, asyncio.Queue[Letter]] = {A: asyncio.Queue(), B: asyncio.Queue()}
        self.up = True
        self.fences: dict[str, int] = {}

    def of(self, site: str) -> Box:
        return Box(self, site)


class Box:
    """`Letters`, as far as the desk needs it."""

    def __init__(self, mail: Mail, site: str) -> None:
        self._mail, self._site = mail, site

    async def send(self, to: str, letter: Letter) -> None:
        if not self._mail.up:
            raise LettersAway("down")
        wire = {k.encode(): v.encode() for k, v in letters.encode(letter).items()}
        self._mail.boxes[to].put_nowait(letters.decode(wire))

    async def read(self) -> list[Letter]:
        if not self._mail.up:
            raise LettersAway("down")
        return [await self._mail.boxes[self._site].get()]

    async def next_fence(self, seat: str) -> int:
        if not self._mail.up:
            raise LettersAway("down")
        self._mail.fences[seat] = self._mail.fences.get(seat, 0) + 1
        return self._mail.fences[seat]

    async def show(self, lease: object) -> None:
        if not self._mail.up:
            raise LettersAway("down")


class Lines:
    """`Line`: what was asked of Asterisk, in order, and the rows as they stand."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.rows: dict[str, str] = {}
        self.until: dict[str, int] = {}
        self.members: set[str] = set()
        self.busy = False
        self.trunk = "NOT_INUSE"

    async def put_row(self, seat: str, site: str, fence: int, until_s: int) -> None:
        self.rows[seat] = f"{site or '-'}~{fence}"
        self.until[seat] = until_s
        self.did.append(f"row {seat} {site or '-'}")

    async def drop_row(self, seat: str) -> None:
        self.rows.pop(seat, None)
        self.until.pop(seat, None)

    async def lent(self) -> dict[str, int]:
        return dict(self.until)

    async def aside(self, seat: str) -> bool:
        self.did.append(f"aside {seat}")
        return not self.busy

    async def pause(self, seat: str) -> None:
        pass

    async def home(self, seat: str) -> None:
        self.did.append(f"home {seat}")

    async def phones(self) -> dict[str, str]:
        return {"1001": "NOT_INUSE", f"site-{B}": self.trunk}

    async def enter(self, number: str, queue: str, penalty: int, row: str) -> bool:
        self.did.append(f"enter {number} {queue} {penalty} {row.split('~')[0]}")
        self.members.add(number)
        return True

    async def inside(self, number: str) -> bool:
        return number in self.members

    async def rest(self, number: str, reason: str | None) -> None:
        if reason:
            self.did.append(f"rest {number} {reason}")

    async def leave(self, number: str) -> bool:
        self.did.append(f"leave {number}")
        self.members.discard(number)
        return True

    async def strangers(self, keep: Sequence[str]) -> None:
        self.members &= set(keep)


class Facts:
    """What was put on record."""

    def __init__(self) -> None:
        self.all: list[Fact] = []

    async def append(self, facts: Sequence[Fact]) -> object:
        self.all += facts
        return None


class Site:
    """One desk and what is around it."""

    def __init__(self, code: str, mail: Mail, folder: Path, clock: Callable[[], int]) -> None:
        self.lines, self.facts, self.code = Lines(), Facts(), code
        self.path = folder / f"{code}.json"
        around = Around(code, {"1001": "12345"}, {"12345": "12345"}, {A: 5, B: 7})
        lines: Any = self.lines
        box: Any = mail.of(code)
        self.desk = LeaseDesk(around, lines, box, self.facts, self.path, TERMS, clock)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.desk.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def states(self) -> list[str]:
        return [str(x.state) for x in self.desk.leases()]


class Clock:
    """µs; moved by the test, and a little by every look, so that nothing stands still."""

    def __init__(self) -> None:
        self.now = 1_795_000_000_000_000

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    for _ in range(int(seconds * 100)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def lend(tmp_path: Path) -> tuple[Mail, Clock, Site, Site]:
    mail, clock = Mail(), Clock()
    return mail, clock, Site(A, mail, tmp_path, clock), Site(B, mail, tmp_path, clock)


async def test_asked_at_the_owners_a_seat_goes_over_and_comes_back(tmp_path: Path) -> None:
    _, _, a, b = await lend(tmp_path)
    async with a.running(), b.running():
        lease_id = await b.desk.ask(B, "1001", A, 20, "暴雨")
        await until(lambda: a.states() == b.states() == ["active"])
        assert b.desk.lent == {"1001"} and b.lines.rows == {"1001": f"{A}~1"}
        assert a.lines.did == ["enter 5329001001 12345 7 1"]
        lent = b.desk.find(lease_id)
        assert lent is not None and lent.terms.term_us == 20 * 60_000_000
        b.desk.recall(lent, "coordinator")
        await until(lambda: a.states() == b.states() == ["returned"])
        await until(lambda: not b.lines.rows)
        assert "home 1001" in b.lines.did and not a.lines.members and not b.desk.lent


async def test_the_seat_is_out_of_the_lines_and_its_row_is_laid_before_the_borrower_hears(tmp_path: Path) -> None:
    _, clock, a, b = await lend(tmp_path)
    b.lines.busy = True
    async with a.running(), b.running():
        await b.desk.ask(B, "1001", A, 20, "")
        await until(lambda: "aside 1001" in b.lines.did)
        assert b.lines.rows["1001"].startswith("-") and not a.lines.did
        b.lines.busy = False
        clock.now += 1_100_000
        await until(lambda: a.states() == ["active"])
        granted = b.lines.did.index(f"row 1001 {A}")
        assert b.lines.did.index("aside 1001") < granted


async def test_a_killed_desk_goes_on_from_its_book(tmp_path: Path) -> None:
    mail, clock, a, b = await lend(tmp_path)
    async with a.running():
        async with b.running():
            await b.desk.ask(B, "1001", A, 20, "")
            await until(lambda: a.states() == ["active"])
        again = Site(B, mail, tmp_path, clock)
        async with again.running():
            await until(lambda: again.states() == ["active"])
            lease = again.desk.leases()[0]
            again.desk.recall(lease, "")
            await until(lambda: a.states() == again.states() == ["returned"])


async def test_without_mail_the_lease_ends_on_both_sides_by_the_clock(tmp_path: Path) -> None:
    mail, clock, a, b = await lend(tmp_path)
    async with a.running(), b.running():
        await b.desk.ask(B, "1001", A, 1, "")
        await until(lambda: a.states() == b.states() == ["active"])
        mail.up = False
        clock.now += 46_000_000
        await until(lambda: not a.lines.members)
        assert b.states() == ["active"]
        clock.now += 16_000_000
        await until(lambda: b.states() == ["expired"] and not b.lines.rows)
        assert "home 1001" in b.lines.did


async def test_a_trunk_that_stays_away_sends_the_seat_home(tmp_path: Path) -> None:
    _, clock, a, b = await lend(tmp_path)
    async with a.running(), b.running():
        await b.desk.ask(B, "1001", A, 20, "")
        await until(lambda: a.states() == ["active"])
        a.lines.trunk = "UNAVAILABLE"
        clock.now += 1_100_000
        await until(lambda: "rest 5329001001 lent-trunk" in a.lines.did)
        clock.now += 5_000_000
        await until(lambda: a.states() == b.states() == ["returned"])


async def test_a_line_that_forgot_the_seat_gets_it_again(tmp_path: Path) -> None:
    _, clock, a, b = await lend(tmp_path)
    async with a.running(), b.running():
        await b.desk.ask(B, "1001", A, 20, "")
        await until(lambda: a.states() == ["active"])
        a.lines.members.clear()
        clock.now += 1_100_000
        await until(lambda: a.lines.members == {"5329001001"})


async def test_a_dedicated_or_unknown_seat_is_not_lent(tmp_path: Path) -> None:
    _, _, a, b = await lend(tmp_path)
    async with a.running(), b.running():
        await b.desk.ask(B, "1901", A, 20, "")
        await until(lambda: a.states() == ["refused"])
        assert a.desk.leases()[0].why == "no-seat"


async def test_every_fencing_number_is_new_even_when_the_book_is_lost(tmp_path: Path) -> None:
    mail, clock, a, b = await lend(tmp_path)
    async with a.running():
        async with b.running():
            lease_id = await b.desk.ask(B, "1001", A, 20, "")
            await until(lambda: a.states() == ["active"])
            first = b.desk.find(lease_id)
            assert first is not None
            b.desk.recall(first, "")
            await until(lambda: a.states() == b.states() == ["returned"])
        b.path.write_text("{")
        again = Site(B, mail, tmp_path, clock)
        clock.now += 1_000_000
        async with again.running():
            await again.desk.ask(B, "1001", A, 20, "")
            await until(lambda: a.states() == ["returned", "active"])
            assert again.desk.leases()[0].fence == first.fence + 1
    assert b.path.with_suffix(".bad").exists()


@pytest.mark.parametrize("damage", ["gone", "{"])
async def test_a_seat_whose_lease_was_lost_comes_home_when_nobody_may_ring_it_any_more(
    tmp_path: Path, damage: str
) -> None:
    mail, clock, a, b = await lend(tmp_path)
    async with b.running(), a.running():
        await b.desk.ask(B, "1001", A, 20, "")
        await until(lambda: a.states() == ["active"])
    if damage == "gone":
        b.path.unlink()
    else:
        b.path.write_text(damage)
    again = Site(B, mail, tmp_path, clock)
    again.lines.rows, again.lines.until = b.lines.rows, b.lines.until
    async with again.running():
        clock.now += 2_000_000
        await asyncio.sleep(0.3)
        assert again.lines.rows and "home 1001" not in again.lines.did, "its borrower may ring it still"
        clock.now = again.lines.until["1001"] * 1_000_000 + TERMS.skew_us
        await until(lambda: "home 1001" in again.lines.did)
        assert not again.lines.rows


def test_the_book_reads_back_as_it_was(tmp_path: Path) -> None:
    book = leasebook.Book(B, TERMS)
    book, _ = leasebook.step(book, e.SeatAsked(f"{A}-7", 1, "1001", B, A))
    book, _ = leasebook.step(book, e.SeatSetAside(f"{A}-7", 2))
    bookfile.save(tmp_path / "book", book)
    assert bookfile.load(tmp_path / "book", B, TERMS) == book


@pytest.mark.parametrize("fields", [{}, {b"kind": b"SeatAsked"}, {b"kind": b"Nothing", b"values": b"{}"},
                                    {b"kind": b"SeatTaken", b"values": b'{"event":{}}'},
                                    {b"kind": b"SeatTaken", b"values": b"["}])  # fmt: skip
def test_what_is_no_letter_says_so(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError):
        letters.decode(fields)
