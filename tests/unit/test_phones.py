"""Phones' configurations: each vendor's file read back says account, codecs and keys; no name breaks out of it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.__main__ import main
from cti.directory import Directory, load_directory
from cti.phones.account import Account
from cti.phones.book import VENDORS, Book, Handset, Vendor, read_book
from cti.phones.keys import Key, keys_of
from cti.phones.render import FORMS, render_handset
from cti.phones.serve import ADDRESSES, ASKED, FAILURES, Limit, Shelf, Watched
from cti.phones.tokens import LENGTH, fits, token
from cti.problem import ConfigError
from cti.share import folder as shared

pytestmark = pytest.mark.unit

KEY = b"an instance's key of 32 bytes..."
NASTY = 'a\nlinekey.1.value = 666\r\n<b>&amp;</b>"\']]><!--\x00\u2028 %NULL% 张三 #='
KEYS = (Key("line", "", "1001"), Key("dtmf", "*110", "一键转110"), Key("speed", "*13", "示忙"),
        Key("blf", "1002", "二号席"), Key("transfer", "110", "盲转110"))  # fmt: skip


@pytest.fixture(scope="module")
def directory() -> Directory:
    return load_directory(shared("config"), dt.date(2026, 11, 25))


def account(name: str = "一号席", label: str | None = None, base: str = "https://pbx.local:8443/p/abc/") -> Account:
    keys = KEYS if label is None else tuple(Key(k.kind, k.value, label) for k in KEYS)
    return Account(number="1001", name=name, host="10.0.0.5", port=5070, keys=keys, password="Secret.12345~", base=base,
                   mac="001565a1b2c3")  # fmt: skip


def told(vendor: Vendor, values: dict[str, str]) -> list[tuple[str, str, str]]:
    """The keys as a file has them: (what kind, value, label), in the vendor's own words."""
    if vendor == "yealink":
        rows = [tuple(values[f"linekey.{n}.{part}"] for part in ("type", "value", "label"))
                for n in range(1, 97) if f"linekey.{n}.type" in values]  # fmt: skip
    elif vendor == "grandstream":
        rows = [tuple(values[f"pks.vpk.{n}.{part}"] for part in ("keyMode", "value", "description"))
                for n in range(1, 97) if f"pks.vpk.{n}.keyMode" in values]  # fmt: skip
    else:
        rows = [tuple(values[f"dsskey/internal[1]/Fkey[{n}]/{part}"] for part in ("Type", "Value", "Title"))
                for n in range(1, 33) if f"dsskey/internal[1]/Fkey[{n}]/Type" in values]  # fmt: skip
    return [(kind, value, label) for kind, value, label in rows]


