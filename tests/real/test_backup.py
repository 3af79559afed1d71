"""A site is backed up while it runs, destroyed, put back elsewhere: every fact, file and place is there again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cti.__main__ import main
from cti.core.facts import Fact
from cti.ledger.cel import CelFile, CelOffset, CelRow
from cti.ledger.ledger import Ledger
from cti.safekeeping import MANIFEST
from cti.stack.netports import free_tcp_port, release
from tests.real.ledger import SITE, drained, fact, running
from tests.real.valkey_server import ValkeyServer

pytestmark = pytest.mark.real
REPOSITORY = Path(__file__).parents[2]


class Machine:
    """One machine's folders, and a Valkey that needs a password."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.valkey = home, ValkeyServer(home, port)
        self.state, self.cel, self.recordings = home / "state", home / "log/cel.csv", home / "recordings"
        self.data = home / "valkey"

    def environment(self) -> dict[str, str]:
        return {"CTI_SITE__CODE": SITE, "CTI_REDIS__URL": self.valkey.url, "CTI_PATHS__STATE": str(self.state),
                "CTI_CEL__PATH": str(self.cel), "CTI_RECORDING__PATH": str(self.recordings)}  # fmt: skip

    def cti(self, *words: object) -> Result:
        words = (*words, "--config", REPOSITORY / "config")
        return CliRunner().invoke(main, [str(w) for w in words], env=self.environment())

    def ledger(self, *, linked: bool = True) -> contextlib.AbstractAsyncContextManager[Ledger]:
        return running(self.valkey.url, self.state / "spool.sqlite3", linked=linked)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    ports = [free_tcp_port(), free_tcp_port()]
    made = Machine(tmp_path / "old", ports[0]), Machine(tmp_path / "new", ports[1])
    yield made
    for machine in made:
        machine.valkey.kill()
    release(*ports)


async def facts_of(ledger: Ledger) -> list[tuple[str, Fact]]:
    return [(str(i), f) async for i, f in ledger.since(None) if isinstance(f, Fact)]


async def keep_telling(ledger: Ledger, first: int) -> None:
    for n in range(first, 100_000):
        await ledger.append([fact(n)])


def row(second: int) -> str:
    at = f"2026-11-25 10:00:{second:02d}.000000"
    return f'"CHAN_START","{at}","","c","1","x","","","1.{second}","1.1","","","",""\n'


def fill(machine: Machine) -> CelOffset:
    """Files beside the ledger; three rows of Asterisk's record, one read."""
    machine.cel.parent.mkdir(parents=True)
    (machine.cel.parent / "cel.csv.1").write_text(row(0))
    machine.cel.write_text(row(1))
    read = CelFile(machine.cel).read_from(0)[1]
    with machine.cel.open("a") as more:
        more.write(row(2) + row(3))
    (machine.recordings / "2026-11-25").mkdir(parents=True)
    (machine.recordings / "2026-11-25/530100-1.1.wav").write_bytes(b"RIFF" + bytes(1000))
    machine.state.mkdir(exist_ok=True)
    (machine.state / "leases.json").write_text('{"leases": []}')
    return read


