"""Provisioning: fetched over HTTPS by its own address; a real SIP client set up from it does what its keys say."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from cti.cli.phones import self_signed
from cti.core.facts import Fact
from cti.dialtest.call import Call
from cti.dialtest.phone import Phone
from cti.dialtest.stack import TONES, Stage, stage
from cti.directory import Directory
from cti.phones import yealink
from cti.phones.book import Book, Handset, Server, Vendor
from cti.phones.render import FORMS, base
from cti.phones.serve import FAILURES, PhoneServer, Shelf, tls_context
from cti.phones.tokens import token
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.baresip import Baresip
from tests.real.story import ended, outcomes

pytestmark = pytest.mark.real

KEY = b"k" * 32
SEATS: dict[Vendor, str] = {"yealink": "1001", "grandstream": "1002", "fanvil": "1003"}


def book(server: tuple[str, int] = ("10.0.0.5", 5060), url: str = "https://127.0.0.1:8443") -> Book:
    """Three handsets, one of each vendor."""
    phones = tuple(Handset(seat=seat, vendor=vendor, mac=f"0015651000{seat[-2:]}") for vendor, seat in SEATS.items())
    return Book(server=Server(host=server[0], port=server[1]), url=url, transfer_key=True, phones=phones)


@pytest.fixture
def certificate(runtime_root: RuntimeRoot, tmp_path: Path) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1."""
    self_signed("127.0.0.1", tmp_path / "tls", 2, runtime_root.path.parent)
    return tmp_path / "tls"


