"""The rules between a directory's parts; each yields its faults with file and line.

Knows: what must agree with what. Must not know: how the files were read.
A rule is a function of a `Site`; adding one to `RULES` is all it takes. Numbers and keys here; who is reached in
`rules_reach`, who answers in `rules_seats`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final

from cti.directory.checking import Faults, Site, repeated
from cti.directory.fields import EMERGENCY, Platform
from cti.directory.rules_plans import plans_find_what_they_need
from cti.directory.rules_reach import (
    linkage_leads_somewhere,
    routes_lead_somewhere,
    sites_are_apart,
    trunks_are_closed,
    trunks_keep_lines,
)
from cti.directory.rules_seats import (
    agents_are_told_apart,
    hotlines_are_served,
    lines_lead_somewhere,
    seats_serve_rightly,
)
from cti.problem import Problem, Way


def find_faults(site: Site) -> list[Problem]:
    """Every fault, by file and line. Plans are held against what they name once that is sound."""
    found = list(chain.from_iterable(rule(site) for rule in RULES))
    if not any(fault.level == "error" for fault in found):
        found += plans_find_what_they_need(site)
    return sorted(found, key=lambda p: (p.file, p.line, p.column))


def no_duplicates(site: Site) -> Faults:
    """One number, one thing: hotlines and seats share the dialplan's numbers."""
    directory, taken = site.directory, dict[str, Way]()
    numbered: tuple[tuple[Way, str, str], ...] = (
        *((("hotlines", i, "number"), "热线/hotline", h.number) for i, h in enumerate(directory.hotlines)),
        *((("seats", i, "number"), "座席/seat", s.number) for i, s in enumerate(directory.seats)),
        *((("linkage", i, "number"), "联动单位/linkage", one.number) for i, one in enumerate(directory.linkage)),
    )
    for way, what, number in numbered:
        if way[0] == "seats" and number in EMERGENCY and number not in taken:
            yield site.error(
                way,
                f"{number} 是紧急号码 / {number} is an emergency number",
                "换一个座席号 / choose another seat number",
            )
            continue
        if number in taken:
            first = taken[number]
            file = site.documents[str(first[0])]
            yield site.error(
                way,
                f"{what} {number} 重复 / duplicate, first at {file.file}:{file.mark(first).line}",
                "每个号码只用一次 / use each number once",
            )
        taken.setdefault(number, way)
    yield from repeated(site, "trunks", "name", [t.name for t in directory.trunks])
    yield from repeated(site, "nuisance", "number", [n.number for n in directory.nuisance], say=False)
    listed = [f"→{r.to} {r.division}{' danger' if r.danger else ''}" for r in directory.routes]
    yield from repeated(site, "routes", "division", listed)


def keys_lead_somewhere(site: Site) -> Faults:
    """A key reaches a platform of this site (its own: another seat there), and none hides another on the same phones.

    Asterisk fires a feature once its code is complete: of `*11` and `*110` the second is never reached.
    """
    codes: dict[Platform, list[tuple[str, Way]]] = {}
    for i, hotline in enumerate(site.directory.hotlines):
        both = [("keys", *item) for item in hotline.keys.items()]
        both += [("danger_keys", *item) for item in hotline.danger_keys.items()]
        both += [("conference_keys", *item) for item in hotline.conference_keys.items()]
        for part, code, platform in both:
            way: Way = ("hotlines", i, part, code)
            if platform not in site.directory.platforms:
                yield site.error(
                    way,
                    f"按键 {code} 通向 {platform}，但没有该平台的热线 / "
                    f"key {code} leads to platform {platform}, which has no hotline",
                    "在 hotlines.yaml 加上它 / add one to hotlines.yaml",
                )
            codes.setdefault(hotline.platform, []).append((code, way))
    numbers = [one.number for one in site.directory.linkage]
    for i, one in enumerate(site.directory.linkage):  # on every seat's phone; one given twice is told above
        for platform in codes if numbers.index(one.number) == i else ():
            codes[platform].append((one.code, ("linkage", i, "key" if one.key else "number")))
    told = set[tuple[str, Way]]()
    for known in codes.values():
        for n, (code, way) in enumerate(known):
            for earlier, _ in known[:n]:
                if way[0] == "linkage" and (earlier, way) in told:
                    continue
                told.add((earlier, way))
                short, long = sorted((earlier, code), key=len)
                if short == long and way[0] == "linkage":
                    yield site.error(
                        way,
                        f"按键 {code} 已另有用途 / key {code} is taken",
                        "写另一个 key / give it a key of its own",
                    )
                if short != long and long.startswith(short):
                    yield site.error(
                        way,
                        f"按键 {short} 是 {long} 的开头，{long} 永远按不到 / "
                        f"key {short} begins {long}: {long} can never be reached",
                        "改其中一个 / change one of them",
                        key=way[0] == "hotlines",
                    )


def nuisance_is_current(site: Site) -> Faults:
    """An expired entry has no effect and should be renewed or removed; our own numbers are never listed."""
    own = site.directory.never_listed
    for i, entry in enumerate(site.directory.nuisance):
        if entry.until < site.today:
            yield site.warning(
                ("nuisance", i, "until"),
                f"已于 {entry.until} 到期 / expired on {entry.until}",
                "续期或删去 / renew or remove it",
            )
        if entry.number in own:
            yield site.error(
                ("nuisance", i, "number"),
                "这是本站的热线或座席，或紧急、联动单位的号码 / this is a hotline or seat of this site, or a number of "
                "an emergency service or of the linkage directory",
                "删去它 / remove it",
            )


def nuisance_rules_agree(site: Site) -> Faults:
    """What is usual must be allowed."""
    rules = site.directory.nuisance_rules
    if rules.days > rules.most_days:
        yield site.error(
            ("nuisance", "rules", "days"),
            f"默认 {rules.days} 天长于最长的 {rules.most_days} 天 / days is more than most_days",
            "改其中一个 / change one of them",
        )


RULES: Final[tuple[Callable[[Site], Faults], ...]] = (
    no_duplicates,
    keys_lead_somewhere,
    routes_lead_somewhere,
    linkage_leads_somewhere,
    hotlines_are_served,
    seats_serve_rightly,
    agents_are_told_apart,
    lines_lead_somewhere,
    trunks_are_closed,
    trunks_keep_lines,
    nuisance_is_current,
    nuisance_rules_agree,
    sites_are_apart,
)
