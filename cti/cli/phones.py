"""`cti phones`: configurations for the seats' handsets, written to a folder or given out over HTTPS.

Knows: options, files, words. Must not know: formats (cti.phones)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cti.cli.run import CONFIG, load
from cti.directory import Directory, load_directory
from cti.log import configure_logging
from cti.phones.book import VENDORS, Book, read_book
from cti.phones.render import Rendered, base, render_handset, render_sample
from cti.phones.serve import PhoneServer, Shelf, Watched, tls_context
from cti.problem import ConfigError
from cti.stack.root import open_voice
from cti.stack.stopping import until_stopped

KEY = click.option("--key", "key_file", type=click.Path(path_type=Path, dir_okay=False), show_default=True,
                   default=Path(".runtime/state/instance.key"),
                   help="实例密钥，口令由它推导 / the instance's key, of cti up or cti render")  # fmt: skip
NOTE = "未在真实话机上试过，请先试一部 / untested on real handsets: try one first"

EPILOG = """\b
例 / Examples:
  cti phones render --vendor yealink --seat 1001 --out /tmp/look   没有 phones.yaml 也能看 / to look at one
  cti phones render --out phones/                                  phones.yaml 里的全部 / every handset of phones.yaml
  cti phones urls                                                  每部话机的取配置地址 / where each handset fetches it
  cti phones cert --host pbx.local --out tls/                      自签证书，试用 / a self-signed certificate, to try it
  cti phones serve --cert tls/cert.pem --cert-key tls/key.pem      经 HTTPS 下发 / give them out over HTTPS

\b
退出码 / Exit status:
  0  完成 / done      1  配置、密钥或证书有误 / configuration, key or certificate wrong
  2  用法不对 / wrong usage
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def phones() -> None:
    """话机配置：生成、下发 / provisioning of the seats' phones: write it, give it out."""


def _site(config: Path | None) -> tuple[Path, Book, Directory]:
    where, _, directory = load(config)
    book, problems = read_book(where, directory)
    for problem in problems:
        click.echo(str(problem), err=True)
    if book is None:
        sys.exit(1)
    return where, book, directory


def _key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as why:
        click.echo(f"读不到实例密钥 {path} / the instance's key cannot be read: {why.strerror}\n"
                   "    → --key，或先 / or first: cti up, cti render", err=True)  # fmt: skip
        sys.exit(1)
    if len(key) < 16:
        click.echo(f"{path} 太短，不是密钥 / is too short to be a key", err=True)
        sys.exit(1)
    return key


@phones.command()
@CONFIG
@KEY
@click.option("--vendor", type=click.Choice(VENDORS), default=None,
              help="只此厂家；没有话机的座席出样本 / this vendor; a sample for seats without a phone")  # fmt: skip
@click.option("--seat", default=None, metavar="N", help="只此座席 / this seat alone")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="写到这个目录 / write into this folder (default: print)")  # fmt: skip
def render(config: Path | None, key_file: Path, vendor: str | None, seat: str | None, out: Path | None) -> None:
    """生成话机配置 / write the handsets' configurations, one file each, named as the handset asks for it."""
    _, book, directory = _site(config)
    if seat is not None and directory.seat(seat) is None:
        raise click.UsageError(f"没有座席 {seat} / there is no seat {seat}")
    key = _key(key_file)
    made = _rendered(book, directory, key, vendor, seat)
    if not made:
        raise click.UsageError("phones.yaml 里没有这样的话机；加 --vendor 看样本 / "
                               "phones.yaml has no such handset; add --vendor for a sample")  # fmt: skip
    if out is None:
        for one in made:
            click.echo(f"# {one.name}", err=True)
            click.echo(one.text, nl=False)
    else:
        try:
            out.mkdir(mode=0o700, parents=True, exist_ok=True)
            for one in made:
                _private(out / one.name, one.text.encode())
        except OSError as why:
            click.echo(f"无法写入 / cannot write: {why}", err=True)
            sys.exit(1)
        click.echo(f"{out}: {len(made)} 个文件 / files")
    click.echo(NOTE, err=True)


def _rendered(book: Book, directory: Directory, key: bytes, vendor: str | None, seat: str | None) -> list[Rendered]:
    made = [render_handset(h, book, directory, key) for h in book.phones
            if vendor in (None, h.vendor) and seat in (None, h.seat)]  # fmt: skip
    if vendor is not None:
        made += [render_sample(s, one, book, directory, key) for s in directory.seats for one in VENDORS
                 if one == vendor and seat in (None, s.number) and book.of_seat(s.number) is None]  # fmt: skip
    return made


def _private(path: Path, data: bytes) -> None:
    """A file with a password in it: its owner's alone, from its first byte on."""
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    partial.replace(path)


