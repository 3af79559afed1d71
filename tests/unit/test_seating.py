"""The seats of a running service: log-ins and their refusals on record, lines an agent's skills bar, an unknown state
touching nothing. Seat steps reach the core from AMI and from the file alike."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from cti.ami.members import Members
from cti.ami.translate import BadStep, Step, translate
from cti.core import events as e
from cti.core.model import SeatStatus
from cti.directory import Directory, load_directory
from cti.metrics import Metrics
from cti.pins import hash_pin
from cti.runtime import Runtime
from cti.seating import Seating, initial
from cti.share import folder

from .playbook import us
from .test_runtime import Outside, running

pytestmark = pytest.mark.unit

PIN = "58310274"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Directory:
    """1003 must be logged in and has the skill `water`, which hotline 96128 needs."""
    to = tmp_path_factory.mktemp("site") / "config"
    shutil.copytree(folder("config"), to)
    path = to / "seats.yaml"
    third = "kind: general, name: 12345三号席"
    path.write_text(path.read_text().replace(third, f"login: true, skills: [water], {third}"))
    path = to / "hotlines.yaml"
    names = "name: {zh: 水务, en: water}"
    water = f'  - {{number: "96128", platform: "12345", {names}, division: "530100", skills: [water]}}\n'
    path.write_text(path.read_text().replace("hotlines:\n", f"hotlines:\n{water}", 1))
    (to / "agents.yaml").write_text(f"""agents:
  - {{number: "2001", name: 甲, pin: "{hash_pin(PIN)}"}}
  - {{number: "2002", name: 乙, pin: "{hash_pin(PIN)}", skills: [land]}}
""")
    return load_directory(to, dt.date(2026, 11, 25))


class Site:
    """A seating on a runtime whose outsides are recorded."""

    def __init__(self, directory: Directory) -> None:
        self.outside = Outside(now=1000)
        self.seating = Seating(directory, Metrics())
        self.runtime = Runtime(self.outside, self.outside, self.outside, lambda: self.outside.now, lambda: None,
                               initial(directory))  # fmt: skip
        self.seating.runtime = self.runtime

    async def log_in(self, agent: str, pin: str | None, seat: str = "1003", at: float = 10) -> str:
        return await self.seating.log_in(seat, agent, pin, "phone", us(at))

    async def refusals(self) -> list[tuple[object, object]]:
        await self.runtime.ask(lambda _: None)
        return [(f.data["agent"], f.data["code"]) for f in self.outside.kinds("SeatLoginRefused")]


async def test_a_wrong_pin_and_no_such_agent_are_told_alike_and_the_number_typed_is_not_kept(
    directory: Directory,
) -> None:
    site = Site(directory)
    async with running(site.runtime):
        assert await site.log_in("2001", "1111") == "wrong-pin"
        assert await site.log_in(PIN, PIN, at=11) == "wrong-pin"
        assert await site.refusals() == [("2001", "wrong-pin"), ("", "wrong-pin")]
        assert PIN not in str(site.outside.facts)
        assert await site.log_in("2001", PIN, at=12) == "ok"
        assert site.runtime.site.seats["1003"].status is SeatStatus.READY


async def test_a_guesser_is_locked_out_and_a_supervisor_needs_no_pin(directory: Directory) -> None:
    site = Site(directory)
    async with running(site.runtime):
        for n in range(5):
            assert await site.log_in("2001", "1111", at=10 + n) == "wrong-pin"
        assert await site.log_in("2001", PIN, at=20) == "login-locked"
        assert (await site.refusals())[-1] == ("2001", "login-locked")
        assert await site.log_in("2001", None, at=21) == "ok"
        assert await site.log_in("9999", None, at=22, seat="1001") == "wrong-pin"


async def test_an_agent_serves_the_lines_his_skills_allow(directory: Directory) -> None:
    site = Site(directory)
    water = directory.hotline("96128")
    assert water is not None and [s.number for s in directory.serving(water)] == ["1003"]
    async with running(site.runtime):
        assert await site.log_in("2002", PIN) == "ok"
        assert site.seating.barred("1003") == ["96128"]
        site.runtime.hear(e.SeatLoggedOut("", us(30), "1003"), "live", "out")
        assert await site.log_in("2001", PIN, at=40) == "ok"
        assert not site.seating.barred("1003"), "no skills written: every line of the seat"


async def test_what_is_not_known_is_left_as_asterisk_has_it(directory: Directory) -> None:
    site = Site(directory)
    assert site.seating.wanted() is None
    untouched = Members(None, site.seating.wanted, site.seating.barred, {}, ())  # type: ignore[arg-type]
    await untouched.sync("1001")
    assert (await untouched.resync()).seats == 0
    site.seating.known = True
    wanted = site.seating.wanted()
    assert wanted is not None and wanted["1003"].paused and not wanted["1001"].paused


async def test_only_a_ready_seat_is_lent_and_its_lease_brings_it_home(directory: Directory) -> None:
    site = Site(directory)
    site.seating.members = Members(None, site.seating.wanted, site.seating.barred, {}, ())  # type: ignore[arg-type]
    async with running(site.runtime):
        assert not await site.seating.lend("1003", True, us(10)), "nobody is logged in"
        assert await site.seating.lend("1001", True, us(10)) and await site.seating.lend("1001", True, us(11))
        lent = site.runtime.site.seats["1001"]
        assert await site.seating.lend("1001", False, us(20)) and await site.seating.lend("1001", False, us(21))
        home = site.runtime.site.seats["1001"]
        assert (lent.status, home.status) == (SeatStatus.LENT, SeatStatus.READY)
        assert len(site.outside.kinds("SeatLent")) == len(site.outside.kinds("SeatReturned")) == 1


def step(name: str, **extra: str) -> Step:
    return Step(name, us(5), "530100-1.2", "PJSIP/1001-1", "", "", extra)


def test_a_seats_step_needs_no_call() -> None:
    said = translate(step("SeatPaused", seat="1001", reason="rest", by="phone"))
    assert said == e.SeatPaused("", us(5), "1001", "rest", "phone")
    assert translate(step("RingMissed", seat="1001", n="2")) == e.RingMissed("", us(5), "1001", 2)


@pytest.mark.parametrize("seat", ["", "10a1"])
def test_a_seats_step_without_a_seat_is_a_bad_one(seat: str) -> None:
    assert isinstance(translate(step("SeatPaused", seat=seat)), BadStep)


def test_the_shipped_seats_are_all_open(tmp_path: Path) -> None:
    shipped = load_directory(folder("config"), dt.date(2026, 11, 25))
    assert {s.status for s in initial(shipped).values()} == {SeatStatus.READY}
