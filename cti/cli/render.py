"""`cti render`: the configuration of an Asterisk of one's own. Knows: options and notes. Must not know: what the files
say."""

from __future__ import annotations

import re
import secrets
import sys
from dataclasses import replace
from pathlib import Path

import click

from cti.cli.run import CONFIG, load
from cti.problem import ConfigError, Problem
from cti.prompts.catalogue import load_catalogue
from cti.prompts.recordings import look
from cti.settings import Settings
from cti.share import folder
from cti.stack import placing
from cti.stack.render import Told, render
from cti.stack.root import open_voice
from cti.stack.sounds import ensure_sounds, greetings

KEY = "instance.key"
"""what the phones' passwords are derived from; made once, then kept"""
QUALIFY_S = 60

EPILOG = """\b
例 / Examples:
  CTI_AMI__SECRET_FILE=/etc/hotline-cti/ami.secret cti render /srv/hotline/etc --sip 0.0.0.0:5060
  cti render /srv/hotline/etc --dry-run --diff    只看会改什么 / only what would change
  cti render DIR --wss 0.0.0.0:8089 --cert /etc/ssl/seats.pem --key /etc/ssl/seats.key
  cti render out --at /etc/asterisk               在此生成，装到别处 / made here, installed elsewhere
  TZ=UTC asterisk -C /srv/hotline/etc/asterisk.conf

\b
退出码 / Exit status:
  0  已写好（或无变化） / written, or nothing to write
  1  配置有误，或有别人的文件挡路 / the configuration is wrong, or a file of somebody else's is in the way
  2  用法不对 / wrong usage
"""


