"""All rules over one dialplan. Knows: which files make it, where excuses stand. Must not know: any rule, any
process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cti.dialplan.finding import Finding
from cti.dialplan.rules import ALL
from cti.dialplan.source import Sources, load
from cti.dialplan.subject import Subject
from cti.directory import Directory
from cti.prompts.catalogue import load_catalogue
from cti.share import folder as shipped
from cti.stack.render import Place
from cti.stack.sounds import greetings

SOUNDS = Path("/sounds")
"""stands in for wherever the prompts will lie"""
KEY = bytes(32)
NOWHERE = Path("/nowhere")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and how much was looked at. ``excused``: findings a comment takes off."""

    findings: tuple[Finding, ...]
    excused: tuple[Finding, ...]
    contexts: int
    steps: int
    sources: Sources


def check(
    folder: Path, directory: Directory, site: str, sounds: Path | None = None, config: Path | None = None
) -> Checked:
    """The dialplan in ``folder`` for this site. ``sounds``: a folder of prompts to look in, else what a fresh
    install with
    this ``config`` has. Raises OSError, UnicodeDecodeError, `ConfigError`."""
    told = Place(
        site=site,
        etc=Path("/etc/asterisk"),
        sounds=sounds or SOUNDS,
        ami_port=5038,
        ami_username="cti",
        ami_secret="x" * 16,
        sip_port=5060,
        rtp=range(10000, 20000),
        agi_port=4573,
        state=NOWHERE,
        run=NOWHERE,
        modules=NOWHERE,
        data=NOWHERE,
        sbin=NOWHERE,
    )
    return check_sources(load(folder, directory, told, KEY), prompts(directory, sounds, config), str(told.sounds))


def prompts(directory: Directory, sounds: Path | None, config: Path | None = None) -> frozenset[str]:
    """The names of all prompts there are, without their endings."""
    if sounds is None:
        return frozenset((*load_catalogue(config or shipped("config")).prompts, *greetings(directory)))
    return frozenset(str(p.relative_to(sounds).with_suffix("")) for p in sounds.rglob("*") if p.is_file())


def check_sources(sources: Sources, there: frozenset[str], sounds: str) -> Checked:
    """As `check`, of files read already."""
    subject = Subject(sources, there, sounds)
    found = {*subject.unreadable, *(f for rule in ALL for f in rule(subject))}
    excuses = sources.excused()
    excused = {f for f in found if (f.file, f.line, f.code) in excuses}
    order = {line.file: n for n, line in enumerate(x for xs in sources.lines.values() for x in xs)}
    ranked = sorted(found - excused, key=lambda f: (order.get(f.file, 0), f.file, f.line, f.code, f.message))
    return Checked(tuple(ranked), tuple(sorted(excused)), len(subject.plan.contexts), len(subject.steps), sources)
