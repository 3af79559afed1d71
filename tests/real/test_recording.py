"""A call is recorded from its first answer to its end, wherever the caller goes; private words are recorded apart; and
nothing of it ever costs a call."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from cti.__main__ import main
from cti.core.facts import Fact
from cti.dialtest import media
from cti.dialtest.call import Call
from cti.dialtest.phone import Answer, Phone
from cti.dialtest.scenarios.onekey import whose
from cti.dialtest.stack import Stage, stage
from cti.directory import Directory
from cti.settings import RecordingSettings
from cti.share import folder
from cti.stack.instance import Instance
from cti.stack.root import RuntimeRoot
from tests.real.conftest import SEATS
from tests.real.room import CHANGE_MS, all_hear, hears, together
from tests.real.sound import frames, long_parts
from tests.real.story import CLI, data_of, ended, ringing_at_110, talking
from tests.real.test_api import Client

pytestmark = pytest.mark.real

SAID_S = 1.2


def phones(on: Stage) -> list[Phone]:
    return [*on.seats.values(), *on.callers]


def place(on: Stage, fact: Fact) -> Path:
    return on.instance.recording.path / str(fact.data["file"])


async def settled(on: Stage, files: int = 1, kind: str = "RecordingIndexed") -> list[Fact]:
    """The facts of the one call, once so many of its files are indexed; one fact each, and nothing unexpected."""
    facts = await ended(on)
    for _ in range(120):
        facts = await on.facts(facts[0].ref)
        if len([f for f in facts if f.kind == kind]) >= files:
            break
        await asyncio.sleep(0.1)
    of_files = [f for f in facts if f.kind in ("RecordingIndexed", "RecordingMissing")]
    assert len(of_files) == files == len({f.data["file"] for f in of_files}), of_files
    assert [f.data for f in facts if f.kind == "Anomaly"] == []
    return facts


def indexed(facts: list[Fact], part: str = "main") -> Fact:
    (one,) = [f for f in facts if f.kind == "RecordingIndexed" and f.data["part"] == part]
    return one


async def swapped(on: Stage, call: Call, seat: Call) -> Call:
    """By one key the caller is with a police seat."""
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await asyncio.sleep(0.3)
    target.answer()
    await call.wait_heard(target.phone.name, 3)
    await seat.wait_ended(3)
    return target


async def test_it_goes_on_after_the_swap_with_the_other_side(on: Stage) -> None:
    call, seat = await talking(on)
    await asyncio.sleep(SAID_S)
    target = await swapped(on, call, seat)
    assert data_of(target)["recording"] == data_of(target)["call"], "the set's id rides with the voice"
    await asyncio.sleep(SAID_S)
    call.hangup()
    facts = await settled(on)
    fact = indexed(facts)
    heard = frames(place(on, fact), phones(on))
    caller, first, second = call.phone.name, seat.phone.name, target.phone.name
    assert long_parts(heard)[0] == {caller, first} and long_parts(heard)[-1] == {caller, second}
    swap = next(i for i, who in enumerate(heard) if second in who)
    assert not any(first in who for who in heard[swap + 2 :]), "released, and not heard again"
    raw = place(on, fact).read_bytes()
    assert (fact.data["size"], fact.data["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    begun, over = (next(f for f in facts if f.kind == kind).at for kind in ("SeatAnswered", "CallerLeft"))
    assert abs(int(str(fact.data["ms"])) - (over - begun) / 1000) < 300, "from the first answer to the end, no pause"
    assert int(str(fact.data["keep_until"])) - int(str(fact.data["since"])) == 180 * 86_400_000_000


async def test_it_goes_on_through_the_lobby(on: Stage) -> None:
    """The seat leaves at once: the caller's wait in music is in it, and then the police seat."""
    call, seat = await talking(on)
    await seat.dtmf("*110")
    target = await ringing_at_110(on)
    await seat.dtmf("*110")
    await seat.wait_ended(3)
    await hears(call, "music")
    await asyncio.sleep(SAID_S)
    target.answer()
    await hears(call, target.phone.name)
    await asyncio.sleep(SAID_S)
    call.hangup()
    parts = long_parts(frames(place(on, indexed(await settled(on))), phones(on)))
    assert parts[-2:] == [{call.phone.name, "music"}, {call.phone.name, target.phone.name}]


