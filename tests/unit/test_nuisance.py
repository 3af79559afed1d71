"""The nuisance list: the table, stories, who may do what, the rate rule, AstDB's rows, the file and the API."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from panoramisk.message import Message

from cti.ami.actions import AmiLost, AmiRefused
from cti.core import events as e
from cti.core import nuisance, nuisance_desk
from cti.core.asking import No
from cti.core.commands import Record
from cti.core.entry import EntryBook, normalise_caller
from cti.core.facts import Fact
from cti.core.listing import Listing, ListingState
from cti.core.model import Call, SeatNow, Site
from cti.core.nuisance import DAY_US, STANDS_US
from cti.core.nuisance_desk import Limits
from cti.core.nuisance_rate import Rates, ShortCalls
from cti.directory import check_directory, load_directory
from cti.memory import Memory
from cti.nuisance import NuisanceList
from cti.recordings.folder import Folder
from cti.replay import replay_call
from cti.share import folder
from cti.web.auth import Tokens, Who
from cti.web.nuisance import NuisanceApi
from cti.web.problems import STATUS, WORDS
from cti.web.transfers import problems

from .playbook import REF, Play, us

T = TypeVar("T")
NUMBER = "13900001111"
TODAY = dt.date(2026, 11, 25)
LIMITS = Limits(days=30, most_days=60, never={"110", "12345", "1001"})


def proposed(at: float = 0, entry: str = "n1", number: str = NUMBER) -> e.NuisanceProposed:
    return e.NuisanceProposed("", us(at), entry, number, "2001", "反复辱骂", REF, 30)


def listed(until: float = 100) -> list[e.Event]:
    return [proposed(), e.NuisanceApproved("", us(1), "n1", "li", us(until))]


# -- the table ---------------------------------------------------------------------------------------------------------
def test_every_pair_is_decided() -> None:
    for state in ListingState:
        assert set(nuisance.TABLE[state]) == set(e.NUISANCE_EVENTS), state


def test_a_proposal_lists_nobody() -> None:
    play = Play()
    play(proposed())
    assert nuisance.listed(play.site) == {}
    play(e.NuisanceApproved("", us(1), "n1", "li", us(100)))
    assert nuisance.listed(play.site)[NUMBER].approved_by == "li"


def test_it_expires_at_its_end_whenever_somebody_looks() -> None:
    play = Play()
    play(*listed(), e.ClockTicked("", us(99.999999)))
    assert nuisance.listed(play.site)
    play(e.ClockTicked("", us(500)))
    (ended,) = play.records("NuisanceEnded")
    assert (ended.at, ended.data["how"], ended.data["by"]) == (us(100), "expired", "clock")
    play(e.NuisanceRemoved("", us(501), "n1", "li"), e.ClockTicked("", us(502)))
    assert len(play.records("NuisanceEnded")) == 1, "exactly one terminal record"


def test_a_step_after_the_end_is_judged_by_its_own_time() -> None:
    play = Play()
    play(*listed(), e.NuisanceAppealed("", us(101), "n1", "2001", "late"))
    assert play.records("NuisanceEnded")[0].data["how"] == "expired"
    assert not play.site.nuisance["n1"].appealed_at


def test_silence_is_no_approval() -> None:
    play = Play()
    play(proposed(), e.ClockTicked("", nuisance.LAPSE_US))
    assert play.records("NuisanceEnded")[0].data["how"] == "lapsed"
    play(e.ClockTicked("", nuisance.LAPSE_US + nuisance.KEEP_US + 1))
    assert play.site == Site()


@pytest.mark.parametrize(("event", "how"), [
    (e.NuisanceRemoved("", us(5), "n1", "li", "note"), "removed"), (e.AppealGranted("", us(5), "n1", "wang"), "appeal"),
])  # fmt: skip
def test_ended_before_its_time(event: e.Event, how: str) -> None:
    play = Play()
    play(*listed(), e.NuisanceAppealed("", us(4), "n1", "2001", "号码已过户"), event)
    (ended,) = play.records("NuisanceEnded")
    assert (ended.data["how"], ended.at) == (how, us(5)) and not nuisance.listed(play.site)


def test_a_refused_appeal_leaves_it_and_another_may_follow() -> None:
    play = Play()
    play(*listed(), e.NuisanceAppealed("", us(4), "n1", "2001", "one"), e.AppealRefused("", us(5), "n1", "wang", "no"))
    one = play.site.nuisance["n1"]
    assert one.state is ListingState.LISTED and not one.appealed_at and one.appeal_said == "refused wang: no"
    said = nuisance_desk.appeal(play.site, "n1", "2001", "two", us(6))
    assert isinstance(said, e.NuisanceAppealed)


def test_a_snapshot_alone_rebuilds_an_open_entry_and_never_revives_an_ended_one() -> None:
    play = Play()
    play(*listed(), e.NuisanceAppealed("", us(4), "n1", "2001", "号码已过户"))
    one = play.site.nuisance["n1"]
    told = nuisance.stands(one, us(50))
    assert e.make("NuisanceStands", "", told.at, e.values_of(told)) == told
    fresh = Play()
    fresh(e.NuisanceRemoved("", us(3), "n1", "x"), told)  # a step of an unknown entry is no anomaly
    made = fresh.site.nuisance["n1"]
    assert made == Listing(**{**{f: getattr(one, f) for f in one.__slots__}, "told_at": us(50)})
    play(e.NuisanceRemoved("", us(60), "n1", "li"), nuisance.stands(one, us(61)))
    assert play.site.nuisance["n1"].state is ListingState.ENDED


STEPS = st.lists(st.one_of(
    st.builds(lambda at: proposed(at), st.floats(0, 200)),
    st.builds(lambda at: e.NuisanceApproved("", us(at), "n1", "li", us(at + 50)), st.floats(0, 200)),
    *(st.builds(lambda at, kind=kind: kind("", us(at), "n1", "li"), st.floats(0, 200))
      for kind in (e.NuisanceRejected, e.NuisanceRemoved, e.NuisanceAppealed, e.AppealGranted, e.AppealRefused)),
    st.builds(lambda at: e.ClockTicked("", us(at)), st.floats(0, 200))), max_size=30)  # fmt: skip


@given(STEPS)
def test_in_any_order_it_ends_at_most_once_and_is_never_listed_without_an_approver(events: list[e.Event]) -> None:
    play = Play()
    for event in events:
        play(event)
        assert all(one.approved_by and one.until for one in nuisance.listed(play.site).values())
    assert len({r.key for r in play.records("NuisanceEnded")}) == len(play.records("NuisanceEnded")) <= 1


# -- who may do what ---------------------------------------------------------------------------------------------------
def ask_to_propose(site: Site, number: str, *, by: str = "2001", evidence: tuple[str, ...] = (REF,), days: int = 0,
                   entry: str = "n2") -> Any:  # fmt: skip
    return nuisance_desk.propose(site, entry, number, by, "why", evidence, days, us(1), LIMITS)


@pytest.mark.parametrize("number", ["", " ", "anonymous", "Unavailable", "+", "12", "sip:1@x", "١٣٩٠٠٠٠١١١١"])
def test_a_withheld_or_empty_number_cannot_be_listed(number: str) -> None:
    assert ask_to_propose(Site(), number) == No("nuisance-no-number")


@pytest.mark.parametrize("number", ["110", "12345", "1001", "+110"])
def test_our_own_numbers_and_emergency_services_cannot_be_listed(number: str) -> None:
    assert isinstance(ask_to_propose(Site(), number), No)


@pytest.mark.parametrize("number", ["13900001111", "+8613900001111", "0086 139-0000-1111", "013900001111"])
def test_however_it_is_written_it_is_one_number(number: str) -> None:
    assert ask_to_propose(Site(), number).number == NUMBER
    play = Play()
    play(proposed())
    assert ask_to_propose(play.site, number) == No("nuisance-open")


def test_no_evidence_no_name_too_long() -> None:
    assert ask_to_propose(Site(), NUMBER, evidence=()) == No("nuisance-no-evidence")
    assert ask_to_propose(Site(), NUMBER, evidence=("not a ref",)) == No("nuisance-no-evidence")
    assert ask_to_propose(Site(), NUMBER, by="") == No("no-name")
    assert ask_to_propose(Site(), NUMBER, days=61) == No("nuisance-too-long")
    assert ask_to_propose(Site(), NUMBER).days == LIMITS.days


def test_who_proposes_does_not_approve_and_who_approved_does_not_decide_the_appeal() -> None:
    play = Play()
    play(proposed())
    assert nuisance_desk.approve(play.site, "n1", "2001", 0, "", us(1), LIMITS) == No("nuisance-same-person")
    assert nuisance_desk.approve(play.site, "n1", "", 0, "", us(1), LIMITS) == No("no-name")
    assert nuisance_desk.approve(play.site, "n1", "li", 61, "", us(1), LIMITS) == No("nuisance-too-long")
    said = nuisance_desk.approve(play.site, "n1", "li", 7, "", us(1), LIMITS)
    assert isinstance(said, e.NuisanceApproved) and said.until == us(1) + 7 * DAY_US
    play(said)
    assert nuisance_desk.approve(play.site, "n1", "li", 7, "", us(2), LIMITS) == play.site.nuisance["n1"], "a repeat"
    assert nuisance_desk.approve(play.site, "n1", "wang", 7, "", us(2), LIMITS) == No("nuisance-not-proposed")
    assert nuisance_desk.decide(play.site, "n1", "wang", True, "", us(2)) == No("nuisance-no-appeal")
    play(e.NuisanceAppealed("", us(3), "n1", "2001", "x"))
    assert nuisance_desk.appeal(play.site, "n1", "2001", "x", us(4)) == play.site.nuisance["n1"]
    assert nuisance_desk.appeal(play.site, "n1", "2002", "y", us(4)) == No("nuisance-appeal-open")
    assert nuisance_desk.decide(play.site, "n1", "li", False, "", us(4)) == No("nuisance-same-person")
    assert isinstance(nuisance_desk.decide(play.site, "n1", "wang", False, "", us(4)), e.AppealRefused)


def test_rejecting_and_removing_each_fit_one_state() -> None:
    play = Play()
    assert nuisance_desk.reject(play.site, "n1", "li", "", us(1)) == No("unknown-nuisance")
    play(proposed())
    assert nuisance_desk.remove(play.site, "n1", "li", "", us(1)) == No("nuisance-not-listed")
    said = nuisance_desk.reject(play.site, "n1", "li", "", us(1))
    assert isinstance(said, e.NuisanceRejected)
    play(said)
    assert nuisance_desk.reject(play.site, "n1", "li", "", us(2)) == play.site.nuisance["n1"]
    assert nuisance_desk.reject(play.site, "n1", "wang", "", us(2)) == No("nuisance-not-proposed")


# -- a listed caller's call --------------------------------------------------------------------------------------------
def facts_of(play: Play, events: list[e.Event]) -> list[Fact]:
    told = [Fact(type(x).__name__, x.at, x.ref, e.values_of(x), "live", f"{type(x).__name__}/{x.at}") for x in events]
    made = [Fact(r.kind, r.at, r.ref, r.data, "live", r.key) for r in play.commands if isinstance(r, Record)]
    return told + made


@pytest.mark.parametrize(("how", "outcome", "notice"), [("", "unasked", "told"), ("key", "abandoned", "key"),
                                                       ("stayed", "abandoned", "stayed")])  # fmt: skip
def test_who_leaves_in_the_notice_asked_for_nobody_who_went_on_counts_as_anyone(
    how: str, outcome: str, notice: str
) -> None:
    play = Play()
    events: list[e.Event] = [e.CallArrived(REF, us(0), "12345", NUMBER), e.NuisanceTold(REF, us(1), "n1")]
    if how:
        events += [e.NuisancePassed(REF, us(5), how), e.CallerQueued(REF, us(6), "12345", 0)]
    events.append(e.CallerLeft(REF, us(20)))
    play(*events)
    (ended,) = play.records("CallEnded")
    assert (ended.data["outcome"], ended.data["notice"]) == (outcome, notice)
    assert not play.records("Anomaly") and replay_call(facts_of(play, events)) == []


# -- the rate rule -----------------------------------------------------------------------------------------------------
RULE = ShortCalls(calls=3, seconds=10, minutes=30)


def short(rates: Rates, n: int, *, at: float = 0, length: float = 5, outcome: str = "answered", **more: Any) -> None:
    start = us(at)
    call = Call(f"530100-1.{n}", str(more.pop("hotline", "12345")), str(more.pop("caller", NUMBER)), start,
                answered_at=start if outcome == "answered" else 0, **more)  # fmt: skip
    rates.saw(call, outcome, start + us(length))


def test_so_many_short_calls_in_so_many_minutes() -> None:
    rates = Rates()
    for n in range(2):
        short(rates, n, at=60 * n)
    assert rates.due(NUMBER, RULE, us(200)) == ()
    short(rates, 2, at=120, length=10)
    assert rates.due(NUMBER, RULE, us(200)) == (), "10 s is not shorter than 10 s"
    short(rates, 3, at=180, caller="+86" + NUMBER)
    assert len(rates.due(NUMBER, RULE, us(200))) == 3
    assert rates.due(NUMBER, RULE, us(5 + 30 * 60)) == (), "the first is out of the window"


@pytest.mark.parametrize("more", [
    {"outcome": "refused"}, {"outcome": "timeout"}, {"outcome": "callback"}, {"outcome": "called-back"},
    {"hotline": "110"}, {"platforms": ("12345", "110")}, {"danger": True}, {"caller": ""}, {"caller": "anonymous"},
])  # fmt: skip
def test_what_we_failed_to_do_danger_110_and_withheld_numbers_do_not_count(more: dict[str, Any]) -> None:
    rates = Rates()
    for n in range(9):
        short(rates, n, **more)
    assert not rates.fresh and rates.due(NUMBER, RULE, us(10)) == () == rates.due("", RULE, us(10))


def test_the_wait_of_an_answered_caller_is_not_his_talk_and_one_call_counts_once() -> None:
    rates = Rates()
    for _ in range(9):
        short(rates, 1)
    assert rates.due(NUMBER, RULE, us(10)) == ()


def test_the_memory_counts_them_from_the_ledger_too() -> None:
    memory = Memory()
    for n in range(3):
        ref = f"530100-1.{n}"
        for event in (e.CallArrived(ref, us(n), "12345", NUMBER), e.CallerLeft(ref, us(n + 0.5))):
            told = Fact(type(event).__name__, event.at, ref, e.values_of(event), "live", f"{n}{event.at}")
            memory.adopt(told, us(99))
    assert memory.rates.fresh == {NUMBER} and len(memory.rates.due(NUMBER, RULE, us(9))) == 3


# -- AstDB -------------------------------------------------------------------------------------------------------------
class Desk:
    """A runtime without a loop of its own."""

    def __init__(self) -> None:
        self.memory = Memory({"1001": SeatNow("1001", agent="2001")})
        self.listeners: list[Callable[[Fact], None]] = []
        self.heard: list[e.Event] = []

    @property
    def site(self) -> Site:
        return self.memory.site

    async def ask(self, decide: Callable[[Site], T], key: str = "") -> T:
        said = decide(self.site)
        if isinstance(said, e.Event):
            self.hear(said, "service", key)
        return said

    def hear(self, event: e.Event, source: str, key: str) -> None:
        self.heard.append(event)
        self.memory.step(event, event.at)
        for listener in self.listeners:
            listener(Fact(type(event).__name__, event.at, event.ref, e.values_of(event), "service", key))

    def act(self, command: object) -> None:
        raise AssertionError("the list asks nothing of Asterisk by command")


class Db:
    """AstDB behind AMI."""

    connected = True

    def __init__(self, rows: dict[tuple[str, str], str]) -> None:
        self.rows, self.fail = rows, False

    async def list_action(self, name: str, headers: dict[str, str]) -> list[dict[str, str]]:
        assert name == "DBGetTree"
        found = [{"Key": f"/{f}/{k}", "Val": v} for (f, k), v in self.rows.items() if f == headers["Family"]]
        if not found:
            raise AmiRefused(name, Message({"Response": "Error", "Message": "Database entry not found"}))
        return found

    async def action(self, name: str, headers: dict[str, str]) -> None:
        if self.fail:
            raise AmiLost(name, sent=False, why="no link")
        at = headers["Family"], headers["Key"]
        if name == "DBPut":
            self.rows[at] = headers["Val"]
        else:
            del self.rows[at]


NOW = int(dt.datetime(2026, 11, 25, tzinfo=dt.UTC).timestamp()) * 1_000_000


def a_list(db: Db, desk: Desk, known: bool = True) -> NuisanceList:
    directory = load_directory(folder("config"), TODAY)
    return NuisanceList(directory, db, desk, EntryBook({"12345": "530100"}), lambda: known, lambda: NOW)  # type: ignore[arg-type]


def approved(desk: Desk, until: int = NOW + DAY_US) -> None:
    desk.hear(e.NuisanceProposed("", NOW, "n1", NUMBER, "2001", "why", REF, 1), "service", "a")
    desk.hear(e.NuisanceApproved("", NOW, "n1", "li", until), "service", "b")


@pytest.mark.asyncio
async def test_rows_are_laid_and_what_is_not_listed_any_more_is_taken_out() -> None:
    db = Db({("nuisance", "13000000000"): "9999999999~n0", ("nuisance-free", "1"): "5",
             ("nuisance-free", "2"): "9999999999"})  # fmt: skip
    desk = Desk()
    of_site = a_list(db, desk)
    approved(desk)
    await of_site._publish()
    assert db.rows["nuisance", NUMBER] == f"{(NOW + DAY_US) // 1_000_000}~n1"
    assert set(db.rows) == {("nuisance", NUMBER), ("nuisance", "10000000000"), ("nuisance-free", "2")}
    assert of_site.book().listed(normalise_caller(NUMBER), TODAY) is not None
    desk.hear(e.NuisanceRemoved("", NOW, "n1", "li"), "service", "c")
    await of_site._publish()
    assert ("nuisance", NUMBER) not in db.rows
    assert of_site.book().listed(normalise_caller(NUMBER), TODAY) is None


@pytest.mark.asyncio
async def test_with_the_ledger_unread_nothing_is_taken_out() -> None:
    db = Db({("nuisance", "13000000000"): "9999999999~n0"})
    await a_list(db, Desk(), known=False)._publish()
    assert ("nuisance", "13000000000") in db.rows


@pytest.mark.asyncio
async def test_a_link_lost_in_the_middle_is_begun_again() -> None:
    db, desk = Db({}), Desk()
    of_site = a_list(db, desk)
    approved(desk)
    db.fail = True
    with pytest.raises(AmiLost):
        await of_site._publish()
    db.fail = False
    await of_site._publish()
    assert ("nuisance", NUMBER) in db.rows


def test_open_entries_are_told_again_before_the_day_forgets_them() -> None:
    db, desk = Db({}), Desk()
    of_site = a_list(db, desk)
    desk.hear(e.NuisanceProposed("", NOW - STANDS_US, "n1", NUMBER, "2001", "why", REF, 1), "service", "a")
    of_site.tell()
    of_site.tell()
    assert [type(x).__name__ for x in desk.heard] == ["NuisanceProposed", "NuisanceStands"]


@pytest.mark.asyncio
async def test_the_rule_proposes_once_and_rests_after_a_person_said_no() -> None:
    db, desk = Db({}), Desk()
    of_site = a_list(db, desk)
    assert of_site.rule is not None

    def ring(first: int) -> None:
        for n in range(first, first + of_site.rule.calls):  # type: ignore[union-attr]
            short(desk.memory.rates, n, at=NOW / 1e6 - 60)

    ring(0)
    await of_site._propose()
    ring(100)
    await of_site._propose()
    (made,) = [x for x in desk.heard if isinstance(x, e.NuisanceProposed)]
    assert (made.by, made.rule) == ("rule", "short-calls") and nuisance.listed(desk.site) == {}
    desk.hear(e.NuisanceRejected("", NOW, made.entry, "li"), "service", "x")
    ring(200)
    await of_site._propose()
    assert len([x for x in desk.heard if isinstance(x, e.NuisanceProposed)]) == 1


# -- the file ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("before", "after", "says"), [
    ("days: 30 ", "days: 181 ", "默认 181 天长于最长的 180 天"), ("calls: 8", "calls: 2", "不得小于 3"),
    ("seconds: 10", "seconds: 0", "不得小于 1"), ("minutes: 30", "minutes: 1441", "不得大于 1440"),
    ("short_calls:", "short_call:", "did you mean 'short_calls'?"), ("wait: 5 ", "wait: 1 ", "不得小于 2"),
    ('"10000000000"', '"119"', "紧急、联动单位"), ('"10000000000"', '""', "nuisance.yaml"),
])  # fmt: skip
def test_a_wrong_rule_is_named_with_file_and_line(tmp_path: Path, before: str, after: str, says: str) -> None:
    shutil.copytree(folder("config"), tmp_path / "config")
    path = tmp_path / "config" / "nuisance.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    wrong = [p for p in check_directory(tmp_path / "config", TODAY).problems if p.level == "error"]
    assert len(wrong) == 1 and wrong[0].file.endswith("nuisance.yaml") and wrong[0].line > 3
    assert says in str(wrong[0]), wrong[0]


# -- the API -----------------------------------------------------------------------------------------------------------
KEY = "a key of sixteen or more"
AGENT, BOSS, CHIEF = Who("agent", "1001"), Who("supervisor", name="li"), Who("supervisor", name="wang")
OWN = {"number": NUMBER, "reason": "反复辱骂", "evidence": [REF]}


class Client:
    def __init__(self, client: TestClient[Any, Any], desk: Desk) -> None:
        self.client, self.desk = client, desk

    async def __call__(self, path: str, who: Who | None, body: Any = None, key: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {Tokens(KEY).make(who)}"} if who else {}
        headers |= {"Idempotency-Key": key} if key else {}
        at = f"/api/v1/nuisance{path}"
        method = "GET" if body is None else "POST"
        async with self.client.request(method, at, json=body, headers=headers) as told:
            return told.status, await told.json(content_type=None)


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    desk = Desk()
    app = web.Application(middlewares=[problems])
    NuisanceApi(desk, Tokens(KEY), a_list(Db({}), desk), Folder(tmp_path), lambda: NOW).add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield Client(client, desk)


def test_every_code_has_a_status_and_words() -> None:
    assert set(nuisance_desk.NUISANCE_CODES) <= set(STATUS) and set(nuisance_desk.NUISANCE_CODES) <= set(WORDS)


@pytest.mark.asyncio
async def test_the_roles(api: Client) -> None:
    assert (await api("", None))[1]["code"] == "not-signed-in"
    assert (await api("", Who("read-only"), OWN))[1]["code"] == "wrong-role"
    status, made = await api("", AGENT, OWN, "k")
    assert (status, made["proposed_by"], made["number"]) == (201, "2001", "…11")
    assert await api("", AGENT, OWN, "k") == (200, made), "the same key is the same proposal"
    for act in ("approve", "reject", "remove"):
        assert (await api(f"/{made['entry']}/{act}", AGENT, {}))[1]["code"] == "wrong-role"
    assert (await api(f"/{made['entry']}/appeal/decide", AGENT, {"outcome": "granted"}))[1]["code"] == "wrong-role"
    assert (await api(f"/{made['entry']}/approve", Who("supervisor"), {}))[1]["code"] == "no-name"
    status, one = await api(f"/{made['entry']}/approve", BOSS, {"days": 2, "note": "属实"})
    assert (status, one["state"], one["until"], one["number"]) == (200, "listed", NOW + 2 * DAY_US, NUMBER)
    assert (await api(f"/{made['entry']}", Who("read-only")))[1]["number"] == "…11"


@pytest.mark.asyncio
@pytest.mark.parametrize(("change", "status", "code"), [
    ({"number": ""}, 422, "nuisance-no-number"), ({"number": "anonymous"}, 422, "nuisance-no-number"),
    ({"number": "110"}, 422, "nuisance-own-number"), ({"evidence": []}, 422, "nuisance-no-evidence"),
    ({"days": 181}, 422, "nuisance-too-long"), ({"days": "3"}, 422, "invalid-field"),
    ({"reason": ""}, 422, "invalid-field"), ({"wy": 1}, 422, "invalid-field"),
    ({"number": None, "call": REF}, 404, "unknown-call"),
])  # fmt: skip
async def test_a_proposal_refused(api: Client, change: dict[str, Any], status: int, code: str) -> None:
    got, problem = await api("", BOSS, OWN | change)
    assert (got, problem["code"]) == (status, code)
    assert NUMBER not in str(problem) and not api.desk.heard


@pytest.mark.asyncio
async def test_the_number_of_a_call_at_hand_is_taken_from_it_and_it_is_evidence(api: Client) -> None:
    api.desk.hear(e.CallArrived(REF, NOW, "12345", "+86" + NUMBER), "live", "x")
    assert (await api("", AGENT, {"call": REF, "reason": "辱骂"}))[1]["code"] == "not-your-call"
    status, made = await api("", CHIEF, {"call": REF, "reason": "辱骂"})
    assert (status, made["number"], made["evidence"], made["proposed_by"]) == (201, NUMBER, [REF], "wang")


@pytest.mark.asyncio
async def test_lists_by_state_the_files_entries_and_what_is_not_there(api: Client) -> None:
    _, told = await api("", BOSS)
    (of_file,) = told["nuisance"]
    assert (of_file["source"], of_file["number"]) == ("file", "10000000000")
    assert (await api(f"/{of_file['entry']}/remove", BOSS, {}))[1]["code"] == "nuisance-in-file"
    assert (await api("/n404", BOSS))[0] == 404
    assert (await api("?state=x", BOSS))[1]["code"] == "invalid-field"
    assert (await api("?state=proposed", BOSS))[1] == {"nuisance": []}