WANTED: dict[Vendor, list[tuple[str, str, str]]] = {
    "yealink": [("15", "%NULL%", "1001"), ("11", "*110", "一键转110"), ("13", "*13", "示忙"), ("16", "1002", "二号席"),
                ("3", "110", "盲转110")],
    "grandstream": [("Line", "", "1001"), ("DialDTMF", "*110", "一键转110"), ("SpeedDial", "*13", "示忙"),
                    ("BLF", "1002", "二号席"), ("Transfer", "110", "盲转110")],
    "fanvil": [("2", "SIP1", "1001"), ("4", "*110", "一键转110"), ("1", "*13@1/f", "示忙"),
               ("1", "1002@1/bc", "二号席")],
}  # fmt: skip
PLACES: dict[Vendor, tuple[str, str, str]] = {  # user, password, name
    "yealink": ("account.1.user_name", "account.1.password", "account.1.display_name"),
    "grandstream": ("account.1.sip.userid", "account.1.sip.subscriber.password", "account.1.sip.subscriber.name"),
    "fanvil": ("sip/line[1]/PhoneNumber", "sip/line[1]/RegisterPswd", "sip/line[1]/DisplayName"),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_file_read_back_says_account_codecs_and_keys(vendor: Vendor) -> None:
    text = FORMS[vendor].render(account())
    values = FORMS[vendor].parse(text)
    user, password, name = PLACES[vendor]
    assert (values[user], values[password], values[name]) == ("1001", "Secret.12345~", "一号席")
    assert told(vendor, values) == WANTED[vendor]
    flat = json.dumps(values)
    assert "10.0.0.5" in flat and "5070" in flat and "pbx.local:8443/p/abc" in flat and "pcma" in flat.lower()
    assert FORMS[vendor].render(account()) == text, "the same at every run"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_name_that_would_break_out_stays_a_name(vendor: Vendor) -> None:
    plain = FORMS[vendor].parse(FORMS[vendor].render(account()))
    nasty = FORMS[vendor].parse(FORMS[vendor].render(account(NASTY, NASTY)))
    assert nasty.keys() == plain.keys(), "no parameter more, none less"
    names = {PLACES[vendor][2], "Version"}
    changed = {k for k in plain if plain[k] != nasty[k]}
    assert all(k in names or k.endswith(("label", "description", "Title")) for k in changed), changed
    kept = nasty[PLACES[vendor][2]]
    assert "张三" in kept and "<b>&amp;</b>" in kept and not set(kept) & set("\n\r\x00\u2028")
    assert "%NULL%" not in kept or vendor != "yealink"


@pytest.mark.parametrize("vendor", VENDORS)
@given(name=st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_whatever_the_name_the_rest_is_the_same(vendor: Vendor, name: str) -> None:
    values = FORMS[vendor].parse(FORMS[vendor].render(account(name, name)))
    assert [(kind, value) for kind, value, _ in told(vendor, values)] == [(k, v) for k, v, _ in WANTED[vendor]]
    assert values[PLACES[vendor][1]] == "Secret.12345~"


@pytest.mark.parametrize(("change", "words"), [
    ({"number": "1001\nx = y"}, "no number"), ({"password": "a\nb"}, "password"), ({"password": ""}, "password"),
    ({"keys": (Key("dtmf", "*110,w", "x"),)}, "no number"), ({"keys": (Key("blf", "1002@1/x", "x"),)}, "no number"),
])  # fmt: skip
@pytest.mark.parametrize("vendor", VENDORS)
def test_what_no_file_can_carry_is_refused(vendor: Vendor, change: dict[str, object], words: str) -> None:
    fields = {name: getattr(account(), name) for name in Account.__slots__} | change
    with pytest.raises(ValueError, match=words) as refused:
        FORMS[vendor].render(Account(**fields))
    assert "a\nb" not in str(refused.value), "a secret in a message"


def test_a_fanvil_takes_a_changed_file_for_its_version_changed() -> None:
    versions = {FORMS["fanvil"].parse(FORMS["fanvil"].render(a))["Version"] for a in (account(), account("二号"))}
    assert len(versions) == 2


def test_keys_follow_from_the_directory(directory: Directory) -> None:
    def of(number: str, **more: bool) -> list[tuple[str, str, str]]:
        seat = directory.seat(number)
        assert seat is not None
        return [(k.kind, k.value, k.label) for k in keys_of(seat, directory, **more)]

    mine = of("1001")
    assert mine[:7] == [("line", "", "1001"), ("dtmf", "*110", "一键转110"), ("dtmf", "**110", "涉险转110"),
                        ("dtmf", "*0", "三方"), ("dtmf", "*9", "取回"), ("speed", "*13", "示忙"),
                        ("speed", "*14", "就绪")]  # fmt: skip
    assert mine[7] == ("blf", "110", "110专席") and ("blf", "1002", "12345二号席") in mine
    assert not any(value == "1001" for kind, value, _ in mine if kind == "blf")
    assert not any(kind == "blf" and value.startswith("8") for kind, value, _ in mine), "lamps of one's own colleagues"
    assert ("transfer", "110", "盲转110") in of("1001", transfer=True)
    theirs = of("8001")
    assert ("dtmf", "*12345", "一键转12345") in theirs and ("dtmf", "*110", "转另一席") in theirs
    for number in ("1001", "8001"):
        assert len(of(number)) == len(set(of(number)))


def test_a_handset_with_few_keys_keeps_the_most_useful(directory: Directory) -> None:
    book = Book(phones=(Handset(seat="1001", vendor="fanvil", mac="0c:38:3e:0a:0b:0c", keys=6),))
    made = render_handset(book.phones[0], book, directory, KEY)
    labels = [label for _, _, label in told("fanvil", FORMS["fanvil"].parse(made.text))]
    assert labels == ["1001", "一键转110", "涉险转110", "三方", "取回", "示忙"]
    assert made.name == "0c383e0a0b0c.cfg" and made.url == "" and KEY.decode() not in repr(made)


def test_each_device_has_a_secret_of_its_own() -> None:
    one, other = (Handset(seat="1001", vendor="yealink", mac=f"00:15:65:a1:b2:c{n}") for n in (3, 4))
    renewed = one.model_copy(update={"renew": 1})
    secrets = {token(KEY, one), token(KEY, other), token(KEY, renewed), token(b"another", one)}
    assert len(secrets) == 4 and {len(s) for s in secrets} == {LENGTH}
    assert fits(KEY, one, token(KEY, one)) and not fits(KEY, one, token(KEY, other))
    assert not fits(KEY, None, "") and not fits(KEY, one, "") and not fits(KEY, one, "é\ud800")
    assert not fits(KEY, None, token(KEY, Handset.model_construct(mac="", renew=0))), "what stands in for nobody's"


def test_who_asks_too_often_waits_and_nobody_else() -> None:
    now = [0.0]
    limit = Limit(clock=lambda: now[0])
    for _ in range(FAILURES):
        assert limit.wait("a") == 0
        limit.count("a", failed=True)
    assert limit.wait("a") == pytest.approx(60) and limit.wait("b") == 0
    for _ in range(ASKED):
        assert limit.wait("b") == 0
        limit.count("b", failed=False)
    assert limit.wait("b") > 0
    now[0] = 60.0
    assert limit.wait("a") == 0 == limit.wait("b")
    for n in range(2 * ADDRESSES):
        limit.count(str(n), failed=False)
    assert len(limit._seen) == ADDRESSES


def test_an_edited_file_is_given_out_and_a_wrong_one_is_not(tmp_path: Path, directory: Directory) -> None:
    file, read = tmp_path / "phones.yaml", list[str]()
    file.write_text("1")

    def load() -> Shelf:
        read.append(file.read_text())
        if read[-1] == "bad":
            raise ConfigError(())
        return Shelf(Book(transfer_key=read[-1] == "good"), directory, KEY)

    watched = Watched(lambda: [file], load, ConfigError)
    first = watched()
    assert watched() is first and read == ["1"]
    file.write_text("bad")
    assert watched() is first and watched() is first and read == ["1", "bad"]
    file.write_text("good")
    assert watched().book.transfer_key


BOOK = """server: {host: 10.0.0.5, port: 5060}
url: "https://10.0.0.5:8443"
phones:
  - {seat: "1001", vendor: yealink, model: T46U, mac: "00:15:65:a1:b2:c3"}
  - {seat: "1002", vendor: grandstream, mac: "C0-74-AD-01-02-03"}
  - {seat: "8001", vendor: fanvil, mac: 0c383e0a0b0c}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    shutil.copytree(shared("config"), tmp_path / "config")
    (tmp_path / "config/phones.yaml").write_text(BOOK, encoding="utf-8")
    (tmp_path / "instance.key").write_bytes(KEY)
    return tmp_path / "config"


def run(config: Path, *words: str) -> Result:
    where = ["--config", str(config), "--key", str(config.parent / "instance.key")]
    return CliRunner().invoke(main, ["phones", *words, *where], catch_exceptions=False)


@pytest.mark.parametrize(("old", "new", "line", "words"), [
    ('seat: "1002"', 'seat: "1001"', 5, "1001 duplicate, first on line 4"),
    ('mac: "C0-74-AD-01-02-03"', 'mac: "00:15:65:a1:b2:c3"', 5, "duplicate, first on line 4"),
    ('seat: "1002"', 'seat: "4711"', 5, "there is no seat 4711"),
    ("C0-74-AD-01-02-03", "C0-74-AD-01-02", 5, "is no MAC address"),
    ("C0-74-AD-01-02-03", "ff:ff:ff:ff:ff:ff", 5, "of no single device"),
    ("vendor: grandstream", "vendor: cisco", 5, "must be one of"),
    ("https://10.0.0.5:8443", "http://10.0.0.5:8443", 2, "never plain http"),
    ("https://10.0.0.5:8443", "https://10.0.0.5:8443/x y", 2, "no path"),
    ("model: T46U", "modell: T46U", 4, "did you mean 'model'"),
    ("host: 10.0.0.5", "host: '10.0.0.5;x'", 1, "host"),
])  # fmt: skip
def test_a_slip_in_phones_yaml_is_named_by_line(
    config: Path, directory: Directory, old: str, new: str, line: int, words: str
) -> None:
    path = config / "phones.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    book, problems = read_book(config, directory)
    assert book is None and any(p.line == line and words in str(p) for p in problems), [str(p) for p in problems]
    result = run(config, "render")
    assert result.exit_code == 1 and words in result.output
    checked = CliRunner().invoke(main, ["check", "--config", str(config)])
    assert checked.exit_code == 1 and words in checked.output


def test_render_writes_every_handset_by_its_own_file_name_for_its_owner_alone(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(config, "render", "--out", str(out))
    assert result.exit_code == 0 and "untested on real handsets" in result.output
    assert {p.name for p in out.iterdir()} == {"001565a1b2c3.cfg", "cfgc074ad010203.xml", "0c383e0a0b0c.cfg"}
    assert {stat.S_IMODE(p.stat().st_mode) for p in out.iterdir()} == {0o600}
    seat = load_directory(config, dt.date(2026, 11, 25)).seat("1001")
    assert seat is not None
    values = FORMS["yealink"].parse((out / "001565a1b2c3.cfg").read_text(encoding="utf-8"))
    assert values["account.1.password"] == seat.password(KEY), "as pjsip.conf has it"
    rows = json.loads(run(config, "urls", "--json").stdout)
    assert values["static.auto_provision.server.url"] == rows[0]["url"] and rows[0]["url"].startswith("https://10.0.0.5:8443/p/")
    only = run(config, "render", "--vendor", "fanvil", "--seat", "8001")
    assert "<PhoneNumber>8001</PhoneNumber>" in only.output and "12345专席" in only.output


def test_without_handsets_a_sample_can_be_looked_at(config: Path) -> None:
    (config / "phones.yaml").unlink()
    result = run(config, "render", "--vendor", "grandstream", "--seat", "1003")
    assert result.exit_code == 0 and "seat-1003.xml" in result.output and "<gs_provision" in result.output
    assert run(config, "render").exit_code == 2 and run(config, "render", "--seat", "4711").exit_code == 2
    (config.parent / "instance.key").unlink()
    missing = run(config, "render", "--vendor", "fanvil")
    assert missing.exit_code == 1 and "--key" in missing.output


def test_serve_says_what_is_wrong_with_a_certificate(config: Path, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    result = run(config, "serve", "--cert", str(tmp_path / "cert.pem"))
    assert result.exit_code == 1 and "certificate or its key cannot be used" in result.output
