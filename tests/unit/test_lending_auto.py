"""The automatic rule at work: who is short asks, who is calm gives back, who falls under its own target recalls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cti.core.facts import Fact, Scalar
from cti.lending.auto import Auto, Now, Past
from tests.unit.test_lending import A, B, Clock, Mail, Site, until

pytestmark = pytest.mark.unit

FREE: Mapping[str, str] = {f"{n}": "NOT_INUSE" for n in range(1001, 1021)}


class Board:
    """`Letters`' views."""

    def __init__(self) -> None:
        self.views_said: dict[str, str] = {}
        self.me = ""

    async def say_view(self, view: str) -> None:
        self.views_said[json.loads(view)["code"]] = view

    async def views(self, sites: list[str]) -> dict[str, str]:
        return {site: self.views_said[site] for site in sites if site in self.views_said}


def auto(site: Site, other: str, board: Board, clock: Clock, now: Now) -> tuple[Auto, list[Now]]:
    box: Any = board
    shown = [now]
    made = Auto(site.desk, box, Past("12345"), [other], (25.0, 102.0), lambda: shown[0], clock, every_s=1, minutes=15)
    return made, shown


async def test_a_site_short_of_seats_borrows_what_the_other_has_free_and_once(tmp_path: Path) -> None:
    mail, clock, board = Mail(), Clock(), Board()
    a, b = Site(A, mail, tmp_path, clock), Site(B, mail, tmp_path, clock)
    short, _ = auto(a, B, board, clock, Now({"1001": "INUSE"}, waiting=6))
    rich, _ = auto(b, A, board, clock, Now(FREE, waiting=0))
    b.desk.around.lendable.update({seat: "12345" for seat in FREE})  # type: ignore[attr-defined]
    async with a.running(), b.running():
        await rich.once()
        await short.once()
        await until(lambda: a.states() != [] and set(a.states()) == {"active"} and len(a.states()) == len(b.states()))
        count = len(a.states())
        assert 1 <= count <= 10 and len(b.desk.lent) == count
        await rich.once()
        await short.once()
        await asyncio.sleep(0.2)
        assert len(a.states()) == count  # the first must show its effect


async def test_nobody_is_asked_while_the_other_is_out_of_touch(tmp_path: Path) -> None:
    mail, clock, board = Mail(), Clock(), Board()
    a = Site(A, mail, tmp_path, clock)
    short, _ = auto(a, B, board, clock, Now({"1001": "INUSE"}, waiting=6))
    await short.once()
    assert not a.desk.leases() and mail.boxes[B].empty()


def test_traffic_is_what_ended_in_the_last_half_hour() -> None:
    past = Past("12345")
    now = 10_000_000_000
    for n in range(40):
        talk: dict[str, Scalar] = {"hotline": "12345", "outcome": "answered", "talk_ms": 60_000}
        past.saw(Fact("CallEnded", now - n * 60_000_000, "r", talk, "live", f"k{n}"))
    past.saw(Fact("CallEnded", now, "r", {"hotline": "110", "outcome": "answered", "talk_ms": 1}, "live", "other"))
    past.saw(Fact("CallEnded", now, "r", {"hotline": "12345", "outcome": "unasked"}, "live", "unasked"))
    past.calls = type(past.calls)(sorted(past.calls))
    traffic = past.traffic(now, waiting=0)
    assert traffic.handle_s == 60.0 and traffic.rate == pytest.approx(31 / 1800)
