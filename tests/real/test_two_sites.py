"""Seats lent between two real sites: two Asterisks, two services, one Redis, a SIP trunk between them."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cti.dialtest.call import Call
from cti.dialtest.overflow import play_sites
from cti.dialtest.phone import Answer, Ring
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from cti.stack.sites import Sites
from cti.web.auth import Role, Tokens, Who

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

KUNMING, DALI = "530100", "532900"
LENT = f"{DALI}1001"
CLI = "13900005678"


@dataclass
class Both:
    """The borrower's stage and the owner's."""

    kunming: Stage
    dali: Stage


@pytest_asyncio.fixture(loop_scope="function")
async def both(runtime_root: RuntimeRoot, directory: Directory, tmp_path: Path) -> AsyncIterator[Both]:
    """Kunming with its 110 seat and no seat of 12345, Dali with one seat of 12345; afterwards no channel is left."""
    async with (
        Sites(runtime_root, tmp_path, directory, folder("config"), folder("dialplan")) as sites,
        stage(sites[0], seats=["8001"], callers=2) as kunming,
        stage(sites[1], seats=["1001"], callers=1, first_tone=20) as dali,
    ):
        await trunk_up(kunming)
        yield Both(kunming, dali)
        for phone in (*kunming.callers, *dali.callers, *kunming.seats.values(), *dali.seats.values()):
            for call in phone.calls:
                call.hangup()
        assert await kunming.leftovers() == [] and await dali.leftovers() == []


async def trunk_up(on: Stage, site: str = DALI) -> None:
    for _ in range(50):
        if any(f"site-{site}" in row and "Avail" in row for row in await on.rows("pjsip show contacts")):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the sites do not reach one another")


async def leases(on: Instance, path: str = "", body: dict[str, Any] | None = None,
                 role: Role = "coordinator") -> tuple[int, dict[str, Any]]:  # fmt: skip
    """GET, or POST with a body."""
    token = Tokens(on.http_secret).make(Who(role=role, seat="1001" if role == "agent" else "", hours=1))
    request = urllib.request.Request(
        f"http://127.0.0.1:{on.ports.http}/api/v1/leases{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip

    def ask() -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    return await asyncio.to_thread(ask)


async def settle(both: Both, lease: str, state: str, seconds: float = 5.0) -> None:
    said: list[list[str]] = []
    for _ in range(int(seconds * 20)):
        said = [[row["state"] for row in (await leases(on.instance))[1]["leases"] if row["lease"] == lease]
                for on in (both.kunming, both.dali)]  # fmt: skip
        if said == [[state], [state]]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{state} wanted on both sides, not {said}")


async def lend(both: Both, **more: Any) -> str:
    status, made = await leases(both.dali.instance, body={"seat": "1001", "to": KUNMING, **more})
    assert status == 202
    await settle(both, made["lease"], "active")
    return str(made["lease"])


async def test_a_lent_seat_takes_the_borrowers_callers_shows_whose_they_are_and_its_key_works(both: Both) -> None:
    await lend(both, why="暴雨")
    seat, target = both.dali.seats["1001"], both.kunming.seats["8001"]
    seat.on_invite, target.on_invite = Answer(0.1), Answer(0.3)
    call = await both.kunming.callers[0].dial("12345", caller_id=CLI)
    lent = await seat.wait_incoming(5)
    assert f"site={KUNMING}; hotline=12345" in (lent.invite.headers.get("X-Hotline") or "")
    assert "昆明市12345" in (lent.invite.headers.get("From") or "")
    await call.wait_heard(seat.name, 3)
    await lent.wait_heard(both.kunming.callers[0].name, 3)
    await lent.dtmf("*110")
    taken = await target.wait_incoming(3)
    await call.wait_heard(target.name, 3)
    await taken.wait_heard(both.kunming.callers[0].name, 3)
    await lent.wait_ended(3)
    assert not call.dtmf_heard and call.t_ended is None
    call.hangup()
    arrived = next(f for f in await both.kunming.facts() if f.kind == "CallArrived")
    assert await both.kunming.wait_fact("CallEnded", arrived.ref) is not None
    facts = await both.kunming.facts(arrived.ref)
    assert [(f.data["seat"], f.data["kind"]) for f in facts if f.kind == "SeatAnswered"] == [(LENT, "remote")]
    assert [f.data["outcome"] for f in facts if f.kind == "TransferEnded"] == ["answered"]
    assert not [f for f in facts if f.kind == "Anomaly"]


async def test_while_it_is_lent_its_own_site_does_not_ring_it_and_afterwards_does(both: Both) -> None:
    lease = await lend(both)
    seat = both.dali.seats["1001"]
    seat.on_invite = Answer(0.1)
    own = await both.dali.callers[0].dial("12345", caller_id=CLI)
    await asyncio.sleep(2.5)  # two ticks of app_queue
    assert not seat.calls
    status, _ = await leases(both.kunming.instance, f"/{lease}/recall", {})
    assert status == 202
    await settle(both, lease, "returned")
    assert await whose([seat], CLI, 3) is not None
    await own.wait_heard(seat.name, 3)
    own.hangup()


async def test_a_wrong_fencing_number_is_refused_and_the_caller_stays_in_line(both: Both) -> None:
    await lend(both)
    await both.kunming.rows(f"database put borrowed {LENT} 99~9999999999~12345")
    seat = both.dali.seats["1001"]
    call = await both.kunming.callers[0].dial("12345", caller_id=CLI)
    refused = []
    for _ in range(50):
        if refused := [f for f in await both.dali.facts() if f.kind == "LentSeatRefused"]:
            break
        await asyncio.sleep(0.1)
    assert refused[0].data == {"seat": "1001", "site": KUNMING, "fence": "99", "why": "fence"}
    assert not seat.calls and call.t_ended is None
    call.hangup()


async def test_a_talk_outlives_the_recall_and_the_seat_is_rung_by_nobody_meanwhile(both: Both) -> None:
    lease = await lend(both)
    seat = both.dali.seats["1001"]
    seat.on_invite = Answer(0.1)
    call = await both.kunming.callers[0].dial("12345", caller_id=CLI)
    await call.wait_heard(seat.name, 5)
    await leases(both.dali.instance, f"/{lease}/recall", {})
    await settle(both, lease, "returned")
    seat.on_invite = Ring()
    own = await both.dali.callers[0].dial("12345", caller_id="13900009999")
    await asyncio.sleep(1.5)
    assert len(seat.calls) == 1 and call.t_ended is None
    call.hangup()
    assert await whose([seat], "13900009999", 3) is not None
    own.hangup()


async def test_a_lent_phones_own_transfer_is_refused_and_the_two_go_on_talking(both: Both) -> None:
    await lend(both)
    seat = both.dali.seats["1001"]
    seat.on_invite = Answer(0.1)
    call = await both.kunming.callers[0].dial("12345", caller_id=CLI)
    first = await seat.wait_incoming(5)
    await call.wait_heard(seat.name, 3)
    assert await first.refer("110") == 202  # res_pjsip_refer accepts first; the NOTIFY tells what came of it
    assert await first.wait_refer() == 404
    await asyncio.sleep(1.0)
    assert first.t_ended is None and call.t_ended is None
    assert call.heard().longest_without({seat.name}, (first.t_answered or 0) + 0.5) < 200
    call.hangup()


async def test_a_lent_phone_that_dies_is_a_lost_seat_and_the_caller_is_first_in_line_again(both: Both) -> None:
    await lend(both)
    seat = both.dali.seats["1001"]
    seat.on_invite = Answer(0.1)
    call = await both.kunming.callers[0].dial("12345", caller_id=CLI)
    await call.wait_heard(seat.name, 5)
    await asyncio.sleep(2.2)  # who goes within 2 s has dropped the caller anyway
    seat.vanish()
    arrived = next(f for f in await both.kunming.facts() if f.kind == "CallArrived")
    lost = await both.kunming.wait_fact("SeatLost", arrived.ref, 16.0)  # rtp_timeout is 10 s
    assert lost is not None and lost.data["seat"] == LENT
    await call.wait_heard("music", 3)
    assert call.t_ended is None
    call.hangup()


async def test_a_site_with_a_line_and_no_seat_borrows_by_itself(runtime_root: RuntimeRoot, directory: Directory,
                                                                tmp_path: Path) -> None:  # fmt: skip
    auto = {"CTI_LENDING__AUTO": "true", "CTI_LENDING__EVERY": "1"}
    async with (
        Sites(runtime_root, tmp_path, directory, folder("config"), folder("dialplan"), settings=auto) as sites,
        stage(sites[0], seats=[], callers=4) as kunming,
        stage(sites[1], seats=["1001", "1002", "1003", "1004"], callers=0, first_tone=20) as dali,
    ):
        await trunk_up(kunming)
        for phone in dali.seats.values():
            phone.on_invite = Answer(0.1)
        calls = [await caller.dial("12345", caller_id=f"1390000000{n}") for n, caller in enumerate(kunming.callers)]
        answered: list[Call] = []
        for _ in range(300):
            answered = [call for phone in dali.seats.values() for call in phone.calls if call.t_answered is not None]
            if answered:
                break
            await asyncio.sleep(0.1)
        assert answered, await leases(sites[0])
        await asyncio.sleep(1.5)
        rows = (await leases(sites[1]))[1]["leases"]
        assert 1 <= len([row for row in rows if row["state"] == "active"]) <= 2, rows  # half of its seats at most
        for call in calls:
            assert call.t_ended is None
            call.hangup()


async def test_only_the_coordinator_moves_seats_and_refusals_have_codes(both: Both) -> None:
    on = both.dali.instance
    good = {"seat": "1001", "to": KUNMING}
    assert (await leases(on, body=good, role="supervisor"))[1]["code"] == "wrong-role"
    assert (await leases(on, body={**good, "seat": "1901"}))[1]["code"] == "no-seat"
    assert (await leases(on, body={**good, "to": "530300"}))[1]["code"] == "no-site"
    assert (await leases(on, body={**good, "to": DALI}))[1]["code"] == "no-site"
    assert (await leases(on, "/530100-1/recall", {}))[1]["code"] == "unknown-lease"
    lease = await lend(both)
    assert (await leases(on, body=good))[1]["code"] == "seat-lent"
    await leases(on, f"/{lease}/recall", {})
    await settle(both, lease, "returned")
    assert (await leases(on, f"/{lease}/recall", {}))[1]["code"] == "lease-over"


async def test_two_cycles_under_load_with_a_kill_each(runtime_root: RuntimeRoot, directory: Directory,
                                                      tmp_path: Path) -> None:  # fmt: skip
    report = await play_sites(runtime_root, tmp_path, directory, folder("config"), folder("dialplan"), 2, 5)
    assert report.passed, json.dumps(report.as_dict(), ensure_ascii=False, indent=1)