@contextlib.asynccontextmanager
async def served(shelf: Shelf, tls: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """The server on a port of its own, and a client that trusts its certificate and no other."""
    server = PhoneServer("127.0.0.1", 0, tls_context(tls / "cert.pem", tls / "key.pem"), lambda: shelf)
    trust = ssl.create_default_context(cafile=str(tls / "cert.pem"))
    running = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(5):
            await server.ready.wait()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as client:
            yield client, f"https://127.0.0.1:{server.port}"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_handset_fetches_its_own_file_and_no_other_by_no_other_address(
        directory: Directory, certificate: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    shelf = Shelf(book(), directory, KEY)
    async with served(shelf, certificate) as (client, where):
        for handset in shelf.book.phones:
            name = FORMS[handset.vendor].file_name(handset.mac)
            async with client.get(f"{where}/p/{token(KEY, handset)}/{name}") as answer:
                assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
                values = FORMS[handset.vendor].parse(await answer.text())
            seat = directory.seat(handset.seat)
            assert seat is not None and seat.password(KEY) in values.values()
        mine, other, third = shelf.book.phones
        secret, renewed = token(KEY, mine), mine.model_copy(update={"renew": 1})
        wrong = [
            "/", "/p/", f"/p/{secret}/", f"/p/{secret}", f"/{mine.mac}.cfg", f"/p/{secret}/../{mine.mac}.cfg",
            f"/p/{secret}/cfg{other.mac}.xml", f"/p/{token(KEY, third)}/{mine.mac}.cfg", f"/p/{secret}/{mine.mac}.xml",
            f"/p/{token(KEY, renewed)}/{mine.mac}.cfg", f"/p/{secret[:-1]}/{mine.mac}.cfg", f"/p//{mine.mac}.cfg",
        ]  # fmt: skip
        for path in wrong[:FAILURES]:
            async with client.get(where + path, allow_redirects=False) as answer:
                assert (answer.status, await answer.text()) == (404, ""), path
        async with client.get(f"{where}/p/{secret}/{mine.mac}.cfg") as answer:  # the right one too: who guesses waits
            assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 61
    async with served(shelf, certificate) as (client, where):
        for path in wrong[FAILURES:]:
            async with client.get(where + path) as answer:
                assert answer.status == 404, path
        async with client.post(f"{where}/p/{secret}/{mine.mac}.cfg") as answer:
            assert answer.status == 405
        with pytest.raises(aiohttp.ClientConnectionError):
            async with client.get(where.replace("https", "http") + "/"):
                pass
        stranger = aiohttp.ClientSession()  # trusts the system's authorities: not this certificate
        with pytest.raises(aiohttp.ClientSSLError):
            await stranger.get(where + "/")
        await stranger.close()
    said = "".join(capsys.readouterr())
    assert "phone_fetched" in said and secret not in said, "a secret in the log"


async def test_a_real_client_does_what_the_keys_of_its_file_say(
        instance: Instance, runtime_root: RuntimeRoot, certificate: Path, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The seat's phone is baresip: set up from what it fetched over HTTPS, each key pressed as that file has it."""
    shelf = Shelf(book(("127.0.0.1", instance.ports.sip)), instance.directory, instance.key)
    handset = shelf.book.phones[0]
    async with served(shelf, certificate) as (client, where):
        assert base(shelf.book, instance.key, handset).startswith("https://127.0.0.1:8443/p/")
        async with client.get(f"{where}/p/{token(instance.key, handset)}/{handset.mac}.cfg") as answer:
            file = yealink.parse(await answer.text())
    keys = {file[f"linekey.{n}.label"]: (int(file[f"linekey.{n}.type"]), file[f"linekey.{n}.value"])
            for n in range(1, 25) if f"linekey.{n}.type" in file}  # fmt: skip
    lamps = tuple(value for kind, value in keys.values() if kind == yealink.TYPES["blf"])
    assert keys["一键转110"] == (11, "*110") and keys["盲转110"] == (3, "110")
    assert keys["三方"] == (11, "*0") and keys["取回"] == (11, "*9") and keys["示忙"] == (13, "*13")
    assert "1901" in lamps and "110" in lamps
    server = (file["account.1.sip_server.1.address"], int(file["account.1.sip_server.1.port"]))
    async with (stage(instance, seats=["1901", "8001", "8002"], callers=1) as on,
                Baresip(runtime_root, tmp_path / "baresip", file["account.1.user_name"], file["account.1.password"],
                        server, tone=TONES[20], lamps=lamps) as phone):  # fmt: skip
        assert "OK" in await phone.do("reginfo")
        # A party the callers' detectors know by its tone, though none of ours:
        monkeypatch.setitem(Phone._parties, TONES[20], Phone("1001", TONES[20], server, "1001", None))
        await _lamp_follows_a_colleague(on, phone)
        await _taken_back_then_three(on, phone, keys["一键转110"][1], keys["取回"][1], keys["三方"][1])
        first = await _answered(on, phone, "13900001111", 2)
        await phone.press(keys["一键转110"][1])
        facts = await _moved(on, phone, first, "13900001111", 2)
        assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["dtmf"]
        second = await _answered(on, phone, "13900002222", 3)
        await phone.do("transfer", keys["盲转110"][1])
        facts = await _moved(on, phone, second, "13900002222", 3)
        assert [f.data["key"] for f in facts if f.kind == "TransferStarted"] == ["refer"]
        assert "SIP/2.0 202 Accepted" in phone.trace
        for label, kind in (("示忙", "SeatPaused"), ("就绪", "SeatMadeReady")):
            await phone.do("dial", keys[label][1])
            await _seat_fact(on, kind)
        assert await on.leftovers() == []


async def _lamp_follows_a_colleague(on: Stage, phone: Baresip) -> None:
    """baresip has Event: presence alone; the same hint feeds dialog-info (test_blf)."""
    at = await phone.traced("SUBSCRIBE sip:1901@")
    assert "Event: presence" in phone.trace[at:]
    at = await phone.traced('<tuple id="1901">', at)
    assert "<note>Ready</note>" in phone.trace[at - 400 : at]
    call = await on.seats["1901"].dial("600")
    assert await call.wait_answered(5)
    at = await phone.traced("<note>On the phone</note>", at)
    assert 'id="1901"' in phone.trace[at : at + 200]
    call.hangup()
    await phone.traced("<note>Ready</note>", at)


async def _taken_back_then_three(on: Stage, phone: Baresip, key: str, back: str, three: str) -> None:
    """A key taken back: caller and seat go on; then all three hear each other."""
    call = await _answered(on, phone, "13900003333", 1)
    await phone.press(key)
    rung = await _rings(on)
    await phone.press(back)
    await rung.wait_ended(3)
    await call.wait_heard("1001", 3)
    await phone.press(three)
    guest = await _rings(on)
    guest.answer()
    for ear, voice in ((call, "1001"), (call, guest.phone.name), (guest, "1001")):
        await ear.wait_heard(voice, 3)
    call.hangup()
    guest.hangup()
    await phone.do("hangupall")
    await phone.event("CALL_CLOSED", 1)
    kinds = [f.kind for f in await ended(on, "13900003333")]
    assert kinds.count("TransferCancelled") == 1 and "CallerJoined" not in kinds[: kinds.index("TransferCancelled")]


async def _rings(on: Stage) -> Call:
    """The 110 seat that rings now."""
    for _ in range(60):
        for call in (c for n in ("8001", "8002") for c in on.seats[n].calls):
            if call.t_ringing and not call.t_answered and not call.t_ended:
                return call
        await asyncio.sleep(0.05)
    raise AssertionError("no 110 seat rang")


async def _answered(on: Stage, phone: Baresip, cli: str, count: int) -> Call:
    """A caller of 12345 who hears the phone."""
    call = await on.callers[0].dial("12345", caller_id=cli)
    await phone.event("CALL_INCOMING", count)
    await phone.do("accept")
    await phone.event("CALL_ESTABLISHED", count)
    await call.wait_heard("1001", 3)
    return call


async def _moved(on: Stage, phone: Baresip, call: Call, cli: str, count: int) -> list[Fact]:
    """A 110 seat rings, answers, has the caller by its tone; the phone is free; all facts of the call."""
    target = await _rings(on)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await phone.event("CALL_CLOSED", count)
    call.hangup()
    await target.wait_ended(3)
    facts = await ended(on, cli)
    assert [f.kind for f in facts].count("CallerJoined") == 1 and len(outcomes(facts)) == 1
    return facts


async def _seat_fact(on: Stage, kind: str) -> None:
    for _ in range(60):
        if any(f.kind == kind and f.data.get("seat") == "1001" for f in await on.facts()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"no {kind} on record")
