"""From the linkage directory to Asterisk's configuration files: site data rendered into `dialplan/`'s templates.

Knows: the templates and what each needs. Must not know: processes. Output order is the files' order: stable,
diffable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from cti.core.priority import Band
from cti.core.routing import WHY_OF
from cti.directory import Directory, Hotline
from cti.directory.fields import CANCEL_KEY, ROOM_KEYS
from cti.routes import line_of, linkage, routes
from cti.settings import RecordingSettings

DEDICATED_WEIGHT = 5
"""app_queue weight of the dedicated lines: a seat in two lines serves handed-over calls first"""

DIRECTORIES = re.compile(r"^\[directories\]\n(?:(?!\[).*\n)*", re.MULTILINE)
"""asterisk.conf's section of folders; what it does not name is where that Asterisk was built to look"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an Asterisk of this product is told besides the directory; every address loopback unless said otherwise."""

    site: str
    etc: Path
    """where it finds its configuration"""
    sounds: Path
    ami_host: str = "127.0.0.1"
    ami_port: int
    ami_username: str
    ami_secret: str
    sip_host: str = "127.0.0.1"
    sip_port: int
    rtp: range
    agi_host: str = "127.0.0.1"
    agi_port: int
    web_port: int = 8088
    """where browsers' phones reach it on loopback, without TLS: directly, or behind a proxy that has the certificate"""
    wss: tuple[str, int] | None = None
    """host and port with TLS, by ``cert`` and ``cert_key``; None: a proxy does it"""
    cert: Path | None = None
    cert_key: Path | None = None
    qualify: int = 0
    """s between two looks whether a phone is still there; 0: never"""
    recording: RecordingSettings = field(default_factory=RecordingSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Told):
    """One embedded Asterisk: all its folders are ours too."""

    state: Path
    """folder of etc/, db/, log/, spool/…"""
    run: Path
    """folder of the control socket; its path must stay under 108 bytes (AF_UNIX)"""
    modules: Path
    data: Path
    sbin: Path

    @property
    def cel_file(self) -> Path:
        """Asterisk's own record."""
        return self.state / "log" / "cel-custom" / "cel.csv"


def _facts(directory: Directory, told: Told, instance_key: bytes) -> dict[str, Any]:
    keys, names = _keys(directory)
    queues = []
    for hotline in (h for h in directory.hotlines if not h.shares):
        rules = hotline.queue
        common = {"ring": rules.ring, "max_waiting": rules.max_waiting}
        offers = any(h.queue.callback for h in directory.hotlines if h.line == hotline.number)
        queues.append({"name": hotline.number, "weight": 0, "members": [(s, 0) for s in directory.serving(hotline)],
                       "callback": offers, **common})  # fmt: skip
    for platform in directory.platforms:
        dedicated = [(s, 0) for s in directory.seats_of(platform, "dedicated")]
        spill = [(s, s.spill) for s in directory.seats_of(platform, "general") if s.spill is not None]
        queues.append({"name": f"{platform}-dedicated", "weight": DEDICATED_WEIGHT, "members": dedicated + spill,
                       "ring": 12, "max_waiting": 100, "callback": False})  # fmt: skip
    every = routes(directory)
    own = directory.site(told.site)
    folders: dict[str, Path] = {}
    if isinstance(told, Place):
        folders = {"state": told.state, "run": told.run, "modules": told.modules, "data": told.data, "sbin": told.sbin}
    return {
        **folders,
        "site": told.site, "etc": told.etc, "sounds": told.sounds,
        "ami": {"host": told.ami_host, "port": told.ami_port, "username": told.ami_username,
                "secret": told.ami_secret.replace(";", "\\;")},  # Asterisk would take the rest for a comment.
        "sip": {"host": told.sip_host, "port": told.sip_port, "qualify": told.qualify},
        "web": {"port": told.web_port, "wss": told.wss, "cert": told.cert, "key": told.cert_key,
                "used": any(s.webrtc for s in directory.seats)},
        "rtp": {"first": told.rtp.start, "last": told.rtp.stop - 1},
        "agi": {"host": told.agi_host, "port": told.agi_port},
        "seats": [{"number": s.number, "platform": s.platform, "kind": s.kind, "webrtc": s.webrtc,
                   "secret": s.password(instance_key), "login": s.login,
                   "features": names.get(s.platform, FIXED)} for s in directory.seats],
        "trunks": directory.trunks,
        "hotlines": [{**_hotline(h), "wrapup": directory.wrapup(h), "record": told.recording.enabled and h.record}
                     for h in directory.hotlines],
        "bands": [{"name": band.name, "value": int(band)} for band in Band],
        "calls_most": len(told.rtp) // 4 * 85 // 100,
        "callback": {"trunk": directory.callbacks.trunk or next((t.name for t in directory.trunks), ""),
                     "ring": directory.callbacks.ring, "keep": directory.callbacks.keep},
        "queues": queues, "nuisance_wait": directory.nuisance_rules.wait,
        "features": {platform: names.get(platform, FIXED) for platform in directory.platforms},
        "sites": [s for s in directory.sites if s.code != told.site] if own else [],
        "own": own.sip if own else None,
        "keys": keys,
        "room": directory.conference, "recording": told.recording,
        "misses": directory.seat_rules.misses,
        "pauses": [r for r in directory.seat_rules.reasons if r.key],
        "lines": [{"platform": p, "queue": line_of(p, "general", directory)} for p in directory.platforms],
        "reasons": sorted(WHY_OF.items()),
        "lamps": [{"number": to, "queue": line_of(to, "dedicated", directory)} for to in directory.platforms
                  if (to, "*", False) in every and directory.seats_of(to, "dedicated")],
        "routes": [{"name": f"ROUTE_DANGER_{to}" if danger else f"ROUTE_{to}", "text": every[to, "*", danger]}
                   for danger in (False, True) for to in directory.platforms if (to, "*", danger) in every]
        + [{"name": f"ROUTE_{to}", "text": text} for (to, _, _), text in linkage(directory).items()],
    }  # fmt: skip