async def test_a_destroyed_machine_is_put_back_elsewhere(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    old, new = machines
    place = fill(old)
    await old.valkey.start()
    async with old.ledger() as ledger:
        await ledger.append([fact(n, ref=f"{SITE}-1.{n % 7}") for n in range(3000)])
        await ledger.checkpoint("cel", str(place))
        await drained(ledger)
        told = asyncio.create_task(keep_telling(ledger, 3000))
        done = await asyncio.to_thread(old.cti, "backup", tmp_path / "kept")  # the ledger is open and written to
        assert done.exit_code == 0, done.output
        told.cancel()
        await asyncio.wait([told])
        await drained(ledger)
        all_of_them = await facts_of(ledger)
    assert len(all_of_them) > 3000
    old.valkey.kill()
    shutil.rmtree(old.home)

    kept = Path(done.stdout.split()[-1])
    back = new.cti("restore", kept, "--valkey", new.data)
    assert back.exit_code == 0, back.output
    await new.valkey.start()
    async with new.ledger() as ledger:
        await drained(ledger)
        before = await facts_of(ledger)
        assert len(before) >= 3000 and before == all_of_them[: len(before)]
        offset = CelOffset.parse(await ledger.read_checkpoint("cel") or "")
        of_call = [f.at for _, f in await ledger.facts_of(f"{SITE}-1.3")]
        assert of_call == [n for n in range(3000) if n % 7 == 3]  # the index by call came with it
        await ledger.append([fact(10**6)])
        await ledger.append([fact(7)])  # the same fact told again is no second one
        await drained(ledger)
        assert [f.at for _, f in await facts_of(ledger)] == [*(f.at for _, f in before), 10**6]
        whole = await asyncio.to_thread(new.cti, "ledger", "verify", "--projections")
        assert whole.exit_code == 0, whole.output
    rows, _ = CelFile(new.cel).read_from(*offset)
    assert [r.uniqueid for r in rows if isinstance(r, CelRow)] == ["1.2", "1.3"]  # what was read is not read again
    assert (new.cel.parent / "cel.csv.1").read_text() == row(0)
    assert (new.recordings / "2026-11-25/530100-1.1.wav").read_bytes() == b"RIFF" + bytes(1000)
    assert (new.state / "leases.json").read_text() == '{"leases": []}'
    assert (kept / "config/hotlines.yaml").read_bytes() == (REPOSITORY / "config/hotlines.yaml").read_bytes()


async def test_facts_that_wait_in_the_spool_are_in_it(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    old, new = machines
    await old.valkey.start()
    async with old.ledger() as ledger:
        await ledger.append([fact(1)])
    old.valkey.kill()
    async with old.ledger(linked=False) as ledger:
        await ledger.append([fact(2), fact(3)])
    await old.valkey.start()
    done = old.cti("backup", tmp_path / "kept")
    assert done.exit_code == 0, done.output
    back = new.cti("restore", Path(done.stdout.split()[-1]), "--valkey", new.data)
    assert back.exit_code == 0, back.output
    await new.valkey.start()
    async with new.ledger() as ledger:
        await drained(ledger)
        assert [f.at for _, f in await facts_of(ledger)] == [1, 2, 3]


async def test_a_second_backup_links_recordings_and_damage_or_data_in_the_way_stops_a_restore(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    old, new = machines
    fill(old)
    await old.valkey.start()
    first = Path(old.cti("backup", tmp_path / "kept").stdout.split()[-1])
    await asyncio.sleep(1.0)  # names are to the second
    second = Path(old.cti("backup", tmp_path / "kept").stdout.split()[-1])
    wav = "recordings/2026-11-25/530100-1.1.wav"
    assert first != second and (first / wav).samefile(second / wav)
    assert not (first / "ledger.rdb").samefile(second / "ledger.rdb")

    new.state.mkdir(parents=True)
    (new.state / "leases.json").write_text("mine")
    refused = new.cti("restore", second, "--valkey", new.data)
    assert refused.exit_code == 1 and str(new.state) in refused.output
    assert not (new.data / "appendonlydir").exists()
    assert (new.state / "leases.json").read_text() == "mine"

    (second / wav).unlink()
    (second / wav).write_bytes(b"RIFF" + bytes(999) + b"x")
    damaged = new.cti("restore", second, "--valkey", new.data, "--check")
    assert damaged.exit_code == 1 and wav in damaged.output
    assert old.cti("restore", first, "--valkey", new.data, "--check").exit_code == 0

    old.valkey.kill()
    failed = old.cti("backup", tmp_path / "kept")
    assert failed.exit_code == 1
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == [first.name, second.name]
    assert json.loads((first / MANIFEST).read_text())["cel"] == {"name": "cel.csv", "read": None}
