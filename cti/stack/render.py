"""From the linkage directory to Asterisk's configuration files: site data rendered into `dialplan/`'s templates.

Knows: the templates and what each needs. Must not know: processes. Output order is the files' order: stable,
diffable.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from cti.core.routing import WHY_OF
from cti.directory import Directory
from cti.directory.fields import CANCEL_KEY
from cti.routes import line_of, routes

DEDICATED_WEIGHT = 5
"""app_queue weight of the dedicated lines: a seat in two lines serves handed-over calls first"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one Asterisk lives and listens; everything loopback by default."""

    site: str
    state: Path
    """folder of etc/, db/, log/, spool/…"""
    run: Path
    """folder of the control socket; its path must stay under 108 bytes (AF_UNIX)"""
    modules: Path
    data: Path
    sbin: Path
    ami_port: int
    ami_username: str
    ami_secret: str
    sip_port: int
    rtp: range
    agi_port: int
    host: str = "127.0.0.1"
    qualify: int = 0

    @property
    def etc(self) -> Path:
        """Asterisk's configuration folder."""
        return self.state / "etc"

    @property
    def cel_file(self) -> Path:
        """Asterisk's own record."""
        return self.state / "log" / "cel-custom" / "cel.csv"


def _facts(directory: Directory, place: Place, instance_key: bytes) -> dict[str, Any]:
    codes = {(code, to): "k" + code.replace("*", "s").replace("#", "h")
             for h in directory.hotlines for code, to in h.every_key.items()}  # fmt: skip
    danger = {(code, to) for h in directory.hotlines for code, to in h.danger_keys.items()}
    names = {h.platform: "#".join(["kcancel", *(codes[k] for k in h.every_key.items())]) for h in directory.hotlines}
    queues = []
    for hotline in directory.hotlines:
        rules = hotline.queue
        common = {"ring": rules.ring, "wrapup": rules.wrapup, "max_waiting": rules.max_waiting}
        general = directory.seats_of(hotline.platform, "general")
        queues.append({"name": hotline.number, "weight": 0, "seats": general, **common})
    for platform in directory.platforms:
        seats = directory.seats_of(platform, "dedicated")
        queues.append({"name": f"{platform}-dedicated", "weight": DEDICATED_WEIGHT, "seats": seats,
                       "ring": 12, "wrapup": 0, "max_waiting": 100})  # fmt: skip
    every = routes(directory)
    return {
        "site": place.site, "state": place.state, "run": place.run, "modules": place.modules, "data":
        place.data, "sbin": place.sbin, "sounds": place.state / "sounds", "ami": {"host": place.host,
        "port": place.ami_port, "username": place.ami_username,
                "secret": place.ami_secret},
        "sip": {"host": "0.0.0.0" if place.host == "0.0.0.0" else "127.0.0.1", "port": place.sip_port,
                "qualify": place.qualify},
        "rtp": {"first": place.rtp.start, "last": place.rtp.stop - 1},
        "agi": {"host": place.host, "port": place.agi_port},
        "seats": [{"number": s.number, "platform": s.platform, "kind": s.kind, "secret": s.password(instance_key),
                   "features": names.get(s.platform, "kcancel")} for s in directory.seats],
        "trunks": directory.trunks, "hotlines": [{"number": h.number, "platform": h.platform, "division":
        h.division, "priority": h.priority,
                      "wait": h.queue.wait, "recall": h.recall} for h in directory.hotlines],
        "queues": queues,
        "keys": [{"name": name, "code": code, "exten": "transfer", "to": to, "danger": int((code, to) in danger)}
                 for (code, to), name in codes.items()]
        + [{"name": "kcancel", "code": CANCEL_KEY, "exten": "cancel", "to": "", "danger": ""}],
        "lines": [{"platform": p, "queue": line_of(p, "general", directory)} for p in directory.platforms],
        "reasons": sorted(WHY_OF.items()),
        "routes": [{"to": to, "text": every[to, "*"]} for to in directory.platforms if (to, "*") in every],
    }  # fmt: skip


def render(templates: Path, directory: Directory, place: Place, instance_key: bytes) -> dict[str, str]:
    """Every configuration file by name, as text. Raises `BadRoute`, `jinja2.TemplateError`."""
    facts = _facts(directory, place, instance_key)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made = {}
    for path in sorted(templates.glob("*.conf*")):
        if path.suffix == ".j2":
            made[path.stem] = environment.get_template(path.name).render(facts)
        else:
            made[path.name] = path.read_text(encoding="utf-8")
    return made