@phones.command()
@CONFIG
@KEY
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def urls(config: Path | None, key_file: Path, as_json: bool) -> None:
    """每部话机的取配置地址，含其口令，勿外传 / where each handset fetches its file; a secret stands in it."""
    _, book, _ = _site(config)
    if book.url is None:
        click.echo("phones.yaml 未写 url / phones.yaml has no url", err=True)
        sys.exit(1)
    key = _key(key_file)
    rows = [{"seat": h.seat, "vendor": h.vendor, "model": h.model or "", "mac": h.mac, "url": base(book, key, h)}
            for h in book.phones]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table("座席/seat", "话机/phone", "MAC", "地址/address")
    for row in rows:
        table.add_row(row["seat"], f"{row['vendor']} {row['model']}", row["mac"], row["url"])
    Console(width=200 if not sys.stdout.isatty() else None).print(table)


@phones.command()
@CONFIG
@KEY
@click.option("--host", default="127.0.0.1", show_default=True, help="监听地址 / where to listen")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="端口 / port")
@click.option("--cert", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="证书 PEM，含中间证书 / certificate and chain, PEM")  # fmt: skip
@click.option("--cert-key", type=click.Path(path_type=Path, dir_okay=False), default=None,
              help="私钥 PEM / its private key, PEM (default: in --cert)")  # fmt: skip
def serve(config: Path | None, key_file: Path, host: str, port: int, cert: Path, cert_key: Path | None) -> None:
    """经 HTTPS 下发，Ctrl-C 停止 / give the files out over HTTPS till Ctrl-C.

    Each handset has an address of its own with a secret in it (cti phones urls). Nothing can be listed, a wrong address
    is a 404, and who asks too often waits. An edited configuration is given out at once.
    """
    where, book, _ = _site(config)
    key = _key(key_file)
    try:
        tls = tls_context(cert, cert_key)
    except (ssl.SSLError, OSError) as why:
        click.echo(f"证书或私钥不可用 / the certificate or its key cannot be used: {why}", err=True)
        sys.exit(1)
    configure_logging("info", sys.stderr, json=False)

    def read() -> Shelf:
        now = load_directory(where, dt.date.today())
        book, problems = read_book(where, now)
        if book is None:
            raise ConfigError(tuple(problems))
        return Shelf(book, now, key)

    def files() -> list[Path]:
        return [*sorted(where.glob("*.yaml")), *sorted((where / "plans").glob("*.yaml"))]

    server = PhoneServer(host, port, tls, Watched(files, read, ConfigError))

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run())
            await server.ready.wait()
            click.echo(f"https://{host}:{server.port}  {len(book.phones)} 部话机 / handsets", err=True)

    try:
        asyncio.run(until_stopped(run()))
    except* OSError as group:
        click.echo(f"{host}:{port} 无法监听 / cannot listen: {group.exceptions[0]}", err=True)
        raise SystemExit(1) from None


@phones.command()
@click.option("--host", required=True, help="话机连的主机名或地址 / the name or address the phones use")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="目录 / folder")
@click.option("--days", type=click.IntRange(1, 825), default=365, show_default=True, help="有效天数 / days it holds")
@click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
              help="openssl 所在 / where openssl is unpacked")  # fmt: skip
def cert(host: str, out: Path, days: int, runtime: Path) -> None:
    """自签证书，试用；正式请用单位 CA 签发 / a self-signed certificate to try it with, no more."""
    try:
        self_signed(host, out, days, runtime)
    except (OSError, ValueError, subprocess.SubprocessError) as why:
        click.echo(f"无法生成 / cannot make it: {why}", err=True)
        sys.exit(1)
    click.echo(f"{out}/cert.pem {out}/key.pem")


def self_signed(host: str, out: Path, days: int, runtime: Path) -> None:
    """`cert.pem` and `key.pem` (P-256) in ``out``. OSError, ValueError, CalledProcessError."""
    if not host or not all(c.isalnum() or c in ".-:" for c in host):
        raise ValueError(f"{host[:40]!r} 不是主机名或地址 / is no host name and no address")
    root = open_voice(runtime / "root")
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    (out / "openssl.cnf").write_text("[req]\ndistinguished_name = dn\nprompt = no\n[dn]\n", encoding="utf-8")
    kind = "IP" if host.replace(".", "").isdigit() or ":" in host else "DNS"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
             "-subj", f"/CN={host}", "-addext", f"subjectAltName={kind}:{host}", "-config", str(out / "openssl.cnf"),
             "-keyout", str(out / "key.pem"), "-out", str(out / "cert.pem")]  # fmt: skip
    argv = ["openssl", *words]
    if root is not None:
        with contextlib.suppress(FileNotFoundError):  # a root without it: the one on the path
            argv = root.argv("openssl", *words)
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    (out / "key.pem").chmod(0o600)
    (out / "openssl.cnf").unlink()