@pytest.fixture(params=[-700, 700])
def numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream's RTP numbers begin lower than the last one's, or higher. Asterisk's recorder takes lower ones for
    packets out of order."""
    count = itertools.count(20_000, request.param)
    monkeypatch.setattr(media, "first_seq", lambda: next(count))


async def test_the_next_seat_of_a_caller_who_was_dropped_is_in_it(on: Stage, numbers: None) -> None:
    """Hung up within 2 s of answering: he goes to the front of the line, and whoever has him then is recorded."""
    firsts = [on.seats["1001"], on.seats["1002"]]
    for phone in firsts:
        phone.on_invite = Answer(0.1, hang_up_after=0.8)
    call = await on.callers[0].dial("12345", caller_id=CLI)
    first = await whose(firsts, CLI, 5)
    assert first is not None
    for phone in firsts:
        phone.on_invite = Answer(0.1)
    await first.wait_ended(3)
    again = None
    for _ in range(200):
        again = next((c for p in firsts for c in p.calls if c.t_answered and not c.t_ended), None)
        if again is not None:
            break
        await asyncio.sleep(0.05)
    assert again is not None, "he was not rung again"
    await hears(call, again.phone.name)
    await asyncio.sleep(SAID_S)
    call.hangup()
    parts = long_parts(frames(place(on, indexed(await settled(on))), phones(on)))
    assert parts[-1] == {call.phone.name, again.phone.name}, parts


async def test_a_recalled_caller_goes_on_in_the_same_file(on: Stage, numbers: None) -> None:
    """The seat that had him rings again (a pause, not in it) and has him again."""
    call, seat = await talking(on)
    await asyncio.sleep(SAID_S)
    target = await swapped(on, call, seat)
    await asyncio.sleep(SAID_S)
    target.hangup()  # within 5 s: vanished, so the seat is rung back
    again = None
    for _ in range(100):
        again = next((c for c in seat.phone.calls if c is not seat and c.t_ended is None), None)
        if again is not None:
            break
        await asyncio.sleep(0.05)
    assert again is not None
    await hears(call, seat.phone.name)
    await asyncio.sleep(SAID_S)
    call.hangup()
    parts = long_parts(frames(place(on, indexed(await settled(on))), phones(on)))
    both = frozenset({call.phone.name, seat.phone.name})
    assert parts[0] == both and {call.phone.name, target.phone.name} in parts and both in parts[2:]


async def private(on: Stage, who: Callable[[Call, Call], Call]) -> tuple[Call, Call, Call]:
    """Three together, the seats confer and come back."""
    call, seat, police = await together(on)
    await asyncio.sleep(SAID_S)
    key = who(seat, police)
    await key.dtmf("*3")
    await hears(call, "music")
    await hears(seat, police.phone.name)
    await hears(police, seat.phone.name)
    await asyncio.sleep(SAID_S)
    back = await key.dtmf("*3")
    await all_hear(call, seat, police)
    await asyncio.sleep(SAID_S)
    for one, others in ((call, (seat, police)), (seat, (call, police)), (police, (call, seat))):
        gap = one.heard().longest_without({o.phone.name for o in others}, back + 0.35, time.monotonic() - 0.1)
        assert gap <= CHANGE_MS, f"{one.phone.name}: {gap} ms"
    return call, seat, police


def judge_private(on: Stage, facts: list[Fact], call: Call, seat: Call, police: Call) -> None:
    caller, one, two = call.phone.name, seat.phone.name, police.phone.name
    main = frames(place(on, indexed(facts)), phones(on))
    assert long_parts(main)[-3:] == [{caller, one, two}, {caller, "music"}, {caller, one, two}]
    apart = [i for i, who in enumerate(main) if "music" in who]
    for who in main[apart[0] + 2 : apart[-1] - 2]:
        assert not {one, two} & who, "a private word in the caller's file"
    fact = indexed(facts, "private")
    heard = frames(place(on, fact), phones(on))
    assert {one, two} in long_parts(heard) and not any(caller in who for who in heard[5:-5])
    assert str(fact.data["file"]).endswith("-private-1.wav") and fact.data["transfer"]
    aside, told = (next(f for f in facts if f.kind == kind).at for kind in ("CallerSetAside", "CallerBroughtBack"))
    assert abs(int(str(fact.data["ms"])) - (told - aside) / 1000) < 150


@pytest.mark.parametrize("who", ["seat", "police"])
async def test_private_words_are_recorded_apart_and_never_with_the_callers(on: Stage, who: str) -> None:
    call, seat, police = await private(on, lambda s, p: s if who == "seat" else p)
    call.hangup()
    facts = await settled(on, 2)
    judge_private(on, facts, call, seat, police)


async def test_each_conferring_has_its_own_file_also_when_asked_by_api(on: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        call, seat, police = await together(on)
        (started,) = [f for f in await on.facts() if f.kind == "TransferStarted"]
        for _ in range(2):
            for _ in range(2):
                path = f"/conferences/{started.data['transfer']}/confer"
                assert (await api.post(path, police.phone.user, {}))[0] == 202
                await asyncio.sleep(SAID_S)
        await all_hear(call, seat, police)
        call.hangup()
        facts = await settled(on, 3)
    files = sorted(str(f.data["file"]) for f in facts if f.kind == "RecordingIndexed" and f.data["part"] == "private")
    assert [file[-14:] for file in files] == ["-private-1.wav", "-private-2.wav"]
    for file in files:
        heard = frames(on.instance.recording.path / file, phones(on))
        assert {seat.phone.name, police.phone.name} in long_parts(heard)


async def test_words_after_the_caller_has_hung_up_are_not_recorded(on: Stage) -> None:
    call, seat, police = await together(on)
    await asyncio.sleep(SAID_S)
    call.hangup()
    await all_hear(seat, police)
    await asyncio.sleep(2)
    seat.hangup()
    police.hangup()
    heard = frames(place(on, indexed(await settled(on))), phones(on))
    assert long_parts(heard)[-1] == {call.phone.name, seat.phone.name, police.phone.name}
    assert all(call.phone.name in who for who in heard[-10:-2])


async def test_it_works_with_the_service_dead_and_is_indexed_when_it_is_back(on: Stage) -> None:
    service = on.instance.children["cti"]
    service.kill(signal.SIGKILL)
    await service.wait()
    call, seat, police = await private(on, lambda s, _: s)
    call.hangup()
    await asyncio.sleep(0.5)
    await service.restart()
    facts = await settled(on, 2)
    judge_private(on, facts, call, seat, police)
    assert {f.source for f in facts if f.kind == "RecordingStarted"} == {"cel"}
    service.kill(signal.SIGKILL)
    await service.wait()
    await service.restart()
    await asyncio.sleep(4)
    assert len([f for f in await on.facts(facts[0].ref) if f.kind == "RecordingIndexed"]) == 2, "once, for ever"


async def test_asterisk_dies_and_what_was_recorded_plays(on: Stage) -> None:
    call, _seat = await talking(on)
    await asyncio.sleep(2)
    (arrived,) = [f for f in await on.facts() if f.kind == "CallArrived"]
    asterisk = on.instance.children["asterisk"]
    asterisk.kill(signal.SIGKILL)
    await asterisk.wait()
    await asterisk.restart()
    # channels are looked at when the link is back, or, if it was down too shortly to be noticed, every minute
    assert await on.wait_fact("CallEnded", arrived.ref, 75)
    fact = indexed(await settled(on))
    assert int(str(fact.data["ms"])) > 1000
    with wave.open(str(place(on, fact))) as file:
        assert file.getnframes() / 8 == pytest.approx(int(str(fact.data["ms"])), abs=20)
    assert call.t_ended is None, "nobody could tell the phone"


async def test_only_a_supervisor_has_them_and_that_is_on_record(on: Stage) -> None:
    async with aiohttp.ClientSession() as http:
        api = Client(on, http)
        call, seat = await talking(on)
        await asyncio.sleep(SAID_S)
        call.hangup()
        fact = indexed(await settled(on))
        base = f"/calls/{fact.ref}/recordings"
        for role, number in (("agent", seat.phone.user), ("read-only", "")):
            status, problem = await api.get(base, number, role)  # type: ignore[arg-type]
            assert (status, problem["code"]) == (403, "wrong-role")
        async with http.get(api.base + base) as got:
            assert got.status == 401
        status, shown = await api.get(base, "", "supervisor")
        assert status == 200 and [r["sha256"] for r in shown["recordings"]] == [fact.data["sha256"]]
        headers = {"Authorization": f"Bearer {api.token('', 'supervisor')}"}
        href = api.base.removesuffix("/api/v1") + shown["recordings"][0]["href"]
        async with http.get(href, headers=headers) as got:
            assert (got.status, got.content_type) == (200, "audio/wav")
            assert hashlib.sha256(await got.read()).hexdigest() == fact.data["sha256"]
        for odd in ("/calls/530100-1.1/recordings/x.wav", f"{base}/..%2f..%2f..%2fetc%2fextensions.conf"):
            status, problem = await api.get(odd, "", "supervisor")
            assert (status, problem["code"]) == (404, "no-recording")
        heard = [f for f in await on.facts(fact.ref) if f.kind == "RecordingHeard"]
        assert [(f.data["file"], f.data["role"]) for f in heard] == [(fact.data["file"], "supervisor")]
        assert str(heard[0].data["token"]) and str(heard[0].data["token"]) not in headers["Authorization"]


def cti(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    return done.exit_code, done.output


async def test_verified_listed_and_deleted_when_its_time_is_over(on: Stage) -> None:
    call, _seat = await talking(on)
    await asyncio.sleep(SAID_S)
    call.hangup()
    fact = indexed(await settled(on))
    state, file = str(on.instance.state), str(fact.data["file"])

    async def told(*words: str) -> tuple[int, str]:
        return await asyncio.to_thread(cti, "recordings", *words, "--state", state)

    assert file in (await told("list", "--ref", fact.ref))[1]
    assert (await told("verify"))[0] == 0
    recorded = place(on, fact)
    raw = recorded.read_bytes()
    recorded.write_bytes(raw[:-2] + b"\x01\x01")
    code, said = await told("verify")
    assert code == 1 and "内容已变" in said
    entry = recorded.with_name(recorded.name + ".json")
    kept = json.loads(entry.read_text())
    entry.write_text(json.dumps({**kept, "sha256": hashlib.sha256(recorded.read_bytes()).hexdigest()}))
    code, said = await told("verify")
    assert code == 1 and "与账本不符" in said, "whoever changes file and entry does not change the ledger"
    recorded.write_bytes(raw)
    entry.write_text(json.dumps(kept))
    assert (await told("purge"))[1].endswith("已删除 / deleted: 0\n") and recorded.exists()
    entry.write_text(json.dumps({**kept, "keep_until": 1}))
    assert file in (await told("purge", "--dry-run"))[1] and recorded.exists()
    assert file in (await told("purge"))[1] and not recorded.exists() and not entry.exists()
    (gone,) = [f for f in await on.facts(fact.ref) if f.kind == "RecordingDeleted"]
    assert (gone.data["file"], gone.data["sha256"]) == (file, fact.data["sha256"])
    async with aiohttp.ClientSession() as http:
        assert (await Client(on, http).get(f"/calls/{fact.ref}/recordings", "", "supervisor"))[1]["recordings"] == []


# -- disks that are ill, hotlines that are left out --------------------------------------------------------------------
@asynccontextmanager
async def recording(root: RuntimeRoot, state: Path, directory: Directory,
                    rules: RecordingSettings) -> AsyncIterator[Stage]:  # fmt: skip
    async with (
        Instance(root, state, directory, folder("config"), folder("dialplan"), recording=rules) as instance,
        stage(instance, seats=SEATS, callers=1) as on,
    ):
        yield on
        for phone in phones(on):
            for call in phone.calls:
                call.hangup()
        assert await on.leftovers() == []


async def metrics(on: Stage) -> dict[str, float]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{on.instance.ports.http}/metrics") as got,
    ):
        lines = (line.rpartition(" ") for line in (await got.text()).splitlines() if line.startswith("cti_rec"))
        return {name: float(value) for name, _, value in lines}


async def test_a_hotline_may_be_left_out(runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory) -> None:
    lines = tuple(h.model_copy(update={"record": h.number != "12345"}) for h in directory.hotlines)
    changed = directory.model_copy(update={"hotlines": lines})
    async with recording(runtime_root, tmp_path / "s", changed, RecordingSettings()) as on:
        call, seat = await talking(on)
        target = await swapped(on, call, seat)
        assert data_of(target)["recording"] == ""
        call.hangup()
        await ended(on)
        await asyncio.sleep(3)
        assert not [f for f in await on.facts() if f.kind.startswith("Recording")]
        assert list(on.instance.recording.path.rglob("*.wav")) == []


@pytest.mark.parametrize("format", ["alaw", "ulaw", "gsm"])
async def test_other_formats(runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory, format: str) -> None:
    rules = RecordingSettings.model_validate({"format": format, "keep_days": 1})
    async with recording(runtime_root, tmp_path / "s", directory, rules) as on:
        call, _seat = await talking(on)
        await asyncio.sleep(2)
        call.hangup()
        facts = await settled(on)
        begun, over = (next(f for f in facts if f.kind == kind).at for kind in ("SeatAnswered", "CallerLeft"))
        fact = indexed(facts)
        assert str(fact.data["file"]).endswith(f".{format}")
        assert abs(int(str(fact.data["ms"])) - (over - begun) / 1000) < 300
        assert int(str(fact.data["keep_until"])) - int(str(fact.data["since"])) == 86_400_000_000


async def test_where_nothing_can_be_written_calls_go_on_and_an_alarm_is_raised(
        runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory) -> None:  # fmt: skip
    (tmp_path / "file").touch()
    rules = RecordingSettings(path=tmp_path / "file" / "recordings")
    async with recording(runtime_root, tmp_path / "s", directory, rules) as on:
        call, seat = await talking(on)
        since = time.monotonic()
        await asyncio.sleep(SAID_S)
        assert call.heard().longest_without({seat.phone.name}, since, time.monotonic() - 0.1) <= 60
        target = await swapped(on, call, seat)
        await hears(call, target.phone.name)
        call.hangup()
        facts = await settled(on, kind="RecordingMissing")
        assert [f.data["why"] for f in facts if f.kind == "RecordingMissing"] == ["no-file"]
        found = await metrics(on)
        assert found["cti_recordings_writable"] == 0 and found['cti_recordings_total{what="no-file"}'] == 1
        log = (on.instance.state / "cti.log").read_text(encoding="utf-8")
        assert "recordings_not_writable" in log and "recording_missing" in log and CLI not in log


FULL = """
mkdir -p {disk} && mount -t tmpfs -o size=96k tmpfs {disk} || exit 77
exec {python} -m pytest -q -p no:cacheprovider {test}::test_on_a_full_disk
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux's unshare makes the small disk")
def test_a_full_disk_costs_the_file_alone(tmp_path: Path) -> None:
    """The story below, in a mount namespace of its own with a disk of 96 kB. 77: this machine allows no namespace."""
    disk = tmp_path / "disk"
    script = FULL.format(disk=disk, python=sys.executable, test=Path(__file__))
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=folder("config").parent, text=True, check=False,
                          env={**os.environ, "FULL_DISK": str(disk)}, capture_output=True, timeout=110)
    if done.returncode in (1, 77) and "unshare" in done.stderr + done.stdout:
        pytest.skip(f"no namespace here: {done.stderr.strip()[-100:]}")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-500:]


async def test_on_a_full_disk(runtime_root: RuntimeRoot, tmp_path: Path, directory: Directory) -> None:
    disk = os.environ.get("FULL_DISK")
    if disk is None:
        pytest.skip("run by the test above, on its small disk")
    rules = RecordingSettings(path=Path(disk) / "recordings", min_free_mb=0)
    async with recording(runtime_root, tmp_path / "s", directory, rules) as on:
        assert (await metrics(on))["cti_recordings_writable"] == 1
        call, seat = await talking(on)
        since = time.monotonic()
        await asyncio.sleep(9)
        for one, other in ((call, seat), (seat, call)):
            assert one.heard().longest_without({other.phone.name}, since, time.monotonic() - 0.1) <= 60
        target = await swapped(on, call, seat)
        await hears(call, target.phone.name)
        call.hangup()
        fact = indexed(await settled(on))
        assert 0 < int(str(fact.data["ms"])) < 7000
        found = await metrics(on)
        assert found["cti_recordings_free_bytes"] < 4096
        assert "recording_entry_not_written" in (on.instance.state / "cti.log").read_text(encoding="utf-8")