def _hotline(hotline: Hotline) -> dict[str, Any]:
    """A hotline as trunk.conf and the globals tell it; times of day in seconds, dates and days as texts to look in."""
    rules, opening = hotline.queue, hotline.opening
    made: dict[str, Any] = {
        "number": hotline.number, "platform": hotline.platform, "name": hotline.name.zh,
        "division": hotline.division, "line": hotline.line,
        "priority": hotline.priority, "wait": rules.wait, "recall": hotline.recall, "max_waiting": rules.max_waiting,
        "overflow_after": rules.overflow.after if rules.overflow else "",
        "overflow_to": rules.overflow.to if rules.overflow else "",
        "say_first": rules.announce.first, "say_every": rules.announce.every,
        "greeting": f"greeting-{hotline.number}" if hotline.greeting else "", "callback": int(rules.callback),
        "opening": None,
    }  # fmt: skip
    if opening:
        first, last = (int(t[:2]) * 3600 + int(t[3:]) * 60 for t in opening.hours.split("-"))
        made["opening"] = {"first": first, "last": last, "days": "".join(map(str, opening.days)),
                           "closed": ".".join(map(str, opening.holidays)),
                           "open": ".".join(map(str, opening.workdays))}  # fmt: skip
    return made


def _keys(directory: Directory) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Every feature code as features.conf names it, and which of them the phones of a platform have."""
    keys: dict[str, dict[str, Any]] = {
        _name(code): {"code": code, "exten": exten, "to": arg, "danger": ""}
        for code, (exten, arg) in FIXED_KEYS.items()
    }
    names = {hotline.platform: [FIXED] for hotline in directory.hotlines}
    for hotline in directory.hotlines:
        for exten, danger, codes in (("transfer", 0, hotline.keys), ("transfer", 1, hotline.danger_keys),
                                     ("bring-in", 0, hotline.conference_keys)):  # fmt: skip
            for code, to in codes.items():
                name = f"{_name(code)}x{to}"
                keys[name] = {"code": code, "exten": exten, "to": to, "danger": danger}
                names[hotline.platform].append(name)
    for one in directory.linkage:
        name = f"{_name(one.code)}xm{one.number}"
        keys[name] = {"code": one.code, "exten": "member", "to": one.number, "danger": ""}
        for platform in names.values():
            platform.append(name)
    return [{"name": name, **key} for name, key in keys.items()], {p: "#".join(n) for p, n in names.items()}


def _name(code: str) -> str:
    return "k" + code.replace("*", "s").replace("#", "h")


FIXED_KEYS = {CANCEL_KEY: ("cancel", ""), **ROOM_KEYS}
FIXED = "#".join(map(_name, FIXED_KEYS))
"""the features every seat's phone has"""


def render(templates: Path, directory: Directory, told: Told, instance_key: bytes) -> dict[str, str]:
    """Every configuration file by name, as text, in the order of the names. For a `Place` Asterisk's folders are those
    of the instance; else all but the configuration's are left to that Asterisk. Raises `BadRoute`,
    `jinja2.TemplateError`."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(templates.glob("*.conf*"))}
    return fill(sources, directory, told, instance_key)


def fill(sources: Mapping[str, str], directory: Directory, told: Told, instance_key: bytes) -> dict[str, str]:
    """As `render`, from the templates' texts by file name."""
    facts = _facts(directory, told, instance_key)
    sources = dict(sources)
    if not isinstance(told, Place) and "asterisk.conf.j2" in sources:
        own = "[directories]\nastetcdir => {{ etc }}\n\n"
        sources["asterisk.conf.j2"] = DIRECTORIES.sub(own, sources["asterisk.conf.j2"])
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made = {}
    for name, text in sources.items():
        filled = name.removesuffix(".j2")
        made[filled] = environment.get_template(name).render(facts) if filled != name else text
    return made