def _sip(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    match = re.fullmatch(r"([0-9A-Za-z.-]+):(\d{1,5})", value)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise click.BadParameter("须为 HOST:PORT / must be HOST:PORT, e.g. 0.0.0.0:5060")
    return match[1], int(match[2])


def _wss(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    return None if value is None else _sip(ctx, param, value)


def _ports(ctx: click.Context, param: click.Parameter, value: str) -> range:
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
    if match is None or not 1024 <= int(match[1]) < int(match[2]) <= 65535:
        raise click.BadParameter("须为 起-止，1024–65535 / must be FIRST-LAST within 1024–65535, e.g. 10000-20000")
    return range(int(match[1]), int(match[2]) + 1)


@click.command("render", epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@CONFIG
@click.option("--at", type=click.Path(path_type=Path), default=None,
              help="这些文件将安装到哪里 / where the files will lie in the end (default: DIR)")  # fmt: skip
@click.option("--sip", metavar="HOST:PORT", callback=_sip, default="127.0.0.1:5060", show_default=True,
              help="话机与中继连到哪里 / where phones and trunks reach Asterisk (UDP)")  # fmt: skip
@click.option("--rtp", metavar="FIRST-LAST", callback=_ports, default="10000-20000", show_default=True,
              help="媒体端口 / ports of the voice")  # fmt: skip
@click.option("--wss", metavar="HOST:PORT", callback=_wss, default=None,
              help="浏览器座席以 TLS 连入的地址，须有 --cert、--key；不写则经反向代理连本机 8088 / "
              "where browsers' phones come with TLS; else a proxy passes them to 127.0.0.1:8088")  # fmt: skip
@click.option("--cert", type=click.Path(path_type=Path), default=None, help="--wss 的证书 / its certificate (PEM)")
@click.option("--key", "cert_key", type=click.Path(path_type=Path), default=None, help="证书的私钥 / its private key")
@click.option("--sounds", type=click.Path(path_type=Path), default=None,
              help="提示音所在 / where Asterisk finds the prompts (default: sounds/ beside the files)")  # fmt: skip
@click.option("--runtime", type=click.Path(path_type=Path), default=Path(".runtime"), show_default=True,
              help="有语音合成时用它念提示音 / its synthesizer speaks the prompts, where it is")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="只看，不写 / look, write nothing")
@click.option("--diff", is_flag=True, help="逐行列出变化（口令遮蔽） / show the lines that change, secrets masked")
def render_command(out: Path, config: Path | None, at: Path | None, sip: tuple[str, int], rtp: range,
                   wss: tuple[str, int] | None, cert: Path | None, cert_key: Path | None, sounds: Path | None,
                   runtime: Path, dry_run: bool, diff: bool) -> None:  # fmt: skip
    """为你自己的 Asterisk 生成配置 / write the configuration for an Asterisk 22 of your own.

    Fills dialplan/ with the site's data and puts all of it into DIR, with the addresses of site.yaml (ami, agi). Files
    it did not make, and those changed by hand, are never written over; local.d/ is yours. Run again after each change
    of the configuration: it says what changed.
    """
    if (wss is None) != (cert is None) or (cert is None) != (cert_key is None):
        raise click.UsageError("--wss、--cert、--key 须一起给出 / are given together or not at all")
    where, settings, directory = load(config)
    out = out.absolute()
    etc = at or out
    try:
        told = _told(settings, etc, sounds or etc / "sounds", sip, rtp)
        told = replace(told, wss=wss, cert=cert, cert_key=cert_key)
        key = (out / KEY).read_bytes() if (out / KEY).exists() else secrets.token_bytes(32)
        made = render(folder("dialplan"), directory, told, key)
        found = placing.changes(out, made)
        if not dry_run:
            out.mkdir(mode=0o750, parents=True, exist_ok=True)
            if not (out / KEY).exists():  # Before the passwords derived from it: a run may be cut off.
                placing.write(out / KEY, key)
            placing.put(out, made)
            (out / "local.d").mkdir(mode=0o750, exist_ok=True)
            ensure_sounds(out / "sounds", open_voice(runtime / "root"), load_catalogue(where), look(where),
                          greetings(directory))  # fmt: skip
    except (ConfigError, placing.NotOurs) as why:
        click.echo(str(why), err=True)
        sys.exit(1)
    except OSError as why:
        click.echo(f"无法写入 / cannot write: {why}", err=True)
        sys.exit(1)
    for line in placing.diffs(found) if diff else map(str, found):
        click.echo(line)
    if not found:
        click.echo("没有变化 / nothing changed")
    for note in _notes(settings, sip[0], etc):
        click.echo(note, err=True)


def _told(settings: Settings, etc: Path, sounds: Path, sip: tuple[str, int], rtp: range) -> Told:
    ami, agi = settings.ami, settings.agi
    secret = ami.read_secret()
    if secret is None:
        raise ConfigError((Problem(
            "site.yaml", 0, "ami.secret_file",
            "未设 AMI 口令，不能生成人人可进的接口 / no AMI secret is set, and a door open to all is not written",
            "head -c 24 /dev/urandom | base64 > ami.secret; CTI_AMI__SECRET_FILE=ami.secret"),))  # fmt: skip
    return Told(
        site=settings.site.code, etc=etc, sounds=sounds, ami_host=ami.host, ami_port=ami.port,
        ami_username=ami.username, ami_secret=secret, sip_host=sip[0], sip_port=sip[1], rtp=rtp,
        # A wildcard is where the service listens; Asterisk beside it needs an address it can call.
        agi_host="127.0.0.1" if agi.host in ("0.0.0.0", "::") else agi.host, agi_port=agi.port, qualify=QUALIFY_S,
        recording=settings.recording,
    )  # fmt: skip


def _notes(settings: Settings, sip_host: str, etc: Path) -> list[str]:
    """What the files cannot say."""
    notes = [
        f"启动 / start: TZ=UTC asterisk -C {etc / 'asterisk.conf'}    （其记录须用 UTC / its record must be in UTC）"
    ]
    if settings.cel.path.name != "cel.csv":
        notes.append(
            f"注意：Asterisk 写 cel-custom/cel.csv，而 cel.path 是 {settings.cel.path} / "
            "note: Asterisk writes cel-custom/cel.csv below its log folder; set cel.path to it"
        )
    if sip_host.startswith("127."):
        notes.append(
            "注意：话机只能从本机连入；否则用 --sip 0.0.0.0:5060 / "
            "note: phones reach it from this machine only; else: --sip 0.0.0.0:5060"
        )
    if not settings.ami.host.startswith("127."):
        notes.append(
            "注意：manager.conf 只许本机登录，服务在别处时须另行放行 / "
            "note: manager.conf lets this machine log in only; a service elsewhere needs a permit of its own"
        )
    return notes
